"""Timestamp-quality-value points (TQVs), as IoT SiteWise has them: in columns, and as its API and its files spell them.

Belongs here: the columns, and turning them into the API's structures, CSV rows and back. Which points mean what is the
historian's.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

QUALITY_NAMES = ("GOOD", "UNCERTAIN", "BAD")  # by code
NS = 1_000_000_000
NUMBERS = ("DOUBLE", "INTEGER", "BOOLEAN")  # data types that are numbers to a twin
NULL_TYPES = {"DOUBLE": "D", "INTEGER": "I", "BOOLEAN": "B"}


@dataclass(frozen=True)
class Series:
    """One property of one asset.

    Attributes:
        asset_id: UUID.
        property_id: UUID.
        data_type: SiteWise's: DOUBLE, INTEGER, BOOLEAN, STRING, STRUCT.
    """

    asset_id: str
    property_id: str
    data_type: str = "DOUBLE"

    @property
    def ids(self) -> dict[str, str]:
        """As the API names it."""
        return {"assetId": self.asset_id, "propertyId": self.property_id}


@dataclass(frozen=True)
class Points:
    """Points of one series, arrays of one length.

    Attributes:
        time_ns: int64, nanoseconds since 1970-01-01 UTC.
        code: int8, the position in QUALITY_NAMES.
        value: float64; NaN for NaN and for null.
        null: bool, whether it is null.
    """

    time_ns: NDArray[np.int64]
    code: NDArray[np.int8]
    value: NDArray[np.float64]
    null: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.time_ns)

    def take(self, which: NDArray[Any]) -> "Points":
        """Those at some positions, or of a mask."""
        return Points(self.time_ns[which], self.code[which], self.value[which], self.null[which])

    @classmethod
    def none(cls) -> Self:
        """No points."""
        return cls(np.empty(0, np.int64), np.empty(0, np.int8), np.empty(0, np.float64), np.empty(0, np.bool_))

    @classmethod
    def joined(cls, parts: Iterable["Points"]) -> Self:
        """One after the other."""
        every = list(parts)
        if not every:
            return cls.none()
        columns = ("time_ns", "code", "value", "null")
        return cls(*(np.concatenate([getattr(part, name) for part in every]) for name in columns))

    @classmethod
    def parsed(cls, answered: Sequence[Mapping[str, Any]]) -> Self:
        """Of a page of property values as the API answers them; text is no number: NaN."""
        codes = {name: code for code, name in enumerate(QUALITY_NAMES)}
        times = [each["timestamp"] for each in answered]
        seconds = np.array([time["timeInSeconds"] for time in times], dtype=np.int64)
        offsets = np.array([time.get("offsetInNanos") or 0 for time in times], dtype=np.int64)
        variants = [next(iter(each["value"].items()), ("nullValue", None)) for each in answered]
        return cls(
            seconds * NS + offsets,
            np.array([codes.get(each.get("quality") or "GOOD", 0) for each in answered], dtype=np.int8),
            np.array([_number(name, value) for name, value in variants], dtype=np.float64),
            np.array([name == "nullValue" for name, _ in variants], dtype=np.bool_),
        )


def _number(name: str, value: object) -> float:
    if name in {"doubleValue", "integerValue", "booleanValue"}:
        return float(value)  # type: ignore[arg-type] # JSON's numbers, and "NaN"
    return math.nan


def variant(data_type: str, value: float, *, null: bool) -> dict[str, Any]:
    """A value as the API takes it."""
    if null:
        return {"nullValue": {"valueType": NULL_TYPES[data_type]}}
    if math.isnan(value) or data_type == "DOUBLE":
        return {"doubleValue": value}
    return {"booleanValue": bool(value)} if data_type == "BOOLEAN" else {"integerValue": int(value)}


def property_value(data_type: str, time_ns: int, code: int, value: float, *, null: bool) -> dict[str, Any]:
    """A point as the API takes it."""
    seconds, offset = divmod(time_ns, NS)
    return {
        "value": variant(data_type, value, null=null),
        "timestamp": {"timeInSeconds": seconds, "offsetInNanos": offset},
        "quality": QUALITY_NAMES[code],
    }


CSV_COLUMNS = (
    "ASSET_ID",
    "PROPERTY_ID",
    "DATA_TYPE",
    "TIMESTAMP_SECONDS",
    "TIMESTAMP_NANO_OFFSET",
    "QUALITY",
    "VALUE",
)


def csv_rows(series: Series, points: Points) -> str:
    """Points as rows of a file for bulk import, columns CSV_COLUMNS, without a header; null is an empty value."""
    frame = pd.DataFrame(
        {
            "asset": series.asset_id,
            "property": series.property_id,
            "type": series.data_type,
            "seconds": points.time_ns // NS,
            "offset": points.time_ns % NS,
            "quality": np.array(QUALITY_NAMES, dtype=object)[points.code],
            "value": [_text(series.data_type, *pair) for pair in zip(points.value, points.null, strict=True)],
        }
    )
    return str(frame.to_csv(index=False, header=False, lineterminator="\n"))


def _text(data_type: str, value: float, null: bool) -> str:
    if null:
        return ""
    if math.isnan(value):
        return "NaN"
    if data_type == "BOOLEAN":
        return str(bool(value)).lower()
    return str(int(value)) if data_type == "INTEGER" else repr(float(value))
