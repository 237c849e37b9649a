"""Partitions, jobs, schedules and sensors: which windows there are, and what starts a run.

Both kinds of start are on by default: a twin that is shown in Dagster lives. Where nothing is new they skip, so an idle
home has no runs; who wants a twin quiet stops them in the UI, and Dagster remembers.
"""

import hashlib
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg

from twin_assets.historian import Historian
from twin_assets.home import Home, home_from
from twin_assets.resources import Workbench, turns_folder
from twin_assets.shards import ShardSpec, parts_of, whole_name
from twin_assets.simulation import fmu_sha256
from twin_assets.spec import TwinSpec
from twin_assets.spec_file import Twin
from twin_assets.stages import FLEET, OBSERVATIONS, REFUSED, SMOOTHED_COEFFICIENTS
from twin_assets.stages.fleet import stale_windows
from twin_assets.stages.lineage import MADE_FROM, made_from
from twin_assets.stages.live import live_windows, new_windows, pending_windows
from twin_assets.stages.telemetry import channel_properties, resolve_units
from twin_assets.stages.unit_record import follow_units
from twin_assets.store import CONTENT
from twin_assets.turns import is_taken
from twin_assets.windows import Window, WindowGrid

RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"
TWIN_TAG = "twin"
SHARD_TAG = "twin/shard"

BUSY = "A run of this twin is at work; what has arrived is looked at after it."
NOTHING_NEW = "Nothing new: all that the historian holds has gone through."
SENSOR_INTERVAL_S = 30
# A shard's backfill of older windows asks for the comparison to be made by hand, or by 'twin run'.
FLEET_WINDOWS_WATCHED = 31
# On its way to the first step a run holds no turn yet. One that has been on its way for longer died there.
SOON = timedelta(minutes=10)
ON_THE_WAY = [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING]


def partitions_of(spec: TwinSpec) -> dg.TimeWindowPartitionsDefinition:
    """The twin's windows as partitions, with the same keys; the one that is still open is there too."""
    grid = WindowGrid.of(spec)
    return dg.TimeWindowPartitionsDefinition(
        start=grid.start.to_pydatetime(),
        fmt=grid.key_format,
        cron_schedule=grid.cron,
        timezone="UTC",
        end_offset=1,
    )


def job_name(spec: TwinSpec) -> str:
    """The job that materializes all of a twin."""
    return f"{spec.name}_live"


def build_job(twin: Twin) -> "dg.UnresolvedAssetJobDefinition":
    """All assets and checks of a twin, over one window or a range of them."""
    return dg.define_asset_job(
        job_name(twin.spec),
        selection=dg.AssetSelection.groups(twin.spec.name),
        description=f"{twin.spec.label}: from telemetry to published results, over a range of windows.",
        run_tags=run_tags(twin.spec),
    )


def run_tags(spec: TwinSpec) -> dict[str, str]:
    """Tags of every run: the twin and, of a shard, which one: what ``tag_concurrency_limits`` go by."""
    shard = {SHARD_TAG: spec.tag} if isinstance(spec, ShardSpec) else {}
    return {TWIN_TAG: whole_name(spec), **shard}


def range_tags(windows: Sequence[Window]) -> dict[str, str]:
    """Tags that make a run cover some windows, from the first to the last."""
    return {RANGE_START_TAG: windows[0].key, RANGE_END_TAG: windows[-1].key}


def build_schedules(twin: Twin, home: Home | None = None) -> list[dg.ScheduleDefinition]:
    """The live run at the times of ``schedule``; none without it.

    A tick is skipped while a run of the twin is at work or on its way: the next one covers it. So is one at which
    nothing is new, unless the twin watches freshness (``checks.max_age``): silence is then what the run is to notice.
    """
    spec, grid = twin.spec, WindowGrid.of(twin.spec)
    if spec.schedule is None:
        return []

    @dg.schedule(
        name=f"{spec.name}_schedule",
        job_name=job_name(spec),
        cron_schedule=spec.schedule,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Brings results up to date, from the last window with news to the one that is open now.",
    )
    def schedule(
        context: dg.ScheduleEvaluationContext,
        historian: dg.ResourceParam[Historian],
        bench: dg.ResourceParam[Workbench],
    ) -> dg.RunRequest | dg.SkipReason:
        if _is_busy(context.instance, spec, home):
            return dg.SkipReason(BUSY)
        arguments = (historian, bench.store, spec, grid, bench.now, fmu_sha256(twin.fmu_path))
        if spec.checks.max_age is None and not pending_windows(*arguments):
            return dg.SkipReason(NOTHING_NEW)
        windows = live_windows(*arguments)
        if not windows:
            return dg.SkipReason("There is no telemetry yet: 'twin ingest' brings some.")
        return dg.RunRequest(tags=range_tags(windows))

    return [schedule]


