"""The store: the folder in which assets keep their tables, ``<root>/<twin>/<stage>/<key>.parquet``.

A table is whole or absent, whatever is killed and whoever else writes: it is written aside, flushed to disk and renamed.
Equal content gives equal bytes. What belongs to a table beside its rows (cursors, states, lineage) is in the Parquet
file's own key-value metadata, so that it can never disagree with the rows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

SCHEMA_VERSION = "1"


@dataclass(frozen=True)
class Store:
    """Tables of all twins under one folder."""

    root: Path

    def path(self, twin: str, stage: str, key: str) -> Path:
        """The table's file, there or not."""
        raise NotImplementedError

    def write(self, twin: str, stage: str, key: str, frame: pd.DataFrame, metadata: Mapping[str, str]) -> str:
        """Write a table atomically; the last of several writers wins, and no reader sees half a file.

        Returns:
            the content digest (hex SHA-256 of the rows alone); also in the metadata as ``content``.

        Raises:
            TwinError: if the folder cannot be written.
        """
        raise NotImplementedError

    def read(self, twin: str, stage: str, key: str) -> pd.DataFrame | None:
        """A table; None where none was written.

        Raises:
            TwinError: if the file is damaged or of another schema version.
        """
        raise NotImplementedError

    def metadata(self, twin: str, stage: str, key: str) -> dict[str, str] | None:
        """What was written beside the rows, and ``content``; reads the file's footer only. None where there is no table.

        Raises:
            TwinError: if the file is damaged or of another schema version.
        """
        raise NotImplementedError

    def keys(self, twin: str, stage: str) -> tuple[str, ...]:
        """Keys of the tables that are there, sorted (which is in time, for windows)."""
        raise NotImplementedError

    def read_many(self, twin: str, stage: str, keys: Iterable[str]) -> pd.DataFrame:
        """The tables of several keys, one under the other in the order given; keys without a table are left out."""
        raise NotImplementedError
