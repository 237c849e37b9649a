"""Pure NumPy and filterpy: sigma points, updates, gating. Imports no dagster, boto3 or fmpy."""

from twin_assets.estimation.bounds import Coefficients
from twin_assets.estimation.filter import filter_step, prior
from twin_assets.estimation.gaussian import Gaussian
from twin_assets.estimation.marginals import Marginals, coefficient_marginals, predict_outputs
from twin_assets.estimation.state import FilterSettings, FilterState, Step

__all__ = [
    "Coefficients",
    "FilterSettings",
    "FilterState",
    "Gaussian",
    "Marginals",
    "Step",
    "coefficient_marginals",
    "filter_step",
    "predict_outputs",
    "prior",
]
