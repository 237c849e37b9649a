"""Many observations at once, and what the model says to all of them.

Belongs here: a recording as arrays, the runs of the model that it takes, differences. What is made of them is in
``static``.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from twin_assets.estimation.bounds import Coefficients
from twin_assets.estimation.evaluation import outputs_of
from twin_assets.estimation.gaussian import frozen
from twin_assets.model import Floats, PredictiveModel


@dataclass(frozen=True, eq=False)
class Batch:
    """Settled observations of one machine, in any order; N values are measured in all.

    Attributes:
        inputs: (t, p) operating conditions, finite.
        observations: (t, m) measured values in the order of the model's first m outputs, NaN where missing.
    """

    inputs: Floats
    observations: Floats

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", frozen(self.inputs))
        object.__setattr__(self, "observations", frozen(self.observations))
        shapes = self.inputs.shape, self.observations.shape
        if self.inputs.ndim != 2 or self.observations.ndim != 2 or shapes[0][0] != shapes[1][0]:  # noqa: PLR2004
            raise ValueError(f"inputs (t, p) and observations (t, m) are expected, found {shapes[0]} and {shapes[1]}")
        if not np.isfinite(self.inputs).all():
            raise ValueError("inputs must be finite; leave out the observations whose operating condition is not known")
        if not self.measured.any():
            raise ValueError("nothing is measured: every observation is NaN")

    @cached_property
    def measured(self) -> NDArray[np.bool_]:
        """(t, m) where there is a value."""
        return np.isfinite(self.observations)

    @cached_property
    def values(self) -> Floats:
        """(N,) what was measured."""
        return frozen(self.observations[self.measured])

    @cached_property
    def channel(self) -> NDArray[np.intp]:
        """(N,) column of each value."""
        return np.nonzero(self.measured)[1]

    @cached_property
    def _conditions(self) -> tuple[Floats, NDArray[np.intp]]:
        """(c, p) distinct operating conditions, and (t,) which of them each observation was made under."""
        distinct, which = np.unique(self.inputs, axis=0, return_inverse=True)
        return distinct, which.reshape(-1)

    @property
    def conditions(self) -> int:
        """How many operating conditions differ: so many runs a vector of coefficients takes."""
        return len(self._conditions[0])

    def predicted(self, values: Floats, model: PredictiveModel) -> Floats:
        """(k, N) what the model says to k vectors of coefficients (k, n): one evaluation a distinct condition.

        Raises:
            EvaluationError: when the model cannot be evaluated.
        """
        distinct, which = self._conditions
        m = self.observations.shape[1]
        outputs = np.stack([outputs_of(values, inputs, model)[:, :m] for inputs in distinct], axis=1)
        return outputs[:, which][:, self.measured]

    def slopes(self, values: Floats, step: Floats, model: PredictiveModel, coefficients: Coefficients) -> Floats:
        """(N, n) change of every value per physical unit of each coefficient (n,), by differences within the bounds.

        Central ones, whose error is of second order in the step (n,); one-sided where a bound is nearer than that. The
        center is run too: the other rows are started from it.
        """
        up = np.minimum(values + np.diag(step), coefficients.upper)
        down = np.maximum(values - np.diag(step), coefficients.lower)
        outputs = self.predicted(np.vstack([values, up, down]), model)
        n = values.size
        return np.asarray((outputs[1 : n + 1] - outputs[n + 1 :]).T / np.diag(up - down), dtype=np.float64)
