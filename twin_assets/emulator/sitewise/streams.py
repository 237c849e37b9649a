"""Time series (data streams): List, Describe, Delete, Associate, Disassociate."""

from twin_assets.emulator.context import Context, Handlers, Transaction
from twin_assets.emulator.documents import make_token, read_token
from twin_assets.emulator.errors import ServiceError, invalid
from twin_assets.emulator.protocol import Document
from twin_assets.emulator.series import TimeSeries
from twin_assets.emulator.sitewise.asset_properties import give_alias
from twin_assets.emulator.sitewise.resources import DEFAULT_PAGE, asset_of, model_of, property_of


def list_series(context: Context, request: Document) -> Document:
    """ListTimeSeries."""
    associated = {None: None, "ASSOCIATED": True, "DISASSOCIATED": False}[request.get("timeSeriesType")]
    after = read_token(request["nextToken"], "number") if "nextToken" in request else 0
    limit = request.get("maxResults", DEFAULT_PAGE)
    with context.transaction() as tx:
        asset_id = asset_of(tx, request["assetId"])["id"] if "assetId" in request else None
        prefix = request.get("aliasPrefix")
        found = tx.series.page(limit + 1, after, asset_id=asset_id, prefix=prefix, associated=associated)
    token = make_token({"number": found[limit - 1][0]}) if len(found) > limit else None
    return {"TimeSeriesSummaries": [_described(context, each) for _, each in found[:limit]], "nextToken": token}


def describe(context: Context, request: Document) -> Document:
    """DescribeTimeSeries."""
    with context.transaction() as tx:
        return _described(context, _series(tx, request))


def delete(context: Context, request: Document) -> Document:
    """DeleteTimeSeries: the series and its samples; an asset's property stays, without them."""
    with context.transaction(write=True) as tx:
        tx.series.remove(_series(tx, request))
    return {}


def associate(context: Context, request: Document) -> Document:
    """AssociateTimeSeriesToAssetProperty."""
    with context.transaction(write=True) as tx:
        if tx.series.by_alias(request["alias"]) is None:
            raise _no_series(f"alias {request['alias']}")
        asset = asset_of(tx, request["assetId"])
        definition = property_of(model_of(tx, asset["modelId"]), request["propertyId"])
        give_alias(context, tx, asset, definition, request["alias"])
    return {}


def disassociate(context: Context, request: Document) -> Document:
    """DisassociateTimeSeriesFromAssetProperty: the stream goes on under its alias, as one of its own."""
    with context.transaction(write=True) as tx:
        asset = asset_of(tx, request["assetId"])
        definition = property_of(model_of(tx, asset["modelId"]), request["propertyId"])
        series = tx.series.of_property(asset["id"], definition["id"])
        if series is None or series.alias != request["alias"]:
            raise _no_series(f"alias {request['alias']} of property {definition['name']}")
        tx.series.change(series, asset_id=None, property_id=None, updated_ns=context.now_ns)
    return {}


def _series(tx: Transaction, request: Document) -> TimeSeries:
    alias, asset_id, property_id = (request.get(key) for key in ("alias", "assetId", "propertyId"))
    if (alias is None) == (asset_id is None) or (asset_id is None) != (property_id is None):
        raise invalid("Either alias, or both assetId and propertyId, must be specified")
    if alias is not None:
        found, which = tx.series.by_alias(alias), f"alias {alias}"
    else:
        asset = asset_of(tx, str(asset_id))
        definition = property_of(model_of(tx, asset["modelId"]), str(property_id))
        found, which = tx.series.of_property(asset["id"], definition["id"]), f"property {definition['name']}"
    if found is None:
        raise _no_series(which)
    return found


def _described(context: Context, series: TimeSeries) -> Document:
    identifier = series.id if series.asset_id is None else f"{series.asset_id}:{series.property_id}"
    summary = {
        "assetId": series.asset_id,
        "propertyId": series.property_id,
        "alias": series.alias,
        "timeSeriesId": identifier,
        "dataType": series.data_type,
        "timeSeriesCreationDate": round(series.created_ns / 1e6) / 1e3,
        "timeSeriesLastUpdateDate": round(series.updated_ns / 1e6) / 1e3,
        "timeSeriesArn": context.arn(f"time-series/{identifier}"),
    }
    return {key: value for key, value in summary.items() if value is not None}


def _no_series(which: str) -> ServiceError:
    return ServiceError("ResourceNotFoundException", f"Time series with {which} not found")


HANDLERS: Handlers = {
    "ListTimeSeries": list_series,
    "DescribeTimeSeries": describe,
    "DeleteTimeSeries": delete,
    "AssociateTimeSeriesToAssetProperty": associate,
    "DisassociateTimeSeriesFromAssetProperty": disassociate,
}
