"""What a unit was calibrated under: the range of each input over all observations that were assimilated so far.

Belongs here: how the ranges grow, and how they are handed on. What lies outside of them is ``validity``'s.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from twin_assets.model import Floats


@dataclass(frozen=True, eq=False)
class Calibrated:
    """Ranges of p inputs.

    Attributes:
        names: of the inputs.
        lower: (p,) least values, inf where nothing was assimilated yet.
        upper: (p,) largest ones, -inf where nothing was.
    """

    names: tuple[str, ...]
    lower: Floats
    upper: Floats

    @classmethod
    def before(cls, names: tuple[str, ...], handed_on: "Calibrated | None") -> Self:
        """What an earlier window handed on of these inputs; of those that it did not know nothing is known."""
        known = {} if handed_on is None else handed_on.ranges
        ranges = np.array([known.get(name, (np.inf, -np.inf)) for name in names]).reshape(-1, 2)
        return cls(names, ranges[:, 0], ranges[:, 1])

    @classmethod
    def of(cls, ranges: Mapping[str, Sequence[float]]) -> Self:
        """Of ranges as ``ranges`` tells them."""
        limits = np.array(list(ranges.values()), dtype=np.float64).reshape(-1, 2)
        return cls(tuple(ranges), limits[:, 0], limits[:, 1])

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Least and largest value of the inputs that were met."""
        limits = zip(self.names, self.lower.tolist(), self.upper.tolist(), strict=True)
        return {name: (low, high) for name, low, high in limits if low <= high}

    def through(self, inputs: Floats, used: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """(k, p) least and largest values up to each of k observations, it included.

        Args:
            inputs: (k, p) of the observations, in order.
            used: (k,) whether anything of it was assimilated.
        """
        counted = used[:, np.newaxis] & np.isfinite(inputs)
        least = np.minimum.accumulate(np.vstack([self.lower, np.where(counted, inputs, np.inf)]))
        largest = np.maximum.accumulate(np.vstack([self.upper, np.where(counted, inputs, -np.inf)]))
        return least[1:], largest[1:]

    def after(self, inputs: Floats, used: NDArray[np.bool_]) -> "Calibrated":
        """Those after k observations."""
        if not len(inputs):
            return self
        lower, upper = self.through(inputs, used)
        return Calibrated(self.names, lower[-1], upper[-1])
