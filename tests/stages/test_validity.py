"""Whether predictions rest on what was calibrated: judged from rows and ranges, handed on from window to window."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import pandas as pd
import pytest

from twin_assets.model import Attempt, FailedRow, Floats, PredictiveModel
from twin_assets.spec import TwinSpec
from twin_assets.stages.calibrated import Calibrated
from twin_assets.stages.observations import observe
from twin_assets.stages.results import ResultTable, virtual_sensors_table
from twin_assets.stages.states import states_of
from twin_assets.stages.tables import Table
from twin_assets.stages.ukf import UkfResult, assimilate
from twin_assets.stages.validity import NOT_CALIBRATED, RUNS_FAILED, invalid
from twin_assets.windows import WindowGrid

DAYS = ("2026-01-01", "2026-01-02")
Recorded = Callable[..., pd.DataFrame]
MakeSpec = Callable[..., TwinSpec]
MEASURED = ["flow", "pressure"]


class Pump(PredictiveModel, Protocol):
    """The pump of conftest."""

    model_runs: int
    fails_above: float


def day(spec: TwinSpec, recorded: Recorded, key: str) -> pd.DataFrame:
    """Observations of a day; the speed swings between 9 and 11."""
    window = WindowGrid.of(spec).parse(key)
    return observe(spec, ("pump",), window, recorded(window.start, window.end), window.end).frame


def unmeasured(observations: pd.DataFrame, first: int) -> pd.DataFrame:
    """From a row on only inputs are known."""
    found = observations.copy()
    for name in MEASURED:
        found.loc[first:, name] = np.nan
        found.loc[first:, f"{name}_reason"] = "missing"
    return found


def predicted(
    spec: TwinSpec, model: PredictiveModel, observations: pd.DataFrame, previous: UkfResult | None = None
) -> tuple[UkfResult, ResultTable]:
    """Filter and predictions of a window after another one."""
    before = None if previous is None else previous.metadata
    state = assimilate(spec, model, observations, fmu_sha256="f", previous=before)
    return state, virtual_sensors_table(spec, model, state.frame, observations, previous=before)


def test_where_measurements_met_the_model_it_is_calibrated(spec: TwinSpec, model: Pump, recorded: Recorded) -> None:
    """Every row of a day on which everything is measured, the first and each new extreme included."""
    _, table = predicted(spec, model, day(spec, recorded, DAYS[0]))
    assert table.frame["valid"].dtype == bool
    assert table.frame["valid"].all()
    assert (table.frame["why_not"] == "").all()


def test_an_input_beyond_its_range_is_named(spec: TwinSpec, model: Pump, recorded: Recorded) -> None:
    """Where nothing is measured any more, a speed outside what was met, by more than a twentieth of its width."""
    observations = unmeasured(day(spec, recorded, DAYS[0]), 40)
    observations.loc[50, "speed"], observations.loc[51, "speed"] = 14.5, 5.25
    low, high = observations["speed"][:40].min(), observations["speed"][:40].max()
    observations.loc[52, "speed"], observations.loc[53, "speed"] = (
        high + 0.04 * (high - low),
        high + 0.06 * (high - low),
    )
    _, table = predicted(spec, model, observations)
    flagged = table.frame.index[~table.frame["valid"]].tolist()
    assert flagged == [50, 51, 53]
    assert table.frame["why_not"][50] == f"speed = 14.5, calibrated {low:.6g} to {high:.6g}"
    assert table.frame["why_not"][51].startswith("speed = 5.25, calibrated ")


def test_what_was_gated_calibrates_nothing(spec: TwinSpec, model: Pump, recorded: Recorded) -> None:
    """An observation that nothing of was believed does not widen the range."""
    observations = day(spec, recorded, DAYS[0])
    observations.loc[60, "speed"] = 30.0
    state, table = predicted(spec, model, observations)
    assert state.frame["dof"][60] == 0
    assert table.frame.index[~table.frame["valid"]].tolist() == [60]


def test_ranges_are_handed_on(spec: TwinSpec, model: Pump, recorded: Recorded) -> None:
    """The next day without measurements: inside what was met the day before it is valid, outside it is not."""
    first, _ = predicted(spec, model, day(spec, recorded, DAYS[0]))
    observations = unmeasured(day(spec, recorded, DAYS[1]), 0)
    observations.loc[5, "speed"] = 14.5
    second, table = predicted(spec, model, observations, first)
    assert table.frame.index[~table.frame["valid"]].tolist() == [5]
    known = [states_of(result.metadata)["pump"].calibrated for result in (first, second)]
    assert known[0] is not None
    assert known[1] is not None
    assert known[0].ranges == known[1].ranges
    assert known[0].ranges["head"] == (2.0, 2.0)


def test_a_window_without_observations_hands_the_ranges_on(spec: TwinSpec, model: Pump, recorded: Recorded) -> None:
    """As it hands on the states."""
    first, _ = predicted(spec, model, day(spec, recorded, DAYS[0]))
    silent, _ = predicted(spec, model, day(spec, recorded, DAYS[1]).iloc[:0], first)
    assert states_of(silent.metadata)["pump"].calibrated is not None
    assert silent.metadata["states"] == first.metadata["states"]


def test_resumed_windows_say_the_same(spec: TwinSpec, model: Pump, recorded: Recorded) -> None:
    """Ranges after kept and computed rows are those of one go; units know nothing of each other's."""
    observations = pd.concat(
        [day(spec, recorded, DAYS[0]), day(spec, recorded, DAYS[0]).assign(unit="other", speed=20.0)],
        ignore_index=True,
    )
    whole = assimilate(spec, model, observations, fmu_sha256="f")
    part = assimilate(spec, model, observations.iloc[:30], fmu_sha256="f")
    again = assimilate(spec, model, observations, fmu_sha256="f", existing=Table(part.frame, part.metadata))
    assert again.metadata == whole.metadata
    states = states_of(whole.metadata)
    ranges = [states[unit].calibrated.ranges["speed"] for unit in ("pump", "other")]  # type: ignore[union-attr]
    assert ranges[1] == (20.0, 20.0)
    assert ranges[0][0] < 9.1
    assert 10.9 < ranges[0][1] < 11.0


