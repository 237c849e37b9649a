"""The Historian protocol: the time-series store that every twin reads from and publishes to.

Samples travel as a DataFrame with ``SAMPLE_COLUMNS``; times are UTC with nanoseconds, ranges half-open [start, end).
"""

from dataclasses import dataclass
from typing import Literal, Protocol

import pandas as pd

SAMPLE_COLUMNS = ("unit", "property", "time", "value", "quality")
Quality = Literal["GOOD", "BAD", "UNCERTAIN"]
QUALITIES: tuple[Quality, ...] = ("GOOD", "BAD", "UNCERTAIN")


@dataclass(frozen=True)
class WriteReport:
    """What became of a write.

    Attributes:
        written: samples now in the historian (written again with the same value included).
        rejected: SAMPLE_COLUMNS and ``reason``; empty when everything was taken.
    """

    written: int
    rejected: pd.DataFrame


@dataclass(frozen=True)
class Arrivals:
    """What has arrived since a cursor.

    Attributes:
        cursor: opaque position, monotonic; the next call's ``since``.
        buckets: columns ``start``, ``end`` (datetime64[ns, UTC], half-open spans of sample time that hold new samples),
            ``cursor`` (int, the newest position in it), ``samples`` (int); ordered by ``start``.
    """

    cursor: int
    buckets: pd.DataFrame


class Historian(Protocol):
    """A time-series store of (unit, property, time, value, quality)."""

    def units(self) -> tuple[str, ...]:
        """Units that hold any sample, sorted."""
        ...

    def properties(self, unit: str) -> tuple[str, ...]:
        """Properties of a unit that hold any sample, sorted."""
        ...

    def read(
        self, units: tuple[str, ...], properties: tuple[str, ...], start: pd.Timestamp, end: pd.Timestamp
    ) -> pd.DataFrame:
        """Samples with ``start <= time < end``, ordered by unit, property, time, quality."""
        ...

    def latest(self, units: tuple[str, ...], properties: tuple[str, ...]) -> pd.DataFrame:
        """The newest sample of each unit and property; of one time the best quality (GOOD, UNCERTAIN, BAD)."""
        ...

    def write(self, samples: pd.DataFrame) -> WriteReport:
        """Store samples; the same (unit, property, time, quality) is overwritten, so writing twice is writing once."""
        ...

    def arrivals(self, units: tuple[str, ...], properties: tuple[str, ...], since: int = 0) -> Arrivals:
        """Where in sample time anything was written (or changed) since the cursor."""
        ...
