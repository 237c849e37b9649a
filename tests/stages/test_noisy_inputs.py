"""Inputs with errors, through the stages: the same bytes however a window is cut, and parts that add up."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from twin_assets.assets.ukf_state import columns
from twin_assets.estimation import Gaussian
from twin_assets.model import PredictiveModel
from twin_assets.spec import TwinSpec
from twin_assets.stages import OBSERVATIONS, PUBLISHED, UKF_STATE, VIRTUAL_SENSORS
from twin_assets.stages.fingerprint import fingerprint
from twin_assets.stages.joint import joint_of_row
from twin_assets.stages.lineage import described
from twin_assets.stages.observations import observe
from twin_assets.stages.predictions import unstated
from twin_assets.stages.results import virtual_sensors_table
from twin_assets.stages.states import posterior_of_row
from twin_assets.stages.tables import Table, load
from twin_assets.stages.ukf import UkfResult, assimilate
from twin_assets.store import Store
from twin_assets.windows import WindowGrid

DAYS = ("2026-01-01", "2026-01-02")
SPEED = {"name": "speed", "property": "drive_speed", "max_age": "1h"}
HEAD = {"name": "head", "constant": 2.0}
MakeSpec = Callable[..., TwinSpec]
Recorded = Callable[..., pd.DataFrame]


@pytest.fixture
def noisy(make_spec: MakeSpec) -> TwinSpec:
    """The pump, its speed known to 0.05, its torque unlike the model's by 0.3."""
    return make_spec(
        inputs=[SPEED | {"noise_std": 0.05}, HEAD],
        virtual_sensors=[{"name": "torque", "property": "shaft_torque", "discrepancy_std": 0.3}],
    )


@pytest.fixture
def day(spec: TwinSpec, recorded: Recorded) -> pd.DataFrame:
    """Observations of the first day."""
    window = WindowGrid.of(spec).parse(DAYS[0])
    return observe(spec, ("pump",), window, recorded("2026-01-01", "2026-01-02"), window.end).frame


def _bytes(folder: Path, key: str) -> bytes:
    return Store(folder).path("pump", UKF_STATE, key).read_bytes()


def test_cuts_leave_the_same_bytes(noisy: TwinSpec, run: Callable[..., UkfResult], tmp_path: Path) -> None:
    """A day in four runs, one of them within a block of reused slopes, is the day in one run; so is the day after."""
    for now in ("05:10", "05:20", "17:59", "23:59"):
        run(noisy, "pieces", DAYS[0], f"2026-01-01 {now}")
    for store in ("pieces", "whole"):
        for key in DAYS:
            run(noisy, store, key)
    for key in DAYS:
        assert _bytes(tmp_path / "pieces", key) == _bytes(tmp_path / "whole", key)


def test_an_error_that_comes_to_be_known_replays(
    spec: TwinSpec, noisy: TwinSpec, run: Callable[..., UkfResult]
) -> None:
    """A window's table of exact inputs is of no use, nor is what it learnt of the model; the states before it are."""
    run(spec, "store", DAYS[0])
    exact = run(spec, "store", DAYS[1])
    again = run(noisy, "store", DAYS[1])
    assert (exact.kept, again.kept) == (0, 0)
    assert fingerprint(spec, "f") != fingerprint(noisy, "f")
    before, after = (posterior_of_row(result.frame.iloc[0]).std for result in (exact, again))
    assert (after > before).all()


def test_what_twin_yaml_says_of_uncertainty_makes_only_that_stale_which_knows_it(
    spec: TwinSpec, make_spec: MakeSpec, noisy: TwinSpec
) -> None:
    """An input's error is the filter's affair, a discrepancy that of predictions; observations know of neither."""
    assert described(spec, OBSERVATIONS) == described(noisy, OBSERVATIONS)
    assert described(spec, PUBLISHED) == described(noisy, PUBLISHED)
    error = make_spec(inputs=[SPEED | {"noise_std": 0.05}, HEAD])
    assert described(spec, VIRTUAL_SENSORS) == described(error, VIRTUAL_SENSORS) != described(noisy, VIRTUAL_SENSORS)
    names = hashlib.sha256(json.dumps(["torque"]).encode()).hexdigest()
    assert described(spec, VIRTUAL_SENSORS) == names, "tables of before there was a discrepancy stay current"


def test_exact_inputs_leave_tables_as_they_were(spec: TwinSpec, run: Callable[..., UkfResult]) -> None:
    """No further column where nobody says that an input has errors."""
    assert not [name for name in run(spec, "store", DAYS[0]).frame.columns if name.startswith("inputs_")]


def test_the_columns_are_described(noisy: TwinSpec, run: Callable[..., UkfResult]) -> None:
    """The asset describes every column of the table, in order."""
    assert [name for name, _, _ in columns(noisy)] == list(run(noisy, "store", DAYS[0]).frame.columns)


