"""A model that never rests, led through the recent past up to one observation: a predictive model of that time.

Belongs here: which past belongs to an observation of a table. What the filter makes of it is ``transient``'s.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twin_assets.model import Floats, InputPath, PredictiveModel, TransientModel
from twin_assets.spec import TwinSpec
from twin_assets.stages.history import History, Memory
from twin_assets.stages.states import states_of
from twin_assets.stages.ukf_rows import rows_of


class Replayed:
    """A transient model at one time: its answers are those at the end of a path. A ``PredictiveModel``.

    Args:
        model: to be followed.
        path: up to the time, which is its last and the only one read.
    """

    def __init__(self, model: TransientModel, path: InputPath) -> None:
        self.coefficients, self.inputs, self.outputs = model.coefficients, model.inputs, model.outputs
        self._model, self._path = model, path

    def evaluate(self, coefficients: Floats, inputs: Floats) -> Floats:  # noqa: ARG002 - PredictiveModel's signature
        """See PredictiveModel; the inputs are those at the end of the path."""
        return self._model.follow(coefficients, self._path)[:, 0]


class Ways:
    """Each observation's way through the recent past, for predictions at any coefficients.

    Args:
        spec: of a twin in transient mode.
        model: to be followed.
        observations: of a window.
        previous: metadata of the ukf_state table that the window started from.
    """

    def __init__(
        self, spec: TwinSpec, model: PredictiveModel, observations: pd.DataFrame, previous: Mapping[str, str] | None
    ) -> None:
        before, names = states_of(previous), tuple(part.name for part in spec.inputs)
        self._memory, self._histories = Memory.of(spec), dict[str, History]()
        self._model: TransientModel = model  # type: ignore[assignment]  # what transient mode is run with
        for unit, rows in observations.groupby("unit", sort=False):
            past = before[str(unit)].past if str(unit) in before else None
            self._histories[str(unit)] = History.before(names, past).with_rows(rows_of(spec, rows))

    def known(self, rows: pd.DataFrame) -> NDArray[np.bool_]:
        """(k,) whether the recent past of each row's unit and time is known, or needs not to be."""
        return np.array([self._known(row) for _, row in rows.iterrows()], dtype=bool)

    def to(self, row: "pd.Series[Any]") -> PredictiveModel:
        """The model at a row's unit and time; they have known inputs."""
        history, place = self._place(row)
        first, _ = history.beginning(place, self._memory)
        return Replayed(self._model, history.path(first, [place], self._memory))

    def _known(self, row: "pd.Series[Any]") -> bool:
        history, place = self._place(row)
        within = place < history.time_ns.size and history.time_ns[place] == _time_ns(row)
        return bool(within) and (not self._memory.waits or history.beginning(place, self._memory)[1])

    def _place(self, row: "pd.Series[Any]") -> tuple[History, int]:
        history = self._histories[str(row["unit"])]
        return history, history.place(_time_ns(row))


def _time_ns(row: "pd.Series[Any]") -> int:
    return int(pd.Timestamp(str(row["time"])).as_unit("ns").value)
