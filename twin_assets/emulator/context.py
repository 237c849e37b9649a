"""What handlers work with: the store, the clock, and who asks."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pandas as pd

from twin_assets.emulator.background import Background
from twin_assets.emulator.documents import Documents, Store
from twin_assets.emulator.faults import FaultSource
from twin_assets.emulator.protocol import Document
from twin_assets.emulator.quotas import Throttle
from twin_assets.emulator.series import AllSeries, TimeSeries, write, write_frame
from twin_assets.emulator.values import Sample
from twin_assets.historian.rows import Clock, to_ns

ACCOUNT = "123456789012"


class Transaction(Documents):
    """One transaction over documents, time series and their samples."""

    @property
    def series(self) -> AllSeries:
        """The time series."""
        return AllSeries(self.connection)

    def write(self, written: Sequence[tuple[TimeSeries, Sample]]) -> None:
        """Store samples."""
        write(self.connection, self.stage, written)

    def write_frame(self, series: TimeSeries, numbers: pd.DataFrame) -> None:
        """Store finite numbers of one series: ``time_ns``, ``quality``, ``value``."""
        write_frame(self.connection, self.stage, series, numbers)


@dataclass(frozen=True)
class Context:
    """What a handler works with.

    Attributes:
        store: everything that the services keep.
        clock: the emulator's.
        faults: drawn for single entries.
        throttle: asked for single entries.
        background: runs what goes on after the answer.
        service: ``iotsitewise`` or ``iottwinmaker``.
        region: the request's.
    """

    store: Store
    clock: Clock
    faults: FaultSource
    throttle: Throttle
    background: Background
    service: str
    region: str

    @property
    def now_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC."""
        return to_ns(self.clock())

    @property
    def now_s(self) -> float:
        """Seconds since 1970-01-01 UTC, to the millisecond, as answers have times."""
        return round(self.now_ns / 1e6) / 1e3

    def arn(self, resource: str) -> str:
        """An Amazon resource name of this account."""
        return f"arn:aws:{self.service}:{self.region}:{ACCOUNT}:{resource}"

    @contextmanager
    def transaction(self, *, write: bool = False) -> Iterator[Transaction]:
        """One transaction over all that is kept."""
        with self.store.transaction(write=write) as found:
            yield Transaction(found.connection, found.stage)


Handler = Callable[[Context, Document], Document]
Handlers = dict[str, Handler]  # operation's name to what it does


def new_id() -> str:
    """A UUID, as SiteWise's identifiers are."""
    return str(uuid.uuid4())
