"""Windows: gapless, half-open, and the very partitions that Dagster makes of the same grid."""

from datetime import date

import dagster as dg
import pandas as pd
import pytest

from twin_assets.errors import TwinError
from twin_assets.spec import TwinSpec
from twin_assets.windows import Window, WindowGrid

CRONS = ("hourly", "daily", "weekly", "*/20 * * * *", "30 6,18 * * 1-5", "15 3 1 * *", "0 0 13 * 5")


def grid_of(window: str, start: date = date(2026, 1, 7)) -> WindowGrid:
    """A grid of a minimal twin."""
    return WindowGrid.of(
        TwinSpec.model_validate(
            {
                "name": "pump",
                "model": {"fmu": "pump.fmu"},
                "coefficients": [{"name": "k", "initial": 1.0, "initial_std": 0.1}],
                "measurements": [{"name": "p", "noise_std": 0.1}],
                "window": window,
                "start": start,
            }
        )
    )


def utc(text: str) -> pd.Timestamp:
    """A UTC time."""
    return pd.Timestamp(text, tz="UTC")


@pytest.mark.parametrize("window", CRONS)
def test_windows_are_the_partitions_that_dagster_makes(window: str) -> None:
    """Keys, starts and ends agree with a TimeWindowPartitionsDefinition of the same cron, key for key."""
    grid, now = grid_of(window), utc("2026-03-02 11:17:31.5")
    partitions = dg.TimeWindowPartitionsDefinition(
        start=grid.start.to_pydatetime(), cron_schedule=grid.cron, fmt=grid.key_format, end_offset=1, timezone="UTC"
    )
    windows = grid.between(grid.start, now)
    assert [each.key for each in windows] == list(partitions.get_partition_keys(current_time=now.to_pydatetime()))
    for each in (windows[0], windows[len(windows) // 2], windows[-1]):
        theirs = partitions.time_window_for_partition_key(each.key)
        assert (each.start, each.end) == (pd.Timestamp(theirs.start), pd.Timestamp(theirs.end))


@pytest.mark.parametrize("window", CRONS)
def test_windows_follow_each_other_without_a_gap(window: str) -> None:
    """Each window begins where the one before ends; keys sort as times do, and lead back to their window."""
    grid = grid_of(window)
    windows = grid.between(grid.start, utc("2026-03-02"))
    assert [each.start for each in windows[1:]] == [each.end for each in windows[:-1]]
    assert [each.key for each in windows] == sorted(each.key for each in windows)
    assert grid.first == windows[0]
    assert grid.previous(windows[0]) is None
    assert [grid.previous(each) for each in windows[1:]] == windows[:-1]
    assert [grid.parse(each.key) for each in windows[:5]] == windows[:5]


def test_window_is_half_open() -> None:
    """A boundary belongs to the window that it begins, to the nanosecond."""
    grid = grid_of("daily")
    window = grid.containing(utc("2026-01-09"))
    assert window == Window("2026-01-09", utc("2026-01-09"), utc("2026-01-10"))
    assert utc("2026-01-09") in window
    assert utc("2026-01-10") not in window
    assert grid.containing(utc("2026-01-10") - pd.Timedelta(1, "ns")) == window


def test_keys_are_file_safe_and_readable() -> None:
    """Days are dates; windows that begin within a day say the minute, without a colon."""
    assert grid_of("hourly").first.key == "2026-01-07T0000"
    assert grid_of("daily").first.key == "2026-01-07"
    assert grid_of("weekly").first.key == "2026-01-05"


def test_range_takes_the_windows_that_it_overlaps() -> None:
    """A range that ends on a boundary leaves the next window out; what lies before the start is left out."""
    grid = grid_of("daily")
    assert [each.key for each in grid.between(utc("2026-01-08 12:00"), utc("2026-01-10"))] == [
        "2026-01-08",
        "2026-01-09",
    ]
    assert [each.key for each in grid.between(utc("2025-01-01"), utc("2026-01-07 00:01"))] == ["2026-01-07"]
    assert grid.between(utc("2025-01-01"), utc("2026-01-07")) == []
    assert grid.between(utc("2026-01-09"), utc("2026-01-09")) == []


def test_time_before_the_first_window_is_refused() -> None:
    """The message names the first window and what to do."""
    with pytest.raises(TwinError, match=r"2020-01-01 .* before the first window.*2026-01-07.*'start'"):
        grid_of("daily").containing(utc("2020-01-01"))


@pytest.mark.parametrize("key", ["yesterday", "2026-01-07T0000", "2026-13-01", "2019-01-01", "2026-1-8"])
def test_key_that_is_no_window_is_refused(key: str) -> None:
    """Wrong format, no date, before the start, or unpadded: the message quotes the key or its time."""
    with pytest.raises(TwinError, match=key):
        grid_of("daily").parse(key)


def test_key_between_two_starts_is_refused() -> None:
    """The nearest earlier window is named."""
    with pytest.raises(TwinError, match=r"'2026-01-14' is no window.*'2026-01-12'"):
        grid_of("weekly").parse("2026-01-14")


def test_the_first_window_holds_the_start() -> None:
    """A start between two ticks loses nothing: the window that holds it is the first one."""
    grid = grid_of("weekly", date(2026, 11, 18))  # a Wednesday
    assert grid.first == grid.containing(utc("2026-11-18"))
    assert grid.first.key == "2026-11-16"


def test_keys_of_other_windows_are_passed_over() -> None:
    """A store may hold keys from before the twin's windows were changed."""
    found = grid_of("daily").known(["2026-01-08", "2026-01-09T0600", "no key"])
    assert [window.key for window in found] == ["2026-01-08"]
