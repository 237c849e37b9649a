"""The service's limits are the emulator's: what it refuses, by which code, and what of the rest is kept."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator_clients import NOW_S, Client, Clock, Line, at, connect, offsets
from twin_assets.emulator import Emulator
from twin_assets.emulator.quotas import Quotas, Throttle, parse_quotas
from twin_assets.errors import TwinError

Put = Callable[..., list[dict[str, Any]]]
ALIAS = "/company/windfarm/3/turbine/7/temperature"


def entry(number: object = 1, *offsets_s: float, alias: str = ALIAS) -> dict[str, Any]:
    """An entry of a put that nothing is wrong with."""
    values = [{"value": {"doubleValue": 1.0}, "timestamp": at(offset_s)} for offset_s in offsets_s or (-1.0,)]
    return {"entryId": str(number), "propertyAlias": alias, "propertyValues": values}


def refused(call: Callable[..., object], **request: object) -> dict[str, Any]:
    """The error that a call ends with."""
    with pytest.raises(ClientError) as caught:
        call(**request)
    response: dict[str, Any] = caught.value.response
    return response


def history(sitewise: Client, **address: object) -> list[float]:
    """The times of what is there, in seconds after now."""
    return offsets(sitewise.get_asset_property_value_history(**address)["assetPropertyValueHistory"])


def repeat(call: Callable[[], object]) -> None:
    """Call twenty times."""
    for _ in range(20):
        call()


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([entry(k) for k in range(11)], "'entries' failed to satisfy constraint: Member must have length less than"),
        (
            [entry(1, *range(-11, 0))],
            "'entries.1.member.propertyValues' failed to satisfy constraint: Member must have",
        ),
        ([entry(1), entry(1)], "unique"),
        ([], "At least one entry"),
        ([entry("1575691200./company/power")], "regular expression pattern: ^[a-zA-Z0-9_-]+$"),
        ([entry("x" * 65)], "length less than or equal to 64"),
        ([entry(1) | {"propertyAlias": "a\nb"}], "regular expression pattern"),
        ([entry(1) | {"propertyAlias": "a" * 2049}], "length less than or equal to 2048"),
    ],
)
def test_a_put_that_is_too_large_or_misspelt_is_refused_whole(
    sitewise: Client, entries: list[dict[str, Any]], said: str
) -> None:
    """InvalidRequestException, 400, in the services' words; nothing of it is kept."""
    error = refused(sitewise.batch_put_asset_property_value, entries=entries)
    assert error["Error"]["Code"] == "InvalidRequestException"
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert said in error["Error"]["Message"]
    assert sitewise.list_time_series()["TimeSeriesSummaries"] == []


def test_ten_entries_of_ten_values_are_taken(sitewise: Client) -> None:
    """The most that one request may hold."""
    entries = [entry(k, *range(-10, 0), alias=f"/line/{k}") for k in range(10)]
    assert sitewise.batch_put_asset_property_value(entries=entries)["errorEntries"] == []
    assert len(history(sitewise, propertyAlias="/line/9")) == 10


@pytest.mark.parametrize(
    ("offset_s", "taken"), [(-7 * 86400, True), (600, True), (-7 * 86400 - 1, False), (601, False)]
)
def test_values_are_taken_from_seven_days_ago_to_ten_minutes_ahead(
    sitewise: Client, offset_s: float, taken: bool
) -> None:
    """Both ends included; outside of them it is an error of the entry, with the times that it is about."""
    errors = sitewise.batch_put_asset_property_value(entries=[entry("a", offset_s)])["errorEntries"]
    if taken:
        assert errors == []
        return
    (found,) = errors
    assert found["entryId"] == "a"
    assert [(each["errorCode"], each["timestamps"]) for each in found["errors"]] == [
        ("TimestampOutOfRangeException", [at(offset_s)])
    ]


@pytest.mark.parametrize(("partial", "kept"), [(False, []), (True, [-2.0, -1.0])])
def test_one_bad_value_fails_its_entry_unless_partial_processing_is_asked_for(
    sitewise: Client, line: Line, put: Put, partial: bool, kept: list[float]
) -> None:
    """As the API reference says of enablePartialEntryProcessing."""
    values = [(-2, 1.0, "GOOD"), (-1, 2.0, "GOOD"), (3600, 3.0, "GOOD")]
    (errors,) = put("speed", *values, enablePartialEntryProcessing=partial)
    assert [each["errorCode"] for each in errors["errors"]] == ["TimestampOutOfRangeException"]
    assert history(sitewise, **line.address("speed")) == kept


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("speed", {"integerValue": 1}, "data type INTEGER, expected DOUBLE"),
        ("count", {"doubleValue": 1.0}, "data type DOUBLE, expected INTEGER"),
        ("speed", {"doubleValue": 1.1e10}, "between -10^10 and 10^10"),
        ("speed", {"doubleValue": float("inf")}, "between -10^10 and 10^10"),
        ("state", {"stringValue": "x" * 1025}, "at most 1024"),
        ("state", {"stringValue": "a\tb"}, "regular expression"),
        ("speed", {"doubleValue": 1.0, "integerValue": 1}, "exactly one value"),
        ("speed", {}, "exactly one value"),
        ("speed", {"nullValue": {"valueType": "D"}}, "BAD or UNCERTAIN"),
    ],
)
def test_values_that_the_property_cannot_hold_are_errors_of_the_entry(
    put: Put, name: str, value: dict[str, object], said: str
) -> None:
    """InvalidRequestException, beside entries that are taken."""
    (errors,) = put(name, (-1, value, "GOOD"))
    (error,) = errors["errors"]
    assert error["errorCode"] == "InvalidRequestException"
    assert said in error["errorMessage"]


