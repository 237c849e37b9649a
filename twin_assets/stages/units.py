"""Units do not know each other: what is to be done for each is a job of its own, in turn or side by side.

Belongs here: what a job is, and what is told of units that failed. The processes that work side by side are ``team``'s.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar, runtime_checkable

from twin_assets.model import EvaluationError, PredictiveModel

FAILED_UNITS = "failed_units"
"""Metadata of a table: unit -> why it could not be gone on with, and how often that was tried, as JSON."""
TRIES = 3
"""So often a unit that failed makes its window due again; later ones are up to whoever materializes it by hand."""

Tell = Callable[[int, int], None]
"""Told of (done, total) of a job's steps: (0, total) before the first of them."""

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Job(Protocol[T_co]):
    """What is to be done for one unit. It can be pickled: another process may do it."""

    @property
    def unit(self) -> str:
        """Its name."""
        ...

    @property
    def steps(self) -> int:
        """How many there are at the most."""
        ...

    def run(self, model: PredictiveModel, tell: Tell) -> T_co:
        """Do it: the same, to the bit, in whichever process and beside whichever other jobs."""
        ...

    def given_up(self, done: int, why: str) -> "Job[T_co]":
        """The first of its steps that were not done before, and the next one fails; without any no model is run."""
        ...


@dataclass(frozen=True)
class Stopped:
    """Why a unit could not be gone on with.

    Attributes:
        why: for people; names unit and time.
        coefficients: of the run that failed, as far as they are known.
    """

    why: str
    coefficients: Mapping[str, float]

    @property
    def error(self) -> EvaluationError:
        """The same as an error."""
        return EvaluationError(self.why, self.coefficients)


@runtime_checkable
class SideBySide(Protocol):
    """A model that can be had several times at once."""

    def each(self, jobs: Sequence[Job[T]], tell: Callable[[int, int, int], None]) -> Iterator[T]:
        """The results of jobs in their order; ``tell`` has (number of the job, done, total)."""
        ...


def each(model: PredictiveModel, jobs: Sequence[Job[T]], progress: Callable[[int, int], None]) -> Iterator[T]:
    """The results of jobs in their order: side by side where there are several and the model can, else in turn.

    Args:
        model: what they are done with.
        jobs: one a unit.
        progress: told of (done, total) over all of them, after every step.
    """
    counted = _Counted([job.steps for job in jobs], progress)
    if len(jobs) > 1 and isinstance(model, SideBySide):
        return model.each(jobs, counted)
    return in_turn(model, jobs, counted)


def in_turn(model: PredictiveModel, jobs: Sequence[Job[T]], tell: Callable[[int, int, int], None]) -> Iterator[T]:
    """The results of jobs, one after the other, in this process; ``tell`` as ``SideBySide.each``'s."""
    for number, job in enumerate(jobs):
        yield job.run(model, partial(tell, number))


class _Counted:
    """Sums up what jobs tell. A job that is begun once more begins at 0 again; that is not told."""

    def __init__(self, steps: Sequence[int], progress: Callable[[int, int], None]) -> None:
        self._total, self._done, self._most = list(steps), [0] * len(steps), 0
        self._sum, self._sum_done, self._progress = sum(steps), 0, progress

    def __call__(self, number: int, done: int, total: int) -> None:
        self._sum += total - self._total[number]
        self._sum_done += done - self._done[number]
        self._total[number], self._done[number] = total, done
        if self._sum_done > self._most:
            self._most = self._sum_done
            self._progress(self._sum_done, max(self._sum, self._sum_done))


def failures_metadata(
    stopped: Mapping[str, Stopped], existing: Mapping[str, str] | None, unmoved: Callable[[str], bool]
) -> dict[str, str]:
    """Metadata that tells of the units that failed; nothing where none did.

    Args:
        stopped: by unit.
        existing: metadata of the table as it was materialized before.
        unmoved: whether a unit is where it was then.
    """
    before = _found(existing)
    told = {
        unit: {
            "why": stopped[unit].why,
            "tries": 1 + (int(str(before[unit]["tries"])) if unit in before and unmoved(unit) else 0),
        }
        for unit in sorted(stopped)
    }
    return {FAILED_UNITS: json.dumps(told)} if told else {}


def failed_units(metadata: Mapping[str, str] | None) -> dict[str, str]:
    """Why units of a table failed, by unit."""
    return {unit: str(found["why"]) for unit, found in _found(metadata).items()}


def is_tried_again(metadata: Mapping[str, str] | None) -> bool:
    """Whether some unit of a table failed, not yet so often that it is left at that."""
    return any(int(str(found["tries"])) < TRIES for found in _found(metadata).values())


def _found(metadata: Mapping[str, str] | None) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = json.loads((metadata or {}).get(FAILED_UNITS, "{}"))
    return found
