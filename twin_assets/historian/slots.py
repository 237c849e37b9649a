"""What points of IoT SiteWise mean to a twin: samples can be taken away where nothing can be deleted.

SiteWise keeps a point for each time and quality. It is overwritten by the same quality alone, and a GOOD one by a
number alone: null and NaN are for UNCERTAIN and BAD. So of one time

- **NaN** of quality UNCERTAIN or BAD is no sample: it takes the place of one that was withdrawn;
- **null** of quality BAD is none either, and says that GOOD of this time is withdrawn, whatever stands there. Where a
  BAD sample holds that place, null of quality UNCERTAIN says so.

Belongs here: which points are samples, and which points have to be written so that these samples are there and no
others. What a gateway reports as null (no value, quality BAD) is no sample by the same rule.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from twin_assets.aws.tqv import Points

GOOD, UNCERTAIN, BAD = range(3)

IMPOSSIBLE = (
    "IoT SiteWise cannot withdraw a GOOD sample at whose time there are an UNCERTAIN and a BAD one: write one of them"
    " alone"
)


class Point(NamedTuple):
    """What stands at a time in a quality; NaN with ``null`` for null."""

    value: float
    null: bool = False

    @property
    def is_sample(self) -> bool:
        """Whether it is a number."""
        return not math.isnan(self.value)


VOID = Point(math.nan)
WITHDRAWN = Point(math.nan, null=True)

Slots = Mapping[int, Point]  # by quality code, of one time


def samples_of(points: Points) -> Points:
    """Those of a series' points that are samples, by time and quality, the best first; all its points are needed."""
    number = ~np.isnan(points.value)
    bad_times = points.time_ns[(points.code == BAD) & number]
    marks = points.null & ((points.code == BAD) | ((points.code == UNCERTAIN) & np.isin(points.time_ns, bad_times)))
    stale = (points.code == GOOD) & np.isin(points.time_ns, points.time_ns[marks])
    found = points.take(number & ~stale)
    return found.take(np.lexsort((found.code, found.time_ns)))


def needed(there: Slots, wanted: Mapping[int, float]) -> dict[int, Point] | None:
    """What has to be written at a time so that it holds some samples and no others.

    Args:
        there: all points of this time.
        wanted: the value of each quality that is to be there.

    Returns:
        points by quality code; None where it is impossible.
    """
    target = {code: Point(value) for code, value in wanted.items()}
    if GOOD in there and GOOD not in wanted:
        free = next((code for code in (BAD, UNCERTAIN) if code not in wanted), None)
        if free is None:
            return None
        target[free] = WITHDRAWN
    for code in (UNCERTAIN, BAD):
        if code not in target and code in there and there[code] != VOID and not _harmless(there, wanted, code):
            target[code] = VOID
    return {code: point for code, point in target.items() if not _same(there.get(code), point)}


def _harmless(there: Slots, wanted: Mapping[int, float], code: int) -> bool:
    """Whether a null may stay: it says nothing that is not so."""
    return there[code].null and GOOD not in wanted


def _same(stored: Point | None, point: Point) -> bool:
    if stored is None or stored.null != point.null:
        return False
    return stored.value == point.value or (math.isnan(stored.value) and math.isnan(point.value))


class Plan(NamedTuple):
    """What has to be written to a series.

    Attributes:
        points: to write.
        withdrawn: how many samples go.
        impossible: times (int64 ns) at which it cannot be done.
    """

    points: Points
    withdrawn: int
    impossible: set[int]


def planned(there: Points, wanted: Points, *, keep: bool) -> Plan:
    """What has to be written so that a series holds some samples at some times.

    Args:
        there: all points of the stretch; all their times count.
        wanted: samples.
        keep: whether what is there stays beside what is wanted; else it goes.
    """
    slots = _by_time(there)
    samples = _by_time(samples_of(there))
    asked = _by_time(wanted)
    written: list[tuple[int, int, float, bool]] = []
    withdrawn, impossible = 0, set()
    for time_ns in sorted(asked.keys() if keep else slots.keys() | asked.keys()):
        held = {code: point.value for code, point in samples.get(time_ns, {}).items()}
        new = {code: point.value for code, point in asked.get(time_ns, {}).items()}
        points = needed(slots.get(time_ns, {}), {**held, **new} if keep else new)
        if points is None:
            impossible.add(time_ns)
            continue
        withdrawn += 0 if keep else len(held.keys() - new.keys())
        written += [(time_ns, code, point.value, point.null) for code, point in points.items()]
    return Plan(_points(written), withdrawn, impossible)


def _by_time(points: Points) -> dict[int, dict[int, Point]]:
    found: dict[int, dict[int, Point]] = {}
    columns = (points.time_ns.tolist(), points.code.tolist(), points.value.tolist(), points.null.tolist())
    for time_ns, code, value, null in zip(*columns, strict=True):
        found.setdefault(time_ns, {})[code] = Point(value, null)
    return found


def _points(rows: list[tuple[int, int, float, bool]]) -> Points:
    frame = pd.DataFrame(rows, columns=["time_ns", "code", "value", "null"])
    return Points(
        frame["time_ns"].to_numpy(np.int64),
        frame["code"].to_numpy(np.int8),
        frame["value"].to_numpy(np.float64),
        frame["null"].to_numpy(np.bool_),
    )
