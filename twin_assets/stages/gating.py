"""What a single sample is worth: quality, valid range, stuck sensors.

Belongs here: judging the samples of one channel in the order of time, causally: a sample's verdict never depends on
later ones.
"""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twin_assets.model import Floats
from twin_assets.spec_types import Bounds

Times = NDArray[np.int64]

REASONS = ("", "missing", "quality", "range", "stuck")
"""In ascending precedence: where samples are untrustworthy for several reasons, the last of them is told."""
GOOD, QUALITY, RANGE, STUCK = (REASONS.index(reason) for reason in ("", "quality", "range", "stuck"))


@dataclass(frozen=True)
class ChannelSamples:
    """Samples of one property of one unit: n of them, in the order of time, one for each time.

    Attributes:
        time: (n,) ns since 1970 UTC.
        value: (n,).
        code: (n,) index into REASONS.
    """

    time: Times
    value: Floats
    code: NDArray[np.int8]


def by_channel(telemetry: pd.DataFrame) -> dict[tuple[str, str], ChannelSamples]:
    """Samples of each (unit, property); where one time has several qualities, GOOD wins.

    Args:
        telemetry: SAMPLE_COLUMNS, any order; a frame without rows may lack the columns.
    """
    if telemetry.empty:
        return {}
    return {
        (str(unit), str(name)): _samples(group)
        for (unit, name), group in telemetry.groupby(["unit", "property"], sort=False)
    }


def _samples(group: pd.DataFrame) -> ChannelSamples:
    time = pd.DatetimeIndex(group["time"]).as_unit("ns").asi8
    value = group["value"].to_numpy(dtype=np.float64)
    good = (group["quality"] == "GOOD").to_numpy() & np.isfinite(value)
    # Good ones first among equal times; of several bad ones none is worth more than another.
    order = np.lexsort((~good, time))
    time, value, good = time[order], value[order], good[order]
    first = np.diff(time, prepend=time[0] - 1) > 0
    code = np.where(good[first], GOOD, QUALITY).astype(np.int8)
    return ChannelSamples(time[first], value[first], code)


def gated(samples: ChannelSamples, valid_range: Bounds, stuck_after: timedelta | None) -> ChannelSamples:
    """The samples with the code of every reason that applies; stuck before range before quality.

    A sample is stuck when the good samples before it have had exactly its value for at least ``stuck_after``. The
    samples before that duration was reached stay good: nothing told them from a steady machine.
    """
    code = samples.code.copy()
    low, high = valid_range
    good = samples.code == GOOD
    if low is not None:
        code[good & (samples.value < low)] = RANGE
    if high is not None:
        code[good & (samples.value > high)] = RANGE
    if stuck_after is not None and good.any():
        time, value = samples.time[good], samples.value[good]
        begins = np.diff(value, prepend=np.nan) != 0
        since = time[np.maximum.accumulate(np.where(begins, np.arange(time.size), 0))]
        limit = stuck_after // timedelta(microseconds=1) * 1000
        code[np.flatnonzero(good)[time - since >= limit]] = STUCK
    return ChannelSamples(samples.time, samples.value, code)
