"""Smoothing in Dagster: windows that are over are looked back at, and nothing else changes."""

from collections.abc import Callable
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from twin_assets.stages import CALIBRATED_COEFFICIENTS, SMOOTHED_COEFFICIENTS, UKF_STATE
from twin_assets.stages.smoothing import WAITS_UNTIL

DAYS = ("2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04")
Line = Any  # conftest's, which cannot be imported
Record = Callable[[str, str], pd.DataFrame]


@pytest.fixture
def smooth(make_line: Callable[..., Line], record: Record) -> Line:
    """A line that is smoothed, at noon of its fourth day."""
    line = make_line({"title: A line": "smoothing: true\ntitle: A line"})
    line.now = pd.Timestamp("2026-01-04T12:00", tz="UTC")
    line.write(record("2026-01-01", "2026-01-04T12:00"))
    return line


def test_windows_that_are_over_are_smoothed_and_the_open_one_waits(
    smooth: Line, finished: tuple[Line, dg.ExecuteInProcessResult]
) -> None:
    """One run: a row a row of the coefficients and surer, none of the open day; all else is what it is without."""
    result = smooth.materialize(DAYS[0], DAYS[-1], pictures=True)
    assert result.success
    other = finished[0].tables()
    assert {path for path, digest in smooth.tables().items() if digest != other.get(path)} == {
        *(f"line/{SMOOTHED_COEFFICIENTS}/{day}.parquet" for day in DAYS),
        *(path for path in other if DAYS[-1] in path),
    }
    for day in DAYS[:3]:
        found, filtered = (smooth.store.read("line", s, day) for s in (SMOOTHED_COEFFICIENTS, CALIBRATED_COEFFICIENTS))
        assert (found["time"] == filtered["time"]).all()
        assert (found["b9_std"][:-1] < filtered["b9_std"][:-1]).all()
        assert ((found["b9_lower"] < 0.05) & (found["b9_upper"] > 0.05)).mean() > 0.8
    assert smooth.store.read("line", SMOOTHED_COEFFICIENTS, DAYS[-1]).empty
    told = {
        event.partition: event.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key.path[1] == SMOOTHED_COEFFICIENTS
    }
    assert [WAITS_UNTIL in told[day] for day in DAYS] == [False, False, False, True]
    assert [told[day]["dagster/partition_row_count"].value for day in DAYS] == [12, 12, 12, 0]
    assert str(told[DAYS[-1]]["picture"].value).startswith("![picture](data:image/png;base64,")
    assert not any("smoothed" in name for name in smooth.published()["property"])


def test_midnight_is_news_once(smooth: Line) -> None:
    """When the day is over it is pending, the model is not opened for it, and after the run nothing is pending."""
    smooth.materialize(DAYS[0], DAYS[-1])
    assert smooth.pending() == []
    smooth.now, smooth.model.opened = pd.Timestamp("2026-01-05T00:00", tz="UTC"), 0
    assert smooth.pending() == [DAYS[-1]]
    assert smooth.materialize(DAYS[-1], DAYS[-1]).success
    assert smooth.model.opened == 0
    assert len(smooth.store.read("line", SMOOTHED_COEFFICIENTS, DAYS[-1])) == 6
    assert smooth.pending() == []


def test_what_another_drift_filtered_is_not_smoothed(smooth: Line) -> None:
    """A changed twin.yaml asks for the filter first, in words; smoothed with it the numbers would look right."""
    smooth.materialize(DAYS[0], DAYS[1])
    parts = [part.model_copy(update={"drift_std_per_sqrt_hour": 1.0}) for part in smooth.twin.spec.coefficients]
    spec = smooth.twin.spec.model_copy(update={"coefficients": tuple(parts)})
    smooth.twin = type(smooth.twin)(**{**vars(smooth.twin), "spec": spec})
    result = smooth.materialize(DAYS[0], DAYS[1], SMOOTHED_COEFFICIENTS)
    failure = next(event for event in result.all_events if event.is_step_failure)
    told = failure.step_failure_data.user_failure_data
    assert told is not None
    assert "Materialize 'line/ukf_state' for this window first" in (told.description or "")


def test_without_the_filters_table_it_says_what_to_materialize(smooth: Line) -> None:
    """By itself, on a fresh home."""
    result = smooth.materialize(DAYS[0], DAYS[0], SMOOTHED_COEFFICIENTS)
    failure = next(event for event in result.all_events if event.is_step_failure)
    told = failure.step_failure_data.user_failure_data
    assert told is not None
    assert f"has no table '{UKF_STATE}'" in (told.description or "")
