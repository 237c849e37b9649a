"""Time series: which one an alias or an asset's property means, and its samples.

Belongs here: finding, making and reading series. What may be written is in ``sitewise.putting``.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from sqlalchemy import ColumnElement, Connection, Row, Table, and_, delete, insert, or_, select, tuple_, update

from twin_assets.emulator.schema import time_series, values
from twin_assets.emulator.values import Null, Sample, Value, is_plain
from twin_assets.historian import schema
from twin_assets.historian.base import QUALITIES, Quality
from twin_assets.historian.merge import QUALITY_CODES, Stage, keep_staged, series_ids
from twin_assets.historian.sql import next_seq

_KEYS = tuple_(values.c.series_id, values.c.time_ns, values.c.quality)
PROPERTY = "value"  # the historian's name of the one property of each series
FIRST_NS, LAST_NS = -(2**63), 2**63 - 1  # that a database can hold
Key = tuple[int, int]  # time_ns and quality's code: where in a series a sample stands


@dataclass(frozen=True)
class TimeSeries:
    """A time series (data stream).

    Attributes:
        id: its own, for good, whatever it is associated with.
        alias: the data stream's; unique.
        asset_id: of the asset to whose property it belongs; None for a stream of its own.
        property_id: as above.
        data_type: DOUBLE, INTEGER, BOOLEAN or STRING.
        created_ns: when it was made.
        updated_ns: when it was last changed.
    """

    id: str
    alias: str | None
    asset_id: str | None
    property_id: str | None
    data_type: str
    created_ns: int
    updated_ns: int


class AllSeries:
    """The time series, seen by one transaction."""

    def __init__(self, connection: Connection) -> None:
        """Args: connection: inside a transaction."""
        self._connection = connection

    def by_alias(self, alias: str) -> TimeSeries | None:
        """The series with an alias."""
        return self._one(time_series.c.alias == alias)

    def of_property(self, asset_id: str, property_id: str) -> TimeSeries | None:
        """The series of an asset's property; None where it has neither alias nor samples yet."""
        return self._one(and_(time_series.c.asset_id == asset_id, time_series.c.property_id == property_id))

    def with_aliases(self, aliases: Sequence[str]) -> dict[str, TimeSeries]:
        """Alias to its series."""
        return {str(each.alias): each for each in self._all(time_series.c.alias.in_(aliases))}

    def of_asset(self, asset_id: str) -> dict[str, TimeSeries]:
        """Property id to its series, of an asset."""
        return {str(each.property_id): each for each in self._all(time_series.c.asset_id == asset_id)}

    def page(
        self, limit: int, after: int, *, asset_id: str | None, prefix: str | None, associated: bool | None
    ) -> list[tuple[int, TimeSeries]]:
        """At most so many series with a number greater than ``after``, with their numbers."""
        table = time_series.c
        wanted = [table.number > after]
        if asset_id is not None:
            wanted.append(table.asset_id == asset_id)
        if prefix is not None:
            wanted.append(table.alias.startswith(prefix, autoescape=True))
        if associated is not None:
            wanted.append(table.asset_id.is_not(None) if associated else table.asset_id.is_(None))
        rows = self._connection.execute(select(time_series).where(*wanted).order_by(table.number).limit(limit)).all()
        return [(row.number, _series(row)) for row in rows]

    def add(
        self,
        data_type: str,
        now_ns: int,
        *,
        alias: str | None = None,
        asset_id: str | None = None,
        property_id: str | None = None,
    ) -> TimeSeries:
        """Make a series."""
        made = TimeSeries(str(uuid.uuid4()), alias, asset_id, property_id, data_type, now_ns, now_ns)
        self._connection.execute(insert(time_series).values(vars(made)))
        return made

    def change(self, series: TimeSeries, **changes: object) -> None:
        """Change columns of a series."""
        self._connection.execute(update(time_series).where(time_series.c.id == series.id).values(**changes))

    def remove(self, series: TimeSeries) -> None:
        """Forget a series and what it holds of its own; its numbers stay in the historian, where none finds them."""
        self._connection.execute(delete(values).where(values.c.series_id == series.id))
        self._connection.execute(delete(time_series).where(time_series.c.id == series.id))

    def _one(self, which: ColumnElement[bool]) -> TimeSeries | None:
        return next(iter(self._all(which)), None)

    def _all(self, which: ColumnElement[bool]) -> list[TimeSeries]:
        rows = self._connection.execute(select(time_series).where(which).order_by(time_series.c.number))
        return [_series(row) for row in rows]


@dataclass(frozen=True)
class Stretch:
    """Which samples of a series are asked for, and in which order.

    Attributes:
        start_ns: exclusive.
        end_ns: inclusive.
        quality: of this one alone; None for all.
        descending: newest first.
        after: continue after this one.
    """

    start_ns: int
    end_ns: int
    quality: Quality | None = None
    descending: bool = False
    after: Key | None = None


def read(connection: Connection, series: TimeSeries, stretch: Stretch, limit: int) -> list[Sample]:
    """At most so many samples, in the order that was asked for; of one time the best quality first."""
    number = connection.scalars(select(schema.series.c.id).where(schema.series.c.unit == series.id)).first()
    plain = _rows(connection, schema.samples, schema.samples.c.series_id == number, stretch, limit, "value")
    others = _rows(connection, values, values.c.series_id == series.id, stretch, limit, "kind", "text")
    if not others:
        return [Sample(time_ns, QUALITIES[code], value) for time_ns, code, value in plain]
    found: dict[Key, Value] = {(time_ns, code): value for time_ns, code, value in plain}
    found |= {(time_ns, code): _stored_value(kind, text) for time_ns, code, kind, text in others}
    ordered = sorted(found, key=lambda key: (-key[0] if stretch.descending else key[0], key[1]))
    return [Sample(time_ns, QUALITIES[code], found[time_ns, code]) for time_ns, code in ordered[:limit]]


