"""One file's rows as samples: each with its series, time, value, quality, and the row it stands in.

Belongs here: walking a file batch by batch, wide or long, and refusing cells that do not belong. How samples of all
files fit together is ``recording``'s.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from twin_assets.historian.base import QUALITIES
from twin_assets.ingest.decimals import Decimals, expected_instead, may_have_commas
from twin_assets.ingest.errors import RecordingError
from twin_assets.ingest.layout import Long, Wide
from twin_assets.ingest.numbers import is_text, may_hold_numbers, missing, parse_numbers
from twin_assets.ingest.tables import Batch, Progress, Table
from twin_assets.ingest.times import TimeReader

GOOD = QUALITIES.index("GOOD")

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class UnitChoice:
    """Which machine samples belong to.

    Attributes:
        forced: said by the user: all samples are this unit's, whatever a column says.
        known: the twin's units; None where any will do.
    """

    forced: str | None
    known: tuple[str, ...] | None

    @property
    def default(self) -> str | None:
        """The unit of files that have no column for it; None if there is more than one to choose from."""
        if self.forced is not None:
            return self.forced
        return self.known[0] if self.known is not None and len(self.known) == 1 else None


@dataclass
class SeriesNumbers:
    """Numbers for (unit, property) in the order of their first sample."""

    numbers: dict[tuple[str, str], int] = field(default_factory=dict)

    def of(self, unit: str, property_name: str) -> int:
        """The number of a series, a new one at its first sample."""
        return self.numbers.setdefault((unit, property_name), len(self.numbers))


@dataclass
class _Column:
    """What a column of a wide file has shown so far."""

    numbers: int = 0
    wrong: int = 0
    with_comma: int = 0  # of the wrong ones
    first_wrong: tuple[int, str] = (0, "")


class SampleReader:
    """Reads the samples of one file."""

    def __init__(
        self, table: Table, layout: Wide | Long, units: UnitChoice, times: TimeReader, series: SeriesNumbers
    ) -> None:
        """Begin a file.

        Args:
            table: the file.
            layout: what its columns are.
            units: which machine its samples belong to.
            times: reads its time column.
            series: numbers of series, shared by all files.

        Raises:
            RecordingError: if neither the file nor the user says which unit the samples belong to.
        """
        self._table, self._layout, self._units, self._times, self._series = table, layout, units, times, series
        self._columns: dict[str, _Column] = {}
        self._decimals = Decimals(table)
        if layout.unit is None and units.default is None:
            known = f" of {', '.join(units.known)}" if units.known else ""
            raise RecordingError(
                f"{table.path}: found no column 'unit'; expected to be told which machine this is: --unit NAME{known}."
            )

    def read(self, progress: Progress) -> pd.DataFrame:
        """All samples of the file.

        Returns:
            Columns ``series``, ``time_ns``, ``value``, ``quality`` (index in QUALITIES), ``row``; in the file's order.

        Raises:
            RecordingError: naming the first cell that does not belong.
        """
        pieces = [
            piece for batch in self._table.batches(progress) for piece in self._batch(self._without_blanks(batch))
        ]
        self._decimals.settle()
        self._refuse_text_among_numbers()
        return pd.concat([_piece([], [], [], [], []), *pieces], ignore_index=True)

    def decimals(self) -> str | None:
        """How numbers were read, where that is worth a word."""
        return self._decimals.told()

    def skipped(self) -> dict[str, str]:
        """Columns of a wide file that gave no samples, and why."""
        if isinstance(self._layout, Long):
            return {}
        reasons = {"": "has no name"} if "" in self._table.types else {}
        for name in self._layout.properties:
            column = self._columns.get(name)
            if column is None or not column.numbers:
                reasons[name] = "is empty" if column is not None and not column.wrong else "holds no numbers"
        return reasons

    def _batch(self, batch: Batch) -> Iterator[pd.DataFrame]:
        times = self._times.read(self._numbers(self._layout.time, batch), batch.rows)
        units, unit_of_row = self._unit_of_rows(batch)
        if isinstance(self._layout, Long):
            yield self._long_piece(self._layout, batch, times, units, unit_of_row)
            return
        for name in self._layout.properties:
            if may_hold_numbers(self._table.types[name]):
                values, measured = self._column_values(name, batch)
                series = np.array([self._series.of(unit, name) for unit in units], dtype=np.int64)[unit_of_row]
                yield _piece(series, times, values, np.full(len(times), GOOD), batch.rows)[measured]

    def _column_values(self, name: str, batch: Batch) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Values of one column, and where it has any; what else stands there is remembered."""
        cells = self._numbers(name, batch)
        numbers = parse_numbers(cells)
        measured = ~np.isnan(numbers.floats)
        seen = self._columns.setdefault(name, _Column())
        if numbers.wrong.any():
            position = int(numbers.wrong.argmax())
            if not seen.wrong:
                seen.first_wrong = int(batch.rows[position]), str(batch.columns[name][position])
            seen.wrong += int(numbers.wrong.sum())
            seen.with_comma += int(may_have_commas(cells.filter(pa.array(numbers.wrong))).sum())
        seen.numbers += int(measured.sum())
        return numbers.floats, measured

    def _numbers(self, name: str, batch: Batch) -> pa.Array:
        """Cells of a column, numbers with decimal commas as plain ones."""
        return self._decimals.plain(name, batch.columns[name], batch.rows)

    def _long_piece(
        self, layout: Long, batch: Batch, times: Integers, units: list[str], unit_of_row: Integers
    ) -> pd.DataFrame:
        names, name_of_row = self._texts(layout.property_name, batch, "the name of a property")
        numbers = parse_numbers(self._numbers(layout.value, batch))
        if numbers.wrong.any():
            position = int(numbers.wrong.argmax())
            raise self._wrong_number(
                int(batch.rows[position]), layout.value, str(batch.columns[layout.value][position])
            )
        pairs, pair_of_row = np.unique(unit_of_row * len(names) + name_of_row, return_inverse=True)
        series = np.array(
            [self._series.of(units[pair // len(names)], names[pair % len(names)]) for pair in pairs], dtype=np.int64
        )
        piece = _piece(series[pair_of_row], times, numbers.floats, self._qualities(layout, batch), batch.rows)
        return piece[~np.isnan(numbers.floats)]

    def _qualities(self, layout: Long, batch: Batch) -> Integers:
        if layout.quality is None:
            return np.full(len(batch.rows), GOOD)
        texts, text_of_row = self._texts(layout.quality, batch, f"one of {', '.join(QUALITIES)}")
        codes = np.array([QUALITIES.index(t) if t in QUALITIES else -1 for t in map(str.upper, texts)], dtype=np.int64)
        qualities = codes[text_of_row]
        if (qualities < 0).any():
            position = int((qualities < 0).argmax())
            raise self._error(
                int(batch.rows[position]),
                layout.quality,
                texts[text_of_row[position]],
                f"one of {', '.join(QUALITIES)}",
            )
        return qualities

    def _unit_of_rows(self, batch: Batch) -> tuple[list[str], Integers]:
        """Units of a batch, and which of them each row has."""
        if self._layout.unit is None:
            return [str(self._units.default)], np.zeros(len(batch.rows), dtype=np.int64)
        units, unit_of_row = self._texts(self._layout.unit, batch, "the name of a unit")
        known = self._units.known
        for number, unit in enumerate(units):
            if known is not None and unit not in known:
                row = int(batch.rows[(unit_of_row == number).argmax()])
                expected = f"a unit of the twin ({', '.join(known)}), or --unit NAME if the column is something else"
                raise self._error(row, self._layout.unit, unit, expected)
        return units, unit_of_row

    def _texts(self, name: str, batch: Batch, expected: str) -> tuple[list[str], Integers]:
        """Distinct texts of a column without an empty cell, and which of them each row has."""
        cells = pc.utf8_trim_whitespace(batch.columns[name].cast(pa.string()))
        absent = missing(cells)
        if absent.any():
            raise self._error(int(batch.rows[absent.argmax()]), name, "", expected)
        encoded = cells.dictionary_encode()
        return encoded.dictionary.to_pylist(), encoded.indices.to_numpy().astype(np.int64)

    def _without_blanks(self, batch: Batch) -> Batch:
        """Leave out empty lines, and rows in which every cell is empty, as spreadsheets append them."""
        blank = _absent(batch.columns[self._layout.time])
        for cells in batch.columns.values() if blank.any() else ():
            blank &= _absent(cells)
        if not blank.any():
            return batch
        kept = pa.array(~blank)
        return Batch({name: cells.filter(kept) for name, cells in batch.columns.items()}, batch.rows[~blank])

    def _refuse_text_among_numbers(self) -> None:
        for name, column in self._columns.items():
            # A column of nothing but numbers with commas is no column of text that may be left out.
            if column.wrong and (column.numbers or column.wrong == column.with_comma):
                row, found = column.first_wrong
                raise self._wrong_number(row, name, found, column.wrong)

    def _wrong_number(self, row: int, name: str, found: str, count: int = 1) -> RecordingError:
        more = f" ({count} such cells in this column)" if count > 1 else ""
        with_comma = may_have_commas(pa.array([found])).any()
        expected = (
            expected_instead(self._table) if with_comma else "a number, or an empty cell where nothing was measured"
        )
        return self._error(row, name, found, expected + more)

    def _error(self, row: int, name: str, found: str, expected: str) -> RecordingError:
        shown = f"'{found}'" if found else "an empty cell"
        return RecordingError(f"{self._table.where(row)}: column '{name}': found {shown}; expected {expected}.")


def _absent(cells: pa.Array) -> NDArray[np.bool_]:
    if is_text(cells.type):
        return missing(cells)
    return np.asarray(cells.is_null().to_numpy(zero_copy_only=False), dtype=np.bool_)


def _piece(series: object, times: object, values: object, qualities: object, rows: object) -> pd.DataFrame:
    """Samples as a frame, numbers throughout."""
    return pd.DataFrame(
        {
            "series": np.asarray(series, dtype=np.int32),
            "time_ns": np.asarray(times, dtype=np.int64),
            "value": np.asarray(values, dtype=np.float64),
            "quality": np.asarray(qualities, dtype=np.int8),
            "row": np.asarray(rows, dtype=np.int64),
        }
    )
