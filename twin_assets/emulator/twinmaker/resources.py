"""What the handlers of several subjects share: workspaces and what is in them."""

from twin_assets.emulator.context import Context, Transaction
from twin_assets.emulator.documents import Page
from twin_assets.emulator.errors import ServiceError
from twin_assets.emulator.protocol import Document

WORKSPACE = "workspace"
DEFAULT_PAGE = 50
ACTIVE = {"state": "ACTIVE"}


def invalid(message: str) -> ServiceError:
    """A TwinMaker request that is not valid."""
    return ServiceError("ValidationException", message)


def workspace_of(tx: Transaction, identifier: str) -> Document:
    """A workspace.

    Raises:
        ServiceError: if there is none.
    """
    return _found(tx.find(WORKSPACE, identifier), "workspace", identifier)


def find(tx: Transaction, kind: str, request: Document, identifier: str) -> Document:
    """Something of a request's workspace.

    Raises:
        ServiceError: if it, or the workspace, is not there.
    """
    workspace = workspace_of(tx, request["workspaceId"])["workspaceId"]
    return _found(tx.find(kind, f"{workspace}/{identifier}"), kind.replace("_", " "), identifier)


def _found(found: Document | None, what: str, identifier: str) -> Document:
    if found is None:
        raise ServiceError("ResourceNotFoundException", f"The {what} {identifier} could not be found")
    return found


def add(context: Context, tx: Transaction, kind: str, request: Document, identifier: str, **beside: object) -> Document:
    """Make something in a request's workspace, of what the request says.

    Raises:
        ServiceError: if it is there already.
    """
    workspace = workspace_of(tx, request["workspaceId"])["workspaceId"]
    if tx.find(kind, f"{workspace}/{identifier}") is not None:
        raise ServiceError("ConflictException", f"The {kind.replace('_', ' ')} {identifier} already exists")
    path = kind.replace("_", "-")
    made = {
        **request,
        **beside,
        "arn": context.arn(f"workspace/{workspace}/{path}/{identifier}"),
        **dict.fromkeys(("creationDateTime", "updateDateTime"), context.now_s),
    }
    tx.add(kind, f"{workspace}/{identifier}", made, parent=workspace)
    return made


def change(context: Context, tx: Transaction, kind: str, document: Document, identifier: str) -> float:
    """Store what was changed of something; when that was, in seconds since 1970-01-01 UTC."""
    document["updateDateTime"] = context.now_s
    tx.change(kind, f"{document['workspaceId']}/{identifier}", document)
    return context.now_s


def page_of(tx: Transaction, kind: str, request: Document) -> Page:
    """A page of what there is of a kind in a request's workspace."""
    workspace = workspace_of(tx, request["workspaceId"])["workspaceId"]
    return tx.page(kind, request.get("maxResults") or DEFAULT_PAGE, request.get("nextToken"), parent=workspace)


def only(document: Document, *names: str) -> Document:
    """Those members of a document that are there."""
    return {name: document[name] for name in names if document.get(name) is not None}
