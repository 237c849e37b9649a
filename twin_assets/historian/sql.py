"""The SQL historian, on SQLAlchemy Core: the Historian protocol over the tables of ``schema``.

Belongs here: opening and asking, the same for every SQL database. How writes become rows is in ``merge``, how rows
become samples in ``reading``, which rows may be stored in ``rows``; what is particular to one database has a module of
its own: ``sqlite``, ``postgresql``.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from sqlalchemy import URL, BigInteger, Connection, cast, exists, func, insert, inspect, select, update

from twin_assets.historian import schema
from twin_assets.historian.base import Arrivals, HistorianError, WriteReport
from twin_assets.historian.database import Database, parsed_url
from twin_assets.historian.merge import Stretch, merge, replace
from twin_assets.historian.postgresql import Postgresql
from twin_assets.historian.reading import Wanted, among, one_of
from twin_assets.historian.rows import (
    UTC_NS,
    Clock,
    empty_samples,
    refuse_outside,
    sift,
    storable_names,
    to_ns,
    utc_now,
)
from twin_assets.historian.sqlite import Sqlite

_HOLDS_ANY = exists().where(schema.samples.c.series_id == schema.series.c.id)


class SqlHistorian:
    """A historian in an SQL database. A context manager; call ``close`` otherwise.

    Safe to use from several threads, and from several processes that each open their own.
    """

    def __init__(self, url: str | URL, *, clock: Clock = utc_now, busy_timeout_s: float = 60.0) -> None:
        """Open the database and make the tables where it has none.

        Args:
            url: SQLAlchemy's: ``sqlite:////var/lib/twin/historian.sqlite``, whose folder must exist, or
                ``postgresql://user:password@host/database``.
            clock: decides which times lie in the future.
            busy_timeout_s: how long to wait for another writer.

        Raises:
            HistorianError: if it cannot be opened, is no historian, or was written by a newer version.
        """
        self._clock = clock
        self._database = database_of(url, busy_timeout_s)
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    @classmethod
    def sqlite(cls, path: Path, *, clock: Clock = utc_now, busy_timeout_s: float = 60.0) -> Self:
        """Open an embedded historian in a file; arguments and errors as the constructor's."""
        return cls(URL.create("sqlite", database=str(path)), clock=clock, busy_timeout_s=busy_timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def name(self) -> str:
        """Where it is, for people; without a password."""
        return self._database.name

    def close(self) -> None:
        """Close all connections."""
        self._database.engine.dispose()

    def units(self, properties: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """See Historian."""
        query = select(schema.series.c.unit).where(_HOLDS_ANY).distinct()
        if properties is not None:
            query = query.where(one_of(schema.series.c.property, storable_names(properties)))
        with self._transaction() as connection:
            return tuple(sorted(connection.scalars(query)))

    def properties(self, unit: str) -> tuple[str, ...]:
        """See Historian."""
        query = select(schema.series.c.property).where(schema.series.c.unit.in_(storable_names([unit])), _HOLDS_ANY)
        with self._transaction() as connection:
            return tuple(sorted(connection.scalars(query)))

    def read(
        self, units: tuple[str, ...], properties: tuple[str, ...], start: pd.Timestamp, end: pd.Timestamp
    ) -> pd.DataFrame:
        """See Historian."""
        with self._transaction() as connection:
            wanted = Wanted.of(connection, units, properties)
            return wanted.samples(connection, wanted.within(to_ns(start), to_ns(end)))

    def latest(self, units: tuple[str, ...], properties: tuple[str, ...]) -> pd.DataFrame:
        """See Historian."""
        with self._transaction() as connection:
            wanted = Wanted.of(connection, units, properties)
            newest = wanted.samples(connection, wanted.newest())
        return newest.drop_duplicates(["unit", "property"], ignore_index=True)

    def write(self, samples: pd.DataFrame) -> WriteReport:
        """See Historian."""
        return self.write_all([samples])

    def write_all(self, chunks: Iterable[pd.DataFrame]) -> WriteReport:
        """Write several frames in one transaction: all of them or, on an error, none.

        Args:
            chunks: frames as ``write`` takes them, drawn one after the other, so that a generator can show progress.
                Other writers wait meanwhile.
        """
        written, rejected = 0, [empty_samples().assign(reason=pd.Series(dtype="str"))]
        with self._transaction(write=True) as connection:
            seq = next_seq(connection)
            for chunk in chunks:
                sifted = sift(chunk, self._clock())
                merge(connection, self._database.stage, sifted.taken, seq)
                written += len(sifted.taken)
                rejected += [sifted.rejected] if len(sifted.rejected) else []
        return WriteReport(written, pd.concat(rejected[1:] or rejected))

    def replace(
        self,
        units: tuple[str, ...],
        properties: tuple[str, ...],
        start: pd.Timestamp,
        end: pd.Timestamp,
        samples: pd.DataFrame,
    ) -> WriteReport:
        """See Historian. Rows are deleted, in the transaction that stores the new ones."""
        units, properties = storable_names(units), storable_names(properties)
        stretch = Stretch(units, properties, to_ns(start), to_ns(end))
        sifted = sift(samples, self._clock())
        refuse_outside(sifted.taken, units, properties, start, end)
        if len(sifted.rejected) or (sifted.taken.empty and not self._holds(stretch)):
            return WriteReport(0, sifted.rejected)
        with self._transaction(write=True) as connection:
            withdrawn = replace(connection, self._database.stage, sifted.taken, next_seq(connection), stretch)
        return WriteReport(len(sifted.taken), sifted.rejected, withdrawn)

    def arrivals(self, units: tuple[str, ...], properties: tuple[str, ...], since: int = 0) -> Arrivals:
        """See Historian."""
        table = schema.arrival.c
        query = (
            select(table.hour, func.max(table.seq), cast(func.sum(table.samples), BigInteger))
            .join_from(schema.arrival, schema.series, table.series_id == schema.series.c.id)
            .where(among(units, properties), table.seq > since)
            .group_by(table.hour)
            .order_by(table.hour)
        )
        with self._transaction() as connection:
            found = connection.execute(query).all()
        hours, cursors, counts = np.array(found, dtype=np.int64).reshape(-1, 3).T
        start, end = (pd.to_datetime(edge * schema.HOUR_NS, utc=True).astype(UTC_NS) for edge in (hours, hours + 1))
        buckets = pd.DataFrame({"start": start, "end": end, "cursor": cursors, "samples": counts})
        return Arrivals(int(cursors.max(initial=since)), buckets)

    def _holds(self, stretch: Stretch) -> bool:
        with self._transaction() as connection:
            return bool(connection.execute(select(exists().where(stretch.holds))).scalar_one())

    @contextmanager
    def _transaction(self, *, write: bool = False) -> Iterator[Connection]:
        """One transaction, rolled back on any error; the database's own errors in words that help."""
        with self._database.explained(), self._database.transaction(write=write) as connection:
            yield connection

    def _prepare(self) -> None:
        """Check the version of what is there; make the tables in a database that has none."""
        with self._transaction() as connection:
            tables = inspect(connection).get_table_names()
            if self._is_historian(connection, tables):
                self._check_version(connection)
                return
        self._database.refuse_foreign(tables)
        with self._database.explained(), self._database.creation() as connection:
            # Another process may have been faster: whoever comes second finds the tables and the row.
            if self._is_historian(connection, inspect(connection).get_table_names()):
                self._check_version(connection)
                return
            schema.metadata.create_all(connection)
            self._database.created(connection)
            connection.execute(insert(schema.historian).values(schema_version=schema.SCHEMA_VERSION, last_seq=0))

    @staticmethod
    def _is_historian(connection: Connection, tables: list[str]) -> bool:
        """Whether the table that tells the version is there: somebody else's may have its name."""
        if schema.historian.name not in tables:
            return False
        columns = {column["name"] for column in inspect(connection).get_columns(schema.historian.name)}
        return columns >= set(schema.historian.columns.keys())

    def _check_version(self, connection: Connection) -> None:
        found = connection.execute(select(schema.historian.c.schema_version)).scalar_one()
        if found != schema.SCHEMA_VERSION:
            raise HistorianError(
                f"{self.name}: the historian has schema version {found}, expected {schema.SCHEMA_VERSION}."
                " It was written by another version of twin-assets; use that version, or choose another place."
            )


def next_seq(connection: Connection) -> int:
    """The position of this write; other writers wait at this row until the transaction ends."""
    table = schema.historian
    connection.execute(update(table).values(last_seq=table.c.last_seq + 1))
    return int(connection.execute(select(table.c.last_seq)).scalar_one())


def database_of(url: str | URL, busy_timeout_s: float) -> Database:
    """The database that a URL names."""
    parsed = parsed_url(url)
    if parsed.get_backend_name() == "sqlite":
        return Sqlite(parsed, busy_timeout_s)
    return Postgresql(parsed, busy_timeout_s)
