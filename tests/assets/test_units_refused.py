"""Two lines under one twin, through Dagster: what is wrong with one of them is its own."""

from collections.abc import Callable
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from twin_assets.checks import FRESHNESS, MEASURED_ENOUGH, MODEL_ANSWERS
from twin_assets.running import run_windows
from twin_assets.stages import PUBLISHED, REFUSED, UKF_STATE, VIRTUAL_SENSORS
from twin_assets.stages.publish import published_properties

DAYS = ("2026-01-01", "2026-01-02")
Line = Any  # conftest's, which cannot be imported
Record = Callable[[str, str], pd.DataFrame]
MakeLine = Callable[..., Line]


@pytest.fixture
def pair(make_line: MakeLine) -> Line:
    """A twin of two lines, nothing measured yet."""
    return make_line({"start: 2026-01-01": "start: 2026-01-01\nunits: [line, second]"})


def measured(record: Record, *, end: str = "2026-01-03", unit: str = "second") -> pd.DataFrame:
    """Telemetry of one of them."""
    return record("2026-01-01", end).assign(unit=unit)


def jumping(samples: pd.DataFrame) -> pd.DataFrame:
    """The same with speeds that jump by 100 noise_std on the second day."""
    jumps = samples["property"].str.startswith("Roller") & (samples["time"].dt.day == 2)
    sign = np.where(samples["time"].dt.hour % 4 == 0, 1.0, -1.0) * np.where(samples["property"] == "Roller3_w", 1, -1)
    return samples.assign(value=samples["value"] + jumps * sign * 0.1)


def published(line: Line) -> dict[str, list[str]]:
    """Unit -> the days of which anything is published."""
    names = tuple(sorted(published_properties(line.twin.spec).values()))
    since, until = (pd.Timestamp(f"{year}-01-01", tz="UTC") for year in (2020, 2030))
    with line.historian() as historian:
        found = historian.read(("line", "second"), names, since, until)
    days = found["time"].dt.strftime("%Y-%m-%d").groupby(found["unit"])
    return {str(unit): sorted(set(rows)) for unit, rows in days}


