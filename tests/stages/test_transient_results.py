"""Virtual sensors of a process that never rests: at the same times, from the same recent past as the filter."""

import numpy as np
import pandas as pd
import pytest

from tests.stages.moving import Swing, recorded, spec_of
from twin_assets.model import InputPath
from twin_assets.stages import replay
from twin_assets.stages.results import virtual_sensors_table
from twin_assets.stages.tables import Table
from twin_assets.stages.ukf import UkfResult, assimilate

TRUTH = np.array([2.1, 3.05])


def filtered(count: int = 130, *, cut: int = 0) -> tuple[UkfResult | None, UkfResult]:
    """The filter's tables of one window, and of the one before where the telemetry is cut."""
    observations = recorded(TRUTH, count, 3, lead=100)
    first = assimilate(spec_of(), Swing(), observations.iloc[:cut], fmu_sha256="f") if cut else None
    previous = first.metadata if first else None
    return first, assimilate(spec_of(), Swing(), observations.iloc[cut:], fmu_sha256="f", previous=previous)


def test_a_speed_that_nobody_measures_is_predicted_through_the_transient() -> None:
    """It holds the truth as its interval says, and moves as the truth does; where the past is unknown there is none."""
    observations, (_, result) = recorded(TRUTH, 130, 3, lead=100), filtered()
    table = virtual_sensors_table(spec_of(), Swing(), result.frame, observations).frame
    assert len(table) == 50
    assert table["time"].tolist() == observations["time"].iloc[80:].tolist()
    times_s = np.arange(130.0) * 0.5
    path = InputPath(times_s, observations[["force"]].to_numpy(), np.arange(80, 130), np.array([True]))
    # From rest 40 s ago: what the swing began with has died out by now.
    speed = Swing().follow(TRUTH[np.newaxis], path)[0, :, 1]
    assert np.ptp(speed) > 20 * table["speed_std"].iloc[-1]
    inside = (table["speed_lower"] - 1e-3 <= speed) & (speed <= table["speed_upper"] + 1e-3)
    assert inside.mean() >= 0.8
    assert np.abs(table["speed"] - speed).iloc[20:].max() < 0.05


def test_inputs_are_exact_and_judged_in_transient_mode_too() -> None:
    """Nothing of the uncertainty is theirs; a force beyond all that was met, with nothing measured then, is told."""
    observations = recorded(TRUTH, 130, 3, lead=100)
    measured = [name for name in observations.columns if f"{name}_reason" in observations and name != "force"]
    observations.loc[observations.index[-1], measured] = np.nan
    observations.loc[observations.index[-1], [f"{name}_reason" for name in measured]] = "missing"
    observations.loc[observations.index[-1], "force"] = 1e3
    result = assimilate(spec_of(), Swing(), observations, fmu_sha256="f")
    table = virtual_sensors_table(spec_of(), Swing(), result.frame, observations).frame
    assert (table["speed_std_inputs"] == 0.0).all()
    np.testing.assert_array_equal(table["speed_std_coefficients"], table["speed_std"])
    assert table["valid"].tolist() == [True] * 49 + [False]
    assert table["why_not"].iloc[-1].startswith("force = 1000")


def test_the_past_before_a_window_is_that_of_the_filter() -> None:
    """A window that begins amid the movement has predictions from its first observation on."""
    first, second = filtered(cut=100)
    assert first is not None
    observations = recorded(TRUTH, 130, 3, lead=100)
    rows = {
        name: virtual_sensors_table(spec_of(), Swing(), second.frame, observations.iloc[100:], previous=previous).frame
        for name, previous in (("handed on", first.metadata), ("lost", None))
    }
    assert {name: len(table) for name, table in rows.items()} == {"handed on": 30, "lost": 0}
    whole = virtual_sensors_table(spec_of(), Swing(), filtered()[1].frame, observations).frame
    np.testing.assert_allclose(rows["handed on"]["speed"], whole["speed"].iloc[20:], atol=0.01)


def test_a_prediction_in_the_middle_of_a_window_is_kept() -> None:
    """What was predicted from the same posteriors is not computed again."""
    observations, (_, result) = recorded(TRUTH, 130, 3, lead=100), filtered()
    model = Swing()
    done = virtual_sensors_table(spec_of(), model, result.frame, observations)
    assert (done.kept, done.computed) == (0, 50)
    model = Swing()
    again = virtual_sensors_table(
        spec_of(), model, result.frame, observations, existing=Table(done.frame, done.metadata)
    )
    assert (again.kept, again.computed, model.model_runs) == (50, 0, 0)


def test_many_rows_look_from_the_same_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """A way through the memory serves up to 36 rows; what comes of it is what a way for every row says."""
    # Longer than need be: a way to many rows begins earlier than one's own.
    spec, observations = spec_of(model={"memory_s": 60.0}), recorded(TRUTH, 240, 3, lead=100)
    result = assimilate(spec, Swing(), observations, fmu_sha256="f")
    model, alone = Swing(), Swing()
    table = virtual_sensors_table(spec, model, result.frame, observations).frame
    monkeypatch.setattr(replay, "READS", 1)
    each = virtual_sensors_table(spec, alone, result.frame, observations).frame
    assert alone.intervals == 120 * 5 * 120
    assert model.intervals * 10 < alone.intervals
    for name in ("position_predicted", "speed"):
        typical = each[f"{name}_std"].rolling(12, min_periods=1, center=True).max()
        for column in (name, f"{name}_std", f"{name}_lower", f"{name}_upper"):
            assert (np.abs(table[column] - each[column]) / typical).max() < 0.05, column


@pytest.mark.parametrize("cut", [81, 95, 121])
def test_later_rows_change_nothing_of_what_was_predicted(cut: int) -> None:
    """Wherever a window was cut, the rows are the same to the bit as if it never had been."""
    observations, (_, result) = recorded(TRUTH, 130, 3, lead=100), filtered()
    whole = virtual_sensors_table(spec_of(), Swing(), result.frame, observations)
    first = virtual_sensors_table(spec_of(), Swing(), result.frame.iloc[:cut], observations.iloc[:cut])
    found = Table(first.frame, first.metadata)
    second = virtual_sensors_table(spec_of(), Swing(), result.frame, observations, existing=found)
    assert (second.kept, second.computed) == (cut - 80, 130 - cut)
    pd.testing.assert_frame_equal(second.frame, whole.frame, check_exact=True)


def test_nothing_is_predicted_of_an_empty_window() -> None:
    """No observations, no rows."""
    observations = recorded(TRUTH, 130, 3).iloc[:0]
    result = assimilate(spec_of(), Swing(), observations, fmu_sha256="f")
    assert virtual_sensors_table(spec_of(), Swing(), result.frame, observations).frame.empty
