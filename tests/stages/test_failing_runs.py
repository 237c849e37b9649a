"""A pump that cannot be simulated everywhere: what its tables say of it, and that nothing is tried in vain again."""

import hashlib
import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.stages.conftest import PumpModel
from twin_assets.model import FAILURES_TOLD, Attempt, FailedRow, Floats, PredictiveModel
from twin_assets.models import LazyModel
from twin_assets.spec import TwinSpec
from twin_assets.spec_file import Twin
from twin_assets.stages.answers import model_answers
from twin_assets.stages.fingerprint import BLOCK
from twin_assets.stages.observations import observe
from twin_assets.stages.predictions import failed_predictions
from twin_assets.stages.results import ResultTable, virtual_sensors_table
from twin_assets.stages.tables import Table
from twin_assets.stages.ukf import UkfResult, assimilate
from twin_assets.windows import Window

MakeSpec = Callable[..., TwinSpec]
FMU = b"a pump"
BUSY = 24


class FragilePump(PumpModel):
    """The pump, but where ``fails`` says of (wear, leak, speed), each (k,)."""

    model_seconds = 0.0
    sha256 = hashlib.sha256(FMU).hexdigest()

    def __init__(self, fails: Callable[[Floats, Floats, float], np.ndarray]) -> None:
        super().__init__()
        self.fails = fails

    def attempt(self, coefficients: Floats, inputs: Floats) -> Attempt:
        """See TolerantModel."""
        outputs = self.evaluate(coefficients, inputs)
        bad = np.flatnonzero(self.fails(coefficients[:, 0], coefficients[:, 1], float(inputs[0])))
        if 0 in bad:
            bad, outputs = bad[:1], np.full_like(outputs, np.nan)
        outputs[bad] = np.nan
        return Attempt(outputs, tuple(self._failed(i, coefficients[i]) for i in bad.tolist()))

    def _failed(self, row: int, values: Floats) -> FailedRow:
        return FailedRow(row, dict(zip(self.coefficients, values.tolist(), strict=True)), "it ran dry")


def one_point(wear: Floats, _: Floats, __: float) -> np.ndarray:
    """One sigma point of six: the largest wear."""
    return np.asarray((wear == wear.max()) & (np.arange(len(wear)) > 0))


def nowhere(wear: Floats, _: Floats, __: float) -> np.ndarray:
    """Never."""
    return np.zeros(len(wear), dtype=np.bool_)


def when_fast(wear: Floats, _: Floats, speed: float) -> np.ndarray:
    """All, at some speeds."""
    return np.full(len(wear), speed > 10.9)


