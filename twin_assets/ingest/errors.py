"""The error of a recording that cannot be taken."""

from twin_assets.errors import TwinError


class RecordingError(TwinError):
    """A recording that cannot be taken: file, line, what was found, what was expected; nothing was written."""
