"""Files of recorded telemetry as batches of columns, with the place of every row.

Belongs here: opening CSV (plain or gzip) and Parquet, told apart by their first bytes. What the columns mean is
``layout``'s.
"""

import csv
import gzip
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from twin_assets.ingest.errors import RecordingError

DELIMITERS = ",;\t|"
BLOCK_BYTES = 4 << 20
BATCH_ROWS = 1 << 16
GZIP, PARQUET, ZIP = b"\x1f\x8b", b"PAR1", b"PK\x03\x04"

Progress = Callable[[int], None]  # told how many bytes of the file have been read


@dataclass(frozen=True)
class Batch:
    """Some rows of a table.

    Attributes:
        columns: name -> Arrow array of n cells; text throughout for CSV.
        rows: (n,) where each row stands: line of the CSV file, row of the Parquet file, counted from 1.
    """

    columns: Mapping[str, pa.Array]
    rows: NDArray[np.int64]


@dataclass(frozen=True)
class Table:
    """A file that can be read batch by batch.

    Attributes:
        path: of the file.
        types: column name -> Arrow type.
        place: format of a row's place, with ``{row}``.
        batches: reads the file from its beginning.
        delimiter: what separates the columns of a CSV file.
    """

    path: Path
    types: Mapping[str, pa.DataType]
    place: str
    batches: Callable[[Progress], Iterator[Batch]]
    delimiter: str | None = None

    def where(self, row: int) -> str:
        """The place of a row, as people look it up."""
        return self.place.format(path=self.path, row=row)


def open_table(path: Path) -> Table:
    """Open a recording and read its header.

    Raises:
        RecordingError: if it cannot be read, is empty, or is neither CSV nor Parquet.
    """
    with _readable(path):
        with path.open("rb") as file:
            start = file.read(4)
        if start == ZIP:
            raise RecordingError(
                f"{path}: found an archive or a spreadsheet; expected CSV or Parquet. Unpack it, or save it as CSV."
            )
        table = _parquet_table(path) if start == PARQUET else _csv_table(path, packed=start.startswith(GZIP))
    if len(table.types) < 2:  # noqa: PLR2004 - a time and something that was measured
        raise RecordingError(f"{path}: found one column, {_listed(table.types)}; expected a time and values.")
    return table


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(f"'{name}'" for name in names)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """The readers' own errors as RecordingError."""
    try:
        yield
    except UnicodeError as error:
        raise RecordingError(f"{path}: found text that is not UTF-8 ({error}); save the file as UTF-8.") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise RecordingError(f"{path}: the gzip file is damaged ({error}); pack it again or copy it anew.") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise RecordingError(f"{path}: cannot be read ({reason}); expected a CSV or Parquet file.") from error
    except pa.ArrowInvalid as error:
        # Arrow's own word for text in another encoding, "invalid UTF8 data", says little.
        advice = "save the file as UTF-8." if "UTF8" in str(error) else "expected a CSV or Parquet file."
        raise RecordingError(f"{path}: cannot be read ({error}); {advice}") from error


@contextmanager
def _csv_stream(path: Path, *, packed: bool) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """The file's text as bytes, and the file itself, whose position shows progress."""
    with path.open("rb") as raw:
        if not packed:
            yield raw, raw
            return
        with gzip.GzipFile(fileobj=raw) as unpacked:
            yield cast("IO[bytes]", unpacked), raw


def _csv_table(path: Path, *, packed: bool) -> Table:
    with _csv_stream(path, packed=packed) as (stream, _):
        header = stream.readline().decode("utf-8-sig").strip("\r\n")
    delimiter = max(DELIMITERS, key=header.count)
    names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
    if not any(names):
        raise RecordingError(f"{path}: found no header; expected the names of the columns in the first line.")
    if header.strip('"').lower().startswith("sep="):
        raise RecordingError(
            f"{path}:1: found {header}, a word to spreadsheets; expected the names of the columns. Remove this line."
        )
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise RecordingError(f"{path}:1: found more than one column '{repeated[0]}'; expected each name once.")

    def batches(progress: Progress) -> Iterator[Batch]:
        with _readable(path), _csv_stream(path, packed=packed) as (stream, raw):
            if not stream.readline() or not stream.read(1):
                return
            stream.seek(0)
            line = 2
            for batch in _csv_reader(path, stream, names, delimiter):
                yield Batch(dict(zip(names, batch.columns, strict=True)), np.arange(line, line + len(batch)))
                line += len(batch)
                progress(raw.tell())

    return Table(path, dict.fromkeys(names, pa.string()), "{path}:{row}", batches, delimiter)


def _csv_reader(path: Path, stream: IO[bytes], names: list[str], delimiter: str) -> Iterator[pa.RecordBatch]:
    """Cells as text, since text tells 'empty' from 'zero' and keeps every digit."""
    ragged: list[pacsv.InvalidRow] = []

    def remember(row: pacsv.InvalidRow) -> str:
        ragged.append(row)
        return "error"

    try:
        yield from pacsv.open_csv(
            stream,
            # Empty lines are kept as rows of empty cells: so the n-th row is the n-th line.
            pacsv.ReadOptions(column_names=names, skip_rows=1, block_size=BLOCK_BYTES, use_threads=False),
            pacsv.ParseOptions(delimiter=delimiter, ignore_empty_lines=False, invalid_row_handler=remember),
            pacsv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
        )
    except pa.ArrowInvalid as error:
        if not ragged:
            raise
        row = ragged[0]
        more = row.actual_columns > row.expected_columns and delimiter == ","
        advice = " If commas are decimal signs too, export with ';' between the columns." if more else ""
        raise RecordingError(
            f"{path}:{row.number}: found {row.actual_columns} cells; expected {row.expected_columns} as in the header."
            f"{advice}"
        ) from error


def _parquet_table(path: Path) -> Table:
    with pq.ParquetFile(path) as file:
        schema, rows = file.schema_arrow, file.metadata.num_rows
    size = path.stat().st_size

    def batches(progress: Progress) -> Iterator[Batch]:
        first = 1
        with _readable(path), pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=BATCH_ROWS):
                columns = {name: _plain(array) for name, array in zip(schema.names, batch.columns, strict=True)}
                yield Batch(columns, np.arange(first, first + len(batch)))
                first += len(batch)
                progress(size * (first - 1) // rows)

    types = {field.name: _plain_type(field.type) for field in schema}
    return Table(path, types, "{path}: row {row}", batches)


def _plain_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _plain(array: pa.Array) -> pa.Array:
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
