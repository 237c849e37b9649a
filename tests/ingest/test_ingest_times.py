"""Times come out exactly, or are refused with the reason."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin_assets.ingest import Recording, RecordingError, TimeOptions
from twin_assets.ingest.times import TIME_UNITS_NS, TimeReader

Read = Callable[..., Recording]
WriteFile = Callable[[str, str | bytes | pd.DataFrame], Path]

START = pd.Timestamp("2026-01-01", tz="UTC")


def nanoseconds(cells: pa.Array, options: TimeOptions, column: str = "time") -> list[int]:
    """Times of some cells, rows counted from 2 as in CSV."""
    reader = TimeReader(column, options, "file.csv:{}".format)
    return [int(time) for time in reader.read(cells, np.arange(2, 2 + len(cells)))]


def test_decimals_of_a_second_are_exact() -> None:
    """1102151.076 s are 1102151076000000 ns, where binary fractions would be off by some."""
    assert nanoseconds(pa.array(["1102151.076"]), TimeOptions(start=START)) == [START.value + 1_102_151_076_000_000]


@given(
    count=st.integers(-(10**15), 10**15),
    places=st.integers(0, 9),
    unit=st.sampled_from(["s", "ms", "us", "ns", "min", "h"]),
)
def test_every_decimal_is_exact(count: int, places: int, unit: str) -> None:
    """Whatever the unit: the nearest nanosecond of the decimal as it stands."""
    text = str(Decimal(count).scaleb(-places))
    exact = Decimal(text) * TIME_UNITS_NS[unit]
    epoch = pd.Timestamp(0, tz="UTC")
    if abs(exact) > pd.Timestamp.max.value - 1:
        with pytest.raises(RecordingError, match="expected a time between"):
            nanoseconds(pa.array([text]), TimeOptions(unit, epoch))
    else:
        assert nanoseconds(pa.array([text]), TimeOptions(unit, epoch)) == [int(exact.to_integral_value())]


def test_numbers_of_parquet_are_read_as_they_were_meant() -> None:
    """A float's shortest decimal counts, and integers are exact beyond 2**53."""
    epoch = pd.Timestamp(0, tz="UTC")
    assert nanoseconds(pa.array([1102151.076]), TimeOptions(start=epoch)) == [1_102_151_076_000_000]
    assert nanoseconds(pa.array([2**60 + 1]), TimeOptions("ns", epoch)) == [2**60 + 1]


@pytest.mark.parametrize(
    ("column", "unit", "nanosecond"),
    [
        ("time_ms", None, 10**6),
        ("Time_NS", None, 1),
        ("Time [min]", None, 6 * 10**10),
        ("time (us)", None, 10**3),
        ("t", None, 10**9),
        ("time_ms", "us", 10**3),
        ("clock_h", None, 36 * 10**11),
    ],
)
def test_the_unit_is_said_or_ends_the_name_or_is_seconds(column: str, unit: str | None, nanosecond: int) -> None:
    """time_ms counts milliseconds unless --time-unit says otherwise."""
    assert nanoseconds(pa.array(["1"]), TimeOptions(unit, pd.Timestamp(0, tz="UTC")), column) == [nanosecond]


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T10:00:00.123456789Z",
        "2026-01-01 11:00:00.123456789+01:00",
        "2026-01-01T05:00:00.123456789-0500",
        "2026-01-01 10:00:00.123456789 +00",
    ],
)
def test_iso_times_keep_their_nanoseconds(text: str) -> None:
    """Any ISO 8601 offset, to the last digit."""
    assert nanoseconds(pa.array([text]), TimeOptions()) == [pd.Timestamp("2026-01-01T10:00:00.123456789Z").value]


@pytest.mark.parametrize("cells", [["2026-01-01 10:00"], [pd.Timestamp("2026-01-01 10:00")]], ids=["text", "times"])
def test_naive_times_need_a_zone(cells: list[object]) -> None:
    """Without --timezone they are refused with the advice; with it they are that zone's."""
    with pytest.raises(RecordingError, match=r"file\.csv:2: .*without a time zone.*--timezone"):
        nanoseconds(pa.array(cells), TimeOptions())
    berlin = TimeOptions(timezone=ZoneInfo("Europe/Berlin"))
    assert nanoseconds(pa.array(cells), berlin) == [pd.Timestamp("2026-01-01T09:00Z").value]


