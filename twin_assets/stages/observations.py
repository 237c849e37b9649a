"""observations: telemetry aligned on common times and gated; NaN where nothing trustworthy was measured, and why.

Belongs here: which samples make one observation. What a single sample is worth is ``gating``'s.

An observation is a *slot* of time with a label, its beginning. With ``align.every`` slots are the cells of a grid that
is anchored at 1970-01-01; without it a slot begins at a sample of any measurement and takes in what follows within
``align.tolerance``. Slots never cross a window's boundary, they are cut there: so every sample belongs to exactly one
observation, which its own window holds.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twin_assets.model import Floats
from twin_assets.spec import InputSpec, TwinSpec
from twin_assets.stages.gating import GOOD, REASONS, ChannelSamples, Times, by_channel, gated
from twin_assets.windows import Window, WindowGrid

OPEN_UNTIL = "open_until"
NO_CHANNEL = ChannelSamples(np.array([], np.int64), np.array([], np.float64), np.array([], np.int8))


class Observations(NamedTuple):
    """Observations of one window.

    Attributes:
        frame: the table.
        metadata: to be written beside it: when a slot that is still open will be complete.
    """

    frame: pd.DataFrame
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class _Slots:
    """The observations of one unit in one window; b slots, disjoint, in order.

    Attributes:
        label: (b,) beginnings, ns.
        end: (b,) ends, ns, exclusive.
    """

    label: Times
    end: Times

    def index(self, times: Times) -> NDArray[np.int64]:
        """(n,) the slot of each time, -1 for none."""
        at = np.searchsorted(self.label, times, side="right") - 1
        inside = (at >= 0) & (times < self.end[at]) if self.label.size else np.zeros(times.size, dtype=bool)
        return np.where(inside, at, -1)

    def until(self, now_ns: int) -> "_Slots":
        """Those that are complete."""
        return _Slots(self.label[self.end <= now_ns], self.end[self.end <= now_ns])


def telemetry_windows(spec: TwinSpec, grid: WindowGrid, window: Window) -> list[Window]:
    """The windows whose telemetry ``observe`` needs: this one, and the earlier ones that its look back reaches.

    It looks back to hold inputs (``max_age``) and to notice stuck measurements (``stuck_after``).
    """
    held = [channel.max_age for channel in spec.inputs if channel.constant is None]
    stuck = [channel.stuck_after for channel in spec.measurements if channel.stuck_after is not None]
    return grid.between(window.start - max([*held, *stuck], default=timedelta(0)), window.end)


def observe(
    spec: TwinSpec, units: tuple[str, ...], window: Window, telemetry: pd.DataFrame, now: pd.Timestamp
) -> Observations:
    """Observations of one window: a row per unit and slot, ordered by unit (as given), time (the slot's label).

    A row is given where any measurement has a sample in the slot (in transient mode also where an input has),
    trustworthy or not, once the slot is complete: its end is not after ``now``. A value is the mean of the slot's good
    samples. Without any, it is NaN and the reason that of the slot's other samples: "stuck" before "range" before
    "quality"; "missing" without any sample. An input without a good sample in the slot keeps its last good value while
    that is not older than ``max_age`` at the label.

    Args:
        spec: channels, alignment, valid ranges.
        units: units to observe.
        window: rows with ``start <= time < end``.
        telemetry: samples of ``telemetry_windows``, e.g. ``store.read_many``; any order.
        now: an observation is given only when it is complete.

    Returns:
        unit, time, for each measurement ``<name>`` (float) and ``<name>_reason`` ("", "missing", "quality", "range",
        "stuck"), for each input ``<name>`` and ``<name>_reason`` ("", "missing", "quality", "range"). Metadata
        ``open_until`` (ISO time, UTC) is there when an observation was withheld for being incomplete.
    """
    samples = by_channel(telemetry)
    now_ns = _ns(now)
    frames, ends = [], []
    for unit in units:
        slots = _slots(spec, window, [samples.get((unit, source), NO_CHANNEL).time for source in _sampled(spec)])
        frames.append(_unit_frame(spec, unit, slots.until(now_ns), samples))
        ends.append(slots.end[slots.end > now_ns])
    frame = pd.concat(frames, ignore_index=True) if frames else _unit_frame(spec, "", _slots(spec, window, []), {})
    withheld = np.concatenate(ends) if ends else np.array([], np.int64)
    if not withheld.size:
        return Observations(frame, {})
    return Observations(frame, {OPEN_UNTIL: pd.Timestamp(withheld.min(), unit="ns", tz="UTC").isoformat()})


def _sampled(spec: TwinSpec) -> list[str]:
    """Properties whose samples make slots. Of a process that never rests it counts how its inputs moved in between."""
    moving = [part.source for part in spec.inputs if part.constant is None] if spec.transient else []
    return [*(part.source for part in spec.measurements), *moving]


def _slots(spec: TwinSpec, window: Window, measured: list[Times]) -> _Slots:
    """The slots of one unit, from the sample times of what makes them, each in order."""
    start, end = _ns(window.start), _ns(window.end)
    times = np.unique(np.concatenate([np.array([], np.int64), *measured]))
    times = times[(times >= start) & (times < end)]
    if spec.align.every is None:
        label = _chained(times, _span_ns(spec.align.tolerance))
        # Inclusive of the tolerance: times that agree within it are one observation.
        return _Slots(label, np.minimum(_cut(label, _span_ns(spec.align.tolerance) + 1), end))
    every = _span_ns(spec.align.every)
    cell = np.unique(times // every * every)
    return _Slots(np.maximum(cell, start), np.minimum(cell + every, end))


def _chained(times: Times, tolerance: int) -> Times:
    """First times of groups that span at most the tolerance; a new group begins where the last one ends."""
    ordered = times.tolist()
    labels, at = [], 0
    while at < len(ordered):
        labels.append(ordered[at])
        at = bisect_right(ordered, ordered[at] + tolerance, lo=at)
    return np.array(labels, dtype=np.int64)


def _cut(label: Times, span: int) -> Times:
    return np.asarray(label + span, dtype=np.int64)


def _unit_frame(
    spec: TwinSpec, unit: str, slots: _Slots, samples: Mapping[tuple[str, str], ChannelSamples]
) -> pd.DataFrame:
    columns: dict[str, object] = {
        "unit": pd.Series([unit] * slots.label.size, dtype="str"),
        "time": pd.to_datetime(slots.label, utc=True, unit="ns"),
    }
    for part in spec.measurements:
        found = gated(samples.get((unit, part.source), NO_CHANNEL), part.valid_range, part.stuck_after)
        value, code = _means(slots, found)
        columns |= {part.name: value, f"{part.name}_reason": _text(code)}
    for channel in spec.inputs:
        value, code = _input(channel, slots, samples.get((unit, channel.source), NO_CHANNEL))
        columns |= {channel.name: value, f"{channel.name}_reason": _text(code)}
    return pd.DataFrame(columns)


def _means(slots: _Slots, samples: ChannelSamples) -> tuple[Floats, NDArray[np.int8]]:
    """(b,) mean of the good samples of each slot, NaN without; (b,) code of the reason, GOOD where there is a mean."""
    index, size = slots.index(samples.time), slots.label.size
    good = (index >= 0) & (samples.code == GOOD)
    bad = (index >= 0) & (samples.code != GOOD)
    count = np.bincount(index[good], minlength=size)
    total = np.bincount(index[good], weights=samples.value[good], minlength=size)
    code = np.full(size, REASONS.index("missing"), dtype=np.int8)
    np.maximum.at(code, index[bad], samples.code[bad])
    known = count > 0
    mean = np.divide(total, count, out=np.full(size, np.nan), where=known)
    return mean, np.where(known, GOOD, code).astype(np.int8)


def _input(channel: InputSpec, slots: _Slots, samples: ChannelSamples) -> tuple[Floats, NDArray[np.int8]]:
    """(b,) operating condition of each slot and (b,) code of the reason where it is NaN."""
    if channel.constant is not None:
        return np.full(slots.label.size, channel.constant), np.full(slots.label.size, GOOD, dtype=np.int8)
    found = gated(samples, channel.valid_range, None)
    mean, code = _means(slots, found)
    good = found.code == GOOD
    times, values = found.time[good], found.value[good]
    if not times.size:
        return mean, code
    last = np.searchsorted(times, slots.label, side="right") - 1
    young = (last >= 0) & (slots.label - times[last] <= _span_ns(channel.max_age))
    held = np.isnan(mean) & young
    return np.where(held, values[last], mean), np.where(held, GOOD, code).astype(np.int8)


def _text(code: NDArray[np.int8]) -> "pd.Series[str]":
    return pd.Series(np.array(REASONS)[code], dtype="str")


def _ns(time: pd.Timestamp) -> int:
    return int(time.as_unit("ns").value)


def _span_ns(span: timedelta) -> int:
    return span // timedelta(microseconds=1) * 1000
