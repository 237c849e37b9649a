"""Latest values and history: GetAssetPropertyValue, GetAssetPropertyValueHistory, and both in batches.

A range of time is (start, end]: its start excluded, its end included.
https://docs.aws.amazon.com/iot-sitewise/latest/APIReference/API_BatchGetAssetPropertyValueHistory.html
"""

from collections.abc import Callable
from dataclasses import dataclass

from twin_assets.emulator.context import Context, Handlers, Transaction
from twin_assets.emulator.documents import foreign_token, make_token, read_tokens
from twin_assets.emulator.errors import ServiceError, invalid
from twin_assets.emulator.protocol import Document
from twin_assets.emulator.series import FIRST_NS, LAST_NS, Key, Stretch, key_of, latest, read
from twin_assets.emulator.sitewise.putting import refuse_repeated
from twin_assets.emulator.sitewise.resources import Addresses, data_type_of
from twin_assets.emulator.values import seconds_to_ns, tqv

MOST_VALUES = 20_000
DEFAULT_HISTORY = 100  # of GetAssetPropertyValueHistory
MOST_LATEST = 128


def get_latest(context: Context, request: Document) -> Document:
    """GetAssetPropertyValue."""
    with context.transaction() as tx:
        value = _latest(tx, Addresses(tx), request)
    return {} if value is None else {"propertyValue": value}


def _latest(tx: Transaction, addresses: Addresses, request: Document) -> Document | None:
    target = addresses.existing(request)
    sample = None if target.series is None else latest(tx.connection, target.series, LAST_NS)
    return None if sample is None else tqv(sample, data_type_of(target))


def get_history(context: Context, request: Document) -> Document:
    """GetAssetPropertyValueHistory."""
    after = key_in(read_tokens(request["nextToken"])) if "nextToken" in request else None
    limit = limit_of(request, DEFAULT_HISTORY, MOST_VALUES)
    with context.transaction() as tx:
        values, last = history(context, tx, Addresses(tx), request, after, limit)
    token = None if last is None else make_token({"after": last})
    return {"assetPropertyValueHistory": values, "nextToken": token}


def history(
    context: Context, tx: Transaction, addresses: Addresses, request: Document, after: Key | None, limit: int
) -> tuple[list[Document], Key | None]:
    """At most so many values of what a request asks for.

    Returns:
        the values, and where the last one stands if there are more.
    """
    target = addresses.existing(request)
    start = seconds_to_ns(request.get("startDate", 0))
    end = seconds_to_ns(request["endDate"]) if "endDate" in request else context.now_ns
    if start > end:
        raise invalid("startDate must not be after endDate")
    qualities = request.get("qualities", [])
    descending = request.get("timeOrdering") == "DESCENDING"
    stretch = Stretch(start, end, qualities[0] if qualities else None, descending, after)
    found = [] if target.series is None else read(tx.connection, target.series, stretch, limit + 1)
    data_type = data_type_of(target)
    values = [tqv(sample, data_type) for sample in found[:limit]]
    return values, key_of(found[limit - 1]) if len(found) > limit else None


@dataclass
class BatchPage:
    """What a page of a batch answers, and where the next one begins.

    Attributes:
        success: entries with what was found.
        errors: entries that cannot be read.
        skipped: entries that earlier pages have finished.
        token: what the next page has to know; None after the last one.
    """

    success: list[Document]
    errors: list[Document]
    skipped: list[Document]
    token: Document | None = None

    def answer(self) -> Document:
        """As the service answers it."""
        return {
            "successEntries": self.success,
            "errorEntries": self.errors,
            "skippedEntries": self.skipped,
            "nextToken": None if self.token is None else make_token(self.token),
        }


# (entry, where to go on, how many) -> what to answer of it, how many values, where to go on
ReadEntry = Callable[[Document, Key | None, int], tuple[Document, int, Key | None]]


