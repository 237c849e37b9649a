"""Files of a bulk import: CSV and Parquet as frames of text, and the judging of their rows.

https://docs.aws.amazon.com/iot-sitewise/latest/userguide/ingest-bulkImport.html
"""

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from twin_assets.emulator.errors import ServiceError
from twin_assets.emulator.protocol import Document
from twin_assets.emulator.sitewise.resources import Target
from twin_assets.emulator.values import LONGEST_STRING, NULL_TYPES, SECOND_NS, Null, Sample, Value
from twin_assets.historian.base import QUALITIES

COLUMNS = (
    "ALIAS",
    "ASSET_ID",
    "PROPERTY_ID",
    "DATA_TYPE",
    "TIMESTAMP_SECONDS",
    "TIMESTAMP_NANO_OFFSET",
    "QUALITY",
    "VALUE",
)
DEFAULTS = {"TIMESTAMP_NANO_OFFSET": "0", "QUALITY": "GOOD"}
ADDRESS = ["ALIAS", "ASSET_ID", "PROPERTY_ID", "DATA_TYPE"]
ROWS_AT_ONCE = 50_000
LARGEST_DOUBLE = 1e100  # larger than of a put
LARGEST_INTEGER = 2**31
FUTURE_NS = 600 * SECOND_NS
_NULLS = {data_type: letter for letter, data_type in NULL_TYPES.items()}


class UnreadableFileError(Exception):
    """A file that is none of its format; its text says why."""


def frames(body: bytes, file_format: Document) -> Iterator[pd.DataFrame]:
    """A file's rows, in pieces: COLUMNS of text, missing ones with their defaults, indexed by row number from 1.

    Raises:
        UnreadableFileError: if it is no such file.
    """
    if "parquet" in file_format:
        yield from _parquet(body)
    elif "csv" in file_format:
        yield from _csv(body, list(file_format["csv"]["columnNames"]))
    else:
        raise UnreadableFileError("the emulator imports csv and parquet files alone")


def _csv(body: bytes, names: list[str]) -> Iterator[pd.DataFrame]:
    try:
        reader = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
        rows: list[list[str]] = []
        first = 1
        for number, row in enumerate(reader, 1):
            if len(row) != len(names):
                raise UnreadableFileError(f"row {number} has {len(row)} fields, expected {len(names)}")
            rows.append(row)
            if len(rows) == ROWS_AT_ONCE:
                yield _complete(pd.DataFrame(rows, columns=names), first)
                rows, first = [], number + 1
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnreadableFileError(f"it is no CSV file: {error}") from error
    if rows:
        yield _complete(pd.DataFrame(rows, columns=names), first)


def _parquet(body: bytes) -> Iterator[pd.DataFrame]:
    try:
        file = pq.ParquetFile(io.BytesIO(body))
        first = 1
        for batch in file.iter_batches(ROWS_AT_ONCE):
            table = batch.to_pandas().rename(columns=str.upper)
            named = table[[name for name in COLUMNS if name in table]]
            text = named.apply(lambda column: column.map(_text))
            yield _complete(text, first)
            first += len(text)
    except (pa.ArrowException, OSError) as error:
        raise UnreadableFileError(f"it is no Parquet file: {error}") from error


def _text(value: object) -> str:
    if value is None or value is pd.NA:
        return ""
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    return repr(float(value)) if isinstance(value, float | np.floating) else str(value)


def _complete(frame: pd.DataFrame, first: int) -> pd.DataFrame:
    for name in COLUMNS:
        if name not in frame:
            frame[name] = ""
    for name, default in DEFAULTS.items():
        frame[name] = frame[name].where(frame[name] != "", default)
    frame.index = pd.RangeIndex(first, first + len(frame))
    return frame


@dataclass(frozen=True)
class Judged:
    """Rows of one series.

    Attributes:
        plain: finite numbers: ``time_ns``, ``quality``, ``value``.
        others: texts, nulls and NaN.
        refused: row number to what is wrong with it.
    """

    plain: pd.DataFrame
    others: list[Sample]
    refused: dict[int, str]


