"""Token buckets: how fast something may be sent, in all and for each key.

Whoever takes tokens that are not there yet owes them and waits until they are: those who come together wait one after
the other, in the order in which they came.
"""

import threading
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field

from twin_assets.aws.backoff import Sleep

FORGET_ABOVE = 10_000  # full buckets of single keys are forgotten once there are so many


@dataclass
class _Bucket:
    tokens: float
    filled_s: float


@dataclass
class Buckets:
    """Buckets of one size, one for each key. Several threads may share them.

    Attributes:
        rate: tokens a second that flow into each.
        burst: how many each holds; all are full at first.
        clock: seconds, monotonic.
    """

    rate: float
    burst: float
    clock: Callable[[], float] = time.monotonic
    _found: dict[Hashable, _Bucket] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reserve(self, wanted: Mapping[Hashable, float]) -> float:
        """Take tokens; how long to wait until all of them are there, seconds (0: they are).

        Args:
            wanted: how many, by key.
        """
        with self._lock:
            now = self.clock()
            self._forget(now)
            return max((self._take(key, count, now) for key, count in wanted.items()), default=0.0)

    def _take(self, key: Hashable, count: float, now: float) -> float:
        bucket = self._found.setdefault(key, _Bucket(self.burst, now))
        bucket.tokens = min(self.burst, bucket.tokens + (now - bucket.filled_s) * self.rate) - count
        bucket.filled_s = now
        return max(0.0, -bucket.tokens / self.rate)

    def _forget(self, now: float) -> None:
        if len(self._found) <= FORGET_ABOVE:
            return
        full_s = self.burst / self.rate
        for key in [key for key, each in self._found.items() if each.tokens >= 0 and now - each.filled_s > full_s]:
            del self._found[key]


@dataclass(frozen=True)
class Limits:
    """IoT SiteWise's quotas of one region, as this process keeps them.

    https://docs.aws.amazon.com/iot-sitewise/latest/userguide/quotas.html; an account's may have been raised.

    Attributes:
        requests: requests a second.
        values: values a second written.
        property_values: values a second written to one property in one quality.
        sleep: waits so many seconds.
    """

    requests: Buckets
    values: Buckets
    property_values: Buckets
    sleep: Sleep = time.sleep

    @classmethod
    def of(
        cls,
        *,
        requests: float = 1000.0,
        values: float = 1000.0,
        property_values: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Sleep = time.sleep,
    ) -> "Limits":
        """Buckets that hold a second's worth each."""
        return cls(
            requests=Buckets(requests, requests, clock),
            values=Buckets(values, values, clock),
            property_values=Buckets(property_values, property_values, clock),
            sleep=sleep,
        )

    def before_request(self) -> None:
        """Wait until one more request may be sent."""
        self._wait(self.requests.reserve({None: 1.0}))

    def before_writing(self, counts: Mapping[Hashable, int]) -> None:
        """Wait until one more request with values may be sent.

        Args:
            counts: how many values of each property and quality.
        """
        waits = (
            self.requests.reserve({None: 1.0}),
            self.values.reserve({None: float(sum(counts.values()))}),
            self.property_values.reserve({key: float(count) for key, count in counts.items()}),
        )
        self._wait(max(waits))

    def _wait(self, seconds: float) -> None:
        if seconds > 0.0:
            self.sleep(seconds)
