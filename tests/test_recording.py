"""A line that this project did not simulate: its recording, calibrated from roller speeds alone."""

import subprocess
import sys
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent
RECORDING = ROOT.parent / "shared" / "data" / "web_line_recording.csv"
RADIUS_M = 0.05
ROLLERS = (1, 2, 3, 4, 5, 7, 8, 9, 10)

# What a user who knows the sensors would write: encoders averaged over 20 minutes, bearings that wear within weeks.
TWIN = """\
name: recorded_line
title: A recorded web-handling line
model:
  fmu: web_line.fmu
  parameters: {{b1: 0, b2: 0, b4: 0, b5: 0, b7: 0, b8: 0, b10: 0}}  # these bearings are new
units: [line_1]
inputs:
  - {{name: web_speed_setpoint, constant: 1.0}}
coefficients:
  - {{name: b3, unit: N.m.s/rad, initial: 1e-3, initial_std: 2e-3, drift_std_per_sqrt_hour: 1e-3, bounds: [0, 0.5]}}
  - {{name: b9, unit: N.m.s/rad, initial: 1e-3, initial_std: 2e-3, drift_std_per_sqrt_hour: 1e-3, bounds: [0, 0.5]}}
measurements:
{measurements}
virtual_sensors:
  - {{name: S4_Tension_N}}
  - {{name: S9_Tension_N}}
start: 2024-01-01
"""


def twin(*arguments: str, folder: Path) -> str:
    """Run the command as a user does, in a home of its own; its standard output."""
    command = [sys.executable, "-m", "twin_assets", "--home", ".twin", "--twins", "twins", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The recording beside what was calibrated from it, one row per update."""
    if not RECORDING.is_file():
        pytest.skip("the recording ../shared/data/web_line_recording.csv is not here; it is not part of the project")
    folder = tmp_path_factory.mktemp("recorded")
    description = folder / "twins" / "recorded_line"
    description.mkdir(parents=True)
    (description / "web_line.fmu").write_bytes((ROOT / "twins" / "web_line" / "web_line.fmu").read_bytes())
    measurements = "\n".join(f"  - {{name: Roller{i}_w, unit: rad/s, noise_std: 2e-5}}" for i in ROLLERS)
    (description / "twin.yaml").write_text(TWIN.format(measurements=measurements))
    recording = pd.read_csv(RECORDING, dtype={"time_s": str})
    speeds = recording[["time_s", *(f"Roller{i}_w" for i in ROLLERS)]]
    speeds.to_csv(folder / "speeds.csv", index=False)

    twin("ingest", "recorded_line", "speeds.csv", "--time-column", "time_s", "--start", "2024-01-01", folder=folder)
    twin("run", "recorded_line", "--from", "2024-01-13", "--to", "2024-01-19", folder=folder)
    exported = []
    for table in ("coefficients", "virtual_sensors"):
        text = twin("export", "recorded_line", table, folder=folder)
        exported.append(pd.read_csv(StringIO(text), parse_dates=["time"]))
    results = exported[0].merge(exported[1], on=["unit", "time"], validate="one_to_one")
    recording["time"] = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(
        recording["time_s"].astype(float).mul(1e3).round().astype("int64"), unit="ms"
    )
    return results.merge(recording, on="time", suffixes=("_estimate", ""), validate="one_to_one")


def truth(calibrated: pd.DataFrame, roller: int) -> pd.Series:
    """The damping that follows from the tension step, ``b = (T_down - T_up) R / w`` (N.m.s/rad), of every row."""
    step = calibrated[f"S{roller + 1}_Tension_N"] - calibrated[f"S{roller}_Tension_N"]
    return step * RADIUS_M / calibrated[f"Roller{roller}_w"]


def test_every_row_of_the_recording_is_assimilated(calibrated: pd.DataFrame) -> None:
    """301 rows in, 301 updates out, each at its own time."""
    assert len(calibrated) == 301


@pytest.mark.parametrize("roller", [3, 9])
def test_recorded_dampings_follow_from_speeds_alone(calibrated: pd.DataFrame, roller: int) -> None:
    """Wherever the true damping exceeds 0.02 N.m.s/rad the estimate lies within 5 % of it."""
    true = truth(calibrated, roller)
    worn = true > 0.02
    assert worn.sum() > 50
    error = (calibrated[f"b{roller}"] / true - 1)[worn].abs()
    assert error.max() < 0.05, f"worst relative error {error.max():.4f}"


@pytest.mark.parametrize("roller", [3, 9])
def test_recorded_dampings_lie_in_their_intervals(calibrated: pd.DataFrame, roller: int) -> None:
    """The 95 % interval holds the truth at least 95 % of the time: the recording has no noise of its own.

    Before the bearing wears its damping is exactly zero, on the bound, which an equal-tailed interval only approaches.
    """
    true = truth(calibrated, roller)
    inside = (calibrated[f"b{roller}_lower"] <= true) & (true <= calibrated[f"b{roller}_upper"])
    assert inside[true > 1e-4].mean() >= 0.95


@pytest.mark.parametrize("span", [4, 9])
def test_unmeasured_tensions_are_predicted(calibrated: pd.DataFrame, span: int) -> None:
    """The spans beside the worn rollers were never shown to the filter; they are predicted within 0.5 N."""
    error = calibrated[f"S{span}_Tension_N_estimate"] - calibrated[f"S{span}_Tension_N"]
    assert np.abs(error).max() < 0.5
