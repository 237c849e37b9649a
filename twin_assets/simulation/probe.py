"""Find out how an FMU can really restart, each way in processes of its own: some FMUs crash where they claim they can.

A restart is exact when the same coefficients give bit-identical outputs before and after other coefficients were
evaluated (and, for a serialized state, in another process).
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from twin_assets.model import InputPath
from twin_assets.simulation.fmu_model import FmuModel
from twin_assets.simulation.isolation import START_ALLOWANCE_S, WorkerLostError
from twin_assets.simulation.messages import Batch, Restart, Setup
from twin_assets.simulation.process import WorkerProcess
from twin_assets.simulation.settle import Floats
from twin_assets.simulation.setup import extracted

DETOUR = 1e-2
REPLAY = "replay of the recent past"
_USED: Mapping[Restart, str] = {
    "rollback": "each run rolls back to a settled state",
    "reset": "each run is a reset and a cold start",
}
Status = Literal["exact", "inexact", "fails", "not offered"]


@dataclass(frozen=True)
class RestartOutcome:
    """How one way of restarting went.

    Attributes:
        status: "exact": bit-identical; "inexact": it works, the outputs differ; "fails": error, crash or hang;
            "not offered": the FMU does not claim it, or has coefficients that cannot be set while it runs.
        detail: for people; how much, or why; empty if exact.
    """

    status: Status
    detail: str = ""


@dataclass(frozen=True)
class RestartReport:
    """How an FMU can restart.

    Attributes:
        rollback: keep the settled state and restore it in the same process.
        reset: reset and initialize anew.
        serialize: keep the settled state as bytes and restore it in another process.
        used: what evaluations do.
        replay: follow the same inputs in two processes; None where the model is not to be followed.
    """

    rollback: RestartOutcome
    reset: RestartOutcome
    serialize: RestartOutcome
    used: Restart
    replay: RestartOutcome | None = None

    @property
    def across_runs(self) -> str | None:
        """How a run goes on where another one ended, in transient mode: what the probe decided, for people.

        A replay needs nothing of a former process, so it is what is done wherever it works. An FMU's serialized state
        is not used: it holds the coefficients of one point, and where points are drawn anew, as they are in any case
        every so many observations, the recent past has to be replayed whatever was kept (see docs/transient.md).
        """
        return REPLAY if self.replay is not None and self.replay.status != "fails" else None

    @property
    def choice(self) -> str:
        """What is done, and how everything that was tried went, in one line for people."""
        ways = {"rollback": self.rollback, "reset": self.reset, "state in another process": self.serialize}
        tried = ", ".join(f"{name} {outcome.status}" for name, outcome in ways.items())
        line = f"{_USED[self.used]} (tried: {tried})"
        if self.replay is None:
            return line
        if self.across_runs is None:
            return f"{line}; no run can go on after another: {REPLAY} fails ({self.replay.detail})"
        unused = ", also where a state would do" if self.serialize.status == "exact" else ""
        return f"{line}; a run goes on after another by {self.across_runs} ({self.replay.status}){unused}"

    @property
    def reproducible(self) -> bool:
        """Whether the way that evaluations use gives the same answer every time."""
        return (self.rollback if self.used == "rollback" else self.reset).status == "exact"


def probe_restart(model: FmuModel) -> RestartReport:
    """Try all ways in which a model's FMU may restart, around its reference; the model need not be open.

    Raises:
        FmuError: if the FMU cannot be extracted.
    """
    with tempfile.TemporaryDirectory(prefix="twin-fmu-", ignore_cleanup_errors=True) as folder:
        setup = extracted(model.path, model.setup, Path(folder), model.sha256)
        if model.restart == "rollback":
            rollback = _try_restart(replace(setup, restart="rollback"), model.timeout_s)
            serialize = _not_offered("canSerializeFMUstate is false")
            if model.description.can_serialize_state:
                serialize = _try_serialize(replace(setup, restart="rollback"), model.timeout_s)
        else:
            reason = "canGetAndSetFMUstate is false, or a coefficient or input cannot be set while the model runs"
            rollback = serialize = _not_offered(reason)
        reset = _try_restart(replace(setup, restart="reset"), model.timeout_s)
        replay = _try_replay(setup, model.timeout_s) if setup.most_reads > 1 else None
    return RestartReport(rollback, reset, serialize, model.restart, replay)


def _not_offered(reason: str) -> RestartOutcome:
    return RestartOutcome("not offered", reason)


def _try_restart(setup: Setup, timeout_s: float) -> RestartOutcome:
    """Evaluate the reference, something else, and the reference again."""
    try:
        first, again = _evaluate_twice(setup, timeout_s)
    except WorkerLostError as error:
        return RestartOutcome("fails", str(error))
    return _compared(first, again)


def _try_serialize(setup: Setup, timeout_s: float) -> RestartOutcome:
    """The detour's answer from the settled state, in the process that settled and in another that got the bytes."""
    try:
        process = _started(setup, timeout_s)
        try:
            serialized = process.serialized(timeout_s)
            here = _evaluated(process, setup, timeout_s, detour=True)
        finally:
            _ended(process)
        process = _started(replace(setup, serialized=serialized), timeout_s)
        try:
            there = _evaluated(process, setup, timeout_s, detour=True)
        finally:
            _ended(process)
    except WorkerLostError as error:
        return RestartOutcome("fails", str(error))
    return _compared(here, there)


