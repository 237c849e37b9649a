"""Packing: every value once, in the fewest requests that properties in turns allow."""

from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from twin_assets.aws.packing import ENTRIES, VALUES, packed

COUNTS = st.lists(st.integers(0, 45), max_size=35)


@given(COUNTS)
def test_every_value_travels_once_and_in_order(counts: list[int]) -> None:
    """The stretches of each series follow each other without a gap."""
    found: list[list[int]] = [[] for _ in counts]
    for entry in chain.from_iterable(packed(counts)):
        found[entry.series] += range(entry.first, entry.beyond)
    assert found == [list(range(count)) for count in counts]


@given(COUNTS)
def test_no_request_is_too_large_or_holds_a_property_twice(counts: list[int]) -> None:
    """10 entries of 10 values, IoT SiteWise's limits; one entry of each property."""
    for request in packed(counts):
        assert 1 <= len(request) <= ENTRIES
        assert all(1 <= entry.beyond - entry.first <= VALUES for entry in request)
        assert len({entry.series for entry in request}) == len(request)


def test_ten_properties_fill_requests() -> None:
    """A hundred values each: ten requests of a hundred, not more."""
    requests = list(packed([100] * 10))
    assert len(requests) == 10
    assert all(sum(entry.beyond - entry.first for entry in request) == 100 for request in requests)


def test_nothing_is_no_request() -> None:
    """Neither for no series nor for empty ones."""
    assert list(packed([])) == []
    assert list(packed([0, 0])) == []
