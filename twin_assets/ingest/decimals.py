"""How a CSV file writes its numbers: with decimal points, or with decimal commas as much of Europe does.

Belongs here: telling the two apart, file by file, and giving numbers with commas the form that ``numbers`` and
``times`` read. A comma can be a decimal sign where it does not separate the columns; where what is meant would be a
guess, the file is refused.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from twin_assets.ingest.errors import RecordingError
from twin_assets.ingest.numbers import is_text, matches
from twin_assets.ingest.tables import Table

_BLANK = r"[ \x{a0}\x{202f}]"  # between thousands: a space, a no-break space, a narrow one
_BY_BLANKS = rf"[1-9][0-9]{{0,2}}(?:{_BLANK}[0-9]{{3}})+"
_BY_POINTS = r"[1-9][0-9]{0,2}(?:\.[0-9]{3})+"
_EXPONENT = r"(?:[eE][+-]?[0-9]+)?"
WITH_COMMA = rf"^[+-]?(?:(?:{_BY_BLANKS}|{_BY_POINTS}|[0-9]*),[0-9]+{_EXPONENT}|{_BY_BLANKS})$"
WITH_POINT = rf"^[+-]?(?:[0-9]+\.[0-9]*|\.[0-9]+){_EXPONENT}$"
COMMAS_BETWEEN_THOUSANDS = r"^[+-]?[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]+)?$"

# Where columns are parted by a semicolon the comma is taken: that is what programs use it for. A tab or a bar says
# nothing about the comma.
DECIDES, LEAVES_OPEN = ";", "\t|"


@dataclass(frozen=True)
class _Cell:
    """A number as it stands in the file."""

    row: int
    column: str
    text: str


class Decimals:
    """What one file's numbers look like so far."""

    def __init__(self, table: Table) -> None:
        """Begin a file."""
        self._table = table
        self._comma: _Cell | None = None
        self._point: _Cell | None = None
        self._sure = table.delimiter == DECIDES

    def plain(self, column: str, cells: pa.Array, rows: NDArray[np.int64]) -> pa.Array:
        """The same cells, numbers with a decimal comma or blanks between thousands as plain ones; all else as it is.

        Args:
            column: its name, for errors.
            cells: (n,) of any type.
            rows: (n,) where they stand.
        """
        if not _is_free(self._table) or not is_text(cells.type):
            return cells
        trimmed = pc.utf8_trim_whitespace(cells)
        commas, points = matches(trimmed, WITH_COMMA), matches(trimmed, WITH_POINT)
        self._point = self._point or _first(points, column, trimmed, rows)
        if not commas.any():
            return cells
        self._comma = self._comma or _first(commas, column, trimmed, rows)
        self._sure |= bool((commas & ~matches(trimmed, COMMAS_BETWEEN_THOUSANDS)).any())
        ungrouped = pc.replace_substring_regex(trimmed, rf"\.|{_BLANK}", "")
        return pc.if_else(pa.array(commas), pc.replace_substring(ungrouped, ",", "."), cells)

    def settle(self) -> None:
        """The whole file has been seen: refuse it if what its commas mean is a guess.

        Raises:
            RecordingError: if it has both decimal commas and points, or commas that may well separate thousands.
        """
        comma, point = self._comma, self._point
        if comma is None:
            return
        if point is not None:
            raise RecordingError(
                f"{self._at(point)}: found '{point.text}', where {self._at(comma)} has '{comma.text}'; expected one"
                " decimal sign in all of the file. Export it anew, without anything between thousands."
            )
        if not self._sure:
            thousands = comma.text.replace(",", "")
            raise RecordingError(
                f"{self._at(comma)}: found '{comma.text}', which may be {_plain(comma.text)} or {thousands}; expected a"
                f" decimal point, or '{DECIDES}' between the columns if the comma is the decimal sign. Export it so."
            )

    def told(self) -> str | None:
        """What people should know about how numbers were read; None if they are as everywhere."""
        if self._comma is None:
            return None
        text = self._comma.text
        sign = "decimal commas" if "," in text else "blanks between thousands"
        where = self._table.where(self._comma.row)
        return f"Read numbers with {sign}: {where} has '{text}', which is {_plain(text)}."

    def _at(self, cell: _Cell) -> str:
        return f"{self._table.where(cell.row)}: column '{cell.column}'"


def may_have_commas(cells: pa.Array) -> NDArray[np.bool_]:
    """Where text would be a number if commas were decimal signs or stood between thousands: (n,)."""
    trimmed = pc.utf8_trim_whitespace(cells.cast(pa.string()))
    return matches(trimmed, WITH_COMMA) | matches(trimmed, COMMAS_BETWEEN_THOUSANDS)


def expected_instead(table: Table) -> str:
    """What is expected in place of a number with a comma that cannot be read, and what to do."""
    as_csv = "" if _is_free(table) else f", or as CSV with '{DECIDES}' between the columns if the comma is decimal"
    return f"a decimal point, and nothing between thousands. Export it so{as_csv}"


def _is_free(table: Table) -> bool:
    """Whether a comma does not separate the columns, so that it may be a decimal sign."""
    return table.delimiter is not None and table.delimiter in DECIDES + LEAVES_OPEN


def _first(flags: NDArray[np.bool_], column: str, cells: pa.Array, rows: NDArray[np.int64]) -> _Cell | None:
    if not flags.any():
        return None
    position = int(flags.argmax())
    return _Cell(int(rows[position]), column, str(cells[position]))


def _plain(text: str) -> str:
    return "".join(text.split()).replace(".", "").replace(",", ".")
