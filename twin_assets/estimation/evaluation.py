"""Runs of the model.

Belongs here: the only calls of a model, and what is checked about them.
"""

from dataclasses import dataclass

import numpy as np

from twin_assets.estimation.bounds import Coefficients
from twin_assets.estimation.inputs import EXACT, NoisyInputs
from twin_assets.model import (
    Attempt,
    EvaluationError,
    FailedRow,
    Floats,
    InputPath,
    PredictiveModel,
    TransientModel,
    attempt,
    attempt_each,
    attempt_follow,
)


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
    outputs = _shaped(model.evaluate(values, inputs), values, model)
    finite = np.isfinite(outputs)
    if not finite.all():
        row, column = (int(index) for index in np.argwhere(~finite)[0])
        failing = _named(values[row], model)
        raise EvaluationError(
            f"the model's output '{model.outputs[column]}' is {outputs[row, column]} at {failing}, where a finite"
            " number is expected; check the bounds of the coefficients and the inputs",
            failing,
        )
    return outputs


def attempted(values: Floats, inputs: Floats, model: PredictiveModel) -> Attempt:
    """As ``outputs_of``, but rows that fail are told: the others are finite, those are NaN and among the failures.

    The inputs may also be (k, p), of each row.

    Raises:
        EvaluationError: if the model cannot be run at all, or cannot tell which rows fail.
        ValueError: if the answer has the wrong shape.
    """
    found = attempt(model, values, inputs) if inputs.ndim == 1 else attempt_each(model, values, inputs)
    outputs = _shaped(found.outputs, values, model)
    if not found.failures and np.isfinite(outputs).all():
        return Attempt(outputs)
    told = {failed.row: failed for failed in found.failures}
    for row in np.flatnonzero(~np.isfinite(outputs).all(axis=1)).tolist() if 0 not in told else ():
        column = int(np.flatnonzero(~np.isfinite(outputs[row]))[0])
        reason = f"its output '{model.outputs[column]}' is {outputs[row, column]}"
        told.setdefault(row, FailedRow(row, _named(values[row], model), reason))
    failed = ~np.isfinite(outputs).all(axis=1, keepdims=True)
    return Attempt(np.where(failed, np.nan, outputs), tuple(told[row] for row in sorted(told)))


class Runs:
    """The model under one operating condition: outputs (k, m) of coefficients (k, n), NaN in rows where it failed.

    It counts: nobody who runs the model has to say how often.

    Args:
        model: to run.
        inputs: (p,) physical units.
        noise_std: (m,) of the first m outputs: no others are then given, and these in units of it.
        noisy: inputs whose values stand beside the coefficients (k, n + q).

    Attributes:
        rows: evaluated so far.
    """

    def __init__(
        self, model: PredictiveModel, inputs: Floats, noise_std: Floats | None = None, noisy: NoisyInputs = EXACT
    ) -> None:
        self._model, self._inputs, self._noise_std, self.noisy = model, inputs, noise_std, noisy
        self._failures: list[FailedRow] = []
        self.rows = 0

    def __call__(self, values: Floats) -> Floats:
        """Run the model."""
        self.rows += len(values)
        found = attempted(*self.noisy.apart(values, self._inputs), self._model)
        self._failures += found.failures
        if self._noise_std is None:
            return found.outputs
        return found.outputs[:, : self._noise_std.size] / self._noise_std

    @property
    def failures(self) -> tuple[FailedRow, ...]:
        """All that failed so far."""
        return tuple(self._failures)


@dataclass(frozen=True)
class Broken:
    """A row that could not be followed to the end of a path.

    Attributes:
        failure: as it was told.
        read: from which of the path's reads on nothing is known of it.
    """

    failure: FailedRow
    read: int


class RunsAlong:
    """The model along a path: outputs (k, t, m) of coefficients (k, n), NaN from where on a row failed.

    Args:
        model: to run.
        path: with t reads.
        noise_std: (m,) of the first m outputs: no others are then given, and these in units of it.

    Attributes:
        broken: all that failed so far.
    """

    def __init__(self, model: TransientModel, path: InputPath, noise_std: Floats | None = None) -> None:
        self._model, self._path, self._noise_std = model, path, noise_std
        self.broken: list[Broken] = []

    def __call__(self, values: Floats) -> Floats:
        """Run the model."""
        found = attempt_follow(self._model, values, self._path)
        outputs = np.asarray(found.outputs, dtype=np.float64)
        expected = (len(values), self._path.read.size, len(self._model.outputs))
        if outputs.shape != expected:
            raise ValueError(f"outputs have shape {outputs.shape}, expected {expected}")
        told = {failed.row: failed for failed in found.failures}
        known = np.logical_and.accumulate(np.isfinite(outputs).all(axis=2), axis=1)
        for row in np.flatnonzero(~known[:, -1]).tolist() if known.size else ():
            if row in told or 0 not in told:
                read = int(known[row].sum())
                failed = told.get(row) or FailedRow(row, _named(values[row], self._model), "its outputs are not finite")
                self.broken.append(Broken(failed, read))
        outputs = np.where(known[:, :, np.newaxis], outputs, np.nan)
        return outputs if self._noise_std is None else outputs[:, :, : self._noise_std.size] / self._noise_std

    def failures(self, read: int) -> tuple[FailedRow, ...]:
        """What had failed by one of the reads."""
        return tuple(broken.failure for broken in self.broken if broken.read <= read)


def _shaped(outputs: Floats, values: Floats, model: PredictiveModel) -> Floats:
    outputs = np.asarray(outputs, dtype=np.float64)
    if outputs.shape != (len(values), len(model.outputs)):
        raise ValueError(f"outputs have shape {outputs.shape}, expected {(len(values), len(model.outputs))}")
    return outputs


def _named(values: Floats, model: PredictiveModel) -> dict[str, float]:
    return dict(zip(model.coefficients, values.tolist(), strict=True))
