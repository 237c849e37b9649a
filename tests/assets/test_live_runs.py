"""What starts a run: the schedule and the sensor, asked as the daemon asks them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from twin_assets.automation import build_schedules, build_sensor, job_name
from twin_assets.resources import turns_folder
from twin_assets.turns import Turns

STAGES = ("telemetry", "observations", "ukf_state", "calibrated_coefficients", "virtual_sensors", "published")
Line = Any  # conftest's, which cannot be imported
Record = Callable[[str, str], pd.DataFrame]


def tick(line: Line, instance: dg.DagsterInstance) -> dg.RunRequest | str:
    """What the schedule asks for, or why it skips."""
    repository = line.definitions().get_repository_def()
    schedule = repository.get_schedule_def("line_schedule")
    with dg.build_schedule_context(instance, repository_def=repository, resources=resources(line)) as context:
        return told(schedule.evaluate_tick(context))


def look(line: Line, instance: dg.DagsterInstance) -> dg.RunRequest | str:
    """What the sensor asks for, or why it skips."""
    repository = line.definitions().get_repository_def()
    sensor = repository.get_sensor_def("line_new_telemetry")
    with dg.build_sensor_context(
        instance=instance, repository_def=repository, resources=resources(line), sensor_name=sensor.name
    ) as context:
        return told(sensor.evaluate_tick(context))


def resources(line: Line) -> dict[str, Any]:
    """What schedules and sensors ask for."""
    found = line.definitions().resources or {}
    return {name: found[name] for name in ("historian", "bench")}


def told(data: Any) -> dg.RunRequest | str:  # noqa: ANN401 - of a schedule or of a sensor
    """The one request, or the reason for none."""
    if data.run_requests:
        (request,) = data.run_requests
        assert isinstance(request, dg.RunRequest)
        return request
    return str(data.skip_message)


def windows(request: dg.RunRequest | str) -> tuple[str, str]:
    """First and last window that are asked for."""
    assert isinstance(request, dg.RunRequest), request
    return (
        request.tags["dagster/asset_partition_range_start"],
        request.tags["dagster/asset_partition_range_end"],
    )


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance in a folder: a schedule's context takes no other."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as local:
        yield local


def test_an_outage_is_made_up_for(line: Line, record: Record, instance: dg.DagsterInstance) -> None:
    """After two days without a run the next tick asks for all windows from the watermark's to the open one."""
    line.materialize("2026-01-01", "2026-01-02")
    line.now = pd.Timestamp("2026-01-05T09:30", tz="UTC")
    line.write(record("2026-01-05T00:00", "2026-01-05T09:00"))
    assert windows(tick(line, instance)) == ("2026-01-02", "2026-01-05")


def test_a_tick_without_news_is_skipped(materialized: Line, instance: dg.DagsterInstance) -> None:
    """What is up to date is not run again."""
    assert "Nothing new" in str(tick(materialized, instance))


def test_silence_is_news_to_who_asked_for_freshness(
    make_line: Callable[..., Line], record: Record, instance: dg.DagsterInstance
) -> None:
    """With checks.max_age the tick runs although nothing came: that is what is to be noticed."""
    line = make_line({"inputs:": "checks: {max_age: 6h}\ninputs:"})
    assert "no telemetry yet" in str(tick(line, instance))
    line.write(record("2026-01-01", "2026-01-02"))
    line.now = pd.Timestamp("2026-01-02T20:00", tz="UTC")
    line.materialize("2026-01-01", "2026-01-01")
    assert windows(tick(line, instance)) == ("2026-01-01", "2026-01-02")


def test_new_telemetry_starts_a_run(line: Line, instance: dg.DagsterInstance) -> None:
    """New samples ask for their windows."""
    assert windows(look(line, instance)) == ("2026-01-01", "2026-01-04")


def test_late_telemetry_starts_a_run(materialized: Line, record: Record, instance: dg.DagsterInstance) -> None:
    """Nothing asks for nothing; late or corrected samples for their window and all after it."""
    assert "Nothing new" in str(look(materialized, instance))
    late = record("2026-01-02T06:00", "2026-01-02T08:00")
    materialized.write(late.assign(value=late["value"] + 1e-4))
    assert windows(look(materialized, instance)) == ("2026-01-02", "2026-01-04")


