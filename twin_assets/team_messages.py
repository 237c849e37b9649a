"""What passes between a run and the processes that do units' jobs for it, beside the jobs themselves."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from twin_assets.spec_file import Twin


@dataclass(frozen=True)
class Opening:
    """How the model is had.

    Attributes:
        opener: opens it; found by its name in this process, too.
        twin: whose it is.
        workers: of each model.
        sha256: of the FMU that the run computes with.
        parent: process id.
    """

    opener: Callable[[Twin, int | None], AbstractContextManager[Any]]
    twin: Twin
    workers: int
    sha256: str
    parent: int


@dataclass(frozen=True)
class Told:
    """A job got on."""

    done: int
    total: int


@dataclass(frozen=True)
class Done:
    """A job's result, and what it took of the model."""

    result: Any
    model_runs: int
    model_seconds: float


@dataclass(frozen=True)
class Raised:
    """What ends the whole run: for people, or with the place in this program."""

    message: str
    for_people: bool
