"""published: results that passed the checks, written back to the historian under properties of their own.

The only asset that may take some windows of a run, or some units of a window, and leave others: see ``checks``.
"""

from collections.abc import Iterator, Mapping

import dagster as dg
import pandas as pd

from twin_assets.assets.windowed import Tables, windowed_asset, windows_of
from twin_assets.checks import REFUSED_VERDICT, Judgement, judge, refuse
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
                judged = judge(bench.store, spec, window, bench.now)
                if judged.refusal.whole:
                    reasons[window.key] = judged.refusal.why
                    refuse(context, bench, historian, spec, window, judged.verdicts)
                else:
                    if judged.refusal.units:
                        context.log.warning(
                            "window %s: of some units nothing is published: %s", window.key, judged.refusal.why
                        )
                    yield publish(tables, historian, window, judged)
                within_window(bench.progress, PUBLISHED, number, len(windows))(1, 1)
        if reasons:
            told = refusal(reasons, len(windows))
            raise dg.Failure(told, metadata={REFUSED_VERDICT: len(reasons)}, allow_retries=False)

    return published


def publish(tables: Tables, historian: Historian, window: Window, judged: Judgement) -> dg.AssetMaterialization:
    """Write one window's results to the historian, but those of units that are refused, and tell Dagster.

    Raises:
        TwinError: if the historian does not take some of them.
    """
    spec = tables.spec
    samples = published_samples(
        spec, *(tables.read(stage, window) for stage in (CALIBRATED_COEFFICIENTS, VIRTUAL_SENSORS))
    )
    report = publish_window(historian, tables.bench.store, spec, window, samples, judged.verdicts)
    counts = {"samples": report.written, "withdrawn": report.withdrawn, "properties": samples["property"].nunique()}
    refused = {"refused_units": ", ".join(judged.refusal.units), "refused_because": judged.refusal.why}
    return dg.AssetMaterialization(
        asset_key=dg.AssetKey([spec.name, PUBLISHED]),
        partition=window.key,
        metadata={**counts, **_times(samples), **(refused if judged.refusal.units else {})},
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
