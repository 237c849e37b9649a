"""What every historian must do, whatever it stores in: a new implementation is a new line in OPENERS."""

import multiprocessing
import threading
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from twin_assets.historian import QUALITIES, SAMPLE_COLUMNS, Historian, SqlHistorian

Samples = Callable[..., pd.DataFrame]
Opener = Callable[[Path], Historian]

NOW = pd.Timestamp("2026-02-01T00:00:00Z")
UNITS = ("line_1",)
PROPERTIES = ("Roller1_w",)
LONG_AGO = pd.Timestamp("1700-01-01", tz="UTC")
DAY = (pd.Timestamp("2026-01-01T00:00Z"), pd.Timestamp("2026-01-02T00:00Z"))


def open_sqlite(folder: Path) -> Historian:
    """An embedded historian in a folder; every process opens its own."""
    return SqlHistorian.sqlite(folder / "historian.sqlite", clock=lambda: NOW)


OPENERS: dict[str, Opener] = {"sqlite": open_sqlite}


@pytest.fixture(name="implementation", params=OPENERS)
def _implementation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(name="historian")
def _historian(implementation: str, tmp_path: Path) -> Historian:
    return OPENERS[implementation](tmp_path)


def everything(historian: Historian) -> pd.DataFrame:
    """All samples of all units."""
    units = historian.units()
    properties = tuple({name for unit in units for name in historian.properties(unit)})
    return historian.read(units, properties, LONG_AGO, NOW + pd.Timedelta(days=1))


def test_samples_come_back_as_written(historian: Historian, samples: Samples) -> None:
    """Read returns what write took: same columns, values, qualities and times, in the promised dtypes."""
    written = samples("2026-01-01T00:00", "2026-01-01T00:20", value=[1.5, -2.25], quality=["GOOD", "BAD"])
    report = historian.write(written)
    assert report.written == 2
    assert report.rejected.empty
    assert list(report.rejected.columns) == [*SAMPLE_COLUMNS, "reason"]
    read = everything(historian)
    pd.testing.assert_frame_equal(read, written, check_dtype=True)
    assert str(read["time"].dtype) == "datetime64[ns, UTC]"


def test_an_empty_historian_answers(historian: Historian) -> None:
    """Nothing measured is no error: no units, no rows, the columns and dtypes that samples have, the cursor given."""
    assert historian.units() == ()
    assert historian.properties("line_1") == ()
    for frame in (everything(historian), historian.latest(UNITS, PROPERTIES)):
        assert frame.empty
        assert tuple(frame.columns) == SAMPLE_COLUMNS
        assert str(frame["time"].dtype) == "datetime64[ns, UTC]"
    arrivals = historian.arrivals(UNITS, PROPERTIES, since=7)
    assert arrivals.cursor == 7
    assert list(arrivals.buckets.columns) == ["start", "end", "cursor", "samples"]
    assert str(arrivals.buckets["start"].dtype) == "datetime64[ns, UTC]"


def test_writing_nothing_is_nothing(historian: Historian, samples: Samples) -> None:
    """A frame without rows is taken; nothing arrives."""
    assert historian.write(samples()).written == 0
    assert historian.arrivals(UNITS, PROPERTIES).cursor == 0


def test_twice_written_is_once_written(historian: Historian, samples: Samples) -> None:
    """The same samples again change nothing and are no arrival."""
    frame = samples("2026-01-01T00:00", "2026-01-01T01:00")
    historian.write(frame)
    before, cursor = everything(historian), historian.arrivals(UNITS, PROPERTIES).cursor
    assert historian.write(frame).written == 2
    pd.testing.assert_frame_equal(everything(historian), before)
    again = historian.arrivals(UNITS, PROPERTIES, since=cursor)
    assert again.buckets.empty
    assert again.cursor == cursor


def test_of_a_sample_twice_in_one_write_the_last_counts(historian: Historian, samples: Samples) -> None:
    """Order within a write is order of correction."""
    historian.write(samples("2026-01-01", "2026-01-01", value=[1.0, 2.0]))
    assert everything(historian)["value"].tolist() == [2.0]