def latest(connection: Connection, series: TimeSeries, before_ns: int) -> Sample | None:
    """The newest sample not after a time."""
    return next(iter(read(connection, series, Stretch(-1, before_ns, descending=True), 1)), None)


def key_of(sample: Sample) -> Key:
    """Where a sample stands in its series."""
    return sample.time_ns, QUALITY_CODES[sample.quality]


def write(connection: Connection, stage: Stage, written: Sequence[tuple[TimeSeries, Sample]]) -> None:
    """Store samples; of one time and quality of a series the last one counts.

    Args:
        connection: inside a write transaction.
        stage: the database's way to fill ``staged``.
        written: nothing that the service would refuse.
    """
    if not written:
        return
    last = {(series.id, *key_of(sample)): sample.value for series, sample in written}
    plain = {key: float(value) for key, value in last.items() if is_plain(value)}  # type: ignore[arg-type] # numbers
    if plain:
        _write_plain(connection, stage, plain)
    connection.execute(delete(values).where(_KEYS.in_(sorted(last))))
    others = [(key, value) for key, value in last.items() if key not in plain]
    if others:
        connection.execute(insert(values), [_row(key, value) for key, value in others])


def write_frame(connection: Connection, stage: Stage, series: TimeSeries, numbers: pd.DataFrame) -> None:
    """Store many finite numbers of one series; of one time and quality the last one counts.

    Args:
        connection: inside a write transaction.
        stage: as for ``write``.
        series: whose they are.
        numbers: ``time_ns``, ``quality`` (its name), ``value``.
    """
    if numbers.empty:
        return
    seq = next_seq(connection)
    (number,) = series_ids(connection, [(series.id, PROPERTY)])
    codes = numbers["quality"].map(QUALITY_CODES)
    rows = numbers.assign(series_id=number, quality=codes, hour=numbers["time_ns"] // schema.HOUR_NS)
    key = ["series_id", "time_ns", "quality"]
    rows = rows.drop_duplicates(key, keep="last").sort_values(key)
    stage(connection, rows)
    keep_staged(connection, seq)
    _uncover(connection, series, rows)


def _uncover(connection: Connection, series: TimeSeries, rows: pd.DataFrame) -> None:
    """Forget texts, nulls and NaN under which numbers were stored."""
    table = values.c
    within = table.time_ns.between(int(rows["time_ns"].min()), int(rows["time_ns"].max()))
    there = connection.execute(select(table.time_ns, table.quality).where(table.series_id == series.id, within)).all()
    stored = set(zip(rows["time_ns"].tolist(), rows["quality"].tolist(), strict=True)) if there else set()
    for time_ns, code in stored.intersection(map(tuple, there)):
        connection.execute(delete(values).where(_KEYS.in_([(series.id, time_ns, code)])))


def _write_plain(connection: Connection, stage: Stage, plain: dict[tuple[str, int, int], float]) -> None:
    """Store finite numbers as the historian does, without its judging of rows: the service has judged them."""
    seq = next_seq(connection)  # first: whoever else writes waits here
    identifiers = sorted({identifier for identifier, _, _ in plain})
    ids = series_ids(connection, [(identifier, PROPERTY) for identifier in identifiers])
    numbers = dict(zip(identifiers, ids, strict=True))
    rows = sorted((numbers[name], time_ns, code, value) for (name, time_ns, code), value in plain.items())
    staged = pd.DataFrame(rows, columns=["series_id", "time_ns", "quality", "value"])
    stage(connection, staged.assign(hour=staged["time_ns"] // schema.HOUR_NS))
    keep_staged(connection, seq)


def _rows(
    connection: Connection, table: Table, which: ColumnElement[bool], stretch: Stretch, limit: int, *names: str
) -> Sequence[Any]:
    time_ns, quality = table.c.time_ns, table.c.quality
    start_ns, end_ns = (max(FIRST_NS, min(LAST_NS, edge)) for edge in (stretch.start_ns, stretch.end_ns))
    wanted: list[ColumnElement[bool]] = [which, time_ns > start_ns, time_ns <= end_ns]
    if stretch.quality is not None:
        wanted.append(quality == QUALITY_CODES[stretch.quality])
    if stretch.after is not None:
        after_ns, after_code = stretch.after
        later = time_ns < after_ns if stretch.descending else time_ns > after_ns
        wanted.append(or_(later, and_(time_ns == after_ns, quality > after_code)))
    query = select(time_ns, quality, *(table.c[name] for name in names)).where(*wanted)
    order = time_ns.desc() if stretch.descending else time_ns
    return connection.execute(query.order_by(order, quality).limit(limit)).all()


def _series(row: Row[Any]) -> TimeSeries:
    fields: list[Any] = list(row[1:])  # in the order of the table's columns, after its number
    return TimeSeries(*fields)


def _row(key: tuple[str, int, int], value: Value) -> dict[str, object]:
    """A text, a null or a NaN as a row of ``emulator_values``."""
    kind = "null" if isinstance(value, Null) else "text" if isinstance(value, str) else "number"
    text = value.value_type if isinstance(value, Null) else str(value)
    return dict(zip(values.columns.keys(), (*key, kind, text), strict=True))


def _stored_value(kind: str, text: str) -> Value:
    if kind == "null":
        return Null(text)
    return text if kind == "text" else float(text)
