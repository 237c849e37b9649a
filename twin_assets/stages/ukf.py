"""ukf_state: the filter over one window, every observation exactly once.

Each row carries a running digest over all that led to it: spec, FMU, the state that the window started from, every
observation so far. Rows of an earlier materialization with the digests that are due now are the rows that would be
computed again, for the model and the filter are pure; they are kept as they are, and the filter goes on after them. So
new data continues after the watermark, and late or corrected data, another spec or FMU replays what they touch, and no
more: units do not know each other, rows before the change stay.
"""

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from twin_assets.estimation import Coefficients, FilterSettings, FilterState, Step, filter_step
from twin_assets.model import Floats, PredictiveModel
from twin_assets.spec import TwinSpec
from twin_assets.stages.settings import coefficients_of, settings_of
from twin_assets.stages.states import UnitState, start_state, state_of_row, states_after, states_metadata, states_of
from twin_assets.stages.tables import Progress, Table, located, no_progress

FINGERPRINT = "fingerprint"
"""Metadata of a table: what it was computed by, as ``fingerprint`` says it."""

ALGORITHM = "2"
"""To be raised when the filter computes something else from the same arguments: everything is then replayed."""


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


@dataclass(frozen=True)
class _Row:
    """One observation as the filter takes it.

    Attributes:
        time_ns: its time.
        values: (m,) NaN where nothing is to be assimilated.
        reasons: (m,) why not, "" where it is.
        inputs: (p,) NaN where unknown.
    """

    time_ns: int
    values: Floats
    reasons: tuple[str, ...]
    inputs: Floats

    def digest(self, before: bytes) -> bytes:
        """The running digest after this row."""
        running = hashlib.sha256(before)
        running.update(self.time_ns.to_bytes(8, "little", signed=True))
        for array in (self.values, self.inputs):
            # NaN has many bit patterns; adding zero also makes one of both zeros.
            running.update(np.where(np.isnan(array), np.nan, array + 0.0).astype("<f8").tobytes())
        running.update("\0".join(self.reasons).encode())
        return running.digest()


@dataclass(frozen=True)
class _Engine:
    """What is the same for all units of a call."""

    spec: TwinSpec
    model: PredictiveModel
    coefficients: Coefficients
    settings: FilterSettings
    fingerprint: str


@dataclass(frozen=True)
class _Plan:
    """What is to be done for one unit.

    Attributes:
        unit: its name.
        start: state before the window.
        rows: its observations in order.
        digests: due after each row, hex.
        kept: its rows of the existing table that stay, a prefix.
    """

    unit: str
    start: UnitState
    rows: list[_Row]
    digests: list[str]
    kept: pd.DataFrame


def assimilate(
    spec: TwinSpec,
    model: PredictiveModel,
    observations: pd.DataFrame,
    *,
    fmu_sha256: str,
    existing: Table | None = None,
    previous: Mapping[str, str] | None = None,
    progress: Progress = no_progress,
) -> UkfResult:
    """Filter the observations of one window; rows that an existing table already holds are kept as they are.

    Args:
        spec: coefficients, measurements, inputs, checks.
        model: its coefficients, inputs and first outputs are named as the spec's, in order.
        observations: of all units, as ``observe`` gives them.
        fmu_sha256: identifies the model.
        existing: this window's table as it was materialized before.
        previous: metadata of the ukf_state table that the window starts from (``states.previous_state``); without it,
            and for units that it does not know, the filter starts from the prior.
        progress: called after every step.

    Returns:
        unit, time, state_mean (n,), state_cov and state_root (n*n,), for each measurement ``_innovation``,
        ``_innovation_std`` and ``_reason`` ("" used, "gated", the observation's reason, or "input" where an input was
        unknown), nis, dof, method, model_runs, digest; in the order of the observations. A window without observations
        hands the states on.

    Raises:
        EvaluationError: if the model fails; names the unit and the time.
    """
    engine = _Engine(spec, model, coefficients_of(spec), settings_of(spec), fingerprint(spec, fmu_sha256))
    before = states_of(previous)
    names = [str(unit) for unit in observations["unit"].unique()]
    starts = before | {unit: start_state(unit, before, engine.coefficients) for unit in names}
    plans = [_plan(engine, unit, starts[unit], observations, existing) for unit in names]
    total = sum(len(plan.rows) - len(plan.kept) for plan in plans)
    counted = _counted(progress, total)
    computed = [_frame(spec, list(_steps(engine, plan, counted))) for plan in plans]
    parts = [part for plan, new in zip(plans, computed, strict=True) for part in (plan.kept, new) if len(part)]
    frame = pd.concat(parts, ignore_index=True) if parts else _frame(spec, [])
    return UkfResult(
        frame=frame,
        metadata={**states_metadata(states_after(frame, starts, starts)), FINGERPRINT: engine.fingerprint},
        kept=len(frame) - total,
        assimilated=total,
        model_runs=sum(int(new["model_runs"].sum()) for new in computed),
    )


