"""What is to do now: windows with news, and the range that a live run materializes.

**Live is backfill**: a live run goes through the same stages as a backfill, from the earliest window with anything to do
up to the one that holds now; after an outage of three days that is four windows.
"""

import pandas as pd

from twin_assets.historian.base import Historian
from twin_assets.spec import TwinSpec
from twin_assets.store import Store
from twin_assets.windows import Window, WindowGrid


def pending_windows(
    historian: Historian, store: Store, spec: TwinSpec, grid: WindowGrid, now: pd.Timestamp
) -> list[Window]:
    """Windows with something to do, in order; empty when all is up to date.

    A window is pending when samples arrived in it that its telemetry does not hold, when an observation in it has
    become complete since, when a later stage is missing or stale (a crash in between), or when the results were neither
    published nor refused. Every window after a pending one is to be materialized too, for the state is handed on:
    ``live_windows`` gives that range.
    """
    raise NotImplementedError


def live_windows(
    historian: Historian, store: Store, spec: TwinSpec, grid: WindowGrid, now: pd.Timestamp
) -> list[Window]:
    """The contiguous range of a live run: from the first pending window, or the one that holds the watermark, to now's.

    Empty only while there is neither telemetry nor any result.
    """
    raise NotImplementedError
