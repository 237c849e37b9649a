"""``twin ingest``: recorded telemetry into the historian.

Everything is read and judged first and then written in one transaction, so that nothing is ever half-written.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Unpack

import click
import pandas as pd

from twin_assets.cli.recordings import Advance, Reading, of_recording, read, task
from twin_assets.errors import TwinError
from twin_assets.historian import open_historian
from twin_assets.home import home_from
from twin_assets.ingest import Recording, notes
from twin_assets.spec import TwinSpec

CHUNK_ROWS = 100_000


@click.command(short_help="Recorded telemetry (CSV or Parquet) into the historian.")
@of_recording
@click.option("--quiet", is_flag=True, help="No progress bar, no notes.")
@click.option("--json", "as_json", is_flag=True, help="What was ingested, as JSON.")
def command(*, quiet: bool, as_json: bool, **reading: Unpack[Reading]) -> None:
    """Bring recorded telemetry of twin NAME into the historian.

    FILE is CSV (also .csv.gz) or Parquet: wide, with one column a property, or long, with the columns property, value
    and perhaps quality. Empty cells and NaN mean that nothing was measured. Numbers may have decimal commas where
    semicolons part the columns, and times may begin with the day: 31.01.2026 13:45.

    All files are checked before anything is written: text among numbers, two values at one time, times without a zone,
    out of order or in the future are told with their line. Ingesting a file twice is ingesting it once.
    """
    spec, recording = read(reading, quiet=quiet)
    with task("Writing", len(recording.samples), quiet=quiet) as advance:
        _write(recording, advance)
    told = notes(recording, spec)
    if not quiet:
        for note in told:
            click.echo(f"Note: {note}", err=True)
    report = _report(spec, reading["files"], recording, told)
    click.echo(json.dumps(report, indent=2) if as_json else _sentence(report))


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
