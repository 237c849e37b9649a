"""From the spec to what the filter takes: coefficients, noise, gate, what is held; how its model is run."""

import hashlib
import json

import numpy as np

from twin_assets.estimation import Coefficients, FilterSettings
from twin_assets.estimation.diagnosis import Watch
from twin_assets.spec import TwinSpec


def coefficients_of(spec: TwinSpec) -> Coefficients:
    """The spec's coefficients as arrays (n,), in its order."""
    parts = spec.coefficients
    bounds = np.array([part.bounds for part in parts], dtype=np.float64)
    return Coefficients(
        names=tuple(part.name for part in parts),
        initial=np.array([part.initial for part in parts]),
        initial_std=np.array([part.initial_std for part in parts]),
        drift_std_per_sqrt_hour=np.array([part.drift_std_per_sqrt_hour for part in parts]),
        lower=np.where(np.isnan(bounds[:, 0]), -np.inf, bounds[:, 0]),
        upper=np.where(np.isnan(bounds[:, 1]), np.inf, bounds[:, 1]),
    )


def settings_of(spec: TwinSpec) -> FilterSettings:
    """Measurement noise (m,), in the spec's order, gate, what may be reused, and whether to hold what is not told."""
    hold = spec.identifiability == "hold"
    return FilterSettings(
        # NaN where there is none: it is estimated.
        noise_std=np.array([part.noise_std for part in spec.measurements], dtype=np.float64),
        gate_probability=spec.checks.gate_probability,
        # What is held is looked for in every update anew.
        # Those of a process that never rests are other ones at every time.
        reuse=spec.filter.reuse and not hold and not spec.transient,
        hold=hold,
        resolution=np.array([part.resolution or 0.0 for part in spec.measurements]),
        input_std=np.array([part.noise_std or 0.0 for part in spec.inputs]),
        adaptive_drift=spec.filter.adaptive_drift,
    )


def watch_of(spec: TwinSpec) -> Watch | None:
    """What the sensors are judged by, in the spec's order; None where they are not."""
    if not spec.filter.diagnosis:
        return None
    return Watch(
        channels=tuple(part.name for part in spec.measurements),
        ends=np.array([part.valid_range for part in spec.measurements], dtype=np.float64),
        resolution=np.array([part.resolution or 0.0 for part in spec.measurements]),
        estimated=np.array([part.noise_std is None for part in spec.measurements]),
    )


def estimates_noise(spec: TwinSpec) -> tuple[str, ...]:
    """Names of the measurements whose noise is estimated."""
    return tuple(part.name for part in spec.measurements if part.noise_std is None)


def how_it_runs(spec: TwinSpec) -> str:
    """Hex hash of what decides whether a run of the model ends (time-out, isolation), not of what comes of it."""
    how = spec.model.model_dump(mode="json", include=set(spec.model.HOW_IT_RUNS))
    return hashlib.sha256(json.dumps(how, sort_keys=True).encode()).hexdigest()
