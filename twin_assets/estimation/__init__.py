"""Pure NumPy and filterpy: sigma points, updates, gating. Imports no dagster, boto3 or fmpy."""

from twin_assets.estimation.batch import Batch
from twin_assets.estimation.bounds import Coefficients
from twin_assets.estimation.filter import filter_step, prior
from twin_assets.estimation.gaussian import Gaussian
from twin_assets.estimation.marginals import (
    Marginals,
    Predictions,
    UnpredictableError,
    coefficient_marginals,
    predict_outputs,
)
from twin_assets.estimation.search import CalibrationError, StaticSettings
from twin_assets.estimation.smoother import smoothed
from twin_assets.estimation.state import FilterSettings, FilterState, Step
from twin_assets.estimation.static import StaticCalibration, calibrate_static

__all__ = [
    "Batch",
    "CalibrationError",
    "Coefficients",
    "FilterSettings",
    "FilterState",
    "Gaussian",
    "Marginals",
    "Predictions",
    "StaticCalibration",
    "StaticSettings",
    "Step",
    "UnpredictableError",
    "calibrate_static",
    "coefficient_marginals",
    "filter_step",
    "predict_outputs",
    "prior",
    "smoothed",
]
