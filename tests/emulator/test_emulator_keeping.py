"""What the emulator holds outlives it, in SQLite and PostgreSQL, and many may write at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from emulator_clients import Client, Clock, Line, at, connect, offsets
from twin_assets.emulator import Emulator
from twin_assets.errors import TwinError

Put = Callable[..., list[dict[str, Any]]]


@pytest.fixture(name="place", params=["sqlite", "postgresql"])
def _place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where data is kept: a folder, or the URL of a database."""
    if request.param == "sqlite":
        return str(tmp_path)
    return str(request.getfixturevalue("postgresql_url"))


def make(sitewise: Client) -> tuple[str, str]:
    """An asset with one property."""
    properties = [{"name": "speed", "dataType": "DOUBLE", "type": {"measurement": {}}}]
    model = sitewise.create_asset_model(assetModelName="line", assetModelProperties=properties)["assetModelId"]
    asset = sitewise.create_asset(assetName="line_1", assetModelId=model)["assetId"]
    return asset, sitewise.describe_asset(assetId=asset)["assetProperties"][0]["id"]


def put(sitewise: Client, asset: str, name: str, *offsets_s: float, value: float = 1.0) -> list[dict[str, Any]]:
    """Put one value at each time."""
    values = [{"value": {"doubleValue": value}, "timestamp": at(offset_s)} for offset_s in offsets_s]
    entry = {"entryId": "a", "assetId": asset, "propertyId": name, "propertyValues": values}
    return list(sitewise.batch_put_asset_property_value(entries=[entry])["errorEntries"])


def test_the_next_emulator_on_the_same_data_knows_everything(place: str, clock: Clock) -> None:
    """Models, assets, aliases, streams, numbers and nulls; a URL is as good as a folder."""
    with Emulator(place, clock=clock) as first:
        sitewise = connect("iotsitewise", first.url)
        asset, name = make(sitewise)
        sitewise.update_asset_property(assetId=asset, propertyId=name, propertyAlias="/line/speed")
        put(sitewise, asset, name, -2, -1)
        put(sitewise, asset, name, -1, value=float("nan"))
    with Emulator(place, clock=clock) as second:
        sitewise = connect("iotsitewise", second.url)
        assert sitewise.describe_asset(assetId=asset)["assetProperties"][0]["alias"] == "/line/speed"
        found = sitewise.get_asset_property_value_history(propertyAlias="/line/speed")["assetPropertyValueHistory"]
        assert [str(each["value"]["doubleValue"]) for each in found] == ["1.0", "nan"]
        put(sitewise, asset, name, -1, value=2.0)
        found = sitewise.get_asset_property_value_history(propertyAlias="/line/speed")["assetPropertyValueHistory"]
        assert [each["value"]["doubleValue"] for each in found] == [1.0, 2.0]


def test_many_clients_write_at_once_and_nothing_is_lost(place: str, clock: Clock) -> None:
    """Eight threads, one property and one new stream: all values there, one stream."""
    with Emulator(place, clock=clock) as emulator:
        sitewise = connect("iotsitewise", emulator.url, max_pool_connections=8)
        asset, name = make(sitewise)
        alias = {"entryId": "a", "propertyAlias": "/new"}

        def write(number: int) -> object:
            values = [{"value": {"doubleValue": float(number)}, "timestamp": at(-number)}]
            put(sitewise, asset, name, *(-10 * number - k for k in range(10)))
            return sitewise.batch_put_asset_property_value(entries=[alias | {"propertyValues": values}])["errorEntries"]

        with ThreadPoolExecutor(8) as threads:
            assert list(threads.map(write, range(24))) == [[]] * 24
        history = partial(sitewise.get_asset_property_value_history, maxResults=1000)
        found = history(assetId=asset, propertyId=name)["assetPropertyValueHistory"]
        assert offsets(found) == [float(k) for k in range(-239, 1)]
        assert len(history(propertyAlias="/new")["assetPropertyValueHistory"]) == 24
        assert len(sitewise.list_time_series(aliasPrefix="/new")["TimeSeriesSummaries"]) == 1


def test_a_stream_becomes_a_propertys_with_all_that_it_holds(sitewise: Client, line: Line) -> None:
    """AssociateTimeSeriesToAssetProperty, and back; a property that has a series takes no other."""
    value = {"value": {"doubleValue": 1.0}, "timestamp": at(-1)}
    entry = {"entryId": "a", "propertyAlias": "/stream", "propertyValues": [value]}
    sitewise.batch_put_asset_property_value(entries=[entry])
    (listed,) = sitewise.list_time_series(timeSeriesType="DISASSOCIATED")["TimeSeriesSummaries"]
    assert (listed["alias"], listed["dataType"], "assetId" in listed) == ("/stream", "DOUBLE", False)
    sitewise.associate_time_series_to_asset_property(alias="/stream", **line.address("speed"))
    history = sitewise.get_asset_property_value_history(**line.address("speed"))["assetPropertyValueHistory"]
    assert offsets(history) == [-1.0]
    with pytest.raises(sitewise.exceptions.ResourceAlreadyExistsException):
        sitewise.update_asset_property(**line.address("count"), propertyAlias="/stream")
    sitewise.disassociate_time_series_from_asset_property(alias="/stream", **line.address("speed"))
    assert sitewise.get_asset_property_value_history(**line.address("speed"))["assetPropertyValueHistory"] == []
    sitewise.delete_time_series(alias="/stream")
    with pytest.raises(sitewise.exceptions.ResourceNotFoundException):
        sitewise.describe_time_series(alias="/stream")


def test_a_deleted_asset_is_gone_and_its_named_streams_stay(sitewise: Client, line: Line, put: Put) -> None:
    """A model with assets cannot be deleted; one without can."""
    sitewise.update_asset_property(**line.address("speed"), propertyAlias="/line/speed")
    put("speed", (-1, 1.0, "GOOD"))
    put("count", (-1, 1, "GOOD"))
    with pytest.raises(sitewise.exceptions.ConflictingOperationException):
        sitewise.delete_asset_model(assetModelId=line.model)
    sitewise.delete_asset(assetId=line.asset)
    with pytest.raises(sitewise.exceptions.ResourceNotFoundException):
        sitewise.describe_asset(assetId=line.asset)
    assert [each["alias"] for each in sitewise.list_time_series()["TimeSeriesSummaries"]] == ["/line/speed"]
    assert sitewise.get_asset_property_value(propertyAlias="/line/speed")["propertyValue"]["quality"] == "GOOD"
    sitewise.delete_asset_model(assetModelId=line.model)
    assert sitewise.list_asset_models()["assetModelSummaries"] == []


def test_a_port_that_is_taken_is_said_plainly(emulator: Emulator, tmp_path: Path) -> None:
    """With the address, and what to do; nothing is left open."""
    port = int(emulator.url.rpartition(":")[2])
    with pytest.raises(TwinError, match=rf"127.0.0.1:{port}: the emulator cannot listen there .* --port"):
        Emulator(tmp_path / "other", port=port).__enter__()


def test_a_database_that_is_no_historian_is_refused(tmp_path: Path) -> None:
    """And its port is free again: the next emulator may have it."""
    (tmp_path / "sitewise.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(TwinError, match="no historian but some other kind of file"):
        Emulator(tmp_path).__enter__()
