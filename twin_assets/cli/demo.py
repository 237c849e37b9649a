"""``twin demo``: a plant whose truth is known, calibrated end to end."""

import json
import os
import sys
from functools import partial

import click
import pandas as pd
from rich.console import Console

from twin_assets.cli.arguments import UTC_TIME
from twin_assets.cli.bars import stage_bars
from twin_assets.demo.play import play
from twin_assets.demo.report import as_json, show
from twin_assets.demo.script import Wish, demo_folder
from twin_assets.errors import TwinError
from twin_assets.home import TWINS_VARIABLE, home_from, twins_path_from
from twin_assets.neighbours import load_undisputed
from twin_assets.spec_file import TWIN_FILE

TWIN = "web_line"


@click.command(short_help="A plant with hidden, drifting coefficients, calibrated end to end.")
@click.option("--seed", type=click.IntRange(min=0), help="Of all that is random (default 1).")
@click.option("--days", type=click.FloatRange(min=0, min_open=True, max=60), help="How long it lasts (default 3).")
@click.option("--start", type=UTC_TIME, help="First time (default: it ends at the last midnight, UTC).")
@click.option("--json", "as_machine", is_flag=True, help="Print the summary as JSON.")
@click.option("--quiet", is_flag=True, help="No progress on standard error.")
def command(seed: int | None, days: float | None, start: pd.Timestamp | None, as_machine: bool, quiet: bool) -> None:
    """Play the demonstration: a web-handling line two of whose bearings wear, one until its roller slips.

    A plant with hidden coefficients fills the historian, with noise, dropouts, a dead and a stuck sensor, outliers and
    late data; the twin is calibrated through Dagster; the summary compares truth and estimate. Playing it again in the
    same home is harmless; open the Dagster UI on it with 'make dev'.
    """
    home, twins_path = home_from(os.environ), twins_path_from(os.environ)
    if not (twins_path / TWIN / TWIN_FILE).is_file():
        raise TwinError(
            f"{twins_path}: the demonstration's twin '{TWIN}' is not there. It comes with the project's repository: run"
            f" the command in its folder, or name its folder of twins with --twins or {TWINS_VARIABLE}."
        )
    twin = load_undisputed(TWIN, twins_path)
    told = Console(stderr=True, quiet=quiet or not sys.stderr.isatty(), highlight=False)
    bars = partial(stage_bars, quiet=quiet)
    demo = play(twin, home, Wish(seed, days, start), say=told.print, bars=bars)
    summary = json.dumps(as_json(demo), indent=2)
    (demo_folder(home) / "summary.json").write_text(summary + "\n")
    if as_machine:
        click.echo(summary)
    else:
        show(demo, twin.spec, Console())
