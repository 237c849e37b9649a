"""The ledger of arrivals: what each hour of each series held when it was last looked at.

IoT SiteWise has no feed of changes. So hours are read again and compared by a digest; an hour whose digest is another
one than before has received something. The ledger is an SQL historian: of a property of an asset (by their ids) and
the start of an hour it keeps the digest as a GOOD sample and the most samples that the hour was seen to hold as an
UNCERTAIN one. Its own arrivals are then those of SiteWise: positions, transactions and several processes at once are
its matter.

Beside that, a table: when a series was last swept over, and what is being written to it. Who loses the ledger loses
nothing: everything looks new once, at positions above all that were ever given before.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    MetaData,
    String,
    Table,
    and_,
    insert,
    select,
    tuple_,
    update,
)

from twin_assets.aws.packing import in_groups
from twin_assets.aws.tqv import Points, Series
from twin_assets.historian.base import Arrivals
from twin_assets.historian.rows import UTC_NS, Clock, to_ns
from twin_assets.historian.schema import HOUR_NS
from twin_assets.historian.sql import SqlHistorian, database_of

BUSY_TIMEOUT_S = 60.0
SERIES_AT_ONCE = 400  # in one question; databases bound them
DIGEST_BITS = 52  # a float64 holds them exactly
Row = tuple[str, str, int, float, str]  # asset, property, hour (ns), value, quality
EMPTY = 0.0  # the digest of an hour without samples

metadata = MetaData()
watched = Table(
    "watched",
    metadata,
    Column("asset_id", String, primary_key=True),
    Column("property_id", String, primary_key=True),
    Column("swept_ns", BigInteger, comment="when all of the look-back was last read"),
    Column("write_start_ns", BigInteger, comment="first hour of what is being written, or was lately"),
    Column("write_end_ns", BigInteger, comment="end of its last hour"),
    Column("write_until_ns", BigInteger, comment="when it counts as written, if nobody says so before"),
)
origin = Table("origin", metadata, Column("position", BigInteger, nullable=False), comment="one row")


class Hours(NamedTuple):
    """What a stretch of whole hours of one series holds.

    Attributes:
        series: of which series.
        start_ns: begin of the first hour.
        end_ns: end of the last one.
        digests: by the hour's start; hours without samples are not there.
        counts: samples, by the hour's start.
    """

    series: Series
    start_ns: int
    end_ns: int
    digests: Mapping[int, float]
    counts: Mapping[int, int]

    @classmethod
    def of(cls, series: Series, start_ns: int, end_ns: int, samples: Points) -> "Hours":
        """Of a series' samples, ordered by time and quality."""
        hours, firsts = np.unique(samples.time_ns // HOUR_NS * HOUR_NS, return_index=True)
        hashed = _hashed(samples)
        edges = [*firsts.tolist(), len(samples)]
        digests = {
            hour: float(
                1 + int(np.bitwise_xor.reduce(hashed[first:beyond]) >> np.uint64(64 - DIGEST_BITS)) % (2**52 - 1)
            )
            for hour, first, beyond in zip(hours.tolist(), edges, edges[1:], strict=False)
        }
        counts = dict(zip(hours.tolist(), np.diff(edges).tolist(), strict=True))
        return cls(series, start_ns, end_ns, digests, counts)


def _hashed(samples: Points) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """A number for each sample; of other samples it is another one, but for one case in 2^52."""
    columns = {"time": samples.time_ns, "code": samples.code, "value": samples.value.view(np.int64)}
    return np.asarray(pd.util.hash_pandas_object(pd.DataFrame(columns), index=False).to_numpy(), dtype=np.uint64)


class Write(NamedTuple):
    """A write that is going on, or was lately: whole hours of a series, until when at the latest."""

    start_ns: int
    end_ns: int
    until_ns: int


@dataclass(frozen=True)
class Watch:
    """What is known of looking at a series.

    Attributes:
        swept_ns: when all of the look-back was last read; None for never.
        write: what is being written to it, if anything.
    """

    swept_ns: int | None = None
    write: Write | None = None


class Ledger:
    """Arrivals of IoT SiteWise, remembered in a database. Threads and processes may share it."""

    def __init__(self, url: str, clock: Clock) -> None:
        """Open the database and make what it lacks.

        Args:
            url: SQLAlchemy's, of a file or of PostgreSQL.
            clock: for the first position.

        Raises:
            HistorianError: if it cannot be opened.
        """
        self._clock = clock
        self._hours = SqlHistorian(url, clock=clock)
        self._database = database_of(url, BUSY_TIMEOUT_S)
        with self._database.explained(), self._database.creation() as connection:
            metadata.create_all(connection)
            if connection.execute(select(origin)).first() is None:
                connection.execute(insert(origin).values(position=to_ns(clock()) // 1_000_000))
            self._origin = int(connection.execute(select(origin.c.position)).scalar_one())

    def close(self) -> None:
        """Close all connections."""
        self._hours.close()
        self._database.engine.dispose()

    @contextmanager
    def _transaction(self, *, write: bool) -> Iterator[Connection]:
        with self._database.explained(), self._database.transaction(write=write) as connection:
            if write:  # one after the other: PostgreSQL would let two insert the same row
                connection.execute(select(origin).with_for_update())
            yield connection

    def watches(self, series: Sequence[Series]) -> dict[Series, Watch]:
        """What is known of looking at each series."""
        with self._transaction(write=False) as connection:
            return _watches(connection, series)

    def writing(self, stretches: Mapping[Series, tuple[int, int]], until_ns: int) -> None:
        """Note that hours of some series are being written, or have been.

        Args:
            stretches: first and last time of each series, ns.
            until_ns: when they count as written.
        """
        if not stretches:
            return
        # Asked and noted in one transaction: of two who begin at once each keeps the other's hours.
        with self._transaction(write=True) as connection:
            now = _watches(connection, list(stretches))
            rows = []
            for series, (first_ns, last_ns) in stretches.items():
                start_ns, end_ns = first_ns // HOUR_NS * HOUR_NS, (last_ns // HOUR_NS + 1) * HOUR_NS
                if (other := now[series].write) is not None:
                    start_ns, end_ns = min(start_ns, other.start_ns), max(end_ns, other.end_ns)
                rows.append(
                    {"write_start_ns": start_ns, "write_end_ns": end_ns, "write_until_ns": until_ns, **_ids(series)}
                )
            _note(connection, rows)

    def swept(self, series: Sequence[Series], at_ns: int) -> None:
        """Note that all of the look-back was read."""
        with self._transaction(write=True) as connection:
            _note(connection, [{"swept_ns": at_ns, **_ids(each)} for each in series])

    def seen(self, writes: Mapping[Series, Write]) -> None:
        """Forget writes whose hours were read after them, unless something was written since."""
        with self._transaction(write=True) as connection:
            for series, write in writes.items():
                same = (watched.c.write_until_ns == write.until_ns) & (watched.c.write_start_ns == write.start_ns)
                connection.execute(
                    update(watched)
                    .where(_is(series.asset_id, series.property_id), same, watched.c.write_end_ns == write.end_ns)
                    .values(write_start_ns=None, write_end_ns=None, write_until_ns=None)
                )

    def note(self, looked_at: Sequence[Hours]) -> None:
        """Remember what hours hold; those that held something else before have received something."""
        together: dict[tuple[int, int], list[Hours]] = {}
        for each in looked_at:
            together.setdefault((each.start_ns, each.end_ns), []).append(each)
        news = [row for span, hours in together.items() for row in self._news(hours, *map(_time, span))]
        if news:  # in one write, which takes one position
            self._hours.write(_frame(news))

    def arrivals(self, series: Sequence[Series], since: int) -> Arrivals:
        """See Historian, of what was noted."""
        assets = tuple(sorted({each.asset_id for each in series}))
        properties = tuple(sorted({each.property_id for each in series}))
        found = self._hours.arrivals(assets, properties, max(0, since - self._origin))
        buckets = found.buckets
        if buckets.empty:
            return Arrivals(since, buckets)
        held = self._hours.read(assets, properties, buckets["start"].min(), buckets["end"].max())
        counts = held[held["quality"] == "UNCERTAIN"].groupby("time")["value"].sum()
        samples = counts.reindex(pd.DatetimeIndex(buckets["start"])).to_numpy().astype(np.int64)
        buckets = buckets.assign(cursor=buckets["cursor"] + self._origin, samples=samples)
        return Arrivals(max(since, int(buckets["cursor"].max())), buckets)

    def _news(self, looked_at: Sequence[Hours], start: pd.Timestamp, end: pd.Timestamp) -> Iterator[Row]:
        """What differs from what is known: of the hours seen, and of those that held something and hold nothing now."""
        assets = tuple(sorted({each.series.asset_id for each in looked_at}))
        properties = tuple(sorted({each.series.property_id for each in looked_at}))
        known = self._hours.read(assets, properties, start, end)
        held: dict[tuple[str, str, str], dict[int, float]] = {}
        columns = (known["unit"], known["property"], known["quality"], known["time"].astype("int64"), known["value"])
        for asset, name, quality, hour, value in zip(*(column.tolist() for column in columns), strict=True):
            held.setdefault((asset, name, quality), {})[hour] = value
        for hours in looked_at:
            ids = (hours.series.asset_id, hours.series.property_id)
            digests, most = held.get((*ids, "GOOD"), {}), held.get((*ids, "UNCERTAIN"), {})
            for hour, digest in (dict.fromkeys(digests, EMPTY) | dict(hours.digests)).items():
                if digests.get(hour) != digest:
                    yield (*ids, hour, digest, "GOOD")
            for hour, count in hours.counts.items():
                if most.get(hour, 0.0) < count:
                    yield (*ids, hour, float(count), "UNCERTAIN")


def _watches(connection: Connection, series: Sequence[Series]) -> dict[Series, Watch]:
    """What is known of looking at each series."""
    ids = {(each.asset_id, each.property_id): each for each in series}
    found = dict.fromkeys(series, Watch())
    for some in in_groups(list(ids), SERIES_AT_ONCE):
        for row in connection.execute(
            select(watched).where(tuple_(watched.c.asset_id, watched.c.property_id).in_(some))
        ):
            write = None
            if row.write_until_ns is not None:
                write = Write(row.write_start_ns, row.write_end_ns, row.write_until_ns)
            found[ids[row.asset_id, row.property_id]] = Watch(row.swept_ns, write)
    return found


def _note(connection: Connection, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert or change rows of ``watched``."""
    for row in rows:
        key = _is(str(row["asset_id"]), str(row["property_id"]))
        if not connection.execute(update(watched).where(key).values(**row)).rowcount:
            connection.execute(insert(watched).values(**row))


def _frame(rows: Sequence[Row]) -> pd.DataFrame:
    """Rows as samples."""
    frame = pd.DataFrame(rows, columns=["unit", "property", "hour", "value", "quality"])
    times = pd.to_datetime(frame["hour"].to_numpy(np.int64), unit="ns", utc=True)
    return frame.assign(time=times.astype(UTC_NS)).drop(columns="hour")


def _ids(series: Series) -> dict[str, str]:
    return {"asset_id": series.asset_id, "property_id": series.property_id}


def _is(asset_id: str, property_id: str) -> ColumnElement[bool]:
    return and_(watched.c.asset_id == asset_id, watched.c.property_id == property_id)


def _time(time_ns: int) -> pd.Timestamp:
    return pd.Timestamp(time_ns, unit="ns", tz="UTC")
