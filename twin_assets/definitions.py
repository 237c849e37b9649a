"""The wiring: the stages in the order that data flows, for every twin. Nothing is registered anywhere else.

``defs`` is the code location that ``workspace.yaml`` names. It reads ``$TWINS_PATH`` when Dagster loads it, and the
home only when something runs.
"""

import logging
import os
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import dagster as dg

from twin_assets.assets.calibrated_coefficients import calibrated_coefficients_asset
from twin_assets.assets.fleet import fleet_asset, outlier_check
from twin_assets.assets.fmu import FMU, fmu_asset
from twin_assets.assets.observations import observations_asset
from twin_assets.assets.published import published_asset
from twin_assets.assets.smoothed_coefficients import smoothed_coefficients_asset
from twin_assets.assets.telemetry import telemetry_asset
from twin_assets.assets.ukf_state import ukf_state_asset
from twin_assets.assets.virtual_sensors import virtual_sensors_asset
from twin_assets.automation import build_fleet_sensor, build_job, build_schedules, build_sensor
from twin_assets.checks import build_checks
from twin_assets.home import Home, twins_path_from
from twin_assets.models import Opener
from twin_assets.neighbours import clashes
from twin_assets.progress import Progress, silent
from twin_assets.resources import Clock, build_resources
from twin_assets.shards import is_divided, shards_of
from twin_assets.spec_file import SpecError, Twin, find_twins
from twin_assets.stages import (
    CALIBRATED_COEFFICIENTS,
    FLEET,
    OBSERVATIONS,
    PUBLISHED,
    SMOOTHED_COEFFICIENTS,
    TELEMETRY,
    UKF_STATE,
    VIRTUAL_SENSORS,
)
from twin_assets.stages.engine import open_model

STAGES: Mapping[str, Callable[[Twin], dg.AssetsDefinition]] = {
    FMU: fmu_asset,
    TELEMETRY: telemetry_asset,
    OBSERVATIONS: observations_asset,
    UKF_STATE: ukf_state_asset,
    CALIBRATED_COEFFICIENTS: calibrated_coefficients_asset,
    VIRTUAL_SENSORS: virtual_sensors_asset,
    PUBLISHED: published_asset,
    SMOOTHED_COEFFICIENTS: smoothed_coefficients_asset,
    FLEET: fleet_asset,
}
"""Every twin has all of them but the last two: those are of twins with ``smoothing``, and of several units."""

LOCATION = "twins"
"""The code location's name in workspace.yaml."""


def build_definitions(
    twins: Iterable[Twin],
    *,
    home: Home | None = None,
    clock: Clock | None = None,
    progress: Progress = silent,
    opener: Opener = open_model,
    pictures: bool = True,
    broken: Mapping[str, str] | None = None,
) -> dg.Definitions:
    """Assets, checks, jobs, schedules and sensors of some twins.

    Args:
        twins: in any order.
        home: where everything is kept; by default what ``$TWIN_HOME`` says when a run starts.
        clock: what counts as now when a run starts; by default the wall clock.
        progress: told how far a run is.
        opener: opens a twin's model; by default its FMU.
        pictures: whether tables are drawn for people; about a second each.
        broken: folder -> why its twin is left out; shown as an asset that cannot be materialized.

    Raises:
        SpecError: if one of the twins publishes what another one publishes or measures for the same unit.
    """
    twins = tuple(twins)
    if clashing := clashes(twins):
        raise SpecError(finding for findings in clashing.values() for finding in findings)
    run = [shard for twin in twins for shard in shards_of(twin)]
    # What compares the units of a divided twin is made when its shards are.
    divided = [twin for twin in twins if is_divided(twin.spec) and twin.spec.several_units]
    compared = [*divided, *(twin for twin in run if twin.spec.shows_fleet)]
    with warnings.catch_warnings():
        # Backfill policies are marked beta; the pinned release has them, and the tests hold what is relied on.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.Definitions(
            assets=[
                *(asset for twin in run for asset in assets_of(twin)),
                *(fleet_asset(twin) for twin in divided),
                *(broken_asset(folder, reason) for folder, reason in (broken or {}).items()),
            ],
            asset_checks=[*map(build_checks, run), *map(outlier_check, compared)],
            jobs=[build_job(twin) for twin in (*run, *divided)],
            schedules=[schedule for twin in run for schedule in build_schedules(twin, home)],
            sensors=[
                *(build_sensor(twin, home) for twin in run),
                *(build_fleet_sensor(twin, home) for twin in divided),
            ],
            resources=build_resources(home=home, clock=clock, progress=progress, opener=opener, pictures=pictures),
            executor=executor(),
        )


def assets_of(twin: Twin) -> list[dg.AssetsDefinition]:
    """The stages of one twin."""
    has = {SMOOTHED_COEFFICIENTS: twin.spec.smoothing, FLEET: twin.spec.shows_fleet}
    return [make(twin) for stage, make in STAGES.items() if has.get(stage, True)]


def executor() -> dg.ExecutorDefinition:
    """All steps in the run's own process, where they share one set of model processes.

    A run configured with ``execution: {config: {multiprocess: {}}}`` has each step in a process of its own instead.
    """
    kinds = dg.Selector(  # type: ignore[no-untyped-call] # Dagster left its config types untyped
        {name: dg.Permissive() for name in ("in_process", "multiprocess")}  # type: ignore[no-untyped-call]
    )
    return dg.multi_or_in_process_executor.configured(
        lambda config: config, "in_process_or_multiprocess", dg.Field(kinds, default_value={"in_process": {}})
    )


def broken_asset(folder: str, reason: str) -> dg.AssetsDefinition:
    """What stands in for a twin whose twin.yaml is refused: one mistake does not take the other twins away."""

    @dg.asset(
        key=dg.AssetKey([folder, "twin_yaml"]),
        group_name=re.sub(r"\W", "_", folder, flags=re.ASCII),
        description=f"**This twin is missing, its twin.yaml is refused.**\n\n```\n{reason}\n```\n\nMend it, then"
        " reload the code location.",
        kinds={"error"},
    )
    def twin_yaml() -> None:
        raise dg.Failure(reason, allow_retries=False)

    return twin_yaml


def find_all(twins_path: Path) -> tuple[list[Twin], dict[str, str]]:
    """The twins of a folder that can be side by side, and why the others are left out, by folder.

    Raises:
        SpecError: if the folder itself cannot be read.
    """
    twins, broken = find_twins(twins_path)
    clashing = {name: "\n".join(findings) for name, findings in clashes(twins).items()}
    return [twin for twin in twins if twin.spec.name not in clashing], broken | clashing


@dg.definitions
def defs() -> dg.Definitions:
    """All twins under ``$TWINS_PATH``."""
    twins, broken = find_all(twins_path_from(os.environ))
    for folder, reason in broken.items():
        logging.getLogger("dagster").error(
            "The twin in '%s' is left out, its twin.yaml is refused:\n%s", folder, reason
        )
    return build_definitions(twins, broken=broken)
