"""Virtual sensors of a process that never rests: at the same times, from the same recent past as the filter."""

import numpy as np

from tests.stages.moving import Swing, recorded, spec_of
from twin_assets.model import InputPath
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
    assert (done.kept, done.computed, model.model_runs) == (0, 50, 250)
    again = virtual_sensors_table(
        spec_of(), model, result.frame, observations, existing=Table(done.frame, done.metadata)
    )
    assert (again.kept, again.computed, model.model_runs) == (50, 0, 250)


def test_nothing_is_predicted_of_an_empty_window() -> None:
    """No observations, no rows."""
    observations = recorded(TRUTH, 130, 3).iloc[:0]
    result = assimilate(spec_of(), Swing(), observations, fmu_sha256="f")
    assert virtual_sensors_table(spec_of(), Swing(), result.frame, observations).frame.empty
