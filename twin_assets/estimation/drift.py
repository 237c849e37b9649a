"""How the coefficients move between observations: a random walk that the bounds reflect.

Belongs here: the time update. It knows elapsed time, never the count of samples.
"""

from dataclasses import dataclass

import numpy as np

from twin_assets.estimation.bounds import Coefficients
from twin_assets.estimation.gaussian import Gaussian, quadrature, triangular
from twin_assets.model import Floats

# Quantiles of the reflected walk that the Gaussian in z has to honour, and the standard normal one of the latter.
_FLOOR, _REACH, _Z_REACH = 0.05, 0.975, 1.959963984540054
# A bound this many standard deviations and this many scales away is not felt, to rounding.
_FAR_STD, _FAR_SCALES = 9.0, 36.0
# The last step to a quantile is shorter than this, in standard deviations of the walk. Newton's method squares it: what
# is left is about 1e-4. Three to six rounds do.
_CLOSE, _ROUNDS = 1e-2, 60
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
    nodes, weights = quadrature()
    law = _Folded(np.logaddexp(0.0, mean + nodes * std), walk, weights)
    floor, reach = law.quantiles(np.array([[_FLOOR], [_REACH]]), width)
    new = np.maximum(mean, floor)
    kept = law.unreflected()
    variance = (np.maximum(reach - new, 0.0) / _Z_REACH) ** 2
    return new, kept, np.maximum(variance - (kept * std) ** 2, walk**2)


@dataclass(frozen=True, eq=False)
class _Folded:
    """Folded normal laws, mixed: where reflected walks of k coefficients end.

    Attributes:
        start: (q, k) where they begin, not negative.
        walk: (k,) standard deviation.
        weights: (q,) of the starts.
    """

    start: Floats
    walk: Floats
    weights: Floats

    def quantiles(self, probabilities: Floats, width: Floats) -> Floats:
        """(p, k) states z whose coefficients are the quantiles, or those of a uniform law on (0, width) if less.

        Newton's method on the normal scale, where such a law is nearly straight, inside the bracket of a bisection.
        """
        from scipy.special import ndtri

        target = ndtri(probabilities)
        center = self.weights @ self.start
        spread = np.sqrt(self.walk**2 + self.weights @ (self.start - center) ** 2)
        low = np.zeros((len(probabilities), self.walk.size))
        high = low + self.start.max(axis=0) + _FAR_STD * self.walk
        # Far from the bound the law is about normal, at the bound it is half a normal law.
        value = np.maximum(center + spread * target, self.walk * ndtri((1.0 + probabilities) / 2.0))
        value = np.minimum(value, high)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            for _ in range(_ROUNDS):
                probability, density = self._law(value)
                normal = ndtri(probability)
                excess = normal - target
                below = excess < 0.0
                np.copyto(low, value, where=below)
                np.copyto(high, value, where=~below)
                step = excess * np.exp(-0.5 * normal**2) / (_ROOT_2_PI * density)
                new = value - step
                # Rounding may put the last, smallest step beyond the bracket; that is no reason to bisect.
                close = np.abs(step) < _CLOSE * self.walk
                value = np.where(close | ((new > low) & (new < high)), new, (low + high) / 2.0)
                if close.all():
                    break
        value = np.minimum(value, probabilities * width)
        return np.asarray(value + np.log(-np.expm1(-value)), dtype=np.float64)

    def _law(self, value: Floats) -> tuple[Floats, Floats]:
        """(p, k) probability that a coefficient ends below a value (p, k), and the density there."""
        from scipy.special import ndtr

        value = value[:, np.newaxis, :]
        ahead, mirrored = (value - self.start) / self.walk, (-value - self.start) / self.walk
        bells = np.exp(-0.5 * ahead**2) + np.exp(-0.5 * mirrored**2)
        probability = np.asarray(self.weights @ (ndtr(ahead) - ndtr(mirrored)), dtype=np.float64)
        return probability, np.asarray(self.weights @ bells / (_ROOT_2_PI * self.walk), dtype=np.float64)

    def unreflected(self) -> Floats:
        """(k,) E[d b' / d b]: the part of a displacement that survives the reflection."""
        from scipy.special import ndtr

        return np.asarray(self.weights @ (1.0 - 2.0 * ndtr(-self.start / self.walk)), dtype=np.float64)
