"""What every predictive model promises: the Protocol at which simulation and estimation meet.

Belongs here: the Protocol and the error of a failed evaluation. FMUs are in ``simulation``, filters in ``estimation``.
"""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from twin_assets.errors import TwinError

Floats = NDArray[np.float64]


class EvaluationError(TwinError):
    """A model could not be evaluated, also not on a second try; names the coefficients of the failing run.

    Attributes:
        coefficients: name to value (model units) of the evaluation that failed.
    """

    def __init__(self, message: str, coefficients: Mapping[str, float]) -> None:
        super().__init__(message)
        self.coefficients = dict(coefficients)


class PredictiveModel(Protocol):
    """A model with named coefficients, inputs and outputs, evaluated in batches."""

    @property
    def coefficients(self) -> tuple[str, ...]:
        """Names of the n inferred coefficients, in the order of the columns of ``evaluate``'s argument."""
        ...

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the p operating conditions."""
        ...

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the m predicted quantities: measurements first, then virtual sensors."""
        ...

    def evaluate(self, coefficients: Floats, inputs: Floats) -> Floats:
        """Predict the outputs of k coefficient vectors under one operating condition.

        A pure function: the same arguments give bit-identical results, whatever was evaluated before, in whichever
        process. (Row 0 may serve as the anchor from which the other rows start, so a row's result may depend on row 0.)

        Args:
            coefficients: (k, n), physical units.
            inputs: (p,), physical units.

        Returns:
            (k, m) outputs.

        Raises:
            EvaluationError: if a row fails twice.
        """
        ...
