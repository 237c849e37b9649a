"""What is particular to PostgreSQL: connecting, transactions, bulk writes, and what its errors mean.

Many processes read while one writes; writers wait for each other at the one row of the table ``historian``, which
every write updates first. So writes are committed in the order of their positions, and a reader's snapshot that holds
one write holds all with smaller positions: a cursor never runs ahead of what can be read.
https://www.postgresql.org/docs/current/transaction-iso.html

Where TimescaleDB is there, ``timescale`` makes ``samples`` a hypertable.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sqlalchemy import URL, Connection, Engine, create_engine, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateTable

from twin_assets.historian.base import HistorianError
from twin_assets.historian.database import POSTGRESQL_EXAMPLE
from twin_assets.historian.postgresql_errors import advice, said
from twin_assets.historian.schema import metadata, staged
from twin_assets.historian.timescale import use_timescale

# What a URL may begin with; the driver is psycopg, version 3, whatever SQLAlchemy would choose.
DRIVERS = ("postgresql", "postgres", "postgresql+psycopg")

# libpq's defaults wait for a silent server as long as the operating system does: two hours.
# https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
CONNECTING = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "application_name": "twin",
}

# Of one transaction alone: a pooler between us and the server hands the session on to others. What is staged is looked
# up in the samples' index: the planner would rather read a table of up to twenty times as many rows whole, each time.
WRITING = """
SELECT set_config('lock_timeout', :timeout, true),
       set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)
"""
CREATION_LOCK = 0x7477696E  # "twin": an advisory lock, for there is no row to lock before the tables are there

# https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format": header, rows, trailer.
COPY_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
COPY_TRAILER = b"\xff\xff"
COPIED = {"series_id": ">i4", "time_ns": ">i8", "quality": ">i2", "value": ">f8", "hour": ">i8"}
COPY_ROW = np.dtype(
    [("fields", ">i2"), *(part for name, kind in COPIED.items() for part in ((f"{name}_size", ">i4"), (name, kind)))]
)
COPY = f"COPY {staged.name} ({', '.join(COPIED)}) FROM STDIN (FORMAT BINARY)"


class Postgresql:
    """A Database on a PostgreSQL server."""

    def __init__(self, url: URL, busy_timeout_s: float) -> None:
        """Nothing is connected yet.

        Args:
            url: with or without the driver's name.
            busy_timeout_s: how long to wait for another writer.

        Raises:
            HistorianError: if the URL names no database, or the driver is not installed.
        """
        shown = URL.create("postgresql", url.username, None, url.host, url.port, url.database).render_as_string()
        if url.drivername not in DRIVERS or not url.database:
            raise HistorianError(f"'{shown}' names no PostgreSQL database; expected a URL like {POSTGRESQL_EXAMPLE}")
        self.name = shown
        self.engine = _engine(url, shown)
        self._secrets = tuple(str(secret) for secret in (url.password, url.query.get("password")) if secret)
        self._busy_timeout_ms = max(1, round(busy_timeout_s * 1e3))

    @contextmanager
    def explained(self) -> Iterator[None]:
        """See Database."""
        try:
            yield
        except DBAPIError as error:
            what_to_do = advice(error)
            if what_to_do is None:
                raise
            raise HistorianError(f"{self.name}: {what_to_do} (PostgreSQL: {said(error, self._secrets)})") from error

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[Connection]:
        """See Database. Readers ask all their questions to one snapshot; a writer sees what the one before it left."""
        level = "READ COMMITTED" if write else "REPEATABLE READ"
        with self.engine.connect().execution_options(isolation_level=level) as connection, connection.begin():
            if write:
                connection.execute(text(WRITING), {"timeout": f"{self._busy_timeout_ms}ms"})
            yield connection

    def refuse_foreign(self, tables: list[str]) -> None:
        """A database may serve others as well, as long as their tables have other names than ours."""
        if ours := sorted(set(metadata.tables) & set(tables)):
            raise HistorianError(
                f"{self.name}: no historian, and yet the tables {', '.join(ours)} are there already, which are"
                " somebody else's. Choose another database."
            )

    @contextmanager
    def creation(self) -> Iterator[Connection]:
        """See Database."""
        with self.transaction(write=True) as connection:
            connection.execute(select(func.pg_advisory_xact_lock(CREATION_LOCK)))
            encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
            if encoding != "UTF8":
                raise HistorianError(
                    f"{self.name}: the database's encoding is {encoding}, which cannot hold every name; expected UTF8."
                    " Make another one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0."
                )
            yield connection

    def created(self, connection: Connection) -> None:
        """See Database."""
        use_timescale(connection)

    def stage(self, connection: Connection, rows: pd.DataFrame) -> None:
        """See Database. The table ends with the transaction: rows deleted from it would stay on disk until then."""
        connection.execute(CreateTable(staged, if_not_exists=True))
        connection.execute(text(f"TRUNCATE {staged.name}"))
        _copy(connection, copy_bytes(rows))


def copy_bytes(rows: pd.DataFrame) -> bytes:
    """Rows of ``staged`` in PostgreSQL's binary format: every float exactly, ten times as fast as text.

    Args:
        rows: the columns COPIED, whole numbers and floats without NaN in the index's order.
    """
    encoded: NDArray[np.void] = np.zeros(len(rows), dtype=COPY_ROW)
    encoded["fields"] = len(COPIED)
    for name, kind in COPIED.items():
        encoded[f"{name}_size"] = np.dtype(kind).itemsize
        encoded[name] = rows[name].to_numpy()
    return COPY_HEADER + encoded.tobytes() + COPY_TRAILER


def _copy(connection: Connection, data: bytes) -> None:
    """Send rows on the driver's own connection, which alone knows COPY; errors as SQLAlchemy's.

    Raises:
        DBAPIError: as any other statement would.
    """
    driver = connection.connection.driver_connection
    dialect = connection.dialect
    if driver is None or dialect.loaded_dbapi is None:
        raise RuntimeError("a transaction has a connection and a driver")
    try:
        with driver.cursor() as cursor, cursor.copy(COPY) as copy:
            copy.write(data)
    except dialect.loaded_dbapi.Error as error:
        lost = driver.closed
        if lost:
            connection.invalidate(error)
        raise DBAPIError(COPY, None, error, connection_invalidated=lost) from error


def _engine(url: URL, shown: str) -> Engine:
    """An engine that checks a connection before it is used again: a server may have gone meanwhile."""
    connecting = {name: value for name, value in CONNECTING.items() if name not in url.query}
    try:
        return create_engine(url.set(drivername="postgresql+psycopg"), pool_pre_ping=True, connect_args=connecting)
    except ImportError as error:
        raise HistorianError(
            f"{shown}: the driver for PostgreSQL cannot be loaded ({error}). Install it beside the platform with"
            " pip install 'psycopg[binary]'."
        ) from error
