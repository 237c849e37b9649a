"""Bounds: the coefficients that are filtered, and the map between them and the unbounded state z.

Belongs here: what a coefficient is to the filter, the smooth clamp, its inverse, the prior. How z moves through time,
also at the bound, is in ``drift``.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from twin_assets.estimation.gaussian import Gaussian, Linearized, frozen, linearized, moments
from twin_assets.model import Floats

# The clamp bends over about three of these on either side of the bound, a little more than the prior's width: small
# against what the prior calls likely, wide enough that the sigma points of a healthy bearing reach its active side.
_SCALE_PER_PRIOR_STD = 0.4
# A narrow range still has an interior where z is the coefficient: at its middle the slope is 1 - 1e-4.
_SCALES_PER_RANGE = 20.0
# A prior at the bound starts this many scales beyond it, where the clamp is within 5 % of a scale of the bound.
_DEEPEST_PRIOR = 3.0
# Scales from a bound: there the clamp adds less than a rounding error of a scale.
_NOT_FELT = -40.0


@dataclass(frozen=True, eq=False)
class Coefficients:
    """The n coefficients that the filter infers, in physical units.

    Attributes:
        names: in the order of the state.
        initial: (n,) prior values, within the bounds.
        initial_std: (n,) prior standard deviations, positive.
        drift_std_per_sqrt_hour: (n,) standard deviation of the random walk after one hour, not negative.
        lower: (n,) bounds, -inf for none.
        upper: (n,) bounds, inf for none.
    """

    names: tuple[str, ...]
    initial: Floats
    initial_std: Floats
    drift_std_per_sqrt_hour: Floats
    lower: Floats
    upper: Floats

    def __post_init__(self) -> None:
        for field in ("initial", "initial_std", "drift_std_per_sqrt_hour", "lower", "upper"):
            array = frozen(getattr(self, field))
            if array.shape != (len(self.names),):
                raise ValueError(f"{field} has shape {array.shape}, expected one value for each of {self.names}")
            object.__setattr__(self, field, array)
        self._check("initial_std must be positive and finite", (self.initial_std > 0) & np.isfinite(self.initial_std))
        drift = self.drift_std_per_sqrt_hour
        self._check("drift_std_per_sqrt_hour must not be negative", (drift >= 0) & np.isfinite(drift))
        self._check("lower must be below upper", self.lower < self.upper)
        within = (self.initial >= self.lower) & (self.initial <= self.upper) & np.isfinite(self.initial)
        self._check("initial must be finite and within the bounds", within)

    def _check(self, rule: str, holds: np.ndarray) -> None:
        if not holds.all():
            wrong = ", ".join(name for name, fine in zip(self.names, holds, strict=True) if not fine)
            raise ValueError(f"{rule}: {wrong}")

    def first(self, n: int) -> "Coefficients":
        """The first n of them; itself, if there are no more."""
        if n == len(self.names):
            return self
        arrays = (self.initial, self.initial_std, self.drift_std_per_sqrt_hour, self.lower, self.upper)
        return Coefficients(self.names[:n], *(array[:n] for array in arrays))

    @cached_property
    def scale(self) -> Floats:
        """(n,) width of the bend of the clamp, physical units."""
        scale = np.minimum(_SCALE_PER_PRIOR_STD * self.initial_std, (self.upper - self.lower) / _SCALES_PER_RANGE)
        return frozen(scale)


def to_physical(state: Floats, coefficients: Coefficients) -> Floats:
    """The smooth clamp: coefficients of unbounded states.

    With softplus(x) = log(1 + exp(x)) and scale s it is b = lo + s [softplus((z - lo) / s) - softplus((z - hi) / s)],
    written so that an infinite bound drops out: the identity (slope 1) in the interior, bending within about three
    scales of a bound (slope 1/2 at z = lo), never beyond it, and never flat.

    Args:
        state: (..., n) unbounded.
        coefficients: of n bounds.

    Returns:
        (..., n) physical units, within the bounds.
    """
    # The clip removes rounding alone.
    values = np.clip(state + _pushed(state, coefficients), coefficients.lower, coefficients.upper)
    return np.asarray(values, dtype=np.float64)


def _pushed(state: Floats, coefficients: Coefficients) -> Floats:
    """(..., n) what the clamp adds to a state."""
    scale = coefficients.scale
    below = np.logaddexp(0.0, (coefficients.lower - state) / scale)
    beyond = (state - coefficients.upper) / scale
    # Most coefficients are far from their upper bound, and nothing takes as long here as this function.
    if beyond.max(initial=-np.inf) < _NOT_FELT:
        return np.asarray(scale * below, dtype=np.float64)
    return np.asarray(scale * (below - np.logaddexp(0.0, beyond)), dtype=np.float64)


def to_state(values: Floats, coefficients: Coefficients) -> Floats:
    """The clamp's inverse, in closed form; a value on a bound is infinitely far away.

    Args:
        values: (..., n) physical units, within the bounds.
        coefficients: of n bounds.

    Returns:
        (..., n) states, -inf and inf on the bounds.
    """
    scale = coefficients.scale
    with np.errstate(divide="ignore"):
        below = np.log(-np.expm1((coefficients.lower - values) / scale))
        above = np.log(-np.expm1((values - coefficients.upper) / scale))
    return np.asarray(values + scale * (below - above), dtype=np.float64)


def clamp_slope(state: Floats, coefficients: Coefficients) -> Floats:
    """(..., n) derivative of ``to_physical``, between 0 and 1."""
    below = np.exp(-np.logaddexp(0.0, (state - coefficients.lower) / coefficients.scale))
    above = np.exp(-np.logaddexp(0.0, (coefficients.upper - state) / coefficients.scale))
    return np.asarray(1.0 - below - above, dtype=np.float64)


def physical(state: Gaussian, coefficients: Coefficients) -> Linearized:
    """The clamp, statistically linearized: moments of the coefficients and how they go with the states."""
    return linearized(state, lambda points: _pushed(points, coefficients))


def clamped(mean: Floats, std: Floats, coefficients: Coefficients) -> tuple[Floats, Floats, Floats]:
    """The same of states of means and standard deviations (n,): mean, slope, variance of what is not linear."""
    return moments(mean, std, lambda points: _pushed(points, coefficients))


def prior(coefficients: Coefficients) -> Gaussian:
    """What is believed before any observation, in the state space.

    An initial value on a bound, where the inverse is infinite, starts three scales beyond it: practically at the bound,
    and within reach of its active side.
    """
    reach = _DEEPEST_PRIOR * coefficients.scale
    mean = np.clip(to_state(coefficients.initial, coefficients), coefficients.lower - reach, coefficients.upper + reach)
    return Gaussian(mean, np.diag(coefficients.initial_std**2))
