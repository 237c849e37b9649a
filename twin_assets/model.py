"""What every predictive model promises: the Protocol at which simulation and estimation meet.

Belongs here: the Protocols, what is said of failed evaluations, how operating conditions move through time. FMUs are in
``simulation``, filters in ``estimation``.
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from twin_assets.errors import TwinError

Floats = NDArray[np.float64]

# What is told of a failure, and of how many: tables keep it for every update.
REASON_LENGTH, FAILURES_TOLD = 300, 5


class EvaluationError(TwinError):
    """A model could not be evaluated, also not on a second try; names the coefficients of the failing run.

    Attributes:
        coefficients: name to value (model units) of the evaluation that failed.
    """

    def __init__(self, message: str, coefficients: Mapping[str, float]) -> None:
        super().__init__(message)
        self.coefficients = dict(coefficients)


class NotStartedError(EvaluationError):
    """A model does not even start: nothing can be asked of it, whatever about."""


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


@dataclass(frozen=True, eq=False)
class InputPath:
    """Operating conditions through time, and when outputs are asked for.

    Attributes:
        times_s: (q,) seconds since the path's beginning, from 0, increasing.
        inputs: (q, p) values then.
        read: (t,) places among the q times at which outputs are asked for, increasing.
        linear: (p,) bool: whether an input goes straight to its next value, or keeps each until the next is due.
    """

    times_s: Floats
    inputs: Floats
    read: NDArray[np.intp]
    linear: NDArray[np.bool_]

    def shortened(self, reads: int) -> "InputPath":
        """Up to one of the reads, counted from 1, and no further."""
        last = self.read[reads - 1] + 1
        return InputPath(self.times_s[:last], self.inputs[:last], self.read[:reads], self.linear)


class TransientModel(PredictiveModel, Protocol):
    """A predictive model that can also be followed through time, while its operating conditions move."""

    def follow(self, coefficients: Floats, path: InputPath) -> Floats:
        """The outputs of k coefficient vectors along a path of inputs; each held from the path's beginning to its end.

        The model begins settled under the path's first inputs. A pure function, as ``evaluate`` is; and what is asked
        for later along the same path changes nothing of what came before.

        Args:
            coefficients: (k, n), physical units.
            path: of the p operating conditions.

        Returns:
            (k, t, m) outputs.

        Raises:
            EvaluationError: if a row fails twice.
        """
        ...


@dataclass(frozen=True)
class FailedRow:
    """A row that could not be evaluated, also not on a second try.

    Attributes:
        row: its index in the batch.
        coefficients: name to value, model units.
        reason: for people, without the values.
    """

    row: int
    coefficients: Mapping[str, float]
    reason: str

    def __str__(self) -> str:
        """``b1=0.3, b2=0.1: the process died``, in one line, however much the model had to say."""
        values = ", ".join(f"{name}={value:.6g}" for name, value in self.coefficients.items())
        return f"{values}: {textwrap.shorten(self.reason, REASON_LENGTH, placeholder=' …')}"


def told(failures: Sequence[FailedRow]) -> str:
    """Failures in one line for people: the first few, and how many there are besides; empty if there are none."""
    more = [f"and {len(failures) - FAILURES_TOLD} more"] if len(failures) > FAILURES_TOLD else []
    return "; ".join([*map(str, failures[:FAILURES_TOLD]), *more])


@dataclass(frozen=True, eq=False)
class Attempt:
    """What could be evaluated of a batch.

    Attributes:
        outputs: (k, m), NaN in the rows that failed; along a path (k, t, m), NaN from where on a row failed.
        failures: in the order of the rows. If row 0 fails, with which the others are compared, they are not evaluated:
            it is then the only failure, and all outputs are NaN. (Along a path they are evaluated as far as it.)
    """

    outputs: Floats
    failures: tuple[FailedRow, ...] = ()


@runtime_checkable
class TolerantModel(Protocol):
    """A predictive model that may also be asked for what it can."""

    def attempt(self, coefficients: Floats, inputs: Floats) -> Attempt:
        """As ``PredictiveModel.evaluate``, but rows that fail twice are told, and the others are evaluated.

        Raises:
            EvaluationError: if no row can be evaluated whatever it holds, for the model does not even start.
        """
        ...


@runtime_checkable
class RowwiseModel(Protocol):
    """A predictive model whose rows may each have operating conditions of their own, in one batch."""

    def attempt_each(self, coefficients: Floats, inputs: Floats) -> Attempt:
        """As ``TolerantModel.attempt``, but row i under inputs[i], for inputs (k, p).

        Raises:
            EvaluationError: as ``TolerantModel.attempt``.
        """
        ...


def attempt(model: PredictiveModel, coefficients: Floats, inputs: Floats) -> Attempt:
    """What a model can say to a batch; one that cannot be asked for less says all or raises.

    Raises:
        EvaluationError: as ``TolerantModel.attempt``, or as ``PredictiveModel.evaluate``.
    """
    if isinstance(model, TolerantModel):
        return model.attempt(coefficients, inputs)
    return Attempt(model.evaluate(coefficients, inputs))


def attempt_each(model: PredictiveModel, coefficients: Floats, inputs: Floats) -> Attempt:
    """What a model can say to rows that have inputs (k, p) of their own.

    Where it cannot be asked for them in one batch, there is one for each operating condition.

    Raises:
        EvaluationError: as ``attempt``.
    """
    if (inputs == inputs[0]).all():
        return attempt(model, coefficients, inputs[0])
    if isinstance(model, RowwiseModel):
        return model.attempt_each(coefficients, inputs)
    _, group = np.unique(inputs, axis=0, return_inverse=True)
    outputs, failures = np.full((len(coefficients), len(model.outputs)), np.nan), dict[int, FailedRow]()
    for number in np.unique(group).tolist():
        rows = np.flatnonzero(group == number)
        found = attempt(model, coefficients[rows], inputs[rows[0]])
        outputs[rows] = found.outputs
        failures |= {int(rows[each.row]): replace(each, row=int(rows[each.row])) for each in found.failures}
    return Attempt(outputs, tuple(failures[row] for row in sorted(failures)))


@runtime_checkable
class TolerantTransientModel(Protocol):
    """A transient model that may also be asked for what it can."""

    def attempt_follow(self, coefficients: Floats, path: InputPath) -> Attempt:
        """As ``TransientModel.follow``, but rows that fail twice are told, and what they said before counts.

        If row 0 fails, the others are followed as far as it, and no further.

        Raises:
            EvaluationError: as ``TolerantModel.attempt``.
        """
        ...


def attempt_follow(model: TransientModel, coefficients: Floats, path: InputPath) -> Attempt:
    """What a model can say along a path; one that cannot be asked for less says all or raises.

    Raises:
        EvaluationError: as ``TolerantTransientModel.attempt_follow``, or as ``TransientModel.follow``.
    """
    if isinstance(model, TolerantTransientModel):
        return model.attempt_follow(coefficients, path)
    return Attempt(model.follow(coefficients, path))