def test_one_time_holds_one_sample_of_each_quality(historian: Historian, samples: Samples) -> None:
    """Another quality at the same time coexists, the best first; the same quality overwrites."""
    historian.write(samples(*["2026-01-01"] * 3, value=[1.0, 2.0, 3.0], quality=["BAD", "GOOD", "UNCERTAIN"]))
    historian.write(samples("2026-01-01", value=4.0, quality="BAD"))
    read = everything(historian)
    assert read["quality"].tolist() == list(QUALITIES)
    assert read["value"].tolist() == [2.0, 3.0, 4.0]


def test_nanoseconds_are_kept(historian: Historian, samples: Samples) -> None:
    """Times one nanosecond apart stay apart, also before 1970."""
    times = ["2026-01-01T00:00:00.123456788", "2026-01-01T00:00:00.123456789", "1960-01-01T00:00:00.000000001"]
    historian.write(samples(*times))
    assert everything(historian)["time"].tolist() == sorted(pd.Timestamp(time, tz="UTC") for time in times)


def test_times_of_other_zones_and_resolutions_are_the_same_instant(historian: Historian) -> None:
    """Microseconds in Berlin's time come back as nanoseconds in UTC."""
    time = pd.Series(["2026-01-01T01:00"]).astype("datetime64[us]").dt.tz_localize("Europe/Berlin")
    historian.write(
        pd.DataFrame({"unit": "line_1", "property": "Roller1_w", "time": time, "value": 1, "quality": "GOOD"})
    )
    assert everything(historian)["time"].tolist() == [pd.Timestamp("2026-01-01T00:00Z")]


def test_ranges_are_half_open(historian: Historian, samples: Samples) -> None:
    """The start belongs to a range, the end to the next one."""
    historian.write(samples("2026-01-01T00:00", "2026-01-01T01:00", "2026-01-01T02:00"))
    start, end = pd.Timestamp("2026-01-01T00:00Z"), pd.Timestamp("2026-01-01T02:00Z")
    assert historian.read(UNITS, PROPERTIES, start, end)["time"].tolist() == [start, start + pd.Timedelta(hours=1)]
    assert historian.read(UNITS, PROPERTIES, end, end).empty


def test_order_is_unit_property_time(historian: Historian, samples: Samples) -> None:
    """However written, samples come back ordered, names in alphabetical order."""
    rows = [("b", "y"), ("a", "z"), ("b", "x"), ("a", "y")]
    for unit, name in rows:
        historian.write(samples("2026-01-01T01:00", "2026-01-01T00:00", unit=unit, property=name))
    read = historian.read(("b", "a"), ("z", "y", "x"), LONG_AGO, NOW)
    keys = list(zip(read["unit"], read["property"], read["time"], strict=True))
    assert keys == sorted(keys)
    assert len(keys) == 8
    assert historian.units() == ("a", "b")
    assert historian.properties("b") == ("x", "y")


def test_only_what_was_asked_for_comes_back(historian: Historian, samples: Samples) -> None:
    """Other units and properties, and unknown ones, stay out."""
    historian.write(samples("2026-01-01", unit="other"))
    historian.write(samples("2026-01-01", property="other"))
    historian.write(samples("2026-01-01"))
    read = historian.read((*UNITS, "unknown"), (*PROPERTIES, "unknown"), LONG_AGO, NOW)
    assert read[["unit", "property"]].to_numpy().tolist() == [["line_1", "Roller1_w"]]


def test_a_range_without_a_time_zone_is_refused(historian: Historian) -> None:
    """Naive times have no meaning here: no guess is made."""
    with pytest.raises(TypeError, match="no time zone"):
        historian.read(UNITS, PROPERTIES, pd.Timestamp("2026-01-01"), NOW)


def test_latest_is_the_newest_time_in_its_best_quality(historian: Historian, samples: Samples) -> None:
    """One row for each property that holds any sample; of one time GOOD before UNCERTAIN before BAD."""
    historian.write(samples("2026-01-02", "2026-01-02", "2026-01-01", quality=["BAD", "UNCERTAIN", "GOOD"]))
    historian.write(samples("2026-01-03", property="Roller2_w", value=5.0))
    latest = historian.latest(UNITS, ("Roller1_w", "Roller2_w", "Roller3_w"))
    assert latest["property"].tolist() == ["Roller1_w", "Roller2_w"]
    assert latest["quality"].tolist() == ["UNCERTAIN", "GOOD"]
    assert latest["time"].tolist() == [pd.Timestamp("2026-01-02", tz="UTC"), pd.Timestamp("2026-01-03", tz="UTC")]


