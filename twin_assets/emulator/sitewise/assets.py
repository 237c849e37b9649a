"""Assets: Create, Describe, List, Update, Delete; Associate, Disassociate, ListAssociatedAssets."""

from twin_assets.emulator.context import Context, Handlers, Transaction, new_id
from twin_assets.emulator.errors import already_exists, conflicting, invalid, not_found
from twin_assets.emulator.protocol import Document
from twin_assets.emulator.sitewise.asset_models import page_of
from twin_assets.emulator.sitewise.resources import ASSET, DEFAULT_PAGE, asset_of, model_of


def create(context: Context, request: Document) -> Document:
    """CreateAsset."""
    with context.transaction(write=True) as tx:
        asset = tx.made_with(ASSET, request.get("clientToken")) or _made(context, tx, request)
    return {"assetId": asset["id"], "assetArn": _arn(context, asset), "assetStatus": {"state": "CREATING"}}


def _made(context: Context, tx: Transaction, request: Document) -> Document:
    model = model_of(tx, request["assetModelId"])
    asset = {
        "id": request.get("assetId") or new_id(),
        "externalId": request.get("assetExternalId"),
        "name": request["assetName"],
        "description": request.get("assetDescription"),
        "modelId": model["id"],
        "parents": [],  # [asset id, hierarchy id]
        **dict.fromkeys(("created", "updated"), context.now_s),
        "tags": request.get("tags", {}),
    }
    if tx.find(ASSET, asset["id"]) is not None:
        raise already_exists("The asset exists already", asset["id"], _arn(context, asset))
    tx.add(ASSET, asset["id"], asset, parent=model["id"], token=request.get("clientToken"))
    return asset


def describe(context: Context, request: Document) -> Document:
    """DescribeAsset."""
    with context.transaction() as tx:
        asset = asset_of(tx, request["assetId"])
        model = model_of(tx, asset["modelId"])
        series = tx.series.of_asset(asset["id"])
    aliases = {key: each.alias for key, each in series.items() if each.alias}
    hidden = request.get("excludeProperties", False)
    return {
        "assetId": asset["id"],
        "assetExternalId": asset["externalId"],
        "assetArn": _arn(context, asset),
        "assetName": asset["name"],
        "assetModelId": asset["modelId"],
        "assetDescription": asset["description"],
        "assetProperties": [] if hidden else [asset_property(asset, each, aliases) for each in model["properties"]],
        "assetHierarchies": _hierarchies(model),
        "assetCompositeModels": [],
        "assetCreationDate": asset["created"],
        "assetLastUpdateDate": asset["updated"],
        "assetStatus": {"state": "ACTIVE"},
    }


def asset_property(asset: Document, definition: Document, aliases: dict[str, str]) -> Document:
    """A property as an asset describes it."""
    keys = ("id", "externalId", "name", "dataType")
    found: Document = {key: definition[key] for key in keys if key in definition}
    found["unit"] = asset.get("units", {}).get(definition["id"], definition.get("unit"))
    found["alias"] = aliases.get(definition["id"])
    found["notification"] = {
        "topic": f"$aws/sitewise/asset-models/{asset['modelId']}/assets/{asset['id']}/properties/{definition['id']}",
        "state": asset.get("notifications", {}).get(definition["id"], "DISABLED"),
    }
    found["path"] = [{"id": asset["id"], "name": asset["name"]}, {"id": found["id"], "name": found["name"]}]
    return {key: value for key, value in found.items() if value is not None}


def list_assets(context: Context, request: Document) -> Document:
    """ListAssets."""
    model_id = request.get("assetModelId")
    top = request.get("filter") == "TOP_LEVEL"
    if model_id is None and not top:
        raise invalid("assetModelId is required if filter is ALL")
    with context.transaction() as tx:
        model_id = None if model_id is None else model_of(tx, model_id)["id"]
        if top:
            roots = [each for each in tx.all(ASSET, parent=model_id) if not each["parents"]]
            shown, token = page_of(roots, request)
        else:
            page = tx.page(ASSET, request.get("maxResults", DEFAULT_PAGE), request.get("nextToken"), parent=model_id)
            shown, token = page.documents, page.next_token
        summaries = _summaries(context, tx, shown)
    return {"assetSummaries": summaries, "nextToken": token}


def _summaries(context: Context, tx: Transaction, assets: list[Document]) -> list[Document]:
    models = {each["modelId"]: model_of(tx, each["modelId"]) for each in assets}
    return [_summary(context, each, models[each["modelId"]]) for each in assets]


