"""What the columns of a recording are: its time, and either one property a column (wide) or one sample a row (long)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import pyarrow as pa

from twin_assets.ingest.errors import RecordingError
from twin_assets.ingest.tables import Table
from twin_assets.ingest.times import plain_name
from twin_assets.nearest import nearest_hint

LayoutChoice = Literal["auto", "wide", "long"]
LAYOUTS: tuple[LayoutChoice, ...] = get_args(LayoutChoice)

TIME_NAMES = (
    "time", "timestamp", "datetime", "date_time", "date", "ts", "t",
    "time_utc", "utc", "time_s", "time_ms", "time_us", "time_ns", "time_min", "time_h",
    "timestamp_s", "timestamp_ms", "timestamp_us", "timestamp_ns",
)  # fmt: skip
PROPERTY_NAMES = ("property", "tag", "signal", "variable", "name")
VALUE_NAMES = ("value",)
QUALITY_NAMES = ("quality",)
UNIT_NAMES = ("unit",)


@dataclass(frozen=True)
class Wide:
    """One column a property.

    Attributes:
        time: column with the times.
        unit: column with the machine, if there is one.
        properties: the other columns.
    """

    time: str
    unit: str | None
    properties: tuple[str, ...]


@dataclass(frozen=True)
class Long:
    """One sample a row; attributes name the columns."""

    time: str
    unit: str | None
    property_name: str
    value: str
    quality: str | None


def find_layout(table: Table, time_column: str | None, choice: LayoutChoice, *, use_unit_column: bool) -> Wide | Long:
    """Tell what the columns are by their names; capitals do not matter.

    Args:
        table: the file.
        time_column: said by the user; None finds it.
        choice: said by the user; ``auto`` is long where there are columns for a property and a value.
        use_unit_column: whether a column ``unit`` names machines; otherwise it is left alone.

    Raises:
        RecordingError: if the time column, or what a long recording needs, is not there; lists the columns.
    """
    columns = tuple(table.types)
    time = _time_column(table, time_column)
    unit = _named(columns, UNIT_NAMES)
    property_name, value = _named(columns, PROPERTY_NAMES), _named(columns, VALUE_NAMES)
    if choice == "long" and (property_name is None or value is None):
        raise RecordingError(
            f"{table.path}: found the columns {_listed(columns)}; expected 'property' and 'value' in a long recording."
            " Rename them, or use --layout wide."
        )
    used_unit = unit if use_unit_column else None
    if property_name is not None and value is not None and choice != "wide":
        return Long(time, used_unit, property_name, value, _named(columns, QUALITY_NAMES))
    return Wide(time, used_unit, tuple(name for name in columns if name and name not in (time, unit)))


def _time_column(table: Table, wanted: str | None) -> str:
    columns = tuple(table.types)
    if wanted is not None:
        if wanted in columns:
            return wanted
        raise RecordingError(
            f"{table.path}: found no column '{wanted}'.{nearest_hint(wanted, columns)} Its columns: {_listed(columns)}."
        )
    found = [name for name in columns if plain_name(name) in TIME_NAMES]
    found = found or [name for name, kind in table.types.items() if pa.types.is_timestamp(kind)]
    if len(found) == 1:
        return found[0]
    what = f"more than one time column, {_listed(found)}" if found else f"no time column among {_listed(columns)}"
    raise RecordingError(
        f"{table.path}: found {what}; expected one, named for example 'time' or 'timestamp'."
        " Say which it is with --time-column NAME."
    )


def _named(columns: Iterable[str], names: tuple[str, ...]) -> str | None:
    by_lower = {column.lower(): column for column in columns}
    return next((by_lower[name] for name in names if name in by_lower), None)


def _listed(columns: Iterable[str]) -> str:
    return ", ".join(f"'{column}'" for column in columns)
