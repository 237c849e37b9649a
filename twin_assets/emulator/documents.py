"""What the services keep beside samples: models, assets, workspaces, entities, … as JSON documents in the database.

Belongs here: storing and finding. What the documents say is the handlers' business.
"""

import base64
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from threading import Lock
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, delete, insert, select, update

from twin_assets.emulator.errors import ServiceError
from twin_assets.emulator.protocol import Document
from twin_assets.emulator.schema import documents
from twin_assets.historian.database import Database
from twin_assets.historian.merge import Stage


@dataclass(frozen=True)
class Page:
    """Some documents of a list, and where the next page begins; None after the last one."""

    documents: list[Document]
    next_token: str | None


class Documents:
    """The documents, seen by one transaction."""

    def __init__(self, connection: Connection, stage: Stage) -> None:
        """See one transaction's state.

        Args:
            connection: inside a transaction.
            stage: the database's way to fill the historian's ``staged``.
        """
        self.connection, self.stage = connection, stage

    def find(self, kind: str, identifier: str) -> Document | None:
        """A document, or None where there is none."""
        return self._one(select(documents.c.body).where(documents.c.kind == kind, documents.c.id == identifier))

    def made_with(self, kind: str, token: str | None) -> Document | None:
        """The document that a request with this client token has made; a client that heard nothing asks again."""
        if token is None:
            return None
        return self._one(select(documents.c.body).where(documents.c.kind == kind, documents.c.token == token))

    def add(self, kind: str, identifier: str, body: Document, *, parent: str = "", token: str | None = None) -> None:
        """Store a new document."""
        row = {"kind": kind, "id": identifier, "parent": parent, "token": token, "body": json.dumps(body)}
        self.connection.execute(insert(documents).values(row))

    def change(self, kind: str, identifier: str, body: Document) -> None:
        """Store another body for a document."""
        which = (documents.c.kind == kind, documents.c.id == identifier)
        self.connection.execute(update(documents).where(*which).values(body=json.dumps(body)))

    def remove(self, kind: str, identifier: str) -> None:
        """Forget a document."""
        self.connection.execute(delete(documents).where(documents.c.kind == kind, documents.c.id == identifier))

    def all(self, kind: str, parent: str | None = None) -> Iterator[Document]:
        """Documents of a kind, of one parent if given, in the order of their creation."""
        query = select(documents.c.body).where(documents.c.kind == kind).order_by(documents.c.number)
        if parent is not None:
            query = query.where(documents.c.parent == parent)
        return (json.loads(body) for body in self.connection.scalars(query).all())

    def page(self, kind: str, limit: int, token: str | None, parent: str | None = None) -> Page:
        """Documents of a kind, at most so many, from where a token says."""
        after = read_token(token, "number") if token is not None else 0
        table = documents.c
        query = select(table.number, table.body).where(table.kind == kind, table.number > after)
        if parent is not None:
            query = query.where(table.parent == parent)
        rows = self.connection.execute(query.order_by(table.number).limit(limit + 1)).mappings().all()
        return Page([json.loads(row["body"]) for row in rows[:limit]], next_token(rows, limit))

    def _one(self, query: Select[Any]) -> Document | None:
        body = self.connection.execute(query).scalar_one_or_none()
        return None if body is None else json.loads(body)


class Store:
    """Opens transactions on the emulator's tables."""

    def __init__(self, database: Database) -> None:
        """Args: database: with a historian in it."""
        self._database = database
        self._writing = Lock()

    @contextmanager
    def transaction(self, *, write: bool = False) -> Iterator[Documents]:
        """One transaction: all of it or nothing.

        Args:
            write: for one writer at a time.
        """
        lock = self._writing if write else nullcontext()  # PostgreSQL has no lock that is the whole database's
        with lock, self._database.explained(), self._database.transaction(write=write) as connection:
            yield Documents(connection, self._database.stage)


def make_token(content: Document) -> str:
    """Where a next page begins, opaque to clients."""
    return base64.b64encode(json.dumps(content, separators=(",", ":")).encode()).decode()


def read_token(token: str, key: str) -> int:
    """A number in a token of ours.

    Raises:
        ServiceError: if it is none of ours.
    """
    content = read_tokens(token).get(key)
    if isinstance(content, bool) or not isinstance(content, int):
        raise foreign_token()
    return content


def read_tokens(token: str) -> Document:
    """What a token of ours says.

    Raises:
        ServiceError: if it is none of ours.
    """
    try:
        content = json.loads(base64.b64decode(token, validate=True))
    except ValueError as error:
        raise foreign_token() from error
    if not isinstance(content, dict):
        raise foreign_token()
    return content


def next_token(rows: Sequence[RowMapping], limit: int) -> str | None:
    """The token after a page, of rows of which one more than a page was asked for."""
    return make_token({"number": rows[limit - 1]["number"]}) if len(rows) > limit else None


def foreign_token() -> ServiceError:
    """What is wrong with a token that is none of ours."""
    return ServiceError("InvalidRequestException", "nextToken is none that this service has given out")
