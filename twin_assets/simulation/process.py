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
from dataclasses import replace
from pathlib import Path
from typing import IO

from twin_assets.simulation.messages import Failure, Setup, Stop

OUTPUT_TAIL_BYTES = 2000
STOP_GRACE_S = 3.0
WORKER = "twin_assets.simulation.worker"


class WorkerLostError(Exception):
    """The worker cannot go on: it said so, died, or did not answer in time."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


class WorkerProcess:
    """A process with one loaded FMU. Started at once, ready later: the first ``receive`` waits for it.

    One thread asks; another may call ``expire`` and ``kill``.
    """

    def __init__(self, setup: Setup) -> None:
        self._lock = threading.Lock()
        self._deadline = math.inf
        self._timed_out = False
        self._output: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in release
        # -P: a file in the current folder must not stand in for a module. No shell; nothing here is the user's.
        command = [sys.executable, "-P", "-m", WORKER]
        self._process = subprocess.Popen(  # noqa: S603 - as above
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._output, env=_environment()
        )
        self.send(setup)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def send(self, message: object) -> None:
        """Pass a message on; to a dead worker in vain, which the next ``receive`` tells."""
        try:
            pickle.dump(message, _pipe(self._process.stdin), protocol=pickle.HIGHEST_PROTOCOL)
            _pipe(self._process.stdin).flush()
        except OSError:
            return

    def receive(self, timeout_s: float) -> object:
        """The worker's next answer.

        Raises:
            WorkerLostError: if it reports a failure, dies, or does not answer in time; the process is then dead.
        """
        with self._lock:
            self._deadline = time.monotonic() + timeout_s
        try:
            message = pickle.load(_pipe(self._process.stdout))  # noqa: S301 - from our own child's pipe
        except (EOFError, OSError, pickle.UnpicklingError):
            message = None
        with self._lock:
            self._deadline = math.inf
            timed_out = self._timed_out
        if timed_out:
            raise WorkerLostError(self._end(Failure(f"no answer within {timeout_s:g} s: the process was stopped")))
        if message is None:
            raise WorkerLostError(self._end(None))
        if isinstance(message, Failure):
            raise WorkerLostError(self._end(message))
        return message

    def expire(self, now: float) -> None:
        """Kill the worker if its answer is overdue."""
        with self._lock:
            if now > self._deadline:
                self._timed_out = True
                self._process.kill()

    def stop(self) -> None:
        """Ask an idle worker to free its FMU and end; ``release`` waits for that."""
        self.send(Stop())

    def kill(self) -> None:
        """End the process whatever it does; whoever waits in ``receive`` gets a ``WorkerLostError``."""
        self._process.kill()

    def release(self) -> None:
        """Wait for the end of a stopped or killed process, a moment only, and close what led to it."""
        self._wait()
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                _pipe(pipe).close()
            except OSError:  # what was still to be written to a dead process
                continue
        self._output.close()

    def _end(self, failure: Failure | None) -> Failure:
        """Make sure that the process is gone; how it died, if it did not say, and what it printed join the failure."""
        self._wait()
        failure = failure or Failure(f"the process died ({_exit_text(self._process.returncode)})")
        whole = replace(failure, log=" ".join(filter(None, (failure.log, self._printed()))))
        self.release()
        return whole

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


def _environment() -> dict[str, str]:
    """The parent's environment; the same modules are found, and one worker uses one core."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def _exit_text(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
