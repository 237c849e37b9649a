"""The line that the soak test soaks: a closed-form model, what is measured on it, and a clock that processes share.

A run then costs what the platform costs, and no FMU's time.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from twin_assets.model import Floats
from twin_assets.simulation import fmu_sha256
from twin_assets.spec_file import Twin

NAME = "line"
UNIT = "line_1"
# FMUs are read by Dagster's `fmu`, which holds twin.yaml against it.
FMU = Path(__file__).parents[1] / "twins" / "web_line" / "web_line.fmu"
TWIN_YAML = f"""\
name: {NAME}
title: A line of two bearings
model: {{fmu: {FMU}}}
start: 2026-01-01
units: [{UNIT}]
inputs:
  - {{name: web_speed_setpoint, property: line_speed, unit: m/s}}
  - {{name: tension_1_setpoint, constant: 100}}
coefficients:
  - {{name: b3, initial: 0.01, initial_std: 0.02, drift_std_per_sqrt_hour: 0.0001, bounds: [0, 0.5], limit: 0.15}}
  - {{name: b9, initial: 0.01, initial_std: 0.02, drift_std_per_sqrt_hour: 0.0001, bounds: [0, 0.5]}}
measurements:
  - {{name: Roller3_w, unit: rad/s, noise_std: 0.001}}
  - {{name: Roller9_w, unit: rad/s, noise_std: 0.001}}
  - {{name: S4_Tension_N, property: load_cell, unit: N, noise_std: 0.5}}
virtual_sensors:
  - {{name: S9_Tension_N, unit: N, alarm: {{low: 60, high: 200}}}}
"""
NOISE = {"line_speed": 0.0, "Roller3_w": 0.001, "Roller9_w": 0.001, "load_cell": 0.5}
MEASURED = ("Roller3_w", "Roller9_w", "load_cell")
TRUTH = (0.02, 0.05)
# So that the smallest soak crosses midnight, where one window ends.
FIRST = pd.Timestamp("2026-01-01T22:00:00.123456789", tz="UTC")
TICK = pd.Timedelta("4min")


class LineModel:
    """Roller3_w = 20 v - 5 b3, Roller9_w = 20 v - 5 b9, S4 = T + 100 b3, S9 = T + 200 b9."""

    coefficients = ("b3", "b9")
    inputs = ("web_speed_setpoint", "tension_1_setpoint")
    outputs = ("Roller3_w", "Roller9_w", "S4_Tension_N", "S9_Tension_N")

    def __init__(self, sha256: str) -> None:
        self.sha256 = sha256
        self.model_runs, self.model_seconds = 0, 0.0

    def evaluate(self, coefficients: Floats, inputs: Floats) -> Floats:
        """See PredictiveModel."""
        self.model_runs += len(coefficients)
        (b3, b9), (speed, tension) = coefficients.T, inputs
        return np.stack([20 * speed - 5 * b3, 20 * speed - 5 * b9, tension + 100 * b3, tension + 200 * b9], axis=1)


@contextmanager
def open_line(twin: Twin, _workers: int | None = None) -> Iterator[LineModel]:
    """Opens the model in the place of the twin's FMU."""
    yield LineModel(fmu_sha256(twin.fmu_path))


def time_of(tick: int) -> pd.Timestamp:
    """When a tick is measured."""
    return FIRST + tick * TICK


def measured(tick: int, seed: int) -> dict[str, float]:
    """What each property measures at a tick."""
    noise = np.random.default_rng([seed, tick]).normal(size=len(NOISE))
    speed = 1.0 + 0.02 * np.sin(tick / 40)
    clean = LineModel("").evaluate(np.array([TRUTH]), np.array([speed, 100.0]))[0]
    values = (speed, *clean[:3])
    return {
        name: float(value + std * some) for (name, std), value, some in zip(NOISE.items(), values, noise, strict=True)
    }


@dataclass(frozen=True)
class SharedClock:
    """A time that one process sets and others read: in a file.

    Attributes:
        path: the file.
    """

    path: Path

    def set(self, now: pd.Timestamp) -> None:
        """Let it be this time; no reader sees half of it."""
        aside = self.path.with_suffix(".new")
        aside.write_text(str(now.value))
        aside.replace(self.path)

    def __call__(self) -> pd.Timestamp:
        """What time it is."""
        return pd.Timestamp(int(self.path.read_text()), unit="ns", tz="UTC")