@pytest.mark.parametrize(
    ("column", "wrong", "reason"),
    [
        ("unit", "", "unit is empty"),
        ("unit", None, "unit is empty"),
        ("property", "  ", "property is empty"),
        ("time", pd.NaT, "time is missing"),
        ("time", NOW + pd.Timedelta(minutes=11), "ahead of the clock"),
        ("time", pd.Timestamp("2400-01-01", tz="UTC").as_unit("us"), "outside 1677"),
        ("time", pd.Timestamp("1500-01-01", tz="UTC").as_unit("us"), "outside 1677"),
        ("value", float("nan"), "no finite number"),
        ("value", float("inf"), "no finite number"),
        ("quality", "good", "none of GOOD"),
        ("quality", None, "none of GOOD"),
    ],
)
def test_a_bad_row_comes_back_with_its_reason(
    historian: Historian, samples: Samples, column: str, wrong: object, reason: str
) -> None:
    """The rejected row keeps its index and its reason; the good one beside it is stored."""
    frame = samples("2026-01-01", "2026-01-02")
    frame.index = pd.Index([10, 20])
    if column == "time":
        frame["time"] = pd.DatetimeIndex([frame["time"].iloc[0].as_unit("us"), wrong], dtype="datetime64[us, UTC]")
    else:
        frame[column] = [frame[column].iloc[0], wrong]
    report = historian.write(frame)
    assert report.written == 1
    assert report.rejected.index.tolist() == [20]
    assert reason in report.rejected["reason"].iloc[0]
    assert everything(historian)["time"].tolist() == [pd.Timestamp("2026-01-01", tz="UTC")]


def test_clocks_may_differ_by_ten_minutes(historian: Historian, samples: Samples) -> None:
    """A sample slightly ahead of this clock is taken: the sensor's clock may be the right one."""
    assert historian.write(samples((NOW + pd.Timedelta(minutes=10)).tz_localize(None).isoformat())).written == 1


@pytest.mark.parametrize("column", SAMPLE_COLUMNS)
def test_a_missing_column_is_a_type_error(historian: Historian, samples: Samples, column: str) -> None:
    """A frame that holds no samples is the caller's mistake, not a rejected row."""
    with pytest.raises(TypeError, match=column):
        historian.write(samples("2026-01-01").drop(columns=column))


def test_naive_times_are_a_type_error(historian: Historian, samples: Samples) -> None:
    """Times without a zone are the caller's mistake."""
    with pytest.raises(TypeError, match="time zone"):
        historian.write(samples("2026-01-01").assign(time=pd.Timestamp("2026-01-01")))


def test_arrivals_say_which_hours_hold_something_new(historian: Historian, samples: Samples) -> None:
    """One bucket for each hour of sample time, half-open, with its newest position and its count."""
    historian.write(
        samples("2026-01-01T00:00", "2026-01-01T00:59:59.999999999", "2026-01-01T01:00", "1969-12-31T23:30")
    )
    arrivals = historian.arrivals(UNITS, PROPERTIES)
    starts = [pd.Timestamp(time) for time in ("1969-12-31T23:00Z", "2026-01-01T00:00Z", "2026-01-01T01:00Z")]
    assert arrivals.buckets["start"].tolist() == starts
    assert arrivals.buckets["end"].tolist() == [start + pd.Timedelta(hours=1) for start in starts]
    assert arrivals.buckets["samples"].tolist() == [1, 2, 1]
    assert (arrivals.buckets["cursor"] == arrivals.cursor).all()


