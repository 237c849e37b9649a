"""Cells as numbers: which hold one, which hold nothing, which hold something else."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

# What measuring systems, spreadsheets and NumPy write where nothing was measured; letters in lower case.
MISSING = ("", "nan", "na", "n/a", "#n/a", "null", "none", "-nan")
NUMBER = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"


@dataclass(frozen=True)
class Numbers:
    """Cells read as numbers.

    Attributes:
        floats: (n,) NaN where nothing was measured or no number stands.
        wrong: (n,) True where something else than a finite number stands.
    """

    floats: NDArray[np.float64]
    wrong: NDArray[np.bool_]


def is_text(kind: pa.DataType) -> bool:
    """Whether cells of this type are text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def may_hold_numbers(kind: pa.DataType) -> bool:
    """Whether cells of this type can be read as numbers; text may."""
    types = pa.types
    return bool(
        types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_decimal(kind)
        or types.is_boolean(kind)
        or types.is_null(kind)
        or is_text(kind)
    )


def parse_numbers(cells: pa.Array) -> Numbers:
    """Read cells of any type that ``may_hold_numbers``; decimal text comes out correctly rounded."""
    if is_text(cells.type):
        return _parse_text(cells)
    values = cells.cast(pa.uint8()) if pa.types.is_boolean(cells.type) else cells
    numbers = _floats(values.cast(pa.float64(), safe=False))
    return Numbers(np.where(np.isinf(numbers), np.nan, numbers), np.isinf(numbers))


def missing(cells: pa.Array) -> NDArray[np.bool_]:
    """Where text cells hold nothing: (n,)."""
    lowered = pc.utf8_lower(pc.utf8_trim_whitespace(cells.cast(pa.string())))
    return _flags(pc.or_(pc.is_in(lowered, pa.array(MISSING)), pc.is_null(cells)))


def matches(cells: pa.Array, pattern: str) -> NDArray[np.bool_]:
    """Where text matches a pattern (RE2): (n,)."""
    return _flags(pc.match_substring_regex(cells, pattern))


def _parse_text(cells: pa.Array) -> Numbers:
    absent = missing(cells)
    trimmed = pc.utf8_trim_whitespace(cells.cast(pa.string()))
    wrong = ~absent & ~matches(trimmed, NUMBER)
    numbers = pc.replace_with_mask(trimmed, pa.array(absent | wrong), pa.scalar(None, pa.string()))
    values = _floats(numbers.cast(pa.float64()))
    return Numbers(np.where(np.isinf(values), np.nan, values), wrong | np.isinf(values))


def _floats(array: pa.Array) -> NDArray[np.float64]:
    return np.asarray(array.to_numpy(zero_copy_only=False), dtype=np.float64)


def _flags(array: pa.Array) -> NDArray[np.bool_]:
    return np.asarray(pc.fill_null(array, fill_value=False).to_numpy(zero_copy_only=False), dtype=np.bool_)
