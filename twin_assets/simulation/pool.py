"""A batch of evaluations over several workers; what fails is tried once more, alone, with a fresh one."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from twin_assets.model import InputPath
from twin_assets.simulation.isolation import START_ALLOWANCE_S, Isolation, Worker, WorkerLostError
from twin_assets.simulation.job import CHUNK, BatchResult, Job, RowError
from twin_assets.simulation.messages import Batch, Failure, Setup
from twin_assets.simulation.process import WorkerProcess
from twin_assets.simulation.settle import Floats
from twin_assets.simulation.thread import WorkerThread

# Batches that a worker is asked for at a time.
AHEAD = 2
# How often hanging workers are looked for: parts of the time-out, within these seconds.
LOOKS, SHORTEST_WATCH_S, LONGEST_WATCH_S = 20.0, 0.02, 0.5

_START: Mapping[Isolation, Callable[[Setup], Worker]] = {"process": WorkerProcess, "thread": WorkerThread}


class StartError(Exception):
    """The FMU does not get as far as its reference state."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


@dataclass(frozen=True)
class PoolSettings:
    """How FMUs are run.

    Attributes:
        workers: how many at a time.
        timeout_s: wall time after which one evaluation counts as hung.
        isolation: each in a process, or in a thread of this one.
        recycle_after: a process that has evaluated so many rows is replaced after the batch.
        recycle_above_mb: so is one whose memory has grown by more than this since its FMU was ready.
    """

    workers: int = 1
    timeout_s: float = 60.0
    isolation: Isolation = "process"
    recycle_after: int = 10_000
    recycle_above_mb: float = 500.0


