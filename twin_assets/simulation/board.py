"""The board of a worker process: memory that it shares with its parent, and writes its answers to.

A row of a small model takes about as long as a few messages through a pipe. So rows are not answered one by one: the
worker says one message when it has done all that a message asked for, and on the board stands, row by row, how far it
is. From there the parent also knows what a worker had finished when it died, and whether a silent one still gets on.

A ring: the answer to the i-th row that a worker ever evaluates stands in slot i modulo ``SLOTS``.
"""

import mmap
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from twin_assets.simulation.settle import Floats

SLOTS = 256
"""Answers that fit: no more rows may be asked for and not yet read."""


@dataclass(frozen=True, eq=False)
class Answers:
    """Rows that a worker finished, in the order in which it was asked.

    Attributes:
        outputs: (k, m).
        seconds: (k,) wall time that each took inside the worker.
    """

    outputs: Floats
    seconds: Floats


class Board:
    """A mapped file of doubles: how many rows were ever finished, and begun, then the slots: m outputs, seconds taken.

    Rows are begun on the board only where an answer comes in parts: then what was there of it when the process died can
    be read, too.

    Nothing orders the memory of two processes but a message between them, or the end of one: read answers after either.
    How many are ``finished`` may be asked at any time, and may come late.

    Args:
        path: the file, made by ``create``.
        outputs: m.
    """

    def __init__(self, path: Path, outputs: int) -> None:
        self.path = path
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        # Made once: a worker writes after every row, when the processor's caches are the FMU's.
        self._count: Floats = np.frombuffer(self._map, dtype=np.float64, count=1)
        self._begun: Floats = np.frombuffer(self._map, dtype=np.float64, count=1, offset=8)
        self._slots: Floats = np.frombuffer(self._map, dtype=np.float64, offset=16).reshape(SLOTS, outputs + 1)
        self._each = [(slot[:-1], slot[-1:]) for slot in self._slots]
        self._written = self._filled = 0

    @classmethod
    def create(cls, folder: Path, outputs: int) -> Self:
        """A new, empty board, in a file of its own."""
        with tempfile.NamedTemporaryFile(prefix="board-", dir=folder, delete=False) as file:
            file.truncate(8 * (2 + SLOTS * (outputs + 1)))
        return cls(Path(file.name), outputs)

    @property
    def finished(self) -> int:
        """How many rows were ever finished."""
        return int(self._count[0])

    def begin(self) -> None:
        """The next answer comes in parts."""
        self._each[self._written % SLOTS][0][:] = np.nan
        self._filled, self._begun[0] = 0, self._written + 1

    def part(self, outputs: Floats) -> None:
        """The next part of the answer that was begun."""
        here, _ = self._each[self._written % SLOTS]
        here[self._filled : self._filled + outputs.size] = outputs
        self._filled += outputs.size

    @property
    def unfinished(self) -> Floats | None:
        """(m,) what there is of the next answer, NaN after it; None where it was not begun."""
        finished = self.finished
        return self._slots[finished % SLOTS, :-1].copy() if self._begun[0] > finished else None

    def write(self, outputs: Floats, seconds: float) -> None:
        """The next answer: outputs (m,) and wall time. It counts as soon as all of it is there."""
        here, took = self._each[self._written % SLOTS]
        here[:], took[0] = outputs, seconds
        self._written += 1
        self._count[0] = self._written

    def read(self, first: int, stop: int) -> Answers:
        """The answers from the first (counted from 0, over all that was ever asked) up to before another."""
        start = first % SLOTS
        if start + stop - first <= SLOTS:
            rows = self._slots[start : start + stop - first].copy()
        else:
            rows = self._slots[np.arange(first, stop) % SLOTS]
        return Answers(rows[:, :-1], rows[:, -1])

    def close(self) -> None:
        """Forget the memory and remove the file."""
        # Arrays that look into a map keep it from being closed.
        self._count = self._begun = self._slots = np.empty(0)
        self._each.clear()
        self._map.close()
        self.path.unlink(missing_ok=True)
