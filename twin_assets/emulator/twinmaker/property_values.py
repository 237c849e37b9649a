"""GetPropertyValue and GetPropertyValueHistory: values of an entity's component, those of a bound asset from SiteWise.

Both ends of a range are included. Of a bound property the GOOD values are answered; nulls are none.
https://docs.aws.amazon.com/iot-twinmaker/latest/apireference/API_GetPropertyValueHistory.html
"""

from datetime import UTC, datetime
from typing import Any

from twin_assets.emulator.context import Context, Handlers, Transaction
from twin_assets.emulator.documents import foreign_token, make_token, read_tokens
from twin_assets.emulator.errors import ServiceError
from twin_assets.emulator.protocol import Document
from twin_assets.emulator.series import LAST_NS, Stretch, TimeSeries, key_of, read
from twin_assets.emulator.sitewise.reading import key_in
from twin_assets.emulator.twinmaker.components import Bound, bound, static_properties
from twin_assets.emulator.twinmaker.entities import ENTITY
from twin_assets.emulator.twinmaker.resources import find, invalid
from twin_assets.emulator.values import SECOND_NS, Null, Sample, seconds_to_ns, variant_of

DEFAULT = 100
NOT_SERVED = ("componentTypeId", "componentPath", "propertyGroupName", "tabularConditions", "propertyFilters")


def get_values(context: Context, request: Document) -> Document:
    """GetPropertyValue: the newest value of what changes, the value of what does not."""
    with context.transaction() as tx:
        entity = _entity(tx, request)
        name = request["componentName"]
        static = static_properties(context, tx, entity, name)
        values = {}
        for key in request["selectedProperties"]:
            value = _value(context, tx, entity, name, key, static)
            told = {"propertyReference": _reference(entity, name, key)}
            values[key] = told if value is None else told | {"propertyValue": value}
    return {"propertyValues": values}


def _value(
    context: Context, tx: Transaction, entity: Document, name: str, key: str, static: Document
) -> Document | None:
    place = bound(context, tx, entity, name, key)
    if place is None:
        if key not in static:
            raise invalid(f"Property {key} is none of component {name}")
        value: Document | None = static[key].get("value")
        return value
    series = _series(tx, place)
    if series is None:
        return None
    newest = read(tx.connection, series, Stretch(-1, LAST_NS, "GOOD", descending=True), 1)
    return _data_value(newest[0], series) if newest else None


def get_history(context: Context, request: Document) -> Document:
    """GetPropertyValueHistory."""
    if "interpolation" in request:
        raise invalid("The emulator interpolates no property values")
    selected = request["selectedProperties"]
    token: dict[str, Any] = read_tokens(request["nextToken"]) if "nextToken" in request else {}
    room = request.get("maxResults") or DEFAULT
    answered: list[Document] = []
    following = None
    with context.transaction() as tx:
        entity = _entity(tx, request)
        start, end = _range(context, request)
        descending = request.get("orderByTime") == "DESCENDING"
        after, first = key_in(token), token.get("property", 0)
        if not isinstance(first, int):
            raise foreign_token()
        for number in range(first, len(selected)):
            key = selected[number]
            place = bound(context, tx, entity, request["componentName"], key)
            if place is None:
                raise invalid(f"Property {key} of component {request['componentName']} is no time series")
            series = _series(tx, place)
            stretch = Stretch(start - 1, end, "GOOD", descending, after)
            found = [] if series is None or room <= 0 else read(tx.connection, series, stretch, room + 1)
            reference = _reference(entity, request["componentName"], key)
            answered.append({"entityPropertyReference": reference, "values": _told(found[:room], series)})
            if len(found) > room:
                following = {"property": number, "after": key_of(found[room - 1])}
                break
            room, after = room - len(found), None
            if room <= 0 and number + 1 < len(selected):
                following = {"property": number + 1}
                break
    return {"propertyValues": answered, "nextToken": None if following is None else make_token(following)}


def _told(samples: list[Sample], series: TimeSeries | None) -> list[Document]:
    told = []
    for sample in samples:
        value = None if series is None else _data_value(sample, series)
        if value is not None:
            told.append({"value": value, "time": _iso(sample.time_ns), "timestamp": sample.time_ns / SECOND_NS})
    return told


def _data_value(sample: Sample, series: TimeSeries) -> Document | None:
    return None if isinstance(sample.value, Null) else variant_of(sample.value, series.data_type)


def _entity(tx: Transaction, request: Document) -> Document:
    """The entity of a request, which has the component that is asked for."""
    for key in NOT_SERVED:
        if key in request:
            raise invalid(f"The emulator answers values of an entity's component alone; it serves no {key}")
    if "entityId" not in request or "componentName" not in request:
        raise invalid("entityId and componentName must be specified")
    entity = find(tx, ENTITY, request, request["entityId"])
    if request["componentName"] not in entity["components"]:
        raise ServiceError("ResourceNotFoundException", f"The component {request['componentName']} could not be found")
    return entity


def _series(tx: Transaction, place: Bound) -> TimeSeries | None:
    return tx.series.of_property(place.asset_id, place.property_id)


def _reference(entity: Document, name: str, key: str) -> Document:
    return {"entityId": entity["entityId"], "componentName": name, "propertyName": key}


def _range(context: Context, request: Document) -> tuple[int, int]:
    """Start and end in nanoseconds, of the texts or of the older numbers."""
    start = _time(request, "startTime", "startDateTime", 0)
    end = _time(request, "endTime", "endDateTime", context.now_ns)
    if start > end:
        raise invalid("startTime must not be after endTime")
    return start, end


def _time(request: Document, text: str, number: str, default: int) -> int:
    if text in request:
        try:
            time = datetime.fromisoformat(request[text])
        except ValueError as error:
            raise invalid(f"{text} '{request[text]}' is no time as ISO 8601 has it") from error
        return seconds_to_ns((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp())
    return seconds_to_ns(request[number]) if number in request else default


def _iso(time_ns: int) -> str:
    seconds, nanos = divmod(time_ns, SECOND_NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanos:09d}Z"


HANDLERS: Handlers = {"GetPropertyValue": get_values, "GetPropertyValueHistory": get_history}
