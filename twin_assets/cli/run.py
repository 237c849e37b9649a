"""``twin run``: windows materialized through Dagster."""

import json
import os
from dataclasses import asdict

import click
import pandas as pd

from twin_assets.cli.arguments import UTC_TIME, ordered_range
from twin_assets.cli.bars import stage_bars
from twin_assets.cli.run_shards import run_divided
from twin_assets.errors import TwinError
from twin_assets.historian import Historian, open_historian
from twin_assets.home import Home, home_from, twins_path_from
from twin_assets.neighbours import load_undisputed
from twin_assets.resources import wall_clock
from twin_assets.running import RunSummary, run_windows
from twin_assets.simulation import fmu_sha256
from twin_assets.spec import TwinSpec
from twin_assets.spec_file import Twin
from twin_assets.stages.live import new_windows, pending_windows
from twin_assets.stages.telemetry import channel_properties, resolve_units
from twin_assets.store import Store
from twin_assets.windows import Window, WindowGrid


@click.command(short_help="Materialize the windows of a range (default: what is new) through Dagster.")
@click.argument("name")
@click.option("--from", "start", type=UTC_TIME, help="First time (UTC); its whole window is materialized.")
@click.option("--to", "end", type=UTC_TIME, help="End of the range, exclusive (UTC). With --from alone: now.")
@click.option("--json", "as_machine", is_flag=True, help="Print what was done as JSON.")
@click.option("--quiet", is_flag=True, help="No progress on standard error.")
def command(name: str, start: pd.Timestamp | None, end: pd.Timestamp | None, as_machine: bool, quiet: bool) -> None:
    """Calibrate twin NAME: materialize its windows, in order, through Dagster.

    Without a range: from the first window with anything new to the last one with data. With --to alone: what is new
    before that time. Windows whose data has not changed are not computed again, so running twice is harmless. Exit code
    1 if a check refuses a window, or some units of one.
    """
    ordered_range(start, end)
    home = home_from(os.environ)
    twin = load_undisputed(name, twins_path_from(os.environ))
    home.prepare()
    if twin.spec.shards > 1:
        run_divided(home, twin, _divided_range(home, twin, start, end), start, as_machine=as_machine, quiet=quiet)
        return
    windows = choose(home, twin, start, end)
    if not windows:
        click.echo(
            json.dumps({"run_id": None, "windows": [], "refused": {}, "refused_units": {}})
            if as_machine
            else _nothing_new(twin.spec, end)
        )
        return
    with stage_bars(quiet=quiet) as progress:
        summary = run_windows(twin, home, windows, progress)
    if as_machine:
        click.echo(json.dumps(asdict(summary)))
    else:
        click.echo(f"Twin '{twin.spec.name}': {_told(summary)}; in Dagster this is run {summary.run_id}.")
    if not summary.success:
        raise TwinError(_refusal(twin.spec, summary))


def _divided_range(home: Home, twin: Twin, start: pd.Timestamp | None, end: pd.Timestamp | None) -> list[Window]:
    """The windows of a range, for shards that choose what is new in it; empty without a range."""
    if start is not None or end is None:
        # Also where there is none: it refuses a twin of which nothing was measured.
        windows = choose(home, twin, start, end)
        return windows if start is not None else []
    grid = WindowGrid.of(twin.spec)
    windows = grid.between(grid.first.start, min(end, grid.containing(wall_clock()).end))
    if not windows:
        raise TwinError(_no_window(twin.spec, grid))
    return windows


def choose(home: Home, twin: Twin, start: pd.Timestamp | None, end: pd.Timestamp | None) -> list[Window]:
    """The windows to materialize: what is new (before ``end``), or all of a range that has a start.

    Raises:
        TwinError: if the historian holds nothing of the twin, or the range no window or, without a start, no telemetry.
    """
    spec, now = twin.spec, wall_clock()
    grid = WindowGrid.of(spec)
    with open_historian(home) as historian:
        units = resolve_units(spec, historian)
        if not units or historian.latest(units, channel_properties(spec)).empty:
            raise TwinError(_nothing_measured(historian.name, spec, units))
        if start is None:
            arguments = (historian, Store(home.store_path), spec, grid, now, fmu_sha256(twin.fmu_path))
            if end is None:
                return new_windows(*arguments)
            new = [window for window in pending_windows(*arguments) if window.start < end]
            if not new:
                _refuse_before_telemetry(historian, units, spec, grid, end)
                return []
            start = new[0].start
    windows = grid.between(start, min(end or now, grid.containing(now).end))
    if not windows:
        raise TwinError(_no_window(spec, grid))
    return windows


def _refuse_before_telemetry(
    historian: Historian, units: tuple[str, ...], spec: TwinSpec, grid: WindowGrid, end: pd.Timestamp
) -> None:
    """Nothing is new before ``end``; where nothing was measured either, asking for it can only be a mistake.

    Raises:
        TwinError: if no telemetry, or no window, lies before ``end``.
    """
    if end <= grid.first.start:
        raise TwinError(_no_window(spec, grid))
    hours = historian.arrivals(units, channel_properties(spec)).buckets
    first = hours.loc[hours["end"] > grid.first.start, "start"].min()
    if first >= end:
        raise TwinError(
            f"--to {end:%Y-%m-%dT%H:%M}: twin '{spec.name}' has no telemetry before that time; it begins in the hour"
            f" from {first:%Y-%m-%dT%H:%M} UTC. Choose a later end."
        )


def _no_window(spec: TwinSpec, grid: WindowGrid) -> str:
    return (
        f"twin '{spec.name}' has no window in that range: the first one starts at {grid.first.start:%Y-%m-%dT%H:%M},"
        " the last one holds now. Choose another range, or an earlier 'start' in twin.yaml."
    )


def _nothing_measured(where: str, spec: TwinSpec, units: tuple[str, ...]) -> str:
    wanted = ", ".join(channel_properties(spec)[:6])
    return (
        f"{where}: the historian holds nothing that twin '{spec.name}' measures (units:"
        f" {', '.join(units) or 'none'}; properties: {wanted} …). Write telemetry first with"
        f" 'twin ingest {spec.name} FILE', or choose another home with --home, or another historian with --historian."
    )


def _nothing_new(spec: TwinSpec, end: pd.Timestamp | None) -> str:
    before = "" if end is None else f" before {end:%Y-%m-%dT%H:%M} UTC"
    return f"Twin '{spec.name}' is up to date: nothing new{before} since the last run."


def _told(summary: RunSummary) -> str:
    keys = summary.windows
    span = keys[0] if len(keys) == 1 else f"{keys[0]} to {keys[-1]}"
    published = len(keys) - len(summary.refused)
    return f"{len(keys)} window{'s' * (len(keys) > 1)} materialized ({span}), {published} published"


def _refusal(spec: TwinSpec, summary: RunSummary) -> str:
    parts = [
        f"{len(refused)} of {len(summary.windows)} windows {what}:\n"
        + "\n".join(f"  {key}: {reason}" for key, reason in refused.items())
        for refused, what in (
            (summary.refused, "were refused by the checks; nothing of them was published"),
            (summary.refused_units, "hold units that were refused by the checks; the other units were published"),
        )
        if refused
    ]
    return (
        f"twin '{spec.name}': {chr(10).join(parts)}\nTheir tables are there to look at, with 'twin export' or in"
        f" Dagster as run {summary.run_id}."
    )
