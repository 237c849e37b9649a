"""Scenes: Create, Get, List, Update, Delete. Their documents are in S3, and are the viewers' business."""

from twin_assets.emulator.context import Context, Handlers
from twin_assets.emulator.protocol import Document
from twin_assets.emulator.twinmaker.resources import add, change, find, only, page_of

SCENE = "scene"
SUMMARY = ("sceneId", "contentLocation", "arn", "creationDateTime", "updateDateTime", "description")


def create(context: Context, request: Document) -> Document:
    """CreateScene."""
    with context.transaction(write=True) as tx:
        made = add(context, tx, SCENE, request, request["sceneId"])
    return only(made, "arn", "creationDateTime")


def get(context: Context, request: Document) -> Document:
    """GetScene."""
    with context.transaction() as tx:
        found = find(tx, SCENE, request, request["sceneId"])
    return only(found, "workspaceId", *SUMMARY, "capabilities", "sceneMetadata")


def list_scenes(context: Context, request: Document) -> Document:
    """ListScenes."""
    with context.transaction() as tx:
        page = page_of(tx, SCENE, request)
    return {"sceneSummaries": [only(each, *SUMMARY) for each in page.documents], "nextToken": page.next_token}


def update(context: Context, request: Document) -> Document:
    """UpdateScene."""
    with context.transaction(write=True) as tx:
        found = find(tx, SCENE, request, request["sceneId"]) | request
        return {"updateDateTime": change(context, tx, SCENE, found, request["sceneId"])}


def delete(context: Context, request: Document) -> Document:
    """DeleteScene."""
    with context.transaction(write=True) as tx:
        find(tx, SCENE, request, request["sceneId"])
        tx.remove(SCENE, f"{request['workspaceId']}/{request['sceneId']}")
    return {}


HANDLERS: Handlers = {
    "CreateScene": create,
    "GetScene": get,
    "ListScenes": list_scenes,
    "UpdateScene": update,
    "DeleteScene": delete,
}
