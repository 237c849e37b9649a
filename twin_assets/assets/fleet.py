"""fleet: the units of a window beside each other, and the check that names those unlike the others."""

import dagster as dg
import pandas as pd

from twin_assets.assets.metadata import markdown_table, picture
from twin_assets.assets.windowed import Made, Steps, Tables, windowed_asset, windows_of
from twin_assets.fleet_picture import fleet_figure
from twin_assets.resources import Workbench, mended_by_users
from twin_assets.shards import parts_of
from twin_assets.spec_file import Twin
from twin_assets.stages import FLEET, UKF_STATE
from twin_assets.stages.fleet import OUTLIERS, fleet_table, outliers, states_after
from twin_assets.windows import Window, WindowGrid

UNITS_SHOWN = 20
COLUMNS = (
    ("unit", "string", "machine"),
    ("time", "timestamp", "of its newest observation, UTC"),
    ("coefficient", "string", "name"),
    ("estimate", "double", "mean, physical unit"),
    ("std", "double", "standard deviation"),
    ("lower", "double", "95 % interval from"),
    ("upper", "double", "95 % interval to"),
    ("fleet_mean", "double", "what the other units say of it; empty where too few tell"),
    ("fleet_std", "double", "standard deviation of that, between units"),
    ("fleet_lower", "double", "95 % interval of that from"),
    ("fleet_upper", "double", "95 % interval of that to"),
    ("score", "double", "deviation in standard deviations, the unit's own included"),
    ("probability", "double", "of one as large in a unit like the others"),
    ("rank", "int", "of the unit: 1 is the least like the others"),
    ("outlier", "bool", "whether a good fleet would hardly show it"),
)


def fleet_asset(twin: Twin) -> dg.AssetsDefinition:
    """The units of a window beside each other."""
    spec = twin.spec

    @windowed_asset(
        twin,
        FLEET,
        deps=[dg.AssetKey([part.name, UKF_STATE]) for part in parts_of(spec)],
        kinds=frozenset({"numpy", "parquet"}),
        description="Each unit beside all others at the end of the window, the one least like them first. What stands"
        " out is told by the check, and is published all the same.",
        columns=COLUMNS,
    )
    def fleet(context: dg.AssetExecutionContext, bench: dg.ResourceParam[Workbench]) -> dg.MaterializeResult[None]:
        def make(window: Window, _: Steps) -> Made:
            frame = fleet_table(spec, states_after(bench.store, spec, window), window)
            verdict = outliers(frame)
            ranking = dg.MetadataValue.md(ranked(frame))
            return Made(frame, {}, {**verdict.metadata, "told": verdict.description, "ranking": ranking})

        def draw(keys: tuple[str, ...]) -> dict[str, dg.MarkdownMetadataValue]:
            frame = bench.store.read(spec.name, FLEET, keys[-1])
            return {} if frame is None or frame.empty else {"picture": picture(fleet_figure(spec, frame))}

        return Tables(twin, FLEET, bench).make(context, make, draw)

    return fleet


def ranked(frame: pd.DataFrame) -> str:
    """The units least like the others, as Markdown: a row for each, its furthest coefficient."""
    rows = frame.assign(far=frame["score"].abs().fillna(-1.0)).sort_values(["rank", "far"], ascending=[True, False])
    first = rows.groupby("unit", sort=False).head(1).head(UNITS_SHOWN)
    shown = ["rank", "unit", "coefficient", "estimate", "std", "fleet_mean", "fleet_std", "score", "outlier"]
    return markdown_table(shown, first[shown].itertuples(index=False))


def outlier_check(twin: Twin) -> dg.AssetChecksDefinition:
    """Names the units unlike the others; it stops nothing."""
    spec, key = twin.spec, dg.AssetKey([twin.spec.name, FLEET])

    @dg.multi_asset_check(
        name=f"{spec.name}__{OUTLIERS}",
        specs=[
            dg.AssetCheckSpec(OUTLIERS, asset=key, description="No unit is unlike the others; if one is, it is told.")
        ],
    )
    def check(context: dg.AssetCheckExecutionContext, bench: dg.ResourceParam[Workbench]) -> dg.AssetCheckResult:
        store, grid = bench.store, WindowGrid.of(spec)
        with mended_by_users():
            ranged = context.has_partition_key or context.has_partition_key_range
            windows = windows_of(context, spec) if ranged else grid.known(store.keys(spec.name, FLEET)[-1:])
            tables = {window.key: store.read(spec.name, FLEET, window.key) for window in windows}
        verdicts = {window: outliers(frame) for window, frame in tables.items() if frame is not None}
        found = {window: verdict for window, verdict in verdicts.items() if not verdict.passed}
        newest = verdicts[max(verdicts)] if verdicts else None
        records = [
            dg.TableRecord(
                {"window": window, "verdict": "holds" if each.passed else "warning", "why": each.description}
            )
            for window, each in verdicts.items()
        ]
        return dg.AssetCheckResult(
            asset_key=key,
            check_name=OUTLIERS,
            passed=not found,
            severity=dg.AssetCheckSeverity.WARN,
            description="\n".join(f"{window}: {each.description}" for window, each in found.items())
            or (newest.description if newest else "There is no result to judge yet."),
            metadata={**(newest.metadata if newest else {}), "verdicts": dg.MetadataValue.table(records, SCHEMA)},
        )

    return check


SCHEMA = dg.TableSchema([dg.TableColumn("window"), dg.TableColumn("verdict"), dg.TableColumn("why")])
