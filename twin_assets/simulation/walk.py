"""The outputs of a model that is advanced step by step, for those who judge them."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SMALLER_STEPS = "a smaller max_step_s may help"
# An output of this many times its nominal or first value is not on its way to rest.
RUNAWAY = 1e30
LARGEST_SQUARED = 1e150


class SettleError(Exception):
    """No settled answer: an output moves for ever, or became infinite or NaN; the text says which and how much."""


class Walk:
    """Outputs seen so far, the differences between them, the steps' lengths; ``rhythm`` counts steps on the beat."""

    def __init__(self, advance: Callable[[float], Floats], names: Sequence[str], nominal: Floats) -> None:
        self._advance = advance
        self._nominal = nominal
        self._quiet_square = min(RUNAWAY * float(np.min(nominal)), LARGEST_SQUARED) ** 2
        self.names = names
        self.elapsed_s = 0.0
        self.aside_s = 0.0
        self.steps = 0
        self.rhythm = 0
        self.values: list[Floats] = []
        self.differences: list[Floats] = []
        self.lengths: list[float] = []

    def pass_time(self, step_s: float) -> Floats:
        """Make a step off the beat, which does not count as patience; the outputs (m,) then."""
        self.rhythm = 0
        self.aside_s += step_s
        value = self._finite(step_s)
        self.values[-1] = value
        return value

    def go(self, step_s: float) -> None:
        """Make a step and remember what it changed."""
        value = self._finite(step_s)
        if self.values:
            self.differences.append(value - self.values[-1])
            self.lengths.append(step_s)
            self.rhythm += 1
        self.values.append(value)

    def tolerances(self, relative: float) -> Floats:
        """(m,) what is so much of max(abs(output), nominal)."""
        return np.asarray(relative * np.maximum(np.abs(self.values[-1]), self._nominal), dtype=np.float64)

    def _finite(self, step_s: float) -> Floats:
        value = self._advance(step_s)
        self.elapsed_s += step_s
        self.steps += 1
        # One product tells whether there is anything to look for; this is done at every step of every evaluation.
        if value.dot(value) <= self._quiet_square:
            return value
        if not np.isfinite(value).all():
            worst = int(np.flatnonzero(~np.isfinite(value))[0])
            raise SettleError(
                f"'{self.names[worst]}' became {value[worst]} after {self.elapsed_s:g} simulated s, in a step of"
                f" {step_s:g} s: {SMALLER_STEPS}, where the FMU's own solver does not bear long steps"
            )
        first = self.values[0] if self.values else value
        away = np.abs(value) / np.maximum(np.abs(first), self._nominal)
        if away.max() > RUNAWAY:
            worst = int(np.argmax(away))
            raise SettleError(
                f"'{self.names[worst]}' runs away: {value[worst]:.3g} after {self.elapsed_s:g} simulated s, in a step"
                f" of {step_s:g} s: {SMALLER_STEPS}, where the FMU's own solver does not bear long steps"
            )
        return value
