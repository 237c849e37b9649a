"""Workspaces: Create, Get, List, Update, Delete."""

from twin_assets.emulator.context import Context, Handlers
from twin_assets.emulator.errors import ServiceError
from twin_assets.emulator.protocol import Document
from twin_assets.emulator.twinmaker.resources import DEFAULT_PAGE, WORKSPACE, invalid, only, workspace_of

CONTENT = ("entity", "scene", "component_type")
SUMMARY = ("workspaceId", "arn", "description", "creationDateTime", "updateDateTime")


def create(context: Context, request: Document) -> Document:
    """CreateWorkspace."""
    identifier = request["workspaceId"]
    with context.transaction(write=True) as tx:
        if tx.find(WORKSPACE, identifier) is not None:
            raise ServiceError("ConflictException", f"The workspace {identifier} already exists")
        dates = dict.fromkeys(("creationDateTime", "updateDateTime"), context.now_s)
        made = {**request, "arn": context.arn(f"workspace/{identifier}"), **dates}
        tx.add(WORKSPACE, identifier, made)
    return only(made, "arn", "creationDateTime")


def get(context: Context, request: Document) -> Document:
    """GetWorkspace, by its id or its ARN."""
    with context.transaction() as tx:
        found = workspace_of(tx, request["workspaceId"].rpartition("workspace/")[2])
    return only(found, *SUMMARY, "s3Location", "role")


def list_workspaces(context: Context, request: Document) -> Document:
    """ListWorkspaces."""
    with context.transaction() as tx:
        page = tx.page(WORKSPACE, request.get("maxResults") or DEFAULT_PAGE, request.get("nextToken"))
    return {"workspaceSummaries": [only(each, *SUMMARY) for each in page.documents], "nextToken": page.next_token}


def update(context: Context, request: Document) -> Document:
    """UpdateWorkspace."""
    with context.transaction(write=True) as tx:
        found = workspace_of(tx, request["workspaceId"]) | request | {"updateDateTime": context.now_s}
        tx.change(WORKSPACE, found["workspaceId"], found)
    return only(found, "updateDateTime")


def delete(context: Context, request: Document) -> Document:
    """DeleteWorkspace, of one that is empty."""
    with context.transaction(write=True) as tx:
        found = workspace_of(tx, request["workspaceId"])
        for kind in CONTENT:
            if next(tx.all(kind, parent=found["workspaceId"]), None) is not None:
                raise invalid(f"The workspace {found['workspaceId']} is not empty: it has a {kind.replace('_', ' ')}")
        tx.remove(WORKSPACE, found["workspaceId"])
    return {}


HANDLERS: Handlers = {
    "CreateWorkspace": create,
    "GetWorkspace": get,
    "ListWorkspaces": list_workspaces,
    "UpdateWorkspace": update,
    "DeleteWorkspace": delete,
}
