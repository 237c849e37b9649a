"""GetInterpolatedAssetPropertyValues: linear interpolation, and the last observation carried forward.

The first value stands one interval after the start, the last not after the end.
https://docs.aws.amazon.com/iot-sitewise/latest/APIReference/API_GetInterpolatedAssetPropertyValues.html
"""

from dataclasses import dataclass

from twin_assets.emulator.context import Context, Handlers, Transaction
from twin_assets.emulator.documents import make_token, read_token
from twin_assets.emulator.errors import invalid
from twin_assets.emulator.protocol import Document
from twin_assets.emulator.series import Stretch, TimeSeries, read
from twin_assets.emulator.sitewise.resources import Addresses, data_type_of
from twin_assets.emulator.values import SECOND_NS, Sample, Value, is_plain, time_of, variant_of
from twin_assets.historian.base import Quality

LINEAR, CARRIED = "LINEAR_INTERPOLATION", "LOCF_INTERPOLATION"
DEFAULT = 10
FURTHEST_NS = 28 * 24 * 3600 * SECOND_NS  # the user guide's quota on the start


@dataclass(frozen=True)
class Question:
    """What is asked of one series.

    Attributes:
        series: of numbers, for linear interpolation.
        quality: of the values that are looked at.
        first_ns: earliest time of a value that is looked at.
        last_ns: latest one.
        window_ns: how far from each time; None for no bound but the two above.
    """

    series: TimeSeries
    quality: Quality
    first_ns: int
    last_ns: int
    window_ns: int | None


def interpolated(context: Context, request: Document) -> Document:
    """GetInterpolatedAssetPropertyValues."""
    start = request["startTimeInSeconds"] * SECOND_NS + request.get("startTimeOffsetInNanos", 0)
    end = request["endTimeInSeconds"] * SECOND_NS + request.get("endTimeOffsetInNanos", 0)
    _refuse(request, start, end, context.now_ns)
    interval = request["intervalInSeconds"] * SECOND_NS
    first = read_token(request["nextToken"], "step") if "nextToken" in request else 1
    limit, last = request.get("maxResults", DEFAULT), (end - start) // interval
    steps = range(first, min(first + limit, last + 1))
    with context.transaction() as tx:
        target = Addresses(tx).existing(request)
        data_type = data_type_of(target)
        if request["type"] == LINEAR and data_type not in ("DOUBLE", "INTEGER"):
            raise invalid(f"Properties of data type {data_type} cannot be interpolated linearly")
        values = []
        if target.series is not None:
            window = request["intervalWindowInSeconds"] * SECOND_NS if "intervalWindowInSeconds" in request else None
            asked = Question(target.series, request["quality"], start - interval, end + interval, window)
            find = _linear if request["type"] == LINEAR else _carried
            found = [(start + step * interval, find(tx, asked, start + step * interval)) for step in steps]
            values = [
                {"timestamp": time_of(time_ns), "value": variant_of(_of_type(value, data_type), data_type)}
                for time_ns, value in found
                if value is not None
            ]
    token = make_token({"step": steps.stop}) if steps and steps.stop <= last else None
    return {"interpolatedAssetPropertyValues": values, "nextToken": token}


def _refuse(request: Document, start_ns: int, end_ns: int, now_ns: int) -> None:
    if request["type"] not in (LINEAR, CARRIED):
        raise invalid(f"type must be {LINEAR} or {CARRIED}, found {request['type']}")
    if request["type"] == CARRIED and "intervalWindowInSeconds" in request:
        raise invalid(f"type must be {LINEAR} if intervalWindowInSeconds is given")
    if start_ns >= end_ns:
        raise invalid("startTimeInSeconds must be before endTimeInSeconds")
    if start_ns < now_ns - FURTHEST_NS:
        raise invalid("startTimeInSeconds must not be more than 28 days ago")


def _linear(tx: Transaction, asked: Question, time_ns: int) -> Value | None:
    """Between the nearest values before and after; None where one of them is too far away."""
    reach = time_ns if asked.window_ns is None else asked.window_ns
    before = _nearest(tx, asked, time_ns, max(asked.first_ns, time_ns - reach))
    if before is not None and before.time_ns == time_ns:
        return before.value
    last = asked.last_ns if asked.window_ns is None else min(asked.last_ns, time_ns + asked.window_ns)
    later = read(tx.connection, asked.series, Stretch(time_ns, last, asked.quality), 1)
    if before is None or not later or not (is_plain(before.value) and is_plain(later[0].value)):
        return None
    share = (time_ns - before.time_ns) / (later[0].time_ns - before.time_ns)
    left, right = float(before.value), float(later[0].value)  # type: ignore[arg-type] # both plain
    return left + share * (right - left)


def _carried(tx: Transaction, asked: Question, time_ns: int) -> Value | None:
    """The last value not after a time, however old."""
    found = _nearest(tx, asked, time_ns, 0)
    return None if found is None else found.value


def _nearest(tx: Transaction, asked: Question, time_ns: int, first_ns: int) -> Sample | None:
    """The last value not after a time and not before another one."""
    stretch = Stretch(first_ns - 1, time_ns, asked.quality, descending=True)
    return next(iter(read(tx.connection, asked.series, stretch, 1)), None)


def _of_type(value: Value, data_type: str) -> Value:
    return round(value) if data_type == "INTEGER" and isinstance(value, float) else value


HANDLERS: Handlers = {"GetInterpolatedAssetPropertyValues": interpolated}
