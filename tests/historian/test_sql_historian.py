"""What is particular to the SQL historian: opening, transactions, and its errors in words that help."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import event

from twin_assets.historian import HistorianError, SqlHistorian

Samples = Callable[..., pd.DataFrame]

NOW = pd.Timestamp("2026-02-01T00:00:00Z")
UNITS, PROPERTIES = ("line_1",), ("Roller1_w",)
START, END = pd.Timestamp("2000-01-01", tz="UTC"), NOW


def now() -> pd.Timestamp:
    """A clock that stands still."""
    return NOW


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "historian.sqlite"


def stored(path: Path) -> int:
    """How many samples a fresh reader finds."""
    with SqlHistorian.sqlite(path) as historian:
        return len(historian.read(UNITS, PROPERTIES, START, END))


def test_the_file_is_in_wal_mode_and_says_its_version(path: Path) -> None:
    """Readers go on while somebody writes, and the next version of the platform knows what it has before it."""
    SqlHistorian.sqlite(path).close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("SELECT schema_version FROM historian").fetchall() == [(1,)]


def test_reopening_keeps_everything(path: Path, samples: Samples) -> None:
    """Samples and positions outlive the process; positions go on where they were."""
    with SqlHistorian.sqlite(path, clock=now) as historian:
        historian.write(samples("2026-01-01"))
        cursor = historian.arrivals(UNITS, PROPERTIES).cursor
    with SqlHistorian(f"sqlite:///{path}", clock=now) as historian:
        historian.write(samples("2026-01-02"))
        assert historian.arrivals(UNITS, PROPERTIES).cursor > cursor
    assert stored(path) == 2


def test_several_frames_are_one_transaction(path: Path, samples: Samples) -> None:
    """Where drawing the second frame fails, the first is not kept; readers never see it."""

    def chunks() -> Iterator[pd.DataFrame]:
        yield samples("2026-01-01")
        assert stored(path) == 0
        raise KeyError("a broken source")

    with SqlHistorian.sqlite(path, clock=now) as historian, pytest.raises(KeyError):
        historian.write_all(chunks())
    assert stored(path) == 0


def test_rejected_rows_of_all_frames_are_reported(path: Path, samples: Samples) -> None:
    """One report for several frames."""
    good, bad = samples("2026-01-01"), samples("2026-01-02", value=float("nan"))
    with SqlHistorian.sqlite(path, clock=now) as historian:
        report = historian.write_all([bad, good, bad])
    assert report.written == 1
    assert len(report.rejected) == 2


def test_a_killed_writer_leaves_nothing_half_written(path: Path) -> None:
    """A process that dies inside a write has written nothing, and the next one can write."""
    script = f"""
import os, signal, pandas as pd
from pathlib import Path
from twin_assets.historian import SqlHistorian
def chunks():
    yield pd.DataFrame({{"unit": "line_1", "property": "Roller1_w", "time": [pd.Timestamp("2026-01-01", tz="UTC")],
                        "value": 1.0, "quality": "GOOD"}})
    os.kill(os.getpid(), signal.SIGKILL)
SqlHistorian.sqlite(Path({str(path)!r})).write_all(chunks())
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    assert stored(path) == 0


