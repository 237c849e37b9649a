"""The parent's side of one worker process: start, ask, wait no longer than allowed, end."""

import math
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import IO

from twin_assets.simulation.board import Answers, Board
from twin_assets.simulation.isolation import STOP_GRACE_S, WorkerLostError
from twin_assets.simulation.messages import (
    Batch,
    Done,
    Failure,
    Hello,
    Ready,
    Serialize,
    SerializedState,
    Setup,
    Stop,
)

OUTPUT_TAIL_BYTES = 2000
WORKER = "twin_assets.simulation.worker"


class WorkerProcess:
    """A process with one loaded FMU: see ``Worker``."""

    def __init__(self, setup: Setup) -> None:
        self._lock = threading.Lock()
        self._deadline = math.inf
        self._timeout_s = math.inf
        self._timed_out = False
        self._seen = self._fetched = 0
        self._asked: deque[int] = deque()
        self._ready = False
        self._resident_mb: list[float] = []
        self._board = Board.create(setup.folder, setup.answer_size)
        self._output: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in release
        # -P: a file in the current folder must not stand in for a module. No shell; nothing here is the user's.
        command = [sys.executable, "-P", "-m", WORKER]
        self._process = subprocess.Popen(  # noqa: S603 - as above
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._output, env=child_environment()
        )
        self._send(Hello(setup, self._board.path, os.getpid()))

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

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
        """See Worker."""
        return self._resident_mb[-1] - self._resident_mb[0] if self._resident_mb else 0.0

    @property
    def gone(self) -> bool:
        """See Worker: killed, perhaps for the memory that it took. One that does not start tells why later."""
        return self._ready and self._process.poll() is not None

    def wait_until_ready(self, timeout_s: float) -> None:
        """See Worker: the first message says so."""
        if not self._ready:
            self._receive(timeout_s)
            self._ready = True

    def ask(self, batch: Batch) -> None:
        """See Worker."""
        self._asked.append(len(batch.rows))
        self._send(batch)

    def answers(self, timeout_s: float) -> Answers:
        """See Worker."""
        self._receive(timeout_s)
        return self._fetch(self._fetched + self._asked.popleft())

    def serialized(self, timeout_s: float) -> SerializedState:
        """The reference's settled state.

        Raises:
            WorkerLostError: as ``answers``.
        """
        self._send(Serialize())
        state = self._receive(timeout_s)
        if not isinstance(state, SerializedState):
            raise TypeError(f"a worker answered with {type(state).__name__} instead of a state")
        return state

    def expire(self, now: float) -> None:
        """See Worker."""
        with self._lock:
            if self._deadline == math.inf:
                return
            finished = self._board.finished
            if finished > self._seen:
                self._seen, self._deadline = finished, now + self._timeout_s
            elif now > self._deadline:
                self._timed_out = True
                self._process.kill()

    def end(self) -> None:
        """See Worker: whoever waits for a process that is at work gets a ``WorkerLostError``."""
        if self._asked or not self._ready:
            self._process.kill()
        else:
            self._send(Stop())

    def release(self) -> None:
        """See Worker: pipes, the file of what was printed, the board."""
        self._wait()
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                _pipe(pipe).close()
            except OSError:  # what was still to be written to a dead process
                continue
        self._output.close()
        self._board.close()

    def _send(self, message: object) -> None:
        """Pass a message on; to a dead worker in vain, which whoever waits for it is told."""
        try:
            pickle.dump(message, _pipe(self._process.stdin), protocol=pickle.HIGHEST_PROTOCOL)
            _pipe(self._process.stdin).flush()
        except OSError:
            return

    def _receive(self, timeout_s: float) -> object:
        """The worker's next message."""
        with self._lock:
            self._timeout_s, self._deadline = timeout_s, time.monotonic() + timeout_s
        try:
            message = pickle.load(_pipe(self._process.stdout))  # noqa: S301 - from our own child's pipe
        except (EOFError, OSError, pickle.UnpicklingError):
            message = None
        with self._lock:
            self._deadline = math.inf
            timed_out = self._timed_out
        if timed_out:
            message = Failure(f"no answer within {timeout_s:g} s: the process was stopped")
        if message is None or isinstance(message, Failure):
            raise self._lost(message)
        if isinstance(message, Ready | Done) and message.resident_mb is not None:
            self._resident_mb = [*self._resident_mb[:1], message.resident_mb]
        return message

    def _fetch(self, stop: int) -> Answers:
        answers = self._board.read(self._fetched, stop)
        self._fetched = stop
        return answers

    def _lost(self, failure: Failure | None) -> WorkerLostError:
        """Make sure that the process is gone; how it died, if it did not say, and what it printed join the failure."""
        self._wait()
        failure = failure or Failure(f"the process died ({exit_text(self._process.returncode)})")
        whole = replace(failure, log=" ".join(filter(None, (failure.log, self._printed()))))
        finished = self._fetch(self._board.finished)
        unfinished = self._board.unfinished
        self.release()
        return WorkerLostError(whole, finished, unfinished)

    def _wait(self) -> None:
        """A process that said that it failed, or closed its pipe, is about to end; one that does not, is killed."""
        try:
            self._process.wait(STOP_GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _printed(self) -> str:
        size = self._output.seek(0, os.SEEK_END)
        self._output.seek(max(0, size - OUTPUT_TAIL_BYTES))
        return " ".join(self._output.read().decode("utf-8", "replace").split())


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise RuntimeError("the worker was started without pipes")
    return pipe


def child_environment() -> dict[str, str]:
    """The parent's environment; the same modules are found, and one worker uses one core."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def exit_text(code: int) -> str:
    """How a process ended, for people."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