def fingerprint(spec: TwinSpec, fmu_sha256: str) -> str:
    """Hex hash of all but the data that decides about a posterior: spec, FMU, this library's algorithm.

    What only people see (descriptions, limits), and what merely chooses when something runs, does not count.
    """
    parts = {
        "model": spec.model.model_dump(mode="json", exclude={"fmu", "timeout_s"}),
        "inputs": [part.model_dump(mode="json", include={"name", "constant"}) for part in spec.inputs],
        "coefficients": [
            part.model_dump(mode="json", exclude={"description", "limit", "unit"}) for part in spec.coefficients
        ],
        "measurements": [part.model_dump(mode="json", include={"name", "noise_std"}) for part in spec.measurements],
        "gate_probability": spec.checks.gate_probability,
        "fmu": fmu_sha256,
        "algorithm": ALGORITHM,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _plan(engine: _Engine, unit: str, start: UnitState, observations: pd.DataFrame, existing: Table | None) -> _Plan:
    rows = _rows(engine.spec, observations[observations["unit"] == unit])
    running = hashlib.sha256(f"{engine.fingerprint}\0{start.digest}\0{unit}".encode()).digest()
    digests = []
    for row in rows:
        running = row.digest(running)
        digests.append(running.hex())
    if existing is None or existing.frame.empty:
        return _Plan(unit, start, rows, digests, _frame(engine.spec, []))
    found = existing.frame[existing.frame["unit"] == unit]
    return _Plan(unit, start, rows, digests, found.iloc[: _common(list(found["digest"]), digests)])


def _common(found: list[str], due: list[str]) -> int:
    """How many digests agree. They are running ones: the last that agrees vouches for all before it."""
    for count in range(min(len(found), len(due)), 0, -1):
        if found[count - 1] == due[count - 1]:
            return count
    return 0


def _rows(spec: TwinSpec, observations: pd.DataFrame) -> list[_Row]:
    names = [part.name for part in spec.measurements]
    time_ns = pd.DatetimeIndex(observations["time"]).as_unit("ns").asi8
    values = observations[names].to_numpy(dtype=np.float64)
    inputs = observations[[part.name for part in spec.inputs]].to_numpy(dtype=np.float64)
    reasons = observations[[f"{name}_reason" for name in names]].to_numpy(dtype=object)
    blind = np.isnan(inputs).any(axis=1)
    # Without its inputs the model says nothing: whatever was measured then cannot be compared.
    reasons = np.where(blind[:, np.newaxis] & (reasons == ""), "input", reasons)
    values = np.where(blind[:, np.newaxis], np.nan, values)
    return [_Row(int(time_ns[i]), values[i], tuple(reasons[i]), inputs[i]) for i in range(len(observations))]


def _steps(engine: _Engine, plan: _Plan, counted: Callable[[], None]) -> Iterator[dict[str, object]]:
    """The rows that are still to be computed, one after the other."""
    done = len(plan.kept)
    state = (state_of_row(plan.kept.iloc[-1], plan.start.space) if done else plan.start).state
    for row, digest in zip(plan.rows[done:], plan.digests[done:], strict=True):
        step = _step(engine, plan.unit, state, row)
        yield _record(engine.spec, plan.unit, row, step, digest)
        state = step.state
        counted()


def _step(engine: _Engine, unit: str, state: FilterState, row: _Row) -> Step:
    # Where an input is unknown nothing is compared, and the model is not run: any finite number will do.
    inputs = np.nan_to_num(row.inputs, nan=0.0)
    with located(unit, row.time_ns):
        return filter_step(state, row.time_ns, row.values, inputs, engine.model, engine.coefficients, engine.settings)


def _record(spec: TwinSpec, unit: str, row: _Row, step: Step, digest: str) -> dict[str, object]:
    record: dict[str, object] = {
        "unit": unit,
        "time": row.time_ns,
        "state_mean": np.array(step.posterior.mean),
        "state_cov": step.posterior.cov.reshape(-1),
        "state_root": step.posterior.root.reshape(-1),
    }
    for i, part in enumerate(spec.measurements):
        record[f"{part.name}_innovation"] = step.innovation[i]
        record[f"{part.name}_innovation_std"] = step.innovation_std[i]
        record[f"{part.name}_reason"] = row.reasons[i] or step.reasons[i]
    return record | {
        "nis": step.nis,
        "dof": step.dof,
        "method": step.method,
        "model_runs": step.model_runs,
        "digest": digest,
    }


def _frame(spec: TwinSpec, records: list[dict[str, object]]) -> pd.DataFrame:
    """The ukf_state table of some rows, with its columns and their types also where there are none."""
    types = {"unit": "str", "time": "int64", "state_mean": "object", "state_cov": "object", "state_root": "object"}
    for part in spec.measurements:
        types |= {f"{part.name}_innovation": "float64", f"{part.name}_innovation_std": "float64"}
        types[f"{part.name}_reason"] = "str"
    types |= {"nis": "float64", "dof": "int64", "method": "str", "model_runs": "int64", "digest": "str"}
    frame = pd.DataFrame({name: pd.Series([row[name] for row in records], dtype=types[name]) for name in types})
    frame["time"] = pd.to_datetime(frame["time"], utc=True, unit="ns")
    return frame


def _counted(progress: Progress, total: int) -> Callable[[], None]:
    count = itertools.count(1)
    return lambda: progress(next(count), total)
