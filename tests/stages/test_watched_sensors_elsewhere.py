"""Sensor or plant where the filter works otherwise: a process that never rests, a model that fails, holding."""

import numpy as np
import pandas as pd
import pytest

from tests.stages.moving import EVERY_S, SPEC, START, Swing, forces, spec_of
from twin_assets.estimation.suspects import SUSPECT
from twin_assets.model import Attempt, FailedRow, Floats, InputPath
from twin_assets.spec import TwinSpec
from twin_assets.stages.tables import Table
from twin_assets.stages.ukf import UkfResult, assimilate

NOISE = 0.03
# Five gauges of a swing: its position, its speed, and what mixes both.
GAUGES = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, -1.0], [0.5, 1.5]])
NAMES = tuple(f"g{i}" for i in range(5))


def _read(states: Floats) -> Floats:
    """(..., 5) of (..., 2); rounded alike however many there are, which a product of matrices is not."""
    return np.asarray((states[..., np.newaxis, :] * GAUGES).sum(axis=-1))


class Gauges(Swing):
    """A swing that five gauges look at."""

    outputs = NAMES  # type: ignore[assignment]  # two are the swing's own

    def evaluate(self, coefficients: Floats, inputs: Floats) -> Floats:
        """See PredictiveModel."""
        return _read(super().evaluate(coefficients, inputs))

    def follow(self, coefficients: Floats, path: InputPath) -> Floats:
        """See TransientModel."""
        return _read(super().follow(coefficients, path))


class Fragile(Gauges):
    """At rest, where every run above the usual force fails; whatever the luck of the day."""

    def __init__(self) -> None:
        super().__init__()
        self.tried = 0

    def attempt(self, coefficients: Floats, inputs: Floats) -> Attempt:
        """See TolerantModel."""
        self.tried += 1
        outputs = self.evaluate(coefficients, inputs)
        if inputs[0] < 1.9:
            return Attempt(outputs)
        outputs[-1] = np.nan
        values = dict(zip(self.coefficients, coefficients[-1].tolist(), strict=True))
        return Attempt(outputs, (FailedRow(len(coefficients) - 1, values, "it broke"),))


def gauges(**sections: object) -> TwinSpec:
    """The twin of a swing with five gauges."""
    return spec_of(measurements=[{"name": name, "noise_std": NOISE} for name in NAMES], virtual_sensors=[], **sections)


def at_rest(**sections: object) -> TwinSpec:
    """The same, never moving: the input is held."""
    measurements = [{"name": name, "noise_std": NOISE} for name in NAMES]
    base = {**SPEC, "model": {"fmu": "swing.fmu"}, "measurements": measurements, "virtual_sensors": []}
    return TwinSpec.model_validate({**base, **sections})


def _frame(values: Floats, force: Floats) -> pd.DataFrame:
    count = len(force)
    frame = pd.DataFrame(
        {
            "unit": pd.Series(["swing"] * count, dtype="str"),
            "time": START + pd.to_timedelta(np.arange(count) * EVERY_S, unit="s"),
        }
    )
    for name, column in zip(NAMES, values.T, strict=True):
        frame[name], frame[f"{name}_reason"] = column, pd.Series([""] * count, dtype="str")
    frame["force"], frame["force_reason"] = force, pd.Series([""] * count, dtype="str")
    return frame


def moving(count: int, off: float = 8.0) -> pd.DataFrame:
    """A swing that is pushed; from observation 150 on gauge 2 is off by so many standard deviations of its noise."""
    rng = np.random.default_rng(3)
    force = forces(count, rng)
    path = InputPath(np.arange(float(count)) * EVERY_S, force[:, np.newaxis], np.arange(count), np.array([True]))
    values = Gauges().follow(np.array([[2.1, 3.05]]), path)[0] + NOISE * rng.normal(size=(count, 5))
    values[150:, 2] += off * NOISE
    return _frame(values, force)


def resting(count: int) -> pd.DataFrame:
    """The same at rest under forces that change a little, gauge 3 off from observation 50 on."""
    rng = np.random.default_rng(4)
    force = 1.8 + 0.15 * rng.random(count)
    values = np.column_stack([force / 3.05, np.zeros(count)]) @ GAUGES.T + NOISE * rng.normal(size=(count, 5))
    values[50:, 3] += 8.0 * NOISE
    return _frame(values, force)


