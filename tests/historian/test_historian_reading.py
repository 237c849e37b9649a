"""What every historian promises of reading: what was written, exactly, in its range, in order."""

from collections.abc import Callable

import pandas as pd
import pytest

from twin_assets.historian import SAMPLE_COLUMNS, Historian

Samples = Callable[..., pd.DataFrame]
Everything = Callable[[Historian], pd.DataFrame]

NOW = pd.Timestamp("2026-01-06T00:00:00Z")
UNITS = ("line_1",)
PROPERTIES = ("Roller1_w",)
LONG_AGO = pd.Timestamp("1700-01-01", tz="UTC")


def test_samples_come_back_as_written(historian: Historian, samples: Samples, everything: Everything) -> None:
    """Read returns what write took: same columns, values, qualities and times, in the promised dtypes."""
    written = samples("2026-01-01T00:00", "2026-01-01T00:20", value=[1.5, -2.25], quality=["GOOD", "BAD"])
    report = historian.write(written)
    assert report.written == 2
    assert report.rejected.empty
    assert list(report.rejected.columns) == [*SAMPLE_COLUMNS, "reason"]
    read = everything(historian)
    pd.testing.assert_frame_equal(read, written, check_dtype=True)
    assert str(read["time"].dtype) == "datetime64[ns, UTC]"


def test_an_empty_historian_answers(historian: Historian, everything: Everything) -> None:
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


def test_nanoseconds_are_kept(historian: Historian, samples: Samples, everything: Everything) -> None:
    """Times one nanosecond apart stay apart."""
    times = ["2026-01-01T00:00:00.123456788", "2026-01-01T00:00:00.123456789", "1970-01-01T00:00:01.000000001"]
    historian.write(samples(*times))
    assert everything(historian)["time"].tolist() == sorted(pd.Timestamp(time, tz="UTC") for time in times)


def test_times_before_1970_are_times(sql_historian: Historian, samples: Samples, everything: Everything) -> None:
    """In SQL; IoT SiteWise has none, and says so (test_sitewise_historian)."""
    times = ["1960-01-01T00:00:00.000000001", "1969-12-31T23:30"]
    sql_historian.write(samples(*times))
    assert everything(sql_historian)["time"].tolist() == [pd.Timestamp(time, tz="UTC") for time in times]
    buckets = sql_historian.arrivals(UNITS, PROPERTIES).buckets
    assert buckets["start"].tolist() == [pd.Timestamp("1960-01-01T00:00Z"), pd.Timestamp("1969-12-31T23:00Z")]


def test_times_of_other_zones_and_resolutions_are_the_same_instant(
    historian: Historian, everything: Everything
) -> None:
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


def test_units_are_those_of_some_properties(historian: Historian, samples: Samples) -> None:
    """Who holds any sample of what is named; of nothing that is named nobody does."""
    for unit, name in (("a", "x"), ("a", "y"), ("b", "y"), ("c", "z")):
        historian.write(samples("2026-01-01", unit=unit, property=name))
    assert historian.units(("x",)) == ("a",)
    assert historian.units(("y", "x", "unknown")) == ("a", "b")
    assert historian.units(("unknown",)) == ()
    assert historian.units(()) == ()


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
