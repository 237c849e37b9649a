"""The models of one run: each twin's worker processes are started when first needed, and ended with the run.

The units of a twin are worked on side by side, by a team of processes that have a model each (``team``).

A run computes with one FMU from beginning to end: the file as it was when the run first asked for it. Whoever replaces
it meanwhile is not noticed where it is loaded already, and ends the run where it is not.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import cached_property
from types import TracebackType
from typing import Protocol, Self, TypeVar

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
from twin_assets.simulation.fmu_model import usable_cores
from twin_assets.spec_file import Twin
from twin_assets.stages.units import Job, in_turn
from twin_assets.team import Team
from twin_assets.team_messages import Opening

T = TypeVar("T")


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

    def __init__(
        self,
        twin: Twin,
        open_now: Callable[[], RunningModel],
        team_for: Callable[[str, int], Team | None] = lambda _sha256, _jobs: None,
        sha256: str | None = None,
    ) -> None:
        spec = twin.spec
        self.coefficients = tuple(part.name for part in spec.coefficients)
        self.inputs = tuple(part.name for part in spec.inputs)
        self.outputs = tuple(part.name for part in (*spec.measurements, *spec.virtual_sensors))
        self._path = twin.fmu_path
        self._open_now, self._team_for, self._given = open_now, team_for, sha256
        self._model: RunningModel | None = None
        self._teams_runs, self._teams_seconds = 0, 0.0

    @cached_property
    def sha256(self) -> str:
        """Of the FMU as it is when this is first asked, hex; nothing is ever evaluated with another one.

        Raises:
            FmuError: if the file cannot be read.
        """
        return fmu_sha256(self._path) if self._given is None else self._given

    @property
    def model_runs(self) -> int:
        """Evaluations so far, the team's among them."""
        return self._teams_runs + (self._model.model_runs if self._model else 0)

    @property
    def model_seconds(self) -> float:
        """Time that they took inside the workers, summed over them."""
        return self._teams_seconds + (self._model.model_seconds if self._model else 0.0)

    def each(self, jobs: Sequence[Job[T]], tell: Callable[[int, int, int], None]) -> Iterator[T]:
        """See SideBySide.

        Raises:
            TwinError: if the model does not start, or was replaced since the run first asked for it.
        """
        team = self._team_for(self.sha256, len(jobs))
        if team is None:
            yield from in_turn(self, jobs, tell)
            return
        for done in team.each(jobs, tell, self):
            self._teams_runs += done.model_runs
            self._teams_seconds += done.model_seconds
            yield done.result

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
        side_by_side: whether units may be worked on in processes of their own, which find the opener by its name.
    """

    def __init__(self, opener: Opener, workers: int | None = None, *, side_by_side: bool = False) -> None:
        self._opener, self._workers, self._side_by_side = opener, workers, side_by_side
        self._open: dict[str, LazyModel] = {}
        self._teams: dict[str, Team] = {}
        self._stack = ExitStack()

    def of(self, twin: Twin, sha256: str | None = None) -> LazyModel:
        """The twin's model: one for the whole run, whichever stage asks; of an FMU's bytes, where they are named."""
        if twin.spec.name not in self._open:
            self._open[twin.spec.name] = LazyModel(
                twin,
                lambda: self._stack.enter_context(self._opener(twin, self._workers)),
                lambda found, jobs: self._team(twin, found, jobs),
                sha256,
            )
        return self._open[twin.spec.name]

    def _team(self, twin: Twin, sha256: str, jobs: int) -> Team | None:
        """Who works on several units side by side; nobody does where there is one core."""
        cores = max(1, usable_cores() if self._workers is None else self._workers)
        if not self._side_by_side or cores == 1:
            return None
        # Where there are fewer units than cores each model has several of them.
        workers, team = max(1, cores // jobs), self._teams.get(twin.spec.name)
        if team is None or workers < team.workers:
            if team is not None:  # more units have come, and together their models would have more than all cores
                team.close()
            team = self._teams[twin.spec.name] = Team(
                Opening(self._opener, twin, workers, sha256, os.getpid()), cores // workers
            )
            self._stack.callback(team.close)
        return team

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
