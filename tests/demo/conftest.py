"""A small line for tests of the demonstration: closed formulas in place of the FMU, names as in the real twin."""

import numpy as np
import pandas as pd
import pytest

from twin_assets.demo.plant import SLIPPING
from twin_assets.model import Floats
from twin_assets.spec import TwinSpec

COEFFICIENTS = ("b1", "b3", "b9")
MEASUREMENTS = ("w1", "w3", "w9", "force", "sum")
SLIPS_AT = 0.17


class SmallLine:
    """Three rollers: speeds fall with the square root of one and damping, a force sums the drags, the ninth slips."""

    coefficients = COEFFICIENTS
    inputs = ("web_speed_setpoint",)
    outputs = (*MEASUREMENTS, "torque", SLIPPING)

    def evaluate(self, coefficients: Floats, inputs: Floats) -> Floats:
        """(k, 3), (1,) -> (k, 7)."""
        speed = inputs[0]
        beyond = np.maximum(coefficients[:, 2] - SLIPS_AT, 0.0)
        rollers = 20.0 * speed * np.sqrt(1.0 + 2.0 * coefficients) - np.outer(beyond, (0, 0, 100.0))
        force = 400.0 * speed * coefficients.sum(axis=1)
        return np.column_stack([rollers, force, 2.0 * force, 3.0 * force, beyond])


@pytest.fixture
def line() -> SmallLine:
    """The model."""
    return SmallLine()


@pytest.fixture
def spec() -> TwinSpec:
    """The small line's description."""
    return TwinSpec.model_validate(
        {
            "name": "web_line",
            "model": {"fmu": "none.fmu"},
            "units": ["line_1"],
            "inputs": [{"name": "web_speed_setpoint", "property": "line_speed"}],
            "coefficients": [
                {"name": name, "unit": "N.m.s/rad", "initial": 1e-3, "initial_std": 5e-3, "bounds": [0, 0.5]}
                | {"drift_std_per_sqrt_hour": 2e-3}
                for name in COEFFICIENTS
            ],
            "measurements": [
                {"name": name, "property": f"{name}_measured", "noise_std": 2e-3 if name.startswith("w") else 0.2}
                | {"valid_range": [-10, 1000], "stuck_after": "2h"}
                for name in MEASUREMENTS
            ],
            "virtual_sensors": [{"name": "torque", "unit": "N.m"}, {"name": SLIPPING, "unit": "m/s"}],
            "align": {"every": "20min"},
        }
    )


@pytest.fixture
def times() -> pd.DatetimeIndex:
    """Three days, every 20 minutes."""
    return pd.date_range("2026-01-01", periods=216, freq="20min", tz="UTC", unit="ns")
