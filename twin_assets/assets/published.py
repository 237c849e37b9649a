"""published: results that passed the checks, written back to the historian under properties of their own.

The only asset that may take some windows of a run and leave others: see ``checks``.
"""

from collections.abc import Iterator, Mapping

import dagster as dg
import pandas as pd

from twin_assets.assets.windowed import Tables, windowed_asset, windows_of
from twin_assets.checks import REFUSED_VERDICT, judge, refuse, refused
from twin_assets.historian import Historian
from twin_assets.progress import within_window
from twin_assets.resources import Workbench, mended_by_users
from twin_assets.spec_file import Twin
from twin_assets.stages import CALIBRATED_COEFFICIENTS, PUBLISHED, VIRTUAL_SENSORS
from twin_assets.stages.publish import publish_window, published_samples
from twin_assets.windows import Window

COLUMNS = (
    ("unit", "string", "machine"),
    ("property", "string", "name in the historian"),
    ("samples", "int", "how many were written"),
    ("first_time", "timestamp", "UTC"),
    ("last_time", "timestamp", "UTC"),
)


def published_asset(twin: Twin) -> dg.AssetsDefinition:
    """Coefficients, virtual sensors and predicted measurements, each with its interval, in the historian."""
    spec = twin.spec

    @windowed_asset(
        twin,
        PUBLISHED,
        deps=[dg.AssetKey([spec.name, stage]) for stage in (CALIBRATED_COEFFICIENTS, VIRTUAL_SENSORS)],
        kinds=frozenset({"sql"}),
        description="Results that passed the checks, in the historian: `<coefficient>`, `<virtual sensor>` and"
        " `<measurement>_predicted`, each also `_lower` and `_upper`. What is measured is never written."
        " Predictions that do not rest on what was calibrated are of quality UNCERTAIN, all else is GOOD."
        " A coefficient stays as it was published until observations refute it, unless `publish.hold` is false."
        " A window's results take the place of what it published before; a refused one withdraws it.",
        columns=COLUMNS,
        # A refused window is not materialized: those that pass are reported one by one, and no output for all of them.
        output_required=False,
    )
    def published(
        context: dg.AssetExecutionContext,
        bench: dg.ResourceParam[Workbench],
        historian: dg.ResourceParam[Historian],
    ) -> Iterator[dg.AssetMaterialization]:
        tables = Tables(twin, PUBLISHED, bench)
        with mended_by_users():
            bench.turns.take(spec.name)
            windows = windows_of(context, spec)
            reasons: dict[str, str] = {}
            for number, window in enumerate(windows):
                verdicts = judge(bench.store, spec, window, bench.now)
                if reason := refused(verdicts):
                    reasons[window.key] = reason
                    refuse(context, bench, historian, spec, window, verdicts)
                else:
                    yield publish(tables, historian, window)
                within_window(bench.progress, PUBLISHED, number, len(windows))(1, 1)
        if reasons:
            told = refusal(reasons, len(windows))
            raise dg.Failure(told, metadata={REFUSED_VERDICT: len(reasons)}, allow_retries=False)

    return published


def publish(tables: Tables, historian: Historian, window: Window) -> dg.AssetMaterialization:
    """Write one window's results to the historian, and tell Dagster.

    Raises:
        TwinError: if the historian does not take some of them.
    """
    spec = tables.spec
    samples = published_samples(
        spec, *(tables.read(stage, window) for stage in (CALIBRATED_COEFFICIENTS, VIRTUAL_SENSORS))
    )
    report = publish_window(historian, tables.bench.store, spec, window, samples)
    counts = {"samples": report.written, "withdrawn": report.withdrawn, "properties": samples["property"].nunique()}
    return dg.AssetMaterialization(
        asset_key=dg.AssetKey([spec.name, PUBLISHED]),
        partition=window.key,
        metadata={**counts, **_times(samples)},
    )


def refusal(reasons: Mapping[str, str], windows: int) -> str:
    """What people read when windows were refused."""
    told = "\n".join(f"{key}: {reason}" for key, reason in reasons.items())
    return f"{len(reasons)} of {windows} windows refused, nothing of them was published:\n{told}"


def _times(samples: pd.DataFrame) -> dict[str, dg.TimestampMetadataValue]:
    if samples.empty:
        return {}
    return {
        "first_time": dg.MetadataValue.timestamp(samples["time"].min().timestamp()),
        "last_time": dg.MetadataValue.timestamp(samples["time"].max().timestamp()),
    }
