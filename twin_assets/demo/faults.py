"""What goes wrong between a sensor and the historian: dropouts, dead and stuck channels, outliers, bad quality, delay.

Belongs here: measured values in, samples out, and a ledger of what was done to them, against which the summary holds
what the twin noticed.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twin_assets.demo.plant import Plant
from twin_assets.historian.base import SAMPLE_COLUMNS
from twin_assets.model import Floats
from twin_assets.spec import MeasurementSpec, TwinSpec

DROPOUT_PROBABILITY = 0.01
# Of the noise: unmistakable. A smaller outlier of one roller speed can be a bearing that moved a little.
OUTLIER_SIGMAS = (60.0, 300.0)
FAR_OUT = 10.0  # a broken range: this many times the upper end of what can be
# The block of all channels that the gateway holds back, as parts of the period: in the last day of three.
LATE = (0.72, 0.78)


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong with one channel.

    Attributes:
        reason: what the twin is to say about it: "missing", "stuck", "quality", "range" or "gated".
        start: part of the period at which it begins.
        end: part of the period at which it is over.
        fewest: samples that it lasts at least: in a short period it begins earlier, in one too short it is left out.
    """

    reason: str
    start: float
    end: float
    fewest: int = 1


# One channel each, chosen at random; all before the worn roller slips, so that either can be told from the other.
SCRIPT = (
    Fault("missing", 0.15, 0.26),
    Fault("stuck", 0.30, 0.42, fewest=9),  # it is known to be stuck after two hours, which are six
    Fault("gated", 0.47, 0.50),
    Fault("quality", 0.58, 0.63),
    Fault("range", 0.66, 0.69),
)


@dataclass(frozen=True)
class Recording:
    """What the historian gets to see.

    Attributes:
        prompt: samples (SAMPLE_COLUMNS) that arrive in time.
        late: samples that arrive after the first calibration.
        injected: ``time`` and ``<measurement>_reason``: what was done to each value, "" where nothing.
    """

    prompt: pd.DataFrame
    late: pd.DataFrame
    injected: pd.DataFrame


def record(spec: TwinSpec, unit: str, plant: Plant, rng: np.random.Generator) -> Recording:
    """Measure the plant with noise and faults.

    Args:
        spec: the twin: noise, valid ranges, names in the historian.
        unit: the machine.
        plant: what really happened.
        rng: the source of all that is random.
    """
    names = [m.name for m in spec.measurements]
    noise = np.array([m.noise_std for m in spec.measurements])
    values = plant.outputs[names].to_numpy() + rng.normal(size=(len(plant.times), len(names))) * noise
    reasons = np.full(values.shape, "", dtype="<U8")
    reasons[rng.random(values.shape) < DROPOUT_PROBABILITY] = "missing"
    for column, fault in _assignment(spec, rng):
        rows = _rows(plant.times, fault.start, fault.end, fault.fewest)
        values[rows, column] = _spoiled(values[rows, column], fault.reason, spec.measurements[column], rng)
        reasons[rows, column] = np.where(reasons[rows, column] == "missing", "missing", fault.reason)
    samples = _samples(spec, unit, plant, values, reasons)
    held_back = samples["time"].isin(plant.times[_rows(plant.times, *LATE)])
    injected = pd.DataFrame(reasons, columns=[f"{name}_reason" for name in names])
    injected.insert(0, "time", plant.times)
    return Recording(samples[~held_back].reset_index(drop=True), samples[held_back].reset_index(drop=True), injected)


def _assignment(spec: TwinSpec, rng: np.random.Generator) -> Iterator[tuple[int, Fault]]:
    """Channels (columns) and their faults: each on a channel of its own that can show it, as far as these suffice."""
    free = list(rng.permutation(len(spec.measurements)))
    for fault in SCRIPT:
        able = [column for column in free if _can_show(spec.measurements[column], fault.reason)]
        if able:
            free.remove(able[0])
            yield int(able[0]), fault


def _can_show(measurement: MeasurementSpec, reason: str) -> bool:
    if reason == "stuck":
        return measurement.stuck_after is not None
    if reason == "range":
        return measurement.valid_range[1] is not None
    return True


def _rows(times: pd.DatetimeIndex, start: float, end: float, fewest: int = 1) -> NDArray[np.int64]:
    """Samples between two parts of the period, or the fewest up to the second part; none where these do not fit."""
    last = int(end * len(times))
    first = min(int(start * len(times)), last - fewest)
    return np.arange(first, last) if first >= 0 else np.arange(0)


def _spoiled(values: Floats, reason: str, measurement: MeasurementSpec, rng: np.random.Generator) -> Floats:
    """What a fault makes of (r,) values."""
    if reason == "stuck":
        return np.full_like(values, values[0]) if len(values) else values
    if reason == "gated":
        sigmas = rng.uniform(*OUTLIER_SIGMAS, size=len(values)) * rng.choice([-1.0, 1.0], size=len(values))
        return np.asarray(values + sigmas * measurement.noise_std, dtype=np.float64)
    if reason == "range":
        top = FAR_OUT * (measurement.valid_range[1] or 1.0)
        return np.asarray(top * rng.uniform(1.0, 2.0, size=len(values)), dtype=np.float64)
    return values


def _samples(spec: TwinSpec, unit: str, plant: Plant, values: Floats, reasons: NDArray[np.str_]) -> pd.DataFrame:
    """Long samples of what was measured and of the operating conditions."""
    parts = []
    for column, measurement in enumerate(spec.measurements):
        quality = np.where(reasons[:, column] == "quality", "BAD", "GOOD")
        part = pd.DataFrame({"time": plant.times, "value": values[:, column], "quality": quality})
        parts.append(part[reasons[:, column] != "missing"].assign(property=measurement.source))
    for one in spec.inputs:
        if one.constant is None:
            part = pd.DataFrame({"time": plant.times, "value": plant.inputs[one.name].to_numpy(), "quality": "GOOD"})
            parts.append(part.assign(property=one.source))
    samples = pd.concat(parts, ignore_index=True).assign(unit=unit)
    return pd.DataFrame({column: samples[column] for column in SAMPLE_COLUMNS})
