"""calibrated_coefficients: the posterior in physical units, with its 95 % interval."""

import dagster as dg

from twin_assets.assets.metadata import newest_estimates, newest_values, picture
from twin_assets.assets.windowed import Made, Steps, Tables, estimate_columns, windowed_asset
from twin_assets.plots import coefficients_figure
from twin_assets.resources import Workbench
from twin_assets.spec_file import Twin
from twin_assets.stages import CALIBRATED_COEFFICIENTS, UKF_STATE
from twin_assets.stages.results import coefficients_table
from twin_assets.windows import Window


def calibrated_coefficients_asset(twin: Twin) -> dg.AssetsDefinition:
    """The coefficients through time."""
    spec = twin.spec
    measures = {part.name: part.unit or "" for part in spec.coefficients}

    @windowed_asset(
        twin,
        CALIBRATED_COEFFICIENTS,
        deps=[dg.AssetKey([spec.name, UKF_STATE])],
        kinds=frozenset({"numpy", "parquet"}),
        description="Calibrated coefficients through time, in physical units, with standard deviation and 95 %"
        " interval.",
        columns=estimate_columns(measures),
    )
    def calibrated_coefficients(
        context: dg.AssetExecutionContext, bench: dg.ResourceParam[Workbench]
    ) -> dg.MaterializeResult[None]:
        tables = Tables(twin, CALIBRATED_COEFFICIENTS, bench)

        def make(window: Window, _: Steps) -> Made:
            frame = coefficients_table(spec, tables.read(UKF_STATE, window))
            newest = dg.MetadataValue.md(newest_estimates(frame, list(measures), measures))
            return Made(frame, shown={**newest_values(frame, list(measures)), "newest": newest})

        def draw(keys: tuple[str, ...]) -> dict[str, dg.MarkdownMetadataValue]:
            coefficients = bench.store.read_many(spec.name, CALIBRATED_COEFFICIENTS, keys)
            return {"picture": picture(coefficients_figure(spec, coefficients))}

        return tables.make(context, make, draw)

    return calibrated_coefficients
