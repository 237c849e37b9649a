"""Sensor or plant in the tables: the same bytes however a window is cut, said where people look."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from twin_assets.assets.ukf_state import columns, shown_of
from twin_assets.model import Floats
from twin_assets.spec import TwinSpec
from twin_assets.stages import UKF_STATE
from twin_assets.stages.answers import model_answers
from twin_assets.stages.diagnosis import diagnosis
from twin_assets.stages.fingerprint import BLOCK, fingerprint
from twin_assets.stages.states import states_of
from twin_assets.stages.tables import Table
from twin_assets.stages.ukf import UkfResult, assimilate
from twin_assets.store import Store

START, EVERY = pd.Timestamp("2026-01-01", tz="UTC"), pd.Timedelta("20min")
NOISE = 0.1
# A header that branches: two losses, five pressures.
MIX = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, -0.5], [0.5, 1.0]])


class Header:
    """Pressures of a header whose two losses grow with the flow; fails where it is told to."""

    coefficients = ("near", "far")
    inputs = ("flow",)
    outputs = tuple(f"p{i}" for i in range(5))

    def __init__(self) -> None:
        self.model_runs = 0

    def evaluate(self, coefficients: Floats, inputs: Floats) -> Floats:
        """See PredictiveModel."""
        self.model_runs += len(coefficients)
        return np.asarray(20.0 - inputs[0] * coefficients @ MIX.T)


def spec_of(**sections: object) -> TwinSpec:
    """The header's twin."""
    base: dict[str, Any] = {
        "name": "header",
        "model": {"fmu": "header.fmu"},
        "inputs": [{"name": "flow"}],
        "coefficients": [
            {"name": name, "initial": 1.0, "initial_std": 0.3, "drift_std_per_sqrt_hour": 0.02}
            for name in Header.coefficients
        ],
        "measurements": [{"name": name, "noise_std": NOISE, "unit": "bar"} for name in Header.outputs],
        "align": {"every": "20min"},
        "start": "2026-01-01",
    }
    return TwinSpec.model_validate({**base, **sections})


def observed(
    count: int, *, unit: str = "header", seed: int = 1, bad: slice | None = slice(50, 100), off: float = 5.0
) -> pd.DataFrame:
    """Observations of a header; p2 is off by so many standard deviations of its noise for a while."""
    rng = np.random.default_rng(seed)
    losses = 1.0 + np.cumsum(0.01 * rng.normal(size=(count, 2)), axis=0)
    flow = 2.0 + 0.3 * np.sin(np.arange(count) / 5.0)
    values = 20.0 - flow[:, np.newaxis] * losses @ MIX.T + NOISE * rng.normal(size=(count, 5))
    if bad is not None:
        values[bad, 2] += off * NOISE
    times = pd.date_range(START, periods=count, freq=EVERY).as_unit("ns")
    frame = pd.DataFrame({"unit": pd.Series([unit] * count, dtype="str"), "time": times})
    for name, column in zip(Header.outputs, values.T, strict=True):
        frame[name], frame[f"{name}_reason"] = column, pd.Series([""] * count, dtype="str")
    frame["flow"], frame["flow_reason"] = flow, pd.Series([""] * count, dtype="str")
    return frame


Run = Callable[..., UkfResult]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """(spec, observations, store, key, previous) -> the window, with what the store already holds of it."""

    def go(
        spec: TwinSpec, observations: pd.DataFrame, store: str = "store", key: str = "a", previous: str | None = None
    ) -> UkfResult:
        kept = Store(tmp_path / store)
        found = kept.read_with_metadata("header", UKF_STATE, key)
        result = assimilate(
            spec,
            Header(),
            observations,
            fmu_sha256="f" * 64,
            existing=None if found is None else Table(*found),
            previous=None if previous is None else kept.metadata("header", UKF_STATE, previous),
        )
        kept.write("header", UKF_STATE, key, result.frame, result.metadata)
        return result

    return go


def table_bytes(folder: Path, key: str) -> bytes:
    """Of a window's filter table."""
    return Store(folder).path("header", UKF_STATE, key).read_bytes()