def test_the_same_news_has_the_same_key(line: Line, record: Record, instance: dg.DagsterInstance) -> None:
    """Looking twice asks for the same run, so a failed one is not started for ever; more samples ask for another."""
    first, second = look(line, instance), look(line, instance)
    assert isinstance(first, dg.RunRequest)
    assert isinstance(second, dg.RunRequest)
    assert first.run_key == second.run_key
    line.now = pd.Timestamp("2026-01-05T09:30", tz="UTC")
    line.write(record("2026-01-05T00:00", "2026-01-05T02:00"))
    third = look(line, instance)
    assert isinstance(third, dg.RunRequest)
    assert third.run_key != first.run_key


def test_another_fmu_is_other_news(own_fmu: Line, record: Record, instance: dg.DagsterInstance) -> None:
    """Each time the FMU is replaced a run is asked for under another key, though no sample has arrived in between."""
    line = own_fmu
    line.write(record("2026-01-01", "2026-01-02"))
    line.materialize("2026-01-01", "2026-01-01")
    assert "Nothing new" in str(look(line, instance))
    keys = []
    for build in ("second", "third"):
        line.replace_fmu(build)
        request = look(line, instance)
        assert windows(request) == ("2026-01-01", "2026-01-01")
        assert isinstance(request, dg.RunRequest)
        keys.append(request.run_key)
        line.materialize("2026-01-01", "2026-01-01")
    assert keys[0] != keys[1]


def test_time_that_passed_is_news(line: Line, record: Record, instance: dg.DagsterInstance) -> None:
    """An observation that was still open at the last run asks for another when it is complete, without new samples."""
    line.now = pd.Timestamp("2026-01-05T03:00", tz="UTC")
    line.write(record("2026-01-05T00:00", "2026-01-05T03:00"))
    before = look(line, instance)
    assert isinstance(before, dg.RunRequest)
    line.materialize("2026-01-01", "2026-01-05")
    assert "Nothing new" in str(look(line, instance))
    line.now = pd.Timestamp("2026-01-05T04:00", tz="UTC")
    after = look(line, instance)
    assert windows(after) == ("2026-01-05", "2026-01-05")
    assert isinstance(after, dg.RunRequest)
    assert after.run_key != before.run_key


def test_the_end_of_a_stale_window_is_news(
    make_line: Callable[..., Line], record: Record, instance: dg.DagsterInstance
) -> None:
    """A window refused for staleness asks for a run when it is over, under a key of its own.

    The run that refused it may have been asked for with the same samples and observations, as after a change of checks.
    """
    line = make_line({"inputs:": "checks: {max_age: 6h}\ninputs:"})
    line.write(record("2026-01-01", "2026-01-01T10:00"))
    line.now = pd.Timestamp("2026-01-01T20:00", tz="UTC")
    line.materialize("2026-01-01", "2026-01-01", *STAGES[:-1], checks=False)
    before = look(line, instance)
    assert isinstance(before, dg.RunRequest)
    line.materialize("2026-01-01", "2026-01-01")
    assert "Nothing new" in str(look(line, instance))
    line.now = pd.Timestamp("2026-01-02T00:00", tz="UTC")
    after = look(line, instance)
    assert windows(after) == ("2026-01-01", "2026-01-01")
    assert isinstance(after, dg.RunRequest)
    assert after.run_key != before.run_key


def test_nothing_starts_while_a_run_is_at_work(line: Line, instance: dg.DagsterInstance) -> None:
    """Sensor and schedule leave alone what a run works on, whoever started it."""
    with Turns(turns_folder(line.home), print) as turns:
        turns.take("line")
        assert "at work" in str(look(line, instance))
        assert "at work" in str(tick(line, instance))
    assert windows(look(line, instance)) == ("2026-01-01", "2026-01-04")


def test_nothing_starts_while_a_run_is_on_its_way(line: Line, instance: dg.DagsterInstance) -> None:
    """Nor while a run of the job is on its way to its first step."""
    job = line.definitions().resolve_job_def(job_name(line.twin.spec))
    instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTING)
    assert "at work" in str(look(line, instance))
    assert "at work" in str(tick(line, instance))


def test_both_are_built_for_the_job(line: Line) -> None:
    """Schedule and sensor start the twin's job."""
    (schedule,) = build_schedules(line.twin)
    assert (schedule.job_name, build_sensor(line.twin).job_name) == ("line_live", "line_live")
