"""Files put together into one recording: every cell read, every ambiguity refused, nothing written yet.

Refused, with file and line: text among numbers, times that run backwards within a property of a file (unless sorting
is asked for), two values at one time, times in the future, commas that may be decimal signs or not. Not refused: empty
cells (nothing was measured), and the same sample twice (counted).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import pandas as pd

from twin_assets.historian.base import QUALITIES
from twin_assets.historian.rows import FUTURE_ALLOWANCE, UTC_NS
from twin_assets.ingest.errors import RecordingError
from twin_assets.ingest.layout import LayoutChoice, find_layout
from twin_assets.ingest.samples import SampleReader, SeriesNumbers, UnitChoice
from twin_assets.ingest.tables import Progress, Table, open_table
from twin_assets.ingest.times import TimeOptions, TimeReader


@dataclass(frozen=True)
class RecordingOptions:
    """What files themselves do not say.

    Attributes:
        time_column: its name; None finds it.
        times: how to read it.
        layout: wide, long, or found out.
        sort: take times in any order.
    """

    time_column: str | None = None
    times: TimeOptions = field(default_factory=TimeOptions)
    layout: LayoutChoice = "auto"
    sort: bool = False


@dataclass(frozen=True)
class Recording:
    """What was recorded, ready to be written.

    Attributes:
        samples: a historian's SAMPLE_COLUMNS (text as categories), ordered by series and time, each sample once.
        repeated: how many samples the files held more than once, with the same value.
        skipped: columns that gave no samples, and why.
        decimals: how numbers of files were read, where that is worth a word: a sentence each.
    """

    samples: pd.DataFrame
    repeated: int
    skipped: Mapping[str, str]
    decimals: tuple[str, ...] = ()

    @property
    def units(self) -> tuple[str, ...]:
        """Machines that it has samples of, sorted."""
        return tuple(sorted(self.samples["unit"].unique()))

    @property
    def properties(self) -> tuple[str, ...]:
        """Properties that it has samples of, sorted."""
        return tuple(sorted(self.samples["property"].unique()))

    def without(self, properties: Collection[str], reason: str) -> "Recording":
        """The recording with some of its properties skipped."""
        dropped = dict.fromkeys((name for name in self.properties if name in properties), reason)
        kept = self.samples[~self.samples["property"].isin(list(dropped))]
        return replace(self, samples=kept, skipped={**self.skipped, **dropped})


def read_recording(
    paths: Sequence[Path],
    units: UnitChoice,
    options: RecordingOptions,
    now: pd.Timestamp,
    progress: Progress = lambda _: None,
) -> Recording:
    """Read files as one recording.

    Args:
        paths: CSV (also gzip) and Parquet files.
        units: which machine samples belong to.
        options: what the files do not say.
        now: later than that, by more than clocks may differ, nothing was recorded.
        progress: told how many bytes of all files have been read.

    Raises:
        RecordingError: with file, line, what was found and expected; or if there are no samples at all.
    """
    files = _Files([open_table(path) for path in paths], SeriesNumbers())
    frames, skipped, decimals, done = [], dict[str, str](), list[str](), 0
    for number, table in enumerate(files.tables):
        layout = find_layout(table, options.time_column, options.layout, use_unit_column=units.forced is None)
        reader = SampleReader(table, layout, units, TimeReader(layout.time, options.times, table.where), files.series)
        frame = reader.read(partial(_shifted, progress, done)).assign(file=np.int32(number))
        if not options.sort:
            _refuse_backward(frame, files)
        frames.append(frame)
        skipped |= reader.skipped()
        decimals += [told] if (told := reader.decimals()) else []
        done += table.path.stat().st_size
    rows = pd.concat(frames, ignore_index=True)
    if rows.empty:
        why = "".join(f" Column '{name}' {reason}." for name, reason in skipped.items())
        raise RecordingError(f"{', '.join(map(str, paths))}: found no samples; expected numbers below the header.{why}")
    _refuse_future(rows, files, now)
    unique = _unique(rows, files)
    return Recording(_samples(unique, files.series), len(rows) - len(unique), skipped, tuple(decimals))


class _Found(NamedTuple):
    """One sample, to be told about."""

    file: int
    row: int
    series: int
    time_ns: int
    value: float

    @classmethod
    def at(cls, rows: pd.DataFrame, position: int) -> Self:
        """Column by column: a row of a frame would turn nanoseconds into floating-point numbers."""
        return cls(*(rows[name].to_numpy()[position].item() for name in cls._fields))

    @property
    def time(self) -> str:
        """ISO 8601, UTC."""
        return pd.Timestamp(self.time_ns, tz="UTC").isoformat().replace("+00:00", "Z")


class _Files(NamedTuple):
    """All files, and the series that they hold."""

    tables: Sequence[Table]
    series: SeriesNumbers

    def where(self, found: _Found) -> str:
        """File and line of a sample."""
        return self.tables[found.file].where(found.row)

    def name(self, found: _Found) -> str:
        """Property of a sample."""
        return f"'{list(self.series.numbers)[found.series][1]}'"


def _shifted(progress: Progress, done: int, count: int) -> None:
    progress(done + count)


def _refuse_backward(rows: pd.DataFrame, files: _Files) -> None:
    by_series = rows.iloc[np.argsort(rows["series"].to_numpy(), kind="stable")]
    same_series = np.diff(by_series["series"].to_numpy()) == 0
    backward = np.flatnonzero(same_series & (np.diff(by_series["time_ns"].to_numpy()) < 0))
    if not len(backward):
        return
    first = int(backward[by_series["row"].to_numpy()[backward + 1].argmin()])
    before, after = _Found.at(by_series, first), _Found.at(by_series, first + 1)
    raise RecordingError(
        f"{files.where(after)}: found {files.name(after)} at {after.time}, below {before.time} of"
        f" {files.where(before)}; expected times in ascending order. Sort the file, or use --sort."
    )


def _refuse_future(rows: pd.DataFrame, files: _Files, now: pd.Timestamp) -> None:
    late = (rows["time_ns"] > (now + FUTURE_ALLOWANCE).as_unit("ns").value).to_numpy()
    if late.any():
        found = _Found.at(rows, int(late.argmax()))
        raise RecordingError(
            f"{files.where(found)}: found the time {found.time}, which lies in the future; expected recorded times, up"
            f" to now, {now:%Y-%m-%dT%H:%M:%SZ}. Check the time zone or, for numbers, --start and --time-unit."
        )


def _unique(rows: pd.DataFrame, files: _Files) -> pd.DataFrame:
    """Each sample once, ordered by series and time; two values of one time are refused."""
    key = ["series", "time_ns", "quality"]
    ordered = rows.iloc[np.lexsort([rows[name].to_numpy() for name in reversed(key)])]
    again = np.logical_and.reduce([np.diff(ordered[name].to_numpy()) == 0 for name in key])
    differing = np.flatnonzero(again & (np.diff(ordered["value"].to_numpy()) != 0))
    if len(differing):
        first, second = (_Found.at(ordered, int(differing[0]) + step) for step in (0, 1))
        raise RecordingError(
            f"{files.where(second)}: found {second.value!r} for {files.name(second)} at {second.time}, where"
            f" {files.where(first)} has {first.value!r}; expected one value a time. Remove one of the two."
        )
    return ordered[np.concatenate([[True], ~again])]


def _samples(rows: pd.DataFrame, series: SeriesNumbers) -> pd.DataFrame:
    numbers = rows["series"].to_numpy()
    units, names = zip(*series.numbers, strict=True)
    return pd.DataFrame(
        {
            "unit": pd.Categorical(units)[numbers],
            "property": pd.Categorical(names)[numbers],
            "time": pd.to_datetime(rows["time_ns"].to_numpy(), utc=True).astype(UTC_NS),
            "value": rows["value"].to_numpy(),
            "quality": pd.Categorical.from_codes(rows["quality"].to_numpy(), pd.Index(QUALITIES)),
        }
    )
