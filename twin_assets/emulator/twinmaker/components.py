"""Components of entities: what a component's properties are, and which property of which asset each stands for.

A component of SiteWise's connector has, beside ``sitewiseAssetId`` and ``sitewiseAssetModelId``, one property for each
of the asset's: ``Property_<its id>``, whose ``displayName`` is the asset property's name.
"""

from dataclasses import dataclass

from twin_assets.emulator.context import Context, Transaction
from twin_assets.emulator.errors import ServiceError
from twin_assets.emulator.protocol import Document
from twin_assets.emulator.sitewise.resources import asset_of, model_of
from twin_assets.emulator.twinmaker.component_types import definition, is_connector, properties_of
from twin_assets.emulator.twinmaker.resources import ACTIVE, invalid, only

PREFIX = "Property_"


@dataclass(frozen=True)
class Bound:
    """A property that stands for an asset's.

    Attributes:
        asset_id: the asset's.
        property_id: the property's.
    """

    asset_id: str
    property_id: str


def described(context: Context, tx: Transaction, entity: Document, name: str) -> Document:
    """A component as GetEntity answers it."""
    component = entity["components"][name]
    properties = static_properties(context, tx, entity, name)
    properties |= {key: {"definition": told} for key, told in _definitions(context, tx, entity, name).items()}
    told = only(component, "description", "componentTypeId")
    return {"componentName": name, **told, "status": ACTIVE, "properties": properties}


def static_properties(context: Context, tx: Transaction, entity: Document, name: str) -> Document:
    """Properties with their values, as far as the entity itself or the component's type says them."""
    component = entity["components"][name]
    kind = component.get("componentTypeId")
    found = {} if kind is None else properties_of(context, tx, entity, kind)
    properties = {key: {"definition": {**told, "isInherited": True}} for key, told in found.items()}
    for key, given in component.get("properties", {}).items():
        told = properties.get(key) or {"definition": definition(given.get("definition", {}))}
        properties[key] = {**told, **only(given, "value")}
    for told in properties.values():
        if "value" not in told and "defaultValue" in told["definition"]:
            told["value"] = told["definition"]["defaultValue"]
    return properties


def bound(context: Context, tx: Transaction, entity: Document, name: str, key: str) -> Bound | None:
    """Which property of which asset a component's property stands for; None where it stands for itself."""
    if not key.startswith(PREFIX) or key not in _definitions(context, tx, entity, name):
        return None
    return Bound(_asset_id(entity, name), key.removeprefix(PREFIX))


def check(context: Context, tx: Transaction, entity: Document, name: str) -> None:
    """Whether a component can be.

    Raises:
        ServiceError: if its type is not there, or it is a connector to an asset that is not there.
    """
    kind = entity["components"][name].get("componentTypeId")
    if kind is not None and is_connector(context, tx, entity, kind):
        _definitions(context, tx, entity, name)


def _definitions(context: Context, tx: Transaction, entity: Document, name: str) -> Document:
    """Of the properties that stand for an asset's."""
    kind = entity["components"][name].get("componentTypeId")
    if kind is None or not is_connector(context, tx, entity, kind):
        return {}
    try:
        asset = asset_of(tx, _asset_id(entity, name))
        model = model_of(tx, asset["modelId"])
    except ServiceError as error:
        raise invalid(f"Component {name}: {error.message}") from error
    return {f"{PREFIX}{each['id']}": _definition(each) for each in model["properties"]}


def _definition(asset_property: Document) -> Document:
    (kind,) = asset_property["type"]
    data_type = {"type": asset_property["dataType"]}
    if "unit" in asset_property:
        data_type["unitOfMeasure"] = asset_property["unit"]
    told = {
        "dataType": data_type,
        "isTimeSeries": kind != "attribute",
        "isStoredExternally": True,
        "displayName": asset_property["name"],
        "configuration": {"sitewisePropertyId": asset_property["id"], "sitewisePropertyType": kind.upper()},
    }
    return definition(told)


def _asset_id(entity: Document, name: str) -> str:
    given = entity["components"][name].get("properties", {}).get("sitewiseAssetId", {}).get("value", {})
    identifier = given.get("stringValue")
    if identifier is None:
        raise invalid(f"Component {name}: sitewiseAssetId must have a stringValue")
    return str(identifier)
