"""telemetry: raw samples of one window, as the historian holds them now."""

import json
from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from twin_assets.historian.base import SAMPLE_COLUMNS, Arrivals, Historian
from twin_assets.spec import TwinSpec
from twin_assets.windows import Window

CURSOR = "cursor"
CHANNELS = "channels"


class Telemetry(NamedTuple):
    """Samples of one window.

    Attributes:
        frame: SAMPLE_COLUMNS, ordered by unit, property, time, quality.
        cursor: position of the newest arrival in this window that the frame is sure to hold.
        metadata: to be written beside the frame.
    """

    frame: pd.DataFrame
    cursor: int
    metadata: Mapping[str, str]


def channel_properties(spec: TwinSpec) -> tuple[str, ...]:
    """Historian properties that the twin reads: sources of measured inputs and of measurements; sorted, each once."""
    return tuple(sorted({source.name for source in spec.sources}))


def resolve_units(spec: TwinSpec, historian: Historian) -> tuple[str, ...]:
    """The units: as listed, one named like the twin if none is, or those in the historian with a measured property."""
    if spec.named_units is not None:
        return spec.named_units
    measured = tuple(sorted({part.source for part in spec.measurements}))
    return tuple(unit for unit in historian.units(measured) if spec.holds(unit))


def read_telemetry(
    historian: Historian, spec: TwinSpec, units: tuple[str, ...], window: Window, arrivals: Arrivals | None = None
) -> Telemetry:
    """Read one window.

    The cursor is taken before the samples: what arrives in between is read now and merely counted as new once more.
    It is the newest position within the window's own time, so equal samples always come with an equal cursor.

    Args:
        historian: where the samples are.
        spec: names the properties.
        units: units to read.
        window: its time range.
        arrivals: ``historian.arrivals(units, channel_properties(spec))`` taken earlier, to ask once for many windows.
    """
    properties = channel_properties(spec)
    buckets = (historian.arrivals(units, properties) if arrivals is None else arrivals).buckets
    here = buckets[(buckets["start"] < window.end) & (buckets["end"] > window.start)]
    cursor = int(here["cursor"].max()) if len(here) else 0
    frame = historian.read(units, properties, window.start, window.end)[list(SAMPLE_COLUMNS)]
    return Telemetry(frame, cursor, {CURSOR: str(cursor), CHANNELS: channels_text(spec, units)})


def with_lost(telemetry: Telemetry, lost: Mapping[str, pd.Timestamp], earlier: pd.DataFrame | None) -> Telemetry:
    """The same and, of what the historian has lost since, what was read before.

    A machine that was taken away, or whose asset was deleted, has been measured all the same.

    Args:
        telemetry: as it is read now.
        lost: of which units, before which times (``units.lost``).
        earlier: the window's table as it was read before.
    """
    if earlier is None or earlier.empty or not lost:
        return telemetry
    kept = pd.concat([earlier[(earlier["unit"] == unit) & (earlier["time"] < until)] for unit, until in lost.items()])
    if kept.empty:
        return telemetry
    parts = [part for part in (telemetry.frame, kept) if len(part)]
    # Stable: what one unit has of a property stays in the historian's order.
    frame = pd.concat(parts).sort_values(["unit", "property", "time"], kind="stable", ignore_index=True)
    return telemetry._replace(frame=frame)


def channels_text(spec: TwinSpec, units: tuple[str, ...]) -> str:
    """Which units and properties a telemetry table was read for; another answer asks for reading it again."""
    return json.dumps({"units": sorted(units), "properties": channel_properties(spec)})


def read_units(metadata: Mapping[str, str] | None) -> tuple[str, ...]:
    """The units that a telemetry table was read for; none without one."""
    text = (metadata or {}).get(CHANNELS)
    return () if text is None else tuple(json.loads(text)["units"])
