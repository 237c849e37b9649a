"""BatchPutAssetPropertyValue: what is taken, what is refused for which reason, entry by entry.

https://docs.aws.amazon.com/iot-sitewise/latest/APIReference/API_BatchPutAssetPropertyValue.html
"""

from dataclasses import dataclass, field

from twin_assets.emulator.context import Context, Handlers, Transaction
from twin_assets.emulator.errors import ServiceError, invalid
from twin_assets.emulator.protocol import Document
from twin_assets.emulator.series import Stretch, TimeSeries, read
from twin_assets.emulator.sitewise.resources import Addresses, Target
from twin_assets.emulator.values import (
    SECOND_NS,
    Sample,
    data_type_of,
    nanoseconds,
    time_of,
    value_of,
    wrong_value,
)

PAST_NS = 7 * 24 * 3600 * SECOND_NS
FUTURE_NS = 600 * SECOND_NS
IN_A_SECOND = 10  # values of one quality of one property; the user guide's quotas
WRITABLE = ("measurement", "attribute")


@dataclass
class EntryErrors:
    """What is wrong with one entry: (code, message) to the times of the values that it is said of."""

    entry_id: str
    found: dict[tuple[str, str], list[Document]] = field(default_factory=dict)

    def add(self, code: str, message: str, time: Document) -> None:
        """Say something of one value."""
        self.found.setdefault((code, message), []).append(time)

    def add_all(self, code: str, message: str, values: list[Document]) -> None:
        """Say something of all values."""
        self.found[code, message] = [each["timestamp"] for each in values]

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
    with context.transaction() as tx:
        judge = Judge(context, tx, request)
        accepted = [each for each in map(judge.accepted, request["entries"]) if each is not None]
    if accepted:
        store(context, accepted)
    return {"errorEntries": [each.answer() for each in judge.errors if each.found]}


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


class Judge:
    """Says what of each entry may be stored, and what is wrong with the rest.

    Attributes:
        errors: of the entries that were judged so far, those without any included.
    """

    def __init__(self, context: Context, tx: Transaction, request: Document) -> None:
        """Look up what the entries address.

        Args:
            context: with the quotas and faults of single entries.
            tx: in which everything is looked up.
            request: BatchPutAssetPropertyValue's.
        """
        self._context, self._tx, self._now_ns = context, tx, context.now_ns
        self._addresses = Addresses(tx, request["entries"])
        self._partial = request.get("enablePartialEntryProcessing", False)
        self.errors: list[EntryErrors] = []

    def accepted(self, entry: Document) -> Accepted | None:
        """What of an entry may be stored. Unless partial processing was asked for, it is all or nothing."""
        errors, values = EntryErrors(entry["entryId"]), entry["propertyValues"]
        self.errors.append(errors)
        try:
            if not values:
                raise invalid("At least one value must be given")
            target = self._addresses.resolve(entry)
            data_type = _data_type(target, values)
            self._refuse_throttled(entry)
        except ServiceError as error:
            errors.add_all(error.code, error.message, values)
            return None
        found = [_sample(self._now_ns, each, data_type, errors) for each in values]
        samples = [each for each in found if each is not None]
        samples = self._within_seconds(target, samples, errors)
        return Accepted(target, entry, data_type, samples) if samples and (self._partial or not errors.found) else None

    def _refuse_throttled(self, entry: Document) -> None:
        address = " ".join(str(entry.get(key)) for key in ("propertyAlias", "assetId", "propertyId"))
        admitted = self._context.throttle.admits_entry(address, len(entry["propertyValues"]))
        if not admitted or self._context.faults.refuses_entry():
            raise ServiceError("ThrottlingException", "Rate exceeded")

    def _within_seconds(self, target: Target, samples: list[Sample], errors: EntryErrors) -> list[Sample]:
        """Without those that would be one too many in their second; counted where any is at a part of a second."""
        if all(each.time_ns % SECOND_NS == 0 for each in samples):
            return samples
        counted: dict[tuple[int, str], set[int]] = {}
        taken = []
        for each in samples:
            second = each.time_ns // SECOND_NS
            if (second, each.quality) not in counted:
                stretch = Stretch(second * SECOND_NS - 1, (second + 1) * SECOND_NS - 1, each.quality)
                there = [] if target.series is None else read(self._tx.connection, target.series, stretch, IN_A_SECOND)
                counted[second, each.quality] = {other.time_ns for other in there}
            times = counted[second, each.quality]
            if each.time_ns not in times and len(times) >= IN_A_SECOND:
                message = f"More than {IN_A_SECOND} values of one quality within one second of a property"
                errors.add("LimitExceededException", message, time_of(each.time_ns))
                continue
            times.add(each.time_ns)
            taken.append(each)
        return taken


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
