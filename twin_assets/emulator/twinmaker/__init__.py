"""The part of AWS IoT TwinMaker that the emulator serves; one module a subject."""

from twin_assets.emulator.context import Handlers

LENGTHS: dict[str, int] = {}

HANDLERS: Handlers = {}