def build_sensor(twin: Twin, home: Home | None = None) -> dg.SensorDefinition:
    """Starts a run when new, late or corrected telemetry has arrived, over the windows that it affects.

    While a run of the twin is at work, or on its way, nothing is started: that run, or the next look, covers the news.
    What is asked for is named by the newest arrival, twin.yaml, the FMU and the observations made so far, so a run that
    failed is not started again and again: it is when more arrives, by the schedule, or by hand.
    """
    spec, grid = twin.spec, WindowGrid.of(twin.spec)

    @dg.sensor(
        name=f"{spec.name}_new_telemetry",
        job_name=job_name(spec),
        minimum_interval_seconds=SENSOR_INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Starts a run when new telemetry has arrived.",
    )
    def sensor(
        context: dg.SensorEvaluationContext,
        historian: dg.ResourceParam[Historian],
        bench: dg.ResourceParam[Workbench],
    ) -> dg.RunRequest | dg.SkipReason:
        if _is_busy(context.instance, spec, home):
            return dg.SkipReason(BUSY)
        if spec.several_units:
            follow_units(historian, bench.store, spec, bench.now)
        fmu = fmu_sha256(twin.fmu_path)
        windows = new_windows(historian, bench.store, spec, grid, bench.now, fmu)
        if not windows:
            return dg.SkipReason(NOTHING_NEW)
        return dg.RunRequest(run_key=_news(historian, bench, spec, windows, fmu), tags=range_tags(windows))

    return sensor


def build_fleet_sensor(twin: Twin, home: Home | None = None) -> dg.SensorDefinition:
    """Compares the units of a divided twin anew when none of its shards is at work and their states have changed."""
    spec = twin.spec

    @dg.sensor(
        name=f"{spec.name}_fleet",
        job_name=job_name(spec),
        minimum_interval_seconds=SENSOR_INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Starts a run that compares the units when shards have new results.",
    )
    def sensor(
        context: dg.SensorEvaluationContext, bench: dg.ResourceParam[Workbench]
    ) -> dg.RunRequest | dg.SkipReason:
        if any(_is_busy(context.instance, part, home) for part in (*parts_of(spec), spec)):
            return dg.SkipReason(BUSY)
        windows = stale_windows(bench.store, spec, newest=FLEET_WINDOWS_WATCHED)
        if not windows:
            return dg.SkipReason(NOTHING_NEW)
        digest = hashlib.sha256()
        for window in windows:
            digest.update(made_from(bench.store, spec, FLEET, window)[MADE_FROM].encode())
        return dg.RunRequest(run_key=digest.hexdigest(), tags=range_tags(windows))

    return sensor


def _is_busy(instance: dg.DagsterInstance, spec: TwinSpec, home: Home | None) -> bool:
    """Whether a run of the twin is at work, whoever started it, or on its way there."""
    if is_taken(turns_folder(home or home_from(os.environ)), spec.name):
        return True
    soon = dg.RunsFilter(job_name=job_name(spec), statuses=ON_THE_WAY, created_after=datetime.now(UTC) - SOON)
    return instance.get_runs_count(soon) > 0


def _news(historian: Historian, bench: Workbench, spec: TwinSpec, windows: Sequence[Window], fmu: str) -> str:
    """Names what a run would find: where the historian stands, what these windows hold, why they were refused, by what.

    Another FMU or twin.yaml is other news, though not a sample has arrived since.
    """
    arrived = historian.arrivals(resolve_units(spec, historian), channel_properties(spec)).cursor
    made = [
        bench.store.metadata(spec.name, stage, window.key) or {}
        for window in windows
        for stage in (OBSERVATIONS, REFUSED, SMOOTHED_COEFFICIENTS)
    ]
    parts = (spec.model_dump_json(), fmu, *(found.get(CONTENT, "") for found in made))
    digest = hashlib.sha256(" ".join(parts).encode()).hexdigest()
    return f"{windows[0].key}..{windows[-1].key} {arrived} {digest[:16]}"
