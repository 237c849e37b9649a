"""Cells as times: nanoseconds since 1970-01-01 UTC, without a digit lost.

A column is one of three kinds: text (ISO 8601, or with the day first, 31.01.2026 13:45), numbers that count from a
start, or (Parquet) times. A number's digits are read as decimals, never as binary fractions: 1102151.076 s are exactly
1102151076000000 ns.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, DecimalException
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from twin_assets.ingest.errors import RecordingError
from twin_assets.ingest.numbers import NUMBER, is_text

TIME_UNITS_NS = {
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1_000,
    "ns": 1,
    "min": 60_000_000_000,
    "h": 3_600_000_000_000,
}
EARLIEST, LATEST = pd.Timestamp.min.tz_localize("UTC"), pd.Timestamp.max.tz_localize("UTC")
FAR_AWAY = 4 * LATEST.value  # out of bounds, wherever a count starts
ISO_EXAMPLE = "2026-01-31T13:45:00Z"

_NUMBER = re.compile(NUMBER)
# 31.01.2026: parted by points, days come before months everywhere; by slashes they do not.
_DAY_FIRST = re.compile(r"^(\d{1,2})\.(\d{1,2})\.(\d{4})\b")
_COMMA_OF_SECONDS = re.compile(r"(:\d{2}),(?=\d)")
_WITH_OFFSET = re.compile(r"[T ]\d{2}[\d:.,]*\s*(?:[zZ]|[+-]\d{2}(?::?\d{2})?)$")

Where = Callable[[int], str]
Times = NDArray[np.int64]


@dataclass(frozen=True)
class TimeOptions:
    """What a file itself does not say about its times.

    Attributes:
        unit: of a numeric time column, one of TIME_UNITS_NS; None takes it from the column's name (time_ms,
            time [ms]), else s.
        start: what a numeric time column counts from.
        timezone: of times without an offset.
    """

    unit: str | None = None
    start: pd.Timestamp | None = None
    timezone: ZoneInfo | None = None


class TimeReader:
    """Reads the time column of one file, batch by batch; all its cells are of one kind."""

    def __init__(self, column: str, options: TimeOptions, where: Where) -> None:
        """Begin a file.

        Args:
            column: its name, for errors and for the unit at its end.
            options: see TimeOptions.
            where: place of a row, for errors.
        """
        self._column = column
        self._options = options
        self._where = where
        self._numeric: bool | None = None

    def read(self, cells: pa.Array, rows: Times) -> Times:
        """Nanoseconds of n cells.

        Args:
            cells: (n,) of any type.
            rows: (n,) where they stand.

        Raises:
            RecordingError: naming the first cell that is no time, or that lacks a time zone or a start.
        """
        if cells.null_count:
            row = int(rows[cells.is_null().to_numpy(zero_copy_only=False).argmax()])
            raise self._error(row, "found an empty cell; expected a time")
        if not len(cells):
            return np.empty(0, dtype=np.int64)
        # Long files repeat their times once a property.
        encoded = cells.dictionary_encode()
        codes = encoded.indices.to_numpy()
        _, first = np.unique(codes, return_index=True)
        times: Times = self._distinct(encoded.dictionary, rows[first])[codes]
        return times

    def _distinct(self, cells: pa.Array, rows: Times) -> Times:
        kind = cells.type
        if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            self._refuse_start(rows, "times")
            # Days would not fit into nanoseconds, microseconds do: out-of-range times are told with their row.
            return self._instants(_datetimes(cells), rows)
        if is_text(kind):
            return self._texts([cell.strip() for cell in cells.to_pylist()], rows)
        if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            # A float's shortest text is what was meant when it was written.
            return self._counted([str(cell) for cell in cells.to_pylist()], rows)
        raise self._error(int(rows[0]), f"found a column of {kind}; expected times or numbers")

    def _texts(self, cells: list[str], rows: Times) -> Times:
        if self._numeric is None:
            self._numeric = _NUMBER.match(cells[0]) is not None
        if self._numeric:
            return self._counted(cells, rows)
        self._refuse_start(rows, f"'{cells[0]}'")
        aware = np.array([_WITH_OFFSET.search(cell) is not None for cell in cells])
        times = np.empty(len(cells), dtype=np.int64)
        for with_offset in (True, False):
            chosen = aware == with_offset
            if chosen.any():
                texts = [cell for cell, wanted in zip(cells, chosen, strict=True) if wanted]
                times[chosen] = self._iso(texts, rows[chosen], with_offset=with_offset)
        return times

    def _iso(self, cells: list[str], rows: Times, *, with_offset: bool) -> Times:
        """Text that has an offset everywhere, or nowhere."""
        texts = [_iso_text(cell) for cell in cells]
        instants = pd.DatetimeIndex(pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce"))
        wrong = instants.isna()
        if wrong.any():
            cell = cells[int(wrong.argmax())]
            found = f"'{cell}'" if cell else "an empty cell"
            expected = "a number as in the cells above" if self._numeric else f"an ISO 8601 time such as {ISO_EXAMPLE}"
            raise self._error(int(rows[wrong.argmax()]), f"found {found}; expected {expected}")
        return self._instants(instants if with_offset else instants.tz_localize(None), rows)

    def _instants(self, times: pd.DatetimeIndex, rows: Times) -> Times:
        """Times with a zone, or (with ``timezone``) without one, as nanoseconds."""
        utc = self._localized(times, rows) if times.tz is None else times.tz_convert("UTC")
        outside = np.asarray((utc < EARLIEST) | (utc > LATEST))
        if outside.any():
            raise self._out_of_range(int(rows[outside.argmax()]), str(times[int(outside.argmax())]))
        return utc.as_unit("ns").asi8

    def _localized(self, times: pd.DatetimeIndex, rows: Times) -> pd.DatetimeIndex:
        zone = self._options.timezone
        if zone is None:
            raise self._error(
                int(rows[0]),
                f"found {times[0].isoformat()}, without a time zone; expected one such as {ISO_EXAMPLE}."
                " Say where the clock was with --timezone, for example --timezone UTC or --timezone Europe/Berlin",
            )
        local = times.tz_localize(zone, ambiguous="NaT", nonexistent="NaT")
        if local.hasnans:
            position = int(local.isna().argmax())
            raise self._error(
                int(rows[position]),
                f"found {times[position].isoformat()}, which {zone.key} has twice or not at all (the clock is changed"
                f" then); expected times with an offset, such as {ISO_EXAMPLE}",
            )
        return local.tz_convert("UTC")

    def _counted(self, cells: list[str], rows: Times) -> Times:
        """Decimal numbers of units since the start."""
        start = self._options.start
        if start is None:
            raise self._error(
                int(rows[0]),
                f"found the number {cells[0]}; expected --start, the time that numbers count from, for example"
                " --start 2026-01-31T00:00:00Z (Unix times count from --start 1970-01-01)",
            )
        unit, first_ns = self._unit(), start.as_unit("ns").value
        times = []
        for cell, row in zip(cells, rows, strict=True):
            if not _NUMBER.match(cell):
                found = f"'{cell}'" if cell else "an empty cell"
                raise self._error(int(row), f"found {found}; expected a number as in the cells above")
            time = first_ns + _nanoseconds(cell, TIME_UNITS_NS[unit])
            if not EARLIEST.value <= time <= LATEST.value:
                raise self._out_of_range(int(row), f"{cell} {unit} after {start}")
            times.append(time)
        return np.array(times, dtype=np.int64)

    def _unit(self) -> str:
        """Said, or at the end of the column's name, or seconds."""
        ending = plain_name(self._column).rpartition("_")[2]
        return self._options.unit or (ending if ending in TIME_UNITS_NS else "s")

    def _refuse_start(self, rows: Times, found: str) -> None:
        if self._options.start is not None:
            raise self._error(int(rows[0]), f"found {found}; --start is for numbers: leave it away")

    def _out_of_range(self, row: int, found: str) -> RecordingError:
        return self._error(row, f"found {found}; expected a time between {EARLIEST:%Y-%m-%d} and {LATEST:%Y-%m-%d}")

    def _error(self, row: int, message: str) -> RecordingError:
        return RecordingError(f"{self._where(row)}: column '{self._column}': {message}.")


