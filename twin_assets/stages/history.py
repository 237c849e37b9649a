"""The recent past of a unit: its inputs through time, as far as the model has to be led through them again.

Belongs here: what is known of the inputs, where it has gaps, and the path from far enough back up to an observation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from twin_assets.model import Floats, InputPath
from twin_assets.spec import TwinSpec
from twin_assets.stages.ukf_rows import Row

NO_HISTORY = "history"
"""Why nothing is compared: the inputs of the recent past are not known."""


@dataclass(frozen=True, eq=False)
class Memory:
    """How far back the recent past reaches, and how inputs moved in it.

    Attributes:
        span_ns: how long what went before counts.
        bridge_ns: the longest time without known inputs that does not break the past.
        waits: whether nothing is compared until all of the span is known; else the past begins at rest.
        linear: (p,) bool: whether an input goes straight to its next value, or keeps its own until then.
    """

    span_ns: int
    bridge_ns: int
    waits: bool
    linear: NDArray[np.bool_]

    @classmethod
    def of(cls, spec: TwinSpec) -> Self:
        """That of a twin in transient mode."""
        ages = [part.max_age for part in spec.inputs if part.constant is None]
        return cls(
            span_ns=round((spec.model.memory_s or 0.0) * 1e9),
            bridge_ns=round(min(ages).total_seconds() * 1e9),
            waits=spec.model.after_gap != "settled",
            linear=np.array([part.between == "linear" for part in spec.inputs]),
        )


@dataclass(frozen=True, eq=False)
class History:
    """Known inputs of a unit.

    Attributes:
        names: of the p inputs.
        time_ns: (q,) increasing.
        inputs: (q, p) finite.
    """

    names: tuple[str, ...]
    time_ns: NDArray[np.int64]
    inputs: Floats

    @classmethod
    def before(cls, names: tuple[str, ...], handed_on: "History | None") -> "History":
        """What an earlier window handed on; nothing, where that was about other inputs."""
        if handed_on is not None and handed_on.names == names:
            return handed_on
        return cls(names, np.array([], dtype=np.int64), np.empty((0, len(names))))

    def with_rows(self, rows: Sequence[Row]) -> "History":
        """With those observations, all later, whose inputs are known."""
        known = [row for row in rows if np.isfinite(row.inputs).all()]
        time_ns = np.array([row.time_ns for row in known], dtype=np.int64)
        inputs = np.array([row.inputs for row in known]).reshape(len(known), len(self.names))
        return History(self.names, np.concatenate([self.time_ns, time_ns]), np.vstack([self.inputs, inputs]))

    def recent(self, memory: Memory) -> "History":
        """What whatever comes later may depend on."""
        if not self.time_ns.size:
            return self
        first = self._place_before(int(self.time_ns[-1]) - memory.span_ns)
        return History(self.names, self.time_ns[first:], self.inputs[first:])

    def place(self, time_ns: int) -> int:
        """Where a known time stands."""
        return int(np.searchsorted(self.time_ns, time_ns))

    def stretch(self, place: int, memory: Memory) -> int:
        """Where the unbroken past of a place begins."""
        breaks = self._breaks(memory.bridge_ns)
        return int(breaks[np.searchsorted(breaks, place, side="right") - 1])

    def beginning(self, place: int, memory: Memory) -> tuple[int, bool]:
        """Where a path to a place begins, and whether it is as long as the memory."""
        first, broken = self._place_before(int(self.time_ns[place]) - memory.span_ns), self.stretch(place, memory)
        covered = first >= broken and self.time_ns[place] - self.time_ns[first] >= memory.span_ns
        return max(first, broken), bool(covered)

    def path(self, first: int, read: Sequence[int], memory: Memory) -> InputPath:
        """From a place to the last of those that are to be read, in order."""
        last = read[-1] + 1
        times_s = (self.time_ns[first:last] - self.time_ns[first]) / 1e9
        return InputPath(times_s, self.inputs[first:last], np.array(read, dtype=np.intp) - first, memory.linear)

    def _place_before(self, time_ns: int) -> int:
        """The last place at a time or before it; the first one if there is none."""
        return max(0, int(np.searchsorted(self.time_ns, time_ns, side="right")) - 1)

    def _breaks(self, bridge_ns: int) -> NDArray[np.intp]:
        if self._gaps.get(bridge_ns) is None:
            self._gaps[bridge_ns] = np.concatenate([[0], np.flatnonzero(np.diff(self.time_ns) > bridge_ns) + 1])
        return self._gaps[bridge_ns]

    @cached_property
    def _gaps(self) -> dict[int, NDArray[np.intp]]:
        return {}
