"""Token buckets: never more than the rate allows, counted on a clock of the test's."""

import random
from dataclasses import dataclass, field

import pytest

from twin_assets.aws.rate import FORGET_ABOVE, Buckets, Limits


@dataclass
class Time:
    """A clock that moves when somebody sleeps."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        """Seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time go by."""
        self.slept.append(seconds)
        self.now += seconds


@pytest.mark.parametrize("seed", range(5))
def test_no_second_sees_more_than_the_rate_and_one_burst(seed: int) -> None:
    """However requests come: in every stretch of time T at most rate T + burst are let through."""
    time, source = Time(), random.Random(seed)  # noqa: S311 - no secret
    limits = Limits.of(values=100.0, property_values=1e9, clock=time, sleep=time.sleep)
    sent: list[tuple[float, int]] = []
    for _ in range(300):
        time.now += source.choice([0.0, 0.0, 0.01, 0.5])
        count = source.randint(1, 100)
        limits.before_writing({"b": count})
        sent.append((time.now, count))
    for first in range(0, 300, 7):
        for last in range(first, 300, 11):
            total = sum(count for _, count in sent[first : last + 1])
            assert total <= 100.0 * (sent[last][0] - sent[first][0]) + 100.0 + 1e-6


def test_what_is_used_up_for_one_property_does_not_hold_up_another() -> None:
    """Ten values of one property a second, and of another as many beside them."""
    time = Time()
    limits = Limits.of(clock=time, sleep=time.sleep)
    limits.before_writing({("a", 0): 10})
    limits.before_writing({("b", 0): 10})
    limits.before_writing({("a", 1): 10})
    assert time.slept == []
    limits.before_writing({("a", 0): 10})
    assert time.slept == [pytest.approx(1.0)]


def test_those_who_come_together_wait_one_after_the_other() -> None:
    """Nobody sleeps in between: what is owed adds up."""
    buckets = Buckets(rate=10.0, burst=10.0, clock=lambda: 0.0)
    assert [buckets.reserve({"a": 10.0}) for _ in range(4)] == [0.0, 1.0, 2.0, 3.0]


def test_an_idle_bucket_holds_no_more_than_a_burst() -> None:
    """An hour of silence does not allow an hour's worth at once."""
    time = Time()
    buckets = Buckets(rate=10.0, burst=10.0, clock=time)
    time.now = 3600.0
    assert buckets.reserve({"a": 20.0}) == pytest.approx(1.0)


def test_many_properties_do_not_stay_in_memory() -> None:
    """Buckets that are full again are forgotten; those that owe are not."""
    time = Time()
    buckets = Buckets(rate=10.0, burst=10.0, clock=time)
    buckets.reserve({"owing": 1e6})
    for number in range(FORGET_ABOVE + 2):
        buckets.reserve({number: 1.0})
    time.now = 60.0
    buckets.reserve({"new": 1.0})
    assert len(buckets._found) < 10
    assert buckets.reserve({"owing": 1.0}) > 1000.0


def test_requests_are_limited_too() -> None:
    """Whatever they do."""
    time = Time()
    limits = Limits.of(requests=2.0, clock=time, sleep=time.sleep)
    for _ in range(6):
        limits.before_request()
    assert time.now == pytest.approx(2.0)
