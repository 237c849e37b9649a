"""smoothed_coefficients: windows that are over, looked back at from their end; for twins with ``smoothing``."""

import dagster as dg
import pandas as pd

from twin_assets.assets.metadata import picture
from twin_assets.assets.windowed import Made, Steps, Tables, estimate_columns, windowed_asset
from twin_assets.models import Models
from twin_assets.plots import smoothed_figure
from twin_assets.resources import Workbench
from twin_assets.spec_file import Twin
from twin_assets.stages import SMOOTHED_COEFFICIENTS, UKF_STATE
from twin_assets.stages.results import coefficients_table
from twin_assets.stages.smoothing import BASED_ON_UNTIL, WAITS_UNTIL, smoothed_table
from twin_assets.windows import Window


def smoothed_coefficients_asset(twin: Twin) -> dg.AssetsDefinition:
    """The coefficients through time, as they are known afterwards."""
    spec = twin.spec
    unit, time, *estimates = estimate_columns({part.name: part.unit or "" for part in spec.coefficients})
    until = (BASED_ON_UNTIL, "timestamp", "last observation that was looked back from, the window's last one")

    @windowed_asset(
        twin,
        SMOOTHED_COEFFICIENTS,
        deps=[dg.AssetKey([spec.name, UKF_STATE])],
        kinds=frozenset({"numpy", "parquet"}),
        description="Coefficients as they are known once their window is over: smoothed backwards from its last"
        " observation, in physical units, with standard deviation and 95 % interval. A window that is still open"
        " waits: it has no rows. Nothing of it is published.",
        columns=[unit, time, until, *estimates],
    )
    def smoothed_coefficients(
        context: dg.AssetExecutionContext,
        bench: dg.ResourceParam[Workbench],
        models: dg.ResourceParam[Models],
    ) -> dg.MaterializeResult[None]:
        tables, fmu_sha256 = Tables(twin, SMOOTHED_COEFFICIENTS, bench), models.of(twin).sha256

        def make(window: Window, _: Steps) -> Made:
            ukf_state = tables.read(UKF_STATE, window)
            # Smoothed with another drift than it was filtered with it would be wrong, and look right.
            if reason := tables.filtered_otherwise(window, fmu_sha256):
                raise dg.Failure(reason)
            found = smoothed_table(spec, window, ukf_state, bench.now)
            waits = found.metadata.get(WAITS_UNTIL)
            shown = {} if waits is None else {WAITS_UNTIL: dg.MetadataValue.timestamp(pd.Timestamp(waits).timestamp())}
            return Made(found.frame, found.metadata, shown)

        def draw(keys: tuple[str, ...]) -> dict[str, dg.MarkdownMetadataValue]:
            smoothed, filtered = (
                bench.store.read_many(spec.name, stage, keys) for stage in (SMOOTHED_COEFFICIENTS, UKF_STATE)
            )
            return {"picture": picture(smoothed_figure(spec, smoothed, coefficients_table(spec, filtered)))}

        return tables.make(context, make, draw)

    return smoothed_coefficients
