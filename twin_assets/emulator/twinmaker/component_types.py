"""Component types: Create, Get, List, Delete; and the one that is built in, SiteWise's connector."""

from twin_assets.emulator.context import Context, Handlers, Transaction
from twin_assets.emulator.protocol import Document
from twin_assets.emulator.twinmaker.resources import ACTIVE, add, find, invalid, only, page_of, workspace_of

TYPE = "component_type"
SITEWISE = "com.amazon.iotsitewise.connector"
FLAGS = ("isTimeSeries", "isRequiredInEntity", "isExternalId", "isStoredExternally", "isFinal", "isImported")
DATES = ("creationDateTime", "updateDateTime")


def definition(given: Document, *, inherited: bool = False) -> Document:
    """A property's definition as answers have it, of what a request said."""
    flags = {flag: bool(given.get(flag, False)) for flag in FLAGS}
    told = only(given, "defaultValue", "configuration", "displayName")
    return {"dataType": given.get("dataType", {"type": "STRING"}), **flags, "isInherited": inherited, **told}


def create(context: Context, request: Document) -> Document:
    """CreateComponentType."""
    with context.transaction(write=True) as tx:
        for parent in request.get("extendsFrom", []):
            type_of(context, tx, request, parent)
        made = add(context, tx, TYPE, request, request["componentTypeId"])
    return {**only(made, "arn", "creationDateTime"), "state": "CREATING"}


def get(context: Context, request: Document) -> Document:
    """GetComponentType."""
    with context.transaction() as tx:
        found = type_of(context, tx, request, request["componentTypeId"])
        properties = properties_of(context, tx, request, request["componentTypeId"])
    names = ("workspaceId", "componentTypeId", "arn", "description", "extendsFrom", "componentTypeName", *DATES)
    told = only(found, *names, "isSingleton")
    return {**told, "propertyDefinitions": properties, "isAbstract": False, "status": ACTIVE}


def list_types(context: Context, request: Document) -> Document:
    """ListComponentTypes; the one that is built in comes first."""
    asked = {key: value for each in request.get("filters", []) for key, value in each.items()}
    with context.transaction() as tx:
        page = page_of(tx, TYPE, request)
        shown = [_built_in(context, request), *page.documents] if "nextToken" not in request else page.documents
    if "extendsFrom" in asked:
        shown = [each for each in shown if asked["extendsFrom"] in each.get("extendsFrom", [])]
    if "namespace" in asked:
        shown = [each for each in shown if each["componentTypeId"].startswith(asked["namespace"])]
    names = ("arn", "componentTypeId", "description", "componentTypeName", *DATES)
    summaries = [only(each, *names) | {"status": ACTIVE} for each in shown if not asked.get("isAbstract")]
    return {
        "workspaceId": request["workspaceId"],
        "componentTypeSummaries": summaries,
        "nextToken": page.next_token,
    }


def delete(context: Context, request: Document) -> Document:
    """DeleteComponentType."""
    with context.transaction(write=True) as tx:
        if request["componentTypeId"] == SITEWISE:
            raise invalid(f"The component type {SITEWISE} is built in")
        find(tx, TYPE, request, request["componentTypeId"])
        tx.remove(TYPE, f"{request['workspaceId']}/{request['componentTypeId']}")
    return {"state": "DELETING"}


def type_of(context: Context, tx: Transaction, request: Document, identifier: str) -> Document:
    """A component type of a request's workspace, or the one that is built in.

    Raises:
        ServiceError: if there is none.
    """
    workspace_of(tx, request["workspaceId"])
    return _built_in(context, request) if identifier == SITEWISE else find(tx, TYPE, request, identifier)


def is_connector(context: Context, tx: Transaction, request: Document, identifier: str) -> bool:
    """Whether a component type is SiteWise's connector, or extends it."""
    parents = type_of(context, tx, request, identifier).get("extendsFrom", [])
    return identifier == SITEWISE or any(is_connector(context, tx, request, each) for each in parents)


def properties_of(context: Context, tx: Transaction, request: Document, identifier: str) -> Document:
    """Name to definition, of a component type and all that it extends."""
    found = type_of(context, tx, request, identifier)
    inherited = {
        name: {**each, "isInherited": True}
        for parent in found.get("extendsFrom", [])
        for name, each in properties_of(context, tx, request, parent).items()
    }
    return inherited | {name: definition(each) for name, each in found.get("propertyDefinitions", {}).items()}


def _built_in(context: Context, request: Document) -> Document:
    text = {"dataType": {"type": "STRING"}, "isRequiredInEntity": True}
    return {
        "workspaceId": request["workspaceId"],
        "componentTypeId": SITEWISE,
        "description": "Connector for synced components and properties from AWS IoT SiteWise",
        "arn": context.arn(f"workspace/AmazonOwnedTypesWorkspace/component-type/{SITEWISE}"),
        "propertyDefinitions": {"sitewiseAssetId": text | {"isExternalId": True}, "sitewiseAssetModelId": text},
        "creationDateTime": 0.0,
        "updateDateTime": 0.0,
    }


HANDLERS: Handlers = {
    "CreateComponentType": create,
    "GetComponentType": get,
    "ListComponentTypes": list_types,
    "DeleteComponentType": delete,
}
