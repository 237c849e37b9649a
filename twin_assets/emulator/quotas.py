"""The service's quotas: how often it may be asked, how much may be written a second; more is throttled.

https://docs.aws.amazon.com/iot-sitewise/latest/userguide/quotas.html
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from threading import Lock

from twin_assets.errors import TwinError

Timer = Callable[[], float]  # seconds, monotonic
EXAMPLE = "points=5000,requests=2000"
REMEMBERED = 100_000  # properties whose buckets are kept


@dataclass(frozen=True)
class Quotas:
    """Rates of one account in one region, each a second; the documented ones.

    Attributes:
        requests: for property data (put, latest, history, aggregates, bulk import).
        models: requests for models.
        assets: requests for assets.
        series: requests for time series.
        points: values put.
        entries: put entries of one property.
    """

    requests: float = 1000
    models: float = 10
    assets: float = 30
    series: float = 30
    points: float = 1000
    entries: float = 10


def parse_quotas(text: str) -> Quotas | None:
    """Quotas as people write them: ``documented``, ``off`` (None), or documented but for what is named.

    Raises:
        TwinError: if a part is no quota; the message says which.
    """
    if text.strip() == "off":
        return None
    quotas, names = Quotas(), [field.name for field in fields(Quotas)]
    for part in filter(None, (part.strip() for part in text.split(",") if part.strip() != "documented")):
        name, _, amount = part.partition("=")
        if name not in names or not amount.isdecimal() or int(amount) == 0:
            raise TwinError(
                f"'{part}' is no quota; expected documented, off, or some of {', '.join(names)} with a number a second,"
                f" for example {EXAMPLE}"
            )
        quotas = replace(quotas, **{name: float(amount)})
    return quotas


class Bucket:
    """A token bucket that holds one second's worth, full at first."""

    def __init__(self, rate: float, now: float) -> None:
        """Full.

        Args:
            rate: tokens a second.
            now: seconds.
        """
        self._rate, self._tokens, self._then = rate, rate, now

    def take(self, count: float, now: float) -> bool:
        """Take tokens, all or none."""
        self._tokens = min(self._rate, self._tokens + (now - self._then) * self._rate)
        self._then = now
        if count > self._tokens:
            return False
        self._tokens -= count
        return True


class Throttle:
    """Counts what is asked and written; safe to use from several threads."""

    def __init__(self, quotas: Quotas | None, timer: Timer = time.monotonic) -> None:
        """All buckets are full.

        Args:
            quotas: None: nothing is throttled.
            timer: the time by which buckets fill.
        """
        self._quotas, self._timer, self._lock = quotas, timer, Lock()
        self._buckets: dict[str, Bucket] = {}

    def admits(self, operation: str) -> bool:
        """Whether a request for an operation of SiteWise may go on."""
        return self._take(_group(operation), 1)

    def admits_entry(self, address: str, points: int) -> bool:
        """Whether a put entry may go on.

        Args:
            address: of its property.
            points: how many values it has.
        """
        return self._take("entries", 1, address) and self._take("points", points)

    def _take(self, name: str, count: float, address: str = "") -> bool:
        if self._quotas is None:
            return True
        key = f"{name} {address}"
        with self._lock:
            now = self._timer()
            if key not in self._buckets and len(self._buckets) >= REMEMBERED:
                self._buckets.clear()
            bucket = self._buckets.setdefault(key, Bucket(getattr(self._quotas, name), now))
            return bucket.take(count, now)


def _group(operation: str) -> str:
    """The quota under which an operation falls."""
    if "TimeSeries" in operation:
        return "series"
    if "AssetModel" in operation:
        return "models"
    if operation.startswith(("BatchPut", "BatchGet", "GetAsset", "GetInterpolated")) or "BulkImport" in operation:
        return "requests"
    return "assets"
