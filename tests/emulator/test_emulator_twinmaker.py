"""TwinMaker, as viewers call it: workspaces, entities bound to SiteWise, scenes, and values through the binding."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator_clients import Client, Line, connect
from twin_assets.emulator import Emulator

Put = Callable[..., list[dict[str, Any]]]
CONNECTOR = "com.amazon.iotsitewise.connector"
SPACE = {"workspaceId": "line"}
COMPONENT = "sitewise"


@pytest.fixture(name="twinmaker")
def _twinmaker(emulator: Emulator) -> Iterator[Client]:
    client = connect("iottwinmaker", emulator.url)
    role = "arn:aws:iam::123456789012:role/twinmaker"
    client.create_workspace(**SPACE, s3Location="arn:aws:s3:::example-bucket", role=role)
    yield client
    client.close()


def binding(line: Line) -> dict[str, Any]:
    """A component that is bound to the line's asset."""
    return {
        "componentTypeId": CONNECTOR,
        "properties": {
            "sitewiseAssetId": {"value": {"stringValue": line.asset}},
            "sitewiseAssetModelId": {"value": {"stringValue": line.model}},
        },
    }


@pytest.fixture(name="entity")
def _entity(twinmaker: Client, line: Line) -> str:
    """An entity with the line's asset, by its id."""
    made = twinmaker.create_entity(**SPACE, entityName="line 1", components={COMPONENT: binding(line)})
    assert made["state"] == "CREATING"
    return str(made["entityId"])


def error_of(call: Callable[..., object], **request: object) -> tuple[str, str]:
    """Code and message of the error that a call ends with."""
    with pytest.raises(ClientError) as caught:
        call(**request)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def pages(call: Callable[..., dict[str, Any]], **request: object) -> Iterator[dict[str, Any]]:
    """The pages of a list; botocore has no paginators for TwinMaker."""
    page = call(**request)
    yield page
    while "nextToken" in page:
        page = call(**request, nextToken=page["nextToken"])
        yield page


def test_workspaces_are_made_found_changed_and_deleted(twinmaker: Client) -> None:
    """With the codes that the model declares; a workspace of the same name as one of SiteWise's paths is no mix-up."""
    assert error_of(twinmaker.create_workspace, **SPACE)[0] == "ConflictException"
    assert error_of(twinmaker.get_workspace, workspaceId="other")[0] == "ResourceNotFoundException"
    twinmaker.update_workspace(**SPACE, description="one line")
    found = twinmaker.get_workspace(**SPACE)
    assert found["description"] == "one line"
    assert found["s3Location"] == "arn:aws:s3:::example-bucket"
    assert [each["workspaceId"] for each in twinmaker.list_workspaces()["workspaceSummaries"]] == ["line"]
    twinmaker.delete_workspace(**SPACE)
    assert twinmaker.list_workspaces()["workspaceSummaries"] == []


def test_scenes_say_where_their_documents_are(twinmaker: Client) -> None:
    """Create, get, list, update, delete."""
    place = "s3://example-bucket/line.json"
    twinmaker.create_scene(**SPACE, sceneId="overview", contentLocation=place, sceneMetadata={"a": "b"})
    assert twinmaker.get_scene(**SPACE, sceneId="overview")["contentLocation"] == place
    twinmaker.update_scene(**SPACE, sceneId="overview", contentLocation=f"{place}.new")
    (listed,) = twinmaker.list_scenes(**SPACE)["sceneSummaries"]
    assert listed["contentLocation"] == f"{place}.new"
    assert twinmaker.get_scene(**SPACE, sceneId="overview")["sceneMetadata"] == {"a": "b"}
    assert error_of(twinmaker.delete_workspace, **SPACE)[0] == "ValidationException"
    twinmaker.delete_scene(**SPACE, sceneId="overview")
    assert error_of(twinmaker.get_scene, **SPACE, sceneId="overview")[0] == "ResourceNotFoundException"


def test_an_entity_has_the_properties_of_its_asset(twinmaker: Client, entity: str, line: Line) -> None:
    """Named by the property's id, shown by its name, with type and the way to SiteWise's property."""
    found = twinmaker.get_entity(**SPACE, entityId=entity)
    assert found["status"] == {"state": "ACTIVE"}
    properties = found["components"][COMPONENT]["properties"]
    speed = properties[f"Property_{line.properties['speed']}"]["definition"]
    assert speed["displayName"] == "speed"
    assert speed["dataType"] == {"type": "DOUBLE"}
    assert speed["isTimeSeries"]
    assert speed["configuration"]["sitewisePropertyId"] == line.properties["speed"]
    assert properties["sitewiseAssetId"]["value"] == {"stringValue": line.asset}


