"""Runs of the model.

Belongs here: the only calls of a model, and what is checked about them.
"""

import numpy as np

from twin_assets.estimation.bounds import Coefficients
from twin_assets.model import EvaluationError, Floats, PredictiveModel


def check(model: PredictiveModel, inputs: Floats, coefficients: Coefficients) -> None:
    """Refuse a model that is not about these coefficients, and inputs that are not its own.

    Raises:
        ValueError: names and shapes, found and expected.
    """
    if model.coefficients != coefficients.names:
        raise ValueError(f"the model's coefficients are {model.coefficients}, the filter's {coefficients.names}")
    if np.shape(inputs) != (len(model.inputs),):
        raise ValueError(f"inputs have shape {np.shape(inputs)}, expected one value for each of {model.inputs}")
    if not np.isfinite(inputs).all():
        raise ValueError(f"inputs must be finite, found {inputs} for {model.inputs}")


def outputs_of(values: Floats, inputs: Floats, model: PredictiveModel) -> Floats:
    """Run the model, all rows in one batch.

    Args:
        values: (k, n) coefficients, physical units; the first row serves as the model's anchor.
        inputs: (p,) physical units.
        model: to run.

    Returns:
        (k, m) finite outputs.

    Raises:
        EvaluationError: if the model fails, or answers with what is not finite.
        ValueError: if the answer has the wrong shape.
    """
    outputs = np.asarray(model.evaluate(values, inputs), dtype=np.float64)
    if outputs.shape != (len(values), len(model.outputs)):
        raise ValueError(f"outputs have shape {outputs.shape}, expected {(len(values), len(model.outputs))}")
    finite = np.isfinite(outputs)
    if not finite.all():
        row, column = (int(index) for index in np.argwhere(~finite)[0])
        failing = dict(zip(model.coefficients, values[row].tolist(), strict=True))
        raise EvaluationError(
            f"the model's output '{model.outputs[column]}' is {outputs[row, column]} at {failing}, where a finite"
            " number is expected; check the bounds of the coefficients and the inputs",
            failing,
        )
    return outputs
