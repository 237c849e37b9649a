"""A model that never rests, led through the recent past up to one observation: a predictive model of that time.

Belongs here: which past belongs to an observation of a table. What the filter makes of it is ``transient``'s.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twin_assets.estimation import Coefficients, Gaussian
from twin_assets.estimation.evaluation import RunsAlong
from twin_assets.estimation.mending import mended_along
from twin_assets.estimation.nearby import Nearby, is_near, surroundings
from twin_assets.model import Attempt, FailedRow, Floats, InputPath, PredictiveModel, TransientModel, attempt_follow
from twin_assets.spec import TwinSpec
from twin_assets.stages.history import History, Memory
from twin_assets.stages.settings import coefficients_of
from twin_assets.stages.states import posterior_of_row, states_of
from twin_assets.stages.ukf_rows import rows_of

READS = 36
"""For so many observations, at the most, points are led on before they are led through the recent past anew."""


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

    def attempt(self, coefficients: Floats, inputs: Floats) -> Attempt:  # noqa: ARG002 - as above
        """See TolerantModel."""
        found = attempt_follow(self._model, coefficients, self._path)
        return Attempt(found.outputs[:, 0], found.failures)


class Ways:
    """Each observation's way through the recent past, for predictions where the filter's posteriors are.

    Rows whose posteriors are near to each other look at the model from common points, those of the first of them, each
    of which is led once through the recent past and on to all of them. Who looks from where follows from the posteriors
    up to a row alone: later rows change nothing of it.

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
        self._coefficients, self._near = coefficients_of(spec), dict[tuple[str, int], PredictiveModel]()
        self._model: TransientModel = model  # type: ignore[assignment]  # what transient mode is run with
        for unit, rows in observations.groupby("unit", sort=False):
            past = before[str(unit)].past if str(unit) in before else None
            self._histories[str(unit)] = History.before(names, past).with_rows(rows_of(spec, rows))

    def known(self, rows: pd.DataFrame) -> NDArray[np.bool_]:
        """(k,) whether the recent past of each row's unit and time is known, or needs not to be."""
        return np.array([self._known(row) for _, row in rows.iterrows()], dtype=bool)

    def gather(self, rows: pd.DataFrame) -> None:
        """Find out which rows of a ukf_state table look together; all of them have known inputs. Nothing is run yet."""
        newest = dict[str, _Look]()
        for _, row in rows.iterrows():
            unit, posterior = str(row["unit"]), posterior_of_row(row)
            history, place = self._place(row)
            look = newest.get(unit)
            if look is None or not look.serves(place, posterior):
                look = newest[unit] = _Look(self._model, self._coefficients, self._memory, history, place, posterior)
            self._near[unit, _time_ns(row)] = look.added(place)

    def to(self, row: "pd.Series[Any]") -> PredictiveModel:
        """The model at the unit and time of a row that was gathered."""
        return self._near[str(row["unit"]), _time_ns(row)]

    def _known(self, row: "pd.Series[Any]") -> bool:
        history, place = self._place(row)
        within = place < history.time_ns.size and history.time_ns[place] == _time_ns(row)
        return bool(within) and (not self._memory.waits or history.beginning(place, self._memory)[1])

    def _place(self, row: "pd.Series[Any]") -> tuple[History, int]:
        history = self._histories[str(row["unit"])]
        return history, history.place(_time_ns(row))


class _Look:
    """The model at common points, for some observations; it is run when the first of them is asked for."""

    def __init__(
        self,
        model: TransientModel,
        coefficients: Coefficients,
        memory: Memory,
        history: History,
        place: int,
        posterior: Gaussian,
    ) -> None:
        self._model, self._coefficients, self._memory, self._history = model, coefficients, memory, history
        self._drawn = surroundings(posterior, coefficients)
        self._first, self._places = place, list[int]()

    def serves(self, place: int, posterior: Gaussian) -> bool:
        """Whether predictions at a later place may look from the points, too."""
        together = self._history.stretch(self._first, self._memory) == self._history.stretch(place, self._memory)
        return together and len(self._places) < READS and is_near(self._drawn, posterior, self._coefficients)

    def added(self, place: int) -> PredictiveModel:
        """The model at a place, which is looked at, too."""
        self._places.append(place)
        return _Near(self._model, self, len(self._places) - 1)

    def at(self, number: int) -> tuple[Nearby | None, tuple[FailedRow, ...]]:
        """What the model says at one of the places, in the order in which they were added; what failed up to there."""
        runs, found = self._led
        outputs, _ = found[number]
        return None if outputs is None else Nearby(self._drawn, outputs), runs.failures(number)

    @cached_property
    def _led(self) -> tuple[RunsAlong, list[tuple[Floats | None, int]]]:
        first, _ = self._history.beginning(self._first, self._memory)
        runs = RunsAlong(self._model, self._history.path(first, self._places, self._memory))
        return runs, mended_along(self._drawn.points, runs)


class _Near:
    """A transient model at one time, near points that were led there. A ``TolerantModel``."""

    def __init__(self, model: PredictiveModel, look: _Look, number: int) -> None:
        self.coefficients, self.inputs, self.outputs = model.coefficients, model.inputs, model.outputs
        self._look, self._number = look, number

    def evaluate(self, coefficients: Floats, inputs: Floats) -> Floats:
        """See PredictiveModel; the inputs are those at that time."""
        return self.attempt(coefficients, inputs).outputs

    def attempt(self, coefficients: Floats, inputs: Floats) -> Attempt:  # noqa: ARG002 - TolerantModel's signature
        """See TolerantModel; what failed at the points is told of the rows in their order."""
        nearby, failures = self._look.at(self._number)
        renumbered = tuple(replace(failed, row=row) for row, failed in enumerate(failures))
        if nearby is None:
            return Attempt(np.full((len(coefficients), len(self.outputs)), np.nan), renumbered)
        return Attempt(nearby.at(coefficients), renumbered)


def _time_ns(row: "pd.Series[Any]") -> int:
    return int(pd.Timestamp(str(row["time"])).as_unit("ns").value)