def test_history_comes_from_the_bound_asset(twinmaker: Client, entity: str, line: Line, put: Put) -> None:
    """GOOD values of several properties, to the nanosecond, both ends included, in pages."""
    put("speed", (-30, 1.0, "GOOD"), (-20.000000001, 2.0, "GOOD"), (-15, 9.0, "BAD"), (-10, 3.0, "GOOD"))
    put("state", (-25, "on", "GOOD"))
    speed, state = (f"Property_{line.properties[name]}" for name in ("speed", "state"))
    request = {
        **SPACE,
        "entityId": entity,
        "componentName": COMPONENT,
        "selectedProperties": [speed, state],
        "startTime": "2026-02-01T11:59:30Z",
        "endTime": "2026-02-01T11:59:50Z",
    }
    found = [
        (each["entityPropertyReference"]["propertyName"], value)
        for page in pages(twinmaker.get_property_value_history, **request, maxResults=2)
        for each in page["propertyValues"]
        for value in each["values"]
    ]
    assert [(name, value["time"], value["value"]) for name, value in found] == [
        (speed, "2026-02-01T11:59:30.000000000Z", {"doubleValue": 1.0}),
        (speed, "2026-02-01T11:59:39.999999999Z", {"doubleValue": 2.0}),
        (speed, "2026-02-01T11:59:50.000000000Z", {"doubleValue": 3.0}),
        (state, "2026-02-01T11:59:35.000000000Z", {"stringValue": "on"}),
    ]
    newest = twinmaker.get_property_value_history(**request | {"orderByTime": "DESCENDING"}, maxResults=1)
    assert [each["value"] for each in newest["propertyValues"][0]["values"]] == [{"doubleValue": 3.0}]


def test_the_value_of_a_property_is_the_newest_or_the_entitys_own(
    twinmaker: Client, entity: str, line: Line, put: Put
) -> None:
    """A property without values has a reference and no value."""
    put("speed", (-30, 1.0, "GOOD"), (-20, 2.0, "GOOD"))
    speed, count = (f"Property_{line.properties[name]}" for name in ("speed", "count"))
    found = twinmaker.get_property_value(
        **SPACE, entityId=entity, componentName=COMPONENT, selectedProperties=[speed, count, "sitewiseAssetId"]
    )["propertyValues"]
    assert found[speed]["propertyValue"] == {"doubleValue": 2.0}
    assert "propertyValue" not in found[count]
    assert found["sitewiseAssetId"]["propertyValue"] == {"stringValue": line.asset}


def test_components_may_have_values_of_their_own_and_types_with_defaults(twinmaker: Client, line: Line) -> None:
    """A component type gives properties and defaults; a type that extends the connector is one."""
    double = {"dataType": {"type": "DOUBLE"}}
    definitions = {"limit": double | {"defaultValue": {"doubleValue": 0.15}}, "width": double}
    twinmaker.create_component_type(**SPACE, componentTypeId="bearing", propertyDefinitions=definitions)
    twinmaker.create_component_type(**SPACE, componentTypeId="synced", extendsFrom=[CONNECTOR])
    components = {
        "bearing": {"componentTypeId": "bearing", "properties": {"width": {"value": {"doubleValue": 2.0}}}},
        "synced": binding(line) | {"componentTypeId": "synced"},
    }
    entity = twinmaker.create_entity(**SPACE, entityName="bearing", components=components)["entityId"]
    found = twinmaker.get_property_value(
        **SPACE, entityId=entity, componentName="bearing", selectedProperties=["limit", "width"]
    )["propertyValues"]
    assert [found[name]["propertyValue"]["doubleValue"] for name in ("limit", "width")] == [0.15, 2.0]
    synced = twinmaker.get_entity(**SPACE, entityId=entity)["components"]["synced"]["properties"]
    assert f"Property_{line.properties['speed']}" in synced
    listed = twinmaker.list_component_types(**SPACE)["componentTypeSummaries"]
    assert [each["componentTypeId"] for each in listed] == [CONNECTOR, "bearing", "synced"]
    built_in = twinmaker.get_component_type(**SPACE, componentTypeId=CONNECTOR)
    assert built_in["propertyDefinitions"]["sitewiseAssetId"]["isRequiredInEntity"]


