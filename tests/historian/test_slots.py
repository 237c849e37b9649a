"""What cannot be deleted in IoT SiteWise can be taken away: all states of a time, and all that is wanted."""

import itertools
import math

import numpy as np
import pytest

from twin_assets.aws.tqv import Points
from twin_assets.historian.slots import BAD, GOOD, UNCERTAIN, VOID, WITHDRAWN, Point, needed, planned, samples_of

VALUES = {GOOD: 1.0, UNCERTAIN: 2.0, BAD: 3.0}
SUBSETS = [set(some) for count in range(4) for some in itertools.combinations(VALUES, count)]
Slots = dict[int, Point]


def stored(slots: Slots) -> Points:
    """As a series at one time."""
    codes = sorted(slots)
    return Points(
        np.zeros(len(codes), np.int64),
        np.array(codes, dtype=np.int8),
        np.array([slots[code].value for code in codes], dtype=np.float64),
        np.array([slots[code].null for code in codes], dtype=np.bool_),
    )


def seen(slots: Slots) -> dict[int, float]:
    """The samples that a reader finds."""
    found = samples_of(stored(slots))
    return dict(zip(found.code.tolist(), found.value.tolist(), strict=True))


def is_takeable(code: int, point: Point) -> bool:
    """Whether IoT SiteWise takes it: a GOOD point is a number."""
    return code != GOOD or point.is_sample


def reachable() -> list[Slots]:
    """Every state of a time that writing and withdrawing can lead to, and those that gateways make of nulls."""
    states: list[Slots] = [{}, {BAD: WITHDRAWN}, {UNCERTAIN: WITHDRAWN}]
    for there in states:
        for wanted in SUBSETS:
            changes = needed(there, {code: VALUES[code] for code in wanted})
            after = {**there, **(changes or {})}
            if after not in states:
                states.append(after)
    return states


@pytest.mark.parametrize("wanted", SUBSETS, ids=str)
def test_from_every_state_exactly_what_is_wanted_is_seen(wanted: set[int]) -> None:
    """Except for GOOD withdrawn beside UNCERTAIN and BAD, which is refused; nothing is written that is refused."""
    states = reachable()
    assert len(states) > 12
    for there in states:
        asked = {code: VALUES[code] for code in wanted}
        changes = needed(there, asked)
        if changes is None:
            assert (GOOD in there, wanted) == (True, {UNCERTAIN, BAD})
            continue
        assert all(is_takeable(code, point) for code, point in changes.items())
        assert seen({**there, **changes}) == asked


def test_what_is_there_is_not_written_again() -> None:
    """Whatever led to it: asking for what is seen costs nothing."""
    for there in reachable():
        assert needed(there, seen(there)) in ({}, None)


def test_a_null_of_a_gateway_is_no_sample() -> None:
    """A sensor without a value, as OPC UA reports it; a NaN neither."""
    assert seen({BAD: WITHDRAWN}) == {}
    assert seen({BAD: VOID, UNCERTAIN: WITHDRAWN}) == {}
    assert seen({GOOD: Point(1.0), UNCERTAIN: WITHDRAWN}) == {GOOD: 1.0}


def test_a_correction_of_the_quality_leaves_no_stale_twin() -> None:
    """GOOD becomes BAD: one sample is seen; the old number stands there and says nothing."""
    there = {GOOD: Point(1.0)}
    changes = needed(there, {BAD: 1.0})
    assert changes == {BAD: Point(1.0), UNCERTAIN: WITHDRAWN}
    assert seen({**there, **changes}) == {BAD: 1.0}


def test_a_plan_counts_what_goes() -> None:
    """Withdrawn are samples that were seen and are no more; what stays is not written."""
    times = np.array([1, 2, 3], dtype=np.int64)
    there = Points(times, np.zeros(3, np.int8), np.array([1.0, 2.0, 3.0]), np.zeros(3, np.bool_))
    plan = planned(there, there.take(np.array([1])), keep=False)
    assert plan.withdrawn == 2
    assert plan.points.time_ns.tolist() == [1, 3]
    assert plan.points.null.all()
    assert (plan.points.code == BAD).all()
    assert plan.impossible == set()


def test_keeping_lifts_a_withdrawal_of_what_is_written_alone() -> None:
    """A sample that is written again is seen again, and the others of its time as before."""
    there = stored({GOOD: Point(1.0), UNCERTAIN: Point(2.0), BAD: WITHDRAWN})
    wanted = Points(np.zeros(1, np.int64), np.zeros(1, np.int8), np.array([4.0]), np.zeros(1, np.bool_))
    plan = planned(there, wanted, keep=True)
    written = dict(zip(plan.points.code.tolist(), plan.points.value.tolist(), strict=True))
    assert written[GOOD] == 4.0
    assert math.isnan(written[BAD])
    assert not plan.points.null.any()


def test_samples_are_ordered_by_time_and_quality() -> None:
    """Whatever the order of the points."""
    points = Points(
        np.array([2, 1, 1], dtype=np.int64), np.array([0, 2, 0], dtype=np.int8), np.arange(3.0), np.zeros(3, np.bool_)
    )
    found = samples_of(points)
    assert found.time_ns.tolist() == [1, 1, 2]
    assert found.code.tolist() == [0, 2, 0]
