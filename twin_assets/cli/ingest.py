"""``twin ingest``: recorded telemetry into the historian.

Everything is read and judged first and then written in one transaction, so that nothing is ever half-written.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from twin_assets.cli.arguments import UTC_TIME
from twin_assets.errors import TwinError
from twin_assets.historian import open_historian
from twin_assets.historian.rows import utc_now
from twin_assets.home import home_from, twins_path_from
from twin_assets.ingest import (
    LAYOUTS,
    TIME_UNITS_NS,
    LayoutChoice,
    Recording,
    RecordingOptions,
    TimeOptions,
    UnitChoice,
    drop_published,
    notes,
    read_recording,
)
from twin_assets.spec import TwinSpec
from twin_assets.spec_file import load_twin

CHUNK_ROWS = 100_000

Advance = Callable[[int], None]  # told how much of a task is done


class TimeZone(click.ParamType):  # type: ignore[type-arg] # generic in the newest click alone
    """A time zone by its name, such as Europe/Berlin."""

    name = "zone"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> ZoneInfo:
        """Look the zone up."""
        try:
            return ZoneInfo(str(value))
        except (KeyError, ValueError, OSError):  # unknown, no name at all, a folder of zones
            self.fail(f"'{value}' is no time zone; expected a name such as UTC or Europe/Berlin.", param, ctx)


@click.command(short_help="Recorded telemetry (CSV or Parquet) into the historian.")
@click.argument("name")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.option("--unit", help="Machine that was recorded. Default: the column 'unit', or the twin's only unit.")
@click.option("--time-column", metavar="COLUMN", help="Default: found by its name (time, timestamp, time_s, ...).")
@click.option(
    "--time-unit",
    type=click.Choice(list(TIME_UNITS_NS)),
    help="What a numeric time column counts. Default: as its name ends (time_ms), or s.",
)
@click.option("--start", type=UTC_TIME, help="When a numeric time column is 0 (UTC); 1970-01-01 for Unix times.")
@click.option("--timezone", type=TimeZone(), help="Of times without an offset, for example UTC or Europe/Berlin.")
@click.option(
    "--layout", type=click.Choice(LAYOUTS), default="auto", show_default=True, help="How samples are laid out."
)
@click.option("--sort", is_flag=True, help="Take times in any order.")
@click.option("--quiet", is_flag=True, help="No progress bar, no notes.")
@click.option("--json", "as_json", is_flag=True, help="What was ingested, as JSON.")
def command(  # noqa: PLR0913 - one parameter an option, as click has it
    *,
    name: str,
    files: tuple[Path, ...],
    unit: str | None,
    time_column: str | None,
    time_unit: str | None,
    start: pd.Timestamp | None,
    timezone: ZoneInfo | None,
    layout: LayoutChoice,
    sort: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Bring recorded telemetry of twin NAME into the historian.

    FILE is CSV (also .csv.gz) or Parquet: wide, with one column a property, or long, with the columns property, value
    and perhaps quality. Empty cells and NaN mean that nothing was measured. Numbers may have decimal commas where
    semicolons part the columns, and times may begin with the day: 31.01.2026 13:45.

    All files are checked before anything is written: text among numbers, two values at one time, times without a zone,
    out of order or in the future are told with their line. Ingesting a file twice is ingesting it once.
    """
    spec = load_twin(name, twins_path_from(os.environ)).spec
    options = RecordingOptions(time_column, TimeOptions(time_unit, start, timezone), layout, sort)
    with _task("Reading", sum(map(_size, files)), quiet=quiet) as advance:
        recording = read_recording(files, unit_choice(spec, unit), options, utc_now(), advance)
    recording = drop_published(recording, spec)
    with _task("Writing", len(recording.samples), quiet=quiet) as advance:
        _write(recording, advance)
    told = notes(recording, spec)
    if not quiet:
        for note in told:
            click.echo(f"Note: {note}", err=True)
    report = _report(spec, files, recording, told)
    click.echo(json.dumps(report, indent=2) if as_json else _sentence(report))


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


def _write(recording: Recording, advance: Advance) -> None:
    """All samples in one transaction."""
    home = home_from(os.environ)
    home.prepare()
    samples = recording.samples

    def chunks() -> Iterator[pd.DataFrame]:
        for first in range(0, len(samples), CHUNK_ROWS):
            yield samples.iloc[first : first + CHUNK_ROWS]
            advance(min(first + CHUNK_ROWS, len(samples)))

    with open_historian(home) as historian:
        rejected = historian.write_all(chunks()).rejected
    if len(rejected):
        first = rejected.iloc[0]
        raise TwinError(
            f"{historian.name}: {len(rejected)} of {len(samples)} samples were refused, the first of"
            f" '{first['property']}' at {first['time']}: {first['reason']}. The others are written."
        )


@contextmanager
def _task(title: str, total: int, *, quiet: bool) -> Iterator[Advance]:
    """A progress bar for people at a terminal; nobody else sees one."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    console, silent = Console(stderr=True), quiet or not sys.stderr.isatty()
    with Progress(*columns, console=console, transient=True, disable=silent) as progress:
        task = progress.add_task(title, total=total)
        yield lambda done: progress.update(task, completed=done)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _report(spec: TwinSpec, files: tuple[Path, ...], recording: Recording, told: list[str]) -> dict[str, Any]:
    times = recording.samples["time"]
    return {
        "twin": spec.name,
        "files": [str(path) for path in files],
        "samples": len(recording.samples),
        "units": list(recording.units),
        "properties": list(recording.properties),
        "first": times.min().isoformat() if len(times) else None,
        "last": times.max().isoformat() if len(times) else None,
        "repeated": recording.repeated,
        "skipped": dict(recording.skipped),
        "decimals": list(recording.decimals),
        "notes": told,
    }


def _sentence(report: dict[str, Any]) -> str:
    repeated = f" {report['repeated']:,} were in the files more than once." if report["repeated"] else ""
    decimals = "".join(f" {told}" for told in report["decimals"])
    return (
        f"Ingested {report['samples']:,} samples of {len(report['properties'])} properties"
        f" of {', '.join(report['units'])}, {report['first']} to {report['last']}.{repeated}{decimals}"
    )
