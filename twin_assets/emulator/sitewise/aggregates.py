"""Aggregates: GetAssetPropertyAggregates, alone and in batches.

A window of a resolution ends at its timestamp, which belongs to it; windows begin at whole multiples of the resolution
since 1970-01-01 UTC. Windows that have not ended yet, or that hold nothing, are not there. Without ``qualities``, GOOD
values count, as in the service's own metrics. The standard deviation is that of the whole window (divided by n).
https://docs.aws.amazon.com/iot-sitewise/latest/userguide/query-industrial-data.html#aggregates
"""

from collections.abc import Callable
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from twin_assets.emulator.context import Context, Handlers, Transaction
from twin_assets.emulator.documents import make_token, read_token
from twin_assets.emulator.errors import invalid
from twin_assets.emulator.protocol import Document
from twin_assets.emulator.series import Key, Stretch, read
from twin_assets.emulator.sitewise.reading import in_pages, limit_of
from twin_assets.emulator.sitewise.resources import Addresses, Target, data_type_of
from twin_assets.emulator.values import SECOND_NS, Sample, is_plain, seconds_to_ns
from twin_assets.historian.base import Quality

RESOLUTIONS_S = {"1m": 60, "15m": 900, "1h": 3600, "1d": 86400}
NUMERIC = ("DOUBLE", "INTEGER")
MOST, MOST_IN_BATCH, DEFAULT = 2500, 4000, 100
EVERYTHING = 2**31 - 1

FUNCTIONS: dict[str, tuple[str, Callable[[NDArray[np.float64]], float]]] = {
    "AVERAGE": ("average", np.mean),
    "COUNT": ("count", len),
    "MAXIMUM": ("maximum", np.max),
    "MINIMUM": ("minimum", np.min),
    "SUM": ("sum", np.sum),
    "STANDARD_DEVIATION": ("standardDeviation", np.std),
}


def get(context: Context, request: Document) -> Document:
    """GetAssetPropertyAggregates."""
    after = (read_token(request["nextToken"], "after"), 0) if "nextToken" in request else None
    with context.transaction() as tx:
        values, last = aggregated(context, tx, Addresses(tx), request, after, limit_of(request, DEFAULT, MOST))
    return {"aggregatedValues": values, "nextToken": None if last is None else make_token({"after": last[0]})}


def batch_get(context: Context, request: Document) -> Document:
    """BatchGetAssetPropertyAggregates."""
    with context.transaction() as tx:
        addresses = Addresses(tx, request["entries"])

        def one(entry: Document, after: Key | None, room: int) -> tuple[Document, int, Key | None]:
            values, last = aggregated(context, tx, addresses, entry, after, room)
            return {"aggregatedValues": values}, len(values), last

        return in_pages(context, request, limit_of(request, MOST_IN_BATCH, MOST_IN_BATCH), one)


def aggregated(
    context: Context, tx: Transaction, addresses: Addresses, request: Document, after: Key | None, limit: int
) -> tuple[list[Document], Key | None]:
    """At most so many aggregates of what a request asks for, and where the last one stands if there are more."""
    target = addresses.existing(request)
    types = _types(request["aggregateTypes"], data_type_of(target))
    resolution_ns = RESOLUTIONS_S[request["resolution"]] * SECOND_NS
    start, end = seconds_to_ns(request["startDate"]), seconds_to_ns(request["endDate"])
    if start > end:
        raise invalid("startDate must not be after endDate")
    first = start // resolution_ns  # of the windows before the first that ends after the start
    last = min(end, context.now_ns) // resolution_ns
    quality: Quality = next(iter(request.get("qualities", [])), "GOOD")
    found = _windows(tx, target, Stretch(first * resolution_ns, last * resolution_ns, quality), resolution_ns)
    values = [_value(end_ns, samples, quality, types) for end_ns, samples in found]
    if request.get("timeOrdering") == "DESCENDING":
        values.reverse()
    if after is not None:
        done = next((n for n, each in enumerate(values) if each["timestamp"] == after[0]), -1)
        values = values[done + 1 :]
    return values[:limit], (int(values[limit - 1]["timestamp"]), 0) if len(values) > limit else None


def _windows(tx: Transaction, target: Target, stretch: Stretch, resolution_ns: int) -> list[tuple[int, list[Sample]]]:
    """The end of each window, and what it holds."""
    if target.series is None or stretch.start_ns >= stretch.end_ns:
        return []
    samples = read(tx.connection, target.series, stretch, EVERYTHING)
    ends = groupby(samples, lambda each: -(-each.time_ns // resolution_ns) * resolution_ns)
    return [(end_ns, list(held)) for end_ns, held in ends]


def _value(end_ns: int, samples: list[Sample], quality: Quality, types: list[str]) -> Document:
    numbers = np.array([each.value for each in samples if is_plain(each.value)], dtype=np.float64)
    value = {}
    for kind in types:
        name, function = FUNCTIONS[kind]
        if kind == "COUNT":
            value[name] = float(len(samples))
        elif len(numbers):
            value[name] = float(function(numbers))
    return {"timestamp": end_ns // SECOND_NS, "quality": quality, "value": value}


def _types(asked: list[str], data_type: str) -> list[str]:
    """Those of the aggregates that there are of a data type: only numbers have more than their count."""
    types = [each for each in asked if each == "COUNT" or data_type in NUMERIC]
    if not types:
        raise invalid(f"The aggregates {', '.join(asked)} are not computed of properties of data type {data_type}")
    return types


HANDLERS: Handlers = {"GetAssetPropertyAggregates": get, "BatchGetAssetPropertyAggregates": batch_get}