def test_late_data_and_corrections_arrive_in_their_own_hour(historian: Historian, samples: Samples) -> None:
    """Since a cursor, exactly the hours of late and of corrected samples show, each with its position."""
    historian.write(samples("2026-01-01T00:00", "2026-01-01T05:00", "2026-01-01T09:00"))
    first = historian.arrivals(UNITS, PROPERTIES).cursor
    historian.write(samples("2026-01-01T03:30"))
    second = historian.arrivals(UNITS, PROPERTIES, since=first)
    assert second.buckets["start"].tolist() == [pd.Timestamp("2026-01-01T03:00Z")]
    historian.write(samples("2026-01-01T05:00", "2026-01-01T09:00", value=[2.0, 1.0]))
    third = historian.arrivals(UNITS, PROPERTIES, since=second.cursor)
    assert third.buckets["start"].tolist() == [pd.Timestamp("2026-01-01T05:00Z")]
    assert first < second.cursor < third.cursor
    both = historian.arrivals(UNITS, PROPERTIES, since=first)
    assert both.buckets["cursor"].tolist() == [second.cursor, third.cursor]
    assert both.cursor == third.cursor


def test_another_quality_is_an_arrival(historian: Historian, samples: Samples) -> None:
    """A sample that is now also known as BAD has changed what is known of its hour."""
    historian.write(samples("2026-01-01"))
    cursor = historian.arrivals(UNITS, PROPERTIES).cursor
    historian.write(samples("2026-01-01", quality="BAD"))
    assert len(historian.arrivals(UNITS, PROPERTIES, since=cursor).buckets) == 1


def test_other_properties_do_not_move_the_cursor(historian: Historian, samples: Samples) -> None:
    """Publishing results is no arrival of measurements: else every run would start the next one."""
    historian.write(samples("2026-01-01"))
    before = historian.arrivals(UNITS, PROPERTIES)
    historian.write(samples("2026-01-01", property="b1"))
    historian.write(samples("2026-01-01", unit="line_2"))
    after = historian.arrivals(UNITS, PROPERTIES)
    assert after.cursor == before.cursor
    pd.testing.assert_frame_equal(after.buckets, before.buckets)


def test_rejected_rows_do_not_arrive(historian: Historian, samples: Samples) -> None:
    """What was refused is neither stored nor announced, and makes no unit known."""
    historian.write(samples("2026-01-01", value=float("nan")))
    assert historian.arrivals(UNITS, PROPERTIES).buckets.empty
    assert historian.units() == ()


def test_a_large_write_is_one_write(historian: Historian) -> None:
    """More rows than one internal chunk, unordered and with every sample twice: each is there once."""
    times = pd.date_range("2026-01-01", periods=60_000, freq="s", tz="UTC").astype("datetime64[ns, UTC]")
    frame = pd.DataFrame(
        {"unit": "line_1", "property": "Roller1_w", "time": times, "value": range(60_000), "quality": "GOOD"}
    )
    shuffled = pd.concat([frame, frame]).sample(frac=1.0, random_state=1)
    assert historian.write(shuffled).written == 120_000
    assert everything(historian)["value"].tolist() == [float(value) for value in range(60_000)]
    assert len(set(historian.arrivals(UNITS, PROPERTIES).buckets["cursor"])) == 1


def values(historian: Historian) -> dict[tuple[str, str, str], float]:
    """Value of each sample by unit, property and time."""
    rows = everything(historian)
    keys = zip(rows["unit"], rows["property"], rows["time"].dt.strftime("%dT%H:%M"), strict=True)
    return dict(zip(keys, rows["value"], strict=True))


def test_what_is_not_written_again_is_withdrawn(historian: Historian, samples: Samples) -> None:
    """The range holds the new samples and no others; it is half-open, and what lies outside of it stays."""
    historian.write(samples("2025-12-31T23:59", "2026-01-01T00:00", "2026-01-01T10:00", "2026-01-02T00:00"))
    new = samples("2026-01-01T10:00", "2026-01-01T11:00", value=2.0)
    report = historian.replace(UNITS, PROPERTIES, *DAY, new)
    assert (report.written, report.withdrawn, len(report.rejected)) == (2, 1, 0)
    assert everything(historian)["time"].dt.strftime("%dT%H:%M").tolist() == [
        "31T23:59",
        "01T10:00",
        "01T11:00",
        "02T00:00",
    ]
    assert everything(historian)["value"].tolist() == [1.0, 2.0, 2.0, 1.0]


