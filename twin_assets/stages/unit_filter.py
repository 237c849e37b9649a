"""The filter over one unit's window: which rows stay, which are computed, and the state that is handed on.

A job of one unit (``units``): it knows nothing of the others, and may be done in another process.
"""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twin_assets.estimation import Coefficients, FilterSettings, FilterState, Step, filter_step
from twin_assets.estimation.diagnosis import Watch, changed, watched
from twin_assets.model import EvaluationError, Floats, NotStartedError, PredictiveModel, TransientModel
from twin_assets.spec import TwinSpec
from twin_assets.stages.calibrated import Calibrated
from twin_assets.stages.fingerprint import BLOCK, fingerprint
from twin_assets.stages.history import History, Memory
from twin_assets.stages.settings import coefficients_of, estimates_noise, how_it_runs, settings_of, watch_of
from twin_assets.stages.states import UnitState, learnt_of_row, posterior_of_row, state_of_row
from twin_assets.stages.tables import located
from twin_assets.stages.transient import Walk, with_history
from twin_assets.stages.ukf_rows import Row, after_failures, believed, record, rows_of, state_frame
from twin_assets.stages.units import Stopped, Tell


@dataclass(frozen=True)
class _Engine:
    """What is the same for all units of a call.

    Attributes:
        watch: what the sensors are judged by; None where they are not.
        how: how the model is run, hex hash.
    """

    spec: TwinSpec
    model: PredictiveModel
    coefficients: Coefficients
    settings: FilterSettings
    watch: Watch | None
    fingerprint: str
    how: str


@dataclass(frozen=True)
class _Plan:
    """What is to be done for one unit.

    Attributes:
        unit: its name.
        start: state before the window.
        rows: its observations in order.
        past: its inputs before, where predictions depend on them.
        kept: its rows of the existing table that stay, a prefix.
        running: digest after them.
        handed_on: state after the existing table's last row.
    """

    unit: str
    start: UnitState
    rows: list[Row]
    past: History
    kept: pd.DataFrame
    running: bytes
    handed_on: UnitState | None = None


@dataclass(frozen=True)
class UnitRun:
    """What was done for one unit.

    Attributes:
        records: rows computed.
        kept: how many rows of the existing table stay before them.
        end: state after its last row.
        stopped: why it could not be gone on with, if so.
    """

    records: list[dict[str, object]]
    kept: int
    end: UnitState
    stopped: Stopped | None = None


@dataclass(frozen=True)
class UnitJob:
    """The filter over one unit's window: see ``units.Job``.

    Attributes:
        spec: the twin.
        fmu_sha256: identifies the model.
        unit: its name.
        start: state before the window.
        observations: its own.
        existing: its rows of the existing table, if there is one.
        handed_on: its state after the last of those.
        most: how many rows are to be computed at the most; all if None.
        why: why it is to fail after them.
    """

    spec: TwinSpec
    fmu_sha256: str
    unit: str
    start: UnitState
    observations: pd.DataFrame
    existing: pd.DataFrame | None
    handed_on: UnitState | None
    most: int | None = None
    why: str = ""

    @property
    def steps(self) -> int:
        """See Job."""
        return len(self.observations)

    def run(self, model: PredictiveModel, tell: Tell) -> UnitRun:
        """See Job."""
        engine = _engine(self.spec, model, self.fmu_sha256)
        return _run(engine, _plan(engine, self), tell, self)

    def given_up(self, done: int, why: str) -> "UnitJob":
        """See Job."""
        return replace(self, most=done, why=why)

    def fail_after(self, computed: int) -> None:
        """Fail, if it is to after so many rows that were computed."""
        if computed == self.most:
            raise EvaluationError(self.why, {})


def _engine(spec: TwinSpec, model: PredictiveModel, fmu_sha256: str) -> _Engine:
    about = fingerprint(spec, fmu_sha256)
    return _Engine(spec, model, coefficients_of(spec), settings_of(spec), watch_of(spec), about, how_it_runs(spec))


