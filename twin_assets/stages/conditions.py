"""Operating points: a handful of input conditions that stand for all that the historian has seen of a twin.

Belongs here: which conditions were seen, and which of them are representative. What the model says there is
``estimation.sensitivity``'s.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from twin_assets.historian.base import Historian
from twin_assets.model import Floats
from twin_assets.spec import TwinSpec
from twin_assets.stages.observations import observe
from twin_assets.stages.telemetry import channel_properties, resolve_units
from twin_assets.windows import Window

MOST = 8
"""So many operating points at most: each costs all the model runs again."""

# What is looked at: so many stretches, spread evenly over all that was recorded, with so many samples of measurements.
_STRETCHES, _SAMPLES = 24, 50_000
# Nearer than this to another, in parts of the range seen, a condition is no other.
_DISTINCT = 0.25
# A range smaller than this part of the values is noise of a constant.
_CONSTANT = 0.01


@dataclass(frozen=True, eq=False)
class Conditions:
    """Operating points of a twin.

    Attributes:
        points: (q, p) values of the spec's inputs.
        shares: (q,) part of what was seen that each is nearest to; they sum to one.
        observations: how many were looked at; 0 if the points do not come from the historian.
    """

    points: Floats
    shares: Floats
    observations: int


def seen_conditions(historian: Historian, spec: TwinSpec) -> Conditions | None:
    """Representatives of the conditions under which anything was measured; None if nothing was, or no input is.

    They are those of whole observations, as the filter would take them, of all units.

    Raises:
        HistorianError: if the historian cannot be used.
    """
    if all(part.constant is not None for part in spec.inputs):
        return None
    seen = np.vstack([np.empty((0, len(spec.inputs))), *_seen(historian, spec)])
    return representatives(seen) if len(seen) else None


def representatives(seen: Floats) -> Conditions:
    """Conditions that lie far apart: farthest-point sampling (Gonzalez 1985), from the most central one.

    Distances are in parts of each input's range; the sampling ends when nothing lies far from all that were chosen.

    Args:
        seen: (k, p) at least one.
    """
    distinct, counts = np.unique(seen, axis=0, return_counts=True)
    span = np.ptp(distinct, axis=0)
    varies = span > _CONSTANT * np.abs(distinct).max(axis=0)
    scaled = distinct[:, varies] / span[varies]
    middle = np.median(np.repeat(scaled, counts, axis=0), axis=0)
    chosen = [int(np.argmin(np.linalg.norm(scaled - middle, axis=1)))]
    distances = np.linalg.norm(scaled - scaled[chosen[0]], axis=1)[:, np.newaxis]
    while len(chosen) < MOST and distances.min(axis=1).max() > _DISTINCT:
        chosen.append(int(np.argmax(distances.min(axis=1))))
        distances = np.column_stack([distances, np.linalg.norm(scaled - scaled[chosen[-1]], axis=1)])
    shares = np.bincount(distances.argmin(axis=1), weights=counts, minlength=len(chosen)) / counts.sum()
    return Conditions(distinct[chosen], shares, len(seen))


def _seen(historian: Historian, spec: TwinSpec) -> Iterator[Floats]:
    """(k, p) inputs of the observations of each of the stretches that are looked at."""
    units = resolve_units(spec, historian)
    for stretch in _stretches(historian, spec, units):
        frame = observe(spec, units, stretch, _telemetry(historian, spec, units, stretch), stretch.end).frame
        measured = frame[[part.name for part in spec.measurements]].notna().any(axis=1)
        inputs = frame.loc[measured, [part.name for part in spec.inputs]]
        yield inputs.dropna().to_numpy(dtype=np.float64)


def _stretches(historian: Historian, spec: TwinSpec, units: tuple[str, ...]) -> list[Window]:
    """Whole hours in which something was measured: all of them if they hold few samples, else some here and there."""
    measured = tuple(sorted({part.source for part in spec.measurements}))
    buckets = historian.arrivals(units, measured).buckets
    if buckets.empty:
        return []
    hours = len(buckets)
    affordable = max(1, int(_SAMPLES / buckets["samples"].mean()))
    count = 1 if affordable >= hours else min(_STRETCHES, affordable)
    length = min(hours, affordable) // count
    firsts = np.linspace(0, hours - length, count).round().astype(int)
    edges = zip(buckets["start"].iloc[firsts], buckets["end"].iloc[firsts + length - 1], strict=True)
    return [Window(f"{start:%Y-%m-%dT%H%M}", start, end) for start, end in edges]


def _telemetry(historian: Historian, spec: TwinSpec, units: tuple[str, ...], stretch: Window) -> pd.DataFrame:
    """Samples of a stretch, and what is held from before of the inputs that have none in it."""
    samples = historian.read(units, channel_properties(spec), stretch.start, stretch.end)
    found = set(samples["property"])
    held = [part for part in spec.inputs if part.constant is None and part.source not in found]
    if not held:
        return samples
    start = stretch.start - max(part.max_age for part in held)
    earlier = historian.read(units, tuple(sorted({part.source for part in held})), start, stretch.start)
    return pd.concat([samples, earlier], ignore_index=True)
