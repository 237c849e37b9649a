"""Properties of assets: DescribeAssetProperty, ListAssetProperties, UpdateAssetProperty with its alias."""

from twin_assets.emulator.context import Context, Handlers, Transaction
from twin_assets.emulator.errors import already_exists
from twin_assets.emulator.protocol import Document
from twin_assets.emulator.series import TimeSeries
from twin_assets.emulator.sitewise.asset_models import described_property, page_of
from twin_assets.emulator.sitewise.assets import asset_property
from twin_assets.emulator.sitewise.resources import ASSET, asset_of, model_of, property_of


def describe(context: Context, request: Document) -> Document:
    """DescribeAssetProperty."""
    with context.transaction() as tx:
        asset = asset_of(tx, request["assetId"])
        definition = property_of(model_of(tx, asset["modelId"]), request["propertyId"])
        aliases = _aliases(tx, asset)
    answer = {
        "assetId": asset["id"],
        "assetExternalId": asset["externalId"],
        "assetName": asset["name"],
        "assetModelId": asset["modelId"],
        "assetProperty": asset_property(asset, definition, aliases) | {"type": described_property(definition)["type"]},
    }
    return {key: value for key, value in answer.items() if value is not None}


def list_properties(context: Context, request: Document) -> Document:
    """ListAssetProperties."""
    with context.transaction() as tx:
        asset = asset_of(tx, request["assetId"])
        definitions = model_of(tx, asset["modelId"])["properties"]
        aliases = _aliases(tx, asset)
    shown, token = page_of(definitions, request)
    keys = ("id", "externalId", "alias", "unit", "notification", "path")
    described = [asset_property(asset, each, aliases) for each in shown]
    summaries = [{key: each[key] for key in keys if key in each} for each in described]
    return {"assetPropertySummaries": summaries, "nextToken": token}


def update(context: Context, request: Document) -> Document:
    """UpdateAssetProperty: alias, unit and notification state become what the request says, none where it is silent."""
    with context.transaction(write=True) as tx:
        asset = asset_of(tx, request["assetId"])
        definition = property_of(model_of(tx, asset["modelId"]), request["propertyId"])
        give_alias(context, tx, asset, definition, request.get("propertyAlias"))
        state = request.get("propertyNotificationState", "DISABLED")
        asset.setdefault("notifications", {})[definition["id"]] = state
        units = asset.setdefault("units", {})
        units.pop(definition["id"], None)
        if "propertyUnit" in request:
            units[definition["id"]] = request["propertyUnit"]
        asset["updated"] = context.now_s
        tx.change(ASSET, asset["id"], asset)
    return {}


def give_alias(context: Context, tx: Transaction, asset: Document, definition: Document, alias: str | None) -> None:
    """Make an alias the property's; None takes the alias away. A stream that has the alias becomes the property's.

    Raises:
        ServiceError: if the alias is another property's, or both have samples already.
    """
    own = tx.series.of_property(asset["id"], definition["id"])
    other = None if alias is None else tx.series.by_alias(alias)
    if other is not None and own is not None and other.id == own.id:
        return
    if other is not None:
        _adopt(context, tx, own, other, asset, definition)
    elif own is not None:
        tx.series.change(own, alias=alias, updated_ns=context.now_ns)
    elif alias is not None:
        where = {"asset_id": asset["id"], "property_id": definition["id"]}
        tx.series.add(definition["dataType"], context.now_ns, alias=alias, **where)


def _adopt(
    context: Context,
    tx: Transaction,
    own: TimeSeries | None,
    other: TimeSeries,
    asset: Document,
    definition: Document,
) -> None:
    """Make a data stream that is there the series of a property that has none."""
    arn = context.arn(f"time-series/{other.id}")
    if other.asset_id is not None:
        raise already_exists(f"Property alias {other.alias} is used by another property", other.id, arn)
    if other.data_type != definition["dataType"]:
        message = f"Data stream {other.alias} has the data type {other.data_type}, the property {definition['name']}"
        raise already_exists(f"{message} {definition['dataType']}", other.id, arn)
    if own is not None:
        message = f"The property {definition['name']} has a time series already, with alias {own.alias}"
        raise already_exists(message, own.id, context.arn(f"time-series/{own.id}"))
    tx.series.change(other, asset_id=asset["id"], property_id=definition["id"], updated_ns=context.now_ns)


def _aliases(tx: Transaction, asset: Document) -> dict[str, str]:
    return {key: each.alias for key, each in tx.series.of_asset(asset["id"]).items() if each.alias}


HANDLERS: Handlers = {
    "DescribeAssetProperty": describe,
    "ListAssetProperties": list_properties,
    "UpdateAssetProperty": update,
}
