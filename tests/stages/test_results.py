"""Results: posteriors in physical units, predictions of what nobody measures, and nothing computed twice."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import pandas as pd
import pytest

from twin_assets.estimation import coefficient_marginals, predict_outputs
from twin_assets.model import EvaluationError, PredictiveModel
from twin_assets.spec import TwinSpec
from twin_assets.stages.observations import observe
from twin_assets.stages.predictions import unstated
from twin_assets.stages.results import ResultTable, coefficients_table, virtual_sensors_table
from twin_assets.stages.settings import coefficients_of
from twin_assets.stages.states import posterior_of_row
from twin_assets.stages.tables import Table
from twin_assets.stages.ukf import assimilate
from twin_assets.windows import Window

MakeSpec = Callable[..., TwinSpec]
LATER = pd.Timestamp("2026-02-01", tz="UTC")


class Pump(PredictiveModel, Protocol):
    """The pump of conftest: counts its runs, fails on demand."""

    model_runs: int
    fails_above: float


@pytest.fixture
def observations(spec: TwinSpec, day: Window, recorded: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    """Four hours of the pump, the input lost in the last one."""
    telemetry = recorded("2026-01-02 00:00", "2026-01-02 04:00")
    lost = (telemetry["property"] == "drive_speed") & (telemetry["time"] >= pd.Timestamp("2026-01-02 02:00Z"))
    return observe(spec, ("pump",), day, telemetry[~lost], LATER).frame


@pytest.fixture
def ukf_state(spec: TwinSpec, model: Pump, observations: pd.DataFrame) -> pd.DataFrame:
    """The filter's table."""
    return assimilate(spec, model, observations, fmu_sha256="f").frame


def table(result: ResultTable) -> Table:
    """As it would be read back."""
    return Table(result.frame, result.metadata)


def test_coefficients_are_the_marginals_of_the_posterior(spec: TwinSpec, ukf_state: pd.DataFrame) -> None:
    """Four columns a coefficient, in the order of the spec; intervals within the bounds."""
    frame = coefficients_table(spec, ukf_state)
    stems = [name + suffix for name in ("wear", "leak") for suffix in ("", "_std", "_lower", "_upper")]
    assert list(frame.columns) == ["unit", "time", *stems]
    expected = coefficient_marginals(posterior_of_row(ukf_state.iloc[3]), coefficients_of(spec))
    np.testing.assert_array_equal(frame[["wear", "leak"]].iloc[3], expected.mean)
    np.testing.assert_array_equal(frame[["wear_lower", "leak_lower"]].iloc[3], expected.lower)
    assert (frame["wear_lower"] >= 0).all()
    assert (frame["wear_lower"] < frame["wear_upper"]).all()


def test_predictions_come_from_the_posterior_and_the_inputs(
    spec: TwinSpec, model: Pump, ukf_state: pd.DataFrame, observations: pd.DataFrame
) -> None:
    """Virtual sensors first, then predicted measurements; torque is speed times leak."""
    frame = virtual_sensors_table(spec, model, ukf_state, observations).frame
    names = ("torque", "flow_predicted", "pressure_predicted")
    estimates = [name + suffix for name in names for suffix in ("", "_std", "_lower", "_upper")]
    parts = [name + suffix for name in names for suffix in ("_std_coefficients", "_std_inputs", "_std_discrepancy")]
    assert list(frame.columns) == ["unit", "time", *estimates, *parts, "valid", "why_not"]
    inputs = observations[["speed", "head"]].to_numpy()[2]
    expected = predict_outputs(posterior_of_row(ukf_state.iloc[2]), inputs, model, coefficients_of(spec))
    np.testing.assert_array_equal(frame[list(names)].iloc[2], expected.mean[[2, 0, 1]])
    np.testing.assert_array_equal(frame["torque_upper"].iloc[2], expected.upper[2])
    leak = coefficients_table(spec, ukf_state)["leak"].iloc[2]
    assert frame["torque"].iloc[2] == pytest.approx(inputs[0] * leak)


