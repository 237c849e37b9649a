"""The models of one run: each twin's worker processes are started when first needed, and ended with the run."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import Protocol, Self

from twin_assets.model import Floats, PredictiveModel
from twin_assets.spec_file import Twin


class RunningModel(PredictiveModel, Protocol):
    """A model that counts what it runs, as FmuModel does."""

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
        self._open_now = open_now
        self._model: RunningModel | None = None

    @property
    def model_runs(self) -> int:
        """Evaluations so far."""
        return self._model.model_runs if self._model else 0

    @property
    def model_seconds(self) -> float:
        """Time that they took inside the workers, summed over them."""
        return self._model.model_seconds if self._model else 0.0

    def evaluate(self, coefficients: Floats, inputs: Floats) -> Floats:
        """See PredictiveModel."""
        if self._model is None:
            self._model = self._open_now()
        return self._model.evaluate(coefficients, inputs)


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
