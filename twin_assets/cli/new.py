"""``twin new``: a commented twin.yaml from an FMU."""

import os
from datetime import date, datetime
from pathlib import Path

import click

from twin_assets.first_run import FirstRun, first_run
from twin_assets.home import twins_path_from
from twin_assets.new_twin import NewTwin, new_folder, write_twin
from twin_assets.simulation import read_description
from twin_assets.spec_file import shown
from twin_assets.variable_choice import Chosen, Patterns, choose

EPILOG = "A PATTERN is shell-style and in quotes: --calibrate 'b*' --measure 'Roller?_w'. Each option may be repeated."


@click.command(name="new", epilog=EPILOG)
@click.argument("name")
@click.option(
    "--fmu",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The FMU; it is copied beside twin.yaml.",
)
@click.option(
    "--calibrate", multiple=True, metavar="PATTERN", help="Parameters to calibrate; tunable ones are looked at first."
)
@click.option("--measure", multiple=True, metavar="PATTERN", help="Outputs that are measured.")
@click.option("--predict", multiple=True, metavar="PATTERN", help="Virtual sensors (default: all other outputs).")
@click.option("--unit", "units", multiple=True, metavar="UNIT", help="A physical machine (default: one named NAME).")
@click.option(
    "--start",
    type=click.DateTime(["%Y-%m-%d"]),
    help="First day of the telemetry, UTC (default 2020-01-01): earlier telemetry is not used.",
)
def command(
    *,
    name: str,
    fmu: Path,
    calibrate: tuple[str, ...],
    measure: tuple[str, ...],
    predict: tuple[str, ...],
    units: tuple[str, ...],
    start: datetime | None,
) -> None:
    """Write twins/NAME/ with a commented twin.yaml from an FMU.

    Units, start values and bounds are the FMU's; priors, drift and noise are guessed, and said to be.
    """
    twins_path = twins_path_from(os.environ)
    new_folder(name, twins_path)
    description = read_description(fmu)
    chosen = choose(description, Patterns(calibrate, measure, predict))
    day = start.date() if start else date(2020, 1, 1)
    run = first_run(description, chosen)
    _tell(run)
    path = write_twin(NewTwin(name, units, day, run), description, chosen, twins_path)
    click.echo(_summary(name, path, chosen))


def _tell(run: FirstRun) -> None:
    """What did not go as usual; the file is still worth writing, and what to mend may be in it."""
    if run.interface:
        what = f"interface: {run.interface} is written, for by co-simulation the model does not settle"
        click.echo(f"Note: {what}: {run.problem}", err=True)
    elif run.settle.max_step_s is not None:
        what = f"max_step_s: {run.settle.max_step_s:g} is written, for in longer steps the model does not settle"
        click.echo(f"Note: {what}: {run.problem}", err=True)
    elif run.problem:
        click.echo(f"Warning: noise_std is guessed from less, for the model does not run: {run.problem}", err=True)


def _summary(name: str, path: Path, chosen: Chosen) -> str:
    counts = (
        f"coefficients: {len(chosen.coefficients)}, measurements: {len(chosen.measurements)},"
        f" virtual sensors: {len(chosen.virtual_sensors)}, inputs: {len(chosen.inputs)}"
    )
    return (
        f"Wrote {shown(path)} ({counts}).\n"
        f"Next: read it, above all what is marked guessed; then\n"
        f"  twin check {name}\n"
        f"  twin ingest {name} FILE…\n"
        f"  twin run {name}"
    )
