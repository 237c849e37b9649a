"""Windows are partitions: both ways to count them agree, key by key."""

from datetime import timedelta

import pandas as pd
import pytest

from twin_assets.automation import partitions_of, range_tags
from twin_assets.spec import TwinSpec
from twin_assets.windows import WindowGrid

BASE = {
    "name": "pump",
    "model": {"fmu": "pump.fmu"},
    "coefficients": [{"name": "wear", "initial": 0.05, "initial_std": 0.1}],
    "measurements": [{"name": "flow", "noise_std": 0.05}],
    "start": "2026-01-01",
}


def spec_of(window: str) -> TwinSpec:
    """A spec with some windows."""
    return TwinSpec.model_validate({**BASE, "window": window})


@pytest.mark.parametrize("window", ["hourly", "daily", "weekly", "30 6,18 * * *", "0 0 1 * *", "15 2 * * 1-5"])
def test_partitions_are_the_windows(window: str) -> None:
    """The same keys and the same times, up to the window that is open."""
    spec = spec_of(window)
    grid, partitions = WindowGrid.of(spec), partitions_of(spec)
    now = pd.Timestamp("2026-03-07T10:20", tz="UTC")
    windows = grid.between(grid.start, now)
    assert partitions.get_partition_keys(current_time=now.to_pydatetime()) == [each.key for each in windows]
    for each in windows:
        span = partitions.time_window_for_partition_key(each.key)
        assert (span.start, span.end) == (each.start.to_pydatetime(), each.end.to_pydatetime())


def test_the_open_window_is_a_partition() -> None:
    """The window that holds now is there, and none after it."""
    partitions = partitions_of(spec_of("daily"))
    now = pd.Timestamp("2026-01-03T00:00", tz="UTC").to_pydatetime()
    assert partitions.get_partition_keys(current_time=now)[-1] == "2026-01-03"
    assert partitions.get_partition_keys(current_time=now - timedelta(seconds=1))[-1] == "2026-01-02"


def test_a_run_covers_a_range() -> None:
    """A run's tags name the first and the last window."""
    grid = WindowGrid.of(spec_of("daily"))
    windows = grid.between(grid.start, grid.start + pd.Timedelta("3D"))
    assert range_tags(windows) == {
        "dagster/asset_partition_range_start": "2026-01-01",
        "dagster/asset_partition_range_end": "2026-01-03",
    }
