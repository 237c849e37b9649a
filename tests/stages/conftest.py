"""A pump in closed form, its spec and its samples: what the stages are tested on."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from twin_assets.model import EvaluationError, Floats, PredictiveModel
from twin_assets.spec import TwinSpec
from twin_assets.stages import UKF_STATE
from twin_assets.stages.observations import observe
from twin_assets.stages.states import previous_state
from twin_assets.stages.tables import load
from twin_assets.stages.ukf import UkfResult, assimilate
from twin_assets.store import Store
from twin_assets.windows import Window, WindowGrid

BASE: Mapping[str, Any] = {
    "name": "pump",
    "model": {"fmu": "pump.fmu"},
    "inputs": [{"name": "speed", "property": "drive_speed", "max_age": "1h"}, {"name": "head", "constant": 2.0}],
    "coefficients": [
        {
            "name": "wear",
            "initial": 0.05,
            "initial_std": 0.1,
            "drift_std_per_sqrt_hour": 0.02,
            "bounds": [0, 1],
        },
        {"name": "leak", "initial": 1.0, "initial_std": 0.5, "drift_std_per_sqrt_hour": 0.01},
    ],
    "measurements": [
        {"name": "flow", "property": "flow_meter", "noise_std": 0.05, "valid_range": [0, 100]},
        {"name": "pressure", "noise_std": 0.1, "stuck_after": "2h"},
    ],
    "virtual_sensors": [{"name": "torque", "property": "shaft_torque"}],
    "align": {"every": "20min"},
    "start": "2026-01-01",
}


class PumpModel:
    """flow = speed (1 - wear), pressure = head + speed - leak (wear + 1), torque = speed leak; counts what it runs."""

    coefficients = ("wear", "leak")
    inputs = ("speed", "head")
    outputs = ("flow", "pressure", "torque")

    def __init__(self) -> None:
        self.model_runs = 0
        self.fails_above = np.inf

    def evaluate(self, coefficients: Floats, inputs: Floats) -> Floats:
        """See PredictiveModel; fails where the speed is above ``fails_above``."""
        self.model_runs += len(coefficients)
        (wear, leak), (speed, head) = coefficients.T, inputs
        if speed > self.fails_above:
            raise EvaluationError("the pump seized", {"wear": float(wear[0])})
        return np.stack([speed * (1 - wear), head + speed - leak * (wear + 1), speed * leak], axis=1)


@pytest.fixture
def model() -> PumpModel:
    """A pump."""
    return PumpModel()


@pytest.fixture
def make_spec() -> Callable[..., TwinSpec]:
    """The pump's spec with some sections replaced."""

    def make(**sections: object) -> TwinSpec:
        return TwinSpec.model_validate({**BASE, **sections})

    return make


@pytest.fixture
def spec(make_spec: Callable[..., TwinSpec]) -> TwinSpec:
    """The pump's spec."""
    return make_spec()


@pytest.fixture
def grid(spec: TwinSpec) -> WindowGrid:
    """Days from 2026-01-01."""
    return WindowGrid.of(spec)


@pytest.fixture
def day(grid: WindowGrid) -> Window:
    """The second day: there is one before."""
    return grid.parse("2026-01-02")


@pytest.fixture
def samples() -> Callable[..., pd.DataFrame]:
    """Samples of one property from (time, value[, quality]) rows; times of 2026-01-02 unless a date is given."""

    def make(name: str, *rows: tuple[Any, ...], unit: str = "pump") -> pd.DataFrame:
        times = [row[0] if "-" in row[0] else f"2026-01-02 {row[0]}" for row in rows]
        return pd.DataFrame(
            {
                "unit": unit,
                "property": name,
                "time": pd.to_datetime(times, utc=True, format="ISO8601").as_unit("ns"),
                "value": [float(row[1]) for row in rows],
                "quality": [row[2] if len(row) > 2 else "GOOD" for row in rows],
            }
        )

    return make


@pytest.fixture
def recorded() -> Callable[..., pd.DataFrame]:
    """Samples of a running pump every ten minutes, noise from a seed: deterministic, whatever range is asked for."""

    def make(start: str, end: str, unit: str = "pump", seed: int = 1) -> pd.DataFrame:
        times = pd.date_range(start, end, freq="10min", tz="UTC", inclusive="left").as_unit("ns")
        origin = pd.Timestamp("2026-01-01", tz="UTC")
        parts = []
        for number, name in enumerate(("drive_speed", "flow_meter", "pressure")):
            noise = np.random.default_rng([seed, number]).normal(size=10_000)
            at = ((times - origin) // pd.Timedelta("10min")).to_numpy()
            hours = at / 6
            wear = 0.1 + 0.002 * hours
            speed = 10 + np.sin(hours)
            clean = (speed, speed * (1 - wear), 2.0 + speed - 1.2 * (wear + 1))[number]
            value = clean + noise[at] * (0.0, 0.05, 0.1)[number]
            parts.append(
                pd.DataFrame({"unit": unit, "property": name, "time": times, "value": value, "quality": "GOOD"})
            )
        return pd.concat(parts, ignore_index=True)

    return make


@pytest.fixture
def run(model: PredictiveModel, recorded: Callable[..., pd.DataFrame], tmp_path: Path) -> Callable[..., UkfResult]:
    """(spec, store, day, now) -> one window materialized as the asset does it."""
    telemetry = recorded("2026-01-01", "2026-01-03")

    def go(spec: TwinSpec, store: str, key: str, now: str = "2026-02-01") -> UkfResult:
        at, where = pd.Timestamp(now, tz="UTC"), Store(tmp_path / store)
        window = WindowGrid.of(spec).parse(key)
        result = assimilate(
            spec,
            model,
            observe(spec, ("pump",), window, telemetry[telemetry["time"] < at], at).frame,
            fmu_sha256="f" * 64,
            existing=load(where, "pump", UKF_STATE, key),
            previous=previous_state(where, spec, window),
        )
        where.write("pump", UKF_STATE, key, result.frame, result.metadata)
        return result

    return go
