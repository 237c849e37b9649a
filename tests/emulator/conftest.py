"""What the emulator's tests share: a running one, a real client, and a line to write to."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator_clients import Client, Clock, Line, at, connect
from twin_assets.emulator import Emulator

TYPES = {"speed": "DOUBLE", "count": "INTEGER", "running": "BOOLEAN", "state": "STRING"}
KEYS = {"speed": "doubleValue", "count": "integerValue", "running": "booleanValue", "state": "stringValue"}

Put = Callable[..., list[dict[str, Any]]]


@pytest.fixture(name="clock")
def _clock() -> Clock:
    return Clock()


@pytest.fixture(name="emulator")
def _emulator(tmp_path: Path, clock: Clock) -> Iterator[Emulator]:
    with Emulator(tmp_path / "emulator", clock=clock) as emulator:
        yield emulator


@pytest.fixture(name="sitewise")
def _sitewise(emulator: Emulator) -> Iterator[Client]:
    client = connect("iotsitewise", emulator.url)
    yield client
    client.close()


@pytest.fixture(name="line")
def _line(sitewise: Client) -> Line:
    """A line with one measurement of each data type."""
    properties = [
        {"name": name, "dataType": data_type, "type": {"measurement": {}}} for name, data_type in TYPES.items()
    ]
    model = sitewise.create_asset_model(assetModelName="line", assetModelProperties=properties)["assetModelId"]
    asset = sitewise.create_asset(assetName="line_1", assetModelId=model)["assetId"]
    described = sitewise.describe_asset(assetId=asset)["assetProperties"]
    return Line(asset, model, {each["name"]: each["id"] for each in described})


@pytest.fixture(name="put")
def _put(sitewise: Client, line: Line) -> Put:
    """Puts values of one property of the line, (seconds after now, value, quality); returns the error entries."""

    def put(name: str, *values: tuple[float, object, str], **options: object) -> list[dict[str, Any]]:
        listed = [
            {
                "value": value if isinstance(value, dict) else {KEYS[name]: value},
                "timestamp": at(offset_s),
                "quality": quality,
            }
            for offset_s, value, quality in values
        ]
        entry = {"entryId": "only", **line.address(name), "propertyValues": listed}
        return list(sitewise.batch_put_asset_property_value(entries=[entry], **options)["errorEntries"])

    return put
