"""What the checks refuse is not published, and says so; what they pass is published beside it."""

from collections.abc import Callable
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from twin_assets.checks import CHECKS, FRESHNESS, MEASURED_ENOUGH
from twin_assets.spec_file import load_twin
from twin_assets.stages import CALIBRATED_COEFFICIENTS, PUBLISHED, REFUSED, VIRTUAL_SENSORS
from twin_assets.stages.live import pending_windows

DAYS = ("2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04")
Line = Any  # conftest's, which cannot be imported
Record = Callable[[str, str], pd.DataFrame]
MakeLine = Callable[..., Line]


@pytest.fixture
def spoilt(make_line: MakeLine, record: Record) -> Line:
    """Three days, of which the second measured nothing that the model can explain."""
    line = make_line()
    line.write(jumping(record("2026-01-01", "2026-01-04")))
    return line


def jumping(samples: pd.DataFrame) -> pd.DataFrame:
    """The same with speeds that jump by 100 noise_std on the second day."""
    jumps = samples["property"].str.startswith("Roller") & (samples["time"].dt.day == 2)
    sign = np.where(samples["time"].dt.hour % 4 == 0, 1.0, -1.0) * np.where(samples["property"] == "Roller3_w", 1, -1)
    return samples.assign(value=samples["value"] + jumps * sign * 0.1)


def days(published: pd.DataFrame) -> list[str]:
    """The days that hold any published sample."""
    return sorted(set(published["time"].dt.strftime("%Y-%m-%d")))


def failures(result: dg.ExecuteInProcessResult) -> dict[str | None, str]:
    """Step -> what was told."""
    return {
        event.step_key: (event.step_failure_data.user_failure_data or event.step_failure_data.error).__str__()
        for event in result.all_events
        if event.is_step_failure
    }


def materialized(result: dg.ExecuteInProcessResult, stage: str) -> list[str | None]:
    """Partitions of a stage that were reported as materialized, each as often as it was."""
    return [
        e.partition for e in result.get_asset_materialization_events() if e.asset_key == dg.AssetKey(["line", stage])
    ]


