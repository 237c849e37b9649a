"""Which ids units and properties have in IoT SiteWise: from the asset model, never typed in.

A unit is an asset of the model, by its name. A property is one of the model's, by its name, or by the alias that it has
in an asset. What is found is kept; an unknown name, or an id that is gone, is a reason to look again.
"""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from twin_assets.aws.sitewise import SiteWise
from twin_assets.aws.tqv import Series
from twin_assets.historian.base import HistorianError

AGAIN_S = 5.0  # names that are not there are looked for so often at most
MODELS_TOLD = 10


class Property(NamedTuple):
    """A property of the model.

    Attributes:
        id: UUID.
        data_type: DOUBLE, INTEGER, BOOLEAN, STRING, STRUCT.
        writable: whether values can be written: a measurement or an attribute, nothing that SiteWise computes.
    """

    id: str
    data_type: str
    writable: bool = True


@dataclass
class Names:
    """Units and properties of one asset model. Threads may share it.

    Attributes:
        sitewise: the service.
        model: name or id of the asset model; None: the only one that there is.
        monotonic: seconds.
    """

    sitewise: SiteWise
    model: str | None
    monotonic: Callable[[], float] = time.monotonic
    _model_id: str | None = None
    _units: dict[str, str] = field(default_factory=dict)
    _properties: dict[str, Property] = field(default_factory=dict)
    _aliases: dict[str, dict[str, Property]] = field(default_factory=dict)
    _looked_s: float | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def forget(self) -> None:
        """Look everything up again when it is next asked for."""
        with self._lock:
            self._model_id, self._looked_s = None, None
            self._aliases = {}

    @property
    def model_id(self) -> str:
        """Id of the asset model.

        Raises:
            HistorianError: if there is no such model, or more than one.
        """
        with self._lock:
            if self._model_id is None:
                self._model_id = model_id(self.sitewise, self.model)
            return self._model_id

    def units(self) -> dict[str, str]:
        """Id of each asset, by its name, as they are now.

        Raises:
            HistorianError: if two assets share a name.
        """
        with self._lock:
            self._look()
            return dict(self._units)

    def unit_ids(self) -> dict[str, str]:
        """Id of each asset, by its name, as they were last seen."""
        with self._lock:
            self._known()
            return dict(self._units)

    def properties(self) -> dict[str, Property]:
        """The model's properties, by name."""
        with self._lock:
            self._known()
            return dict(self._properties)

    def of_unit(self, unit: str) -> dict[str, Property]:
        """A unit's properties by name, and by those aliases that have been asked for; none of an unknown unit."""
        with self._lock:
            self._refreshed({unit}, ())
            return {**self._properties, **self._aliases.get(unit, {})} if unit in self._units else {}

    def series(self, units: Iterable[str], properties: Iterable[str]) -> dict[tuple[str, str], tuple[Series, bool]]:
        """The series of units and properties, as far as there are any; and whether each can be written."""
        wanted, names = sorted(set(units)), sorted(set(properties))
        with self._lock:
            self._refreshed(wanted, names)
            others = [name for name in names if name not in self._properties]
            found = {}
            for unit in (unit for unit in wanted if unit in self._units):
                aliases = self._by_alias(unit) if others else {}
                for name in names:
                    known = self._properties.get(name) or aliases.get(name)
                    if known is not None:
                        series = Series(self._units[unit], known.id, known.data_type)
                        found[unit, name] = (series, known.writable)
            return found

    def _refreshed(self, units: Iterable[str], properties: Iterable[str]) -> None:
        """Look again where a name is not known, but not at every question."""
        self._known()
        missing = not {*units} <= self._units.keys() or not {*properties} <= self._properties.keys()
        if missing and self.monotonic() - (self._looked_s or 0.0) > AGAIN_S:
            self._look()
            self._aliases = {}

    def _known(self) -> None:
        if self._looked_s is None:
            self._look()

    def _look(self) -> None:
        described = self.sitewise.ask("describe_asset_model", assetModelId=self.model_id)
        self._properties = {
            each["name"]: Property(each["id"], each["dataType"], bool({"measurement", "attribute"} & {*each["type"]}))
            for each in described["assetModelProperties"]
        }
        assets = self.sitewise.every(
            "list_assets", "assetSummaries", assetModelId=self.model_id, filter="ALL", maxResults=250
        )
        self._units = self._by_name(list(assets))
        self._looked_s = self.monotonic()

    def _by_name(self, assets: list[dict[str, Any]]) -> dict[str, str]:
        found: dict[str, str] = {}
        for asset in assets:
            if asset.get("status", {}).get("state") == "DELETING":
                continue
            if asset["name"] in found:
                other = found[asset["name"]]
                raise HistorianError(
                    f"{self.sitewise.name}: two assets of the model are called '{asset['name']}': {other} and"
                    f" {asset['id']}. A unit is named by its asset: rename one of them."
                )
            found[asset["name"]] = asset["id"]
        return found

    def _by_alias(self, unit: str) -> dict[str, Property]:
        """A unit's properties by their aliases."""
        if unit not in self._aliases:
            described = self.sitewise.ask("describe_asset", assetId=self._units[unit])
            by_id = {each.id: each for each in self._properties.values()}
            self._aliases[unit] = {
                each["alias"]: by_id.get(each["id"], Property(each["id"], each["dataType"]))
                for each in described["assetProperties"]
                if each.get("alias")
            }
        return self._aliases[unit]


def model_id(sitewise: SiteWise, wanted: str | None) -> str:
    """Id of an asset model.

    Args:
        sitewise: the service.
        wanted: its name or id; None: the only one that there is.

    Raises:
        HistorianError: if there is none, or more than one.
    """
    models = list(sitewise.every("list_asset_models", "assetModelSummaries", maxResults=250))
    found = [each for each in models if wanted is None or wanted in {each["id"], each["name"]}]
    if len(found) == 1:
        return str(found[0]["id"])
    known = ", ".join(f"'{each['name']}' ({each['id']})" for each in models[:MODELS_TOLD]) or "none"
    if not found:
        sought = "an asset model" if wanted is None else f"an asset model '{wanted}'"
        raise HistorianError(
            f"{sitewise.name}: there is not {sought} in this region; found {known}. Correct model= in the historian's"
            " URL or its region, or make it: twin provision NAME --to sitewise."
        )
    if wanted is None:
        raise HistorianError(
            f"{sitewise.name}: there are {len(found)} asset models: {known}. Name one: sitewise://REGION?model=NAME"
        )
    ids = ", ".join(each["id"] for each in found)
    raise HistorianError(
        f"{sitewise.name}: {len(found)} asset models are called '{wanted}': {ids}. Name one by its id:"
        f" sitewise://REGION?model={found[0]['id']}"
    )