def test_only_what_was_named_is_withdrawn(historian: Historian, samples: Samples) -> None:
    """Other units and other properties keep their samples; names that nothing is known of are no error."""
    for unit, name in (("line_1", "b9"), ("line_1", "Roller9_w"), ("line_2", "b9"), ("line_2", "Roller9_w")):
        historian.write(samples("2026-01-01T10:00", unit=unit, property=name))
    report = historian.replace(("line_1", "unknown"), ("b9", "unknown"), *DAY, samples())
    assert report.withdrawn == 1
    assert set(values(historian)) == {
        ("line_1", "Roller9_w", "01T10:00"),
        ("line_2", "b9", "01T10:00"),
        ("line_2", "Roller9_w", "01T10:00"),
    }


def test_every_quality_is_withdrawn(historian: Historian, samples: Samples) -> None:
    """A time that is written again as GOOD keeps no BAD sample beside it."""
    historian.write(samples(*["2026-01-01"] * 3, quality=["GOOD", "UNCERTAIN", "BAD"]))
    assert historian.replace(UNITS, PROPERTIES, *DAY, samples("2026-01-01")).withdrawn == 2
    assert everything(historian)["quality"].tolist() == ["GOOD"]


def test_what_was_withdrawn_is_known_nowhere(historian: Historian, samples: Samples) -> None:
    """After its last sample a property is gone, and so is its unit; the newest sample is the newest that is left."""
    historian.write(samples("2025-12-31", "2026-01-01T10:00"))
    historian.write(samples("2026-01-01T10:00", property="b9"))
    historian.write(samples("2026-01-01T10:00", property="b9", unit="line_2"))
    historian.replace(("line_1", "line_2"), ("Roller1_w", "b9"), *DAY, samples())
    assert historian.units() == ("line_1",)
    assert historian.properties("line_1") == ("Roller1_w",)
    assert historian.properties("line_2") == ()
    latest = historian.latest(("line_1", "line_2"), ("Roller1_w", "b9"))
    assert latest["time"].tolist() == [pd.Timestamp("2025-12-31", tz="UTC")]


def test_withdrawn_samples_can_be_written_again(historian: Historian, samples: Samples) -> None:
    """They come back as if they had never been there, and arrive."""
    historian.write(samples("2026-01-01T10:00"))
    historian.replace(UNITS, PROPERTIES, *DAY, samples())
    cursor = historian.arrivals(UNITS, PROPERTIES).cursor
    assert historian.replace(UNITS, PROPERTIES, *DAY, samples("2026-01-01T10:00")).written == 1
    assert historian.arrivals(UNITS, PROPERTIES).cursor > cursor
    assert len(everything(historian)) == 1


def test_replacing_by_the_same_is_no_arrival(historian: Historian, samples: Samples) -> None:
    """What is there already stays; whoever publishes the same again is no news."""
    frame = samples("2026-01-01T00:00", "2026-01-01T10:00")
    historian.write(frame)
    before = historian.arrivals(UNITS, PROPERTIES)
    report = historian.replace(UNITS, PROPERTIES, *DAY, frame)
    assert (report.written, report.withdrawn) == (2, 0)
    after = historian.arrivals(UNITS, PROPERTIES)
    assert after.cursor == before.cursor
    pd.testing.assert_frame_equal(after.buckets, before.buckets)


def test_a_withdrawal_arrives_in_its_hour(historian: Historian, samples: Samples) -> None:
    """Who follows the cursor learns of it, also before 1970; the hours that were left alone do not show."""
    historian.write(samples("1969-12-31T23:30", "1969-12-31T22:30", "2026-01-01T00:30", "2026-01-01T05:00"))
    cursor = historian.arrivals(UNITS, PROPERTIES).cursor
    start, end = pd.Timestamp("1969-12-31T23:00Z"), pd.Timestamp("2026-01-01T05:00Z")
    historian.replace(UNITS, PROPERTIES, start, end, samples("2026-01-01T00:30"))
    arrivals = historian.arrivals(UNITS, PROPERTIES, since=cursor)
    assert arrivals.buckets["start"].tolist() == [start]
    assert arrivals.buckets["samples"].tolist() == [1]
    assert arrivals.cursor > cursor