def checks(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """Evaluations by the checks' names."""
    return {evaluation.check_name: evaluation for evaluation in result.get_asset_check_evaluations()}


def test_good_windows_are_published_beside_a_bad_one(spoilt: Line) -> None:
    """Two of three days reach the historian; run, check and asset say which one does not, and why."""
    result = spoilt.materialize(DAYS[0], DAYS[2])
    assert not result.success
    assert set(failures(result)) == {"line__published"}
    assert "1 of 3 windows refused" in failures(result)["line__published"]
    assert "2026-01-02: " in failures(result)["line__published"]
    assert materialized(result, PUBLISHED) == [DAYS[0], DAYS[2]]
    assert materialized(result, CALIBRATED_COEFFICIENTS) == list(DAYS[:3])
    evaluation = checks(result)[MEASURED_ENOUGH]
    assert (evaluation.passed, evaluation.blocking, evaluation.severity) == (False, True, dg.AssetCheckSeverity.WARN)
    assert evaluation.description.startswith("2026-01-02: line: ")
    assert "were gated; at most 50% expected" in evaluation.description
    assert set(spoilt.published()["time"].dt.strftime("%Y-%m-%d")) == {DAYS[0], DAYS[2]}


def test_a_refused_window_stays_visible(spoilt: Line) -> None:
    """Its results are computed and kept, and its verdicts beside them."""
    spoilt.materialize(DAYS[0], DAYS[2])
    assert len(spoilt.store.read("line", VIRTUAL_SENSORS, DAYS[1])) == 12
    verdicts = spoilt.store.read("line", REFUSED, DAYS[1]).set_index("name")
    assert not verdicts.loc[MEASURED_ENOUGH, "passed"]
    assert spoilt.store.keys("line", REFUSED) == (DAYS[1],)


def test_nothing_starts_when_all_is_refused(spoilt: Line) -> None:
    """Where every window of the run is refused the check blocks: published does not even start."""
    spoilt.materialize(DAYS[0], DAYS[0])
    before = spoilt.published()
    result = spoilt.materialize(DAYS[1], DAYS[1])
    assert not result.success
    assert set(failures(result)) == {"line__checks"}
    assert checks(result)[MEASURED_ENOUGH].severity == dg.AssetCheckSeverity.ERROR
    assert not any(event.step_key == "line__published" for event in result.all_events if event.is_step_start)
    assert materialized(result, PUBLISHED) == []
    assert spoilt.store.keys("line", REFUSED) == (DAYS[1],)
    pd.testing.assert_frame_equal(spoilt.published(), before)


def test_published_by_hand_refuses_as_well(spoilt: Line) -> None:
    """Materialized alone, without the checks, published asks the same judge."""
    results = ("telemetry", "observations", "ukf_state", CALIBRATED_COEFFICIENTS, VIRTUAL_SENSORS)
    assert spoilt.materialize(DAYS[0], DAYS[2], *results, checks=False).success
    result = spoilt.materialize(DAYS[1], DAYS[1], PUBLISHED, checks=False)
    assert "1 of 1 windows refused" in failures(result)["line__published"]
    assert spoilt.published().empty
    assert spoilt.store.keys("line", PUBLISHED) == ()


def test_a_refusal_is_not_tried_again(spoilt: Line) -> None:
    """Nothing is pending after a refusal, whichever gate refused; a correction of the data makes it so again."""
    for first, last in ((DAYS[0], DAYS[2]), (DAYS[1], DAYS[1])):
        spoilt.materialize(first, last)
        with spoilt.historian() as historian:
            pending = pending_windows(historian, spoilt.store, spoilt.twin.spec, spoilt.grid, spoilt.now)
        assert pending == []


def test_corrected_data_is_published(spoilt: Line, record: Record) -> None:
    """The day that was refused passes once its samples are put right."""
    spoilt.materialize(DAYS[0], DAYS[2])
    spoilt.write(record("2026-01-02", "2026-01-03"))
    result = spoilt.materialize(DAYS[1], DAYS[2])
    assert result.success
    assert all(evaluation.passed for evaluation in checks(result).values())
    assert set(spoilt.published()["time"].dt.strftime("%Y-%m-%d")) == set(DAYS[:3])


@pytest.mark.parametrize("last", [DAYS[1], DAYS[2]])
def test_what_was_published_is_withdrawn_when_it_is_refused(materialized: Line, record: Record, last: str) -> None:
    """Late data spoils a day that was published: its samples leave the historian, and no others.

    Whether that day is alone in the run, which then ends at the checks, or has good days beside it. Put right, it is
    published as if nothing had been.
    """
    line = materialized
    before, measured = line.published(), record("2026-01-01", "2026-01-05")
    line.write(jumping(measured))
    result = line.materialize(DAYS[1], last)
    assert not result.success
    assert ("line__published" in failures(result)) == (last != DAYS[1])
    assert days(line.published()) == [DAYS[0], DAYS[2], DAYS[3]]
    assert line.store.keys("line", PUBLISHED) == (DAYS[0], DAYS[2], DAYS[3])
    with line.historian() as historian:
        names = tuple(measured["property"].unique())
        kept = historian.read(("line",), names, measured["time"].min(), line.now)
    assert len(kept) == len(measured)
    line.write(measured)
    assert line.materialize(DAYS[1], DAYS[3]).success
    pd.testing.assert_frame_equal(line.published(), before)
    assert line.store.keys("line", REFUSED) == ()


def test_other_checks_withdraw_what_they_refuse(make_line: MakeLine, record: Record) -> None:
    """A day that a lenient twin.yaml had let pass leaves the historian when a stricter one is asked."""
    line = make_line({"inputs:": "checks: {max_gated_fraction: 1.0}\ninputs:"})
    line.write(jumping(record("2026-01-01", "2026-01-04")))
    assert line.materialize(DAYS[0], DAYS[2]).success
    assert days(line.published()) == list(DAYS[:3])
    text = line.twin.path.read_text()
    line.twin.path.write_text(text.replace("max_gated_fraction: 1.0", "max_gated_fraction: 0.5"))
    line.twin = load_twin("line", line.twin.path.parents[1])
    assert line.pending() == list(DAYS[:3])
    assert not line.materialize(DAYS[0], DAYS[2]).success
    assert days(line.published()) == [DAYS[0], DAYS[2]]
    assert line.pending() == []


def test_observations_that_move_take_their_results_along(make_line: MakeLine, record: Record) -> None:
    """Without a grid late data moves the beginnings of observations: results stay at no time that no longer exists."""
    line, whole = (make_line({"align: {every: 2h}": "align: {tolerance: 20min}"}) for _ in range(2))
    samples = record("2026-01-01", "2026-01-02")
    early = samples[samples["property"] == "Roller9_w"]
    early = early.assign(time=early["time"] + pd.Timedelta("1h50min"))
    line.write(samples[samples["property"] != "Roller9_w"])
    assert line.materialize(DAYS[0], DAYS[0]).success
    line.write(early)
    assert line.materialize(DAYS[0], DAYS[0]).success
    whole.write(pd.concat([samples[samples["property"] != "Roller9_w"], early]))
    assert whole.materialize(DAYS[0], DAYS[0]).success
    assert "10:00" not in set(line.published()["time"].dt.strftime("%H:%M"))
    pd.testing.assert_frame_equal(line.published(), whole.published())


def test_silence_in_the_live_window_is_refused(make_line: MakeLine, record: Record) -> None:
    """With checks.max_age a live window whose newest observation is too old is held back, and says so."""
    line = make_line({"inputs:": "checks: {max_age: 6h}\ninputs:"})
    line.write(record("2026-01-01", "2026-01-02T12:00"))
    line.now = pd.Timestamp("2026-01-02T20:00", tz="UTC")
    result = line.materialize(DAYS[0], DAYS[1])
    assert not checks(result)[FRESHNESS].passed
    assert checks(result)[FRESHNESS].metadata["age_s"].value == 10 * 3600
    assert materialized(result, PUBLISHED) == [DAYS[0]]


def test_a_stale_window_is_published_when_it_is_over(make_line: MakeLine, record: Record) -> None:
    """Staleness ends with the window: nothing is pending before, then it is judged again and published."""
    line = make_line({"inputs:": "checks: {max_age: 6h}\ninputs:"})
    line.write(record("2026-01-01", "2026-01-02T12:00"))
    line.now = pd.Timestamp("2026-01-02T20:00", tz="UTC")
    assert not line.materialize(DAYS[0], DAYS[1]).success
    assert line.pending() == line.pending() == []
    line.now = pd.Timestamp("2026-01-03T00:00", tz="UTC")
    assert line.pending() == [DAYS[1]]
    result = line.materialize(DAYS[1], DAYS[1])
    assert result.success
    assert materialized(result, PUBLISHED) == [DAYS[1]]
    assert set(line.published()["time"].dt.strftime("%Y-%m-%d")) == set(DAYS[:2])
    assert line.pending() == []


def test_every_check_tells_every_window(finished: tuple[Line, dg.ExecuteInProcessResult]) -> None:
    """All checks are told, each with a verdict a window and the numbers of the newest."""
    _, result = finished
    evaluations = checks(result)
    assert list(evaluations) == list(CHECKS)
    for name, evaluation in evaluations.items():
        assert evaluation.passed
        assert evaluation.asset_key == dg.AssetKey(["line", CHECKS[name][0]])
        assert [record.data["window"] for record in evaluation.metadata["verdicts"].records] == list(DAYS)
    assert "nis_per_dof" in evaluations["innovation_consistency"].metadata


def test_checks_by_hand_judge_what_is_there(materialized: Line) -> None:
    """Started without windows, as the UI does, the checks judge the newest windows with results."""
    definitions = materialized.definitions()
    chosen = dg.define_asset_job("checks_alone", dg.AssetSelection.all_asset_checks())
    job = dg.Definitions.merge(definitions, dg.Definitions(jobs=[chosen])).resolve_job_def("checks_alone")
    evaluations = checks(job.execute_in_process())
    assert len(evaluations) == len(CHECKS)
    for evaluation in evaluations.values():
        assert [record.data["window"] for record in evaluation.metadata["verdicts"].records] == list(DAYS)


def test_a_window_never_made_cannot_be_judged(line: Line) -> None:
    """Published without results names the asset that is to be materialized first."""
    result = line.materialize(DAYS[0], DAYS[0], PUBLISHED, checks=False)
    assert "Materialize 'line/observations' for this window first" in failures(result)["line__published"]
