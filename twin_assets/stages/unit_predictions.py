"""The predictions of one unit, as a job that may be done beside other units'.

Belongs here: going through a unit's rows. What is asked, and what it comes to, is ``results``' business; single rows
are ``predictions``'.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from twin_assets.model import EvaluationError, Floats, NotStartedError, PredictiveModel, told
from twin_assets.spec import TwinSpec
from twin_assets.stages.predictions import DIGEST_LENGTH, Predictor
from twin_assets.stages.replay import Ways
from twin_assets.stages.units import Stopped, Tell


@dataclass(frozen=True)
class Predicted:
    """What one unit's predictions came to.

    Attributes:
        predicted: (q, 7) by digest, of those computed.
        failed: for people, by digest.
        computed: how many rows were tried.
        stopped: why it could not be gone on with, if so.
    """

    predicted: dict[str, Floats]
    failed: dict[str, str]
    computed: int
    stopped: Stopped | None = None


@dataclass(frozen=True, eq=False)
class PredictionJob:
    """The predictions of one unit: see ``units.Job``.

    Attributes:
        spec: the twin.
        unit: its name.
        rows: k of the ukf_state table, whose inputs (and past) are known.
        inputs: (k, p) then.
        new: which of them are to be predicted.
        observations: of the unit, in transient mode; then the rows are all of the unit's.
        previous: metadata of the state before them.
        most: how many rows are to be predicted at the most; all if None.
        why: why it is to fail after them.
    """

    spec: TwinSpec
    unit: str
    rows: pd.DataFrame
    inputs: Floats
    new: list[int]
    observations: pd.DataFrame | None
    previous: Mapping[str, str] | None
    most: int | None = None
    why: str = ""

    @property
    def steps(self) -> int:
        """See Job."""
        return len(self.new)

    def run(self, model: PredictiveModel, tell: Tell) -> Predicted:
        """See Job."""
        found = Predicted({}, {}, 0)
        if self.most == 0:
            return replace(found, stopped=Stopped(f"{self.unit}: {self.why}", {}))
        predict, of_row = Predictor(self.spec), self._models(model)
        for done, i in enumerate(self.new):
            if done == self.most:
                return replace(found, computed=done, stopped=Stopped(f"{self.unit}: {self.why}", {}))
            row = self.rows.iloc[i]
            digest = row["digest"][:DIGEST_LENGTH]
            try:
                values, failures = predict(of_row(row), row, self.inputs[i])
            except NotStartedError:
                raise
            except EvaluationError as error:
                return replace(found, computed=done, stopped=Stopped(str(error), error.coefficients))
            if values is not None:
                found.predicted[digest] = values
            if failures:
                found.failed[digest] = f"{row['unit']} at {row['time']}: {told(failures)}"
            tell(done + 1, len(self.new))
        return replace(found, computed=len(self.new))

    def given_up(self, done: int, why: str) -> "PredictionJob":
        """See Job."""
        return replace(self, most=done, why=why)

    def _models(self, model: PredictiveModel) -> Callable[["pd.Series[Any]"], PredictiveModel]:
        """The model at each row."""
        if self.observations is None:
            return lambda _: model
        ways = Ways(self.spec, model, self.observations, self.previous)
        ways.gather(self.rows)
        return ways.to
