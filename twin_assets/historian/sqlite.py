"""What is particular to SQLite: opening a file in WAL mode, transactions, and what its errors mean.

Many processes read while one writes; writers wait for each other.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pandas as pd
from sqlalchemy import URL, Connection, Engine, PoolProxiedConnection, create_engine, delete, event, insert
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.schema import CreateTable

from twin_assets.historian.base import HistorianError
from twin_assets.historian.database import SQLITE_EXAMPLE
from twin_assets.historian.schema import staged

IMMEDIATE = "twin_immediate"  # execution option: take the write lock at once, not at the first write

# A transaction that reads first and writes later cannot wait for another writer: SQLite would have to refuse it.
# https://www.sqlite.org/isolation.html, https://www.sqlite.org/rescode.html#busy_snapshot
BEGIN = {True: "BEGIN IMMEDIATE", False: "BEGIN DEFERRED"}

ADVICE = {
    "SQLITE_BUSY": "another process has been writing for too long. Wait until it has finished, and try again.",
    "SQLITE_LOCKED": "another connection is using it. Wait until it has finished, and try again.",
    "SQLITE_FULL": "the disk is full; nothing of this write was kept. Make room, and try again.",
    "SQLITE_READONLY": "it cannot be written. Give yourself the permission to write the file and its folder.",
    "SQLITE_CANTOPEN": "it cannot be opened. Expected a file in a folder that exists and that you may write to.",
    "SQLITE_PERM": "it may not be accessed. Give yourself the permission to read and write it.",
    "SQLITE_NOTADB": "it is no historian but some other kind of file. Move it away, or choose another --home.",
    "SQLITE_CORRUPT": "the file is damaged. Restore it from a backup, or move it away and ingest again.",
    "SQLITE_IOERR": "the disk reported an error. Check the disk; nothing of this write was kept.",
}


class Sqlite:
    """A Database in a file."""

    def __init__(self, url: URL, busy_timeout_s: float) -> None:
        """Nothing is opened yet.

        Args:
            url: of a file; its folder must exist.
            busy_timeout_s: how long to wait for another writer.

        Raises:
            HistorianError: if the URL names no file, which several processes could share.
        """
        if url.database in (None, "", ":memory:"):
            raise HistorianError(f"'{url}' names no SQLite file; expected a URL like {SQLITE_EXAMPLE}")
        self._path = Path(url.database)
        self._busy_timeout_s = busy_timeout_s
        self.name = str(self._path)
        self.engine = sqlite_engine(self._path, busy_timeout_s)

    def explained(self) -> AbstractContextManager[None]:
        """See Database."""
        return explained(self._path)

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[Connection]:
        """See Database."""
        options = {IMMEDIATE: write}
        with self.engine.connect().execution_options(**options) as connection, connection.begin():
            yield connection

    def refuse_foreign(self, tables: list[str]) -> None:
        """A file is one program's."""
        if tables:
            raise HistorianError(
                f"{self.name}: an SQLite file, but no historian; found the tables {', '.join(sorted(tables))}."
                " Move it away, or choose another home."
            )

    @contextmanager
    def creation(self) -> Iterator[Connection]:
        """See Database."""
        use_wal(self.engine, self._busy_timeout_s)
        with self.transaction(write=True) as connection:
            yield connection

    def created(self, connection: Connection) -> None:
        """See Database."""

    def stage(self, connection: Connection, rows: pd.DataFrame) -> None:
        """See Database. In the order of its key, in which a table without row numbers is written fastest."""
        connection.execute(CreateTable(staged, if_not_exists=True))
        connection.execute(delete(staged))
        if rows.empty:
            return
        names = [column.name for column in staged.columns]
        # The driver itself takes tuples five times as fast as SQLAlchemy takes dictionaries.
        statement = str(insert(staged).compile(dialect=connection.dialect))
        connection.exec_driver_sql(statement, list(zip(*(rows[name].tolist() for name in names), strict=True)))


def sqlite_engine(path: Path, busy_timeout_s: float) -> Engine:
    """An engine on a file; nothing is opened yet.

    Args:
        path: the file; made by the first write where it is not there.
        busy_timeout_s: how long to wait for another writer.
    """
    url = URL.create("sqlite", database=str(path))
    engine = create_engine(url, connect_args={"timeout": busy_timeout_s})
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Say what to do about the errors of SQLite that a user can mend.

    Raises:
        HistorianError: in place of the driver's or SQLAlchemy's error.
    """
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        original = error.orig if isinstance(error, DBAPIError) else error
        name = getattr(original, "sqlite_errorname", "")  # absent on errors that Python's module raises itself
        what_to_do = next((text for prefix, text in ADVICE.items() if name.startswith(prefix)), None)
        if what_to_do is None:
            raise
        raise HistorianError(f"{path}: {what_to_do} (SQLite: {original})") from error


def use_wal(engine: Engine, timeout_s: float) -> None:
    """Switch the file to write-ahead logging: a property of the file that stays.

    SQLite itself does not wait here when another process is opening the same new file.
    """
    deadline = time.monotonic() + timeout_s
    connection = engine.raw_connection()
    try:
        while not _switched_to_wal(connection, last_try=time.monotonic() > deadline):
            time.sleep(0.01)
    finally:
        connection.close()


def _switched_to_wal(connection: PoolProxiedConnection, *, last_try: bool) -> bool:
    try:
        connection.cursor().execute("PRAGMA journal_mode=WAL")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or last_try:
            raise
        return False
    return True


def _configure(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    # Python's own transaction control begins no transaction before reads and only deferred ones before writes.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA temp_store=MEMORY")  # staged chunks are small
    cursor.execute("PRAGMA cache_size=-65536")  # 64 MiB: a month of samples is inserted without rereading pages
    cursor.close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(BEGIN[bool(connection.get_execution_options().get(IMMEDIATE))])
