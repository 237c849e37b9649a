"""What an SQL historian asks of the database it is in: what each kind does in its own way.

``sqlite`` and ``postgresql`` are two answers. Belongs here: the question, and reading the URL that says which one.
"""

import re
from contextlib import AbstractContextManager
from typing import Protocol

import pandas as pd
from sqlalchemy import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError

from twin_assets.historian.base import HistorianError

SQLITE_EXAMPLE = "sqlite:////var/lib/twin/historian.sqlite"
POSTGRESQL_EXAMPLE = "postgresql://twin:PASSWORD@db.example.com:5432/twin"
# Neither a name nor a scheme can be told from a password in what cannot be parsed: all between them goes.
_SECRET = re.compile(r":.*@", re.DOTALL)
_QUERY = re.compile(r"(\?|password\s*=).*", re.DOTALL | re.IGNORECASE)


class Database(Protocol):
    """One database, opened when it is first used.

    Attributes:
        name: what people call it, in errors and in the UI; holds no password.
        engine: SQLAlchemy's.
    """

    name: str
    engine: Engine

    def explained(self) -> AbstractContextManager[None]:
        """Say what to do about the database's errors that a user can mend, as HistorianErrors."""
        ...

    def transaction(self, *, write: bool) -> AbstractContextManager[Connection]:
        """One transaction, rolled back on any error.

        Args:
            write: for one writer at a time, which ``merge.next_seq`` sees to where this does not.
        """
        ...

    def refuse_foreign(self, tables: list[str]) -> None:
        """Refuse a database without a historian in which these other tables were found.

        Raises:
            HistorianError: if making our tables beside them would be a mistake.
        """
        ...

    def creation(self) -> AbstractContextManager[Connection]:
        """The transaction in which tables are made where there are none, by one process at a time."""
        ...

    def created(self, connection: Connection) -> None:
        """Called once the tables are made, in the same transaction."""
        ...

    def stage(self, connection: Connection, rows: pd.DataFrame) -> None:
        """Make the table ``staged`` hold these rows, and no others.

        Args:
            connection: inside a write transaction.
            rows: the columns of ``staged``, each row's key once.
        """
        ...


def parsed_url(url: str | URL) -> URL:
    """A database URL.

    Raises:
        HistorianError: if it is none; the text shows nothing that may be a password.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        parsed = None
    if parsed is None:
        raise HistorianError(
            f"'{without_secrets(str(url))}' is no database URL; expected one like {SQLITE_EXAMPLE} or"
            f" {POSTGRESQL_EXAMPLE}"
        )
    if "@" in (parsed.host or ""):
        raise HistorianError(
            f"'{without_secrets(str(url))}': more than one @ in a database URL. In a password, write it as %40;"
            f" expected one like {POSTGRESQL_EXAMPLE}"
        )
    return parsed


def without_secrets(url: str) -> str:
    """What may be shown of a text that was meant to be a URL."""
    return _SECRET.sub(":***@", _QUERY.sub("", url))
