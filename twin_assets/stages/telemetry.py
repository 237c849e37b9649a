"""telemetry: raw samples of one window, as the historian holds them now."""

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from twin_assets.historian.base import Arrivals, Historian
from twin_assets.spec import TwinSpec
from twin_assets.windows import Window


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
    raise NotImplementedError


def read_telemetry(
    historian: Historian, spec: TwinSpec, units: tuple[str, ...], window: Window, arrivals: Arrivals | None = None
) -> Telemetry:
    """Read one window.

    The cursor is taken before the samples: what arrives in between is read now and merely counted as new once more.

    Args:
        historian: where the samples are.
        spec: names the properties.
        units: units to read.
        window: its time range.
        arrivals: ``historian.arrivals(units, channel_properties(spec))`` taken earlier, to ask once for many windows.
    """
    raise NotImplementedError
