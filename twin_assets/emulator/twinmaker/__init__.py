"""The part of AWS IoT TwinMaker that the emulator serves; one module a subject."""

from twin_assets.emulator.context import Handlers
from twin_assets.emulator.twinmaker import component_types, entities, property_values, scenes, workspaces

LENGTHS: dict[str, int] = {}  # the model says them all

HANDLERS: Handlers = {
    **workspaces.HANDLERS,
    **scenes.HANDLERS,
    **component_types.HANDLERS,
    **entities.HANDLERS,
    **property_values.HANDLERS,
}