def test_the_offset_is_left_out_said_and_let_in(run: Run) -> None:
    """p2 reads half a bar too high: reason, sentence and number are in the table until it has behaved."""
    frame = run(spec_of(), observed(150)).frame
    out = np.flatnonzero(frame["p2_reason"] == "suspect: bias")
    assert 50 < out[0] < 70
    assert 115 < out[-1] < 135
    assert (frame["dof"].iloc[out] == 4).all()
    told = frame["diagnosis"].iloc[95]
    assert told.startswith("p2 reads 0.")
    assert "bar too high since 2026-01-01 1" in told
    assert "left out: log-likelihood ratio" in told
    others = frame[[f"{name}_reason" for name in Header.outputs if name != "p2"]]
    assert not others.isin(["suspect: bias", "suspect: noisy", "suspect: stuck", "suspect: dead"]).any(axis=None)
    assert (frame["diagnosis"].iloc[:50] == "").all()
    assert (frame["diagnosis"].iloc[140:] == "").all()


@pytest.mark.parametrize("cuts", [(55, 56, 57, 80, 101, 130), (36, 72), (10, 71, 73, 149)])
def test_cuts_leave_the_same_bytes(run: Run, tmp_path: Path, cuts: tuple[int, ...]) -> None:
    """A window in pieces, each going on after the last, is the window in one go; so is the one after it."""
    spec, whole = spec_of(), observed(220)
    for count in (*cuts, 150):
        run(spec, whole.iloc[:count], "pieces")
    run(spec, whole.iloc[:150], "whole")
    for store in ("pieces", "whole"):
        run(spec, whole.iloc[150:], store, "b", "a")
    for key in ("a", "b"):
        assert table_bytes(tmp_path / "pieces", key) == table_bytes(tmp_path / "whole", key)


@pytest.mark.parametrize("changed", [40, 60, 76, 100])
def test_corrected_data_leaves_what_a_fresh_run_leaves(run: Run, tmp_path: Path, changed: int) -> None:
    """Within the evidence, after the accusation, on a block's first row: rows are resumed as if never cut."""
    spec, late = spec_of(), observed(150)
    corrected = late.copy()
    corrected["p0"] += 0.05 * (np.arange(len(corrected)) == changed)
    run(spec, late, "mended")
    mended = run(spec, corrected, "mended")
    run(spec, corrected, "fresh")
    assert mended.kept == changed
    assert table_bytes(tmp_path / "mended", "a") == table_bytes(tmp_path / "fresh", "a")


def test_a_shorter_window_leaves_what_a_fresh_run_leaves(run: Run, tmp_path: Path) -> None:
    """Rows that are gone: the state that is handed on is that of a run that never saw them."""
    spec, whole = spec_of(), observed(110)
    run(spec, whole, "longer")
    run(spec, whole.iloc[:83], "longer")
    run(spec, whole.iloc[:83], "fresh")
    assert table_bytes(tmp_path / "longer", "a") == table_bytes(tmp_path / "fresh", "a")


def test_only_few_rows_hold_all_that_is_known(run: Run) -> None:
    """The last of each block: it is some ten thousand characters long."""
    frame = run(spec_of(), observed(110)).frame
    assert np.flatnonzero(frame["suspicion"] != "").tolist() == [BLOCK - 1, 2 * BLOCK - 1, 3 * BLOCK - 1]
    assert frame["suspicion"].str.len().max() < 30_000


def test_units_do_not_know_each_other(run: Run) -> None:
    """The one whose sensor is off is said, the other is as if alone."""
    good = observed(120, unit="b", seed=2, bad=None)
    both = run(spec_of(units=["a", "b"]), pd.concat([observed(120, unit="a"), good], ignore_index=True), "both").frame
    alone = run(spec_of(units=["a", "b"]), good, "alone").frame
    pd.testing.assert_frame_equal(both[both["unit"] == "b"].reset_index(drop=True), alone)
    assert (alone["diagnosis"] == "").all()
    assert (both.loc[both["unit"] == "a", "p2_reason"] == "suspect: bias").any()


def test_it_can_be_switched_off(run: Run) -> None:
    """Then nothing is left out, nothing said, and no column tells of it; and it is another twin."""
    spec = spec_of(filter={"diagnosis": False})
    result = run(spec, observed(120))
    assert set(result.frame["p2_reason"]) <= {"", "gated"}
    assert not {"diagnosis", "suspicion"} & set(result.frame.columns)
    assert states_of(result.metadata)["header"].state.suspicion is None
    assert fingerprint(spec, "f") != fingerprint(spec_of(), "f")
    assert diagnosis(spec, result.frame).passed


