"""calibrated_coefficients: the posterior in physical units, with its 95 % interval, and what is published of it."""

from collections.abc import Iterator

import dagster as dg
import pandas as pd

from twin_assets.assets.metadata import newest_estimates, newest_values, picture
from twin_assets.assets.windowed import ITSELF_BEFORE, Made, Steps, Tables, estimate_columns, windowed_asset
from twin_assets.plots import coefficients_figure
from twin_assets.resources import Workbench
from twin_assets.spec import TwinSpec
from twin_assets.spec_file import Twin
from twin_assets.spec_names import HELD, UPDATED
from twin_assets.stages import CALIBRATED_COEFFICIENTS, UKF_STATE
from twin_assets.stages.holding import held_table
from twin_assets.windows import Window


def calibrated_coefficients_asset(twin: Twin) -> dg.AssetsDefinition:
    """The coefficients through time."""
    spec = twin.spec
    measures = {part.name: part.unit or "" for part in spec.coefficients}
    before = [dg.AssetDep([spec.name, CALIBRATED_COEFFICIENTS], partition_mapping=ITSELF_BEFORE)]

    @windowed_asset(
        twin,
        CALIBRATED_COEFFICIENTS,
        deps=[dg.AssetKey([spec.name, UKF_STATE]), *(before if spec.publish.hold else [])],
        kinds=frozenset({"numpy", "parquet"}),
        description="Calibrated coefficients through time, in physical units, with standard deviation and 95 %"
        " interval; and what is published of them.",
        columns=columns(spec),
    )
    def calibrated_coefficients(
        context: dg.AssetExecutionContext, bench: dg.ResourceParam[Workbench]
    ) -> dg.MaterializeResult[None]:
        tables = Tables(twin, CALIBRATED_COEFFICIENTS, bench)

        def make(window: Window, _: Steps) -> Made:
            found = held_table(bench.store, spec, window, tables.read(UKF_STATE, window))
            newest = dg.MetadataValue.md(newest_estimates(found.frame, list(measures), measures))
            shown = {**newest_values(found.frame, list(measures)), "newest": newest, **news_of(spec, found.frame)}
            return Made(found.frame, found.metadata, shown)

        def draw(keys: tuple[str, ...]) -> dict[str, dg.MarkdownMetadataValue]:
            coefficients = bench.store.read_many(spec.name, CALIBRATED_COEFFICIENTS, keys)
            return {"picture": picture(coefficients_figure(spec, coefficients))}

        return tables.make(context, make, draw)

    return calibrated_coefficients


def columns(spec: TwinSpec) -> list[tuple[str, str, str]]:
    """The table's columns."""
    found = estimate_columns({part.name: part.unit or "" for part in spec.coefficients})
    return [*found, *(column for part in spec.coefficients for column in _held_columns(part.name) if spec.publish.hold)]


def news_of(spec: TwinSpec, frame: pd.DataFrame) -> dict[str, object]:
    """How often a window brought news of a coefficient, in all and of each one that it did."""
    counts = {part.name: int(frame[part.name + UPDATED].sum()) for part in spec.coefficients if spec.publish.hold}
    told = ", ".join(f"{name}: {count}" for name, count in counts.items() if count)
    return {"news": sum(counts.values()), "news_of": told} if told else {"news": 0} if counts else {}


def _held_columns(name: str) -> Iterator[tuple[str, str, str]]:
    yield name + HELD, "double", "what is published: held until observations refute it"
    yield name + UPDATED, "bool", "whether this row changed it"
