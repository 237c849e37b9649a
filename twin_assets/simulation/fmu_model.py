"""An FMU as a ``PredictiveModel``: settled answers of whole batches, from worker processes.

Unless its user trusts it, the FMU never runs in the calling process: it may crash, hang or print, and the caller does
not.
"""

import math
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np

from twin_assets.model import Attempt, EvaluationError, FailedRow, Floats, InputPath, NotStartedError
from twin_assets.simulation.description import Interface, fmu_sha256, read_description
from twin_assets.simulation.errors import FmuError
from twin_assets.simulation.isolation import Isolation
from twin_assets.simulation.job import BatchResult, RowError
from twin_assets.simulation.messages import Failure, Restart, Setup
from twin_assets.simulation.pool import Pool, PoolSettings, StartError
from twin_assets.simulation.settle import SettleSettings
from twin_assets.simulation.setup import extracted, setup_of


class FmuModel:
    """A model whose predictions are an FMU's settled outputs; a context manager that holds the worker processes.

    Every batch is a pure function of its coefficients and inputs. Row 0 starts from the settled reference state, the
    other rows from row 0's settled state: near it, they settle several times faster. Where the FMU cannot keep its
    state, or a coefficient cannot be set while it runs, every row starts from a reset FMU.

    Args:
        path: the FMU's file.
        coefficients: names of the n inferred variables.
        inputs: names of the p operating conditions.
        outputs: names of the m predicted variables.
        parameters: other variables, set before initialization.
        reference: coefficients and inputs of the reference state; the FMU's start values for those not named.
        settle: how to settle.
        workers: worker processes; by default one per core that this process may use.
        timeout_s: wall time after which one evaluation counts as hung.
        isolation: "process": each FMU in a process of its own; "thread": in this one, where it can take it along.
        recycle_after: a process that has evaluated so many rows is replaced after the batch.
        recycle_above_mb: so is one whose memory has grown by more megabytes than this since its FMU was ready.
        restart: how an evaluation gets back to its start; "auto" rolls back where the FMU and all variables allow it.
        interface: what the FMU is run by; by default co-simulation where it offers that, else model exchange.
        follow_step_s: longest communication step along a path, by default the one that settling begins with. Where the
            FMU wants equal steps, those of settling are as short.
        most_reads: how often along a path ``follow`` may be asked for outputs.

    Attributes:
        sha256: of the FMU's file, hex; what is loaded is of exactly these bytes.
        model_runs: rows evaluated so far, and failed tries. Each further worker's own run of row 0 is not counted.
        model_seconds: wall time that evaluations took inside the workers, summed over them.

    Raises:
        FmuError: if the FMU cannot be used, or has no such variable.
    """

    def __init__(  # noqa: PLR0913 - named settings of one model; all but the path by keyword
        self,
        path: Path,
        *,
        coefficients: tuple[str, ...],
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
        parameters: Mapping[str, float] | None = None,
        reference: Mapping[str, float] | None = None,
        settle: SettleSettings | None = None,
        workers: int | None = None,
        timeout_s: float = 60.0,
        isolation: Isolation = "process",
        recycle_after: int = 10_000,
        recycle_above_mb: float = 500.0,
        restart: Restart | Literal["auto"] = "auto",
        interface: Interface | None = None,
        follow_step_s: float | None = None,
        most_reads: int = 1,
    ) -> None:
        self.path = path
        self.sha256 = fmu_sha256(path)
        self.description = read_description(path, interface)
        self.coefficients, self.inputs, self.outputs = coefficients, inputs, outputs
        self.model_runs = 0
        self.model_seconds = 0.0
        self.workers = max(1, usable_cores() if workers is None else workers)
        self.timeout_s = timeout_s
        if isolation == "thread" and self.description.once_per_process and self.workers > 1:
            raise FmuError(
                f"{path}: the FMU says that it can be instantiated only once per process, and {self.workers} workers in"
                " threads of one process are asked for. Expected isolation: process (model section of twin.yaml), or"
                " one worker."
            )
        self._settings = PoolSettings(self.workers, timeout_s, isolation, recycle_after, recycle_above_mb)
        self._pool: Pool | None = None
        self._folder: Path | None = None
        settling = settle or SettleSettings()
        if follow_step_s is not None and not self.description.can_vary_step:
            settling = replace(settling, max_step_s=min(follow_step_s, settling.max_step_s or math.inf))
        setup = setup_of(
            self.description,
            coefficients=coefficients,
            inputs=inputs,
            outputs=outputs,
            parameters=parameters or {},
            reference=reference or {},
            settle=settling,
            restart=restart,
        )
        self._setup = replace(
            setup,
            follow_step_s=min(follow_step_s or settling.step_s, settling.max_step_s or math.inf),
            most_reads=most_reads,
        )

    @property
    def setup(self) -> Setup:
        """What worker processes are told; folder and library are still those inside the archive."""
        return self._setup

    @property
    def equal_step_s(self) -> float | None:
        """The communication step, where this FMU wants all of them to be equal."""
        settle = self._setup.settle
        if self.description.can_vary_step:
            return None
        return settle.step_s / settle.sub_steps(settle.step_s, can_vary_step=False)

    @property
    def restart(self) -> Restart:
        """What stands between two evaluations: a rollback to the settled reference, or a reset."""
        return self._setup.restart

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="twin-fmu-"))
        try:
            self._pool = Pool(extracted(self.path, self._setup, self._folder, self.sha256), self._settings)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the worker processes and remove the extracted FMU."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def evaluate(self, coefficients: Floats, inputs: Floats) -> Floats:
        """The settled outputs of k coefficient vectors under one operating condition.

        Args:
            coefficients: (k, n), physical units.
            inputs: (p,), physical units.

        Returns:
            (k, m) outputs.

        Raises:
            EvaluationError: if the reference cannot be settled, or a row fails twice.
        """
        rows, condition = self._checked(coefficients, inputs)
        try:
            return self._run(rows, condition).outputs[:, : len(self.outputs)]
        except RowError as error:
            raise self._failed(rows[error.row], condition, error.failure) from error

    def follow(self, coefficients: Floats, path: InputPath) -> Floats:
        """The outputs of k coefficient vectors along a path, each from where it settles under the path's first inputs.

        Args:
            coefficients: (k, n), physical units.
            path: q times and inputs (q, p), read at most ``most_reads`` times.

        Returns:
            (k, t, m) outputs.

        Raises:
            EvaluationError: as ``evaluate``; one evaluation is one row's way along the whole path.
        """
        rows, condition = self._checked(coefficients, path.inputs[0])
        try:
            return self._along(path, self._run(rows, condition, path=path).outputs)
        except RowError as error:
            raise self._failed(rows[error.row], condition, error.failure) from error

    def attempt_follow(self, coefficients: Floats, path: InputPath) -> Attempt:
        """As ``follow``, but rows that fail twice are told, with what they said before.

        Raises:
            EvaluationError: if the reference cannot be settled.
        """
        rows, condition = self._checked(coefficients, path.inputs[0])
        try:
            result = self._run(rows, condition, tolerant=True, path=path)
        except RowError as error:
            failed, unfinished = self._failed_row(rows, error.row, error.failure), error.unfinished
            outputs = np.full((len(rows), path.read.size, len(self.outputs)), np.nan)
            known = 0 if unfinished is None else int(np.isfinite(self._along(path, unfinished)[0]).all(axis=1).sum())
            known = min(known, path.read.size - 1)
            if not known:
                return Attempt(outputs, (failed,))
            before = self.attempt_follow(rows, path.shortened(known))
            outputs[:, :known] = before.outputs
            return Attempt(outputs, (failed, *before.failures))
        return Attempt(self._along(path, result.outputs), self._failed_rows(rows, result))

    def _along(self, path: InputPath, answers: Floats) -> Floats:
        """(k, t, m) outputs of answers (k, ...), which have room for more."""
        size = path.read.size * len(self.outputs)
        return np.asarray(np.atleast_2d(answers)[:, :size].reshape(-1, path.read.size, len(self.outputs)))

    def attempt(self, coefficients: Floats, inputs: Floats) -> Attempt:
        """As ``evaluate``, but rows that fail twice are told, and the others are evaluated.

        Raises:
            EvaluationError: if the reference cannot be settled.
        """
        rows, condition = self._checked(coefficients, inputs)
        return self._attempted(rows, condition)

    def attempt_each(self, coefficients: Floats, inputs: Floats) -> Attempt:
        """As ``attempt``, but each row under inputs (k, p) of its own: also then it starts from row 0's settled state.

        Raises:
            EvaluationError: if the reference cannot be settled.
        """
        rows, condition = self._checked(coefficients, inputs[0])
        # A worker sets coefficients and inputs together: what it is told with the row it need not be told apart.
        return self._attempted(np.hstack([rows, inputs]), condition[:0])

    def _attempted(self, rows: Floats, condition: Floats) -> Attempt:
        """Rows (k, n) under one operating condition (p,), or (k, n + p) with their own."""
        try:
            result = self._run(rows, condition, tolerant=True)
        except RowError as error:
            nothing = np.full((len(rows), len(self.outputs)), np.nan)
            return Attempt(nothing, (self._failed_row(rows, error.row, error.failure),))
        return Attempt(result.outputs[:, : len(self.outputs)], self._failed_rows(rows, result))

    def _checked(self, coefficients: Floats, inputs: Floats) -> tuple[Floats, Floats]:
        rows = np.ascontiguousarray(coefficients, dtype=np.float64)
        condition = np.ascontiguousarray(inputs, dtype=np.float64)
        self._check_shapes(rows, condition)
        return rows, condition

    def _run(
        self, rows: Floats, inputs: Floats, *, tolerant: bool = False, path: InputPath | None = None
    ) -> BatchResult:
        """Let the pool do it, and count."""
        if path is not None and path.read.size > self._setup.most_reads:
            raise ValueError(f"{path.read.size} reads along a path were asked for; at most {self._setup.most_reads}")
        if self._pool is None:
            raise RuntimeError("FmuModel is not open; use it as: with FmuModel(…) as model:")
        if not len(rows):
            return BatchResult(np.empty((0, self._setup.answer_size)), 0.0, frozenset())
        try:
            result = self._pool.evaluate(rows, inputs, tolerant=tolerant, path=path)
        except StartError as error:
            raise self._not_started(error.failure) from error
        except RowError:
            self.model_runs += 1 + len(rows)
            raise
        self.model_runs += len(rows) + len(result.failed)
        self.model_seconds += result.seconds
        return result

    def _check_shapes(self, rows: Floats, inputs: Floats) -> None:
        expected = (len(self.coefficients),)
        if rows.ndim != 2 or rows.shape[1:] != expected or inputs.shape != (len(self.inputs),):  # noqa: PLR2004 - rows, columns
            raise ValueError(
                f"coefficients {rows.shape} and inputs {inputs.shape} were given; (k, {len(self.coefficients)}) and"
                f" ({len(self.inputs)},) are expected"
            )

    def _failed_rows(self, rows: Floats, result: BatchResult) -> tuple[FailedRow, ...]:
        return tuple(self._failed_row(rows, row, failure) for row, failure in sorted(result.given_up.items()))

    def _failed_row(self, rows: Floats, row: int, failure: Failure) -> FailedRow:
        return FailedRow(row, self._setup.named(rows[row, : len(self.coefficients)]), str(failure))

    def _not_started(self, failure: Failure) -> NotStartedError:
        count = len(self.coefficients)
        reference = np.array(self._setup.reference)
        return NotStartedError(
            f"{self.path}: the model could not be brought to its reference state: {failure}."
            f" {self._point(reference[:count], reference[count:])}",
            self._setup.named(reference[:count]),
        )

    def _failed(self, row: Floats, inputs: Floats, failure: Failure) -> EvaluationError:
        return EvaluationError(
            f"{self.path}: the model could not be evaluated, also not on a second try in a fresh"
            f" {self._settings.isolation}: {failure}."
            f" {self._point(row, inputs)} If the model is not meant for these values, narrow the coefficient's bounds.",
            self._setup.named(row),
        )

    def _point(self, row: Floats, inputs: Floats) -> str:
        text = "Coefficients: " + ", ".join(f"{name}={value:.6g}" for name, value in self._setup.named(row).items())
        if self.inputs:
            pairs = zip(self.inputs, inputs.tolist(), strict=True)
            text += "; inputs: " + ", ".join(f"{name}={value:.6g}" for name, value in pairs)
        return text + "."


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
