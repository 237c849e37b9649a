"""What ``twin ingest`` and ``twin replay`` share: files, how they are to be read, and bars while that lasts."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict, TypeVar
from zoneinfo import ZoneInfo

import click
import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from twin_assets.cli.arguments import UTC_TIME
from twin_assets.errors import TwinError
from twin_assets.historian.rows import utc_now
from twin_assets.home import twins_path_from
from twin_assets.ingest import (
    LAYOUTS,
    TIME_UNITS_NS,
    LayoutChoice,
    Recording,
    RecordingOptions,
    TimeOptions,
    UnitChoice,
    drop_published,
    read_recording,
)
from twin_assets.spec import TwinSpec
from twin_assets.spec_file import load_twin

Advance = Callable[[int], None]  # told how much of a task is done
C = TypeVar("C", bound=Callable[..., object])


class TimeZone(click.ParamType):  # type: ignore[type-arg] # generic in the newest click alone
    """A time zone by its name, such as Europe/Berlin."""

    name = "zone"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> ZoneInfo:
        """Look the zone up."""
        try:
            return ZoneInfo(str(value))
        except (KeyError, ValueError, OSError):  # unknown, no name at all, a folder of zones
            self.fail(f"'{value}' is no time zone; expected a name such as UTC or Europe/Berlin.", param, ctx)


class Reading(TypedDict):
    """What a command is told of its recording; one key an option."""

    name: str
    files: tuple[Path, ...]
    unit: str | None
    time_column: str | None
    time_unit: str | None
    start: pd.Timestamp | None
    timezone: ZoneInfo | None
    layout: LayoutChoice
    sort: bool


ARGUMENTS = (
    click.argument("name"),
    click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path)),
    click.option("--unit", help="Machine that was recorded. Default: the column 'unit', or the twin's only unit."),
    click.option("--time-column", metavar="COLUMN", help="Default: found by its name (time, timestamp, time_s, ...)."),
    click.option(
        "--time-unit",
        type=click.Choice(list(TIME_UNITS_NS)),
        help="What a numeric time column counts. Default: as its name ends (time_ms), or s.",
    ),
    click.option("--start", type=UTC_TIME, help="When a numeric time column is 0 (UTC); 1970-01-01 for Unix times."),
    click.option("--timezone", type=TimeZone(), help="Of times without an offset, for example UTC or Europe/Berlin."),
    click.option(
        "--layout", type=click.Choice(LAYOUTS), default="auto", show_default=True, help="How samples are laid out."
    ),
    click.option("--sort", is_flag=True, help="Take times in any order."),
)


def of_recording(command: C) -> C:
    """Give a command the arguments and options of Reading."""
    for argument in reversed(ARGUMENTS):
        command = argument(command)
    return command


def read(reading: Reading, *, quiet: bool) -> tuple[TwinSpec, Recording]:
    """The twin, and the recording without what the twin itself publishes.

    Raises:
        TwinError: if there is no such twin or unit, or the files are no recording.
    """
    spec = load_twin(reading["name"], twins_path_from(os.environ)).spec
    times = TimeOptions(reading["time_unit"], reading["start"], reading["timezone"])
    options = RecordingOptions(reading["time_column"], times, reading["layout"], reading["sort"])
    files = reading["files"]
    with task("Reading", sum(map(_size, files)), quiet=quiet) as advance:
        recording = read_recording(files, unit_choice(spec, reading["unit"]), options, utc_now(), advance)
    return spec, drop_published(recording, spec)


def unit_choice(spec: TwinSpec, wanted: str | None) -> UnitChoice:
    """Which machine the samples belong to, as far as the twin and the user say.

    Raises:
        TwinError: if the twin has no such unit.
    """
    known = None if spec.units == "discovered" else spec.units or (spec.name,)
    if wanted is not None and (not wanted.strip() or (known is not None and wanted not in known)):
        listed = ", ".join(known or ()) or "any name"
        raise TwinError(f"--unit: found '{wanted}'; expected a unit of twin '{spec.name}': {listed}.")
    return UnitChoice(wanted, known)


@contextmanager
def task(title: str, total: int, *, quiet: bool) -> Iterator[Advance]:
    """A progress bar for people at a terminal; nobody else sees one."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    console, silent = Console(stderr=True), quiet or not sys.stderr.isatty()
    with Progress(*columns, console=console, transient=True, disable=silent) as progress:
        shown = progress.add_task(title, total=total)
        yield lambda done: progress.update(shown, completed=done)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