def test_dates_are_naive_too() -> None:
    """A date has a midnight in every zone."""
    dates = pa.array([pd.Timestamp("2026-01-01").date()])
    with pytest.raises(RecordingError, match="without a time zone"):
        nanoseconds(dates, TimeOptions())
    assert nanoseconds(dates, TimeOptions(timezone=ZoneInfo("UTC"))) == [START.value]


def test_an_offset_counts_more_than_the_zone() -> None:
    """Text with and without an offset may be mixed; --timezone is for those without."""
    cells = pa.array(["2026-01-01T10:00Z", "2026-01-01T11:00"])
    ten = pd.Timestamp("2026-01-01T10:00Z").value
    assert nanoseconds(cells, TimeOptions(timezone=ZoneInfo("Europe/Berlin"))) == [ten, ten]


@pytest.mark.parametrize("time", ["2025-10-26T02:30", "2025-03-30T02:30"], ids=["twice", "never"])
def test_hours_that_the_clock_has_twice_or_never_are_refused(time: str) -> None:
    """The change to and from summer time is no guess, and the line is named."""
    cells = pa.array(["2025-01-01T00:00", time])
    with pytest.raises(RecordingError, match=r"file\.csv:3: .*twice or not at all"):
        nanoseconds(cells, TimeOptions(timezone=ZoneInfo("Europe/Berlin")))


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["2026-01-01T10:00Z", "soon"], r"csv:3: column 'time': found 'soon'; expected an ISO 8601 time"),
        (["2026-01-01T10:00Z", "12.5"], r"csv:3: column 'time': found '12.5'; expected an ISO 8601 time"),
        (["2026-01-01T10:00Z", ""], r"csv:3: column 'time': found an empty cell"),
        (["01/02/2026 10:00"], r"csv:2: .*expected an ISO 8601 time such as"),
        (["9999-01-01T00:00Z"], r"csv:2: .*expected a time between 1677-09-21 and 2262-04-11"),
        (["2026-01-01T10:00Z", None], r"csv:3: column 'time': found an empty cell; expected a time"),
        ([True], r"found a column of bool; expected times or numbers"),
    ],
)
def test_what_is_no_time_is_refused(cells: list[object], message: str) -> None:
    """With file, line, column, what was found and what was expected."""
    with pytest.raises(RecordingError, match=message):
        nanoseconds(pa.array(cells), TimeOptions())


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["1.5", "2026-01-01T10:00Z"], r"csv:3: .*found '2026-01-01T10:00Z'; expected a number as in the cells above"),
        (["1.5", ""], r"csv:3: .*found an empty cell; expected a number"),
        (["1e30"], r"csv:2: .*found 1e30 s after 2026.*expected a time between"),
        (["1e999999"], r"csv:2: .*expected a time between"),
        (["1e99999999999999999999"], r"csv:2: .*expected a time between"),
        ([float("nan")], r"csv:2: .*found 'nan'; expected a number"),
        (["2026-01-01T10:00Z"], r"csv:2: .*--start is for numbers"),
        ([pd.Timestamp("2026-01-01", tz="UTC")], r"csv:2: .*--start is for numbers"),
    ],
)
def test_what_is_no_number_is_refused_with_a_start(cells: list[object], message: str) -> None:
    """A start that would be ignored, and numbers that lead nowhere."""
    with pytest.raises(RecordingError, match=message):
        nanoseconds(pa.array(cells), TimeOptions(start=START))


def test_numbers_need_a_start() -> None:
    """Nothing says when a numeric time column was 0, not even if it looks like Unix time."""
    with pytest.raises(RecordingError, match=r"found the number 1767225600; expected --start.*1970-01-01"):
        nanoseconds(pa.array(["1767225600"]), TimeOptions())


def test_the_kind_of_a_column_holds_across_batches() -> None:
    """A file of numbers does not turn to text in a later block."""
    reader = TimeReader("time", TimeOptions(start=START), "f:{}".format)
    reader.read(pa.array(["1"]), np.array([2]))
    assert reader.read(pa.array([], type=pa.string()), np.array([], dtype=np.int64)).size == 0
    with pytest.raises(RecordingError, match="expected a number"):
        reader.read(pa.array(["2026-01-01T10:00Z"]), np.array([3]))
