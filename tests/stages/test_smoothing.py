"""Windows that are over, looked back at: a table of their own."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from twin_assets.estimation import coefficient_marginals, smoothed
from twin_assets.model import PredictiveModel
from twin_assets.spec import TwinSpec
from twin_assets.stages.observations import observe
from twin_assets.stages.results import coefficients_table
from twin_assets.stages.settings import coefficients_of
from twin_assets.stages.smoothing import WAITS_UNTIL, smoothed_table
from twin_assets.stages.states import posterior_of_row
from twin_assets.stages.ukf import assimilate
from twin_assets.windows import Window

LATER = pd.Timestamp("2026-02-01", tz="UTC")
ESTIMATES = [name + suffix for name in ("wear", "leak") for suffix in ("", "_std", "_lower", "_upper")]


@pytest.fixture
def ukf_state(
    make_spec: Callable[..., TwinSpec], model: PredictiveModel, day: Window, recorded: Callable[..., pd.DataFrame]
) -> pd.DataFrame:
    """The filter's table of four hours of one pump and two of another, which comes before it in the alphabet."""
    telemetry = pd.concat(
        [
            recorded("2026-01-02 00:00", "2026-01-02 04:00", unit="pump"),
            recorded("2026-01-02 00:00", "2026-01-02 02:00", unit="another", seed=2),
        ]
    )
    spec = make_spec(units=["pump", "another"])
    return assimilate(
        spec, model, observe(spec, ("pump", "another"), day, telemetry, LATER).frame, fmu_sha256="f"
    ).frame


def test_every_machine_is_smoothed_from_its_last_observation(
    spec: TwinSpec, day: Window, ukf_state: pd.DataFrame
) -> None:
    """A row a row of the filter's, in its order; the columns of calibrated_coefficients and until when."""
    frame, metadata = smoothed_table(spec, day, ukf_state, day.end)
    assert list(frame.columns) == ["unit", "time", "based_on_until", *ESTIMATES]
    pd.testing.assert_frame_equal(frame[["unit", "time"]], ukf_state[["unit", "time"]])
    assert metadata == {}
    for unit, count in (("pump", 12), ("another", 6)):
        rows, found = (table[table["unit"] == unit] for table in (ukf_state, frame))
        assert len(found) == count
        assert set(found["based_on_until"]) == {rows["time"].max()}
        times_ns = rows["time"].astype("int64").tolist()
        states = smoothed(times_ns, [posterior_of_row(row) for _, row in rows.iterrows()], coefficients_of(spec))
        expected = [coefficient_marginals(state, coefficients_of(spec)) for state in states]
        np.testing.assert_array_equal(found[["wear", "leak"]], [each.mean for each in expected])
        np.testing.assert_array_equal(found[["wear_lower", "leak_lower"]], [each.lower for each in expected])


def test_the_last_row_is_the_filters_and_those_before_are_surer(
    spec: TwinSpec, day: Window, ukf_state: pd.DataFrame
) -> None:
    """Nothing came after the last observation; the first one gains most."""
    frame, filtered = smoothed_table(spec, day, ukf_state, LATER).frame, coefficients_table(spec, ukf_state)
    for unit in ("pump", "another"):
        after, before = (table.loc[table["unit"] == unit, ESTIMATES] for table in (frame, filtered))
        pd.testing.assert_series_equal(after.iloc[-1], before.iloc[-1])
        assert (after["leak_std"].iloc[:-1] < before["leak_std"].iloc[:-1]).all()
        assert after["leak_std"].iloc[0] < 0.7 * before["leak_std"].iloc[0]


def test_an_open_window_waits_until_it_is_over(spec: TwinSpec, day: Window, ukf_state: pd.DataFrame) -> None:
    """No rows, and when there will be some; the columns and their types are those of a table with rows."""
    open_table = smoothed_table(spec, day, ukf_state, day.end - pd.Timedelta(1, unit="ns"))
    assert open_table.frame.empty
    assert open_table.metadata == {WAITS_UNTIL: "2026-01-03T00:00:00+00:00"}
    over = smoothed_table(spec, day, ukf_state, day.end).frame
    assert open_table.frame.dtypes["based_on_until"] == over.dtypes["based_on_until"]
    assert list(open_table.frame.columns) == list(over.columns)


def test_a_window_without_observations_waits_for_nothing(spec: TwinSpec, day: Window, ukf_state: pd.DataFrame) -> None:
    """There is nothing to be smoothed, now or later: an idle twin is not run at midnight for it."""
    frame, metadata = smoothed_table(spec, day, ukf_state.iloc[:0], day.start)
    assert frame.empty
    assert metadata == {}


def test_rows_that_a_store_gave_back_are_smoothed_alike(
    spec: TwinSpec, day: Window, ukf_state: pd.DataFrame, tmp_path: object
) -> None:
    """The table is read back from a file: to the bit what it was made of."""
    from pathlib import Path  # noqa: PLC0415

    from twin_assets.store import Store  # noqa: PLC0415

    store = Store(Path(str(tmp_path)))
    store.write("pump", "ukf_state", day.key, ukf_state, {})
    back = store.read("pump", "ukf_state", day.key)
    assert back is not None
    pd.testing.assert_frame_equal(
        smoothed_table(spec, day, back, LATER).frame[ESTIMATES],
        smoothed_table(spec, day, ukf_state, LATER).frame[ESTIMATES],
        check_exact=True,
    )
