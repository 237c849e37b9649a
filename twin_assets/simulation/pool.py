"""A batch of evaluations over several worker processes; what fails is tried once more, alone, in a fresh process."""

import math
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np

from twin_assets.simulation.board import SLOTS, Answers
from twin_assets.simulation.messages import Batch, Failure, Setup
from twin_assets.simulation.process import WorkerLostError, WorkerProcess
from twin_assets.simulation.settle import Floats

START_ALLOWANCE_S = 60.0
WATCH_INTERVAL_S = 0.05
# Batches that a process is asked for at a time, and the most rows of one; its board has to hold them all.
AHEAD, CHUNK = 2, SLOTS // 4


class StartError(Exception):
    """The FMU does not get as far as its reference state."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


class RowError(Exception):
    """A row failed twice.

    Attributes:
        row: its index in the batch.
        failure: of the second try.
    """

    def __init__(self, row: int, failure: Failure) -> None:
        super().__init__(str(failure))
        self.row = row
        self.failure = failure


@dataclass(frozen=True)
class BatchResult:
    """The answers to a batch.

    Attributes:
        outputs: (k, m).
        seconds: wall time that evaluations took inside the workers, summed over them.
        failed: rows that failed on the first try, and succeeded on the second.
    """

    outputs: Floats
    seconds: float
    failed: frozenset[int]


class _Job:
    """A batch on its way: rows still to do, and the answers so far; shared by the workers' threads.

    If ``anchored``, row 0 is not for the taking: every worker evaluates it, and starts the others from there.
    """

    def __init__(self, rows: Floats, inputs: Floats, outputs: int, workers: int, *, anchored: bool) -> None:
        self.rows, self.inputs = rows, inputs
        self.outputs: Floats = np.full((len(rows), outputs), np.nan)
        self.failed: set[int] = set()
        self.seconds = 0.0
        self.anchored = anchored
        self._next = int(anchored)
        self._workers = workers
        self._lock = threading.Lock()

    def take(self) -> list[int]:
        """The next rows for a worker, ever fewer towards the end so that all finish together; empty at the end."""
        with self._lock:
            left = len(self.rows) - self._next
            share = min(CHUNK, left if self._workers == 1 else math.ceil(left / (2 * self._workers)))
            chunk = list(range(self._next, self._next + share))
            self._next += share
            return chunk

    def abandon(self) -> None:
        """Leave nothing for others to take."""
        with self._lock:
            self._next = len(self.rows)

    def fail(self, row: int) -> None:
        """Note that a row failed."""
        with self._lock:
            self.failed.add(row)

    def store(self, rows: list[int], answers: Answers) -> None:
        """Keep some rows' answers."""
        with self._lock:
            self.outputs[rows] = answers.outputs
            self.seconds += float(answers.seconds.sum())


