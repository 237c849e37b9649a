"""telemetry: raw samples of a window, as the historian holds them."""

import dagster as dg

from twin_assets.assets.windowed import Made, Steps, Tables, windowed_asset
from twin_assets.historian import Historian
from twin_assets.resources import Workbench
from twin_assets.spec_file import Twin
from twin_assets.stages import TELEMETRY
from twin_assets.stages.engine import resolve_units
from twin_assets.stages.telemetry import channel_properties, read_telemetry
from twin_assets.windows import Window

COLUMNS = (
    ("unit", "string", "machine"),
    ("property", "string", "name in the historian"),
    ("time", "timestamp", "UTC, nanoseconds"),
    ("value", "double", "as measured"),
    ("quality", "string", "GOOD, UNCERTAIN or BAD"),
)


def telemetry_asset(twin: Twin) -> dg.AssetsDefinition:
    """Samples of all inputs and measurements of a twin."""
    spec = twin.spec

    @windowed_asset(
        twin,
        TELEMETRY,
        kinds=frozenset({"sql", "parquet"}),
        description="Raw samples of the inputs and measurements, as the historian holds them.",
        columns=COLUMNS,
    )
    def telemetry(
        context: dg.AssetExecutionContext,
        bench: dg.ResourceParam[Workbench],
        historian: dg.ResourceParam[Historian],
    ) -> dg.MaterializeResult[None]:
        def make(window: Window, _: Steps) -> Made:
            found = read_telemetry(historian, spec, resolve_units(spec, historian), window)
            good = float((found.frame["quality"] == "GOOD").mean()) if len(found.frame) else 0.0
            shown = {
                "units": found.frame["unit"].nunique(),
                "silent_properties": len(set(channel_properties(spec)) - set(found.frame["property"])),
                "good_fraction": good,
            }
            return Made(found.frame, found.metadata, shown)

        return Tables(twin, TELEMETRY, bench).make(context, make)

    return telemetry