def test_a_replacement_that_fails_changes_nothing(path: Path, samples: Samples) -> None:
    """An error after the old samples were deleted, before the new ones are there: the old ones are there again."""
    day = (pd.Timestamp("2026-01-01", tz="UTC"), pd.Timestamp("2026-01-02", tz="UTC"))

    def broken(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT INTO samples"):
            raise KeyError("a broken disk")

    with SqlHistorian.sqlite(path, clock=now) as historian:
        historian.write(samples("2026-01-01T10:00", "2026-01-01T11:00"))
        before = historian.arrivals(UNITS, PROPERTIES)
        event.listen(historian._database.engine, "before_cursor_execute", broken)
        with pytest.raises(KeyError):
            historian.replace(UNITS, PROPERTIES, *day, samples("2026-01-01T12:00"))
    with SqlHistorian.sqlite(path, clock=now) as historian:
        assert historian.read(UNITS, PROPERTIES, START, END)["time"].dt.hour.tolist() == [10, 11]
        assert historian.arrivals(UNITS, PROPERTIES).cursor == before.cursor


def test_withdrawing_nothing_needs_no_turn(path: Path, samples: Samples) -> None:
    """Where nothing is to be withdrawn nobody is waited for: another writer at work is no hindrance."""
    with SqlHistorian.sqlite(path, clock=now, busy_timeout_s=0.05) as historian:
        historian.write(samples("2026-01-01"))
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        empty = samples().iloc[:0]
        assert historian.replace(UNITS, PROPERTIES, pd.Timestamp("2026-01-02", tz="UTC"), END, empty).withdrawn == 0
        with pytest.raises(HistorianError, match="too long"):
            historian.replace(UNITS, PROPERTIES, START, END, empty)
        other.execute("ROLLBACK")
        assert historian.replace(UNITS, PROPERTIES, START, END, empty).withdrawn == 1


def test_a_newer_schema_is_refused(path: Path) -> None:
    """A file of a later version is neither read wrongly nor changed."""
    SqlHistorian.sqlite(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE historian SET schema_version = 99")
    with pytest.raises(HistorianError, match=r"historian\.sqlite: the historian has schema version 99, expected 1"):
        SqlHistorian.sqlite(path)


def test_another_database_is_left_alone(path: Path) -> None:
    """Somebody else's SQLite file is refused by the tables found in it, and not switched to WAL."""
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE invoices (id INTEGER)")
    before = path.read_bytes()
    with pytest.raises(HistorianError, match="no historian; found the tables invoices"):
        SqlHistorian.sqlite(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    """A text file is named as what it is not."""
    path.write_text("time,Roller1_w\n" * 100)
    with pytest.raises(HistorianError, match="it is no historian but some other kind of file"):
        SqlHistorian.sqlite(path)


def test_a_missing_folder_is_an_error(path: Path) -> None:
    """The historian makes its file, not its folder: a misspelt home is not created in silence."""
    with pytest.raises(HistorianError, match="in a folder that exists"):
        SqlHistorian.sqlite(path / "nowhere" / "historian.sqlite")


@pytest.mark.parametrize(
    "url", ["postgresql://", "mysql://db.example.com/site", "sqlite://", "sqlite:///:memory:", "historian"]
)
def test_a_url_that_names_no_file_is_refused(url: str) -> None:
    """What cannot be shared between processes, or is no database URL, is answered with an example."""
    with pytest.raises(HistorianError, match=r"expected (a URL|one) like (sqlite:////var/lib|postgresql://)"):
        SqlHistorian(url)


def test_a_locked_historian_says_so(path: Path, samples: Samples) -> None:
    """Another writer that does not finish is an error after the busy timeout; readers are not held up."""
    historian = SqlHistorian.sqlite(path, clock=now, busy_timeout_s=0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(HistorianError, match="another process has been writing for too long"):
        historian.write(samples("2026-01-01"))
    assert historian.units() == ()
    other.execute("ROLLBACK")
    assert historian.write(samples("2026-01-01")).written == 1


def test_a_new_file_that_another_process_holds_is_waited_for(path: Path) -> None:
    """Switching to WAL gives up after the busy timeout, not at once and not never."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(HistorianError, match="too long"):
        SqlHistorian.sqlite(path, busy_timeout_s=0.05)
    other.execute("ROLLBACK")
    SqlHistorian.sqlite(path).close()


@pytest.mark.parametrize(
    ("pragma", "message"),
    [("max_page_count=12", "the disk is full; nothing of this write was kept"), ("query_only=ON", "cannot be written")],
)
def test_a_disk_that_takes_no_more_says_so(path: Path, samples: Samples, pragma: str, message: str) -> None:
    """SQLite's own errors of a full and of a read-only disk, made by its limits; nothing is half-written."""
    SqlHistorian.sqlite(path).close()
    historian = SqlHistorian.sqlite(path, clock=now)
    historian.close()
    event.listen(historian._database.engine, "connect", lambda connection, _: connection.execute(f"PRAGMA {pragma}"))
    many = pd.date_range("2026-01-01", periods=5000, freq="min").astype(str)
    with pytest.raises(HistorianError, match=message):
        historian.write(samples(*many))
    assert stored(path) == 0


def test_a_mistake_of_ours_keeps_its_traceback(path: Path) -> None:
    """Only what a user can mend becomes a HistorianError."""
    historian = SqlHistorian.sqlite(path)
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE samples")
    historian.close()
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO series (unit, property) VALUES ('line_1', 'Roller1_w')")
    with pytest.raises(Exception, match="no such table") as caught:
        historian.read(UNITS, PROPERTIES, START, END)
    assert not isinstance(caught.value, HistorianError)


def test_a_path_may_hold_any_characters(tmp_path: Path, samples: Samples) -> None:
    """A path is no URL: question marks, per cent signs and spaces are part of a name."""
    folder = tmp_path / "twin home?100%#1"
    folder.mkdir()
    with SqlHistorian.sqlite(folder / "historian.sqlite", clock=now) as historian:
        historian.write(samples("2026-01-01"))
    assert (folder / "historian.sqlite").is_file()