def judge(rows: pd.DataFrame, data_type: str, now_ns: int) -> Judged:
    """Part the rows of one series into what can be stored and what not.

    Args:
        rows: as ``frames`` gives them, all of one address.
        data_type: of the series.
        now_ns: what the clock says.
    """
    seconds = pd.to_numeric(rows["TIMESTAMP_SECONDS"], errors="coerce")
    nanos = pd.to_numeric(rows["TIMESTAMP_NANO_OFFSET"], errors="coerce")
    latest_s = (now_ns + FUTURE_NS) // SECOND_NS
    in_time = (seconds >= 0) & (seconds <= latest_s) & (seconds % 1 == 0)
    in_second = (nanos >= 0) & (nanos < SECOND_NS) & (nanos % 1 == 0)
    known = rows["QUALITY"].isin(QUALITIES)
    findings = {
        "TIMESTAMP_SECONDS is no whole number from 0 to 10 minutes after now": ~in_time,
        "TIMESTAMP_NANO_OFFSET is no whole number from 0 to 999999999": ~in_second,
        f"QUALITY is none of {', '.join(QUALITIES)}": ~known,
    }
    refused = {int(row): text for text, wrong in findings.items() for row in rows.index[wrong]}
    right = in_time & in_second & known
    times = seconds[right].astype("int64") * SECOND_NS + nanos[right].astype("int64")
    timed = rows[right].assign(time_ns=times)
    numbers = _numbers(timed["VALUE"], data_type)
    plain = timed.assign(value=numbers)[numbers.notna()].rename(columns={"QUALITY": "quality"})
    others = []
    rest = timed[numbers.isna()]
    columns = (rest.index.tolist(), rest["time_ns"].tolist(), rest["QUALITY"].tolist(), rest["VALUE"].tolist())
    for row, time_ns, quality, text in zip(*columns, strict=True):
        value = _other(text, data_type, quality)
        if value is None:
            refused[row] = f"VALUE '{text}' is no {data_type} of quality {quality}"
        else:
            others.append(Sample(time_ns, quality, value))
    return Judged(plain[["time_ns", "quality", "value"]], others, refused)


def _numbers(texts: pd.Series, data_type: str) -> pd.Series:
    """Values as numbers; NaN where they are none that the series can hold."""
    if data_type == "BOOLEAN":
        return texts.str.lower().map({"true": 1.0, "false": 0.0}).astype("float64")
    if data_type == "STRING":
        return pd.Series(math.nan, index=texts.index)
    numbers = pd.to_numeric(texts, errors="coerce").astype("float64")
    if data_type == "INTEGER":
        whole = texts.str.fullmatch(r"[+-]?\d+") & (numbers >= -LARGEST_INTEGER) & (numbers < LARGEST_INTEGER)
        return numbers.where(whole)
    return numbers.where(numbers.abs() <= LARGEST_DOUBLE)


def _other(text: str, data_type: str, quality: str) -> Value | None:
    """A value that is no number; None where the series cannot hold it."""
    if data_type == "STRING":
        return text if len(text.encode()) <= LONGEST_STRING else None
    if text == "":
        return None if quality == "GOOD" else Null(_NULLS[data_type])
    return math.nan if data_type == "DOUBLE" and text.lower() == "nan" else None


def data_type_of(target: Target, given: str) -> str:
    """The data type of the rows of one address.

    Args:
        target: what they address.
        given: in their column DATA_TYPE.

    Raises:
        ServiceError: if it is not the series's.
    """
    expected = target.property["dataType"] if target.property is not None else None
    expected = target.series.data_type if expected is None and target.series is not None else expected
    given = given or expected or "DOUBLE"
    if given not in _NULLS or expected not in (None, given):
        raise ServiceError("InvalidRequestException", f"DATA_TYPE is {given}, expected {expected or 'a data type'}")
    return given