def test_before_anything_is_assimilated_nothing_is_calibrated(spec: TwinSpec, model: Pump, recorded: Recorded) -> None:
    """Until the first measurement predictions are the prior's."""
    observations = day(spec, recorded, DAYS[0])
    observations.loc[:3, MEASURED] = np.nan
    observations.loc[:3, [f"{name}_reason" for name in MEASURED]] = "missing"
    _, table = predicted(spec, model, observations)
    assert table.frame["why_not"].tolist()[:5] == [NOT_CALIBRATED] * 4 + [""]
    assert table.frame["valid"][4:].all()


def test_what_drift_has_undone_is_calibrated_no_more(make_spec: MakeSpec, model: Pump, recorded: Recorded) -> None:
    """Coefficients that wander as far as their prior in four hours: two hours later they are known, five later not."""
    coefficients = [
        {"name": "wear", "initial": 0.1, "initial_std": 0.1, "drift_std_per_sqrt_hour": 0.05},
        {"name": "leak", "initial": 1.0, "initial_std": 0.4, "drift_std_per_sqrt_hour": 0.2},
    ]
    spec = make_spec(coefficients=coefficients)
    _, table = predicted(spec, model, unmeasured(day(spec, recorded, DAYS[0]), 30))
    assert table.frame["valid"][:36].all()
    assert (table.frame["why_not"][45:] == NOT_CALIBRATED).all()