def test_entities_are_a_tree(twinmaker: Client, entity: str) -> None:
    """Listed by parent and by component type, in pages; a parent goes with its children or not at all."""
    roller = twinmaker.create_entity(**SPACE, entityName="roller", parentEntityId=entity)["entityId"]
    roots = twinmaker.list_entities(**SPACE, filters=[{"parentEntityId": "$ROOT"}])["entitySummaries"]
    assert [(each["entityId"], each["hasChildEntities"]) for each in roots] == [(entity, True)]
    bound = twinmaker.list_entities(**SPACE, filters=[{"componentTypeId": CONNECTOR}])["entitySummaries"]
    assert [each["entityId"] for each in bound] == [entity]
    listed = list(pages(twinmaker.list_entities, **SPACE, maxResults=1))
    assert [[each["entityId"] for each in page["entitySummaries"]] for page in listed] == [[entity], [roller]]
    move = {"updateType": "UPDATE", "parentEntityId": roller}
    code, said = error_of(twinmaker.update_entity, **SPACE, entityId=entity, parentEntityUpdate=move)
    assert (code, "own ancestor" in said) == ("ValidationException", True)
    assert error_of(twinmaker.delete_entity, **SPACE, entityId=entity)[0] == "ValidationException"
    twinmaker.delete_entity(**SPACE, entityId=entity, isRecursive=True)
    assert twinmaker.list_entities(**SPACE)["entitySummaries"] == []


def test_components_are_added_and_taken_away(twinmaker: Client, line: Line) -> None:
    """UpdateEntity, as AWS's own samples bind an entity to an asset afterwards."""
    entity = twinmaker.create_entity(**SPACE, entityName="mixer")["entityId"]
    properties = {key: {"updateType": "UPDATE", **each} for key, each in binding(line)["properties"].items()}
    update = {"updateType": "CREATE", "componentTypeId": CONNECTOR, "propertyUpdates": properties}
    assert twinmaker.update_entity(**SPACE, entityId=entity, componentUpdates={"a": update})["state"] == "UPDATING"
    assert len(twinmaker.get_entity(**SPACE, entityId=entity)["components"]["a"]["properties"]) == 6
    code, _ = error_of(twinmaker.update_entity, **SPACE, entityId=entity, componentUpdates={"a": update})
    assert code == "ValidationException"
    twinmaker.update_entity(**SPACE, entityId=entity, componentUpdates={"a": {"updateType": "DELETE"}})
    assert twinmaker.get_entity(**SPACE, entityId=entity)["components"] == {}


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"componentName": "other"}, "ResourceNotFoundException", "other"),
        ({"selectedProperties": ["Property_x"]}, "ValidationException", "no time series"),
        ({"entityId": "nobody"}, "ResourceNotFoundException", "nobody"),
        ({"workspaceId": "nowhere"}, "ResourceNotFoundException", "nowhere"),
        ({"startTime": "2026-02-01T13:00:00Z"}, "ValidationException", "after endTime"),
        ({"startTime": "yesterday at noon, or so"}, "ValidationException", "ISO 8601"),
        ({"selectedProperties": ["x"] * 11}, "ValidationException", "less than or equal to 10"),
        ({"nextToken": "none of ours"}, "ValidationException", "nextToken"),
        ({"interpolation": {"interpolationType": "LINEAR"}}, "ValidationException", "interpolates"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_the_models_codes(
    twinmaker: Client, entity: str, line: Line, changes: dict[str, object], code: str, said: str
) -> None:
    """ValidationException and ResourceNotFoundException, where SiteWise would say InvalidRequestException."""
    selected = [f"Property_{line.properties['speed']}"]
    request = {**SPACE, "entityId": entity, "componentName": COMPONENT, "selectedProperties": selected, **changes}
    found = error_of(twinmaker.get_property_value_history, **request)
    assert found[0] == code
    assert said in found[1]


def test_an_entity_of_an_asset_that_is_not_there_is_refused(twinmaker: Client, line: Line) -> None:
    """At once, with the asset's id; so is one of a component type that is not there."""
    component = binding(line)
    component["properties"]["sitewiseAssetId"]["value"]["stringValue"] = "11111111-2222-4333-8444-555555555555"
    create = {**SPACE, "entityName": "x"}
    code, said = error_of(twinmaker.create_entity, **create, components={"a": component})
    assert (code, "11111111-2222" in said) == ("ValidationException", True)
    code, _ = error_of(twinmaker.create_entity, **create, components={"a": {"componentTypeId": "nothing"}})
    assert code == "ResourceNotFoundException"
    assert twinmaker.list_entities(**SPACE)["entitySummaries"] == []