def in_pages(context: Context, request: Document, most: int, read_entry: ReadEntry) -> Document:
    """Answer a batch, entry by entry, until a page is full.

    Args:
        context: for the times of errors.
        request: with entries and perhaps a nextToken.
        most: values on a page.
        read_entry: reads one entry.
    """
    entries = request["entries"]
    refuse_repeated(entries)
    at = read_tokens(request["nextToken"]) if "nextToken" in request else {}
    first, failed = _progress(at)
    page = BatchPage([], [], [_skipped(entry["entryId"], failed) for entry in entries[:first]])
    after, room = key_in(at), most
    for number in range(first, len(entries)):
        entry = entries[number]
        if room <= 0:
            page.token = {"entry": number, "failed": sorted(failed.items())}
            break
        try:
            found, count, last = read_entry(entry, after, room)
        except ServiceError as error:
            code = error.code
            page.errors.append({"entryId": entry["entryId"], "errorCode": code, "errorMessage": error.message})
            failed[entry["entryId"]] = [code, context.now_s]
            continue
        page.success.append({"entryId": entry["entryId"], **found})
        after, room = None, room - count
        if last is not None:
            page.token = {"entry": number, "after": last, "failed": sorted(failed.items())}
            break
    return page.answer()


def _progress(token: Document) -> tuple[int, dict[str, list[object]]]:
    """How many entries earlier pages have finished, and those of them that failed.

    Raises:
        ServiceError: if the token does not say so.
    """
    first, failed = token.get("entry", 0), token.get("failed", [])
    if isinstance(first, int) and isinstance(failed, list):
        try:
            return first, {str(entry_id): [code, time] for entry_id, (code, time) in failed}
        except (TypeError, ValueError):
            pass
    raise foreign_token()


def _skipped(entry_id: str, failed: dict[str, list[object]]) -> Document:
    if entry_id not in failed:
        return {"entryId": entry_id, "completionStatus": "SUCCESS"}
    code, time = failed[entry_id]
    info = {"errorCode": code, "errorTimestamp": time}
    return {"entryId": entry_id, "completionStatus": "ERROR", "errorInfo": info}


def batch_get_latest(context: Context, request: Document) -> Document:
    """BatchGetAssetPropertyValue."""
    with context.transaction() as tx:
        addresses = Addresses(tx, request["entries"])

        def one(entry: Document, _after: Key | None, _room: int) -> tuple[Document, int, Key | None]:
            value = _latest(tx, addresses, entry)
            return {} if value is None else {"assetPropertyValue": value}, 1, None

        return in_pages(context, request, MOST_LATEST, one)


def batch_get_history(context: Context, request: Document) -> Document:
    """BatchGetAssetPropertyValueHistory."""
    with context.transaction() as tx:
        addresses = Addresses(tx, request["entries"])

        def one(entry: Document, after: Key | None, room: int) -> tuple[Document, int, Key | None]:
            values, last = history(context, tx, addresses, entry, after, room)
            return {"assetPropertyValueHistory": values}, len(values), last

        return in_pages(context, request, limit_of(request, MOST_VALUES, MOST_VALUES), one)


def limit_of(request: Document, default: int, most: int) -> int:
    """How many values a page may hold.

    Args:
        request: with maxResults, or without.
        default: without.
        most: that the service gives.

    Raises:
        ServiceError: if more are asked for than the service gives.
    """
    limit = int(request.get("maxResults", default))
    if limit > most:
        raise invalid(f"maxResults must not be greater than {most}")
    return limit


def key_in(token: Document) -> Key | None:
    """Where a token's page ended within a series; raises ServiceError where it says no such thing."""
    after = token.get("after")
    if after is None:
        return None
    match after:
        case [int() as time_ns, int() as code] if FIRST_NS <= time_ns <= LAST_NS:
            return time_ns, code
    raise foreign_token()


HANDLERS: Handlers = {
    "GetAssetPropertyValue": get_latest,
    "GetAssetPropertyValueHistory": get_history,
    "BatchGetAssetPropertyValue": batch_get_latest,
    "BatchGetAssetPropertyValueHistory": batch_get_history,
}
