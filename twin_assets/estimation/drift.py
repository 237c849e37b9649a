"""How the coefficients move between observations: a random walk that the bounds reflect.

Belongs here: the time update. It knows elapsed time, never the count of samples.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from twin_assets.estimation.bounds import Coefficients
from twin_assets.estimation.gaussian import Gaussian, frozen, quadrature, triangular
from twin_assets.model import Floats

# Quantiles of the reflected walk that the Gaussian in z has to honour, and the standard normal one of the latter.
_FLOOR, _REACH, _Z_REACH = 0.05, 0.975, 1.959963984540054
# Where the coefficient of z's mean is more than so many standard deviations of the walk, the floor is below it for
# certain: half the walks begin below that coefficient c, and each of those ends there with a chance of at least
# 1/2 - Phi(-2 c / walk). This is where half of that is the floor's probability.
_FLOOR_NOT_FELT = 0.12667355156789987
# A bound this many standard deviations and this many scales away is not felt, to rounding.
_FAR_STD, _FAR_SCALES = 9.0, 36.0
# The last step to a quantile is shorter than this, in standard deviations of the walk. Newton's method squares it: what
# is left is about 1e-5. Three to six rounds do.
_CLOSE, _ROUNDS = 3e-3, 60
_ROOT_2_PI = 2.5066282746310002


@dataclass(frozen=True, eq=False)
class Drift:
    """What elapsed time does to a posterior z, state by state: z' = mean + kept (z - z_mean) + noise.

    Attributes:
        mean: (n,) of z'.
        kept: (n,) the part of a displacement that survives, between 0 and 1.
        added_std: (n,) standard deviations of the noise, independent of z.
    """

    mean: Floats
    kept: Floats
    added_std: Floats


def drifted(posterior: Gaussian, elapsed_h: float, coefficients: Coefficients) -> Gaussian:
    """The prior of the next observation: what was known, moved on by elapsed time (``drift``).

    Args:
        posterior: of the n states.
        elapsed_h: hours, not negative.
        coefficients: bounds and drift.

    Returns:
        Prior of the n states.
    """
    if not (coefficients.drift_std_per_sqrt_hour * np.sqrt(elapsed_h)).any():
        return posterior
    moved = drift(posterior, elapsed_h, coefficients)
    root = triangular(moved.kept[:, np.newaxis] * posterior.root, np.diag(moved.added_std))
    return Gaussian.of_root(moved.mean, root)


def drift(posterior: Gaussian, elapsed_h: float, coefficients: Coefficients) -> Drift:
    """How z moves within a time: as a walk that the bounds reflect.

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
        Mean, what is kept and what is added, of the n states.
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
    return Drift(mean, kept, np.sqrt(added))


def _reflected(mean: Floats, std: Floats, walk: Floats, width: Floats) -> tuple[Floats, Floats, Floats]:
    """One bound at 0, z and coefficient in scales: the new mean, the part of the old state that is kept, the variance.

    Args:
        mean: (k,) of z.
        std: (k,) of z.
        walk: (k,) standard deviation of the coefficient's walk.
        width: (k,) of the range; the far bound only limits the quantiles to those of a uniform law.
    """
    nodes, _ = quadrature()
    law = _Folded(np.logaddexp(0.0, mean + nodes * std) / walk)
    new = mean.copy()
    deep = np.logaddexp(0.0, mean) <= _FLOOR_NOT_FELT * walk
    if deep.any():
        floor = _Folded(law.start[:, deep]).quantile(_FLOOR, width[deep] / walk[deep])
        new[deep] = np.maximum(mean[deep], _state(floor * walk[deep]))
    reach = _state(law.quantile(_REACH, width / walk) * walk)
    kept = law.unreflected()
    variance = (np.maximum(reach - new, 0.0) / _Z_REACH) ** 2
    return new, kept, np.maximum(variance - (kept * std) ** 2, walk**2)


def _state(value: Floats) -> Floats:
    """(k,) states z of coefficients (k,), with the bound at 0 and in scales."""
    return np.asarray(value + np.log(-np.expm1(-value)), dtype=np.float64)


@cache
def _there_and_back() -> tuple[Floats, Floats]:
    """(2q, 1) signs of walks that end at a value, and at its mirror image; (2, 2q) weights of the chances of both.

    The first of the weights are those of their distribution functions, the second of their densities.
    """
    _, weights = quadrature()
    signs = np.repeat([1.0, -1.0], weights.size)
    return frozen(signs[:, np.newaxis]), frozen(np.tile(weights, 2) * [signs, np.ones_like(signs)])


@dataclass(frozen=True, eq=False)
class _Folded:
    """Folded normal laws, mixed: where reflected walks of k coefficients end; in standard deviations of the walk.

    Attributes:
        start: (q, k) where they begin, not negative; as likely as the nodes of the quadrature.
    """

    start: Floats

    def quantile(self, probability: float, width: Floats) -> Floats:
        """(k,) the quantile, or that of a uniform law on (0, width) if that is less.

        Newton's method on the normal scale, where such a law is nearly straight, inside the bracket of a bisection.
        """
        from scipy.special import ndtri

        target = ndtri(probability)
        _, weights = quadrature()
        center = weights @ self.start
        spread = np.sqrt(1.0 + weights @ (self.start - center) ** 2)
        low, high = np.zeros(center.size), self.start.max(axis=0) + _FAR_STD
        # Far from the bound the law is about normal, at the bound it is half a normal law.
        value = np.minimum(np.maximum(center + spread * target, ndtri((1.0 + probability) / 2.0)), high)
        both = np.vstack([self.start, self.start])
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            for _ in range(_ROUNDS):
                below, density = _law(value, both)
                normal = ndtri(below)
                excess = normal - target
                short = excess < 0.0
                np.copyto(low, value, where=short)
                np.copyto(high, value, where=~short)
                step = excess * np.exp(-0.5 * normal**2) / (_ROOT_2_PI * density)
                new = value - step
                # Rounding may put the last, smallest step beyond the bracket; that is no reason to bisect.
                close = np.abs(step) < _CLOSE
                value = np.where(close | ((new > low) & (new < high)), new, (low + high) / 2.0)
                if close.all():
                    break
        return np.asarray(np.minimum(value, probability * width), dtype=np.float64)

    def unreflected(self) -> Floats:
        """(k,) E[d b' / d b]: the part of a displacement that survives the reflection."""
        from scipy.special import ndtr

        _, weights = quadrature()
        return np.asarray(weights @ (1.0 - 2.0 * ndtr(-self.start)), dtype=np.float64)


def _law(value: Floats, both: Floats) -> tuple[Floats, Floats]:
    """(k,) probability that a walk ends below a value (k,), and the density there; ``both``: (2q, k) starts, twice."""
    from scipy.special import ndtr

    signs, (falling, bells) = _there_and_back()
    away = signs * value - both
    density = bells @ np.exp(-0.5 * away**2) / _ROOT_2_PI
    return np.asarray(falling @ ndtr(away), dtype=np.float64), np.asarray(density, dtype=np.float64)
