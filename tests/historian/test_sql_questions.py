"""How SQL historians read: two questions however many series, and never a look at all that is stored."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import event, text

from twin_assets.historian import SqlHistorian

Opener = Callable[[], SqlHistorian]

START = pd.Timestamp("2026-01-01", tz="UTC")
UNITS = tuple(f"unit_{number}" for number in range(300))


@pytest.fixture(name="fleet")
def _fleet(opener: Opener) -> Iterator[SqlHistorian]:
    """Three hundred machines with 300 samples each: enough for a database to think about its way."""
    times = pd.date_range("2026-01-01", periods=300, freq="20s", tz="UTC").as_unit("ns")
    frame = pd.DataFrame({"unit": np.repeat(UNITS, 300), "property": "x", "time": np.tile(times, 300)})
    with opener() as historian:
        historian.write(frame.assign(value=1.0, quality="GOOD"))
        if is_postgresql(historian):
            with historian._transaction() as connection:
                connection.execute(text("ANALYZE samples"))
        yield historian


# What is asked, and how many rows come back.
QUESTIONS: dict[Callable[[SqlHistorian], pd.DataFrame], int] = {
    lambda historian: historian.read(UNITS, ("x",), START, START + pd.Timedelta("10min")): 300 * 30,
    lambda historian: historian.read(UNITS[:1], ("x",), START, START + pd.Timedelta("1D")): 300,
    lambda historian: historian.latest(UNITS, ("x",)): 300,
}


def test_a_read_asks_two_questions_that_the_index_answers(fleet: SqlHistorian) -> None:
    """Which series there are, and their rows; by the primary key, as the database itself explains."""
    asked: list[tuple[str, Any]] = []

    def remember(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if statement.startswith("SELECT"):
            asked.append((statement, parameters))

    event.listen(fleet._database.engine, "before_cursor_execute", remember)
    for question, rows in QUESTIONS.items():
        asked.clear()
        assert len(question(fleet)) == rows
        assert len(asked) == 2
        plan = explained(fleet, *asked[-1])
        assert not [line for line in plan if "Seq Scan on samples" in line or line.startswith("SCAN samples")], plan
        by_key = "samples_pkey" if is_postgresql(fleet) else "SEARCH samples USING PRIMARY KEY (series_id=? AND time_ns"
        assert [line for line in plan if by_key in line], plan


def explained(historian: SqlHistorian, statement: str, parameters: Any) -> list[str]:  # noqa: ANN401 - the driver's
    """The database's plan, line by line."""
    explain = "EXPLAIN" if is_postgresql(historian) else "EXPLAIN QUERY PLAN"
    with historian._transaction() as connection:
        return [str(row[-1]).strip() for row in connection.exec_driver_sql(f"{explain} {statement}", parameters)]


def is_postgresql(historian: SqlHistorian) -> bool:
    """Whether it is in PostgreSQL."""
    return historian.name.startswith("postgresql")