def test_a_row_holds_the_joint_posterior(noisy: TwinSpec, run: Callable[..., UkfResult], tmp_path: Path) -> None:
    """Read back from the store: the coefficients' part is their own to the bit; the input's is what a reading left."""
    run(noisy, "store", DAYS[0])
    table = load(Store(tmp_path / "store"), "pump", UKF_STATE, DAYS[0])
    assert table is not None
    row = table.frame.iloc[-1]
    states: Gaussian = posterior_of_row(row)
    joint = joint_of_row(row, states)
    assert joint.mean.shape == (3,)
    np.testing.assert_array_equal(joint.root[:2, :2], states.root)
    np.testing.assert_array_equal(joint.root[:2, 2], np.zeros(2))
    assert 0.0 < joint.std[2] < 0.05


def test_of_an_input_that_was_not_known_nothing_is_believed(
    noisy: TwinSpec, model: PredictiveModel, day: pd.DataFrame
) -> None:
    """Such a row says NaN, and there is no prediction; the coefficients go on."""
    observations = day.copy()
    observations.loc[3, "speed"] = np.nan
    state = assimilate(noisy, model, observations, fmu_sha256="f").frame
    assert np.isnan(state["inputs_mean"][3]).all()
    assert np.isfinite(state["state_mean"][3]).all()
    assert np.isfinite(np.array(state["inputs_mean"].drop(3).tolist())).all()
    assert len(virtual_sensors_table(noisy, model, state, observations).frame) == len(day) - 1


def test_parts_add_up(noisy: TwinSpec, model: PredictiveModel, day: pd.DataFrame) -> None:
    """Squares of the parts sum to that of the standard deviation; what nobody states counts as nothing."""
    state = assimilate(noisy, model, day, fmu_sha256="f").frame
    frame = virtual_sensors_table(noisy, model, state, day).frame
    for name in ("torque", "flow_predicted", "pressure_predicted"):
        parts = frame[[f"{name}_std_coefficients", f"{name}_std_inputs", f"{name}_std_discrepancy"]].fillna(0.0)
        np.testing.assert_allclose((parts**2).sum(axis=1), frame[f"{name}_std"] ** 2, rtol=1e-12)
        assert (parts.iloc[:, 1] > 0.0).all()
    assert (frame["torque_std_discrepancy"] == 0.3).all()
    assert frame[["flow_predicted_std_discrepancy", "pressure_predicted_std_discrepancy"]].isna().all(axis=None)
    assert unstated(frame) == [f"{name}_std_discrepancy" for name in ("torque", "flow_predicted", "pressure_predicted")]


def test_another_discrepancy_is_predicted_again(
    noisy: TwinSpec, make_spec: MakeSpec, model: PredictiveModel, day: pd.DataFrame
) -> None:
    """Kept rows would be of the old one; the filter does not know it, and keeps its own."""
    state = assimilate(noisy, model, day, fmu_sha256="f").frame
    before = virtual_sensors_table(noisy, model, state, day)
    other = make_spec(inputs=[SPEED | {"noise_std": 0.05}, HEAD], virtual_sensors=[{"name": "torque"}])
    after = virtual_sensors_table(other, model, state, day, existing=Table(before.frame, before.metadata))
    assert fingerprint(noisy, "f") == fingerprint(other, "f")
    assert after.kept == 0
    assert after.frame["torque_std_discrepancy"].isna().all()


def test_kept_rows_are_those_that_would_be_computed(noisy: TwinSpec, model: PredictiveModel, day: pd.DataFrame) -> None:
    """Parts, NaN and flags included, to the bit."""
    state = assimilate(noisy, model, day, fmu_sha256="f").frame
    whole = virtual_sensors_table(noisy, model, state, day)
    part = virtual_sensors_table(noisy, model, state.iloc[:40], day)
    again = virtual_sensors_table(noisy, model, state, day, existing=Table(part.frame, part.metadata))
    assert again.kept == 40
    pd.testing.assert_frame_equal(again.frame, whole.frame, check_exact=True)


def test_posteriors_from_before_an_error_was_known_are_predicted_with_it(
    spec: TwinSpec, noisy: TwinSpec, model: PredictiveModel, day: pd.DataFrame
) -> None:
    """The table of the filter is still that of exact inputs: the input is then as sure as its sensor."""
    state = assimilate(spec, model, day, fmu_sha256="f").frame
    frame = virtual_sensors_table(noisy, model, state, day).frame
    leak = frame["torque"] / day["speed"]
    np.testing.assert_allclose(frame["torque_std_inputs"], 0.05 * leak, rtol=1e-6)