@pytest.fixture
def observations(spec: TwinSpec, day: Window, recorded: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    """A day, one observation every 20 minutes."""
    telemetry = recorded("2026-01-02", "2026-01-03")
    return observe(spec, ("pump",), day, telemetry, pd.Timestamp("2026-02-01", tz="UTC")).frame


def filtered(
    spec: TwinSpec, model: PredictiveModel, observations: pd.DataFrame, before: UkfResult | None = None
) -> UkfResult:
    """The filter's table."""
    existing = Table(before.frame, before.metadata) if before else None
    return assimilate(spec, model, observations, fmu_sha256="f", existing=existing)


def predicted(
    spec: TwinSpec,
    model: PredictiveModel,
    states: pd.DataFrame,
    observations: pd.DataFrame,
    before: ResultTable | None = None,
) -> ResultTable:
    """The predictions' table."""
    existing = Table(before.frame, before.metadata) if before else None
    return virtual_sensors_table(spec, model, states, observations, existing=existing)


def patient(make_spec: MakeSpec) -> TwinSpec:
    """The same pump, given more time."""
    return make_spec(model={"fmu": "pump.fmu", "timeout_s": 600.0})


def test_degraded_updates_are_told(spec: TwinSpec, observations: pd.DataFrame, tmp_path: Path) -> None:
    """Every update loses a sigma point: the table says at which values and why, the verdict warns.

    The pump is quadratic in its coefficients, so the posteriors are those of a whole one.
    """
    (tmp_path / "pump.fmu").write_bytes(FMU)
    full = spec.model_copy(update={"filter": spec.filter.model_copy(update={"reuse": False})})
    opened_late = LazyModel(Twin(full, tmp_path / "twin.yaml", {}), lambda: FragilePump(one_point))
    result, whole = filtered(full, opened_late, observations), filtered(full, PumpModel(), observations)
    assert (whole.frame["failed_runs"] == 0).all()
    assert (whole.frame["failures"] == "").all()
    assert (result.frame["failed_runs"] > 0).all()
    assert result.frame["failures"].str.match(r"wear=[0-9.e-]+, leak=[0-9.e-]+: it ran dry(; |$)").all()
    assert (result.frame["dof"] == 2).all()
    last, expected = (np.array(table.frame["state_mean"].iloc[-1]) for table in (result, whole))
    np.testing.assert_allclose(last, expected, rtol=1e-6)
    verdict = model_answers(spec, result.frame, [])
    assert (verdict.passed, verdict.severity, verdict.refuses) == (False, "warning", False)
    assert (verdict.metadata["degraded"], verdict.metadata["not_assimilated"]) == (72, 0)
    assert str(verdict.metadata["failures"]).startswith(f"pump at {observations['time'].iloc[0]}: wear=")
    assert str(verdict.metadata["failures"]).endswith(f"and {72 - FAILURES_TOLD} more")
    assert str(verdict.metadata["failures"]) in verdict.description
    assert model_answers(spec, whole.frame, []).passed


def test_where_nothing_can_be_run_nothing_is_assimilated(spec: TwinSpec, observations: pd.DataFrame) -> None:
    """Predictions only, for the reason "model"; the state goes on, and materializing again runs nothing."""
    model = FragilePump(when_fast)
    result = filtered(spec, model, observations)
    fast = (observations["speed"] > 10.9).to_numpy()
    assert 0 < fast.sum() < 72
    assert (result.frame["flow_reason"] == np.where(fast, "model", "")).all()
    assert (result.frame["method"][fast] == "prediction").all()
    widths = np.stack(result.frame["state_cov"].to_list())[:, 0]
    assert (np.diff(widths)[fast[1:]] > 0.0).all()
    verdict = model_answers(spec, result.frame, [])
    assert (verdict.metadata["not_assimilated"], verdict.metadata["degraded"]) == (fast.sum(), 0)
    assert verdict.severity == "warning"
    runs = model.model_runs
    again = filtered(spec, model, observations, result)
    assert (model.model_runs, again.kept) == (runs, 72)
    pd.testing.assert_frame_equal(again.frame, result.frame)


def test_a_window_in_which_nothing_met_an_answer_is_refused(spec: TwinSpec, observations: pd.DataFrame) -> None:
    """What was believed before, and drift, is no calibration; one update of a unit is enough to publish again."""
    frame = filtered(spec, FragilePump(lambda wear, _, __: np.ones(len(wear), dtype=bool)), observations).frame
    assert (frame["method"] == "prediction").all()
    verdict = model_answers(spec, frame, [])
    assert verdict.refuses
    assert verdict.description.startswith("Nothing that was measured of pump met an answer of the model.")
    assert "wear=" in verdict.description
    met = frame.copy()
    met.loc[70, ["flow_reason", "pressure_reason"]] = ""
    assert not model_answers(spec, met, []).refuses
    other = pd.concat([frame, met.assign(unit="another")], ignore_index=True)
    assert model_answers(spec, other, []).refuses


def test_whoever_runs_the_model_in_another_way_has_failures_tried_again(
    spec: TwinSpec, make_spec: MakeSpec, observations: pd.DataFrame
) -> None:
    """From the first one on, as if nothing had ever failed; and the state handed on is another one."""
    fast = np.flatnonzero(observations["speed"] > 10.9)
    broken, whole = filtered(spec, FragilePump(when_fast), observations), filtered(spec, PumpModel(), observations)
    mended = filtered(patient(make_spec), PumpModel(), observations, broken)
    assert mended.kept == fast[0]
    pd.testing.assert_frame_equal(mended.frame, whole.frame)
    assert mended.metadata == whole.metadata != broken.metadata
    # Where nothing failed, how the model is run changes nothing.
    assert filtered(patient(make_spec), PumpModel(), observations, whole).kept == 72


@pytest.fixture
def steady(observations: pd.DataFrame) -> pd.DataFrame:
    """A day at one speed, 10, but for some rows at 10.5 and some at 11, with what a worn pump then shows."""
    number, noise = np.arange(72), np.random.default_rng(5).normal(size=(2, 72))
    speed = np.select([number % 13 == 7, number % 11 == 5], [11.0, 10.5], 10.0)
    shown = {"flow": speed * 0.9 + 0.05 * noise[0], "pressure": 2.0 + speed - 1.2 * 1.1 + 0.1 * noise[1]}
    return observations.assign(speed=speed, **shown)


@pytest.mark.parametrize("cut", [1, 8, BLOCK - 1, BLOCK, BLOCK + 3, 60])
def test_what_was_cut_off_is_computed_as_before(spec: TwinSpec, steady: pd.DataFrame, cut: int) -> None:
    """With degraded updates among the others, and rows taken over whose own state is gone: the same, to the bit."""

    def fails(wear: Floats, leak: Floats, speed: float) -> np.ndarray:
        return one_point(wear, leak, speed) if speed == 10.5 else when_fast(wear, leak, speed)

    whole = filtered(spec, FragilePump(fails), steady)
    assert {"ukf", "reused", "prediction"} <= set(whole.frame["method"])
    part = filtered(spec, FragilePump(fails), steady.iloc[:cut])
    stateless = UkfResult(whole.frame.iloc[:cut], {}, 0, 0, 0)
    for before in (part, stateless):
        found = filtered(spec, FragilePump(fails), steady, before)
        assert found.kept == cut
        pd.testing.assert_frame_equal(found.frame, whole.frame)
        assert found.metadata == whole.metadata


def test_what_failed_is_not_tried_again_on_the_way_to_what_is_new(spec: TwinSpec, steady: pd.DataFrame) -> None:
    """It stays as it is told, though the model might answer now: with the table's own state or without it."""
    part = filtered(spec, FragilePump(lambda *at: one_point(*at) & (at[2] == 10.5)), steady.iloc[: BLOCK + 8])
    assert part.frame["failed_runs"].iloc[BLOCK:].any()
    stateless = UkfResult(part.frame, {}, 0, 0, 0)
    found, expected = (filtered(spec, PumpModel(), steady, before) for before in (stateless, part))
    assert found.kept == BLOCK + 8
    pd.testing.assert_frame_equal(found.frame, expected.frame)
    assert found.metadata == expected.metadata


def test_tables_of_before_failures_were_told_are_taken_over(spec: TwinSpec, observations: pd.DataFrame) -> None:
    """They hold none, for then any was an error; the filter goes on after them, and checks read them."""
    whole = filtered(spec, PumpModel(), observations)
    part = filtered(spec, PumpModel(), observations.iloc[:50])
    old = UkfResult(part.frame.drop(columns=["failed_runs", "failures"]), part.metadata, 0, 0, 0)
    assert model_answers(spec, old.frame, []).passed
    continued = filtered(spec, PumpModel(), observations, old)
    assert continued.kept == 50
    pd.testing.assert_frame_equal(continued.frame, whole.frame)


def test_what_cannot_be_predicted_has_no_row_and_is_not_tried_again(
    spec: TwinSpec, make_spec: MakeSpec, observations: pd.DataFrame
) -> None:
    """Other rows are those of a whole pump; the table remembers what it could not say, until it is run otherwise."""
    model, whole = FragilePump(when_fast), PumpModel()
    states = filtered(spec, whole, observations).frame
    fast = (observations["speed"] > 10.9).to_numpy()
    first, expected = predicted(spec, model, states, observations), predicted(spec, whole, states, observations)
    assert (first.unpredicted, first.degraded, len(first.frame)) == (fast.sum(), 0, 72 - fast.sum())
    pd.testing.assert_frame_equal(first.frame, expected.frame[~fast].reset_index(drop=True))
    told = failed_predictions(first.metadata)
    assert len(told) == fast.sum()
    assert told[0].startswith(f"pump at {observations['time'][fast].iloc[0]}: wear=")
    verdict = model_answers(spec, states, told)
    assert (verdict.passed, verdict.refuses, verdict.metadata["failed_predictions"]) == (False, False, fast.sum())
    runs = model.model_runs
    again = predicted(spec, model, states, observations, first)
    assert (model.model_runs, again.computed, again.kept) == (runs, 0, 72)
    pd.testing.assert_frame_equal(again.frame, first.frame)
    assert again.metadata == first.metadata
    otherwise = predicted(patient(make_spec), whole, states, observations, first)
    assert otherwise.computed == fast.sum()
    pd.testing.assert_frame_equal(otherwise.frame, expected.frame)
    assert otherwise.metadata == expected.metadata


def test_predictions_from_what_is_left_are_counted(spec: TwinSpec, observations: pd.DataFrame) -> None:
    """The pump's outputs are quadratic in the coefficients, nearly so in the states: as good as a whole pump's."""
    states = filtered(spec, PumpModel(), observations).frame
    part, whole = (predicted(spec, model, states, observations) for model in (FragilePump(one_point), PumpModel()))
    assert (part.unpredicted, part.degraded, len(failed_predictions(part.metadata))) == (0, 72, 72)
    assert (whole.degraded, failed_predictions(whole.metadata)) == (0, ())
    for name in ("torque", "torque_lower", "torque_upper"):
        np.testing.assert_allclose(part.frame[name], whole.frame[name], rtol=1e-3)


def test_estimated_noise_is_kept_through_failures(make_spec: MakeSpec, steady: pd.DataFrame) -> None:
    """With noise that is estimated, from updates of which one point failed: materialized again, no row is computed."""
    spec = make_spec(measurements=[{"name": "flow", "property": "flow_meter"}, {"name": "pressure"}])
    result = filtered(spec, FragilePump(one_point), steady)
    assert (result.frame["failed_runs"] > 0).any()
    again = filtered(spec, FragilePump(one_point), steady, result)
    assert (again.kept, again.model_runs) == (len(steady), 0)
    assert again.metadata == result.metadata


def test_what_fails_while_kept_rows_are_computed_once_more_changes_nothing(
    spec: TwinSpec, observations: pd.DataFrame
) -> None:
    """Late data in the middle of a block, and a machine that is too busy just then: what follows is as it would be."""
    first = filtered(spec, FragilePump(nowhere), observations)
    late = observations.copy()
    name = spec.measurements[0].name
    late.loc[30, name], late.loc[30, f"{name}_reason"] = np.nan, "missing"
    undisturbed = filtered(spec, FragilePump(nowhere), late, first)
    asked = itertools.count()
    busy = FragilePump(lambda wear, *_: np.full(len(wear), next(asked) < BUSY))
    found = filtered(spec, busy, late, first)
    assert next(asked) > BUSY
    assert list(found.frame["digest"]) == list(undisturbed.frame["digest"])
    for ours, expected in zip(found.frame["state_root"], undisturbed.frame["state_root"], strict=True):
        np.testing.assert_array_equal(ours, expected)
