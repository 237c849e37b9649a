"""Entities: Create, Get, List, Update, Delete. Composite components are refused."""

from twin_assets.emulator.context import Context, Handlers, Transaction, new_id
from twin_assets.emulator.documents import make_token, read_token
from twin_assets.emulator.errors import ServiceError
from twin_assets.emulator.protocol import Document
from twin_assets.emulator.twinmaker.components import check, described
from twin_assets.emulator.twinmaker.resources import (
    ACTIVE,
    DEFAULT_PAGE,
    add,
    change,
    find,
    invalid,
    only,
    workspace_of,
)

ENTITY, ROOT = "entity", "$ROOT"
SUMMARY = ("entityId", "entityName", "arn", "parentEntityId", "description", "creationDateTime", "updateDateTime")


def create(context: Context, request: Document) -> Document:
    """CreateEntity."""
    if request.get("compositeComponents"):
        raise invalid("The emulator serves no composite components")
    identifier = request.get("entityId") or new_id()
    parent = request.get("parentEntityId", ROOT)
    with context.transaction(write=True) as tx:
        _check_parent(tx, request, parent)
        beside = {"entityId": identifier, "parentEntityId": parent, "components": request.get("components", {})}
        made = add(context, tx, ENTITY, request, identifier, **beside)
        for name in made["components"]:
            check(context, tx, made, name)
    return {**only(made, "entityId", "arn", "creationDateTime"), "state": "CREATING"}


def get(context: Context, request: Document) -> Document:
    """GetEntity."""
    with context.transaction() as tx:
        entity = find(tx, ENTITY, request, request["entityId"])
        components = {name: described(context, tx, entity, name) for name in entity["components"]}
        children = _children(tx, entity)
    return {
        **only(entity, "workspaceId", *SUMMARY),
        "status": ACTIVE,
        "components": components,
        "hasChildEntities": bool(children),
    }


def list_entities(context: Context, request: Document) -> Document:
    """ListEntities; several filters must all hold."""
    first = read_token(request["nextToken"], "first") if "nextToken" in request else 0
    with context.transaction() as tx:
        workspace = workspace_of(tx, request["workspaceId"])["workspaceId"]
        entities = list(tx.all(ENTITY, parent=workspace))
    parents = {each["parentEntityId"] for each in entities}
    for wanted in request.get("filters", []):
        entities = [each for each in entities if _matches(each, wanted)]
    last = first + (request.get("maxResults") or DEFAULT_PAGE)
    summaries = [
        {**only(each, *SUMMARY), "status": ACTIVE, "hasChildEntities": each["entityId"] in parents}
        for each in entities[first:last]
    ]
    return {"entitySummaries": summaries, "nextToken": make_token({"first": last}) if last < len(entities) else None}


def _matches(entity: Document, wanted: Document) -> bool:
    components = entity["components"].values()
    if "parentEntityId" in wanted:
        return bool(entity["parentEntityId"] == wanted["parentEntityId"])
    if "componentTypeId" in wanted:
        return any(each.get("componentTypeId") == wanted["componentTypeId"] for each in components)
    values = [given.get("value", {}) for each in components for given in each.get("properties", {}).values()]
    return any(wanted.get("externalId") == value.get("stringValue") for value in values)


def update(context: Context, request: Document) -> Document:
    """UpdateEntity."""
    if request.get("compositeComponentUpdates"):
        raise invalid("The emulator serves no composite components")
    with context.transaction(write=True) as tx:
        entity = find(tx, ENTITY, request, request["entityId"]) | only(request, "entityName", "description")
        for name, asked in request.get("componentUpdates", {}).items():
            _update_component(context, tx, entity, name, asked)
        moved = request.get("parentEntityUpdate")
        if moved is not None:
            parent = moved.get("parentEntityId", ROOT) if moved["updateType"] == "UPDATE" else ROOT
            _check_parent(tx, request, parent, entity["entityId"])
            entity["parentEntityId"] = parent
        return {"updateDateTime": change(context, tx, ENTITY, entity, entity["entityId"]), "state": "UPDATING"}


def _update_component(context: Context, tx: Transaction, entity: Document, name: str, asked: Document) -> None:
    kind, components = asked.get("updateType", "UPDATE"), entity["components"]
    if (kind == "CREATE") == (name in components):
        raise invalid(f"Component {name} is {'there already' if name in components else 'not there'}")
    if kind == "DELETE":
        del components[name]
        return
    component = components.setdefault(name, {"properties": {}})
    component |= only(asked, "description", "componentTypeId")
    properties = component.setdefault("properties", {})
    for key, given in asked.get("propertyUpdates", {}).items():
        if given.get("updateType") == "DELETE":
            properties.pop(key, None)
        else:
            properties[key] = properties.get(key, {}) | only(given, "definition", "value")
    check(context, tx, entity, name)


def delete(context: Context, request: Document) -> Document:
    """DeleteEntity; one with children only with isRecursive."""
    with context.transaction(write=True) as tx:
        _delete(tx, find(tx, ENTITY, request, request["entityId"]), recursive=request.get("isRecursive", False))
    return {"state": "DELETING"}


def _delete(tx: Transaction, entity: Document, *, recursive: bool) -> None:
    children = _children(tx, entity)
    if children and not recursive:
        raise invalid(f"The entity {entity['entityId']} has child entities; delete them first, or with isRecursive")
    for child in children:
        _delete(tx, child, recursive=True)
    tx.remove(ENTITY, f"{entity['workspaceId']}/{entity['entityId']}")


def _children(tx: Transaction, entity: Document) -> list[Document]:
    siblings = tx.all(ENTITY, parent=entity["workspaceId"])
    return [each for each in siblings if each["parentEntityId"] == entity["entityId"]]


def _check_parent(tx: Transaction, request: Document, parent: str, child: str | None = None) -> None:
    """A parent is there, and is no descendant of its child."""
    try:
        while parent != ROOT:
            if parent == child:
                raise invalid(f"The entity {child} would be its own ancestor")
            parent = find(tx, ENTITY, request, parent)["parentEntityId"]
    except ServiceError as error:
        if error.code == "ResourceNotFoundException":
            raise invalid(error.message) from error
        raise


HANDLERS: Handlers = {
    "CreateEntity": create,
    "GetEntity": get,
    "ListEntities": list_entities,
    "UpdateEntity": update,
    "DeleteEntity": delete,
}
