"""The error of an FMU that cannot be used as it is."""

from pathlib import Path

from twin_assets.errors import TwinError


class FmuError(TwinError):
    """An FMU that cannot be read, loaded or told what it should be told; names the file and what to do."""


class FmuReplacedError(FmuError):
    """An FMU's file that is not the one any more that was read before."""

    def __init__(self, path: Path, sha256: str, found: str) -> None:
        super().__init__(
            f"{path}: the FMU was replaced in between (its SHA-256 was {sha256[:12]}…, now it is {found[:12]}…), so"
            " nothing is computed with it. Run again: everything is then computed with the new one."
        )