def _summary(context: Context, asset: Document, model: Document) -> Document:
    summary = {
        "id": asset["id"],
        "externalId": asset["externalId"],
        "arn": _arn(context, asset),
        "name": asset["name"],
        "assetModelId": asset["modelId"],
        "creationDate": asset["created"],
        "lastUpdateDate": asset["updated"],
        "status": {"state": "ACTIVE"},
        "hierarchies": _hierarchies(model),
        "description": asset["description"],
    }
    return {key: value for key, value in summary.items() if value is not None}


def update(context: Context, request: Document) -> Document:
    """UpdateAsset."""
    with context.transaction(write=True) as tx:
        asset = asset_of(tx, request["assetId"])
        asset["name"] = request["assetName"]
        asset["description"] = request.get("assetDescription", asset["description"])
        asset["externalId"] = request.get("assetExternalId", asset["externalId"])
        asset["updated"] = context.now_s
        tx.change(ASSET, asset["id"], asset)
    return {"assetStatus": {"state": "UPDATING"}}


def delete(context: Context, request: Document) -> Document:
    """DeleteAsset. Data streams with an alias stay, as streams of their own; what has none goes with the asset."""
    with context.transaction(write=True) as tx:
        asset = asset_of(tx, request["assetId"])
        if asset["parents"] or _children(tx, asset["id"]):
            raise conflicting("The asset is associated with another one", asset["id"], _arn(context, asset))
        for series in tx.series.of_asset(asset["id"]).values():
            if series.alias is None:
                tx.series.remove(series)
            else:
                tx.series.change(series, asset_id=None, property_id=None, updated_ns=context.now_ns)
        tx.remove(ASSET, asset["id"])
    return {"assetId": asset["id"], "assetStatus": {"state": "DELETING"}}


def associate(context: Context, request: Document) -> Document:
    """AssociateAssets."""
    with context.transaction(write=True) as tx:
        parent, child = asset_of(tx, request["assetId"]), asset_of(tx, request["childAssetId"])
        hierarchy = _hierarchy(model_of(tx, parent["modelId"]), request["hierarchyId"])
        if hierarchy["childAssetModelId"] != child["modelId"]:
            raise invalid(f"Hierarchy {hierarchy['name']} takes assets of model {hierarchy['childAssetModelId']}")
        if child["parents"]:
            raise already_exists("The asset has a parent already", child["id"], _arn(context, child))
        child["parents"] = [[parent["id"], hierarchy["id"]]]
        tx.change(ASSET, child["id"], child)
    return {}


def disassociate(context: Context, request: Document) -> Document:
    """DisassociateAssets."""
    with context.transaction(write=True) as tx:
        parent, child = asset_of(tx, request["assetId"]), asset_of(tx, request["childAssetId"])
        link = [parent["id"], _hierarchy(model_of(tx, parent["modelId"]), request["hierarchyId"])["id"]]
        if link not in child["parents"]:
            raise not_found("Association", child["id"])
        child["parents"].remove(link)
        tx.change(ASSET, child["id"], child)
    return {}


def list_associated(context: Context, request: Document) -> Document:
    """ListAssociatedAssets."""
    with context.transaction() as tx:
        asset = asset_of(tx, request["assetId"])
        if request.get("traversalDirection") == "PARENT":
            found = [asset_of(tx, parent) for parent, _ in asset["parents"]]
        else:
            if "hierarchyId" not in request:
                raise invalid("hierarchyId is required if traversalDirection is CHILD")
            found = _children(tx, asset["id"], _hierarchy(model_of(tx, asset["modelId"]), request["hierarchyId"])["id"])
        shown, token = page_of(found, request)
        summaries = _summaries(context, tx, shown)
    return {"assetSummaries": summaries, "nextToken": token}


def _children(tx: Transaction, parent: str, hierarchy: str | None = None) -> list[Document]:
    return [
        each
        for each in tx.all(ASSET)
        if any(owner == parent and hierarchy in (None, link) for owner, link in each["parents"])
    ]


def _hierarchy(model: Document, identifier: str) -> Document:
    for each in model["hierarchies"]:
        if identifier in (each["id"], f"externalId:{each.get('externalId')}"):
            return dict(each)
    raise not_found("Hierarchy", identifier)


def _hierarchies(model: Document) -> list[Document]:
    return [{key: each[key] for key in ("id", "externalId", "name") if key in each} for each in model["hierarchies"]]


def _arn(context: Context, asset: Document) -> str:
    return context.arn(f"asset/{asset['id']}")


HANDLERS: Handlers = {
    "CreateAsset": create,
    "DescribeAsset": describe,
    "ListAssets": list_assets,
    "UpdateAsset": update,
    "DeleteAsset": delete,
    "AssociateAssets": associate,
    "DisassociateAssets": disassociate,
    "ListAssociatedAssets": list_associated,
}
