"""The models of one run: each twin's worker processes are started when first needed, and ended with the run.

A run computes with one FMU from beginning to end: the file as it was when the run first asked for it. Whoever replaces
it meanwhile is not noticed where it is loaded already, and ends the run where it is not.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import cached_property
from types import TracebackType
from typing import Protocol, Self

from twin_assets.errors import TwinError
from twin_assets.model import (
    Attempt,
    Floats,
    InputPath,
    PredictiveModel,
    TransientModel,
    attempt,
    attempt_each,
    attempt_follow,
)
from twin_assets.simulation import FmuReplacedError, fmu_sha256
from twin_assets.spec_file import Twin


class RunningModel(PredictiveModel, Protocol):
    """A model that counts what it runs and says what it was loaded from, as FmuModel does."""

    @property
    def sha256(self) -> str:
        """Of the file that it was loaded from, hex."""
        ...

    @property
    def model_runs(self) -> int:
        """Evaluations so far."""
        ...

    @property
    def model_seconds(self) -> float:
        """Time that they took inside the workers, summed over them."""
        ...


Opener = Callable[[Twin, int | None], AbstractContextManager[RunningModel]]


class LazyModel:
    """A twin's model that is opened at the first evaluation: where everything is up to date nothing is started."""

    def __init__(self, twin: Twin, open_now: Callable[[], RunningModel]) -> None:
        spec = twin.spec
        self.coefficients = tuple(part.name for part in spec.coefficients)
        self.inputs = tuple(part.name for part in spec.inputs)
        self.outputs = tuple(part.name for part in (*spec.measurements, *spec.virtual_sensors))
        self._path = twin.fmu_path
        self._open_now = open_now
        self._model: RunningModel | None = None

    @cached_property
    def sha256(self) -> str:
        """Of the FMU as it is when this is first asked, hex; nothing is ever evaluated with another one.

        Raises:
            FmuError: if the file cannot be read.
        """
        return fmu_sha256(self._path)

    @property
    def model_runs(self) -> int:
        """Evaluations so far."""
        return self._model.model_runs if self._model else 0

    @property
    def model_seconds(self) -> float:
        """Time that they took inside the workers, summed over them."""
        return self._model.model_seconds if self._model else 0.0

    def evaluate(self, coefficients: Floats, inputs: Floats) -> Floats:
        """See PredictiveModel.

        Raises:
            FmuReplacedError: if the FMU was replaced since the run first asked for it.
        """
        return self._opened.evaluate(coefficients, inputs)

    def attempt(self, coefficients: Floats, inputs: Floats) -> Attempt:
        """See TolerantModel.

        Raises:
            FmuReplacedError: if the FMU was replaced since the run first asked for it.
        """
        return attempt(self._opened, coefficients, inputs)

    def attempt_each(self, coefficients: Floats, inputs: Floats) -> Attempt:
        """See RowwiseModel.

        Raises:
            FmuReplacedError: as ``evaluate``.
        """
        return attempt_each(self._opened, coefficients, inputs)

    def follow(self, coefficients: Floats, path: InputPath) -> Floats:
        """See TransientModel.

        Raises:
            FmuReplacedError: as ``evaluate``.
        """
        return self._transient.follow(coefficients, path)

    def attempt_follow(self, coefficients: Floats, path: InputPath) -> Attempt:
        """See TolerantTransientModel.

        Raises:
            FmuReplacedError: as ``evaluate``.
        """
        return attempt_follow(self._transient, coefficients, path)

    @property
    def _transient(self) -> TransientModel:
        """What transient mode is run with."""
        return self._opened  # type: ignore[return-value]

    @property
    def _opened(self) -> RunningModel:
        if self._model is None:
            expected, model = self.sha256, self._open_now()
            if model.sha256 != expected:
                raise FmuReplacedError(self._path, expected, model.sha256)
            self._model = model
        return self._model


class ClosedModel:
    """A model of which only the names are known; whoever asks it for more is told why not.

    Args:
        model: has the names.
        reason: for people.
    """

    def __init__(self, model: PredictiveModel, reason: str) -> None:
        self.coefficients, self.inputs, self.outputs = model.coefficients, model.inputs, model.outputs
        self._reason = reason

    def evaluate(self, coefficients: Floats, inputs: Floats) -> Floats:  # noqa: ARG002 - PredictiveModel's signature
        """See PredictiveModel.

        Raises:
            TwinError: always.
        """
        raise TwinError(self._reason)

    def follow(self, coefficients: Floats, path: InputPath) -> Floats:  # noqa: ARG002 - TransientModel's signature
        """See TransientModel.

        Raises:
            TwinError: always.
        """
        raise TwinError(self._reason)


class Models:
    """The models that are open in this run; a context manager.

    Args:
        opener: opens a twin's model.
        workers: worker processes of each; one per core if None.
    """

    def __init__(self, opener: Opener, workers: int | None = None) -> None:
        self._opener, self._workers = opener, workers
        self._open: dict[str, LazyModel] = {}
        self._stack = ExitStack()

    def of(self, twin: Twin) -> LazyModel:
        """The twin's model: one for the whole run, whichever stage asks."""
        if twin.spec.name not in self._open:
            self._open[twin.spec.name] = LazyModel(
                twin, lambda: self._stack.enter_context(self._opener(twin, self._workers))
            )
        return self._open[twin.spec.name]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
