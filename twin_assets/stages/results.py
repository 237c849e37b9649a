"""calibrated_coefficients and virtual_sensors: the posterior in physical units, and what the calibrated model predicts."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from twin_assets.model import PredictiveModel
from twin_assets.spec import TwinSpec
from twin_assets.stages.ukf import Progress, Table


@dataclass(frozen=True)
class ResultTable:
    """A result table of one window.

    Attributes:
        frame: its rows.
        metadata: to be written beside them.
        kept: rows taken over from the existing table.
        computed: rows computed now.
    """

    frame: pd.DataFrame
    metadata: Mapping[str, str]
    kept: int
    computed: int


def coefficients_table(spec: TwinSpec, ukf_state: pd.DataFrame) -> pd.DataFrame:
    """unit, time, and for each coefficient c: ``c``, ``c_std``, ``c_lower``, ``c_upper`` (95 %), physical units."""
    raise NotImplementedError


def virtual_sensors_table(
    spec: TwinSpec,
    model: PredictiveModel,
    ukf_state: pd.DataFrame,
    observations: pd.DataFrame,
    *,
    existing: Table | None = None,
    progress: Progress | None = None,
) -> ResultTable:
    """Predictions of the calibrated model: a row per ukf_state row whose inputs are known.

    Columns: unit, time, and for each virtual sensor v and each ``<measurement>_predicted``: ``v``, ``v_std``,
    ``v_lower``, ``v_upper`` (95 %). Rows of an existing table that come from the same posterior are kept.

    Raises:
        EvaluationError: if the model fails; names the unit and the time.
    """
    raise NotImplementedError
