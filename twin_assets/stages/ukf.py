"""ukf_state: the filter over one window, exactly once per observation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from twin_assets.model import PredictiveModel
from twin_assets.spec import TwinSpec
from twin_assets.store import Store
from twin_assets.windows import Window

Progress = Callable[[int, int], None]
"""Called after every step with (done, total) of the steps that this call has to compute."""


class Table(NamedTuple):
    """A table as it was materialized before.

    Attributes:
        frame: its rows.
        metadata: what was written beside them.
    """

    frame: pd.DataFrame
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class UkfResult:
    """The filter's table of one window.

    Attributes:
        frame: the ukf_state table.
        metadata: to be written beside it: the final state of every unit, exact.
        kept: rows taken over from the existing table.
        assimilated: rows computed now.
        model_runs: model evaluations of the rows computed now.
    """

    frame: pd.DataFrame
    metadata: Mapping[str, str]
    kept: int
    assimilated: int
    model_runs: int


def load(store: Store, twin: str, stage: str, key: str) -> Table | None:
    """A table with its metadata; None where there is none."""
    raise NotImplementedError


def previous_state(store: Store, twin: str, window: Window) -> Mapping[str, str] | None:
    """Metadata of the newest ukf_state table before the window: the state to start from; None if there is none."""
    raise NotImplementedError


def assimilate(  # noqa: PLR0913 - everything that decides about a result is an argument
    spec: TwinSpec,
    model: PredictiveModel,
    observations: pd.DataFrame,
    *,
    fmu_sha256: str,
    existing: Table | None = None,
    previous: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> UkfResult:
    """Filter the observations of one window; rows that an existing table already holds are kept as they are.

    Raises:
        EvaluationError: if the model fails; names the unit and the time.
    """
    raise NotImplementedError


def watermark(metadata: Mapping[str, str]) -> pd.Timestamp | None:
    """Time of the newest observation that a ukf_state table's final states hold."""
    raise NotImplementedError
