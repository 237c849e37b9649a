"""Noise that twin.yaml does not give: the same bytes however a window is cut, and seen where people look."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from twin_assets.assets.ukf_state import columns, shown_of
from twin_assets.spec import TwinSpec
from twin_assets.stages import UKF_STATE
from twin_assets.stages.fingerprint import fingerprint
from twin_assets.stages.states import states_of
from twin_assets.stages.ukf import UkfResult
from twin_assets.store import Store

DAYS = ("2026-01-01", "2026-01-02")
MakeSpec = Callable[..., TwinSpec]
Recorded = Callable[..., pd.DataFrame]

FLOW: dict[str, Any] = {"name": "flow", "property": "flow_meter", "valid_range": [0, 100]}
PRESSURE: dict[str, Any] = {"name": "pressure", "stuck_after": "2h"}


@pytest.fixture
def unknown(make_spec: MakeSpec) -> TwinSpec:
    """The pump without any noise."""
    return make_spec(measurements=[FLOW, PRESSURE])


def _bytes(folder: Path, key: str) -> bytes:
    return Store(folder).path("pump", UKF_STATE, key).read_bytes()


def test_noise_is_found_and_shown(unknown: TwinSpec, run: Callable[..., UkfResult]) -> None:
    """Two days of means of two samples, noise 0.05 and 0.1: each step shows what is believed, at last to a third."""
    frame = [run(unknown, "store", key) for key in DAYS][-1].frame
    assert frame["flow_noise_std"].iloc[-1] == pytest.approx(0.05 / np.sqrt(2), rel=1 / 3)
    assert frame["pressure_noise_std"].iloc[-1] == pytest.approx(0.1 / np.sqrt(2), rel=1 / 3)


def test_cuts_leave_the_same_bytes(unknown: TwinSpec, run: Callable[..., UkfResult], tmp_path: Path) -> None:
    """A day in four runs, one of them within a block of reused slopes, is the day in one run; so is the day after."""
    for now in ("05:10", "05:20", "17:59", "23:59"):
        run(unknown, "pieces", DAYS[0], f"2026-01-01 {now}")
    for store in ("pieces", "whole"):
        for key in DAYS:
            run(unknown, store, key)
    for key in DAYS:
        assert _bytes(tmp_path / "pieces", key) == _bytes(tmp_path / "whole", key)


def test_rows_that_go_leave_what_a_fresh_run_leaves(
    unknown: TwinSpec, run: Callable[..., UkfResult], tmp_path: Path
) -> None:
    """A shorter day after a longer one, resumed from rows instead of the state: the same bytes as never longer."""
    run(unknown, "longer", DAYS[0], "2026-01-01 16:00")
    run(unknown, "longer", DAYS[0], "2026-01-01 13:00")
    run(unknown, "fresh", DAYS[0], "2026-01-01 13:00")
    assert _bytes(tmp_path / "longer", DAYS[0]) == _bytes(tmp_path / "fresh", DAYS[0])


def test_noise_is_handed_on_by_name(make_spec: MakeSpec, unknown: TwinSpec, run: Callable[..., UkfResult]) -> None:
    """Flow's noise is given from the second day on: pressure's goes on from what was believed of it, and is alone."""
    first = run(unknown, "store", DAYS[0])
    second = run(make_spec(measurements=[FLOW | {"noise_std": 0.05}, PRESSURE]), "store", DAYS[1])
    before, after = first.frame["pressure_noise_std"].iloc[-1], second.frame["pressure_noise_std"].iloc[0]
    assert after == pytest.approx(before, rel=0.2)
    noise = states_of(second.metadata)["pump"].state.noise
    assert noise is not None
    assert noise.channels == ("pressure",)


def test_given_noise_leaves_tables_as_they_were(spec: TwinSpec, run: Callable[..., UkfResult]) -> None:
    """Where twin.yaml gives all noise, the table has no further column, and its states say nothing of it."""
    result = run(spec, "store", DAYS[0])
    assert not [column for column in result.frame.columns if "noise" in str(column)]
    assert "noise" not in result.metadata["states"]


def test_other_noise_replays(spec: TwinSpec, unknown: TwinSpec, make_spec: MakeSpec) -> None:
    """Noise given, estimated, or estimated down to another resolution: each is another computation."""
    finer = make_spec(measurements=[FLOW | {"resolution": 0.01}, PRESSURE])
    assert len({fingerprint(each, "f" * 64) for each in (spec, unknown, finer)}) == 3


def test_the_columns_are_described(unknown: TwinSpec, run: Callable[..., UkfResult]) -> None:
    """The asset describes every column of the table, in order, and shows the noise at the end of the window."""
    result = run(unknown, "store", DAYS[0])
    assert [name for name, _, _ in columns(unknown)] == list(result.frame.columns)
    flow = result.frame["flow_noise_std"].iloc[-1]
    assert f"pump flow: {flow:.3g}" in str(shown_of(unknown, result)["estimated_noise_std"])
