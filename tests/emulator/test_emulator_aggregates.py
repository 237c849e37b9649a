"""Aggregates and interpolation: compared with numbers worked out by hand and with numpy's own."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from botocore.exceptions import ClientError

from emulator_clients import NOW_S, Client, Line, offsets, when

Put = Callable[..., list[dict[str, Any]]]
ALL = ["AVERAGE", "COUNT", "MAXIMUM", "MINIMUM", "SUM", "STANDARD_DEVIATION"]
HOUR_S = 3600.0


def test_a_window_ends_at_its_timestamp_which_belongs_to_it(sitewise: Client, line: Line, put: Put) -> None:
    """A value on the edge counts to the window that ends there; NOW is noon, so minutes are whole."""
    put("speed", (-121, 1.0, "GOOD"), (-120, 2.0, "GOOD"), (-119.5, 4.0, "GOOD"), (-60, 8.0, "GOOD"))
    found = sitewise.get_asset_property_aggregates(
        **line.address("speed"), aggregateTypes=["SUM"], resolution="1m", startDate=when(-180), endDate=when(0)
    )["aggregatedValues"]
    sums = {each["timestamp"].timestamp() - NOW_S: each["value"]["sum"] for each in found}
    assert sums == {-120: 3.0, -60: 12.0}


def test_all_aggregates_are_those_of_numpy(sitewise: Client, line: Line, put: Put) -> None:
    """Of GOOD values alone; the count is a double, as the documented example has it."""
    values = [3.25, -1.5, 8.0, 8.0, 0.125]
    put("speed", *((-100 - k, value, "GOOD") for k, value in enumerate(values)), (-99, 1e9, "BAD"))
    (found,) = sitewise.get_asset_property_aggregates(
        **line.address("speed"), aggregateTypes=ALL, resolution="1h", startDate=when(-HOUR_S), endDate=when(0)
    )["aggregatedValues"]
    assert found["quality"] == "GOOD"
    expected = [np.mean(values), 5.0, np.max(values), np.min(values), np.sum(values), np.std(values)]
    names = ("average", "count", "maximum", "minimum", "sum", "standardDeviation")
    assert [found["value"][name] for name in names] == pytest.approx(expected, rel=1e-15)


def test_the_documented_range_holds_one_window(sitewise: Client, line: Line, put: Put) -> None:
    """The AWS CLI's example: from 10 minutes before an hour's end to 50 minutes after it, one value, at the hour."""
    put("speed", *((-HOUR_S - 60 * k, float(k), "GOOD") for k in range(10)))
    found = sitewise.get_asset_property_aggregates(
        **line.address("speed"),
        aggregateTypes=["AVERAGE", "COUNT"],
        resolution="1h",
        startDate=when(-HOUR_S - 600),
        endDate=when(-HOUR_S + 3000),
    )["aggregatedValues"]
    assert [each["timestamp"] for each in found] == [when(-HOUR_S)]
    assert found[0]["value"] == {"average": 4.5, "count": 10.0}


def test_a_window_that_has_not_ended_is_not_there(sitewise: Client, line: Line, put: Put) -> None:
    """The service computes a window when it is over."""
    put("speed", (30, 1.0, "GOOD"))
    ask = {"aggregateTypes": ["COUNT"], "resolution": "1m", "startDate": when(-60), "endDate": when(600)}
    assert sitewise.get_asset_property_aggregates(**line.address("speed"), **ask)["aggregatedValues"] == []


@pytest.mark.parametrize("ordering", ["ASCENDING", "DESCENDING"])
def test_aggregates_come_in_pages(sitewise: Client, line: Line, put: Put, ordering: str) -> None:
    """All windows once, in order, alone and in a batch."""
    for k in range(7):
        put("speed", (-60 * k - 1, float(k), "GOOD"))
    window = {"resolution": "1m", "startDate": when(-3600), "endDate": when(0), "timeOrdering": ordering}
    ask = {"aggregateTypes": ["SUM"], **window}
    pages = sitewise.get_paginator("get_asset_property_aggregates").paginate(
        **line.address("speed"), **ask, PaginationConfig={"PageSize": 3}
    )
    listed = [[each["value"]["sum"] for each in page["aggregatedValues"]] for page in pages]
    assert [len(page) for page in listed] == [3, 3, 1]
    ordered = sorted(range(7), reverse=ordering == "ASCENDING")
    assert list(itertools.chain(*listed)) == ordered
    entry = {"entryId": "a", **line.address("speed"), **ask}
    first = sitewise.batch_get_asset_property_aggregates(entries=[entry], maxResults=4)
    rest = sitewise.batch_get_asset_property_aggregates(entries=[entry], maxResults=4, nextToken=first["nextToken"])
    assert "nextToken" not in rest
    entries = [*first["successEntries"], *rest["successEntries"]]
    assert [each["value"]["sum"] for entry in entries for each in entry["aggregatedValues"]] == ordered


def test_only_numbers_have_more_than_a_count(sitewise: Client, line: Line, put: Put) -> None:
    """Of texts and booleans the service counts; asked for nothing else, it refuses."""
    put("state", (-1, "on", "GOOD"), (-2, "off", "GOOD"))
    ask = {"resolution": "1m", "startDate": when(-60), "endDate": when(0)}
    get = sitewise.get_asset_property_aggregates
    (found,) = get(**line.address("state"), **ask, aggregateTypes=ALL)["aggregatedValues"]
    assert found["value"] == {"count": 2.0}
    with pytest.raises(ClientError, match="data type STRING"):
        get(**line.address("state"), **ask, aggregateTypes=["SUM"])


def interpolated(sitewise: Client, line: Line, name: str, **options: object) -> list[dict[str, Any]]:
    """Interpolated values of the last hour, each ten minutes unless said otherwise."""
    asked = {
        "startTimeInSeconds": NOW_S - 3600,
        "endTimeInSeconds": NOW_S,
        "quality": "GOOD",
        "intervalInSeconds": 600,
        "type": "LINEAR_INTERPOLATION",
        **options,
    }
    paginator = sitewise.get_paginator("get_interpolated_asset_property_values")
    pages = paginator.paginate(**line.address(name), **asked, PaginationConfig={"PageSize": 4})
    return [each for page in pages for each in page["interpolatedAssetPropertyValues"]]


def test_linear_interpolation_lies_on_the_line(sitewise: Client, line: Line, put: Put) -> None:
    """The first value one interval after the start, the last at the end; BAD values are no points."""
    put("speed", (-3600, 0.0, "GOOD"), (0, 36.0, "GOOD"), (-1800, 1e6, "BAD"))
    found = interpolated(sitewise, line, "speed")
    assert offsets(found) == [-3000, -2400, -1800, -1200, -600, 0]
    assert [each["value"]["doubleValue"] for each in found] == pytest.approx([6, 12, 18, 24, 30, 36])


def test_a_gap_wider_than_the_window_stays_a_gap(sitewise: Client, line: Line, put: Put) -> None:
    """IntervalWindowInSeconds bounds how far from a time its points may lie."""
    put("speed", (-3600, 0.0, "GOOD"), (-2400, 12.0, "GOOD"), (-600, 0.0, "GOOD"), (0, 6.0, "GOOD"))
    found = interpolated(sitewise, line, "speed", intervalWindowInSeconds=700)
    assert offsets(found) == [-3000, -2400, -600, 0]


def test_the_last_observation_is_carried_forward(sitewise: Client, line: Line, put: Put) -> None:
    """Texts as well; before the first observation there is nothing."""
    put("state", (-2500, "on", "GOOD"), (-1200, "off", "GOOD"))
    found = interpolated(sitewise, line, "state", type="LOCF_INTERPOLATION")
    assert [each["value"]["stringValue"] for each in found] == ["on", "on", "off", "off", "off"]
    assert offsets(found)[0] == -2400


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("speed", {"type": "SPLINE"}, "LINEAR_INTERPOLATION or LOCF_INTERPOLATION"),
        ("speed", {"endTimeInSeconds": NOW_S - 3600}, "before endTimeInSeconds"),
        ("speed", {"startTimeInSeconds": NOW_S - 29 * 86400}, "28 days"),
        ("speed", {"type": "LOCF_INTERPOLATION", "intervalWindowInSeconds": 1}, "intervalWindowInSeconds"),
        ("state", {}, "cannot be interpolated linearly"),
    ],
)
def test_what_cannot_be_interpolated_is_refused(
    sitewise: Client, line: Line, name: str, options: dict[str, object], said: str
) -> None:
    """InvalidRequestException, with what would be right."""
    with pytest.raises(ClientError, match=said):
        interpolated(sitewise, line, name, **options)