def test_a_state_of_an_earlier_version_knows_no_ranges(spec: TwinSpec, model: Pump, recorded: Recorded) -> None:
    """It flags nothing for its inputs until it has met some itself."""
    first, _ = predicted(spec, model, day(spec, recorded, DAYS[0]))
    text = first.metadata["states"]
    start, end = text.index(', "calibrated"'), text.index("}", text.index('"calibrated"')) + 1
    old = UkfResult(first.frame, {**first.metadata, "states": text[:start] + text[end:]}, 0, 0, 0)
    assert states_of(old.metadata)["pump"].calibrated is None
    observations = unmeasured(day(spec, recorded, DAYS[1]), 0)
    observations.loc[5, "speed"] = 14.5
    _, table = predicted(spec, model, observations, old)
    assert table.frame["valid"].all()


def test_other_inputs_are_not_judged_by_ranges_of_before() -> None:
    """Ranges go by name: a new input starts without one, a removed one is dropped."""
    known = Calibrated(("a", "b"), np.array([0.0, 1.0]), np.array([2.0, 3.0]))
    found = Calibrated.before(("b", "c"), known)
    assert found.ranges == {"b": (1.0, 3.0)}
    after = found.after(np.array([[4.0, np.nan], [9.0, 9.0]]), np.array([True, False]))
    assert after.ranges == {"b": (1.0, 4.0)}


class Fragile:
    """The pump where it can tell of rows that fail: where the leak is above a limit."""

    coefficients, inputs, outputs = ("wear", "leak"), ("speed", "head"), ("flow", "pressure", "torque")

    def __init__(self, model: PredictiveModel) -> None:
        self._model, self.fails_above = model, np.inf

    def evaluate(self, coefficients: Floats, inputs: Floats) -> Floats:
        """See PredictiveModel."""
        return self._model.evaluate(coefficients, inputs)

    def attempt(self, coefficients: Floats, inputs: Floats) -> Attempt:
        """See TolerantModel."""
        bad = np.flatnonzero(coefficients[:, 1] > self.fails_above).tolist()
        outputs = self.evaluate(coefficients, inputs)
        outputs[bad] = np.nan
        return Attempt(outputs, tuple(FailedRow(row, {}, "seized") for row in bad))


def test_failed_runs_are_a_reason(spec: TwinSpec, model: Pump, recorded: Recorded) -> None:
    """Of the rows that were predicted from what was left, also where they are kept."""
    observations, fragile = day(spec, recorded, DAYS[0]), Fragile(model)
    state = assimilate(spec, fragile, observations, fmu_sha256="f").frame
    last = state["state_mean"].iloc[-1][1]
    fragile.fails_above = float(last) + 1e-9
    table = virtual_sensors_table(spec, fragile, state, observations)
    failed = table.frame["why_not"] == RUNS_FAILED
    assert 0 < failed.sum() == table.degraded
    assert (table.frame["valid"] == ~failed).all()
    kept = virtual_sensors_table(spec, fragile, state, observations, existing=Table(table.frame, table.metadata))
    assert kept.computed == 0
    pd.testing.assert_frame_equal(kept.frame, table.frame)


@pytest.mark.parametrize("flags", [None, [np.nan, True, True]])
def test_tables_without_the_flag_are_not_flagged(flags: list[object] | None) -> None:
    """A table of an earlier version, alone or read together with newer ones."""
    frame = pd.DataFrame({"time": range(3)}) if flags is None else pd.DataFrame({"valid": flags})
    assert not invalid(frame).any()


def test_a_constant_that_was_changed_is_told(
    make_spec: MakeSpec, spec: TwinSpec, model: Pump, recorded: Recorded
) -> None:
    """A head of 3 where 2 was calibrated, until something is assimilated under it."""
    first, _ = predicted(spec, model, day(spec, recorded, DAYS[0]))
    other = make_spec(inputs=[{"name": "speed", "property": "drive_speed"}, {"name": "head", "constant": 3.0}])
    observations = unmeasured(day(other, recorded, DAYS[1]), 0)
    _, table = predicted(other, model, observations, first)
    assert (table.frame["why_not"] == "head = 3, calibrated 2 to 2").all()
