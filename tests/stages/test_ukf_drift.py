"""Drift that is adapted: the same bytes however a window is cut, and seen where people look."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from twin_assets.assets.ukf_state import columns, shown_of
from twin_assets.spec import TwinSpec
from twin_assets.stages import UKF_STATE
from twin_assets.stages.fingerprint import fingerprint
from twin_assets.stages.smoothing import smoothed_table
from twin_assets.stages.states import pace_of_row, states_of
from twin_assets.stages.ukf import UkfResult
from twin_assets.store import Store
from twin_assets.windows import WindowGrid

DAYS = ("2026-01-01", "2026-01-02")
MakeSpec = Callable[..., TwinSpec]
Recorded = Callable[..., pd.DataFrame]

ADAPTED = {"filter": {"adaptive_drift": True}}
NAMES = ("wear", "leak")


@pytest.fixture
def adapted(make_spec: MakeSpec) -> TwinSpec:
    """The pump, with drift that is adapted."""
    return make_spec(**ADAPTED)


def _bytes(folder: Path, key: str) -> bytes:
    return Store(folder).path("pump", UKF_STATE, key).read_bytes()


def test_cuts_leave_the_same_bytes(adapted: TwinSpec, run: Callable[..., UkfResult], tmp_path: Path) -> None:
    """A day in four runs, one of them within a block of reused slopes, is the day in one run; so is the day after."""
    for now in ("05:10", "05:20", "17:59", "23:59"):
        run(adapted, "pieces", DAYS[0], f"2026-01-01 {now}")
    for store in ("pieces", "whole"):
        for key in DAYS:
            run(adapted, store, key)
    for key in DAYS:
        assert _bytes(tmp_path / "pieces", key) == _bytes(tmp_path / "whole", key)


def test_rows_that_go_leave_what_a_fresh_run_leaves(
    adapted: TwinSpec, run: Callable[..., UkfResult], tmp_path: Path
) -> None:
    """A shorter day after a longer one, resumed from rows instead of the state: the same bytes as never longer."""
    run(adapted, "longer", DAYS[0], "2026-01-01 16:00")
    run(adapted, "longer", DAYS[0], "2026-01-01 13:00")
    run(adapted, "fresh", DAYS[0], "2026-01-01 13:00")
    assert _bytes(tmp_path / "longer", DAYS[0]) == _bytes(tmp_path / "fresh", DAYS[0])


def test_the_state_that_is_handed_on_is_the_last_rows(adapted: TwinSpec, run: Callable[..., UkfResult]) -> None:
    """What the next window starts from is what a row says, to the bit."""
    result = run(adapted, "store", DAYS[0])
    handed_on, last = states_of(result.metadata)["pump"].state.pace, pace_of_row(result.frame.iloc[-1])
    assert handed_on is not None
    assert last is not None
    for name, array in vars(handed_on).items():
        np.testing.assert_array_equal(array, vars(last)[name])


def test_estimated_noise_beside_it_leaves_the_same_bytes(
    make_spec: MakeSpec, run: Callable[..., UkfResult], tmp_path: Path
) -> None:
    """Noise estimated, drift adapted: a day in pieces is the day in one run."""
    flow = {"name": "flow", "property": "flow_meter", "valid_range": [0, 100]}
    both = make_spec(measurements=[flow, {"name": "pressure"}], **ADAPTED)
    for now in ("05:10", "17:59"):
        run(both, "pieces", DAYS[0], f"2026-01-01 {now}")
    for store in ("pieces", "whole"):
        for key in DAYS:
            run(both, store, key)
    for key in DAYS:
        assert _bytes(tmp_path / "pieces", key) == _bytes(tmp_path / "whole", key)


def test_given_drift_leaves_tables_as_they_were(spec: TwinSpec, run: Callable[..., UkfResult]) -> None:
    """Where drift is not adapted the table has no further column, and its states say nothing of it."""
    result = run(spec, "store", DAYS[0])
    assert not [column for column in result.frame.columns if "drift" in str(column)]
    assert states_of(result.metadata)["pump"].state.pace is None


def test_adapting_replays_and_not_adapting_does_not(spec: TwinSpec, adapted: TwinSpec, make_spec: MakeSpec) -> None:
    """Switched on it is another computation; that the field exists is none."""
    assert fingerprint(spec, "f" * 64) != fingerprint(adapted, "f" * 64)
    assert fingerprint(spec, "f" * 64) == fingerprint(make_spec(filter={"adaptive_drift": False}), "f" * 64)


def test_switched_off_nothing_is_left_of_it(spec: TwinSpec, adapted: TwinSpec, run: Callable[..., UkfResult]) -> None:
    """A day with it, the next without: the second day's first step drifts as twin.yaml says, and hands nothing on."""
    first = run(adapted, "store", DAYS[0])
    second = run(spec, "store", DAYS[1])
    assert states_of(first.metadata)["pump"].state.pace is not None
    assert states_of(second.metadata)["pump"].state.pace is None
    assert not [column for column in second.frame.columns if "drift" in str(column)]


def test_the_columns_are_described(adapted: TwinSpec, run: Callable[..., UkfResult]) -> None:
    """The asset describes every column of the table, in order, and shows the factors at the end of the window."""
    result = run(adapted, "store", DAYS[0])
    assert [name for name, _, _ in columns(adapted)] == list(result.frame.columns)
    wear, leak = (result.frame[f"{name}_drift_factor"].iloc[-1] for name in NAMES)
    assert shown_of(adapted, result)["drift_factors"] == f"pump wear: {wear:.3g}; pump leak: {leak:.3g}"


def test_smoothing_takes_the_drift_that_was_at_work(adapted: TwinSpec, run: Callable[..., UkfResult]) -> None:
    """Smoothed with the factors of each row it is another table than without them."""
    result, window = run(adapted, "store", DAYS[0]), WindowGrid.of(adapted).parse(DAYS[0])
    later = pd.Timestamp("2026-02-01", tz="UTC")
    plain = result.frame.drop(columns=["drift"])
    with_factors, without = (smoothed_table(adapted, window, rows, later).frame for rows in (result.frame, plain))
    assert (with_factors["wear_std"] != without["wear_std"])[:-1].all()


def test_a_transient_twin_is_refused(make_spec: MakeSpec) -> None:
    """There drift is taken as given; the error says so."""
    with pytest.raises(ValueError, match="found true, with model"):
        make_spec(model={"fmu": "pump.fmu", "mode": "transient", "memory_s": 60}, **ADAPTED)
