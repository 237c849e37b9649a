"""Waiting before another attempt: exponentially longer, and never all at the same moment.

https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ ("full jitter").
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
Sleep = Callable[[float], None]


@dataclass(frozen=True)
class Backoff:
    """How often and how long.

    Attributes:
        attempts: how often something is tried in all.
        base_s: longest wait before the second attempt, seconds; it doubles with every further one.
        cap_s: no wait is longer, seconds.
        sleep: waits so many seconds.
        uniform: a random number in [0, 1).
    """

    attempts: int = 10
    base_s: float = 0.1
    cap_s: float = 20.0
    sleep: Sleep = time.sleep
    uniform: Callable[[], float] = random.random

    def longest_s(self, failed: int) -> float:
        """Longest wait after so many failed attempts (1, 2, …), seconds."""
        return float(min(self.cap_s, self.base_s * 2.0 ** min(failed - 1, 60)))

    def wait(self, failed: int) -> None:
        """Wait after so many failed attempts (1, 2, …)."""
        self.sleep(self.uniform() * self.longest_s(failed))

    def call(self, function: Callable[[], T], passing: Callable[[Exception], bool]) -> T:
        """Call until it succeeds, fails for good or has been tried often enough.

        Args:
            function: what is tried.
            passing: whether an error may be gone at the next attempt; any other is raised at once.
        """
        failed = 0
        while True:
            try:
                return function()
            except Exception as error:
                failed += 1
                if failed >= self.attempts or not passing(error):
                    raise
            self.wait(failed)
