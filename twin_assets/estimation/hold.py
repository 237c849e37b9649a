"""Holding what the measurements do not determine: it stays at its prior, whatever drift and curvature pretend.

A Kalman update moves nothing along a direction that the measurements do not see, if the model is linear. Two things
still happen there. Drift widens the prior without end, for nothing ever narrows it. And where the model is curved (a
product of two coefficients is told, the two are not) its slopes over the width of the prior are no longer those of the
level set, and the filter takes their error for information: the variance shrinks by measurements that tell nothing, and
the mean wanders. Filters for localization know it as the inconsistency of unobservable directions; the remedy there is
to make the linearized model as blind as the real one (Huang, Mourikis and Roumeliotis 2010, observability-constrained
filters).

Belongs here: the same for coefficients, before each update: look where the model is blind, make its affine model so,
and give such directions the prior's variance, apart from all the rest.
"""

from dataclasses import replace

import numpy as np

from twin_assets.estimation.bounds import Coefficients, physical
from twin_assets.estimation.coordinates import straight
from twin_assets.estimation.gate import Prediction
from twin_assets.estimation.gaussian import Gaussian
from twin_assets.estimation.seen import seen_around
from twin_assets.model import Floats

# A direction with less than this part of its prior variance has been told something, at another operating point.
_UNTOLD = 0.5


class _SilentError(Exception):
    """The model could not be run beside the estimate."""


def held(prediction: Prediction, posterior: Gaussian, inputs: int = 0) -> Prediction | None:
    """A prediction that no observation moves along what the model does not show here.

    Directions of which nothing has been told before have the prior's variance, and their mean is where it was. Those
    that were told at another operating point keep what is known of them, and drift on.

    Args:
        prediction: of the observation to come.
        posterior: after the observation before, from where the prediction drifted.
        inputs: how many of the last unknowns are inputs with errors: they are no coefficients, and none is held.

    Returns:
        The prediction to be used, for 2n+1 model runs, and some more where the model is blind. None where it cannot be
        run there: what would have to be held is not known then.
    """
    coefficients, center = prediction.coefficients, prediction.believed.mean
    n = center.size - inputs

    def measure(values: Floats) -> Floats:
        outputs = prediction.predict(np.hstack([values, np.tile(center[n:], (len(values), 1))]))
        if np.isnan(outputs).any():
            raise _SilentError
        return outputs

    try:
        blind = seen_around(measure, straight(coefficients.first(n), around=center[:n])).blind
    except _SilentError:
        return None
    if not blind.size:
        return prediction
    blind = np.vstack([blind, np.zeros((inputs, blind.shape[1]))])
    std = coefficients.initial_std
    seen = np.eye(std.size) - blind @ blind.T
    flat = replace(prediction.model, slope=prediction.model.slope * std @ seen / std)
    # What the clamp hides of a coefficient, its state has to go the farther for.
    blind_states = np.linalg.qr(blind / prediction.believed.slope[:, np.newaxis])[0]
    prior = at_prior(prediction.prior, posterior, blind_states, coefficients)
    return replace(prediction, prior=prior, believed=physical(prior, coefficients), model=flat)


def at_prior(drifted: Gaussian, posterior: Gaussian, blind: Floats, coefficients: Coefficients) -> Gaussian:
    """The prior of the next observation, with what has never been told of blind directions as it was at first.

    Args:
        drifted: of the n states.
        posterior: that it drifted from.
        blind: (n, k) orthonormal directions of the states, in prior standard deviations.
        coefficients: whose ``initial_std`` these are.
    """
    std = coefficients.initial_std
    cov = drifted.cov / np.outer(std, std)
    variances, mix = np.linalg.eigh(blind.T @ cov @ blind)
    untold = blind @ mix[:, variances > _UNTOLD]
    moved = untold @ (untold.T @ ((drifted.mean - posterior.mean) / std)) * std
    return Gaussian(drifted.mean - moved, apart(cov, untold) * np.outer(std, std))


def apart(cov: Floats, directions: Floats) -> Floats:
    """A covariance (n, n) in prior standard deviations, with orthonormal directions (n, k) as the prior has them."""
    rest = np.eye(len(cov)) - directions @ directions.T
    found = rest @ cov @ rest + directions @ directions.T
    return np.asarray((found + found.T) / 2.0, dtype=np.float64)
