"""Asset models: create, update, describe, list them and their properties, delete.

Transforms and metrics are kept and described, and never computed. Composite models are refused.
"""

from typing import Any

from twin_assets.emulator.context import Context, Handlers, Transaction, new_id
from twin_assets.emulator.documents import make_token, read_token
from twin_assets.emulator.errors import already_exists, conflicting, invalid
from twin_assets.emulator.protocol import Document
from twin_assets.emulator.sitewise.resources import ASSET, DEFAULT_PAGE, MODEL, model_of

PROPERTY_TYPES = ("attribute", "measurement", "transform", "metric")
DATA_TYPES = ("DOUBLE", "INTEGER", "BOOLEAN", "STRING")


def create(context: Context, request: Document) -> Document:
    """CreateAssetModel."""
    if request.get("assetModelCompositeModels") or request.get("assetModelType", "ASSET_MODEL") != "ASSET_MODEL":
        raise invalid("The emulator serves no composite models, component models and interfaces")
    with context.transaction(write=True) as tx:
        model = tx.made_with(MODEL, request.get("clientToken")) or _made(context, tx, request)
    return _created(context, model)


def _made(context: Context, tx: Transaction, request: Document) -> Document:
    name = request["assetModelName"]
    for other in tx.all(MODEL):
        if other["name"] == name:
            message = f"Another resource is already using the name {name}"
            raise already_exists(message, other["id"], context.arn(f"asset-model/{other['id']}"))
    model = {
        "id": request.get("assetModelId") or new_id(),
        "externalId": request.get("assetModelExternalId"),
        "name": name,
        "description": request.get("assetModelDescription"),
        "properties": _properties(request.get("assetModelProperties", [])),
        "hierarchies": [{"id": new_id(), **each} for each in request.get("assetModelHierarchies", [])],
        **dict.fromkeys(("created", "updated"), context.now_s),
        "tags": request.get("tags", {}),
    }
    if tx.find(MODEL, model["id"]) is not None:
        raise already_exists("The asset model exists already", model["id"], context.arn(f"asset-model/{model['id']}"))
    for hierarchy in model["hierarchies"]:
        model_of(tx, hierarchy["childAssetModelId"])
    tx.add(MODEL, model["id"], model, token=request.get("clientToken"))
    return model


def update(context: Context, request: Document) -> Document:
    """UpdateAssetModel: what is not named is taken away; type and data type of what stays cannot change."""
    if request.get("assetModelCompositeModels"):
        raise invalid("The emulator serves no composite models")
    with context.transaction(write=True) as tx:
        model = model_of(tx, request["assetModelId"])
        properties = _properties(request.get("assetModelProperties", []))
        before = {each["id"]: each for each in model["properties"]}
        for each in properties:
            old = before.get(each["id"], each)
            if old["dataType"] != each["dataType"] or old["type"].keys() != each["type"].keys():
                raise invalid(f"Property {each['name']}: type and data type of a property cannot be changed")
        changed = {
            "name": request["assetModelName"],
            "description": request.get("assetModelDescription"),
            "properties": properties,
            "hierarchies": [{"id": new_id(), **each} for each in request.get("assetModelHierarchies", [])],
            "updated": context.now_s,
        }
        tx.change(MODEL, model["id"], {**model, **changed})
    return {"assetModelStatus": {"state": "UPDATING"}}


def _properties(definitions: list[Document]) -> list[Document]:
    """The properties of a new model, with their ids; references by name become references by id."""
    properties = [{"id": new_id(), **each} for each in definitions]
    ids: dict[str, str] = {}
    for each in properties:
        given = [key for key in PROPERTY_TYPES if key in each["type"]]
        if len(given) != 1:
            raise invalid(f"Property {each['name']}: type must be one of {', '.join(PROPERTY_TYPES)}")
        if each["dataType"] not in DATA_TYPES:
            raise invalid(f"Property {each['name']}: the emulator serves no data type {each['dataType']}")
        if each["name"] in ids:
            raise invalid(f"Property names must be unique in an asset model: {each['name']}")
        ids[each["name"]] = each["id"]
    for each in properties:
        for variable in _variables(each):
            value = variable["value"]
            if "hierarchyId" not in value and value.get("propertyId") not in ids.values():
                if value.get("propertyId") not in ids:
                    raise invalid(f"Property {each['name']}: variable {variable['name']} names no property")
                value["propertyId"] = ids[value["propertyId"]]
    return properties


