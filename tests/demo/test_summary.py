"""The summary's numbers, held against small cases computed by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from twin_assets.demo.accuracy import Accuracy
from twin_assets.demo.plant import SLIPPING
from twin_assets.demo.summary import Rejected, Slip, Tables, assess
from twin_assets.spec import TwinSpec

TIMES = pd.date_range("2026-01-01", periods=4, freq="20min", tz="UTC", unit="ns")
SLIP = TIMES[3]


def _estimates(values: dict[str, list[tuple[float, float, float, float]]]) -> pd.DataFrame:
    """A result table: for each name (estimate, std, lower, upper) at each time."""
    columns = {
        f"{name}{suffix}": [row[index] for row in rows]
        for name, rows in values.items()
        for index, suffix in enumerate(("", "_std", "_lower", "_upper"))
    }
    return pd.DataFrame({"unit": "line_1", "time": TIMES} | columns)


@pytest.fixture
def coefficients() -> pd.DataFrame:
    """Estimates whose errors are 0, 1, 2, 3 (b1), 1 (b3) and 0 (b9), each with an interval of 1.5 about it."""
    return _estimates(
        {
            "b1": [(1.0 + i, 1.0, i - 0.5, i + 2.5) for i in range(4)],
            "b3": [(2.0, 1.0, 0.5, 3.5)] * 4,
            "b9": [(5.0, 1.0, 3.5, 6.5)] * 4,
        }
    )


@pytest.fixture
def truth() -> pd.DataFrame:
    """Ones, but for what slips."""
    return pd.DataFrame(
        {"time": TIMES, "b1": 1.0, "b3": 1.0, "b9": 5.0, "torque": [1.0, 1, 1, 10], SLIPPING: [0.0, 0, 0, 0.5]}
    )


@pytest.fixture
def virtual_sensors() -> pd.DataFrame:
    """The torque is off by 2 at its second time, the slip is seen one step early."""
    return _estimates(
        {
            "torque": [(1.0, 0.5, 0.0, 2.0), (3.0, 0.5, 2.0, 4.0), (1.0, 0.5, 0.0, 2.0), (10.0, 0.5, 9.0, 11.0)],
            SLIPPING: [(0.0, 1e-4, -1e-4, 1e-4)] * 2 + [(0.01, 1e-2, -0.01, 0.03), (0.49, 0.01, 0.47, 0.51)],
        }
    )


def test_accuracy_by_hand(coefficients: pd.DataFrame, truth: pd.DataFrame) -> None:
    """Coverage and errors of nine values before the slip and three after it, counted by hand."""
    accuracy = Accuracy.of(coefficients, truth, {"b1": "x", "b3": "x", "b9": "x"}, SLIP)
    # b1's errors 0, 1, 2 before the slip, held twice; b3's 1, 1, 1 and b9's 0, 0, 0, always held.
    assert accuracy.coverage() == pytest.approx(8 / 9)
    assert accuracy.rmse() == pytest.approx(math.sqrt((0 + 1 + 4 + 3) / 9))
    assert accuracy.coverage_after_slip() == pytest.approx(2 / 3)
    one = accuracy.comparisons()[0]
    assert (one.time, one.truth, one.estimate, one.lower, one.upper) == (TIMES[2], 1.0, 3.0, 1.5, 4.5)
    assert not one.held
    assert one.held_share == pytest.approx(2 / 3)
    assert one.rmse == pytest.approx(math.sqrt(5 / 3))
    assert one.rmse_after_slip == pytest.approx(3.0)


def test_without_slip_all_times_count(coefficients: pd.DataFrame, truth: pd.DataFrame) -> None:
    """Nothing slips: all twelve values count, and there is no after."""
    accuracy = Accuracy.of(coefficients, truth, {"b1": "x", "b3": "x", "b9": "x"}, None)
    assert accuracy.coverage() == pytest.approx(10 / 12)
    assert accuracy.coverage_after_slip() is None
    assert accuracy.comparisons()[0].rmse_after_slip is None


def test_rows_are_compared_by_time_not_by_place(coefficients: pd.DataFrame, truth: pd.DataFrame) -> None:
    """Neither the order of the table nor times that the twin has not are any matter."""
    units = {"b1": "x", "b3": "x", "b9": "x"}
    whole = Accuracy.of(coefficients[1:], truth, units, SLIP)
    shuffled = Accuracy.of(coefficients[:0:-1], truth.sample(frac=1, random_state=1), units, SLIP)
    np.testing.assert_array_equal(whole.error, shuffled.error)


def test_the_worst_error_is_relative_to_its_unit_of_measure(virtual_sensors: pd.DataFrame, truth: pd.DataFrame) -> None:
    """2 of 10 N.m is worse than 0.01 of 0.5 m/s; it is told in units and in standard deviations."""
    worst = Accuracy.of(virtual_sensors, truth, {"torque": "N.m", SLIPPING: "m/s"}, SLIP).worst()
    assert (worst.name, worst.time, worst.error, worst.stds) == ("torque", TIMES[1], 2.0, 4.0)


def test_an_error_is_not_large_because_the_truth_is_next_to_nothing(
    virtual_sensors: pd.DataFrame, truth: pd.DataFrame
) -> None:
    """Without slip all slip velocities are micro-slip; half of one is no error beside a fifth of a torque."""
    virtual_sensors[SLIPPING] = 5e-7
    truth[SLIPPING] = 1e-6
    accuracy = Accuracy.of(virtual_sensors, truth, {"torque": "N.m", SLIPPING: "m/s"}, None)
    assert accuracy.worst().name == SLIPPING
    assert accuracy.worst({"m/s": 1e-3}).name == "torque"


def test_an_error_without_a_standard_deviation_is_still_told(
    virtual_sensors: pd.DataFrame, truth: pd.DataFrame
) -> None:
    """A standard deviation of zero makes no infinity."""
    virtual_sensors["torque_std"] = 0.0
    assert Accuracy.of(virtual_sensors, truth, {"torque": "N.m", SLIPPING: "m/s"}, SLIP).worst().stds is None


def test_the_assessment_joins_it_all(
    spec: TwinSpec, coefficients: pd.DataFrame, virtual_sensors: pd.DataFrame, truth: pd.DataFrame
) -> None:
    """Slip times, reasons, updates and model runs come from the right tables."""
    reasons = {f"{m.name}_reason": ["", "", "", ""] for m in spec.measurements}
    state = pd.DataFrame({"time": TIMES, "model_runs": [7, 7, 7, 29]} | reasons | {"w1_reason": ["gated", "", "", ""]})
    injected = pd.DataFrame({"time": TIMES} | reasons | {"w1_reason": ["gated", "gated", "", ""]})
    tables = Tables(pd.DataFrame(), state.drop(index=2), coefficients, virtual_sensors)
    found = assess(spec, tables, truth, injected)
    assert found.slip == Slip(SLIPPING, true=TIMES[3], seen=TIMES[2])
    assert found.coverage_95 == pytest.approx(8 / 9)
    assert found.virtual_sensor_rmse == {
        "N.m": pytest.approx(math.sqrt(4 / 3)),
        "m/s": pytest.approx(math.sqrt(1e-4 / 3)),
    }
    assert (found.updates, found.model_runs) == (3, 43)
    # The time without a row was missing altogether.
    assert [one for one in found.rejected if one.channel == "w1"] == [
        Rejected("w1", "gated", injected=2, noticed=1, common=1),
        Rejected("w1", "missing", injected=0, noticed=1, common=0),
    ]
