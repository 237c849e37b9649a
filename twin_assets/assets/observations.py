"""observations: telemetry aligned on common times and gated."""

from collections import Counter

import dagster as dg
import pandas as pd

from twin_assets.assets.windowed import Made, Steps, Tables, windowed_asset
from twin_assets.historian import Historian
from twin_assets.resources import Workbench
from twin_assets.spec import TwinSpec
from twin_assets.spec_file import Twin
from twin_assets.stages import OBSERVATIONS, TELEMETRY
from twin_assets.stages.engine import resolve_units
from twin_assets.stages.observations import observe, telemetry_windows
from twin_assets.windows import Window, WindowGrid


def observations_asset(twin: Twin) -> dg.AssetsDefinition:
    """One row a unit and time; NaN with its reason where nothing trustworthy was measured."""
    spec, grid = twin.spec, WindowGrid.of(twin.spec)

    @windowed_asset(
        twin,
        OBSERVATIONS,
        deps=[dg.AssetDep([spec.name, TELEMETRY], partition_mapping=looking_back(spec))],
        kinds=frozenset({"pandas", "parquet"}),
        description="Telemetry aligned on common times and gated: what the filter may believe, and why not the rest.",
        columns=columns(spec),
    )
    def observations(
        context: dg.AssetExecutionContext,
        bench: dg.ResourceParam[Workbench],
        historian: dg.ResourceParam[Historian],
    ) -> dg.MaterializeResult[None]:
        def make(window: Window, _: Steps) -> Made:
            keys = [each.key for each in telemetry_windows(spec, grid, window)]
            telemetry = bench.store.read_many(spec.name, TELEMETRY, keys)
            units = resolve_units(spec, historian)
            if spec.named_units is None:
                # Also those that the historian has no more.
                units = tuple(sorted({*units, *telemetry["unit"]}))
            found = observe(spec, units, window, telemetry, bench.now)
            return Made(found.frame, found.metadata, reason_counts(spec, found.frame))

        return Tables(twin, OBSERVATIONS, bench).make(context, make)

    return observations


def looking_back(spec: TwinSpec) -> dg.TimeWindowPartitionMapping:
    """Which telemetry windows an observation window is made from: its own and those that values are held from."""
    grid = WindowGrid.of(spec)
    later = grid.first
    for _ in range(LATE_ENOUGH):
        later = grid.containing(later.end)
    return dg.TimeWindowPartitionMapping(start_offset=1 - len(telemetry_windows(spec, grid, later)))


# Windows from the first one on, so that looking back does not end at the beginning of all.
LATE_ENOUGH = 50


def reason_counts(spec: TwinSpec, frame: pd.DataFrame) -> dict[str, int]:
    """How many measured values can be used, and how many cannot for each reason."""
    reasons = frame[[f"{part.name}_reason" for part in spec.measurements]].to_numpy(dtype=object).ravel()
    return {reason or "usable": count for reason, count in sorted(Counter(map(str, reasons)).items())}


def columns(spec: TwinSpec) -> list[tuple[str, str, str]]:
    """The table's columns."""
    found = [("unit", "string", "machine"), ("time", "timestamp", "UTC, nanoseconds")]
    for part in (*spec.measurements, *spec.inputs):
        measured = f"from '{part.source}'" + (f", {part.unit}" if part.unit else "")
        found += [
            (part.name, "double", measured),
            (f"{part.name}_reason", "string", "empty, or why there is no value"),
        ]
    return found
