"""A closed-form model that other processes find by its name, and a twin that it belongs to: what teams are tested on.

Everything that goes wrong is asked for by the input: at some speeds the model cannot be evaluated, at others its
process dies.
"""

import hashlib
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from twin_assets.model import EvaluationError, Floats
from twin_assets.spec import TwinSpec
from twin_assets.spec_file import Twin

FAILS_AT, DIES_AT, DIES_ONCE_AT = 50.0, 60.0, 70.0
FMU = b"stands in for an FMU"
PAIR: Mapping[str, Any] = {
    "name": "fan",
    "model": {"fmu": "fan.fmu"},
    "units": ["a", "b", "c", "d", "e"],
    "inputs": [{"name": "speed"}],
    "coefficients": [{"name": "loss", "initial": 0.1, "initial_std": 0.1, "drift_std_per_sqrt_hour": 0.01}],
    "measurements": [{"name": "flow", "noise_std": 0.05}],
    "virtual_sensors": [{"name": "power"}],
    "start": "2026-01-01",
}


class FanModel:
    """flow = speed (1 - loss) + loss², power = speed² loss."""

    coefficients, inputs, outputs = ("loss",), ("speed",), ("flow", "power")
    sha256 = hashlib.sha256(FMU).hexdigest()

    def __init__(self, folder: Path) -> None:
        self.model_runs, self.model_seconds, self.folder = 0, 0.0, folder

    def evaluate(self, coefficients: Floats, inputs: Floats) -> Floats:
        """See PredictiveModel."""
        self.model_runs += len(coefficients)
        (loss,), (speed,) = coefficients.T, inputs
        if speed == FAILS_AT:
            raise EvaluationError("the fan stalled", {"loss": float(loss[0])})
        died = self.folder / "died_once"
        if speed == DIES_AT or (speed == DIES_ONCE_AT and not died.exists()):
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return np.stack([speed * (1 - loss) + loss**2, speed**2 * loss], axis=1)


@contextmanager
def opened(twin: Twin, _workers: int | None = None) -> Iterator[FanModel]:
    """The model, in whichever process."""
    (twin.path.parent / f"opened_{os.getpid()}").touch()
    yield FanModel(twin.path.parent)


def fan(folder: Path, **sections: object) -> Twin:
    """The twin, in a folder where what stands for its FMU lies."""
    (folder / "fan.fmu").write_bytes(FMU)
    return Twin(TwinSpec.model_validate({**PAIR, **sections}), folder / "twin.yaml", {})


def observed(rows: int = 20, speeds: Mapping[str, Mapping[int, float]] | None = None) -> pd.DataFrame:
    """Observations of all units, every hour; ``speeds``: what a unit ran at in some of its rows, else at 10."""
    parts = []
    for number, unit in enumerate(PAIR["units"]):
        speed = np.full(rows, 10.0)
        for row, value in (speeds or {}).get(unit, {}).items():
            speed[row] = value
        loss = 0.1 + 0.02 * number
        noise = 0.05 * np.random.default_rng(number).normal(size=rows)
        parts.append(
            pd.DataFrame(
                {
                    "unit": unit,
                    "time": pd.date_range("2026-01-01", periods=rows, freq="h", tz="UTC").as_unit("ns"),
                    "flow": speed * (1 - loss) + loss**2 + noise,
                    "flow_reason": "",
                    "speed": speed,
                    "speed_reason": "",
                }
            )
        )
    return pd.concat(parts, ignore_index=True)
