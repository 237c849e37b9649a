"""Models that are formulas."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from twin_assets.estimation import Coefficients
from twin_assets.model import Floats

Formula = Callable[[Floats, Floats], Floats]


@dataclass(frozen=True)
class ClosedForm:
    """A predictive model whose outputs (k, m) are a formula of the coefficients (k, n) and the inputs (p,)."""

    formula: Formula
    coefficients: tuple[str, ...]
    outputs: tuple[str, ...]
    inputs: tuple[str, ...] = ()

    def evaluate(self, coefficients: Floats, inputs: Floats) -> Floats:
        """All rows; what a formula does outside its domain is for the caller to judge."""
        with np.errstate(all="ignore"):
            return self.formula(coefficients, inputs)


def free(names: tuple[str, ...], initial: Floats, initial_std: Floats) -> Coefficients:
    """Coefficients without bounds or drift."""
    n = len(names)
    return Coefficients(names, initial, initial_std, np.zeros(n), np.full(n, -np.inf), np.full(n, np.inf))
