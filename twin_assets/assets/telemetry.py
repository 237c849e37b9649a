"""telemetry: raw samples of a window, as the historian holds them."""

from functools import cache

import dagster as dg
import pandas as pd

from twin_assets.assets.metadata import markdown_table
from twin_assets.assets.windowed import Made, Steps, Tables, windowed_asset
from twin_assets.historian import Historian
from twin_assets.resources import Workbench
from twin_assets.spec_file import Twin
from twin_assets.stages import TELEMETRY
from twin_assets.stages.engine import resolve_units
from twin_assets.stages.telemetry import channel_properties, read_telemetry, with_lost
from twin_assets.stages.unit_record import TYPES, current, follow_units, lost
from twin_assets.windows import Window

CHANGES_SHOWN = 20
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
            units = resolve_units(spec, historian)
            found = read_telemetry(historian, spec, units, window)
            if spec.named_units is None:
                found = with_lost(found, lost(record()), bench.store.read(spec.name, TELEMETRY, window.key))
            good = float((found.frame["quality"] == "GOOD").mean()) if len(found.frame) else 0.0
            shown = {
                "units": found.frame["unit"].nunique(),
                "silent_properties": len(set(channel_properties(spec)) - set(found.frame["property"])),
                "good_fraction": good,
            }
            return Made(found.frame, found.metadata, shown | (units_shown(record()) if spec.several_units else {}))

        @cache
        def record() -> pd.DataFrame:
            # Once a run, and only when it has its turn.
            return follow_units(historian, bench.store, spec, bench.now)

        return Tables(twin, TELEMETRY, bench).make(context, make)

    return telemetry


def units_shown(record: pd.DataFrame) -> dict[str, object]:
    """How many units are in which state, and what changed last."""
    counts = {f"units_{state}": int(count) for state, count in current(record)["state"].value_counts().items()}
    newest = record.tail(CHANGES_SHOWN).iloc[::-1]
    return {
        **counts,
        "units_changed": dg.MetadataValue.md(markdown_table(tuple(TYPES), newest.itertuples(index=False))),
    }
