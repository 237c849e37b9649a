"""observations: telemetry aligned on common times and gated; NaN where nothing trustworthy was measured, and why."""

import pandas as pd

from twin_assets.spec import TwinSpec
from twin_assets.windows import Window, WindowGrid


def telemetry_windows(spec: TwinSpec, grid: WindowGrid, window: Window) -> list[Window]:
    """The windows whose telemetry ``observe`` needs: this one, and the earlier ones that held values reach back to."""
    raise NotImplementedError


def observe(
    spec: TwinSpec, units: tuple[str, ...], window: Window, telemetry: pd.DataFrame, now: pd.Timestamp
) -> pd.DataFrame:
    """Observations of one window: a row per unit and time, ordered by unit (as given), time.

    Args:
        spec: channels, alignment, valid ranges.
        units: units to observe.
        window: rows with ``start <= time < end``.
        telemetry: samples of ``telemetry_windows``, e.g. ``store.read_many``; any order.
        now: an observation is given only when it is complete.

    Returns:
        unit, time, for each measurement ``<name>`` (float) and ``<name>_reason`` ("", "missing", "quality", "range",
        "stuck"), for each input ``<name>`` and ``<name>_reason`` ("", "missing", "quality", "range").
    """
    raise NotImplementedError


def next_completion(
    spec: TwinSpec, units: tuple[str, ...], window: Window, telemetry: pd.DataFrame, now: pd.Timestamp
) -> pd.Timestamp | None:
    """When the first observation that was withheld for being incomplete will be complete; None if none was."""
    raise NotImplementedError
