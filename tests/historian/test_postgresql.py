"""What is particular to the historian in PostgreSQL: order of positions, lost connections, exact values."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import event

from postgres_server import PostgresServer
from twin_assets.historian import HistorianError, SqlHistorian

Samples = Callable[..., pd.DataFrame]

NOW = pd.Timestamp("2026-02-01T00:00:00Z")
UNITS, PROPERTIES = ("line_1",), ("Roller1_w",)
START, END = pd.Timestamp("2000-01-01", tz="UTC"), NOW

opened = partial(SqlHistorian, clock=partial(pd.Timestamp, NOW))


def stored(url: str) -> int:
    """How many samples a fresh reader finds."""
    with opened(url) as historian:
        return len(historian.read(UNITS, PROPERTIES, START, END))


def paused(historian: SqlHistorian, before: str) -> tuple[threading.Event, threading.Event]:
    """Stop a historian's next write before a statement: set once it stands there; to be set to let it go on."""
    reached, go_on = threading.Event(), threading.Event()

    def wait(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.strip().startswith(before):
            reached.set()
            assert go_on.wait(60)

    event.listen(historian._database.engine, "before_cursor_execute", wait)
    return reached, go_on


def in_thread(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Work in another thread; its result, or its error, as the list's only entry."""
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(work())
        except Exception as error:  # noqa: BLE001 - handed to the test
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results


def test_a_later_position_is_never_seen_before_an_earlier_one(postgresql_url: str, samples: Samples) -> None:
    """The first writer has its position and has stored its samples, but not committed; the second one waits for it.

    Whoever reads meanwhile sees neither. Did the second not wait, its position would be seen first, a follower's cursor
    would be past the first writer's, and that write would never arrive.
    """
    with opened(postgresql_url) as first, opened(postgresql_url) as second, opened(postgresql_url) as reader:
        first.write(samples("2026-01-01"))
        seen = reader.arrivals(UNITS, PROPERTIES).cursor
        reached, go_on = paused(first, "INSERT INTO samples")
        slow, _ = in_thread(lambda: first.write(samples("2026-01-02")))
        assert reached.wait(60)
        quick, _ = in_thread(lambda: second.write(samples("2026-01-03")))
        quick.join(0.5)
        assert quick.is_alive()
        during = reader.arrivals(UNITS, PROPERTIES, since=seen)
        assert during.buckets.empty
        go_on.set()
        slow.join(60)
        quick.join(60)
        after = reader.arrivals(UNITS, PROPERTIES, since=during.cursor)
    assert after.buckets["start"].dt.day.tolist() == [2, 3]
    assert after.buckets["cursor"].tolist() == [seen + 1, seen + 2]


def test_a_position_of_a_write_that_failed_is_nobodys(postgresql_url: str, samples: Samples) -> None:
    """The second writer waits for one that fails, and takes its position: nothing is missing before it."""

    def chunks() -> Iterator[pd.DataFrame]:
        yield samples("2026-01-02")
        reached.set()
        go_on.wait(60)
        raise KeyError("a broken source")

    reached, go_on = threading.Event(), threading.Event()
    with opened(postgresql_url) as first, opened(postgresql_url) as second:
        failing, errors = in_thread(lambda: first.write_all(chunks()))
        assert reached.wait(60)
        waiting, reports = in_thread(lambda: second.write(samples("2026-01-03")))
        go_on.set()
        failing.join(60)
        waiting.join(60)
        assert isinstance(errors[0], KeyError)
        assert reports[0].written == 1
        buckets = second.arrivals(UNITS, PROPERTIES).buckets
    assert buckets["start"].dt.day.tolist() == [3]
    assert buckets["cursor"].tolist() == [1]


def test_one_read_is_one_state_of_the_database(postgresql_url: str, samples: Samples) -> None:
    """What is committed between two questions of one read is in the answer to neither."""
    both = pd.concat([samples("2026-01-01"), samples("2026-01-01", property="Roller2_w")])
    with opened(postgresql_url) as writer, opened(postgresql_url) as reader:
        writer.write(both)
        reached, go_on = paused(reader, "SELECT samples.series_id")
        reading, results = in_thread(lambda: reader.read(UNITS, ("Roller1_w", "Roller2_w"), START, END))
        assert reached.wait(60)
        writer.write(both.assign(value=2.0))
        go_on.set()
        reading.join(60)
    assert results[0]["value"].tolist() == [1.0, 1.0]


def test_a_writer_that_does_not_finish_is_not_waited_for_forever(postgresql_url: str, samples: Samples) -> None:
    """After the busy timeout it is told; readers are not held up; then it can be written again."""
    with opened(postgresql_url) as first, opened(postgresql_url, busy_timeout_s=0.05) as second:
        reached, go_on = paused(first, "INSERT INTO samples")
        slow, _ = in_thread(lambda: first.write(samples("2026-01-02")))
        assert reached.wait(60)
        with pytest.raises(HistorianError, match="another process has been writing for too long"):
            second.write(samples("2026-01-01"))
        assert second.units() == ()
        go_on.set()
        slow.join(60)
        assert second.write(samples("2026-01-01")).written == 1


@pytest.mark.parametrize("before", ["CREATE TEMPORARY", "TRUNCATE staged", "INSERT INTO samples"])
def test_a_lost_connection_leaves_nothing_half_written(
    postgresql: PostgresServer, postgresql_url: str, samples: Samples, before: str
) -> None:
    """The server ends the connection inside a write: nothing is kept, the error says so, the next write succeeds."""
    with opened(f"{postgresql_url}&application_name=doomed", busy_timeout_s=5) as historian:
        historian.write(samples("2026-01-01"))
        reached, go_on = paused(historian, before)
        many = pd.date_range("2026-01-02", periods=500, freq="min").astype(str)
        writing, results = in_thread(lambda: historian.write(samples(*many, value=2.0)))
        assert reached.wait(60)
        ended = postgresql.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'doomed'"
        )
        assert ended == [(True,)]
        go_on.set()
        writing.join(60)
        assert isinstance(results[0], HistorianError)
        assert "whole or not at all" in str(results[0])
        assert stored(postgresql_url) == 1
        go_on.set()
        assert historian.write(samples(*many)).written == 500
        assert stored(postgresql_url) == 501


def test_a_connection_lost_while_sending_rows_is_told(
    postgresql: PostgresServer, postgresql_url: str, samples: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bulk of a write goes beside SQLAlchemy: its errors are told all the same, and the connection is given up."""
    encode = sys.modules["twin_assets.historian.postgresql"].copy_bytes

    def kill(rows: pd.DataFrame) -> bytes:
        postgresql.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'doomed'"
        )
        return bytes(encode(rows))

    with opened(f"{postgresql_url}&application_name=doomed", busy_timeout_s=5) as historian:
        with monkeypatch.context() as patch:
            patch.setattr("twin_assets.historian.postgresql.copy_bytes", kill)
            with pytest.raises(HistorianError, match="whole or not at all"):
                historian.write(samples("2026-01-01"))
        assert stored(postgresql_url) == 0
        assert historian.write(samples("2026-01-01")).written == 1


def test_a_connection_that_ended_between_two_writes_is_replaced(
    postgresql: PostgresServer, postgresql_url: str, samples: Samples
) -> None:
    """A server that was restarted overnight is nobody's error."""
    with opened(f"{postgresql_url}&application_name=doomed") as historian:
        historian.write(samples("2026-01-01"))
        postgresql.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'doomed'"
        )
        assert historian.write(samples("2026-01-02")).written == 1


def test_a_killed_writer_leaves_nothing_half_written(postgresql_url: str) -> None:
    """A process that dies inside a write has written nothing, and does not hold up the next one."""
    script = f"""
import os, signal, pandas as pd
from twin_assets.historian import SqlHistorian
def chunks():
    yield pd.DataFrame({{"unit": "line_1", "property": "Roller1_w", "time": [pd.Timestamp("2026-01-01", tz="UTC")],
                        "value": 1.0, "quality": "GOOD"}})
    os.kill(os.getpid(), signal.SIGKILL)
SqlHistorian({postgresql_url!r}).write_all(chunks())
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    assert stored(postgresql_url) == 0


def test_values_are_kept_to_the_last_bit(postgresql_url: str, samples: Samples) -> None:
    """The smallest, the largest, and a third: what the binary way sends is what comes back."""
    values = [5e-324, -1.7976931348623157e308, 1 / 3, -0.0, 2.0**53 + 2]
    times = [f"2026-01-01T00:0{minute}" for minute in range(5)]
    with opened(postgresql_url) as historian:
        historian.write(samples(*times, value=values))
        read = historian.read(UNITS, PROPERTIES, START, END)["value"]
    assert [value.hex() for value in read] == [value.hex() for value in values]


def test_positions_outlive_32_bits(postgresql_url: str, postgresql: PostgresServer, samples: Samples) -> None:
    """A historian written once a second for a lifetime still writes."""
    with opened(postgresql_url) as historian:
        schema = postgresql_url.partition("%3D")[2]
        postgresql.execute(f"UPDATE {schema}.historian SET last_seq = {2**33}")
        historian.write(samples("2026-01-01"))
        assert historian.arrivals(UNITS, PROPERTIES).cursor == 2**33 + 1


def test_known_series_use_up_no_numbers(postgresql_url: str, postgresql: PostgresServer, samples: Samples) -> None:
    """A series' number is a 32-bit integer: writing on does not count."""
    with opened(postgresql_url) as historian:
        for day in range(1, 6):
            historian.write(samples(f"2026-01-0{day}"))
        historian.write(samples("2026-01-01", property="Roller2_w"))
    schema = postgresql_url.partition("%3D")[2]
    assert postgresql.execute(f"SELECT id FROM {schema}.series ORDER BY id") == [(1,), (2,)]
