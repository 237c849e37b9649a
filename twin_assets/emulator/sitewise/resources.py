"""What the handlers of several subjects share: finding models, assets, properties and series, by id or external id."""

from dataclasses import dataclass

from twin_assets.emulator.context import Transaction
from twin_assets.emulator.errors import ServiceError, invalid, not_found
from twin_assets.emulator.protocol import Document
from twin_assets.emulator.series import TimeSeries

MODEL, ASSET = "asset_model", "asset"
EXTERNAL = "externalId:"
DEFAULT_PAGE = 50  # summaries of models and assets, where maxResults is not given


def model_of(tx: Transaction, identifier: str) -> Document:
    """A model by its id or ``externalId:…``.

    Raises:
        ServiceError: if there is none.
    """
    return _resource(tx, MODEL, "Asset model", identifier)


def asset_of(tx: Transaction, identifier: str) -> Document:
    """An asset by its id or ``externalId:…``.

    Raises:
        ServiceError: if there is none.
    """
    return _resource(tx, ASSET, "Asset", identifier)


def property_of(model: Document, identifier: str) -> Document:
    """A model's property by its id or ``externalId:…``.

    Raises:
        ServiceError: if there is none.
    """
    key, wanted = ("externalId", identifier.removeprefix(EXTERNAL)) if _is_external(identifier) else ("id", identifier)
    for each in model["properties"]:
        if each.get(key) == wanted:
            return dict(each)
    raise not_found("Property", identifier)


def _resource(tx: Transaction, kind: str, what: str, identifier: str) -> Document:
    if _is_external(identifier):
        wanted = identifier.removeprefix(EXTERNAL)
        found = next((each for each in tx.all(kind) if each.get("externalId") == wanted), None)
    else:
        found = tx.find(kind, identifier)
    if found is None:
        raise not_found(what, identifier)
    return found


def _is_external(identifier: str) -> bool:
    return identifier.startswith(EXTERNAL)


@dataclass(frozen=True)
class Target:
    """What an entry or a request addresses.

    Attributes:
        series: its time series; None where nothing was written yet.
        alias: as given; None where it was addressed by ids.
        property: the asset's, as its model has it; None for a stream of its own.
        asset_id: None as above.
    """

    series: TimeSeries | None
    alias: str | None
    property: Document | None
    asset_id: str | None


class Addresses:
    """Resolves addresses within one transaction; each asset, with its model and its series, is read once."""

    def __init__(self, tx: Transaction, requests: list[Document] | None = None) -> None:
        """Look up the aliases that will be asked for, all at once.

        Args:
            tx: in which everything is looked up.
            requests: what will be resolved, as far as it is known.
        """
        self._tx = tx
        self._models: dict[str, Document] = {}
        self._series: dict[str, dict[str, TimeSeries]] = {}
        aliases = [each["propertyAlias"] for each in requests or [] if "propertyAlias" in each]
        self._by_alias = dict.fromkeys(aliases) | tx.series.with_aliases(aliases) if aliases else {}

    def resolve(self, request: Document) -> Target:
        """What ``propertyAlias``, or ``assetId`` and ``propertyId``, address.

        Raises:
            ServiceError: if they address nothing, or are not exactly one of both.
        """
        alias, asset_id, property_id = (request.get(key) for key in ("propertyAlias", "assetId", "propertyId"))
        if (alias is None) == (asset_id is None and property_id is None) or (asset_id is None) != (property_id is None):
            raise invalid("Either propertyAlias, or both assetId and propertyId, must be specified")
        if alias is not None:
            series = self._by_alias[alias] if alias in self._by_alias else self._tx.series.by_alias(alias)
            if series is None or series.asset_id is None or series.property_id is None:
                return Target(series, alias, None, None)
            return Target(series, alias, self._property(series.asset_id, series.property_id), series.asset_id)
        found = self._property(str(asset_id), str(property_id))
        return Target(self._of_asset(str(asset_id)).get(found["id"]), None, found, asset_id)

    def existing(self, request: Document) -> Target:
        """As ``resolve``; an alias that no series has is not found."""
        target = self.resolve(request)
        if target.series is None and target.property is None:
            raise ServiceError("ResourceNotFoundException", f"Time series with alias {target.alias} not found")
        return target

    def _of_asset(self, asset_id: str) -> dict[str, TimeSeries]:
        if asset_id not in self._series:
            self._series[asset_id] = self._tx.series.of_asset(asset_id)
        return self._series[asset_id]

    def _property(self, asset_id: str, property_id: str) -> Document:
        if asset_id not in self._models:
            self._models[asset_id] = model_of(self._tx, asset_of(self._tx, asset_id)["modelId"])
        return property_of(self._models[asset_id], property_id)


def data_type_of(target: Target) -> str:
    """The data type of what is addressed."""
    if target.property is not None:
        return str(target.property["dataType"])
    return target.series.data_type if target.series is not None else "DOUBLE"
