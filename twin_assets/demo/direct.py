"""The same stages without Dagster, historian or store: for benchmarks over many seeds, and for tests."""

import pandas as pd

from twin_assets.demo.summary import Tables
from twin_assets.model import PredictiveModel
from twin_assets.spec import TwinSpec
from twin_assets.stages.observations import observe
from twin_assets.stages.results import coefficients_table, virtual_sensors_table
from twin_assets.stages.tables import Progress, no_progress
from twin_assets.stages.ukf import assimilate
from twin_assets.windows import Window

# The state's fingerprint names the FMU; nothing here is kept, so any name will do.
NO_FMU = ""


def calibrate_directly(
    spec: TwinSpec,
    model: PredictiveModel,
    samples: pd.DataFrame,
    *,
    virtual_sensors: bool = True,
    progress: Progress = no_progress,
) -> Tables:
    """All tables of one machine, from all its samples in one window.

    Args:
        spec: the twin.
        model: the twin's model.
        samples: SAMPLE_COLUMNS, of one unit.
        virtual_sensors: whether to predict them; without, their table is empty and half of the model runs are saved.
        progress: called after every filter step.
    """
    units = tuple(samples["unit"].unique())
    # A day more than the samples: the last observation is complete, too.
    window = Window("all", samples["time"].min(), samples["time"].max() + pd.Timedelta(days=1))
    observations = observe(spec, units, window, samples, window.end).frame
    state = assimilate(spec, model, observations, fmu_sha256=NO_FMU, progress=progress).frame
    predicted = virtual_sensors_table(spec, model, state if virtual_sensors else state.iloc[:0], observations).frame
    return Tables(observations, state, coefficients_table(spec, state), predicted)
