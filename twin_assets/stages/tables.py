"""What the stages that run the model share: earlier tables, progress, errors that say where."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import pandas as pd

from twin_assets.model import EvaluationError, NotStartedError
from twin_assets.store import Store

Progress = Callable[[int, int], None]
"""Called after every step with (done, total) of the steps that a call has to compute."""


def no_progress(_done: int, _total: int) -> None:
    """Tell nobody."""


class Table(NamedTuple):
    """A table as it was materialized before, or is to be.

    Attributes:
        frame: its rows.
        metadata: what is written beside them.
    """

    frame: pd.DataFrame
    metadata: Mapping[str, str]


def load(store: Store, twin: str, stage: str, key: str) -> Table | None:
    """A table with its metadata; None where there is none."""
    found = store.read_with_metadata(twin, stage, key)
    return None if found is None else Table(*found)


@contextmanager
def located(unit: str, time_ns: int) -> Iterator[None]:
    """Say which unit and time a failing evaluation was for."""
    try:
        yield
    except EvaluationError as error:
        when = pd.Timestamp(time_ns, unit="ns", tz="UTC")
        kind = NotStartedError if isinstance(error, NotStartedError) else EvaluationError
        raise kind(f"{unit} at {when}: {error}", error.coefficients) from error
