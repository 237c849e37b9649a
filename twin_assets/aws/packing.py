"""How values become BatchPutAssetPropertyValue requests: 10 entries a request, 10 values an entry.

Properties take turns, and none is in a request twice: what is written to many properties is not held up by the quota of
one.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

ENTRIES = 10  # a request
VALUES = 10  # an entry


T = TypeVar("T")


class Entry(NamedTuple):
    """Values of one series that travel together.

    Attributes:
        series: its position among those that are written.
        first: position of its first point among the series' points.
        beyond: position after its last point.
    """

    series: int
    first: int
    beyond: int


def packed(counts: Sequence[int]) -> Iterator[tuple[Entry, ...]]:
    """Requests that hold all points of several series, each once, in the order of the points.

    Args:
        counts: how many points each series has.
    """
    rounds = -(-max(counts, default=0) // VALUES)
    for number in range(rounds):
        first = number * VALUES
        entries = [
            Entry(series, first, min(first + VALUES, count)) for series, count in enumerate(counts) if first < count
        ]
        yield from in_groups(entries, ENTRIES)


def in_groups(every: Sequence[T], size: int) -> Iterator[tuple[T, ...]]:
    """So many at a time, the last group perhaps smaller."""
    for first in range(0, len(every), size):
        yield tuple(every[first : first + size])
