"""What of IoT SiteWise is read again to notice arrivals, and when.

- **New series, or a lost ledger**: all that it holds, once.
- **Every look**: the last NEAR, where live data arrive: of 16 properties one request.
- **Every SWEEP**: all since LOOK_BACK before the sweep before it, for SiteWise itself takes nothing older directly:
  late data and corrections by others are noticed that late, also after a time in which nobody looked.
- **What was written by us** (by any process with this ledger) that is not RECENT, wherever in time: once it is written.

Not noticed is what others import in bulk, older than LOOK_BACK.

Aggregates would be shorter to read, but they leave qualities out, come minutes later, and are not computed for what is
imported.
"""

from collections.abc import Sequence

import pandas as pd

from twin_assets.aws.sitewise import SiteWise, Stretch
from twin_assets.aws.tqv import Series
from twin_assets.historian.ledger import Hours, Ledger, Watch
from twin_assets.historian.rows import FUTURE_ALLOWANCE, to_ns
from twin_assets.historian.schema import HOUR_NS
from twin_assets.historian.slots import samples_of

NEAR = pd.Timedelta(hours=2)
SWEEP = pd.Timedelta(hours=1)
RECENT = NEAR - SWEEP  # what is written so young is noticed by every look until the next sweep
LOOK_BACK = pd.Timedelta(days=7, hours=2)
SETTLING = pd.Timedelta(minutes=2)  # SiteWise may show what it has taken a little later


def look(sitewise: SiteWise, ledger: Ledger, series: Sequence[Series], now: pd.Timestamp) -> None:
    """Read again what may have changed, and note in the ledger what has.

    Args:
        sitewise: the service.
        ledger: of what was seen before.
        series: what is looked at.
        now: what the clock says.
    """
    now_ns = to_ns(now)
    watches = ledger.watches(series)
    stretches = [stretch for each, watch in watches.items() for stretch in _stretches(each, watch, now_ns)]
    found = sitewise.history(stretches)
    ledger.note(
        [
            Hours.of(stretch.series, stretch.start_ns, stretch.end_ns, samples_of(points))
            for stretch, points in zip(stretches, found, strict=True)
        ]
    )
    ledger.swept([each for each, watch in watches.items() if _sweeps(watch, now_ns)], now_ns)
    settled = {each: watch.write for each, watch in watches.items() if watch.write is not None}
    ledger.seen({each: write for each, write in settled.items() if write.until_ns + SETTLING.value <= now_ns})


def _sweeps(watch: Watch, now_ns: int) -> bool:
    return watch.swept_ns is None or now_ns - watch.swept_ns >= SWEEP.value


def _stretches(series: Series, watch: Watch, now_ns: int) -> list[Stretch]:
    """Whole hours of a series that have to be read, without overlaps."""
    end_ns = (now_ns + FUTURE_ALLOWANCE.value) // HOUR_NS * HOUR_NS + HOUR_NS
    start_ns = 0
    if watch.swept_ns is not None:
        # What came right after the last sweep may have been as old then as SiteWise takes it.
        back_ns = watch.swept_ns - LOOK_BACK.value if _sweeps(watch, now_ns) else now_ns - NEAR.value
        start_ns = max(0, back_ns // HOUR_NS * HOUR_NS)
    found = [Stretch(series, start_ns, end_ns)]
    if watch.write is not None and watch.write.until_ns <= now_ns and watch.write.start_ns < start_ns:
        found.append(Stretch(series, watch.write.start_ns, min(watch.write.end_ns, start_ns)))
    return found