def _plan(engine: _Engine, job: UnitJob) -> _Plan:
    unit, start, rows = job.unit, job.start, rows_of(engine.spec, job.observations)
    past = History.before(tuple(part.name for part in engine.spec.inputs), start.past)
    if engine.spec.transient:
        rows = with_history(rows, past, Memory.of(engine.spec))
    running = hashlib.sha256(f"{engine.fingerprint}\0{start.digest}\0{unit}".encode()).digest()
    if job.existing is None:
        return _Plan(unit, start, rows, past, state_frame(engine.spec, []), running)
    found, count = job.existing, 0
    for row, digest, failed in zip(rows, found["digest"], found["failed_runs"], strict=False):
        due = row.digest(running)
        if failed:
            row_found = found.iloc[count]
            due = after_failures(due, engine.how, posterior_of_row(row_found), learnt_of_row(row_found))
        if due.hex() != digest:
            break
        running, count = due, count + 1
    return _Plan(unit, start, rows, past, found.iloc[:count], running, job.handed_on)


def _run(engine: _Engine, plan: _Plan, tell: Tell, job: UnitJob) -> UnitRun:
    """The rows that are still to be computed, one after the other, as far as that can be done."""
    done, running, records = len(plan.kept), plan.running, list[dict[str, object]]()
    tell(0, len(plan.rows) - done)
    if job.most == 0:
        return _untouched(plan, Stopped(f"{plan.unit}: {job.why}", {}))
    first, state = _resumed(engine.spec, plan) if done else (0, plan.start.state)
    walk = _walk(engine, plan) if engine.spec.transient else None
    for number, row in enumerate(plan.rows[first:], first):
        if number % BLOCK == 0:
            state = _afresh(state, walk)
        try:
            with located(plan.unit, row.time_ns):
                job.fail_after(number - done)
                step = _watched(engine, plan, number, state, walk)
        except NotStartedError:
            raise
        except EvaluationError as error:
            stopped = Stopped(str(error), error.coefficients)
            # Of rows that were to be computed once more, what follows the last that could be is not known now.
            before = plan.kept["digest"].iloc[number - 1] if 0 < number < done else running.hex()
            return _ended(engine.spec, plan, number, records, state, before, walk, stopped)
        state = step.state
        if number >= done:
            running = row.digest(running)
            if step.failures:
                running = after_failures(running, engine.how, step.posterior, believed(engine.spec, step))
            last = number % BLOCK == BLOCK - 1
            records.append(record(engine.spec, plan.unit, row, step, running.hex(), resumable=last))
            tell(len(records), len(plan.rows) - done)
        else:
            state = _as_written(engine.spec, plan, number, state)
    if len(plan.rows) % BLOCK == 0:
        state = _afresh(state, walk)
    return _ended(engine.spec, plan, len(plan.rows), records, state, running.hex(), walk)


def _ended(
    spec: TwinSpec,
    plan: _Plan,
    rows: int,
    records: list[dict[str, object]],
    state: FilterState,
    digest: str,
    walk: Walk | None,
    stopped: Stopped | None = None,
) -> UnitRun:
    """After so many rows of the window; after none, as if nothing had been measured."""
    if not rows:
        return UnitRun([], 0, plan.start, stopped)
    kept = min(rows, len(plan.kept))
    recent, ranges = walk.recent if walk else None, _calibrated(spec, plan, kept, records)
    return UnitRun(
        records, kept, UnitState(state, digest, plan.start.space, recent, ranges, plan.start.origin), stopped
    )


def _untouched(plan: _Plan, stopped: Stopped) -> UnitRun:
    """Without a run of the model: the existing rows, if it is known what follows them; else none."""
    if plan.handed_on is None or plan.handed_on.digest != plan.running.hex():
        return UnitRun([], 0, plan.start, stopped)
    return UnitRun([], len(plan.kept), plan.handed_on, stopped)


