"""``twin run`` of a twin that is divided into shards: one after the other, then the comparison of the fleet.

On a cluster their sensors and schedules do it, side by side.
"""

import json
from dataclasses import asdict

import click
import pandas as pd

from twin_assets.cli.bars import stage_bars
from twin_assets.errors import TwinError
from twin_assets.historian import open_historian
from twin_assets.home import Home
from twin_assets.progress import Progress
from twin_assets.resources import wall_clock
from twin_assets.running import RunError, RunSummary, run_windows
from twin_assets.shards import shards_of
from twin_assets.simulation import fmu_sha256
from twin_assets.spec_file import Twin
from twin_assets.stages.fleet import stale_windows
from twin_assets.stages.live import new_windows, pending_windows
from twin_assets.stages.telemetry import resolve_units
from twin_assets.store import Store
from twin_assets.windows import Window, WindowGrid


def run_divided(
    home: Home, twin: Twin, windows: list[Window], start: pd.Timestamp | None, *, as_machine: bool, quiet: bool
) -> None:
    """Materialize the shards of a twin and tell what was done.

    Args:
        home: where everything is kept.
        twin: the whole.
        windows: that may be materialized; empty for whatever is new.
        start: given where all of them are to be, new or not.
        as_machine: tell it as JSON.
        quiet: show no progress.

    Raises:
        TwinError: if a window of a shard was refused, or units of one, or a shard could not be run; the others were.
    """
    with stage_bars(quiet=quiet) as progress:
        done, failed = _rounds(home, twin, windows, progress, all_of_them=start is not None)
        stale = stale_windows(Store(home.store_path), twin.spec) if twin.spec.several_units else []
        if stale:
            run_windows(twin, home, stale, progress)
    if as_machine:
        runs = [{"shard": shard, **asdict(summary)} for shard, summary in done]
        click.echo(json.dumps({"runs": runs, "failed": failed}))
    elif done or not failed:
        click.echo("\n".join(_told(shard, summary) for shard, summary in done) or _nothing_new(twin))
    wrong = [f"{shard}: {why}" for shard, why in failed.items()]
    wrong += _refusals(done, "refused", "were refused by the checks; nothing of them was published")
    what = "hold units that were refused by the checks; the other units were published"
    wrong += _refusals(done, "refused_units", what)
    if wrong:
        raise TwinError("\n".join(wrong))


def _rounds(
    home: Home, twin: Twin, windows: list[Window], progress: Progress, *, all_of_them: bool
) -> tuple[list[tuple[str, RunSummary]], dict[str, str]]:
    """Run shards until none has anything to do; also why some could not be run, which is their own trouble.

    A shard's new units start from what all shards had found by the window before; a shard that is run later may find
    something else there, and then the earlier one is run again for what follows from it. Each round settles at least
    one window more. Nothing but another shard's run is a reason to go again: what failed is for the next command.
    """
    done, failed = list[tuple[str, RunSummary]](), dict[str, str]()
    for turn in range(len(WindowGrid.of(twin.spec).between(*_span(windows))) + 1 if windows else _MOST_ROUNDS):
        before = len(done)
        for shard in shards_of(twin):
            label = shard.spec.label
            if label in failed or (done and done[-1][0] == label):
                continue
            chosen = _chosen(home, shard, windows, all_of_them=all_of_them and turn == 0)
            if not chosen:
                continue
            try:
                done.append((label, run_windows(shard, home, chosen, progress)))
            except RunError as error:
                failed[label] = str(error)
        if len(done) == before:
            break
    return done, failed


_MOST_ROUNDS = 1000


def _span(windows: list[Window]) -> tuple[pd.Timestamp, pd.Timestamp]:
    return windows[0].start, windows[-1].end


def _chosen(home: Home, shard: Twin, windows: list[Window], *, all_of_them: bool) -> list[Window]:
    spec, grid = shard.spec, WindowGrid.of(shard.spec)
    with open_historian(home) as historian:
        if not resolve_units(spec, historian):
            return []
        if all_of_them:
            return windows
        arguments = (historian, Store(home.store_path), spec, grid, wall_clock(), fmu_sha256(shard.fmu_path))
        if not windows:
            return new_windows(*arguments)
        start, end = _span(windows)
        pending = [window for window in pending_windows(*arguments) if start <= window.start < end]
        return grid.between(pending[0].start, end) if pending else []


def _told(shard: str, summary: RunSummary) -> str:
    keys = summary.windows
    span = keys[0] if len(keys) == 1 else f"{keys[0]} to {keys[-1]}"
    published = len(keys) - len(summary.refused)
    return (
        f"{shard}: {len(keys)} window{'s' * (len(keys) > 1)} materialized ({span}), {published} published;"
        f" in Dagster this is run {summary.run_id}."
    )


def _nothing_new(twin: Twin) -> str:
    return f"Twin '{twin.spec.name}' is up to date: nothing new in any of its {twin.spec.shards} shards."


def _refusals(done: list[tuple[str, RunSummary]], kind: str, what: str) -> list[str]:
    """What a shard's windows were refused for when they were last run, for people."""
    found: dict[str, dict[str, str]] = {}
    for shard, summary in done:
        standing = found.setdefault(shard, {})
        for key in summary.windows:
            standing.pop(key, None)
        standing.update(getattr(summary, kind))
    of = {shard: len({key for each, summary in done if each == shard for key in summary.windows}) for shard in found}
    return [
        f"{shard}: {len(reasons)} of {of[shard]} windows {what}:\n"
        + "\n".join(f"  {key}: {reasons[key]}" for key in sorted(reasons))
        for shard, reasons in found.items()
        if reasons
    ]