def test_ranges_count_only_where_a_dead_sensor_may_read_their_ends() -> None:
    """valid_range is in the fingerprint of a twin whose sensors are watched, and of no other."""
    bounded = [{"name": name, "noise_std": NOISE, "valid_range": [0, 40]} for name in Header.outputs]
    free = [{"name": name, "noise_std": NOISE} for name in Header.outputs]
    for watched in (True, False):
        one, other = (
            fingerprint(spec_of(measurements=each, filter={"diagnosis": watched}), "f") for each in (bounded, free)
        )
        assert (one != other) is watched


def test_the_verdict_warns_and_names_the_sensor(run: Run) -> None:
    """It does not refuse: what was left out misleads nobody."""
    spec = spec_of()
    bad, good = run(spec, observed(120), "bad").frame, run(spec, observed(120, bad=None), "good").frame
    found = diagnosis(spec, bad)
    assert (found.passed, found.refuses) == (False, False)
    assert "header, 2026-01-01" in found.description
    assert "p2 reads 0." in found.description
    assert "look at these sensors" in found.description
    assert found.metadata["left_out"] == (bad["p2_reason"] == "suspect: bias").sum()
    well = diagnosis(spec, good)
    assert (well.passed, well.description) == (True, "Nothing speaks against the sensors, the plant or the model.")
    assert diagnosis(spec, good.iloc[:0]).passed


def test_an_episode_ends_where_nothing_is_said(run: Run) -> None:
    """Two rows that say the same, hours of silence apart, are two episodes; one over midnight ends with its date."""
    spec = spec_of()
    frame = run(spec, observed(120)).frame.assign(diagnosis="")
    day = frame["time"].dt.date.ne(frame["time"].dt.date.shift(-1)).idxmax()
    frame.loc[[day, day + 1, day + 20], "diagnosis"] = "p1 moves since 2026-01-01 00:00"
    said = diagnosis(spec, frame).description
    assert said.count("p1 moves") == 2
    assert f"{frame['time'][day]:%Y-%m-%d %H:%M} to {frame['time'][day + 1]:%Y-%m-%d %H:%M}: p1" in said


def test_a_table_of_before_passes(run: Run) -> None:
    """One without the column was made before there was a diagnosis: nothing is said of it."""
    spec = spec_of()
    frame = run(spec, observed(60)).frame.drop(columns=["diagnosis", "suspicion"])
    assert diagnosis(spec, frame).passed


def test_what_is_left_out_has_met_an_answer(run: Run) -> None:
    """A suspect's innovations are computed: its unit is not one of which nothing met an answer of the model."""
    spec = spec_of()
    frame = run(spec, observed(120)).frame
    rows = frame[frame["p2_reason"] == "suspect: bias"].copy()
    for name in Header.outputs:
        if name != "p2":
            rows[f"{name}_reason"] = "missing"
    first = np.arange(len(rows)) == 0
    rows["p0_reason"] = np.where(first, "model", rows["p0_reason"])
    rows["failed_runs"], rows["failures"] = first.astype(int), np.where(first, "it failed", "")
    assert not model_answers(spec, rows, ()).refuses


def test_a_suspect_alone_stays_one(run: Run) -> None:
    """Where it is the only channel that is measured nothing is assimilated, and its reason is told."""
    observations = observed(120)
    others = [name for name in Header.outputs if name != "p2"]
    lost = np.arange(120) == 90
    for name in others:
        observations[name] = observations[name].mask(lost)
        observations[f"{name}_reason"] = np.where(lost, "missing", "")
    row = run(spec_of(), observations).frame.iloc[90]
    assert (row["p2_reason"], row["method"], row["dof"]) == ("suspect: bias", "prediction", 0)
    assert (row[[f"{name}_reason" for name in others]] == "missing").all()
    assert "p2 reads" in row["diagnosis"]


def test_people_see_it(run: Run) -> None:
    """The asset's numbers count what was left out, and its columns are all described."""
    spec = spec_of()
    result = run(spec, observed(120))
    assert shown_of(spec, result)["suspect"] == (result.frame["p2_reason"] == "suspect: bias").sum()
    assert [name for name, _, _ in columns(spec)] == list(result.frame.columns)


def test_where_all_is_well_the_filter_is_the_same(run: Run) -> None:
    """To the last bit: watching the sensors changes nothing until one is accused."""
    observations = observed(150, bad=None)
    on, off = (
        run(spec_of(filter={"diagnosis": watched}), observations, f"{watched}").frame for watched in (True, False)
    )
    shared = [name for name in off.columns if name != "digest"]
    pd.testing.assert_frame_equal(on[shared], off[shared], check_exact=True)