def _calibrated(spec: TwinSpec, plan: _Plan, kept: int, records: list[dict[str, object]]) -> Calibrated:
    """The ranges of the inputs after the window's rows, kept and computed."""
    before = Calibrated.before(tuple(part.name for part in spec.inputs), plan.start.calibrated)
    used = np.array(
        [dof > 0 for dof in (*plan.kept["dof"].iloc[:kept], *(found["dof"] for found in records))], dtype=bool
    )
    return before.after(np.array([row.inputs for row in plan.rows[: used.size]]), used)


def _as_written(spec: TwinSpec, plan: _Plan, number: int, state: FilterState) -> FilterState:
    """What follows a row that is computed once more goes on from what the table says, whatever failed this time."""
    written = state_of_row(plan.kept.iloc[number], plan.start.space, estimates_noise(spec)).state
    suspicion = written.suspicion or state.suspicion
    return replace(state, posterior=written.posterior, noise=written.noise, suspicion=suspicion, pace=written.pace)


def _afresh(state: FilterState, walk: Walk | None) -> FilterState:
    """Take over nothing but the posterior."""
    if walk is not None:
        walk.forget()
    return replace(state, learnt=None)


def _walk(engine: _Engine, plan: _Plan) -> Walk:
    model: TransientModel = engine.model  # type: ignore[assignment]  # assimilate's argument in transient mode
    return Walk(model, engine.coefficients, engine.settings, Memory.of(engine.spec), plan.past, plan.rows)


def _resumed(spec: TwinSpec, plan: _Plan) -> tuple[int, FilterState]:
    """The row to go on with, and the state before it.

    A row holds the posterior, not what was learnt of the model. Where the table's own state is not that of the last
    row to be kept, the rows since the model was last looked at in full are computed once more, and come out the same;
    none of those whose runs failed is among them, for nothing is learnt of such a row. So they are where points of the
    model were carried on, unless there is nothing to go on with; there points are drawn anew after a row that met no
    answer of the model, not after one whose update went on without some of them.
    """
    done = len(plan.kept)
    handed_on = plan.handed_on is not None and plan.handed_on.digest == plan.running.hex()
    if plan.handed_on is not None and handed_on and (not spec.transient or done == len(plan.rows)):
        return done, plan.handed_on.state
    block = done - done % BLOCK
    failed = np.flatnonzero(_failed(spec, plan.kept))
    first = max(block, int(failed[-1]) + 1 if failed.size else 0)
    if not first:
        return 0, plan.start.state
    return first, state_of_row(plan.kept.iloc[first - 1], plan.start.space, estimates_noise(spec)).state


def _failed(spec: TwinSpec, kept: pd.DataFrame) -> NDArray[np.bool_]:
    """(k,) after which rows nothing of the model is taken over but the posterior."""
    failed = kept["failed_runs"].to_numpy() > 0
    if spec.transient:
        failed &= (kept[[f"{part.name}_reason" for part in spec.measurements]] == "model").any(axis=1).to_numpy()
    return np.asarray(failed)


def _watched(engine: _Engine, plan: _Plan, number: int, state: FilterState, walk: Walk | None) -> Step:
    """One step, whose sensors are watched if they are to be."""
    row, watch = plan.rows[number], engine.watch
    until = min(number - number % BLOCK + BLOCK, len(plan.rows))

    def step(before: FilterState, values: Floats) -> Step:
        believed = replace(row, values=values)
        return _step(engine, before, believed) if walk is None else walk.step(number, before, until, believed)

    if watch is None:
        return step(state, row.values)
    done = watched(state, row.values, engine.coefficients, watch, step)
    if walk is not None and done.suspicion is not None and changed(state.suspicion, done.suspicion):
        walk.forget()
    return done


def _step(engine: _Engine, state: FilterState, row: Row) -> Step:
    # Where an input is unknown nothing is compared, and the model is not run: any finite number will do.
    inputs = np.nan_to_num(row.inputs, nan=0.0)
    return filter_step(state, row.time_ns, row.values, inputs, engine.model, engine.coefficients, engine.settings)
