"""What was put is read back: latest values and history, typed, in order, in pages."""

from collections.abc import Callable
from typing import Any

import pytest

from emulator_clients import Client, Line, offsets, when

Put = Callable[..., list[dict[str, Any]]]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("speed", {"doubleValue": 0.1 + 0.2}),
        ("speed", {"doubleValue": -1e10}),
        ("count", {"integerValue": -(2**31)}),
        ("running", {"booleanValue": False}),
        ("state", {"stringValue": "läuft"}),
        ("state", {"stringValue": ""}),
        ("speed", {"nullValue": {"valueType": "D"}}),
    ],
)
def test_each_type_of_value_comes_back_as_it_was_put(
    sitewise: Client, line: Line, put: Put, name: str, value: dict[str, object]
) -> None:
    """Value, nanoseconds and quality survive, in the type of the property."""
    assert put(name, (-0.000000001, value, "UNCERTAIN")) == []
    found = sitewise.get_asset_property_value(**line.address(name))["propertyValue"]
    assert found["value"] == value
    assert found["timestamp"]["offsetInNanos"] == 999_999_999
    assert found["quality"] == "UNCERTAIN"


def test_nan_comes_back_as_nan(sitewise: Client, line: Line, put: Put) -> None:
    """The API reference allows it as a double; it is no number, and no null either."""
    assert put("speed", (-1, float("nan"), "UNCERTAIN")) == []
    (value,) = sitewise.get_asset_property_value_history(**line.address("speed"))["assetPropertyValueHistory"]
    assert str(value["value"]["doubleValue"]) == "nan"


def test_the_start_is_excluded_and_the_end_included(sitewise: Client, line: Line, put: Put) -> None:
    """As the API reference says of startDate and endDate."""
    put("speed", (-30, 1.0, "GOOD"), (-20, 2.0, "GOOD"), (-10, 3.0, "GOOD"))
    found = sitewise.get_asset_property_value_history(**line.address("speed"), startDate=when(-30), endDate=when(-10))
    assert offsets(found["assetPropertyValueHistory"]) == [-20, -10]


def test_the_same_time_and_quality_is_overwritten_and_another_quality_coexists(
    sitewise: Client, line: Line, put: Put
) -> None:
    """The documented example: storing {T1, GOOD, V2} replaces {T1, GOOD, V1}."""
    put("speed", (-5, 1.0, "GOOD"), (-5, 2.0, "BAD"))
    put("speed", (-5, 3.0, "GOOD"))
    found = sitewise.get_asset_property_value_history(**line.address("speed"))["assetPropertyValueHistory"]
    assert [(each["quality"], each["value"]["doubleValue"]) for each in found] == [("GOOD", 3.0), ("BAD", 2.0)]


def test_a_null_replaces_a_number_of_its_quality_and_a_number_a_null(sitewise: Client, line: Line, put: Put) -> None:
    """Though they are kept in different tables, they are one value of one time and quality."""
    null = {"nullValue": {"valueType": "D"}}
    put("speed", (-5, 1.0, "BAD"), (-5, null, "BAD"), (-4, null, "BAD"))
    put("speed", (-4, 2.0, "BAD"))
    found = sitewise.get_asset_property_value_history(**line.address("speed"))["assetPropertyValueHistory"]
    assert [each["value"] for each in found] == [null, {"doubleValue": 2.0}]


@pytest.mark.parametrize("ordering", ["ASCENDING", "DESCENDING"])
def test_pages_hold_everything_once_and_in_order(sitewise: Client, line: Line, put: Put, ordering: str) -> None:
    """Even where a page ends between two qualities of one time, and between numbers and nulls."""
    for k in range(4):
        put("speed", (-k, 1.0, "GOOD"), (-k, {"nullValue": {"valueType": "D"}}, "BAD"))
    whole = sitewise.get_asset_property_value_history(**line.address("speed"), timeOrdering=ordering)
    pages = sitewise.get_paginator("get_asset_property_value_history").paginate(
        **line.address("speed"), timeOrdering=ordering, PaginationConfig={"PageSize": 3}
    )
    listed = [page["assetPropertyValueHistory"] for page in pages]
    assert [len(page) for page in listed] == [3, 3, 2]
    assert [each for page in listed for each in page] == whole["assetPropertyValueHistory"]
    assert offsets(whole["assetPropertyValueHistory"]) == sorted(
        offsets(whole["assetPropertyValueHistory"]), reverse=ordering == "DESCENDING"
    )


def test_a_batch_goes_on_where_its_page_ended(sitewise: Client, line: Line, put: Put) -> None:
    """Entries that earlier pages have finished are skipped, with how they ended; the others are read once."""
    put("speed", *((-k, float(k), "GOOD") for k in range(5)))
    put("count", *((-k, k, "GOOD") for k in range(3)))
    entries = [
        {"entryId": "nothing", "propertyAlias": "/nothing"},
        {"entryId": "speed", **line.address("speed")},
        {"entryId": "count", **line.address("count")},
    ]
    ask = sitewise.batch_get_asset_property_value_history
    first = ask(entries=entries, maxResults=4)
    second = ask(entries=entries, maxResults=4, nextToken=first["nextToken"])
    assert [each["entryId"] for each in first["errorEntries"]] == ["nothing"]
    assert [(each["entryId"], len(each["assetPropertyValueHistory"])) for each in first["successEntries"]] == [
        ("speed", 4)
    ]
    assert [(each["entryId"], each["completionStatus"]) for each in second["skippedEntries"]] == [("nothing", "ERROR")]
    assert [(each["entryId"], len(each["assetPropertyValueHistory"])) for each in second["successEntries"]] == [
        ("speed", 1),
        ("count", 3),
    ]
    assert "nextToken" not in second


def test_one_quality_alone_can_be_asked_for(sitewise: Client, line: Line, put: Put) -> None:
    """The filter ``qualities``."""
    put("speed", (-5, 1.0, "GOOD"), (-4, 2.0, "BAD"), (-3, 3.0, "UNCERTAIN"))
    found = sitewise.get_asset_property_value_history(**line.address("speed"), qualities=["BAD"])
    assert offsets(found["assetPropertyValueHistory"]) == [-4]


def test_the_latest_values_of_a_batch_come_with_errors_of_their_own(sitewise: Client, line: Line, put: Put) -> None:
    """A property without values is a success without a value; an alias that nothing has is an error."""
    put("speed", (-5, 1.0, "GOOD"), (-4, 2.0, "BAD"))
    entries = [
        {"entryId": "speed", **line.address("speed")},
        {"entryId": "count", **line.address("count")},
        {"entryId": "nothing", "propertyAlias": "/nothing"},
    ]
    found = sitewise.batch_get_asset_property_value(entries=entries)
    latest = {each["entryId"]: each.get("assetPropertyValue") for each in found["successEntries"]}
    assert latest["speed"]["value"] == {"doubleValue": 2.0}
    assert latest["count"] is None
    assert [(each["entryId"], each["errorCode"]) for each in found["errorEntries"]] == [
        ("nothing", "ResourceNotFoundException")
    ]