def _variables(definition: Document) -> list[Any]:
    (kind,) = definition["type"].values()
    return list(kind.get("variables", []))


def describe(context: Context, request: Document) -> Document:
    """DescribeAssetModel."""
    with context.transaction() as tx:
        model = model_of(tx, request["assetModelId"])
    hidden = request.get("excludeProperties", False)
    return {
        "assetModelId": model["id"],
        "assetModelExternalId": model["externalId"],
        "assetModelArn": context.arn(f"asset-model/{model['id']}"),
        "assetModelName": model["name"],
        "assetModelType": "ASSET_MODEL",
        "assetModelDescription": model["description"] or " ",  # required, and at least one character
        "assetModelProperties": [] if hidden else [described_property(each) for each in model["properties"]],
        "assetModelHierarchies": model["hierarchies"],
        "assetModelCompositeModels": [],
        "assetModelCreationDate": model["created"],
        "assetModelLastUpdateDate": model["updated"],
        "assetModelStatus": {"state": "ACTIVE"},
        "assetModelVersion": "1",
    }


def described_property(definition: Document) -> Document:
    """A property as models and assets describe it: an attribute without a default has a blank one."""
    if "attribute" not in definition["type"]:
        return definition
    default = {"defaultValue": " ", **definition["type"]["attribute"]}
    return {**definition, "type": {"attribute": default}}


def list_models(context: Context, request: Document) -> Document:
    """ListAssetModels."""
    with context.transaction() as tx:
        page = tx.page(MODEL, request.get("maxResults", DEFAULT_PAGE), request.get("nextToken"))
    return {"assetModelSummaries": [_summary(context, each) for each in page.documents], "nextToken": page.next_token}


def _summary(context: Context, model: Document) -> Document:
    summary = {
        "id": model["id"],
        "arn": context.arn(f"asset-model/{model['id']}"),
        "name": model["name"],
        "assetModelType": "ASSET_MODEL",
        "description": model["description"] or " ",
        "creationDate": model["created"],
        "lastUpdateDate": model["updated"],
        "status": {"state": "ACTIVE"},
        "version": "1",
    }
    return summary | ({"externalId": model["externalId"]} if model["externalId"] else {})


def list_properties(context: Context, request: Document) -> Document:
    """ListAssetModelProperties."""
    with context.transaction() as tx:
        model = model_of(tx, request["assetModelId"])
    keys = ("id", "externalId", "name", "dataType", "dataTypeSpec", "unit", "type")
    summaries = [
        {key: each[key] for key in keys if key in each} | {"path": [{"id": each["id"], "name": each["name"]}]}
        for each in map(described_property, model["properties"])
    ]
    shown, token = page_of(summaries, request)
    return {"assetModelPropertySummaries": shown, "nextToken": token}


def page_of(summaries: list[Document], request: Document) -> tuple[list[Document], str | None]:
    """The page of a list that a request asks for, and the token of the next one."""
    first = read_token(request["nextToken"], "first") if "nextToken" in request else 0
    last = first + request.get("maxResults", DEFAULT_PAGE)
    return summaries[first:last], make_token({"first": last}) if last < len(summaries) else None


def delete(context: Context, request: Document) -> Document:
    """DeleteAssetModel."""
    with context.transaction(write=True) as tx:
        model = model_of(tx, request["assetModelId"])
        arn = context.arn(f"asset-model/{model['id']}")
        if next(tx.all(ASSET, parent=model["id"]), None) is not None:
            raise conflicting("The asset model has assets; delete them first", model["id"], arn)
        tx.remove(MODEL, model["id"])
    return {"assetModelStatus": {"state": "DELETING"}}


def _created(context: Context, model: Document) -> Document:
    """The answer to a creation, which the service carries out after it has answered; the emulator before."""
    return {
        "assetModelId": model["id"],
        "assetModelArn": context.arn(f"asset-model/{model['id']}"),
        "assetModelStatus": {"state": "CREATING"},
    }


HANDLERS: Handlers = {
    "CreateAssetModel": create,
    "UpdateAssetModel": update,
    "DescribeAssetModel": describe,
    "ListAssetModels": list_models,
    "ListAssetModelProperties": list_properties,
    "DeleteAssetModel": delete,
}