class Pool:
    """Workers with one FMU each; a context manager that starts and ends them.

    Args:
        setup: the FMU and how it is evaluated.
        settings: how many workers, where, for how long.
    """

    def __init__(self, setup: Setup, settings: PoolSettings) -> None:
        self._setup = setup
        self._settings = settings
        self._closed = threading.Event()
        self._closing = threading.Lock()
        self._one_batch = threading.Lock()
        self._slots = [_Slot(self._started()) for _ in range(settings.workers)]
        self._threads = ThreadPoolExecutor(max(1, settings.workers - 1), thread_name_prefix="fmu-worker")
        threading.Thread(target=self._watch, name="fmu-watch", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def workers(self) -> tuple[Worker, ...]:
        """Those that are there now."""
        return tuple(slot.worker for slot in self._slots)

    def evaluate(
        self, rows: Floats, inputs: Floats, *, tolerant: bool = False, path: InputPath | None = None
    ) -> BatchResult:
        """Evaluate rows (k, n) under inputs (p,), each where a worker is free.

        If it is interrupted (Ctrl-C), the pool is closed: what the workers are then at nobody waits for.

        Args:
            rows: (k, n).
            inputs: (p,).
            tolerant: give up a row that fails twice, unless it is row 0, and go on with the others.
            path: follow every row along it; its first inputs are ``inputs``.

        Raises:
            StartError: if the FMU does not start.
            RowError: if a row fails twice; of several, the first.
        """
        with self._one_batch:
            if self._closed.is_set():
                raise RuntimeError("the workers were ended; open the model anew")
            anchored = self._setup.restart == "rollback"
            size, slots = self._setup.answer_size, len(self._slots)
            job = Job(rows, inputs, size, slots, anchored=anchored, tolerant=tolerant, path=path)
            first, *others = self._slots[: max(1, len(rows) - anchored)]
            try:
                self._replace(lambda worker: worker.gone)
                tasks = [self._threads.submit(self._work, slot, job) for slot in others]
                # This thread has nothing else to do, and handing on costs time.
                ends = [self._work(first, job), *(task.result() for task in tasks)]
                errors = [error for error in ends if error is not None]
                if not errors:
                    self._replace(self._is_worn)
            except BaseException:
                self.close()
                raise
            if errors:
                raise min(errors, key=lambda error: error.row if isinstance(error, RowError) else -1)
        return job.result

    def close(self) -> None:
        """End all workers: idle ones free their FMU, busy ones are killed."""
        with self._closing:
            self._closed.set()
        for worker in self.workers:
            worker.end()
        self._threads.shutdown(wait=True, cancel_futures=True)
        for worker in self.workers:
            worker.release()

    def _started(self) -> Worker:
        return _START[self._settings.isolation](self._setup)

    def _watch(self) -> None:
        interval_s = min(max(self._settings.timeout_s / LOOKS, SHORTEST_WATCH_S), LONGEST_WATCH_S)
        while not self._closed.wait(interval_s):
            now = time.monotonic()
            for worker in self.workers:
                worker.expire(now)

    def _work(self, slot: "_Slot", job: Job) -> StartError | RowError | None:
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

    def _take_rows(self, slot: "_Slot", job: Job) -> None:
        """Take rows, ever before the last are answered, so that the worker need not wait.

        A row that fails is tried once more with a fresh worker, and the rest there, too.
        """
        tried: set[int] = set()
        due = self._begin(slot, job, deque())
        while due:
            # A path may not fit into the pipe: then a worker is asked only while it listens.
            while (
                slot.worker.batches < (AHEAD if job.path is None else 1) and len(due) <= CHUNK and (rows := job.take())
            ):
                due.extend(slot.ask(job, rows))
            try:
                answers, lost = slot.worker.answers(self._settings.timeout_s), None
            except WorkerLostError as error:
                answers, lost = error.finished, error
            job.store([due.popleft() for _ in answers.seconds], answers)
            if lost is not None:
                self._renew(slot, lost)
                _blame(job, due, tried, lost)
                due = self._begin(slot, job, due)
            elif not due:
                due.extend(slot.ask(job, job.take()))

    def _begin(self, slot: "_Slot", job: Job, rows: deque[int]) -> deque[int]:
        """Wait for the worker; ask for row 0, if others start from it, and for some rows; what is due, in order."""
        if not rows and not job.left:
            return rows
        try:
            slot.worker.wait_until_ready(self._settings.timeout_s + START_ALLOWANCE_S)
        except WorkerLostError as error:
            self._renew(slot, error)
            raise StartError(error.failure) from error
        asked = list(rows) or job.take()
        if asked and job.anchored:
            return deque(slot.ask(job, [0, *(row for row in asked if row != 0)], anchored=True))
        return deque(slot.ask(job, asked))

    def _renew(self, slot: "_Slot", lost: WorkerLostError) -> None:
        """A fresh worker in place of a lost one, unless the pool is being closed."""
        with self._closing:
            if self._closed.is_set():
                raise lost
            slot.worker = self._started()

    def _replace(self, is_due: Callable[[Worker], bool]) -> None:
        """Start others in the place of idle workers that died, or that have done or grown much.

        What an FMU leaks ends with its process; and that one died between two batches is no row's fault.
        """
        with self._closing:
            if self._closed.is_set():
                return
            due = [slot for slot in self._slots if is_due(slot.worker)]
            for slot in due:
                slot.worker.end()
            # Not before the old ones are gone: their licences and memory may not suffice for more.
            for slot in due:
                slot.worker.release()
                slot.worker = self._started()

    def _is_worn(self, worker: Worker) -> bool:
        if self._settings.isolation == "thread":  # what it leaked would stay
            return False
        much = worker.evaluations >= self._settings.recycle_after
        return much or worker.grown_mb > self._settings.recycle_above_mb


@dataclass
class _Slot:
    """A place for a worker, which may be replaced."""

    worker: Worker

    def ask(self, job: Job, rows: list[int], *, anchored: bool = False) -> list[int]:
        """Let the worker evaluate rows, one after the other; the same rows."""
        if rows:
            self.worker.ask(Batch(job.rows[rows], job.inputs, anchored, job.path))
        return rows


def _blame(job: Job, due: deque[int], tried: set[int], lost: WorkerLostError) -> None:
    """A worker was lost: the first row that was due failed, and stays due if it is to be tried once more."""
    if not due:  # it had done all that it was asked
        return
    row = due[0]
    if not job.fail(row, lost.failure, lost.unfinished, again=row in tried):
        due.popleft()
    tried.add(row)
