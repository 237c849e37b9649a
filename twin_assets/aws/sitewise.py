"""Asking IoT SiteWise and writing to it: paging, packing, quotas, other attempts.

Belongs here: what is the same for whoever uses the service. What assets and points mean to a twin is the historian's.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar

import numpy as np

from twin_assets.aws.backoff import Backoff
from twin_assets.aws.packing import Entry, in_groups, packed
from twin_assets.aws.rate import Limits
from twin_assets.aws.sitewise_client import Clients
from twin_assets.aws.sitewise_errors import PASSING_CODES, AwsError, explained, is_passing
from twin_assets.aws.tqv import NS, Points, Series, property_value

T = TypeVar("T")
U = TypeVar("U")

HISTORY_ENTRIES = 16
HISTORY_VALUES = 20_000  # a page
LATEST_ENTRIES = 128
PARALLEL = 8
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_S = 253_370_764_800  # the year 9999: boto3's datetimes end there
DAY_NS = 86_400 * NS
SLICES = 32  # a long stretch is asked for in so many parts at once


class Stretch(NamedTuple):
    """Points of a series that are asked for, ``start_ns <= time < end_ns``, of one quality code or of all (None)."""

    series: Series
    start_ns: int
    end_ns: int
    code: int | None = None


class Refusal(NamedTuple):
    """Why a point was not taken: the service's code and words."""

    code: str
    message: str


