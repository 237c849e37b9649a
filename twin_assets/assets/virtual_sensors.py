"""virtual_sensors: what nobody measures, predicted by the calibrated model, each with its uncertainty."""

from collections.abc import Sequence

import dagster as dg
import pandas as pd

from twin_assets.assets.fmu import FMU
from twin_assets.assets.metadata import Metadata, newest_estimates, newest_values, picture, stopped_units
from twin_assets.assets.windowed import Made, Steps, Tables, prediction_columns, windowed_asset
from twin_assets.model import PredictiveModel
from twin_assets.models import ClosedModel, LazyModel, Models
from twin_assets.plots import measured_predicted_figure, virtual_sensors_figure
from twin_assets.resources import Workbench
from twin_assets.spec_file import Twin
from twin_assets.stages import OBSERVATIONS, UKF_STATE, VIRTUAL_SENSORS
from twin_assets.stages.misfit import Misfit, lasting_misfits
from twin_assets.stages.predictions import predicted_names
from twin_assets.stages.results import virtual_sensors_table
from twin_assets.stages.states import previous_state
from twin_assets.stages.tables import load
from twin_assets.stages.validity import WHY_NOT, invalid
from twin_assets.windows import Window


def virtual_sensors_asset(twin: Twin) -> dg.AssetsDefinition:
    """Predictions of the calibrated model through time."""
    spec = twin.spec
    names = predicted_names(spec)
    units = [part.unit or "" for part in (*spec.virtual_sensors, *spec.measurements)]
    measures = dict(zip(names, units, strict=True))
    charted = [part.name for part in spec.virtual_sensors]

    @windowed_asset(
        twin,
        VIRTUAL_SENSORS,
        deps=[dg.AssetKey([spec.name, stage]) for stage in (FMU, UKF_STATE, OBSERVATIONS)],
        kinds=frozenset({"numpy", "parquet"}),
        description="Virtual sensors, and what the model predicts for the measured ones, with standard deviation, what"
        " it comes from (coefficients, inputs, a plant unlike its model) and 95 % interval; `valid` tells whether a row"
        " rests on what was calibrated, `why_not` why it does not.",
        columns=prediction_columns(measures),
    )
    def virtual_sensors(
        context: dg.AssetExecutionContext,
        bench: dg.ResourceParam[Workbench],
        models: dg.ResourceParam[Models],
    ) -> dg.MaterializeResult[None]:
        tables = Tables(twin, VIRTUAL_SENSORS, bench)
        model = models.of(twin)

        def make(window: Window, steps: Steps) -> Made:
            filtered, observed = (tables.read(stage, window) for stage in (UKF_STATE, OBSERVATIONS))
            result = virtual_sensors_table(
                spec,
                _of_the_filter(tables, model, window),
                filtered,
                observed,
                existing=load(bench.store, spec.name, VIRTUAL_SENSORS, window.key),
                previous=previous_state(bench.store, spec, window),
                progress=steps,
            )
            newest = dg.MetadataValue.md(newest_estimates(result.frame, names, measures))
            counts = {
                "predicted_now": result.computed,
                "kept": result.kept,
                "degraded_predictions": result.degraded,
                "not_predicted": result.unpredicted,
                **stopped_units(result.stopped),
                **validity_share(result.frame),
                **_misfits(lasting_misfits(spec, observed, filtered, result.frame)),
            }
            return Made(
                result.frame, result.metadata, {**counts, **newest_values(result.frame, charted), "newest": newest}
            )

        def draw(keys: tuple[str, ...]) -> dict[str, dg.MarkdownMetadataValue]:
            predicted, observed, filtered = (
                bench.store.read_many(spec.name, stage, keys) for stage in (VIRTUAL_SENSORS, OBSERVATIONS, UKF_STATE)
            )
            measured = picture(measured_predicted_figure(spec, observed, predicted, filtered))
            if not spec.virtual_sensors:
                return {"measured_and_predicted": measured}
            return {"picture": picture(virtual_sensors_figure(spec, predicted)), "measured_and_predicted": measured}

        return tables.make(context, make, draw)

    return virtual_sensors


def validity_share(frame: pd.DataFrame) -> Metadata:
    """The part of the rows that do not rest on what was calibrated, and the newest reason; nothing of no rows."""
    if frame.empty:
        return {}
    flagged = invalid(frame)
    found: Metadata = {"invalid_share": float(flagged.mean())}
    return found | {"invalid_because": str(frame[WHY_NOT][flagged].iloc[-1])} if flagged.any() else found


def _misfits(found: Sequence[Misfit]) -> Metadata:
    """What measured outputs keep differing by from what the model says of them; nothing where nothing shows."""
    return {"lasting_misfit": "; ".join(map(str, found))} if found else {}


def _of_the_filter(tables: Tables, model: LazyModel, window: Window) -> PredictiveModel:
    """The model, where it is the one that the filter ran; otherwise predictions can only be kept, and none be made."""
    reason = tables.filtered_otherwise(window, model.sha256)
    return ClosedModel(model, reason) if reason else model
