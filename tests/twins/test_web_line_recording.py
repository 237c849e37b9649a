"""The line is the recorded one: a machine that this project did not simulate."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

Settled = Callable[..., Mapping[str, float]]

RECORDING = Path(__file__).resolve().parents[3] / "shared" / "data" / "web_line_recording.csv"
RADIUS = 0.05
TOLERANCES = {"_w": 1e-7, "_Tension_N": 1e-6, "_SlipVelocity": 1e-9, "_ms": 5e-9, "deg": 3e-6, "Pa": 0.1}


@pytest.fixture(name="recording", scope="module")
def _recording() -> pd.DataFrame:
    if not RECORDING.exists():
        pytest.skip(f"the recording is not part of the project; expected it at {RECORDING}")
    return pd.read_csv(RECORDING)


def _dampings(row: pd.Series) -> dict[str, float]:
    """Where nothing slips: b = tension step times radius over speed (never below zero, as the file's digits may be)."""
    steps = {k: row[f"S{k + 1}_Tension_N"] - row[f"S{k}_Tension_N"] for k in (3, 9)}
    return {f"b{k}": max(0.0, step * RADIUS / row[f"Roller{k}_w"]) for k, step in steps.items()}


def test_web_line_repeats_the_recording(recording: pd.DataFrame, settled: Settled) -> None:
    """With the recorded dampings every recorded channel comes out, of signals 2e-3 rad/s, 16 N, 2e-5 m/s, 0.02 deg."""
    errors: dict[str, float] = {}
    for _, row in recording.iloc[::15].iterrows():
        line = settled(healthy=0.0, **_dampings(row))
        for name in set(line) & set(row.index):
            errors[name] = max(errors.get(name, 0.0), abs(line[name] - float(row[name])))
    assert len(errors) > 30
    for name, error in errors.items():
        assert error < next(limit for end, limit in TOLERANCES.items() if name.endswith(end)), name


def test_web_line_slips_as_recorded(recording: pd.DataFrame, settled: Settled) -> None:
    """Slip velocities of the worn rollers agree to 1e-4 of their size, sign included."""
    for _, row in recording.iloc[150::25].iterrows():
        line = settled(healthy=0.0, **_dampings(row))
        for roller in (3, 9):
            name = f"Roller{roller}_summary_SlipVelocity"
            np.testing.assert_allclose(line[name], row[name], rtol=1e-4)
