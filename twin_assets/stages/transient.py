"""The filter of a process that never rests: what its model says depends on the recent past, too.

A prediction is the model's answer to coefficients that are held, and to the measured inputs applied, over the recent
past: a pure function of both, whoever computes it and wherever a run was cut. The points at which the filter looks at
the model are fixed for a while, so that each carries the model's state on from one observation to the next
(``estimation.carried``). Points that are drawn anew are led through the recent past once more, and then on to all
observations to come before a new start is due: those cost one interval each.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from twin_assets.estimation import Coefficients, FilterSettings, FilterState, Gaussian, Step, filter_step
from twin_assets.estimation.affine import Affine, cloud, inside
from twin_assets.estimation.bounds import physical
from twin_assets.estimation.carried import Carried, Taken, carried_step, explained, taken_again, unanswered_step
from twin_assets.estimation.evaluation import RunsAlong
from twin_assets.estimation.filter import expected_at
from twin_assets.estimation.mending import mended_along
from twin_assets.model import FailedRow, Floats, InputPath, PredictiveModel, TransientModel
from twin_assets.stages.history import NO_HISTORY, History, Memory
from twin_assets.stages.replay import Replayed
from twin_assets.stages.ukf_rows import Row

# Times that points are drawn anew for one observation, where they were not where it led to.
_DRAWS = 4


@dataclass(frozen=True, eq=False)
class _Looked:
    """What the model says of an observation at a block's points.

    Attributes:
        carried: None where too little of it could be run.
        runs: how many that took.
        failures: what failed up to there, also on a second try.
    """

    carried: Carried | None
    runs: int
    failures: tuple[FailedRow, ...]


@dataclass(eq=False)
class _Block:
    """Observations that are looked at from common points; whoever draws new ones takes them all in again.

    Attributes:
        first: number of its first observation.
        start: state before it.
        until: number of the observation after its last.
        taken: observations so far in which anything was measured, by number.
        looked: number of an observation -> what the model says of it at the points.
    """

    first: int
    start: FilterState
    until: int
    taken: dict[int, Taken] = field(default_factory=dict)
    looked: dict[int, _Looked] = field(default_factory=dict)

    def models(self, number: int) -> list[Affine] | None:
        """Of what was taken in, then of an observation; None where one is missing, for the model failed there."""
        found = [self.looked[each].carried for each in (*self.taken, number)]
        models = [carried.model for carried in found if carried is not None]
        return models if len(models) == len(found) else None


class Walk:
    """One unit's way through a window, observation by observation.

    Args:
        model: whose coefficients are the filter's.
        coefficients: bounds and drift.
        settings: noise and gate.
        memory: how far back the recent past reaches.
        past: what was known before the window.
        rows: the window's observations; those without a recent past hold no values (``with_history``).
    """

    def __init__(
        self,
        model: TransientModel,
        coefficients: Coefficients,
        settings: FilterSettings,
        memory: Memory,
        past: History,
        rows: Sequence[Row],
    ) -> None:
        self._model, self._coefficients, self._settings, self._memory = model, coefficients, settings, memory
        self._rows, self._history = list(rows), past.with_rows(rows)
        self._block: _Block | None = None

    @property
    def recent(self) -> History:
        """What the next window may depend on."""
        return self._history.recent(self._memory)

    def forget(self) -> None:
        """Start anew with the next observation: nothing is taken over but the posterior."""
        self._block = None

    def step(self, number: int, state: FilterState, until: int, believed: Row) -> Step:
        """Assimilate one observation.

        Args:
            number: of the observation.
            state: before it.
            until: number of the observation that starts anew in any case.
            believed: the observation, without what is not to be believed of it.

        Where too little of the model can be run, time passes and nothing is assimilated, for the reason "model"; the
        next observation is then looked at as if there had been none before.

        Raises:
            EvaluationError: when the model cannot be evaluated at all, or cannot tell where it fails.
        """
        row = self._rows[number] = believed
        if not np.isfinite(row.values).any():
            return self._full(number, state, self._model)
        block = self._block
        if block is None or self._stretch(block.first) != self._stretch(number):
            block = self._block = _Block(number, state, until)
        step = self._carried(block, number, state) or self._drawn_anew(block, number, state)
        if "model" in step.reasons:
            self.forget()
        seen = np.where(np.array(step.reasons) == "", row.values / self._settings.noise_std, np.nan)
        block.taken[number] = Taken(row.time_ns, seen)
        return step

    def _carried(self, block: _Block, number: int, state: FilterState) -> Step | None:
        """The update from the points that are there, if they are good enough for it."""
        row, looked = self._rows[number], block.looked.get(number)
        carried = None if looked is None else looked.carried
        if looked is None or carried is None:
            return None
        prior = expected_at(state, row.time_ns, self._coefficients)
        step = carried_step(prior, row.time_ns, row.values, carried.model, self._coefficients, self._settings)
        if step is None or not carried.good_enough(step.posterior, self._coefficients, len(block.taken) + 1):
            return None
        return replace(step, failures=looked.failures)

    def _drawn_anew(self, block: _Block, number: int, before: FilterState) -> Step:
        """Draw points where the coefficients are believed to be, until they turn out to be there."""
        believed, spent, searched = expected_at(before, self._rows[number].time_ns, self._coefficients), 0, False
        state, step, failures = before, None, tuple[FailedRow, ...]()
        # A single observation says little about how to look at it: it is not led on by what it seems to say.
        for _ in range(min(_DRAWS, 1 + len(block.taken))):
            earlier = block.looked
            looked = self._look(block, number, believed)
            models, spent = block.models(number), spent + looked.runs
            if models is None:
                if step is None:
                    return self._unanswered(number, before, (*failures, *looked.failures), spent)
                # The model fails where the coefficients seem to be: what is believed of it from afar has to do.
                block.looked = earlier
                break
            state, step = self._again(block, number, models)
            if step is None and not searched and block.taken:
                found, runs, failures = self._explained(block, number)
                believed, spent, searched = found or believed, spent + runs, True
                if found is not None:
                    continue
            if step is None or self._there(block, number, step.posterior):
                break
            believed = step.posterior
        path = self._path(block, [number])
        if step is None:
            step = self._full(number, state, Replayed(self._model, path))
            return replace(step, model_runs=spent + step.model_runs, failures=(*failures, *step.failures))
        failures = (*failures, *block.looked[number].failures)
        if failures:
            # Where the model cannot be run no later observation would find back from.
            spent, along = spent + 1, RunsAlong(self._model, path)
            mean = inside(physical(step.posterior, self._coefficients).mean, self._coefficients)
            if np.isnan(along(mean[np.newaxis])).any():
                return self._unanswered(number, before, (*failures, *along.failures(0)), spent)
        return replace(step, method="ukf", model_runs=spent, failures=failures)

    def _there(self, block: _Block, number: int, posterior: Gaussian) -> bool:
        """Whether the points are where an observation led to."""
        carried = block.looked[number].carried
        return carried is not None and carried.good_enough(posterior, self._coefficients, len(block.taken) + 1)

    def _unanswered(self, number: int, before: FilterState, failures: tuple[FailedRow, ...], runs: int) -> Step:
        row = self._rows[number]
        prior = expected_at(before, row.time_ns, self._coefficients)
        return unanswered_step(prior, row.time_ns, row.values, failures, runs)

    def _again(self, block: _Block, number: int, models: list[Affine]) -> tuple[FilterState, Step | None]:
        """The state before an observation, and its step, as all looks from the block's points."""
        row, coefficients = self._rows[number], self._coefficients
        state = taken_again(block.start, list(block.taken.values()), models[:-1], coefficients)
        prior = expected_at(state, row.time_ns, coefficients)
        return state, carried_step(prior, row.time_ns, row.values, models[-1], coefficients, self._settings)

    def _explained(self, block: _Block, number: int) -> tuple[Gaussian | None, int, tuple[FailedRow, ...]]:
        """What the block's observations up to this one say together; how many runs that took, and which failed."""
        row, noise_std = self._rows[number], self._settings.noise_std
        path = self._path(block, [*block.taken, number])
        seen = np.array([*(each.seen for each in block.taken.values()), row.values / noise_std])
        used, runs = np.isfinite(seen), RunsAlong(self._model, path, noise_std)

        def predict(values: Floats) -> Floats:
            return np.asarray(runs(values)[:, used])

        prior = expected_at(block.start, row.time_ns, self._coefficients)
        found, count = explained(prior, seen[used], predict, self._coefficients, self._settings)
        return found, count, runs.failures(path.read.size)

    def _full(self, number: int, state: FilterState, model: PredictiveModel) -> Step:
        """The filter's own step, by as many runs as it likes."""
        row = self._rows[number]
        # Where an input is unknown nothing is compared, and the model is not run: any finite number will do.
        inputs = np.nan_to_num(row.inputs, nan=0.0)
        return filter_step(state, row.time_ns, row.values, inputs, model, self._coefficients, self._settings)

    def _look(self, block: _Block, number: int, believed: Gaussian) -> _Looked:
        """Draw points of what is believed, and lead them through the recent past to all the block's observations.

        Returns:
            What the model says there of an observation.
        """
        drawn = cloud(physical(believed, self._coefficients), self._coefficients)
        numbers = [*block.taken, *self._ahead(number, block.until)]
        runs = RunsAlong(self._model, self._path(block, numbers), self._settings.noise_std)
        found = mended_along(drawn.points, runs)
        block.looked = {
            each: _Looked(None if outputs is None else Carried.of(drawn, outputs), count, runs.failures(read))
            for read, (each, (outputs, count)) in enumerate(zip(numbers, found, strict=True))
        }
        return block.looked[number]

    def _path(self, block: _Block, numbers: Sequence[int]) -> InputPath:
        places = [self._place(each) for each in numbers]
        first, _ = self._history.beginning(self._place(block.first), self._memory)
        return self._history.path(first, places, self._memory)

    def _ahead(self, number: int, until: int) -> Iterator[int]:
        """This observation and those that the same points can be carried on to."""
        stretch = self._stretch(number)
        for each in range(number, until):
            row = self._rows[each]
            if np.isfinite(row.inputs).all() and self._stretch(each) != stretch:
                return
            if np.isfinite(row.values).any():
                yield each

    def _place(self, number: int) -> int:
        return self._history.place(self._rows[number].time_ns)

    def _stretch(self, number: int) -> int:
        return self._history.stretch(self._place(number), self._memory)


def with_history(rows: Sequence[Row], past: History, memory: Memory) -> list[Row]:
    """The observations, without the values that nothing can be compared with: their recent past is not known."""
    return [_compared(row, history, memory) for history in [past.with_rows(rows)] for row in rows]


def _compared(row: Row, history: History, memory: Memory) -> Row:
    if not memory.waits or not np.isfinite(row.inputs).all():
        return row
    _, covered = history.beginning(history.place(row.time_ns), memory)
    if covered:
        return row
    reasons = tuple(reason or NO_HISTORY for reason in row.reasons)
    return replace(row, values=np.full_like(row.values, np.nan), reasons=reasons)