@dataclass(frozen=True)
class SiteWise:
    """IoT SiteWise in one region. Threads may share it.

    Attributes:
        clients: boto3's.
        name: of the place, in errors.
        limits: quotas.
        backoff: between attempts.
        counted: how many requests of each operation were sent.
    """

    clients: Clients
    name: str
    limits: Limits = field(default_factory=Limits.of)
    backoff: Backoff = field(default_factory=Backoff)
    counted: Counter[str] = field(default_factory=Counter)

    def ask(self, operation: str, **request: object) -> dict[str, Any]:
        """One request, by the name of boto3's method; passing errors are waited for.

        Raises:
            AwsError: if AWS does not do it.
        """
        self.limits.before_request()
        return self._send(operation, request)

    def every(self, operation: str, key: str, **request: object) -> Iterator[dict[str, Any]]:
        """All items of a paged answer.

        Args:
            operation: by the name of boto3's method.
            key: of the items in each answer.
            request: its members.
        """
        token: dict[str, str] = {}
        while True:
            answer = self.ask(operation, **request, **token)
            yield from answer.get(key, ())
            if not answer.get("nextToken"):
                return
            token = {"nextToken": answer["nextToken"]}

    def history(self, stretches: Sequence[Stretch]) -> list[Points]:
        """Points of each stretch, ordered by time; of one time in no order.

        Raises:
            AwsError: if one of the series cannot be read.
        """
        parts = [(number, part) for number, stretch in enumerate(stretches) for part in _slices(stretch)]
        # Parts of one time together: their pages end at the same time.
        parts.sort(key=lambda part: part[1].start_ns)
        groups = list(in_groups(parts, HISTORY_ENTRIES))
        found = self._at_once(lambda group: self._histories([part for _, part in group]), groups)
        by_stretch: list[list[Points]] = [[] for _ in stretches]
        for group, answers in zip(groups, found, strict=True):
            for (number, _), points in zip(group, answers, strict=True):
                by_stretch[number].append(points)
        return [Points.joined(each) for each in by_stretch]

    def latest(self, series: Sequence[Series]) -> list[Points]:
        """The newest point of each series, of some quality: one, or none where nothing was ever written.

        Raises:
            AwsError: if one of the series cannot be read.
        """
        groups = list(in_groups(series, LATEST_ENTRIES))
        return [points for found in self._at_once(self._latest, groups) for points in found]

    def put(self, series: Sequence[Series], points: Sequence[Points]) -> list[dict[int, Refusal]]:
        """Write points, until they are taken or refused for good.

        Args:
            series: what they are of.
            points: of each series; each time and quality once.

        Returns:
            of each series the positions that were not taken, with the last reason.

        Raises:
            AwsError: if the service cannot be used; some points may have been taken.
        """
        refused: list[dict[int, Refusal]] = [{} for _ in series]
        waiting = [np.arange(len(each)) for each in points]
        failed = 0
        while any(len(each) for each in waiting):
            if failed:
                self.backoff.wait(failed)
            failed += 1
            now = [each.take(positions) for each, positions in zip(points, waiting, strict=True)]
            answers = self._put_once(series, now)
            last = failed >= self.backoff.attempts
            for number, answered in enumerate(answers):
                final = {at: why for at, why in answered.items() if last or why.code not in PASSING_CODES}
                refused[number] |= {int(waiting[number][at]): why for at, why in final.items()}
                again = sorted(answered.keys() - final.keys())
                waiting[number] = waiting[number][again]
        return refused

    def _put_once(self, series: Sequence[Series], points: Sequence[Points]) -> list[dict[int, Refusal]]:
        """One attempt at each point; what was not taken."""
        answers: list[dict[int, Refusal]] = [{} for _ in series]

        def put(entries: tuple[Entry, ...]) -> None:
            for entry, refusals in self._put_request(series, points, entries):
                answers[entry.series] |= refusals

        # Requests follow each other in the order of their points: so the quota of no property is used up at once.
        self._at_once(put, list(packed([len(each) for each in points])))
        return answers

    def _put_request(
        self, series: Sequence[Series], points: Sequence[Points], entries: tuple[Entry, ...]
    ) -> Iterator[tuple[Entry, dict[int, Refusal]]]:
        parts = [points[entry.series].take(np.arange(entry.first, entry.beyond)) for entry in entries]
        counts: Counter[Hashable] = Counter()
        for entry, part in zip(entries, parts, strict=True):
            counts.update((series[entry.series], code) for code in part.code.tolist())
        self.limits.before_writing(counts)
        request = [
            {
                "entryId": str(number),
                **series[entry.series].ids,
                "propertyValues": _property_values(series[entry.series], part),
            }
            for number, (entry, part) in enumerate(zip(entries, parts, strict=True))
        ]
        # Without it one value that is refused keeps the others of its entry out.
        answer = self._send(
            "batch_put_asset_property_value", {"entries": request, "enablePartialEntryProcessing": True}
        )
        for found in answer.get("errorEntries", ()):
            number = int(found["entryId"])
            yield entries[number], _refusals(found["errors"], parts[number], entries[number].first)

    def _histories(self, stretches: Sequence[Stretch]) -> list[Points]:
        """Points of at most HISTORY_ENTRIES stretches, page after page."""
        entries = [{"entryId": str(number), **_history_entry(each)} for number, each in enumerate(stretches)]
        pages: list[list[Points]] = [[] for _ in stretches]
        request = {"entries": entries, "maxResults": HISTORY_VALUES}
        while True:
            answer = self.ask("batch_get_asset_property_value_history", **request)
            self._refuse_failed(answer)
            for found in answer.get("successEntries", ()):
                pages[int(found["entryId"])].append(Points.parsed(found["assetPropertyValueHistory"]))
            if not answer.get("nextToken"):
                break
            request["nextToken"] = answer["nextToken"]
        # Whole seconds were asked for.
        every = [Points.joined(each) for each in pages]
        return [
            points.take((points.time_ns >= each.start_ns) & (points.time_ns < each.end_ns))
            for each, points in zip(stretches, every, strict=True)
        ]

    def _latest(self, series: Sequence[Series]) -> list[Points]:
        entries = [{"entryId": str(number), **each.ids} for number, each in enumerate(series)]
        found = [Points.none() for _ in series]
        request: dict[str, Any] = {"entries": entries}
        while True:
            answer = self.ask("batch_get_asset_property_value", **request)
            self._refuse_failed(answer)
            for entry in answer.get("successEntries", ()):
                if entry.get("assetPropertyValue"):
                    found[int(entry["entryId"])] = Points.parsed([entry["assetPropertyValue"]])
            if not answer.get("nextToken"):
                return found
            request["nextToken"] = answer["nextToken"]

    def _refuse_failed(self, answer: Mapping[str, Any]) -> None:
        """Entries of a question that failed: there is no half an answer."""
        for found in answer.get("errorEntries", ()):
            raise AwsError(f"{self.name}: {found['errorCode']}: {found['errorMessage']}", found["errorCode"])
        for found in answer.get("skippedEntries", ()):
            if found["completionStatus"] == "ERROR":
                code = found.get("errorInfo", {}).get("errorCode", "")
                raise AwsError(f"{self.name}: {code}: a property could not be read", code)

    def _send(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        with explained(self.name):
            method = getattr(self.clients.sitewise, operation)

            def send() -> dict[str, Any]:
                self.counted[operation] += 1
                return dict(method(**request))

            return self.backoff.call(send, is_passing)

    def _at_once(self, function: Callable[[T], U], items: Sequence[T]) -> list[U]:
        """Call for each item, several at once; the first error ends it."""
        if len(items) <= 1:
            return [function(item) for item in items]
        with ThreadPoolExecutor(PARALLEL) as pool:
            futures = [pool.submit(function, item) for item in items]
            try:
                return [future.result() for future in futures]
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise


def _property_values(series: Series, points: Points) -> list[dict[str, Any]]:
    columns = (points.time_ns.tolist(), points.code.tolist(), points.value.tolist(), points.null.tolist())
    return [
        property_value(series.data_type, time_ns, code, value, null=null)
        for time_ns, code, value, null in zip(*columns, strict=True)
    ]


def _refusals(errors: Sequence[Mapping[str, Any]], part: Points, first: int) -> dict[int, Refusal]:
    """Which points of an entry were not taken: those of the times that are named, or all of them."""
    found: dict[int, Refusal] = {}
    for error in errors:
        named = {each["timeInSeconds"] * NS + each.get("offsetInNanos", 0) for each in error.get("timestamps") or ()}
        refusal = Refusal(error["errorCode"], error["errorMessage"])
        times = enumerate(part.time_ns.tolist(), first)
        found |= {at: refusal for at, time_ns in times if not named or time_ns in named}
    return found


def _history_entry(stretch: Stretch) -> dict[str, Any]:
    """Of whole seconds around a stretch: the API's dates are no finer, its start is exclusive, its end inclusive."""
    quality = {} if stretch.code is None else {"qualities": [("GOOD", "UNCERTAIN", "BAD")[stretch.code]]}
    return {
        **stretch.series.ids,
        "startDate": _date(stretch.start_ns // NS - 1),
        "endDate": _date(-(-stretch.end_ns // NS)),
        "timeOrdering": "ASCENDING",
        **quality,
    }


def _date(seconds: int) -> datetime:
    return EPOCH + timedelta(seconds=min(max(seconds, 0), LAST_S))


def _slices(stretch: Stretch) -> Iterator[Stretch]:
    """A stretch in parts of at least a day, which can be asked for at the same time."""
    start, end = max(stretch.start_ns, 0), stretch.end_ns
    if end <= start:
        return
    step = max(DAY_NS, -(-(end - start) // SLICES))
    for first in range(start, end, step):
        yield stretch._replace(start_ns=first, end_ns=min(first + step, end))
