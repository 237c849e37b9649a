"""ukf_state: the filter over one window, every observation exactly once.

Each row carries a running digest over all that led to it: spec, FMU, the state that the window started from, every
observation so far. Rows of an earlier materialization with the digests that are due now are the rows that would be
computed again, for the model and the filter are pure; they are kept as they are, and the filter goes on after them. So
new data continues after the watermark, and late or corrected data, another spec or FMU replays what they touch, and no
more: units do not know each other, rows before the change stay.

Where runs of the model failed, the digest also covers what came of the row, and how the model is run (time-out,
isolation, when processes are replaced). So it stays as it is, whatever a second try would bring; but whoever changes
how the model is run has it tried again, and what follows from it is computed again, in later windows, too.

Units are filtered side by side where the model can be had several times (``units``). One that cannot be gone on with
(its model fails and cannot tell where, the process that works on it dies) keeps its rows up to there, and the table
says why; the others go on. The next time it goes on from where it stopped, and comes to what it would have been.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twin_assets.estimation import Coefficients, FilterSettings, FilterState, Gaussian, Step, filter_step
from twin_assets.estimation.diagnosis import Watch, changed, watched
from twin_assets.model import EvaluationError, Floats, NotStartedError, PredictiveModel, TransientModel
from twin_assets.spec import TwinSpec
from twin_assets.stages.calibrated import Calibrated
from twin_assets.stages.history import History, Memory
from twin_assets.stages.settings import coefficients_of, estimates_noise, how_it_runs, settings_of, watch_of
from twin_assets.stages.states import (
    UnitState,
    learnt_of_row,
    posterior_of_row,
    start_state,
    state_of_row,
    states_metadata,
    states_of,
)
from twin_assets.stages.tables import Progress, Table, located, no_progress
from twin_assets.stages.transient import Walk, with_history
from twin_assets.stages.ukf_rows import Row, after_failures, believed, record, rows_of, state_frame, up_to_date
from twin_assets.stages.units import Stopped, Tell, each, failures_metadata

FINGERPRINT = "fingerprint"
"""Metadata of a table: what it was computed by, as ``fingerprint`` says it."""

ALGORITHM = "7"
"""To be raised when the filter computes something else from the same arguments: everything is then replayed."""

FOLLOWED = "2"
"""The same of models that are followed through time: what their inputs do in between."""

BLOCK = 36
"""After so many rows of a window nothing is taken over from the rows before but the posterior."""


@dataclass(frozen=True)
class UkfResult:
    """The filter's table of one window.

    Attributes:
        frame: the ukf_state table.
        metadata: to be written beside it: the final state of every unit, exact.
        kept: rows taken over from the existing table.
        assimilated: rows computed now.
        model_runs: model evaluations of the rows computed now.
        stopped: units that could not be gone on with.
    """

    frame: pd.DataFrame
    metadata: Mapping[str, str]
    kept: int
    assimilated: int
    model_runs: int
    stopped: Mapping[str, Stopped] = field(default_factory=dict)


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
class _Run:
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
class _UnitJob:
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

    def run(self, model: PredictiveModel, tell: Tell) -> _Run:
        """See Job."""
        engine = _engine(self.spec, model, self.fmu_sha256)
        return _run(engine, _plan(engine, self), tell, self)

    def given_up(self, done: int, why: str) -> "_UnitJob":
        """See Job."""
        return replace(self, most=done, why=why)

    def fail_after(self, computed: int) -> None:
        """Fail, if it is to after so many rows that were computed."""
        if computed == self.most:
            raise EvaluationError(self.why, {})


def assimilate(
    spec: TwinSpec,
    model: PredictiveModel,
    observations: pd.DataFrame,
    *,
    fmu_sha256: str,
    existing: Table | None = None,
    previous: Mapping[str, str] | None = None,
    fleet: Callable[[], Gaussian | None] = lambda: None,
    progress: Progress = no_progress,
) -> UkfResult:
    """Filter the observations of one window; rows that an existing table already holds are kept as they are.

    Args:
        spec: coefficients, measurements, inputs, checks.
        model: its coefficients, inputs and first outputs are named as the spec's, in order; a ``TransientModel`` in
            transient mode.
        observations: of all units, as ``observe`` gives them.
        fmu_sha256: identifies the model.
        existing: this window's table as it was materialized before.
        previous: metadata of the ukf_state table that the window starts from (``states.previous_state``); without it,
            and for units that it does not know, the filter starts from the prior.
        fleet: asked for that prior if there are such units; None is twin.yaml's own.
        progress: called after every step.

    Returns:
        unit, time, state_mean (n,), state_cov and state_root (n*n,), for each measurement ``_innovation``,
        ``_innovation_std`` and ``_reason`` ("" used, "gated", the observation's reason, "input" where an input was
        unknown, "history" where those of the recent past were, "model" where the model could not be run, or of a sensor
        that is left out "suspect: bias", "suspect: stuck", "suspect: noisy", "suspect: dead"), nis, dof, method,
        model_runs, failed_runs and failures (runs that failed twice), digest; where noise is estimated ``_noise_std``
        and noise (k, 2) of the k channels met so far, in the spec's order; where drift is adapted ``_drift_factor`` of
        each coefficient and drift (n, 4); where sensors are watched diagnosis (for people, "" where all is well) and
        suspicion (exact, "" in most rows); in the order of the observations. A window without observations hands the
        states on.

    Raises:
        EvaluationError: if the model does not start, or if none of the twin's units can be gone on with, as where it
            has one; names the unit and the time.
    """
    before, coefficients = states_of(previous), coefficients_of(spec)
    own = {str(unit): rows for unit, rows in observations.groupby("unit", sort=False)}
    newcomers = fleet() if any(unit not in before for unit in own) else None
    starts = before | {unit: start_state(unit, before, coefficients, newcomers) for unit in own}
    old = Table(state_frame(spec, []), {}) if existing is None else Table(up_to_date(existing.frame), existing.metadata)
    places = {str(unit): np.asarray(at) for unit, at in old.frame.groupby("unit", sort=False).indices.items()}
    handed_on = states_of(old.metadata)
    jobs = [
        _UnitJob(
            spec,
            fmu_sha256,
            unit,
            starts[unit],
            own[unit],
            old.frame.iloc[places[unit]] if unit in places else None,
            handed_on.get(unit),
        )
        for unit in own
    ]
    runs = dict(zip(own, each(model, jobs, progress), strict=True))
    stopped = {unit: run.stopped for unit, run in runs.items() if run.stopped is not None}
    if stopped and {*stopped} >= {*(spec.named_units or ()), *starts}:
        raise next(iter(stopped.values())).error
    ends = {unit: run.end for unit, run in runs.items()}
    failures = failures_metadata(
        stopped, old.metadata, lambda unit: unit in handed_on and handed_on[unit].digest == ends[unit].digest
    )
    kept = sum(run.kept for run in runs.values())
    new = state_frame(spec, [row for run in runs.values() for row in run.records])
    return UkfResult(
        frame=_joined(old.frame, places, runs, new),
        metadata={**states_metadata(starts | ends), FINGERPRINT: fingerprint(spec, fmu_sha256), **failures},
        kept=kept,
        assimilated=len(new),
        model_runs=int(new["model_runs"].sum()),
        stopped=stopped,
    )


def _joined(
    old: pd.DataFrame, places: Mapping[str, NDArray[np.intp]], runs: Mapping[str, _Run], new: pd.DataFrame
) -> pd.DataFrame:
    """Unit by unit, the rows that are kept, then those that were computed."""
    stay = [places[unit][: run.kept] for unit, run in runs.items() if run.kept]
    kept = old.iloc[np.concatenate(stay)] if stay else old.iloc[:0]
    if kept.empty or new.empty:
        return (new if kept.empty else kept).reset_index(drop=True)
    counts = np.array([(run.kept, len(run.records)) for run in runs.values()])
    whose = [np.repeat(np.arange(len(runs)), counts[:, i]) for i in range(2)]
    order = np.argsort(np.concatenate(whose), kind="stable")
    return pd.concat([kept, new], ignore_index=True).iloc[order].reset_index(drop=True)


def fingerprint(spec: TwinSpec, fmu_sha256: str) -> str:
    """Hex hash of all but the data that decides about a posterior: spec, FMU, this library's algorithm.

    What only people see (descriptions, limits), and what merely chooses when something runs, does not count.
    """
    parts: dict[str, object] = {
        # Nothing is said where a field has no value: fields that come to be leave the states of before valid.
        "model": spec.model.model_dump(mode="json", exclude={"fmu", *spec.model.HOW_IT_RUNS}, exclude_none=True),
        "inputs": [
            part.model_dump(mode="json", include={"name", "constant"})
            | part.model_dump(mode="json", include={"noise_std"}, exclude_none=True)
            for part in spec.inputs
        ],
        "coefficients": [
            part.model_dump(mode="json", exclude={"description", "limit", "unit"}) for part in spec.coefficients
        ],
        "measurements": [
            part.model_dump(mode="json", include={"name", "noise_std", "resolution"}, exclude_none=True)
            for part in spec.measurements
        ],
        "gate_probability": spec.checks.gate_probability,
        # A field that came later is left out where it has its default, as below.
        "filter": spec.filter.model_dump(
            mode="json", exclude=set() if spec.filter.adaptive_drift else {"adaptive_drift"}
        ),
        "fmu": fmu_sha256,
        "algorithm": ALGORITHM,
        "block": BLOCK,
    }
    if spec.filter.diagnosis:
        # A dead sensor reads an end of its range.
        parts["ranges"] = [part.valid_range for part in spec.measurements]
    # The default is left out: what was computed before there was a choice stays as it is.
    if spec.identifiability != "report":
        parts["identifiability"] = spec.identifiability
    if spec.transient:
        parts["moving"] = [[part.between, part.max_age.total_seconds()] for part in spec.inputs]
        parts["followed"] = FOLLOWED
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _engine(spec: TwinSpec, model: PredictiveModel, fmu_sha256: str) -> _Engine:
    about = fingerprint(spec, fmu_sha256)
    return _Engine(spec, model, coefficients_of(spec), settings_of(spec), watch_of(spec), about, how_it_runs(spec))


def _plan(engine: _Engine, job: _UnitJob) -> _Plan:
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


def _run(engine: _Engine, plan: _Plan, tell: Tell, job: _UnitJob) -> _Run:
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
) -> _Run:
    """After so many rows of the window; after none, as if nothing had been measured."""
    if not rows:
        return _Run([], 0, plan.start, stopped)
    kept = min(rows, len(plan.kept))
    recent, ranges = walk.recent if walk else None, _calibrated(spec, plan, kept, records)
    return _Run(records, kept, UnitState(state, digest, plan.start.space, recent, ranges, plan.start.origin), stopped)


def _untouched(plan: _Plan, stopped: Stopped) -> _Run:
    """Without a run of the model: the existing rows, if it is known what follows them; else none."""
    if plan.handed_on is None or plan.handed_on.digest != plan.running.hex():
        return _Run([], 0, plan.start, stopped)
    return _Run([], len(plan.kept), plan.handed_on, stopped)


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
