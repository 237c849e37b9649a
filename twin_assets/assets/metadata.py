"""What people see of a table in Dagster: counts, times, a preview, the newest estimates, a picture.

Belongs here: turning tables into Dagster's metadata. Numbers are floats or ints, so Dagster charts them over time.
"""

import base64
import io
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np
import pandas as pd

from twin_assets.plots import png
from twin_assets.stages.units import Stopped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Metadata = dict[str, dg.MetadataValue | float | int | str]

ESTIMATE_SUFFIXES = ("", "_std", "_lower", "_upper")
PREVIEW_ROWS = 5
# Of a fleet so many units are shown: Dagster keeps every number of every materialization for ever.
UNITS_SHOWN = 20
PREVIEW_COLUMNS = 14
# What would make a preview unreadable.
BULKY = (
    *("_reason", "_std", "_lower", "_upper", "_std_coefficients", "_std_inputs", "_std_discrepancy"),
    *("state_mean", "state_cov", "state_root", "inputs_mean", "inputs_root", "noise", "drift", "suspicion", "digest"),
)
# Dagster keeps every picture that it was ever given: with a palette it is a quarter as large, and looks the same.
PALETTE_COLORS = 32


def table_metadata(frame: pd.DataFrame) -> Metadata:
    """Row count, first and last time, and the last rows of a table with a ``time`` column."""
    found: Metadata = {"dagster/partition_row_count": len(frame)}
    if frame.empty:
        return found
    times = frame["time"]
    return found | {
        "first_time": dg.MetadataValue.timestamp(times.min().timestamp()),
        "last_time": dg.MetadataValue.timestamp(times.max().timestamp()),
        "preview": dg.MetadataValue.md(preview(frame)),
    }


def preview(frame: pd.DataFrame) -> str:
    """The last rows of a table as Markdown, without the columns that would make it unreadable."""
    shown = [name for name in frame.columns if not name.endswith(BULKY)][:PREVIEW_COLUMNS]
    return markdown_table(shown, frame[shown].tail(PREVIEW_ROWS).itertuples(index=False))


def newest_estimates(frame: pd.DataFrame, names: Sequence[str], measures: Mapping[str, str]) -> str:
    """The newest estimate of every name with its 95 % interval, as Markdown.

    Args:
        frame: unit, time, and for each name the columns with ``ESTIMATE_SUFFIXES``.
        names: what to show.
        measures: unit of measure by name, where there is one.
    """
    units = frame.groupby("unit", sort=True)
    rows = [
        (unit, name, measures.get(name, ""), *(part[name + suffix].iloc[-1] for suffix in ESTIMATE_SUFFIXES))
        for unit, part in itertools.islice(units, UNITS_SHOWN)
        for name in names
    ]
    table = markdown_table(("unit", "name", "in", "value", "std", "lower", "upper"), rows)
    more = units.ngroups - UNITS_SHOWN
    return table if more <= 0 else f"{table}\n\nAnd {more} more units, in the table."


def newest_values(frame: pd.DataFrame, names: Sequence[str]) -> Metadata:
    """The newest value of every name, for charts: ``name``, or ``unit/name`` where the table has several units.

    Of a fleet those of the first units by name.
    """
    units = frame.groupby("unit", sort=True)
    several = units.ngroups > 1
    found: Metadata = {}
    for unit, part in itertools.islice(units, UNITS_SHOWN):
        prefix = f"{unit}/" if several else ""
        found |= numbers({prefix + name: part[name].iloc[-1] for name in names})
    return found


def stopped_units(stopped: Mapping[str, Stopped]) -> Metadata:
    """How many units could not be gone on with, and why; nothing where there are none."""
    return (
        {
            "failed_units": len(stopped),
            "failed_because": "; ".join(each.why for each in itertools.islice(stopped.values(), UNITS_SHOWN)),
        }
        if stopped
        else {}
    )


def numbers(values: Mapping[str, float]) -> Metadata:
    """Numbers for charts; those that are not finite are left out, for JSON has no word for them."""
    return {name: float(value) for name, value in values.items() if np.isfinite(value)}


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown, numbers with six digits."""
    lines = [header, ["---"] * len(header), *([_cell(value) for value in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def picture(figure: "Figure") -> dg.MarkdownMetadataValue:
    """A figure as a picture inside the metadata: nothing has to serve a file."""
    encoded = base64.b64encode(smaller_png(png(figure))).decode()
    return dg.MetadataValue.md(f"![picture](data:image/png;base64,{encoded})")


def smaller_png(data: bytes) -> bytes:
    """The same picture with a palette."""
    from PIL import Image  # noqa: PLC0415 - drawing is imported when something is drawn

    sink = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        # Median cut gives few coloured marks to their neighbours: a gated value looked like one of bad quality.
        few = image.convert("RGB").quantize(PALETTE_COLORS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        few.save(sink, "png", optimize=True)
    return sink.getvalue()


def _cell(value: object) -> str:
    if isinstance(value, pd.Timestamp):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value).replace("|", "\\|")
