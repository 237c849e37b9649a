"""Coordinates of the coefficients around a point: in which of them sums, or products, lead straight on.

Belongs here: from coordinates to coefficients, inside the bounds. What the model says there is asked in ``seen`` and
``laws``.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from twin_assets.estimation.bounds import Coefficients
from twin_assets.model import Floats

# Small enough to be local (a product of two coefficients should look like one), large against what settling leaves.
STEP_IN_PRIOR_STD = 0.25
# Of a range: steps both ways from a point that keeps this distance from the bounds stay inside.
_PART_OF_RANGE = 0.25


class Coordinates(Protocol):
    """Coordinates x of n coefficients, in prior standard deviations from a point, where they are zero."""

    @property
    def reach(self) -> Floats:
        """(n,) how far a small step may go both ways."""
        ...

    def at(self, x: Floats) -> Floats:
        """(k, n) coefficients, physical units, of coordinates (k, n)."""
        ...


@dataclass(frozen=True, eq=False)
class Chart:
    """Straight coordinates, b = center + std x, or for some coefficients b = center exp(std x / center).

    A sum is constant along straight lines of the former, a product of powers along those of the latter, exponential
    ones; in the center the two have the same slopes.

    Attributes:
        center: (n,) physical units.
        std: (n,) prior standard deviations.
        reach: (n,) see Coordinates.
        exponential: (n,) bool.
    """

    center: Floats
    std: Floats
    reach: Floats
    exponential: np.ndarray

    def at(self, x: Floats) -> Floats:
        """See Coordinates."""
        change = x * self.std
        relative = np.divide(change, self.center, out=np.zeros_like(change), where=self.exponential)
        return np.asarray(np.where(self.exponential, self.center * np.exp(relative), self.center + change))

    def ahead(self, direction: Floats, lower: Floats, upper: Floats) -> float:
        """How many times a direction (n,) can be gone before it leaves the bounds; inf if it never does."""
        used = direction != 0.0
        limit = np.where(direction > 0.0, upper, lower)
        with np.errstate(divide="ignore", invalid="ignore"):
            curved = np.log(limit / self.center) * self.center / self.std
        room = np.where(self.exponential, curved, (limit - self.center) / self.std)
        return float((room[used] / direction[used]).min(initial=np.inf))


def straight(coefficients: Coefficients, room: float = STEP_IN_PRIOR_STD, around: Floats | None = None) -> Chart:
    """Coordinates in which sums lead straight on, around values (n,) of the coefficients: the initial ones if None.

    Where these are nearer to a bound than ``room`` prior standard deviations (or a quarter of the range), around a
    point that far inside.
    """
    values = coefficients.initial if around is None else around
    reach = np.minimum(room * coefficients.initial_std, _PART_OF_RANGE * (coefficients.upper - coefficients.lower))
    center = np.clip(values, coefficients.lower + reach, coefficients.upper - reach)
    return Chart(center, coefficients.initial_std, reach / coefficients.initial_std, np.zeros(center.size, dtype=bool))


def exponential(coefficients: Coefficients, room: float = STEP_IN_PRIOR_STD) -> Chart:
    """Coordinates in which products lead straight on, around the same point; sums of what may be zero or negative do.

    Positive is what has bounds that say so, or a prior that keeps a standard deviation from zero.
    """
    chart = straight(coefficients, room)
    positive = (chart.center > 0.0) & ((coefficients.lower >= 0.0) | (chart.center >= chart.std))
    # They bend outward; with half the steps they stay inside the bounds too, no center being nearer to zero than these.
    return Chart(chart.center, chart.std, np.where(positive, 0.5, 1.0) * chart.reach, positive)
