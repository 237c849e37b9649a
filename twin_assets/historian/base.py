"""The Historian protocol: the time-series store that every twin reads from and publishes to.

Samples travel as a DataFrame with ``SAMPLE_COLUMNS``: ``unit``, ``property`` and ``quality`` text, ``time``
datetime64[ns, UTC], ``value`` float64. Ranges of time are half-open, [start, end).

Belongs here: what every implementation promises, and the values that travel. One conformance test suite holds all
implementations to it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol, Self, get_args

import pandas as pd

from twin_assets.errors import TwinError

SAMPLE_COLUMNS = ("unit", "property", "time", "value", "quality")
Quality = Literal["GOOD", "UNCERTAIN", "BAD"]
QUALITIES: tuple[Quality, ...] = get_args(Quality)  # best first: the order in which reads return them


class HistorianError(TwinError):
    """A historian that cannot be opened, read or written: where, why, and what to do."""


@dataclass(frozen=True)
class WriteReport:
    """What became of a write.

    Attributes:
        written: samples taken; those that were there already with the same value included.
        rejected: SAMPLE_COLUMNS and ``reason``, indexed like the samples that were handed in; empty when everything
            was taken.
        withdrawn: samples that are no longer there; ``write`` withdraws none.
    """

    written: int
    rejected: pd.DataFrame
    withdrawn: int = 0


@dataclass(frozen=True)
class Arrivals:
    """What has arrived since a cursor: new samples, corrected ones and withdrawals, whatever their sample time.

    Attributes:
        cursor: position of the newest arrival in the units and properties asked for, ``since`` where nothing arrived;
            opaque, monotonic, the next call's ``since``. Everything up to it can be read.
        buckets: one row per hour of sample time in which something arrived, ordered by time, with columns
            ``start``, ``end`` (datetime64[ns, UTC], the hour, half-open),
            ``cursor`` (int64, the newest position in it),
            ``samples`` (int64, how many samples the hour has received in all, corrections counted again, withdrawn
            ones not taken off; of IoT SiteWise, which counts nothing, the most that the hour was seen to hold).
    """

    cursor: int
    buckets: pd.DataFrame


class Historian(Protocol):
    """A time-series store of (unit, property, time, value, quality).

    A context manager; call ``close`` otherwise. Every method raises HistorianError where the store cannot be used.

    What is said below of a write at once (all or nothing, for readers and after a crash) the SQL historians promise.
    IoT SiteWise has no transactions: a reader, or a crash, may find a part of a write there, and the same call again
    completes it.
    """

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    @property
    def name(self) -> str:
        """Where it is, for people; without a password."""
        ...

    def close(self) -> None:
        """Close what is open."""
        ...

    def units(self, properties: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """Units that hold any sample, of any of these properties if given, sorted; one question for a fleet."""
        ...

    def properties(self, unit: str) -> tuple[str, ...]:
        """Properties of a unit that hold any sample, sorted."""
        ...

    def read(
        self, units: tuple[str, ...], properties: tuple[str, ...], start: pd.Timestamp, end: pd.Timestamp
    ) -> pd.DataFrame:
        """Samples with ``start <= time < end``, ordered by unit, property, time, quality (best first).

        Units and properties that the historian does not know are no error: nothing was measured there.
        """
        ...

    def latest(self, units: tuple[str, ...], properties: tuple[str, ...]) -> pd.DataFrame:
        """The newest sample of each unit and property; of one time the best quality (GOOD, UNCERTAIN, BAD)."""
        ...

    def write(self, samples: pd.DataFrame) -> WriteReport:
        """Store samples, all that can be taken at once or (on an error) none; see the class for IoT SiteWise.

        The same (unit, property, time, quality) is overwritten, so writing twice is writing once; the same time with
        another quality coexists. Where one call holds a sample twice, the last one counts. Rows that cannot be taken
        come back with their reason and do not keep the others out.

        Raises:
            TypeError: if a column is missing, or ``time`` holds no times with a time zone.
        """
        ...

    def write_all(self, chunks: Iterable[pd.DataFrame]) -> WriteReport:
        """Write several frames as one.

        Args:
            chunks: frames as ``write`` takes them, drawn one after the other, so that a generator can show progress.
        """
        ...

    def replace(
        self,
        units: tuple[str, ...],
        properties: tuple[str, ...],
        start: pd.Timestamp,
        end: pd.Timestamp,
        samples: pd.DataFrame,
    ) -> WriteReport:
        """Withdraw what units and properties hold in ``start <= time < end``, and store samples in its place.

        One step for every reader, and for a crash: both or neither (see the class for IoT SiteWise). Where any sample
        is rejected, for the reasons of ``write``, nothing is changed. Samples that are there already stay, and are no
        arrival. What is withdrawn is one, in its hour. Without samples the range is only withdrawn; where there is
        nothing to withdraw either, nothing is written.

        No read finds what was withdrawn: not ``read`` and ``latest``, nor ``units`` and ``properties`` when it was the
        last sample. What becomes of it is the store's own: an SQL historian deletes the rows; one that cannot delete
        single samples (IoT SiteWise) writes over them, with null values of quality BAD, which its reads pass over.

        Raises:
            TypeError: as ``write``.
            ValueError: if a sample lies outside of what is replaced; nothing is changed then.
        """
        ...

    def arrivals(self, units: tuple[str, ...], properties: tuple[str, ...], since: int = 0) -> Arrivals:
        """Where in sample time anything was written, changed or withdrawn since the cursor.

        Writing again what is there is no arrival. Cost grows with the hours that hold samples, not with the samples.
        """
        ...
