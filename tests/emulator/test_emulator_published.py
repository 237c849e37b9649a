"""Answers have the shapes that the AWS CLI's documented examples show (aws/aws-cli, awscli/examples/iotsitewise).

Their wind farm: a farm's model whose hierarchy holds turbines, a turbine with an attribute, measurements, a transform
and a metric. What each documented answer holds, the emulator's holds: the same members, in the same types.
"""

from datetime import datetime
from typing import Any

import pytest

from emulator_clients import Client, at, when

TURBINE = [
    {"name": "Serial Number", "dataType": "STRING", "type": {"attribute": {}}},
    {"name": "Generated Power", "dataType": "DOUBLE", "unit": "kW", "type": {"measurement": {}}},
    {"name": "Temperature C", "dataType": "DOUBLE", "unit": "Celsius", "type": {"measurement": {}}},
    {
        "name": "Temperature F",
        "dataType": "DOUBLE",
        "unit": "Fahrenheit",
        "type": {
            "transform": {
                "expression": "temp_c * 9 / 5 + 32",
                "variables": [{"name": "temp_c", "value": {"propertyId": "Temperature C"}}],
            }
        },
    },
    {
        "name": "Total Generated Power",
        "dataType": "DOUBLE",
        "unit": "kW",
        "type": {
            "metric": {
                "expression": "sum(power)",
                "variables": [{"name": "power", "value": {"propertyId": "Generated Power"}}],
                "window": {"tumbling": {"interval": "1h"}},
            }
        },
    },
]


@pytest.fixture(name="farm")
def _farm(sitewise: Client) -> dict[str, Any]:
    """The wind farm: answers to the creations, by what they created."""
    turbines = sitewise.create_asset_model(
        assetModelName="Wind Turbine Model",
        assetModelDescription="Represents a wind turbine",
        assetModelProperties=TURBINE,
    )
    farms = sitewise.create_asset_model(
        assetModelName="Wind Farm Model",
        assetModelDescription="Represents a wind farm that comprises many wind turbines",
        assetModelProperties=[{"name": "Region", "dataType": "STRING", "type": {"attribute": {}}}],
        assetModelHierarchies=[{"name": "Wind Turbines", "childAssetModelId": turbines["assetModelId"]}],
    )
    farm = sitewise.create_asset(assetName="Wind Farm 1", assetModelId=farms["assetModelId"])
    turbine = sitewise.create_asset(assetName="Wind Turbine 1", assetModelId=turbines["assetModelId"])
    hierarchy = sitewise.describe_asset(assetId=farm["assetId"])["assetHierarchies"][0]["id"]
    link = {"assetId": farm["assetId"], "hierarchyId": hierarchy}
    sitewise.associate_assets(**link, childAssetId=turbine["assetId"])
    return {"turbines": turbines, "farms": farms, "farm": farm, "turbine": turbine, "link": link}


