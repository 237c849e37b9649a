"""What every historian promises of a write: taken once, of the quality it has, and refused with a reason."""

from collections.abc import Callable

import pandas as pd
import pytest

from twin_assets.historian import QUALITIES, SAMPLE_COLUMNS, Historian

Samples = Callable[..., pd.DataFrame]
Everything = Callable[[Historian], pd.DataFrame]

NOW = pd.Timestamp("2026-01-06T00:00:00Z")
UNITS = ("line_1",)
PROPERTIES = ("Roller1_w",)


def test_writing_nothing_is_nothing(historian: Historian, samples: Samples) -> None:
    """A frame without rows is taken; nothing arrives."""
    assert historian.write(samples()).written == 0
    assert historian.arrivals(UNITS, PROPERTIES).cursor == 0


def test_twice_written_is_once_written(historian: Historian, samples: Samples, everything: Everything) -> None:
    """The same samples again change nothing and are no arrival."""
    frame = samples("2026-01-01T00:00", "2026-01-01T01:00")
    historian.write(frame)
    before, cursor = everything(historian), historian.arrivals(UNITS, PROPERTIES).cursor
    assert historian.write(frame).written == 2
    pd.testing.assert_frame_equal(everything(historian), before)
    again = historian.arrivals(UNITS, PROPERTIES, since=cursor)
    assert again.buckets.empty
    assert again.cursor == cursor


def test_of_a_sample_twice_in_one_write_the_last_counts(
    historian: Historian, samples: Samples, everything: Everything
) -> None:
    """Order within a write is order of correction."""
    historian.write(samples("2026-01-01", "2026-01-01", value=[1.0, 2.0]))
    assert everything(historian)["value"].tolist() == [2.0]


def test_one_time_holds_one_sample_of_each_quality(
    historian: Historian, samples: Samples, everything: Everything
) -> None:
    """Another quality at the same time coexists, the best first; the same quality overwrites."""
    historian.write(samples(*["2026-01-01"] * 3, value=[1.0, 2.0, 3.0], quality=["BAD", "GOOD", "UNCERTAIN"]))
    historian.write(samples("2026-01-01", value=4.0, quality="BAD"))
    read = everything(historian)
    assert read["quality"].tolist() == list(QUALITIES)
    assert read["value"].tolist() == [2.0, 3.0, 4.0]


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
    historian: Historian, samples: Samples, column: str, wrong: object, reason: str, everything: Everything
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


def test_a_large_write_is_one_write(historian: Historian, everything: Everything) -> None:
    """More rows than one internal chunk, unordered and with every sample twice: each is there once."""
    times = pd.date_range("2026-01-01", periods=60_000, freq="s", tz="UTC").astype("datetime64[ns, UTC]")
    frame = pd.DataFrame(
        {"unit": "line_1", "property": "Roller1_w", "time": times, "value": range(60_000), "quality": "GOOD"}
    )
    shuffled = pd.concat([frame, frame]).sample(frac=1.0, random_state=1)
    assert historian.write(shuffled).written == 120_000
    assert everything(historian)["value"].tolist() == [float(value) for value in range(60_000)]
    assert len(set(historian.arrivals(UNITS, PROPERTIES).buckets["cursor"])) == 1
