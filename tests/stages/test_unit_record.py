"""The record of units: what is noted, once, and what the historian has lost."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from twin_assets.historian import SqlHistorian
from twin_assets.spec import TwinSpec
from twin_assets.stages.unit_record import TYPES, changes, current, follow_units, lost
from twin_assets.store import Store

DAY = pd.Timedelta("1D")
START = pd.Timestamp("2026-01-01", tz="UTC")
EMPTY = pd.DataFrame(columns=list(TYPES)).astype(TYPES)


@pytest.fixture
def historian(tmp_path: Path) -> Iterator[SqlHistorian]:
    """An empty one."""
    with SqlHistorian.sqlite(tmp_path / "historian.sqlite") as opened:
        yield opened


def after(*looks: tuple[dict[str, pd.Timestamp], pd.Timestamp]) -> pd.DataFrame:
    """The record after some looks at (newest sample of each unit, now); a unit's first sample is at START."""
    record = EMPTY
    for last, now in looks:
        new = changes(record, dict.fromkeys(last, START), last, now, DAY)
        record = pd.concat([record, new], ignore_index=True) if len(record) else new
    return record


def told(record: pd.DataFrame) -> list[tuple[str, str]]:
    """Unit and state, row by row."""
    return list(zip(record["unit"], record["state"], strict=True))


def test_each_change_is_noted_once() -> None:
    """Active, silent after the time given and not before, active again, gone: a row each, none for looking twice."""
    late, later = START + 0.9 * DAY, START + 1.1 * DAY
    record = after(
        ({"a": START}, START),
        ({"a": START}, late),
        ({"a": START}, later),
        ({"a": START}, later),
        ({"a": later}, later),
        ({}, later + DAY),
        ({}, later + 2 * DAY),
    )
    assert told(record) == [("a", "active"), ("a", "silent"), ("a", "active"), ("a", "gone")]
    assert record["since"].tolist() == [START, START + DAY, START, later + DAY]
    assert told(current(record)) == [("a", "gone")]


def test_who_was_never_seen_is_not_gone() -> None:
    """No unit at all makes no row; neither does a record of nobody."""
    assert after(({}, START)).empty
    assert current(EMPTY).empty
    assert lost(EMPTY) == {}


def test_what_is_lost_ends_where_the_unit_is_back() -> None:
    """Of a unit that is gone all is kept; of one that is back what is older than its new first sample; else nothing."""
    gone = after(({"a": START, "b": START}, START), ({"b": START}, START))
    assert set(lost(gone)) == {"a"}
    assert lost(gone)["a"] > START + 1000 * DAY
    back = START + 5 * DAY
    new = changes(gone, {"a": back}, {"a": back, "b": back}, back, DAY)
    assert lost(pd.concat([gone, new], ignore_index=True)) == {"a": back}


def test_the_record_is_of_discovered_samples(
    tmp_path: Path, historian: SqlHistorian, make_spec: Callable[..., TwinSpec]
) -> None:
    """A unit without a measured property is none; what two lookers find is the same record, written once."""
    spec = make_spec(units="discovered")
    rows = [("a", "flow_meter", START), ("a", "flow_meter", START + DAY), ("b", "colour", START)]
    samples = pd.DataFrame(rows, columns=["unit", "property", "time"]).assign(value=1.0, quality="GOOD")
    historian.write(samples.astype({"time": "datetime64[ns, UTC]"}))
    store = Store(tmp_path / "store")
    now = START + 1.5 * DAY
    first, second = (follow_units(historian, store, spec, now) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)
    assert told(first) == [("a", "active")]
    assert first["first_sample"].tolist() == [START]
    assert first["last_sample"].tolist() == [START + DAY]


@pytest.mark.parametrize("units", [["a", "b"], "discovered"])
def test_nothing_is_there_yet(
    tmp_path: Path, historian: SqlHistorian, make_spec: Callable[..., TwinSpec], units: object
) -> None:
    """An empty historian makes no table."""
    store = Store(tmp_path / "store")
    assert follow_units(historian, store, make_spec(units=units), START).empty
    assert store.keys("pump", "units") == ()