class Pool:
    """Worker processes with one FMU each; a context manager that starts and ends them.

    Args:
        setup: the FMU and how it is evaluated.
        workers: how many processes.
        timeout_s: wall time after which one evaluation counts as hung.
    """

    def __init__(self, setup: Setup, workers: int, timeout_s: float) -> None:
        self._setup = setup
        self._timeout_s = timeout_s
        self._closed = threading.Event()
        self._closing = threading.Lock()
        self._one_batch = threading.Lock()
        self._workers = [_Slot(setup) for _ in range(workers)]
        self._threads = ThreadPoolExecutor(max(1, workers - 1), thread_name_prefix="fmu-worker")
        threading.Thread(target=self._watch, name="fmu-watch", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def evaluate(self, rows: Floats, inputs: Floats) -> BatchResult:
        """Evaluate rows (k, n) under inputs (p,), each where a worker is free.

        If it is interrupted (Ctrl-C), the pool is closed: what the workers are then at nobody waits for.

        Raises:
            StartError: if the FMU does not start.
            RowError: if a row fails twice; of several, the first.
        """
        with self._one_batch:
            if self._closed.is_set():
                raise RuntimeError("the worker processes were ended; open the model anew")
            anchored = self._setup.restart == "rollback"
            job = _Job(rows, inputs, len(self._setup.outputs), len(self._workers), anchored=anchored)
            first, *others = self._workers[: max(1, len(rows) - anchored)]
            try:
                tasks = [self._threads.submit(self._work, slot, job) for slot in others]
                # This thread has nothing else to do, and handing on costs time.
                ends = [self._work(first, job), *(task.result() for task in tasks)]
            except BaseException:
                self.close()
                raise
        errors = [error for error in ends if error is not None]
        if errors:
            raise min(errors, key=lambda error: error.row if isinstance(error, RowError) else -1)
        return BatchResult(job.outputs, job.seconds, frozenset(job.failed))

    def close(self) -> None:
        """End all workers: idle ones free their FMU, busy ones are killed."""
        with self._closing:
            self._closed.set()
        for slot in self._workers:
            slot.end()
        self._threads.shutdown(wait=True, cancel_futures=True)
        for slot in self._workers:
            slot.process.release()

    def _watch(self) -> None:
        while not self._closed.wait(WATCH_INTERVAL_S):
            now = time.monotonic()
            for slot in self._workers:
                slot.process.expire(now)

    def _work(self, slot: "_Slot", job: _Job) -> StartError | RowError | None:
        """Take rows until none is left; an error leaves nothing to the other workers."""
        try:
            self._take_rows(slot, job)
        except (StartError, RowError) as error:
            job.abandon()
            return error
        except BaseException:
            job.abandon()
            raise
        return None

    def _take_rows(self, slot: "_Slot", job: _Job) -> None:
        """Take rows, ever before the last are answered, so that the process need not wait.

        A row that fails is tried once more in a fresh process, and the rest there, too.
        """
        tried: set[int] = set()
        due = self._begin(slot, job, [])
        while True:
            while slot.process.batches < AHEAD and len(due) <= CHUNK and (rows := job.take()):
                due.extend(slot.ask(job, rows))
            if not due:
                return
            try:
                answers, lost = slot.process.answers(self._timeout_s), None
            except WorkerLostError as error:
                answers, lost = error.finished, error
            job.store([due.popleft() for _ in answers.seconds], answers)
            if lost is not None:
                self._renew(slot, lost)
                _blame(job, due, tried, lost)
                due = self._begin(slot, job, list(due))

    def _begin(self, slot: "_Slot", job: _Job, rows: list[int]) -> deque[int]:
        """Wait for the process; ask for row 0, if others start from it, and for some rows; what is due, in order."""
        try:
            slot.wait_until_ready(self._timeout_s + START_ALLOWANCE_S)
        except WorkerLostError as error:
            self._renew(slot, error)
            raise StartError(error.failure) from error
        rows = rows or job.take()
        if not job.anchored:
            return deque(slot.ask(job, rows))
        return deque(slot.ask(job, [0, *(row for row in rows if row != 0)], anchored=True))

    def _renew(self, slot: "_Slot", lost: WorkerLostError) -> None:
        """A fresh process in place of a dead one, unless the pool is being closed."""
        with self._closing:
            if self._closed.is_set():
                raise lost
            slot.process, slot.ready = WorkerProcess(self._setup), False


class _Slot:
    """A place for a worker process, which may be replaced."""

    def __init__(self, setup: Setup) -> None:
        self.process = WorkerProcess(setup)
        self.ready = False

    def wait_until_ready(self, timeout_s: float) -> None:
        """Wait for the process to start, once."""
        if not self.ready:
            self.process.wait_until_ready(timeout_s)
            self.ready = True

    def ask(self, job: _Job, rows: list[int], *, anchored: bool = False) -> list[int]:
        """Let the process evaluate rows, one after the other; the same rows."""
        if rows:
            self.process.ask(Batch(job.rows[rows], job.inputs, anchored))
        return rows

    def end(self) -> None:
        """Ask the process to stop, or kill it in the midst of its work."""
        if self.process.batches or not self.ready:
            self.process.kill()
        else:
            self.process.stop()


def _blame(job: _Job, due: deque[int], tried: set[int], lost: WorkerLostError) -> None:
    """A process ended: note that the first row that was due failed, once."""
    if not due:  # it had done all that it was asked
        return
    row = due[0]
    if row in tried:
        raise RowError(row, lost.failure) from lost
    tried.add(row)
    job.fail(row)