def test_nothing_in_the_place_of_nothing_is_nothing(historian: Historian, samples: Samples) -> None:
    """A range that holds nothing is withdrawn without a trace."""
    historian.write(samples("2026-01-03"))
    before = historian.arrivals(UNITS, PROPERTIES)
    assert historian.replace(UNITS, PROPERTIES, *DAY, samples()).withdrawn == 0
    assert historian.replace(UNITS, ("b9",), *DAY, samples()).withdrawn == 0
    assert historian.arrivals(UNITS, PROPERTIES).cursor == before.cursor
    assert historian.properties("line_1") == PROPERTIES
    historian.write(samples("2026-01-04"))
    assert historian.arrivals(UNITS, PROPERTIES).cursor == before.cursor + 1


def test_where_a_row_is_rejected_nothing_is_replaced(historian: Historian, samples: Samples) -> None:
    """It comes back with its reason, as from a write; neither is anything withdrawn nor anything else stored."""
    historian.write(samples("2026-01-01T00:00", "2026-01-01T10:00"))
    before = everything(historian)
    new = samples("2026-01-01T10:00", "2026-01-01T11:00", value=[float("nan"), 3.0])
    report = historian.replace(UNITS, PROPERTIES, *DAY, new)
    assert (report.written, report.withdrawn) == (0, 0)
    assert "no finite number" in report.rejected["reason"].iloc[0]
    pd.testing.assert_frame_equal(everything(historian), before)


@pytest.mark.parametrize(
    "wrong",
    [{"unit": "line_2"}, {"property": "b9"}, {"time": [DAY[1]]}, {"time": [DAY[0] - pd.Timedelta(1, "ns")]}],
)
def test_samples_outside_are_refused(historian: Historian, samples: Samples, wrong: dict[str, object]) -> None:
    """What another call would not withdraw again is a mistake of the caller's, and nothing is changed."""
    historian.write(samples("2026-01-01T10:00"))
    new = samples("2026-01-01T11:00", **wrong)
    with pytest.raises(ValueError, match="lies outside of what is replaced"):
        historian.replace(UNITS, PROPERTIES, *DAY, new)
    assert list(values(historian)) == [("line_1", "Roller1_w", "01T10:00")]


def test_a_reader_sees_the_old_or_the_new(implementation: str, samples: Samples, tmp_path: Path) -> None:
    """While one set of samples takes the place of another again and again, no reader finds none, both, or a part."""
    sets = [
        samples(*(f"2026-01-01T{hour:02}:{minute:02}" for hour in range(24)), value=float(minute)) for minute in (0, 30)
    ]
    historian, reader = (OPENERS[implementation](tmp_path) for _ in range(2))
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


def write_in_a_process(
    name: str, folder: Path, property_name: str, start: "multiprocessing.synchronize.Barrier"
) -> None:
    """Ten writes of its own property and of the shared one, at the same time as another process."""
    start.wait(60)
    historian = OPENERS[name](folder)
    for hour in range(10):
        time = pd.DatetimeIndex([pd.Timestamp("2026-01-01", tz="UTC") + pd.Timedelta(hours=hour)]).as_unit("ns")
        for written in (property_name, "shared"):
            frame = pd.DataFrame(
                {"unit": "line_1", "property": written, "time": time, "value": float(hour), "quality": "GOOD"}
            )
            if historian.write(frame).written != 1:
                raise RuntimeError("a write was lost")


def test_processes_write_and_read_at_once(implementation: str, tmp_path: Path) -> None:
    """Three processes open a new historian and write together while a fourth reads: nothing is lost, none fails.

    Positions are handed out once, and a cursor never runs ahead of what can be read.
    """
    spawn = multiprocessing.get_context("spawn")
    start = spawn.Barrier(3)
    writers = [
        spawn.Process(target=write_in_a_process, args=(implementation, tmp_path, f"p{i}", start)) for i in range(3)
    ]
    for writer in writers:
        writer.start()
    historian = OPENERS[implementation](tmp_path)
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
    assert historian.arrivals(UNITS, ("p0",)).buckets["cursor"].is_unique
