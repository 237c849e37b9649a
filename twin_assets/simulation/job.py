"""A batch on its way through the pool: which rows are still to do, what was answered, what failed.

Belongs here: the account that the workers' threads share. Who evaluates what, and when, is ``pool``'s.
"""

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from twin_assets.model import InputPath
from twin_assets.simulation.board import SLOTS, Answers
from twin_assets.simulation.messages import Failure
from twin_assets.simulation.settle import Floats

# The most rows that a worker takes at a time; its board has to hold several times as many.
CHUNK = SLOTS // 4
# And of how many bytes: what a worker is asked for ahead has to fit into its pipe, or asking would wait for it.
CHUNK_BYTES = 8192


class RowError(Exception):
    """A row failed twice.

    Attributes:
        row: its index in the batch.
        failure: of the second try.
        unfinished: (m,) what there was of its answer, NaN after it; None where that is not known.
    """

    def __init__(self, row: int, failure: Failure, unfinished: Floats | None = None) -> None:
        super().__init__(str(failure))
        self.row = row
        self.failure = failure
        self.unfinished = unfinished


@dataclass(frozen=True)
class BatchResult:
    """The answers to a batch.

    Attributes:
        outputs: (k, m), NaN in rows that were given up, but for what there was of an answer along a path.
        seconds: wall time that evaluations took inside the workers, summed over them.
        failed: rows that failed on the first try.
        given_up: rows that failed on the second try, too, and how.
    """

    outputs: Floats
    seconds: float
    failed: frozenset[int]
    given_up: Mapping[int, Failure] = field(default_factory=dict)


class Job:
    """Rows still to do, and the answers so far.

    Args:
        rows: (k, n).
        inputs: (p,).
        outputs: how many numbers an answer has.
        workers: how many share the rows.
        anchored: every worker evaluates row 0, and starts the others from there.
        tolerant: a row that fails twice is given up, and the others go on; but for row 0, with which they are compared.
        path: what every row is followed along, if it is.
    """

    def __init__(
        self,
        rows: Floats,
        inputs: Floats,
        outputs: int,
        workers: int,
        *,
        anchored: bool,
        tolerant: bool,
        path: InputPath | None = None,
    ) -> None:
        self.rows, self.inputs, self.path = rows, inputs, path
        self.anchored = anchored
        self._outputs: Floats = np.full((len(rows), outputs), np.nan)
        self._seconds = 0.0
        self._failed: set[int] = set()
        self._given_up: dict[int, Failure] = {}
        self._tolerant = tolerant
        self._next = 0
        self._chunk = min(CHUNK, max(1, CHUNK_BYTES // rows[:1].nbytes if rows.size else CHUNK))
        self._workers = workers
        self._lock = threading.Lock()

    @property
    def left(self) -> int:
        """Rows that nobody has taken yet."""
        return len(self.rows) - self._next

    @property
    def result(self) -> BatchResult:
        """What came of it."""
        return BatchResult(self._outputs, self._seconds, frozenset(self._failed), dict(self._given_up))

    def take(self) -> list[int]:
        """The next rows for a worker, ever fewer towards the end so that all finish together; empty at the end."""
        with self._lock:
            left = self.left
            share = min(self._chunk, left if self._workers == 1 else math.ceil(left / (2 * self._workers)))
            self._next += share
            return list(range(self._next - share, self._next))

    def abandon(self) -> None:
        """Leave nothing for others to take."""
        with self._lock:
            self._next = len(self.rows)

    def store(self, rows: list[int], answers: Answers) -> None:
        """Keep some rows' answers."""
        with self._lock:
            self._outputs[rows] = answers.outputs
            self._seconds += float(answers.seconds.sum())

    def fail(self, row: int, failure: Failure, unfinished: Floats | None, *, again: bool) -> bool:
        """Note that a row failed, for the first time or again; whether it is to be tried once more.

        What there was of its answer when it failed again is kept, if it is given up.

        Raises:
            RowError: if it failed again, and cannot be given up.
        """
        with self._lock:
            self._failed.add(row)
            if not again:
                return True
            if row == 0 or not self._tolerant:
                raise RowError(row, failure, unfinished)
            self._given_up[row] = failure
            if unfinished is not None:
                self._outputs[row] = unfinished
            return False