def _try_replay(setup: Setup, timeout_s: float) -> RestartOutcome:
    """Follow inputs that move a little away from the reference, and back, in one process and in another."""
    inputs = np.array(setup.reference[len(setup.coefficients) :])
    away = np.where(inputs == 0.0, DETOUR, inputs * DETOUR)
    moved = inputs + np.where([variable.tunable for variable in setup.inputs], away, 0.0)
    times_s, linear = np.arange(3.0) * 2.0 * setup.follow_step_s, np.ones(len(inputs), dtype=bool)
    path = InputPath(times_s, np.array([inputs, moved, inputs]), np.array([1, 2]), linear)
    answers = []
    try:
        for _ in range(2):
            process = _started(setup, timeout_s)
            try:
                row = np.array(setup.reference[: len(setup.coefficients)])
                process.ask(Batch(row[np.newaxis], inputs, anchored=True, path=path))
                answers.append(np.nan_to_num(process.answers(timeout_s).outputs[0]))
            finally:
                _ended(process)
    except WorkerLostError as error:
        return RestartOutcome("fails", str(error))
    return _compared(answers[0], answers[1])


def _evaluate_twice(setup: Setup, timeout_s: float) -> tuple[Floats, Floats]:
    process = _started(setup, timeout_s)
    try:
        first = _evaluated(process, setup, timeout_s)
        _evaluated(process, setup, timeout_s, detour=True)
        return first, _evaluated(process, setup, timeout_s)
    finally:
        _ended(process)


def _started(setup: Setup, timeout_s: float) -> WorkerProcess:
    process = WorkerProcess(setup)
    process.wait_until_ready(timeout_s + START_ALLOWANCE_S)
    return process


def _ended(process: WorkerProcess) -> None:
    process.end()
    process.release()


def _evaluated(process: WorkerProcess, setup: Setup, timeout_s: float, *, detour: bool = False) -> Floats:
    count = len(setup.coefficients)
    reference = np.array(setup.reference)
    row = _beside(setup, reference[:count]) if detour else reference[:count]
    process.ask(Batch(row[np.newaxis], reference[count:], anchored=True))
    outputs: Floats = process.answers(timeout_s).outputs[0]
    return outputs


def _beside(setup: Setup, coefficients: Floats) -> Floats:
    """Coefficients a little away from the given ones, (n,), within the FMU's bounds."""
    moved = coefficients * (1.0 + DETOUR) + np.where(coefficients == 0.0, DETOUR, 0.0)
    upper = np.array([np.inf if variable.max is None else variable.max for variable in setup.coefficients])
    return np.where(moved > upper, coefficients * (1.0 - DETOUR), moved)


def _compared(one: Floats, other: Floats) -> RestartOutcome:
    if one.tobytes() == other.tobytes():
        return RestartOutcome("exact")
    difference = float(np.max(np.abs(one - other) / np.maximum(np.abs(one), np.finfo(float).tiny)))
    return RestartOutcome("inexact", f"outputs differ by up to {difference:.2g}, relative")