def checks(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """Evaluations by the checks' names."""
    return {evaluation.check_name: evaluation for evaluation in result.get_asset_check_evaluations()}


def told(result: dg.ExecuteInProcessResult, stage: str, day: str) -> dict[str, Any]:
    """What a window's materialization says."""
    for event in result.get_asset_materialization_events():
        if event.asset_key == dg.AssetKey(["line", stage]) and event.partition == day:
            return {
                name: value.value for name, value in event.step_materialization_data.materialization.metadata.items()
            }
    raise AssertionError(stage)


def test_a_bad_sensor_is_its_unit_s_trouble(pair: Line, record: Record) -> None:
    """The other is published, the check names the one, the run succeeds and shows it; put right, it is published."""
    pair.write(pd.concat([measured(record, unit="line"), jumping(measured(record))]))
    result = pair.materialize(*DAYS)
    assert result.success
    assert published(pair) == {"line": list(DAYS), "second": [DAYS[0]]}
    evaluation = checks(result)[MEASURED_ENOUGH]
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert evaluation.description.startswith("2026-01-02: second: ")
    records = [record.data for record in evaluation.metadata["verdicts"].records]
    assert [(one["window"], one["verdict"], one["units"]) for one in records] == [
        (DAYS[0], "holds", ""),
        (DAYS[1], "units refused", "second"),
    ]
    said = told(result, PUBLISHED, DAYS[1])
    assert said["refused_units"] == "second"
    assert "measured_enough: second: " in said["refused_because"]
    assert "refused_units" not in told(result, PUBLISHED, DAYS[0])
    assert pair.store.keys("line", REFUSED) == (DAYS[1],)
    assert pair.pending() == []
    pair.write(measured(record))
    assert pair.pending() == [DAYS[1]]
    assert pair.materialize(DAYS[1], DAYS[1]).success
    assert published(pair) == {"line": list(DAYS), "second": list(DAYS)}
    assert pair.store.keys("line", REFUSED) == ()


def test_what_a_refused_unit_had_published_is_withdrawn(pair: Line, record: Record) -> None:
    """And only that; where both are refused the window is, as ever."""
    pair.write(pd.concat([measured(record, unit="line"), measured(record)]))
    assert pair.materialize(*DAYS).success
    assert published(pair) == {"line": list(DAYS), "second": list(DAYS)}
    pair.write(jumping(measured(record)))
    assert pair.materialize(DAYS[1], DAYS[1]).success
    assert published(pair) == {"line": list(DAYS), "second": [DAYS[0]]}
    pair.write(jumping(measured(record, unit="line")))
    assert not pair.materialize(DAYS[1], DAYS[1]).success
    assert published(pair) == {"line": [DAYS[0]], "second": [DAYS[0]]}
    assert pair.store.keys("line", PUBLISHED) == (DAYS[0],)


def test_a_unit_that_fails_is_named_and_goes_on_where_it_stopped(pair: Line, record: Record) -> None:
    """Its rows up to there stay in the tables, the other is published; the next run has the rest, and nothing twice."""
    bad = measured(record)
    evening = (bad["property"] == "line_speed") & (bad["time"] == pd.Timestamp("2026-01-02T18:00", tz="UTC"))
    pair.write(pd.concat([measured(record, unit="line"), bad.assign(value=bad["value"].where(~evening, 2.0))]))
    pair.model.fails_at_speed = 1.5
    result = pair.materialize(*DAYS)
    assert result.success
    assert published(pair) == {"line": list(DAYS), "second": [DAYS[0]]}
    description = checks(result)[MODEL_ANSWERS].description
    assert "second at 2026-01-02 18:00:00+00:00: the web broke" in description
    assert told(result, UKF_STATE, DAYS[1])["failed_units"] == 1
    assert "second at 2026-01-02 18:00" in told(result, UKF_STATE, DAYS[1])["failed_because"]
    rows = pair.store.read("line", UKF_STATE, DAYS[1]).groupby("unit").size().to_dict()
    assert rows == {"line": 12, "second": 9}
    assert len(pair.store.read("line", VIRTUAL_SENSORS, DAYS[1])) == 21
    assert pair.pending() == [DAYS[1]]
    pair.model.fails_at_speed = np.inf
    runs = pair.model.model_runs
    result = pair.materialize(DAYS[1], DAYS[1])
    assert told(result, UKF_STATE, DAYS[1])["assimilated_now"] == 3
    assert pair.model.model_runs > runs
    assert "failed_units" not in told(result, UKF_STATE, DAYS[1])
    assert pair.pending() == []


def test_a_unit_that_fails_for_good_is_left_at_that(pair: Line, record: Record) -> None:
    """After some tries its window is not due any longer; whoever materializes it tries again."""
    bad = measured(record)
    pair.write(pd.concat([measured(record, unit="line"), bad.assign(value=bad["value"] * 2)]))
    pair.model.fails_at_speed = 1.5
    pair.materialize(*DAYS)
    assert pair.pending() == list(DAYS)
    pair.materialize(*DAYS)
    pair.materialize(*DAYS)
    assert pair.pending() == []
    assert published(pair) == {"line": list(DAYS)}
    pair.model.fails_at_speed = np.inf
    pair.write(measured(record))
    assert pair.materialize(*DAYS).success
    assert published(pair) == {"line": list(DAYS), "second": list(DAYS)}


def test_silence_of_one_unit_holds_back_that_one(make_line: MakeLine, record: Record) -> None:
    """With checks.max_age: what it published while it was fresh stays, and it is judged again when the window is over.

    A unit of which nothing was ever measured is named, too.
    """
    units = "start: 2026-01-01\nunits: [line, second, third]\nchecks: {max_age: 6h}"
    line = make_line({"start: 2026-01-01": units})
    line.write(measured(record, end="2026-01-02T10:00"))
    line.write(measured(record, end="2026-01-02T10:00", unit="line"))
    line.now = pd.Timestamp("2026-01-02T10:30", tz="UTC")
    result = line.materialize(*DAYS)
    assert result.success
    assert checks(result)[FRESHNESS].description.startswith("2026-01-02: third: nothing since the window's start,")
    fresh = published(line)
    assert fresh == {"line": list(DAYS), "second": list(DAYS)}
    line.now = pd.Timestamp("2026-01-02T20:00", tz="UTC")
    line.write(measured(record, end="2026-01-02T20:00", unit="line"))
    result = line.materialize(DAYS[1], DAYS[1])
    assert result.success
    assert "The same holds of second." in checks(result)[FRESHNESS].description
    assert published(line) == fresh
    assert line.pending() == []
    late = measured(record, end="2026-01-02T12:00")
    line.now = pd.Timestamp("2026-01-02T22:00", tz="UTC")
    line.write(late[late["time"] >= pd.Timestamp("2026-01-02T10:00", tz="UTC")])
    assert line.materialize(DAYS[1], DAYS[1]).success
    assert published(line) == {"line": list(DAYS), "second": [DAYS[0]]}
    assert line.pending() == []
    line.now = pd.Timestamp("2026-01-03T00:00", tz="UTC")
    assert line.pending() == [DAYS[1]]
    assert line.materialize(DAYS[1], DAYS[1]).success
    assert published(line) == {"line": list(DAYS), "second": list(DAYS)}
    assert line.store.keys("line", REFUSED) == ()


def test_who_was_silent_before_all_were_is_published_when_the_window_is_over(
    make_line: MakeLine, record: Record
) -> None:
    """One unit is held back, then the other falls silent, too: what was published stays, what was held back comes."""
    line = make_line({"start: 2026-01-01": "start: 2026-01-01\nunits: [line, second]\nchecks: {max_age: 6h}"})
    line.write(measured(record, end="2026-01-02T03:00"))
    line.write(measured(record, end="2026-01-02T10:00", unit="line"))
    line.now = pd.Timestamp("2026-01-02T10:30", tz="UTC")
    assert line.materialize(*DAYS).success
    held_back = {"line": list(DAYS), "second": [DAYS[0]]}
    assert published(line) == held_back
    line.now = pd.Timestamp("2026-01-02T20:00", tz="UTC")
    assert not line.materialize(DAYS[1], DAYS[1]).success
    assert published(line) == held_back
    assert line.pending() == []
    line.now = pd.Timestamp("2026-01-03T00:00", tz="UTC")
    assert line.pending() == [DAYS[1]]
    assert line.materialize(DAYS[1], DAYS[1]).success
    assert published(line) == {"line": list(DAYS), "second": list(DAYS)}
    assert line.pending() == []


def test_the_command_s_run_tells_of_refused_units(pair: Line, record: Record) -> None:
    """No window is refused, and not everything is published: the summary says whose is not, and why."""
    pair.write(pd.concat([measured(record, unit="line"), jumping(measured(record))]))
    windows = [pair.grid.parse(day) for day in DAYS]
    summary = run_windows(pair.twin, pair.home, windows, clock=lambda: pair.now, opener=pair.opener, pictures=False)
    assert (summary.success, summary.refused) == (False, {})
    assert list(summary.refused_units) == [DAYS[1]]
    assert "measured_enough: second: " in summary.refused_units[DAYS[1]]
