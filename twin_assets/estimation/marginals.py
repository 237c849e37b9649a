"""What people read: values with a standard deviation and a 95 % interval.

Belongs here: from the posterior of the unbounded states to coefficients and outputs in physical units.
"""

from dataclasses import dataclass

import numpy as np

from twin_assets.estimation.bounds import Coefficients, to_physical
from twin_assets.estimation.evaluation import check, outputs_of
from twin_assets.estimation.gaussian import Gaussian, frozen, marginal_moments, sigma_points, sigma_radius
from twin_assets.model import Floats, PredictiveModel

# The standard normal quantile of 97.5 %.
_Z_95 = 1.959963984540054


@dataclass(frozen=True, eq=False)
class Marginals:
    """Quantities one by one, physical units.

    Attributes:
        mean: (q,).
        std: (q,).
        lower: (q,) 2.5 % quantiles.
        upper: (q,) 97.5 % quantiles.
    """

    mean: Floats
    std: Floats
    lower: Floats
    upper: Floats

    def __post_init__(self) -> None:
        for field in ("mean", "std", "lower", "upper"):
            object.__setattr__(self, field, frozen(getattr(self, field)))


def coefficient_marginals(posterior: Gaussian, coefficients: Coefficients) -> Marginals:
    """The coefficients and their intervals, asymmetric and within the bounds.

    The clamp is monotone, so the quantiles are those of the state, mapped; mean and standard deviation are integrated
    by Gauss-Hermite quadrature.

    Args:
        posterior: of the unbounded states (n,).
        coefficients: bounds.
    """
    mean, std = marginal_moments(posterior, lambda state: to_physical(state, coefficients))
    reach = _Z_95 * posterior.std
    lower = to_physical(posterior.mean - reach, coefficients)
    return Marginals(mean, std, lower, to_physical(posterior.mean + reach, coefficients))


def predict_outputs(
    posterior: Gaussian, inputs: Floats, model: PredictiveModel, coefficients: Coefficients
) -> Marginals:
    """All outputs of the calibrated model, measured and virtual, from the posterior's own sigma points.

    Mean and standard deviation are the unscented transform's. The interval is that of a linear output, mean and 1.96
    standard deviations, wherever the output is linear; elsewhere upward and downward changes are added up separately
    from the output at the posterior's mean: along every axis of the posterior the model is taken as linear from the
    mean to either sigma point, with a slope of its own. Along one monotone axis these are the exact quantiles, and what
    only grows (a slip velocity from zero) gets no lower limit below where it stands.

    Args:
        posterior: of the unbounded states (n,).
        inputs: (p,) operating conditions, finite.
        model: whose coefficients are ``coefficients.names``, in order.
        coefficients: bounds.

    Returns:
        Of all m model outputs; the interval is of the output itself, without measurement noise.

    Raises:
        ValueError: on wrong shapes or names.
        EvaluationError: when the model cannot be evaluated.
    """
    check(model, inputs, coefficients)
    points, weights = sigma_points(posterior)
    outputs = outputs_of(points, inputs, model, coefficients)
    mean = weights @ outputs
    std = np.sqrt(weights @ (outputs - mean) ** 2)
    n = posterior.mean.size
    slopes = (outputs[1:] - outputs[0]).reshape(2, n, -1) / sigma_radius(n)
    rise = np.sqrt((np.maximum(slopes.max(axis=0), 0.0) ** 2).sum(axis=0))
    fall = np.sqrt((np.minimum(slopes.min(axis=0), 0.0) ** 2).sum(axis=0))
    lower = np.minimum(outputs[0] - _Z_95 * fall, mean)
    return Marginals(mean, std, lower, np.maximum(outputs[0] + _Z_95 * rise, mean))
