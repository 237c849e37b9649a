"""What every historian promises to several at once: nothing lost, no cursor ahead of a read; SQL: nothing half done."""

import multiprocessing
import threading
from collections.abc import Callable

import pandas as pd

from twin_assets.historian import Historian

Samples = Callable[..., pd.DataFrame]
Everything = Callable[[Historian], pd.DataFrame]
Opener = Callable[[], Historian]

NOW = pd.Timestamp("2026-01-06T00:00:00Z")
UNITS = ("line_1",)
PROPERTIES = ("Roller1_w",)
LONG_AGO = pd.Timestamp("1700-01-01", tz="UTC")
DAY = (pd.Timestamp("2026-01-01T00:00Z"), pd.Timestamp("2026-01-02T00:00Z"))


def test_a_reader_sees_the_old_or_the_new(sql_opener: Opener, samples: Samples) -> None:
    """While one set of samples takes the place of another again and again, no reader finds none, both, or a part.

    Where there are transactions.
    """
    sets = [
        samples(*(f"2026-01-01T{hour:02}:{minute:02}" for hour in range(24)), value=float(minute)) for minute in (0, 30)
    ]
    historian, reader = (sql_opener() for _ in range(2))
    historian.write(sets[0])
    over = threading.Event()

    def alternate() -> None:
        try:
            for turn in range(1, 41):
                historian.replace(UNITS, PROPERTIES, *DAY, sets[turn % 2])
        finally:
            over.set()

    writer = threading.Thread(target=alternate)
    writer.start()
    seen = []
    while not over.is_set():
        seen.append(reader.read(UNITS, PROPERTIES, DAY[0], NOW)["value"].tolist())
    writer.join()
    assert all(found in ([0.0] * 24, [30.0] * 24) for found in seen)
    assert reader.read(UNITS, PROPERTIES, DAY[0], NOW)["value"].tolist() == [0.0] * 24


def write_in_a_process(opener: Opener, property_name: str, start: "multiprocessing.synchronize.Barrier") -> None:
    """Ten writes of its own property and of the shared one, at the same time as another process."""
    start.wait(60)
    historian = opener()
    for hour in range(10):
        time = pd.DatetimeIndex([pd.Timestamp("2026-01-01", tz="UTC") + pd.Timedelta(hours=hour)]).as_unit("ns")
        for written in (property_name, "shared"):
            frame = pd.DataFrame(
                {"unit": "line_1", "property": written, "time": time, "value": float(hour), "quality": "GOOD"}
            )
            if historian.write(frame).written != 1:
                raise RuntimeError("a write was lost")


def test_processes_write_and_read_at_once(opener: Opener, everything: Everything) -> None:
    """Three processes open a new historian and write together while a fourth reads: nothing is lost, none fails.

    A cursor never runs ahead of what can be read.
    """
    spawn = multiprocessing.get_context("spawn")
    start = spawn.Barrier(3)
    writers = [spawn.Process(target=write_in_a_process, args=(opener, f"p{i}", start)) for i in range(3)]
    for writer in writers:
        writer.start()
    historian = opener()
    properties, seen, cursor = ("p0", "p1", "p2", "shared"), 0, 0
    while any(writer.is_alive() for writer in writers):
        arrivals = historian.arrivals(UNITS, properties)
        count = len(historian.read(UNITS, properties, LONG_AGO, NOW))
        assert count >= max(seen, arrivals.buckets["samples"].sum())
        assert arrivals.cursor >= cursor
        seen, cursor = count, arrivals.cursor
        writers[0].join(0.02)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert len(everything(historian)) == 4 * 10
    buckets = historian.arrivals(UNITS, ("p0", "p1", "p2", "shared")).buckets
    assert buckets["samples"].tolist() == [4] * 10


def test_each_write_has_a_position_of_its_own(sql_opener: Opener, samples: Samples) -> None:
    """Where the store itself hands them out; a store that is looked at now and then sees several writes at once."""
    with sql_opener() as historian:
        for hour in range(3):
            historian.write(samples(f"2026-01-01T0{hour}:00"))
        assert historian.arrivals(UNITS, PROPERTIES).buckets["cursor"].is_unique
