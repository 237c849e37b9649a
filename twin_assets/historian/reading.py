"""How reads ask one question about many series: names and numbers travel as one parameter, rows come back as columns.

Databases bound the parameters of a question (PostgreSQL 65,535, SQLite 32,766), not the size of one: a list of any
length is JSON in the question, and a table again in the database.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Integer,
    Select,
    String,
    and_,
    bindparam,
    func,
    select,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from twin_assets.historian.base import QUALITIES
from twin_assets.historian.rows import UTC_NS, empty_samples, storable_names
from twin_assets.historian.schema import samples, series

ROWS_AT_ONCE = 100_000  # as Python objects, which take ten times the space of a column's numbers

Row = tuple[int, int, int, float]  # series, time_ns, quality, value


class _OneOf(FunctionElement[bool]):
    """Whether a column is among the entries of a JSON list."""

    type = Boolean()
    inherit_cache = True

    def self_group(self, against: object = None) -> "_OneOf":  # noqa: ARG002 - SQLAlchemy's signature
        """As it is: where a database has no booleans SQLAlchemy would compare it with 1, and no index would help."""
        return self


@compiles(_OneOf, "sqlite")
def _in_sqlite(element: _OneOf, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's
    column, listed = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({listed}))"  # noqa: S608 - a parameter's place


@compiles(_OneOf, "postgresql")
def _in_postgresql(element: _OneOf, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's
    column, listed = (compiler.process(clause, **options) for clause in element.clauses)
    kind = "BIGINT" if isinstance(next(iter(element.clauses)).type, Integer) else "TEXT"
    # An array, which the index takes; of a subquery the planner expects so much that it would read all samples.
    return f"{column} = ANY(ARRAY(SELECT CAST(json_array_elements_text(CAST({listed} AS JSON)) AS {kind})))"


def one_of(column: Column[Any], values: Sequence[str] | Sequence[int]) -> ColumnElement[bool]:
    """Whether a column of text or whole numbers is one of any number of values."""
    return _OneOf(column, bindparam(None, json.dumps(list(values)), String, unique=True))


def among(units: tuple[str, ...], properties: tuple[str, ...]) -> ColumnElement[bool]:
    """Whether a row of ``series`` is one of these units and of these properties."""
    return and_(one_of(series.c.unit, storable_names(units)), one_of(series.c.property, storable_names(properties)))


@dataclass(frozen=True)
class Wanted:
    """The series asked for, in the order of unit and property.

    Attributes:
        ids: their numbers, (n,).
        units: the unit of each.
        properties: the property of each.
    """

    ids: NDArray[np.int64]
    units: tuple[str, ...]
    properties: tuple[str, ...]

    @classmethod
    def of(cls, connection: Connection, units: tuple[str, ...], properties: tuple[str, ...]) -> "Wanted":
        """Those that the historian knows."""
        query = select(series.c.unit, series.c.property, series.c.id).where(among(units, properties))
        # Sorted here: databases have orders of their own.
        found = sorted(connection.execute(query).all())
        return cls(
            np.array([number for _, _, number in found], dtype=np.int64),
            tuple(unit for unit, _, _ in found),
            tuple(name for _, name, _ in found),
        )

    def within(self, start_ns: int, end_ns: int) -> Select[Row]:
        """Their rows with ``start_ns <= time_ns < end_ns``, in any order."""
        table = samples.c
        span = (table.time_ns >= start_ns, table.time_ns < end_ns)
        return _ROWS.where(one_of(table.series_id, self.ids.tolist()), *span)

    def newest(self) -> Select[Row]:
        """Their rows of their newest times, of each quality, in any order."""
        table = samples.c
        # As a question of its own for each series, which the index answers with one look.
        last = select(func.max(table.time_ns)).where(table.series_id == series.c.id).scalar_subquery()
        newest = select(series.c.id, last.label("time_ns")).where(one_of(series.c.id, self.ids.tolist())).subquery()
        return _ROWS.join(newest, and_(table.series_id == newest.c.id, table.time_ns == newest.c.time_ns))

    def samples(self, connection: Connection, query: Select[Row]) -> pd.DataFrame:
        """Rows as samples, ordered by unit, property, time, quality (best first)."""
        rows = _fetched(connection, query)
        if not len(rows):
            return empty_samples()
        by_id = np.argsort(self.ids)
        places = by_id[np.searchsorted(self.ids, rows["series_id"], sorter=by_id)]
        order = np.lexsort((rows["quality"], rows["time_ns"], places))
        rows, places = rows[order], places[order]
        return pd.DataFrame(
            {
                "unit": _texts(self.units, places),
                "property": _texts(self.properties, places),
                "time": pd.to_datetime(rows["time_ns"], unit="ns", utc=True).astype(UTC_NS),
                "value": rows["value"].copy(),
                "quality": _texts(QUALITIES, rows["quality"]),
            }
        )


def _texts(texts: Sequence[str], places: NDArray[np.int64]) -> "pd.api.extensions.ExtensionArray":
    """The text at each place."""
    return pd.array(texts, dtype="str").take(places)


_ROWS: Select[Row] = select(samples.c.series_id, samples.c.time_ns, samples.c.quality, samples.c.value)
_KINDS = [("series_id", np.int64), ("time_ns", np.int64), ("quality", np.int64), ("value", np.float64)]


def _fetched(connection: Connection, query: Select[Row]) -> NDArray[np.void]:
    """All rows, as a structured array of the columns of _ROWS.

    Taken from the driver's own cursor: SQLAlchemy's rows cost more than all the rest of a large read.
    """
    with connection.execute(query) as result:
        cursor = result.cursor
        if cursor is None:
            raise RuntimeError("a SELECT has a cursor")
        parts: list[NDArray[np.void]] = [np.empty(0, dtype=_KINDS)]
        while rows := cursor.fetchmany(ROWS_AT_ONCE):
            parts.append(np.array(rows, dtype=_KINDS))
    return np.concatenate(parts)
