"""From the spec to what the filter takes: coefficients, noise, gate."""

import numpy as np

from twin_assets.estimation import Coefficients, FilterSettings
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
    """Measurement noise (m,), in the spec's order, gate, and what may be reused."""
    noise_std = np.array([part.noise_std for part in spec.measurements])
    return FilterSettings(noise_std, spec.checks.gate_probability, reuse=spec.filter.reuse)
