"""How a write becomes samples and arrivals: stage, compare with what is there, keep what is new or differs.

What is to replace a range is staged as well; what the range holds beside it goes.

Belongs here: the statements inside a write transaction. They are set operations of the database, since a million rows
compared one by one in Python would take minutes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Delete,
    Select,
    Table,
    Update,
    and_,
    delete,
    exists,
    func,
    insert,
    literal,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from twin_assets.historian.base import QUALITIES
from twin_assets.historian.reading import among, one_of
from twin_assets.historian.schema import HOUR_NS, arrival, samples, series, staged

CHUNK_ROWS = 50_000
QUALITY_CODES = {quality: code for code, quality in enumerate(QUALITIES)}

Stage = Callable[[Connection, pd.DataFrame], None]  # Database.stage
Upsert = sqlite.Insert | postgresql.Insert  # of the same methods, each in its own words


def merge(connection: Connection, stage: Stage, taken: pd.DataFrame, seq: int) -> None:
    """Store samples that ``rows.sift`` has taken.

    Args:
        connection: inside a write transaction.
        stage: the database's way to fill ``staged``.
        taken: SAMPLE_COLUMNS; of a sample that is there twice the last one counts.
        seq: position of this write among all writes.
    """
    for first in range(0, len(taken), CHUNK_ROWS):
        stage(connection, _rows(connection, taken.iloc[first : first + CHUNK_ROWS]))
        keep_staged(connection, seq)


@dataclass(frozen=True)
class Stretch:
    """A stretch of time of some series.

    Attributes:
        units: of these units
        properties: these properties.
        start_ns: first time.
        end_ns: end, exclusive.
    """

    units: tuple[str, ...]
    properties: tuple[str, ...]
    start_ns: int
    end_ns: int

    @property
    def holds(self) -> ColumnElement[bool]:
        """Whether a row of ``samples`` lies in it."""
        table = samples.c
        return and_(table.series_id.in_(self._series()), table.time_ns >= self.start_ns, table.time_ns < self.end_ns)

    @property
    def touches(self) -> ColumnElement[bool]:
        """Whether a row of ``arrival`` is about an hour that reaches into it."""
        hours = (self.start_ns // HOUR_NS, (self.end_ns - 1) // HOUR_NS)
        return and_(arrival.c.series_id.in_(self._series()), arrival.c.hour.between(*hours))

    def _series(self) -> Select[tuple[int]]:
        return select(series.c.id).where(among(self.units, self.properties))


def replace(connection: Connection, stage: Stage, taken: pd.DataFrame, seq: int, stretch: Stretch) -> int:
    """Store samples that ``rows.sift`` has taken, all of them in a stretch, in the place of all that it holds.

    Args:
        connection: inside a write transaction.
        stage: the database's way to fill ``staged``.
        taken: SAMPLE_COLUMNS; staged at once, for what goes is what is not among them: a window's, not a recording's.
        seq: position of this write among all writes.
        stretch: what is replaced.

    Returns:
        how many samples went.
    """
    stage(connection, _rows(connection, taken))
    goes = and_(stretch.holds, ~exists().where(_same_sample()))
    connection.execute(_mark_withdrawn(seq, stretch, goes))
    withdrawn = connection.execute(delete(samples).where(goes)).rowcount
    keep_staged(connection, seq)
    return withdrawn


def keep_staged(connection: Connection, seq: int) -> None:
    """Store what is staged, and mark what is new or differs as arrived."""
    connection.execute(_drop_unchanged())
    connection.execute(_add_arrivals(_upsert(connection, arrival), seq))
    connection.execute(_add_samples(_upsert(connection, samples)))


def _mark_withdrawn(seq: int, stretch: Stretch, goes: ColumnElement[bool]) -> Update:
    """Mark the hours from which something goes; they have received no more samples than before."""
    begin = arrival.c.hour * HOUR_NS
    here = and_(
        samples.c.series_id == arrival.c.series_id, samples.c.time_ns >= begin, samples.c.time_ns < begin + HOUR_NS
    )
    return update(arrival).where(stretch.touches, exists().where(here, goes)).values(seq=seq)


def _rows(connection: Connection, chunk: pd.DataFrame) -> pd.DataFrame:
    """Samples as rows of ``staged``, one for each sample, in the order of its key."""
    named = chunk.groupby(["unit", "property"], sort=False, observed=True)
    ids = np.array(series_ids(connection, [(str(unit), str(name)) for (unit, name), _ in named]), dtype=np.int64)
    time_ns = chunk["time"].astype("int64").to_numpy()
    columns = {
        "series_id": ids[named.ngroup().to_numpy()],
        "time_ns": time_ns,
        "quality": chunk["quality"].astype("str").map(QUALITY_CODES).to_numpy(dtype=np.int64),
        "value": chunk["value"].to_numpy(),
        "hour": time_ns // HOUR_NS,  # SQL's division would round times before 1970 upwards
    }
    key = ["series_id", "time_ns", "quality"]
    return pd.DataFrame(columns).drop_duplicates(key, keep="last").sort_values(key)


def series_ids(connection: Connection, pairs: list[tuple[str, str]]) -> list[int]:
    """The numbers of series (unit, property), allotted where they are new; nobody else writes meanwhile."""
    known = _known_series(connection, pairs)
    new = [pair for pair in pairs if pair not in known]
    if new:
        connection.execute(insert(series), [{"unit": unit, "property": name} for unit, name in new])
        known |= _known_series(connection, new)
    return [known[pair] for pair in pairs]


def _known_series(connection: Connection, pairs: list[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Series to number, of all properties of the units asked for: a fleet's are asked for in one question."""
    query = select(series).where(one_of(series.c.unit, sorted({unit for unit, _ in pairs})))
    return {(row.unit, row.property): row.id for row in connection.execute(query)}


def _upsert(connection: Connection, table: Table) -> Upsert:
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def _same_sample() -> ColumnElement[bool]:
    keys = ((samples.c[name], staged.c[name]) for name in ("series_id", "time_ns", "quality"))
    return and_(*(stored == new for stored, new in keys))


def _drop_unchanged() -> Delete:
    """Forget what is there already with the same value: it is no arrival."""
    there = exists().where(_same_sample(), samples.c.value == staged.c.value)
    return delete(staged).where(there)


def _add_arrivals(upsert: Upsert, seq: int) -> Upsert:
    """Mark the hours in which something is new or differs."""
    hours = select(staged.c.series_id, staged.c.hour, literal(seq, BigInteger), func.count())
    # SQLite reads ON CONFLICT after a bare FROM as a join: https://www.sqlite.org/lang_upsert.html, section 2.2
    query = hours.where(true()).group_by(staged.c.series_id, staged.c.hour)
    statement = upsert.from_select(["series_id", "hour", "seq", "samples"], query)
    return statement.on_conflict_do_update(
        index_elements=[arrival.c.series_id, arrival.c.hour],
        set_={"seq": statement.excluded.seq, "samples": arrival.c.samples + statement.excluded.samples},
    )


def _add_samples(upsert: Upsert) -> Upsert:
    """Insert what is new, overwrite what differs."""
    names = ["series_id", "time_ns", "quality", "value"]
    query = select(*(staged.c[name] for name in names)).where(true())
    statement = upsert.from_select(names, query)
    return statement.on_conflict_do_update(
        index_elements=[samples.c.series_id, samples.c.time_ns, samples.c.quality],
        set_={"value": statement.excluded.value},
    )