def run(spec: TwinSpec, model: Gauges, observations: pd.DataFrame, *, existing: UkfResult | None = None) -> UkfResult:
    """One window."""
    kept = None if existing is None else Table(existing.frame, existing.metadata)
    return assimilate(spec, model, observations, fmu_sha256="f" * 64, existing=kept)


def test_of_a_process_that_never_rests_the_gauge_is_named() -> None:
    """Gauge 2 is left out soon after it went off, and the coefficients stay where they are."""
    frame = run(gauges(), Gauges(), moving(260)).frame
    out = np.flatnonzero(frame["g2_reason"] == "suspect: bias")
    assert 150 < out[0] < 190
    assert out[-1] == 259
    reasons = frame[[f"{name}_reason" for name in NAMES if name != "g2"]]
    assert not reasons.isin(set(SUSPECT.values())).any(axis=None)
    assert (frame["method"].iloc[out] == "carried").mean() > 0.8
    np.testing.assert_allclose(frame["state_mean"].iloc[-1], [2.1, 3.05], atol=0.1)


def test_cuts_leave_the_same_rows_of_a_process_that_never_rests() -> None:
    """In pieces, through the accusation and after it: digests, posteriors and all that is known are those of one go."""
    spec, whole = gauges(), moving(230)
    pieces: UkfResult | None = None
    for count in (120, 153, 161, 181, 200, 230):
        pieces = run(spec, Gauges(), whole.iloc[:count], existing=pieces)
    once = run(spec, Gauges(), whole)
    assert pieces is not None
    assert pieces.metadata == once.metadata
    left, right = (one.frame.drop(columns=["model_runs"]) for one in (pieces, once))
    pd.testing.assert_frame_equal(left, right, check_exact=True)


def test_rows_without_an_answer_are_resumed_with_all_that_is_known() -> None:
    """Runs fail now and then: such rows hold what is known after them, and a cut leaves the same rows."""
    spec, whole = at_rest(), resting(110)
    once = run(spec, Fragile(), whole)
    failed = once.frame["failed_runs"] > 0
    assert 5 < failed.sum() < 105
    assert (once.frame.loc[failed, "suspicion"] != "").all()
    assert (once.frame["g3_reason"] == "suspect: bias").sum() > 20
    pieces: UkfResult | None = None
    for count in (53, 61, 75, 110):
        pieces = run(spec, Fragile(), whole.iloc[:count], existing=pieces)
    assert pieces is not None
    assert pieces.metadata == once.metadata
    pd.testing.assert_frame_equal(pieces.frame, once.frame, check_exact=True)


class Silent(Gauges):
    """At rest; it does not answer at all for ten observations."""

    def attempt(self, coefficients: Floats, inputs: Floats) -> Attempt:
        """See TolerantModel."""
        outputs = self.evaluate(coefficients, inputs)
        if not 1.8 < inputs[0] < 1.81:
            return Attempt(outputs)
        values = dict(zip(self.coefficients, coefficients[0].tolist(), strict=True))
        return Attempt(np.full_like(outputs, np.nan), (FailedRow(0, values, "silence"),))


def test_a_suspect_that_met_no_answer_is_told_as_such() -> None:
    """Where the model is silent the reason of all that was measured is the model, a suspect's as well."""
    frame = run(at_rest(), Silent(), resting(110)).frame
    out = frame["g3_reason"] == "suspect: bias"
    silent = (frame["g3_reason"] == "model") & (np.arange(110) > np.flatnonzero(out)[0])
    assert silent.sum() > 0
    assert (frame.loc[silent, [f"{name}_reason" for name in NAMES]] == "model").all(axis=None)
    assert frame.loc[silent, "diagnosis"].str.startswith("g3 reads").all()


def test_where_blind_directions_are_held_the_gauge_is_named_all_the_same() -> None:
    """At rest mass is not told and is held at its prior; gauge 3 is accused by the others."""
    frame = run(at_rest(identifiability="hold"), Gauges(), resting(110)).frame
    assert (frame["g3_reason"] == "suspect: bias").sum() > 20
    assert frame["state_mean"].iloc[-1][0] == pytest.approx(2.3, abs=1e-6)
