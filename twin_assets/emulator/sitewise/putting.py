"""BatchPutAssetPropertyValue: what is taken, what is refused for which reason, entry by entry.

https://docs.aws.amazon.com/iot-sitewise/latest/APIReference/API_BatchPutAssetPropertyValue.html
"""

from dataclasses import dataclass, field

from twin_assets.emulator.context import Context, Handlers, Transaction
from twin_assets.emulator.errors import ServiceError, invalid
from twin_assets.emulator.protocol import Document
from twin_assets.emulator.series import TimeSeries
from twin_assets.emulator.sitewise.resources import Addresses, Target
from twin_assets.emulator.values import (
    SECOND_NS,
    Sample,
    data_type_of,
    nanoseconds,
    value_of,
    wrong_value,
)

PAST_NS = 7 * 24 * 3600 * SECOND_NS
FUTURE_NS = 600 * SECOND_NS
WRITABLE = ("measurement", "attribute")


@dataclass
class EntryErrors:
    """What is wrong with one entry: (code, message) to the times of the values that it is said of."""

    entry_id: str
    found: dict[tuple[str, str], list[Document]] = field(default_factory=dict)

    def add(self, code: str, message: str, time: Document) -> None:
        """Say something of one value."""
        self.found.setdefault((code, message), []).append(time)

    def answer(self) -> Document:
        """As the service answers it."""
        errors = [
            {"errorCode": code, "errorMessage": message, "timestamps": times}
            for (code, message), times in self.found.items()
        ]
        return {"entryId": self.entry_id, "errors": errors}


@dataclass(frozen=True)
class Accepted:
    """What of one entry is to be stored."""

    target: Target
    address: Document
    data_type: str
    samples: list[Sample]


def put(context: Context, request: Document) -> Document:
    """BatchPutAssetPropertyValue."""
    refuse_repeated(request["entries"])
    partial = request.get("enablePartialEntryProcessing", False)
    now_ns = context.now_ns
    errors = [EntryErrors(entry["entryId"]) for entry in request["entries"]]
    with context.transaction() as tx:
        addresses = Addresses(tx, request["entries"])
        accepted = [
            _accepted(now_ns, addresses, entry, found, partial=partial)
            for entry, found in zip(request["entries"], errors, strict=True)
        ]
    if any(accepted):
        store(context, [each for each in accepted if each is not None])
    return {"errorEntries": [each.answer() for each in errors if each.found]}


def refuse_repeated(entries: list[Document]) -> None:
    """Entries are told apart by their ids.

    Raises:
        ServiceError: if two have the same.
    """
    identifiers = [entry["entryId"] for entry in entries]
    if len(set(identifiers)) < len(identifiers):
        raise invalid("Entry ids must be unique in a request")
    if not identifiers:
        raise invalid("At least one entry must be given")


def store(context: Context, accepted: list[Accepted]) -> None:
    """Store samples, all or none; data streams that are not there yet are made."""
    with context.transaction(write=True) as tx:
        addresses = Addresses(tx)
        written: list[tuple[TimeSeries, Sample]] = []
        for each in accepted:
            series = each.target.series or _new_series(context, tx, addresses.resolve(each.address), each)
            written += [(series, sample) for sample in each.samples]
        tx.write(written)


def _new_series(context: Context, tx: Transaction, target: Target, accepted: Accepted) -> TimeSeries:
    """The series of what had none when the request came; another request may have made it meanwhile."""
    if target.series is not None:
        return target.series
    property_id = None if target.property is None else target.property["id"]
    return tx.series.add(
        accepted.data_type, context.now_ns, alias=target.alias, asset_id=target.asset_id, property_id=property_id
    )


def _accepted(
    now_ns: int, addresses: Addresses, entry: Document, errors: EntryErrors, *, partial: bool
) -> Accepted | None:
    """What of an entry may be stored; the rest is added to the errors. Without ``partial`` it is all or nothing."""
    values = entry["propertyValues"]
    if not values:
        errors.add("InvalidRequestException", "At least one value must be given", {"timeInSeconds": 1})
        return None
    try:
        target = addresses.resolve(entry)
        data_type = _data_type(target, values)
    except ServiceError as error:
        for each in values:
            errors.add(error.code, error.message, each["timestamp"])
        return None
    samples = []
    for each in values:
        sample = _sample(now_ns, each, data_type, errors)
        samples += [] if sample is None else [sample]
    return Accepted(target, entry, data_type, samples) if samples and (partial or not errors.found) else None


def _data_type(target: Target, values: list[Document]) -> str:
    """The data type that values must have; a new stream takes that of its first value.

    Raises:
        ServiceError: if the property is none that can be written.
    """
    if target.property is not None:
        if not any(kind in target.property["type"] for kind in WRITABLE):
            raise invalid(f"Property {target.property['name']} is computed; only measurements and attributes are put")
        return str(target.property["dataType"])
    if target.series is not None:
        return target.series.data_type
    return next((found for found in map(_given_type, values) if found is not None), "DOUBLE")


def _given_type(value: Document) -> str | None:
    return data_type_of(value["value"]) if wrong_value(value["value"], value.get("quality", "GOOD")) is None else None


def _sample(now_ns: int, value: Document, data_type: str, errors: EntryErrors) -> Sample | None:
    """A value as a sample; None, and an error more, where the service would not take it."""
    time_ns, quality = nanoseconds(value["timestamp"]), value.get("quality", "GOOD")
    if not now_ns - PAST_NS <= time_ns <= now_ns + FUTURE_NS:
        message = "Timestamp is out of range: not more than 7 days in the past, not more than 10 minutes in the future"
        errors.add("TimestampOutOfRangeException", message, value["timestamp"])
        return None
    wrong = wrong_value(value["value"], quality)
    if wrong is None and data_type_of(value["value"]) not in (None, data_type):
        wrong = f"Value has the data type {data_type_of(value['value'])}, expected {data_type}"
    if wrong is not None:
        errors.add("InvalidRequestException", wrong, value["timestamp"])
        return None
    return Sample(time_ns, quality, value_of(value["value"]))


HANDLERS: Handlers = {"BatchPutAssetPropertyValue": put}
