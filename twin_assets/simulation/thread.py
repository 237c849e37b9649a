"""An FMU in a thread of this process, for those who trust it: no process is started, nothing passes through a pipe.

A C function called through ctypes lets other threads run, so several FMUs keep several cores busy. What is given up: an
FMU that crashes takes this process along; one that hangs is given up on, but hangs on until the process ends; what it
prints appears; what it leaks stays. Results are those of a process, to the bit.

Each worker loads a copy of the binary of its own. So no two of them share what the FMU keeps in static variables, and
what is tried again after a failure starts with fresh ones.
"""

import queue
import shutil
import threading
import time
import uuid
from collections import deque
from dataclasses import replace

import numpy as np

from twin_assets.simulation.board import Answers
from twin_assets.simulation.instance import Instance
from twin_assets.simulation.isolation import STOP_GRACE_S, WorkerLostError
from twin_assets.simulation.messages import Batch, Done, Failure, Ready, Setup
from twin_assets.simulation.settle import Floats
from twin_assets.simulation.worker import evaluations


class WorkerThread:
    """A thread with one loaded FMU: see ``Worker``."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._ready = self._ended = self._hangs = False
        self._asked: deque[int] = deque()
        self._finished: deque[tuple[Floats, float]] = deque()
        self._begun: list[Floats] | None = None
        self._fetched = 0
        self._moved = time.monotonic()
        self._inbox: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._outbox: queue.SimpleQueue[Ready | Done | Failure] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="fmu", daemon=True)
        self._thread.start()

    @property
    def batches(self) -> int:
        """See Worker."""
        return len(self._asked)

    @property
    def evaluations(self) -> int:
        """See Worker."""
        return self._fetched

    @property
    def grown_mb(self) -> float:
        """See Worker: a fresh instance would give nothing back, so this process's memory is not looked at."""
        return 0.0

    @property
    def gone(self) -> bool:
        """See Worker: a thread ends with a failure that it tells."""
        return False

    def wait_until_ready(self, timeout_s: float) -> None:
        """See Worker."""
        if not self._ready:
            self._receive(timeout_s)
            self._ready = True

    def ask(self, batch: Batch) -> None:
        """See Worker."""
        self._asked.append(len(batch.rows))
        self._inbox.put(batch)

    def answers(self, timeout_s: float) -> Answers:
        """See Worker."""
        self._receive(timeout_s)
        return self._fetch(self._asked.popleft())

    def expire(self, now: float) -> None:
        """See Worker: whoever waits for a thread looks at the clock."""

    def end(self) -> None:
        """See Worker: one that is at work ends after the row that it is at."""
        self._ended = True
        self._inbox.put(None)
        self._outbox.put(Failure("the thread was ended"))

    def release(self) -> None:
        """See Worker: nobody can end a thread that hangs."""
        self._thread.join(0.0 if self._hangs else STOP_GRACE_S)

    def begin(self) -> None:
        """See Parts."""
        self._begun = []

    def part(self, outputs: Floats) -> None:
        """See Parts."""
        if self._begun is not None:
            self._begun.append(outputs.copy())

    @property
    def _unfinished(self) -> Floats | None:
        if self._begun is None:
            return None
        found = np.full(self._setup.answer_size, np.nan)
        known = np.concatenate([*self._begun, np.empty(0)])
        found[: known.size] = known
        return found

    def _receive(self, timeout_s: float) -> None:
        """Wait for the thread's next message."""
        since = time.monotonic()
        while True:
            left = max(since, self._moved) + timeout_s - time.monotonic()
            try:
                message = self._outbox.get(timeout=max(0.0, left))
            except queue.Empty:
                if left > 0.0:
                    continue
                self._hangs = self._ended = True
                message = Failure(
                    f"no answer within {timeout_s:g} s: the FMU hangs, and in a thread it cannot be stopped"
                    " (isolation: process can)"
                )
            if isinstance(message, Failure):
                raise WorkerLostError(message, self._fetch(len(self._finished)), self._unfinished)
            return

    def _fetch(self, count: int) -> Answers:
        rows = [self._finished.popleft() for _ in range(count)]
        self._fetched += count
        outputs = np.array([outputs for outputs, _ in rows]).reshape(count, self._setup.answer_size)
        return Answers(outputs, np.array([seconds for _, seconds in rows]))

    def _serve(self) -> None:
        try:
            instance = Instance(_with_own_binary(self._setup))
            self._outbox.put(Ready(None))
            while (batch := self._inbox.get()) is not None:
                for answer in evaluations(instance, batch, self):
                    self._finished.append(answer)
                    self._begun = None
                    self._moved = time.monotonic()
                    if self._ended:
                        return
                self._outbox.put(Done(None))
            instance.close()
        except Exception as error:  # noqa: BLE001 - whatever it is, whoever waits has to hear of it
            self._outbox.put(Failure(str(error) or repr(error), getattr(error, "log", "")))


def _with_own_binary(setup: Setup) -> Setup:
    library = setup.library
    own = library.with_name(f"{library.stem}-{uuid.uuid4().hex[:8]}{library.suffix}")
    shutil.copy2(library, own)
    return replace(setup, library=own)
