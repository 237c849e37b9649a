"""Where an FMU runs, seen by the pool that lets it run: what a process and a thread have in common.

Belongs here: the Protocol, and the error of a worker that cannot go on. A process of its own (``process``) is the rule:
it may crash, hang, print or leak, and is replaced. A thread in the caller's process (``thread``) is for FMUs that are
trusted.
"""

from typing import Literal, Protocol

from twin_assets.simulation.board import Answers
from twin_assets.simulation.messages import Batch, Failure
from twin_assets.simulation.settle import Floats

Isolation = Literal["process", "thread"]
START_ALLOWANCE_S = 60.0
STOP_GRACE_S = 3.0


class WorkerLostError(Exception):
    """The worker cannot go on: it said so, died, or did not get on in time.

    Attributes:
        failure: why.
        finished: what it had done by then and was not fetched yet.
        unfinished: (m,) what there was of the answer that it was at, NaN after it; None where that is not known.
    """

    def __init__(self, failure: Failure, finished: Answers, unfinished: Floats | None = None) -> None:
        super().__init__(str(failure))
        self.failure = failure
        self.finished = finished
        self.unfinished = unfinished


class Worker(Protocol):
    """One loaded FMU. Started at once, ready later.

    One thread asks; another may call ``expire`` and ``end``.
    """

    @property
    def batches(self) -> int:
        """How many it was asked for and did not answer yet."""
        ...

    @property
    def evaluations(self) -> int:
        """Rows that it answered since it started."""
        ...

    @property
    def grown_mb(self) -> float:
        """By how much its memory has grown since the FMU was ready, as far as it is known; 0 where it is not."""
        ...

    @property
    def gone(self) -> bool:
        """Whether it has ended by itself, as far as it can."""
        ...

    def wait_until_ready(self, timeout_s: float) -> None:
        """Wait for the FMU to stand at its reference state, if it does not yet.

        Raises:
            WorkerLostError: if the FMU does not start.
        """
        ...

    def ask(self, batch: Batch) -> None:
        """Let it evaluate rows, after those that it was asked for before; at most ``SLOTS`` altogether."""
        ...

    def answers(self, timeout_s: float) -> Answers:
        """Wait for the answers to the oldest batch, as long as no row takes longer than allowed.

        Raises:
            WorkerLostError: if it reports a failure, dies, or does not get on in time; the worker is then gone.
        """
        ...

    def expire(self, now: float) -> None:
        """End the worker if it has been expected for too long, and has finished no row meanwhile."""
        ...

    def end(self) -> None:
        """Let an idle one free its FMU and end; end one that is at work, as far as that can be done."""
        ...

    def release(self) -> None:
        """Wait for the end, a moment only, and free what led to it."""
        ...
