"""The store: the folder in which assets keep their tables, ``<root>/<twin>/<stage>/<key>.parquet``.

A table is whole or absent, whatever is killed and whoever else writes: it is written aside, flushed to disk and
renamed. Equal content gives equal bytes. What belongs to a table beside its rows (cursors, states, lineage) is in the
Parquet file's own key-value metadata, so it can never disagree with the rows.
"""

import hashlib
import io
import os
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from twin_assets.errors import TwinError

SCHEMA_VERSION = "1"
CONTENT = "content"
PREFIX = "twin."
ASIDE = ".aside"
# Writing aside takes milliseconds; a file that old was left by a process that was killed.
ABANDONED_AFTER_S = 600.0

T = TypeVar("T")


@dataclass(frozen=True)
class Store:
    """Tables of all twins under one folder."""

    root: Path

    def path(self, twin: str, stage: str, key: str) -> Path:
        """The table's file, there or not."""
        return self.root / twin / stage / f"{key}.parquet"

    def write(self, twin: str, stage: str, key: str, frame: pd.DataFrame, metadata: Mapping[str, str]) -> str:
        """Write a table atomically; the last of several writers wins, and no reader sees half a file.

        Returns:
            the content digest (hex SHA-256 of the rows alone); also in the metadata as ``content``.

        Raises:
            TwinError: if the folder cannot be written.
        """
        content, data = _encode(frame, metadata)
        path = self.path(twin, stage, key)
        try:
            _replace(path, data)
        except OSError as error:
            raise TwinError(
                f"{path}: the table cannot be written ({error.strerror or error})."
                " Expected a folder that you may write to, with space left; mend it and run again."
            ) from error
        return content

    def remove(self, twin: str, stage: str, key: str) -> None:
        """Take a table away for good; none is no error.

        Raises:
            TwinError: if the folder cannot be written.
        """
        path = self.path(twin, stage, key)
        try:
            path.unlink(missing_ok=True)
            if path.parent.is_dir():
                _flush_folder(path.parent)
        except OSError as error:
            raise TwinError(
                f"{path}: the table cannot be removed ({error.strerror or error})."
                " Expected a folder that you may write to; mend it and run again."
            ) from error

    def read(self, twin: str, stage: str, key: str) -> pd.DataFrame | None:
        """A table; None where none was written.

        Raises:
            TwinError: if the file is damaged or of another schema version.
        """
        found = self.read_with_metadata(twin, stage, key)
        return None if found is None else found[0]

    def read_with_metadata(self, twin: str, stage: str, key: str) -> tuple[pd.DataFrame, dict[str, str]] | None:
        """A table and what was written beside it, of one and the same write; errors as ``read``'s."""
        return _open(self.path(twin, stage, key), lambda file, described: (file.read().to_pandas(), described))

    def metadata(self, twin: str, stage: str, key: str) -> dict[str, str] | None:
        """What was written beside the rows, and ``content``; reads the footer only. None where there is no table.

        Raises:
            TwinError: if the file is damaged or of another schema version.
        """
        return _open(self.path(twin, stage, key), lambda _file, described: described)

    def keys(self, twin: str, stage: str) -> tuple[str, ...]:
        """Keys of the tables that are there, sorted (which is in time, for windows)."""
        return tuple(sorted(path.stem for path in (self.root / twin / stage).glob("*.parquet")))

    def read_many(self, twin: str, stage: str, keys: Iterable[str]) -> pd.DataFrame:
        """The tables of several keys, one under the other in the order given; keys without a table are left out.

        Returns:
            all rows; without any row the first empty table, for its columns; without any table a frame without columns.
        """
        frames = [frame for key in keys if (frame := self.read(twin, stage, key)) is not None]
        # An empty table has lost the types of some columns; it would spoil those of the others.
        filled = [frame for frame in frames if len(frame)]
        return pd.concat(filled, ignore_index=True) if filled else next(iter(frames), pd.DataFrame())


def _encode(frame: pd.DataFrame, metadata: Mapping[str, str]) -> tuple[str, bytes]:
    """The content digest and the bytes of a Parquet file; both depend on the values alone."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    # One chunk and one type per kind of value: how a frame was put together must not show in the bytes.
    schema = pa.schema([field.with_type(_canonical(field.type)) for field in table.schema])
    table = table.replace_schema_metadata(None).cast(schema).combine_chunks()
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        writer.write_table(table)
        content = hashlib.sha256(str(schema).encode() + sink.getvalue()).hexdigest()
        described = {**metadata, CONTENT: content, "schema_version": SCHEMA_VERSION}
        writer.add_key_value_metadata({PREFIX + name: described[name] for name in sorted(described)})
    return content, sink.getvalue()


def _canonical(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_timestamp(kind):
        return pa.timestamp("ns", kind.tz)
    return kind


def _replace(path: Path, data: bytes) -> None:
    """Put bytes in a file's place: all of them, or none; on disk when this returns."""
    aside = path.parent / ASIDE
    aside.mkdir(parents=True, exist_ok=True)
    _sweep(aside)
    temporary = aside / f"{path.stem}.{os.getpid()}.{uuid.uuid4().hex}"
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _flush_folder(path.parent)


def _sweep(aside: Path) -> None:
    """Remove what killed processes left; their files are never looked at, this only gives the space back."""
    oldest = time.time() - ABANDONED_AFTER_S
    for leftover in aside.iterdir():
        try:
            if leftover.stat().st_mtime < oldest:
                leftover.unlink()
        except FileNotFoundError:  # another writer swept it, or finished
            continue


def _flush_folder(folder: Path) -> None:
    """Make a rename survive a power failure; Windows has no such call and does it by itself."""
    if os.name != "posix":  # pragma: no cover - POSIX here
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open(path: Path, use: Callable[[pq.ParquetFile, dict[str, str]], T]) -> T | None:
    """Open a table once, so that rows and metadata are of one file even while a writer replaces it."""
    try:
        with pq.ParquetFile(path) as file:
            return use(file, _described(path, file.metadata.metadata or {}))
    except FileNotFoundError:
        return None
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise TwinError(
            f"{path}: not readable as a Parquet table ({str(error).splitlines()[0]})."
            " Expected a table that this platform wrote: delete the file and run the twin again, which makes it anew."
        ) from error


def _described(path: Path, raw: Mapping[bytes, bytes]) -> dict[str, str]:
    found = {name.decode()[len(PREFIX) :]: raw[name].decode() for name in raw if name.startswith(PREFIX.encode())}
    version = found.pop("schema_version", "none")
    if version != SCHEMA_VERSION:
        raise TwinError(
            f"{path}: this table has schema version {version}, expected {SCHEMA_VERSION}."
            " Another version of the platform wrote it: delete the store and run again, results are computed anew."
        )
    return found
