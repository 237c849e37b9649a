"""What IoT SiteWise needs for a twin: an asset model with its properties, and an asset for each unit.

Made from twin.yaml, as often as one likes: what is there stays, what is missing is added, nothing is ever removed, for
SiteWise deletes a removed property's values.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twin_assets.aws.backoff import Backoff
from twin_assets.aws.sitewise import SiteWise
from twin_assets.aws.sitewise_errors import AwsError
from twin_assets.errors import TwinError
from twin_assets.spec import TwinSpec

MOST_PROPERTIES = 200  # of an asset model
ALREADY = "ResourceAlreadyExistsException"
KEPT = ("assetModelHierarchies", "assetModelCompositeModels", "assetModelDescription")


@dataclass(frozen=True)
class Provisioned:
    """What is there now.

    Attributes:
        model_id: of the asset model.
        model_name: its name.
        created: whether the model is new.
        properties: names of the properties that were added.
        assets: id of each unit's asset, by name.
        new_assets: those that were created.
    """

    model_id: str
    model_name: str
    created: bool
    properties: tuple[str, ...]
    assets: Mapping[str, str]
    new_assets: tuple[str, ...]


def model_properties(spec: TwinSpec) -> list[dict[str, Any]]:
    """Definitions of all properties that a twin reads and writes: measurements of type DOUBLE.

    Raises:
        TwinError: if there are more than an asset model can have.
    """
    measured = (part for part in spec.inputs if part.constant is None)
    units = {part.source: part.unit for part in (*measured, *spec.measurements)}
    for result in spec.results:
        section, number, *_ = result.path
        units[result.name] = getattr(spec, str(section))[number].unit
    if len(units) > MOST_PROPERTIES:
        raise TwinError(
            f"twin '{spec.name}' reads and writes {len(units)} properties; an asset model of IoT SiteWise has at most"
            f" {MOST_PROPERTIES}. Every result has three (its value, _lower and _upper): predict fewer virtual sensors,"
            " or split the twin."
        )
    return [_definition(name, unit) for name, unit in units.items()]


def _definition(name: str, unit: str | None) -> dict[str, Any]:
    plain: dict[str, Any] = {"name": name, "dataType": "DOUBLE", "type": {"measurement": {}}}
    return plain | ({"unit": unit} if unit else {})


def provision(
    sitewise: SiteWise,
    model: str,
    definitions: Sequence[dict[str, Any]],
    units: Sequence[str],
    *,
    description: str = "",
    waiting: Backoff | None = None,
) -> Provisioned:
    """Make what is missing, and wait until it can be used.

    Args:
        sitewise: the service.
        model: name or id of the asset model; made under this name where there is none.
        definitions: of the properties, as CreateAssetModel takes them.
        units: names of the assets.
        description: of a new model.
        waiting: between two looks at what is being made.

    Raises:
        TwinError: if something of that name is there that cannot serve.
    """
    waiting = waiting or Backoff(attempts=120, base_s=0.2, cap_s=2.0, uniform=lambda: 1.0)
    found = [
        each
        for each in sitewise.every("list_asset_models", "assetModelSummaries", maxResults=250)
        if model in {each["id"], each["name"]}
    ]
    if len(found) > 1:
        ids = ", ".join(each["id"] for each in found)
        raise TwinError(f"{sitewise.name}: {len(found)} asset models are called '{model}': {ids}. Name one by its id.")
    if found:
        identifier = str(found[0]["id"])
        added = _extended(sitewise, identifier, definitions, waiting)
    else:
        identifier = _new_model(sitewise, model, definitions, description)
        added = tuple(each["name"] for each in definitions)
    described = _wait(sitewise, "model", identifier, waiting)
    assets, new = _assets(sitewise, identifier, units, waiting)
    return Provisioned(identifier, described["assetModelName"], not found, added, assets, new)


def _new_model(sitewise: SiteWise, name: str, definitions: Sequence[dict[str, Any]], description: str) -> str:
    told = {"assetModelDescription": description} if description else {}
    made = sitewise.ask("create_asset_model", assetModelName=name, assetModelProperties=list(definitions), **told)
    return str(made["assetModelId"])


def _extended(
    sitewise: SiteWise, identifier: str, definitions: Sequence[dict[str, Any]], waiting: Backoff
) -> tuple[str, ...]:
    """Add the properties that a model lacks; their names."""
    described = _wait(sitewise, "model", identifier, waiting)
    there = {each["name"]: each for each in described["assetModelProperties"]}
    for each in definitions:
        _refuse_unfit(f"{sitewise.name}: asset model '{described['assetModelName']}'", there.get(each["name"]))
    missing = [each for each in definitions if each["name"] not in there]
    if not missing:
        return ()
    if len(there) + len(missing) > MOST_PROPERTIES:
        raise TwinError(
            f"{sitewise.name}: asset model '{described['assetModelName']}' has {len(there)} properties, and"
            f" {len(missing)} are missing; it can have {MOST_PROPERTIES}. Name another model: sitewise://REGION?model=…"
        )
    sitewise.ask(
        "update_asset_model",
        assetModelId=identifier,
        assetModelName=described["assetModelName"],
        assetModelProperties=[*described["assetModelProperties"], *missing],
        # What is not named is taken away.
        **{key: described[key] for key in KEPT if described.get(key)},
    )
    return tuple(each["name"] for each in missing)


def _refuse_unfit(where: str, there: Mapping[str, Any] | None) -> None:
    if there is None:
        return
    if there["dataType"] != "DOUBLE" or not {"measurement", "attribute"} & {*there["type"]}:
        kind = next(iter(there["type"]), "nothing")
        raise TwinError(
            f"{where} has a property '{there['name']}' already, a {kind} of type {there['dataType']}; expected a"
            " measurement of type DOUBLE. Give the twin another property in twin.yaml, or another model."
        )


def _assets(
    sitewise: SiteWise, model_id: str, units: Sequence[str], waiting: Backoff
) -> tuple[dict[str, str], tuple[str, ...]]:
    """An asset for each unit; those that were created."""
    listed = sitewise.every("list_assets", "assetSummaries", assetModelId=model_id, filter="ALL", maxResults=250)
    there = {each["name"]: str(each["id"]) for each in listed}
    new = tuple(unit for unit in dict.fromkeys(units) if unit not in there)
    for unit in new:
        there[unit] = _new_asset(sitewise, model_id, unit)
    for unit in new:
        _wait(sitewise, "asset", there[unit], waiting)
    return {unit: there[unit] for unit in units}, new


def _new_asset(sitewise: SiteWise, model_id: str, unit: str) -> str:
    try:
        return str(sitewise.ask("create_asset", assetName=unit, assetModelId=model_id)["assetId"])
    except AwsError as error:
        if error.code != ALREADY:
            raise
        raise TwinError(
            f"{error} An asset '{unit}' of another model is there: rename one of them, or name its model with"
            " sitewise://REGION?model=…"
        ) from error


def _wait(sitewise: SiteWise, kind: str, identifier: str, waiting: Backoff) -> dict[str, Any]:
    """Wait until a model or an asset can be used; its description.

    Raises:
        TwinError: if making it failed, or takes too long.
    """
    operation, key, status = {
        "model": ("describe_asset_model", "assetModelId", "assetModelStatus"),
        "asset": ("describe_asset", "assetId", "assetStatus"),
    }[kind]
    state = {}
    for looked in range(1, waiting.attempts + 1):
        described = sitewise.ask(operation, **{key: identifier})
        state = described[status]
        if state["state"] == "ACTIVE":
            return described
        if state["state"] == "FAILED":
            break
        waiting.wait(looked)
    why = "; ".join(_reasons(state.get("error", {})))
    raise TwinError(
        f"{sitewise.name}: {kind} {identifier} is {state.get('state')}{': ' + why if why else ''}. Expected ACTIVE:"
        " mend what is named, or wait, and try again."
    )


def _reasons(error: Mapping[str, Any]) -> Iterator[str]:
    if error:
        yield str(error.get("message", ""))
        yield from (str(each.get("message", "")) for each in error.get("details", ()))
