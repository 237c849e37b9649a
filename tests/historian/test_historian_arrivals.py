"""What every historian promises of arrivals: who follows the cursor learns of all that is new, and no more."""

from collections.abc import Callable

import pandas as pd

from twin_assets.historian import Historian

Samples = Callable[..., pd.DataFrame]

UNITS = ("line_1",)
PROPERTIES = ("Roller1_w",)


def test_arrivals_say_which_hours_hold_something_new(historian: Historian, samples: Samples) -> None:
    """One bucket for each hour of sample time, half-open, with its newest position and its count."""
    historian.write(
        samples("2026-01-01T00:00", "2026-01-01T00:59:59.999999999", "2026-01-01T01:00", "1979-12-31T23:30")
    )
    arrivals = historian.arrivals(UNITS, PROPERTIES)
    starts = [pd.Timestamp(time) for time in ("1979-12-31T23:00Z", "2026-01-01T00:00Z", "2026-01-01T01:00Z")]
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
