"""The store: the folder or S3 prefix in which assets keep their tables, ``<root>/<twin>/<stage>/<key>.parquet``.

A table is whole or absent, whatever is killed and whoever else writes (see ``blobs``). Equal content gives equal bytes,
in a folder and in S3. What belongs to a table beside its rows (cursors, states, lineage) is in the Parquet file's own
key-value metadata, so it can never disagree with the rows.
"""

import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from twin_assets.blobs import Blobs, blobs_at, is_s3
from twin_assets.errors import TwinError

SCHEMA_VERSION = "1"
CONTENT = "content"
PREFIX = "twin."
SUFFIX = ".parquet"
# A Parquet file ends with its footer, the footer's size (4 bytes) and this: https://parquet.apache.org/docs/file-format/
MAGIC = b"PAR1"
ENDING = 8
FOOTER_BYTES = 64 * 1024  # what a look at a footer asks for: nearly always all of it
READERS = 16  # tables read at once: S3 answers each after tens of milliseconds


@dataclass(frozen=True)
class Store:
    """Tables of all twins under one folder, or under one prefix of an S3 bucket (``s3://bucket/prefix``).

    Making one opens nothing; the first use does. Several threads may share it.
    """

    root: Path | str

    @cached_property
    def blobs(self) -> Blobs:
        """Where the bytes are."""
        return blobs_at(self.root)

    def path(self, twin: str, stage: str, key: str) -> Path:
        """The table's file, there or not, of a store that is a folder."""
        if is_s3(self.root):
            raise ValueError(f"{self.root} has no files")
        return Path(self.root) / _name(twin, stage, key)

    def write(self, twin: str, stage: str, key: str, frame: pd.DataFrame, metadata: Mapping[str, str]) -> str:
        """Write a table atomically; the last of several writers wins, and no reader sees half a file.

        Returns:
            the content digest (hex SHA-256 of the rows alone); also in the metadata as ``content``.

        Raises:
            TwinError: if the store cannot be written.
        """
        content, data = _encode(frame, metadata)
        self.blobs.put(_name(twin, stage, key), data)
        return content

    def remove(self, twin: str, stage: str, key: str) -> None:
        """Take a table away for good; none is no error.

        Raises:
            TwinError: if the store cannot be written.
        """
        self.blobs.delete(_name(twin, stage, key))

    def read(self, twin: str, stage: str, key: str) -> pd.DataFrame | None:
        """A table; None where none was written.

        Raises:
            TwinError: if the file is damaged or of another schema version.
        """
        found = self.read_with_metadata(twin, stage, key)
        return None if found is None else found[0]

    def read_with_metadata(self, twin: str, stage: str, key: str) -> tuple[pd.DataFrame, dict[str, str]] | None:
        """A table and what was written beside it, of one and the same write; errors as ``read``'s."""
        name = _name(twin, stage, key)
        with _readable(self.blobs.where(name)):
            data = self.blobs.get(name)
            if data is None:
                return None
            with pq.ParquetFile(pa.BufferReader(data)) as file:
                described = self._described(name, file.metadata)
                return file.read().to_pandas(), described

    def metadata(self, twin: str, stage: str, key: str) -> dict[str, str] | None:
        """What was written beside the rows, and ``content``; reads the footer only. None where there is no table.

        Raises:
            TwinError: if the file is damaged or of another schema version.
        """
        name = _name(twin, stage, key)
        with _readable(self.blobs.where(name)):
            footer = self._footer(name)
            return None if footer is None else self._described(name, pq.read_metadata(pa.BufferReader(footer)))

    def keys(self, twin: str, stage: str) -> tuple[str, ...]:
        """Keys of the tables that are there, sorted (which is in time, for windows)."""
        names = self.blobs.names(f"{twin}/{stage}")
        return tuple(sorted(name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX)))

    def read_many(self, twin: str, stage: str, keys: Iterable[str]) -> pd.DataFrame:
        """The tables of several keys, one under the other in the order given; keys without a table are left out.

        Returns:
            all rows; without any row the first empty table, for its columns; without any table a frame without columns.
        """
        with ThreadPoolExecutor(READERS) as readers:
            found = readers.map(lambda key: self.read(twin, stage, key), keys)
            frames = [frame for frame in found if frame is not None]
        # An empty table has lost the types of some columns; it would spoil those of the others.
        filled = [frame for frame in frames if len(frame)]
        return pd.concat(filled, ignore_index=True) if filled else next(iter(frames), pd.DataFrame())

    def _footer(self, name: str) -> bytes | None:
        """The end of a file, with all of its footer: one request, or two where the footer is uncommonly large.

        Each answer is of one write; a larger footer that came meanwhile is asked for again.
        """
        asked, needed, end = 0, FOOTER_BYTES, None
        while needed > asked:
            asked, end = needed, self.blobs.tail(name, needed)
            if end is not None and end[-len(MAGIC) :] == MAGIC:
                needed = int.from_bytes(end[-ENDING : -len(MAGIC)], "little") + ENDING
        return end

    def _described(self, name: str, footer: pq.FileMetaData) -> dict[str, str]:
        raw: Mapping[bytes, bytes] = footer.metadata or {}
        found = {name.decode()[len(PREFIX) :]: raw[name].decode() for name in raw if name.startswith(PREFIX.encode())}
        version = found.pop("schema_version", "none")
        if version != SCHEMA_VERSION:
            raise TwinError(
                f"{self.blobs.where(name)}: this table has schema version {version}, expected {SCHEMA_VERSION}."
                " Another version of the platform wrote it: delete the store and run again, results are computed anew."
            )
        return found


def _name(twin: str, stage: str, key: str) -> str:
    return f"{twin}/{stage}/{key}{SUFFIX}"


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


@contextmanager
def _readable(where: str) -> Iterator[None]:
    """Say that what was read is no table.

    Raises:
        TwinError: in place of Arrow's and the system's errors.
    """
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise TwinError(
            f"{where}: not readable as a Parquet table ({str(error).splitlines()[0]})."
            " Expected a table that this platform wrote: delete the file and run the twin again, which makes it anew."
        ) from error
