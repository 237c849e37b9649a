"""How the coefficients move between observations: a random walk that the bounds reflect.

Belongs here: the time update. It knows elapsed time, never the count of samples.
"""

import numpy as np

from twin_assets.estimation.bounds import Coefficients
from twin_assets.estimation.gaussian import Gaussian, quadrature
from twin_assets.model import Floats

# Quantiles of the reflected walk that the Gaussian in z has to honour, and the standard normal one of the latter.
_FLOOR, _REACH, _Z_REACH = 0.05, 0.975, 1.959963984540054
# A bound this many standard deviations and this many scales away is not felt, to rounding.
_FAR_STD, _FAR_SCALES = 9.0, 36.0
# A quantile is found to 1e-7 of where it may lie, far below a standard deviation.
_BISECTIONS = 24


def drifted(posterior: Gaussian, elapsed_h: float, coefficients: Coefficients) -> Gaussian:
    """The prior of the next observation: what was known, moved on by elapsed time.

    Away from bounds this is the plain random walk, P + drift^2 t. At a bound it is not enough to let z walk: where
    nothing is learnt (a healthy bearing, for months) z would wander ever deeper beyond the bound, and what is that deep
    does not come back in time when the bearing wears: measured precisely, its rise is gated as an outlier for ever. The
    coefficient itself cannot get stuck; it walks in physical units and is reflected. Its law after that time is known
    (the folded normal, mixed over the posterior), and the Gaussian in z honours it in two places.

    - Its mean is where it was, but not below the law's 5 % quantile: what was learnt about a healthy bearing is kept,
      as far as the walk lets it be true.
    - Its width takes in the law's 97.5 % quantile: what the walk can do within the time is no surprise.

    Inside the range both say nothing new. The covariance with other coefficients shrinks by the part of a state that
    survives reflection, E[d b' / d b].

    Args:
        posterior: of the n states.
        elapsed_h: hours, not negative.
        coefficients: bounds and drift.

    Returns:
        Prior of the n states.
    """
    walk_std = coefficients.drift_std_per_sqrt_hour * np.sqrt(elapsed_h)
    mean, kept, added = posterior.mean.copy(), np.ones_like(posterior.mean), walk_std**2
    lower_is_nearer = posterior.mean - coefficients.lower <= coefficients.upper - posterior.mean
    bound = np.where(lower_is_nearer, coefficients.lower, coefficients.upper)
    inward = np.where(lower_is_nearer, 1.0, -1.0)
    reach = _FAR_STD * (posterior.std + walk_std) + _FAR_SCALES * coefficients.scale
    felt = (walk_std > 0.0) & (inward * (posterior.mean - bound) < reach)
    if felt.any():
        # Distances from the bound, in scales of the clamp.
        unit = coefficients.scale[felt]
        depth = (inward * (posterior.mean - bound))[felt] / unit
        width = (coefficients.upper - coefficients.lower)[felt] / unit
        depth, kept[felt], noise = _reflected(depth, posterior.std[felt] / unit, walk_std[felt] / unit, width)
        mean[felt] = bound[felt] + inward[felt] * depth * unit
        added[felt] = noise * unit**2
    return Gaussian(mean, np.outer(kept, kept) * posterior.cov + np.diag(added))


def _reflected(mean: Floats, std: Floats, walk: Floats, width: Floats) -> tuple[Floats, Floats, Floats]:
    """One bound at 0, z and coefficient in scales: the new mean, the part of the old state that is kept, the variance.

    Args:
        mean: (k,) of z.
        std: (k,) of z.
        walk: (k,) standard deviation of the coefficient's walk.
        width: (k,) of the range; the far bound only limits the quantiles to those of a uniform law.
    """
    from scipy.special import ndtr

    nodes, weights = quadrature()
    start = np.logaddexp(0.0, mean + nodes * std)

    def law(value: Floats) -> Floats:
        return np.asarray(weights @ (ndtr((value - start) / walk) - ndtr((-value - start) / walk)), dtype=np.float64)

    def quantile(probability: float) -> Floats:
        low, high = np.zeros_like(mean), start.max(axis=0) + _FAR_STD * walk
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2.0
            above = law(middle) < probability
            low, high = np.where(above, middle, low), np.where(above, high, middle)
        value = np.minimum(high, probability * width)
        return np.asarray(value + np.log(-np.expm1(-value)), dtype=np.float64)

    new = np.maximum(mean, quantile(_FLOOR))
    kept = np.asarray(weights @ (1.0 - 2.0 * ndtr(-start / walk)), dtype=np.float64)
    variance = (np.maximum(quantile(_REACH) - new, 0.0) / _Z_REACH) ** 2
    return new, kept, np.maximum(variance - (kept * std) ** 2, walk**2)