def test_an_asset_that_is_not_there_does_not_keep_other_entries_out(sitewise: Client, line: Line) -> None:
    """ResourceNotFoundException for its entry alone."""
    nobody = "11111111-2222-4333-8444-555555555555"
    wrong = entry("wrong") | {"assetId": nobody, "propertyId": line.properties["speed"]}
    del wrong["propertyAlias"]
    (errors,) = sitewise.batch_put_asset_property_value(entries=[wrong, entry("right")])["errorEntries"]
    assert (errors["entryId"], errors["errors"][0]["errorCode"]) == ("wrong", "ResourceNotFoundException")
    assert history(sitewise, propertyAlias=ALIAS) == [-1.0]


def test_ten_values_of_one_quality_fit_into_a_second(sitewise: Client, line: Line, put: Put) -> None:
    """The eleventh is refused; one of another quality, or that overwrites, is not."""
    assert put("speed", *((-1 + k / 100, 1.0, "GOOD") for k in range(10))) == []
    (errors,) = put("speed", (-0.5, 1.0, "GOOD"))
    assert errors["errors"][0]["errorCode"] == "LimitExceededException"
    assert put("speed", (-0.5, 1.0, "BAD")) == []
    assert put("speed", (-1 + 1 / 100, 2.0, "GOOD")) == []
    assert len(history(sitewise, **line.address("speed"))) == 11


def test_a_batch_of_history_has_at_most_sixteen_entries(sitewise: Client) -> None:
    """And at most 20,000 values a page."""
    entries = [{"entryId": str(k), "propertyAlias": ALIAS} for k in range(17)]
    ask = sitewise.batch_get_asset_property_value_history
    assert "length less than or equal to 16" in refused(ask, entries=entries)["Error"]["Message"]
    error = refused(ask, entries=entries[:16], maxResults=20_001)
    assert error["Error"]["Code"] == "InvalidRequestException"
    assert len(ask(entries=entries[:16], maxResults=20_000)["errorEntries"]) == 16


def test_a_model_has_at_most_two_hundred_properties(sitewise: Client) -> None:
    """Of exactly one of four types each."""
    measured = {"dataType": "DOUBLE", "type": {"measurement": {}}}
    properties = [{"name": f"p{k}", **measured} for k in range(201)]
    create = sitewise.create_asset_model
    error = refused(create, assetModelName="too many", assetModelProperties=properties)
    assert "length less than or equal to 200" in error["Error"]["Message"]
    both = [{"name": "p", "dataType": "DOUBLE", "type": {"measurement": {}, "attribute": {}}}]
    assert (
        "type must be one of" in refused(create, assetModelName="both", assetModelProperties=both)["Error"]["Message"]
    )
    assert create(assetModelName="enough", assetModelProperties=properties[:200])["assetModelStatus"]


def test_a_token_that_nobody_gave_out_is_refused(sitewise: Client) -> None:
    """Not answered with some page."""
    error = refused(sitewise.list_time_series, nextToken="bm9uZQ==")
    assert error["Error"]["Code"] == "InvalidRequestException"


def test_quotas_throttle_entries_and_requests(clock: Clock, tmp_path: Path) -> None:
    """More than the quota's values a second are refused as throttled, entry by entry; requests as a whole."""
    with Emulator(tmp_path, clock=clock, quotas="points=15,models=1") as emulator:
        sitewise = connect("iotsitewise", emulator.url)
        entries = [entry(k, *range(-10, 0), alias=f"/line/{k}") for k in range(2)]
        (errors,) = sitewise.batch_put_asset_property_value(entries=entries)["errorEntries"]
        assert errors["errors"][0]["errorCode"] == "ThrottlingException"
        assert len(errors["errors"][0]["timestamps"]) == 10
        with pytest.raises(sitewise.exceptions.ThrottlingException):
            repeat(sitewise.list_asset_models)


def test_a_bucket_fills_with_time() -> None:
    """One second's worth at most, however long nothing was asked."""
    now = [0.0]
    throttle = Throttle(Quotas(points=10, entries=100), lambda: now[0])
    assert [throttle.admits_entry("a", 10), throttle.admits_entry("a", 1)] == [True, False]
    now[0] += 0.5
    assert [throttle.admits_entry("a", 5), throttle.admits_entry("a", 1)] == [True, False]
    now[0] += 1000
    assert [throttle.admits_entry("a", 11), throttle.admits_entry("a", 10)] == [False, True]


def test_an_entry_quota_is_each_propertys_own() -> None:
    """Ten entries a second of one property, whatever others send."""
    throttle = Throttle(Quotas(), lambda: 0.0)
    assert [throttle.admits_entry("a", 1) for _ in range(11)] == [True] * 10 + [False]
    assert throttle.admits_entry("b", 1)


@pytest.mark.parametrize("text", ["point=1", "points", "points=0", "points=x", "off,points=1"])
def test_what_is_no_quota_is_said_plainly(text: str) -> None:
    """With the names that there are."""
    with pytest.raises(TwinError, match="requests, models, assets, series, points, entries"):
        parse_quotas(text)


def test_now_is_the_emulators_clock(sitewise: Client, clock: Clock) -> None:
    """Tests move it; what was ten minutes ahead is then in range, and history ends later."""
    clock.advance(3600)
    assert sitewise.batch_put_asset_property_value(entries=[entry("a", 4200)])["errorEntries"] == []
    assert sitewise.get_asset_property_value(propertyAlias=ALIAS)["propertyValue"]["timestamp"]["timeInSeconds"] == (
        NOW_S + 4200
    )