def test_no_prediction_without_inputs(
    spec: TwinSpec, model: Pump, ukf_state: pd.DataFrame, observations: pd.DataFrame
) -> None:
    """Where an input is unknown there is no row, hence never a NaN; the coefficients keep theirs."""
    frame = virtual_sensors_table(spec, model, ukf_state, observations).frame
    known = observations["speed"].notna()
    assert 0 < known.sum() < len(observations)
    assert frame["time"].tolist() == observations["time"][known].tolist()
    assert np.isfinite(frame.drop(columns=["unit", "time", "why_not", *unstated(frame)])).all(axis=None)
    assert len(coefficients_table(spec, ukf_state)) == len(observations)


def test_rows_of_the_same_posterior_are_kept(
    spec: TwinSpec, model: Pump, ukf_state: pd.DataFrame, observations: pd.DataFrame
) -> None:
    """Going on from an earlier table runs the model for new rows alone and ends at the same table."""
    whole = virtual_sensors_table(spec, model, ukf_state, observations)
    part = virtual_sensors_table(spec, model, ukf_state.iloc[:5], observations)
    runs, calls = model.model_runs, []
    rest = virtual_sensors_table(
        spec, model, ukf_state, observations, existing=table(part), progress=lambda *done: calls.append(done)
    )
    pd.testing.assert_frame_equal(rest.frame, whole.frame)
    assert rest.metadata == whole.metadata
    assert (rest.kept, rest.computed) == (5, len(whole.frame) - 5)
    assert (model.model_runs - runs) / (2 * 2 + 1) == rest.computed
    assert calls[-1] == (rest.computed, rest.computed)


def test_changed_posteriors_are_predicted_again(
    spec: TwinSpec, model: Pump, ukf_state: pd.DataFrame, observations: pd.DataFrame
) -> None:
    """Of a replayed window only the rows with the same digest are taken over."""
    before = virtual_sensors_table(spec, model, ukf_state, observations)
    replayed = ukf_state.copy()
    replayed.loc[3:, "digest"] = [digest[::-1] for digest in ukf_state["digest"][3:]]
    assert virtual_sensors_table(spec, model, replayed, observations, existing=table(before)).kept == 3


def test_other_virtual_sensors_are_predicted_again(
    spec: TwinSpec, make_spec: MakeSpec, model: Pump, ukf_state: pd.DataFrame, observations: pd.DataFrame
) -> None:
    """A table with other quantities is of no use, whatever its posteriors."""
    before = virtual_sensors_table(spec, model, ukf_state, observations)
    other = make_spec(virtual_sensors=[{"name": "power"}])
    after = virtual_sensors_table(other, model, ukf_state, observations, existing=table(before))
    assert after.kept == 0
    assert "power_upper" in after.frame


def test_silent_window_has_empty_results(spec: TwinSpec, model: Pump, observations: pd.DataFrame) -> None:
    """No observations: no rows, the same columns, no model run, also going on from an empty table."""
    nothing = assimilate(spec, model, observations.iloc[:0], fmu_sha256="f").frame
    first = virtual_sensors_table(spec, model, nothing, observations.iloc[:0])
    again = virtual_sensors_table(spec, model, nothing, observations.iloc[:0], existing=table(first))
    assert model.model_runs == 0
    assert again.frame.empty
    assert list(again.frame.columns) == list(first.frame.columns)
    assert len(again.frame.columns) == 2 + 3 * (4 + 3) + 2
    assert len(coefficients_table(spec, nothing).columns) == 2 + 2 * 4


def test_failing_prediction_names_unit_and_time(
    spec: TwinSpec, model: Pump, ukf_state: pd.DataFrame, observations: pd.DataFrame
) -> None:
    """As the filter does."""
    model.fails_above = 0.0
    with pytest.raises(EvaluationError, match=r"pump at 2026-01-02 00:00:00\+00:00: the pump seized"):
        virtual_sensors_table(spec, model, ukf_state, observations)
