"""The error of an FMU that cannot be used as it is."""

from twin_assets.errors import TwinError


class FmuError(TwinError):
    """An FMU that cannot be read, loaded or told what it should be told; names the file and what to do."""
