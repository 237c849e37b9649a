"""A process that never rests, in closed form: a mass on a spring with a damper, pushed by a force that moves."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from twin_assets.model import Floats, InputPath
from twin_assets.spec import TwinSpec

MASS, DAMPING, STIFFNESS = 2.0, 0.9, 3.0
NOISE_STD = 0.03
EVERY_S = 0.5
START = pd.Timestamp("2026-01-01", tz="UTC")

SPEC: Mapping[str, Any] = {
    "name": "swing",
    "model": {"fmu": "swing.fmu", "mode": "transient", "memory_s": 40.0},
    "inputs": [{"name": "force", "max_age": "2s"}],
    "coefficients": [
        {"name": "mass", "initial": 2.3, "initial_std": 0.3, "bounds": [0.1, None]},
        {"name": "stiffness", "initial": 2.8, "initial_std": 0.3, "bounds": [0.1, None]},
    ],
    "measurements": [{"name": "position", "noise_std": NOISE_STD}],
    "virtual_sensors": [{"name": "speed"}],
    "align": {"tolerance": "10ms"},
    "window": "* * * * *",
    "start": "2026-01-01",
}


def spec_of(**sections: object) -> TwinSpec:
    """The twin; sections replace its own, those of the model are added to it."""
    model = {**SPEC["model"], **(sections.pop("model", None) or {})}  # type: ignore[dict-item]
    return TwinSpec.model_validate({**SPEC, "model": model, **sections})


class Swing:
    """m x'' + d x' + c x = u with coefficients m and c; u straight or held between its values, solved exactly."""

    coefficients = ("mass", "stiffness")
    inputs = ("force",)
    outputs = ("position", "speed")

    def __init__(self) -> None:
        self.model_runs = 0
        self.intervals = 0

    def evaluate(self, coefficients: Floats, inputs: Floats) -> Floats:
        """At rest: x = u / c."""
        self.model_runs += len(coefficients)
        return _at_rest(coefficients, inputs)

    def follow(self, coefficients: Floats, path: InputPath) -> Floats:
        """See TransientModel."""
        self.model_runs += len(coefficients)
        self.intervals += len(coefficients) * (path.times_s.size - 1)
        states = _at_rest(coefficients, path.inputs[0])
        found, wanted = [states], set(path.read.tolist())
        rounded, steps = np.round(np.diff(path.times_s), 9), {}
        for span in np.unique(rounded):
            steps[span] = [_exact(m, c, span) for m, c in coefficients]
        for i, span in enumerate(rounded):
            here, after = path.inputs[i, 0], path.inputs[i + 1, 0]
            slope = (after - here) / span if path.linear[0] else 0.0
            whole = np.column_stack([states, np.full(len(states), here), np.full(len(states), slope)])
            states = np.stack([(step @ row)[:2] for step, row in zip(steps[span], whole, strict=True)])
            found.append(states)
        return np.stack([found[i] for i in sorted(wanted)], axis=1)


def _at_rest(coefficients: Floats, inputs: Floats) -> Floats:
    return np.column_stack([inputs[0] / coefficients[:, 1], np.zeros(len(coefficients))])


def _exact(mass: float, stiffness: float, span: float) -> Floats:
    """(4, 4) transition of position, speed, force and its slope (Van Loan 1978)."""
    from scipy.linalg import expm

    rates = np.zeros((4, 4))
    rates[0, 1] = 1.0
    rates[1, :3] = [-stiffness / mass, -DAMPING / mass, 1.0 / mass]
    rates[2, 3] = 1.0
    return np.asarray(expm(rates * span))


def forces(count: int, rng: np.random.Generator) -> Floats:
    """(count,) a force that wanders and never comes to rest."""
    found, value = [], 0.0
    for _ in range(count):
        value = 0.8 * value + rng.normal()
        found.append(value)
    return np.array(found)


def recorded(truth: Floats, count: int, seed: int, *, lead: int = 0, noise_std: float = NOISE_STD) -> pd.DataFrame:
    """Observations of a swing with coefficients (2,), as ``observe`` gives them; it was at rest so many of them ago."""
    rng = np.random.default_rng(seed)
    times_s, force = np.arange(float(lead + count)) * EVERY_S, forces(lead + count, rng)
    path = InputPath(times_s, force[:, np.newaxis], np.arange(lead, lead + count), np.array([True]))
    position = Swing().follow(truth[np.newaxis], path)[0, :, 0] + noise_std * rng.normal(size=count)
    times_s, force = times_s[:count], force[lead:]
    return pd.DataFrame(
        {
            "unit": pd.Series(["swing"] * count, dtype="str"),
            "time": START + pd.to_timedelta(times_s, unit="s"),
            "position": position,
            "position_reason": pd.Series([""] * count, dtype="str"),
            "force": force,
            "force_reason": pd.Series([""] * count, dtype="str"),
        }
    )