def told(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without what boto3 adds."""
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def properties(sitewise: Client, asset: dict[str, Any]) -> dict[str, str]:
    """Name to id."""
    found = sitewise.describe_asset(assetId=asset["assetId"])["assetProperties"]
    return {each["name"]: each["id"] for each in found}


def test_what_is_created_is_creating(farm: dict[str, Any]) -> None:
    """create-asset-model, create-asset: id, ARN and the state CREATING; status 202."""
    made, asset = farm["turbines"], farm["turbine"]
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 202
    identifier = made["assetModelId"]
    assert told(made) == {
        "assetModelId": identifier,
        "assetModelArn": f"arn:aws:iotsitewise:eu-central-1:123456789012:asset-model/{identifier}",
        "assetModelStatus": {"state": "CREATING"},
    }
    assert told(asset) == {
        "assetId": asset["assetId"],
        "assetArn": f"arn:aws:iotsitewise:eu-central-1:123456789012:asset/{asset['assetId']}",
        "assetStatus": {"state": "CREATING"},
    }


def test_the_cli_waits_until_they_are_active(sitewise: Client, farm: dict[str, Any]) -> None:
    """Wait asset-model-active, wait asset-active; and afterwards asset-not-exists."""
    sitewise.get_waiter("asset_model_active").wait(assetModelId=farm["turbines"]["assetModelId"])
    sitewise.get_waiter("asset_active").wait(assetId=farm["turbine"]["assetId"])
    sitewise.disassociate_assets(**farm["link"], childAssetId=farm["turbine"]["assetId"])
    sitewise.delete_asset(assetId=farm["turbine"]["assetId"])
    sitewise.get_waiter("asset_not_exists").wait(assetId=farm["turbine"]["assetId"])


def test_a_model_is_described(sitewise: Client, farm: dict[str, Any]) -> None:
    """describe-asset-model: an attribute without a default has a blank one, names in formulas have become ids."""
    found = sitewise.describe_asset_model(assetModelId=farm["farms"]["assetModelId"])
    assert found["assetModelName"] == "Wind Farm Model"
    assert found["assetModelStatus"] == {"state": "ACTIVE"}
    (region,) = found["assetModelProperties"]
    assert region["type"] == {"attribute": {"defaultValue": " "}}
    (hierarchy,) = found["assetModelHierarchies"]
    assert hierarchy["childAssetModelId"] == farm["turbines"]["assetModelId"]
    turbine = sitewise.describe_asset_model(assetModelId=farm["turbines"]["assetModelId"])["assetModelProperties"]
    ids = {each["name"]: each["id"] for each in turbine}
    transform = next(each for each in turbine if each["name"] == "Temperature F")["type"]["transform"]
    assert transform["variables"] == [{"name": "temp_c", "value": {"propertyId": ids["Temperature C"]}}]
    listed = sitewise.list_asset_models()["assetModelSummaries"]
    assert [each["name"] for each in listed] == ["Wind Turbine Model", "Wind Farm Model"]
    assert {"id", "arn", "name", "description", "creationDate", "lastUpdateDate", "status"} <= set(listed[0])


def test_an_asset_is_described(sitewise: Client, farm: dict[str, Any]) -> None:
    """describe-asset, describe-asset-property."""
    found = told(sitewise.describe_asset(assetId=farm["farm"]["assetId"]))
    documented = {
        "assetId",
        "assetArn",
        "assetName",
        "assetModelId",
        "assetProperties",
        "assetHierarchies",
        "assetCreationDate",
        "assetLastUpdateDate",
        "assetStatus",
    }
    assert documented <= set(found)
    assert isinstance(found["assetCreationDate"], datetime)
    ids = properties(sitewise, farm["turbine"])
    answer = sitewise.describe_asset_property(
        assetId=farm["turbine"]["assetId"], propertyId=ids["Total Generated Power"]
    )
    assert (answer["assetName"], answer["assetModelId"]) == ("Wind Turbine 1", farm["turbines"]["assetModelId"])
    power = answer["assetProperty"]
    model, asset, name = farm["turbines"]["assetModelId"], farm["turbine"]["assetId"], ids["Total Generated Power"]
    assert power["notification"] == {
        "topic": f"$aws/sitewise/asset-models/{model}/assets/{asset}/properties/{name}",
        "state": "DISABLED",
    }
    assert power["unit"] == "kW"
    assert power["type"]["metric"]["window"] == {"tumbling": {"interval": "1h"}}


def test_assets_are_listed(sitewise: Client, farm: dict[str, Any]) -> None:
    """list-assets by filter and by model, list-associated-assets; all of them without a model is refused."""
    top = sitewise.list_assets(filter="TOP_LEVEL")["assetSummaries"]
    assert [each["name"] for each in top] == ["Wind Farm 1"]
    assert [each["name"] for each in top[0]["hierarchies"]] == ["Wind Turbines"]
    turbines = sitewise.list_assets(assetModelId=farm["turbines"]["assetModelId"])["assetSummaries"]
    assert [each["name"] for each in turbines] == ["Wind Turbine 1"]
    assert turbines[0]["hierarchies"] == []
    children = sitewise.list_associated_assets(**farm["link"])["assetSummaries"]
    assert children == turbines
    parents = sitewise.list_associated_assets(assetId=farm["turbine"]["assetId"], traversalDirection="PARENT")
    assert [each["name"] for each in parents["assetSummaries"]] == ["Wind Farm 1"]
    with pytest.raises(sitewise.exceptions.InvalidRequestException, match="assetModelId is required"):
        sitewise.list_assets()


def test_values_are_put_by_alias_and_read(sitewise: Client, farm: dict[str, Any]) -> None:
    """update-asset-property, batch-put-asset-property-value, get-asset-property-value and its history."""
    asset, ids = farm["turbine"]["assetId"], properties(sitewise, farm["turbine"])
    alias = "/company/windfarm/3/turbine/7/power"
    power = {"assetId": asset, "propertyId": ids["Generated Power"]}
    answer = sitewise.update_asset_property(**power, propertyAlias=alias, propertyNotificationState="DISABLED")
    assert told(answer) == {}
    value = {"value": {"doubleValue": 4.92}, "timestamp": {"timeInSeconds": at(-60)["timeInSeconds"]}}
    entry = {"entryId": "power", "propertyAlias": alias, "propertyValues": [value | {"quality": "GOOD"}]}
    assert told(sitewise.batch_put_asset_property_value(entries=[entry])) == {"errorEntries": []}
    expected = {"value": {"doubleValue": 4.92}, "timestamp": at(-60), "quality": "GOOD"}
    assert told(sitewise.get_asset_property_value(**power)) == {"propertyValue": expected}
    history = sitewise.get_asset_property_value_history(**power, startDate=when(-1200), endDate=when(0))
    assert told(history) == {"assetPropertyValueHistory": [expected]}


def test_what_is_computed_takes_no_values(sitewise: Client, farm: dict[str, Any]) -> None:
    """Transforms and metrics are described, not computed; to write them is an error of the entry."""
    ids = properties(sitewise, farm["turbine"])
    value = {"value": {"doubleValue": 1.0}, "timestamp": at(-1)}
    address = {"assetId": farm["turbine"]["assetId"], "propertyId": ids["Temperature F"]}
    entry = {"entryId": "f", **address, "propertyValues": [value]}
    (errors,) = sitewise.batch_put_asset_property_value(entries=[entry])["errorEntries"]
    assert errors["errors"][0]["errorCode"] == "InvalidRequestException"


def test_a_name_that_is_taken_says_by_what(sitewise: Client, farm: dict[str, Any]) -> None:
    """ResourceAlreadyExistsException, 409, with the other one's id and ARN, as its model declares."""
    with pytest.raises(sitewise.exceptions.ResourceAlreadyExistsException) as caught:
        sitewise.create_asset_model(assetModelName="Wind Farm Model")
    response = caught.value.response
    assert response["resourceId"] == farm["farms"]["assetModelId"]
    assert response["resourceArn"] == farm["farms"]["assetModelArn"]
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 409