def plain_name(column: str) -> str:
    """A column's name without capitals and brackets: ``Time [ms]`` is ``time_ms``."""
    return re.sub(r"[^a-z0-9]+", "_", column.lower()).strip("_")


def _iso_text(cell: str) -> str:
    """A time as ISO 8601 has it; what is none stays what it is."""
    return _COMMA_OF_SECONDS.sub(r"\1.", _DAY_FIRST.sub(r"\3-\2-\1", cell))


def _nanoseconds(number: str, unit_ns: int) -> int:
    """The nearest nanosecond of a decimal; of one that is out of all bounds, something out of bounds."""
    try:
        counted = Decimal(number) * unit_ns
    except DecimalException:  # an exponent that Decimal itself cannot hold
        return FAR_AWAY
    # Compared before it is made an integer: that of 1e999999 has a million digits.
    return FAR_AWAY if abs(counted) > FAR_AWAY else int(counted.to_integral_value(ROUND_HALF_EVEN))


def _datetimes(cells: pa.Array) -> pd.DatetimeIndex:
    kind = cells.type
    zone = getattr(kind, "tz", None)
    unit = getattr(kind, "unit", "s")
    counts = cells.cast(pa.timestamp(unit, tz=zone)).cast(pa.int64()).to_numpy()
    times = pd.DatetimeIndex(counts.astype(f"datetime64[{unit}]"))
    return times if zone is None else times.tz_localize("UTC")
