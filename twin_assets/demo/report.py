"""The summary of a demonstration: for people as tables, for machines as JSON of the same numbers."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from twin_assets.demo.plant import SLIP_AT, STORY
from twin_assets.demo.play import Demonstration
from twin_assets.spec import TwinSpec

GOOD, WARN = "green", "yellow"
LONG_GAP = 12  # samples: a channel that lacks more of them was not only unlucky


def as_json(demo: Demonstration) -> dict[str, Any]:
    """Everything that the summary shows, as plain values; times in ISO 8601.

    ``coverage_95``, ``coefficient_rmse`` and ``virtual_sensor_rmse`` (by unit of measure) are about the time before the
    slip; ``seconds`` is what the demonstration took, ``calibration_seconds`` what the filter took of it (0 if it was
    played before and nothing had to be computed).
    """
    plain = asdict(demo)
    plain |= plain.pop("assessment")
    plain["calibration_seconds"] = demo.passes[0].calibration_seconds
    return {name: _plain(value) for name, value in plain.items()}


def _plain(value: object) -> object:
    """Values that JSON knows."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def show(demo: Demonstration, spec: TwinSpec, console: Console) -> None:
    """Print the summary."""
    console.print(Text(f"\n{spec.label}, {demo.unit}: what was true, and what the twin found\n", style="bold"))
    for table in (_coefficients(demo, spec), _rejected(demo), _publications(demo), _facts(demo)):
        console.print(table)
    console.print(Text("\nPictures and tables", style="bold"))
    for path in demo.files.values():
        # A path that is broken into lines cannot be copied.
        console.print(Text(f"  {path}"), soft_wrap=True)


def _table(title: str, left: tuple[str, ...], right: tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for name in left:
        table.add_column(name, no_wrap=True)
    for name in right:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _coefficients(demo: Demonstration, spec: TwinSpec) -> Table:
    compared = demo.assessment.coefficients
    when = "just before the slip" if demo.assessment.slip.true else "at the end"
    units = {part.unit or "" for part in spec.coefficients}
    unit = f", in {units.pop().replace('.', '·')}" if len(units) == 1 else ""
    table = _table(
        f"Coefficients {when}, {_when(compared[0].time)} UTC{unit}",
        ("",),
        ("truth", "estimate", "95 % interval", "holds", "held so far", "rms error"),
    )
    for one in compared:
        interval = f"{one.lower:.4f} … {one.upper:.4f}"
        holds = Text("yes", style=GOOD) if one.held else Text("no", style=WARN)
        numbers = (f"{one.truth:.4f}", f"{one.estimate:.4f}", interval)
        table.add_row(one.name, *numbers, holds, f"{one.held_share:.1%}", f"{one.rmse:.1e}")
    return table


def _rejected(demo: Demonstration) -> Table:
    """What was not used; single dropouts, which every channel has, in one line."""
    table = _table("Not used, and why (samples)", ("channel", "reason"), ("injected", "noticed", "in common"))
    single = [one for one in demo.assessment.rejected if one.reason == "missing" and one.injected <= LONG_GAP]
    for one in demo.assessment.rejected:
        if one not in single:
            table.add_row(one.channel, one.reason, str(one.injected), str(one.noticed), str(one.common))
    if single:
        sums = (sum(getattr(one, name) for one in single) for name in ("injected", "noticed", "common"))
        table.add_row(f"{len(single)} channel{'s' * (len(single) > 1)}", "missing (single)", *map(str, sums))
    return table


def _publications(demo: Demonstration) -> Table:
    """Windows, and the verdicts that are not plain passes."""
    table = _table("Windows", ("window", "published", "checks"), ())
    for one in demo.publications:
        passed = sum(verdict == "passed" for verdict in one.checks.values())
        others = [f"{name} {verdict}" for name, verdict in one.checks.items() if verdict != "passed"]
        verdicts = ", ".join([f"{passed} of {len(one.checks)} passed", *others])
        published = Text("yes", style=GOOD) if one.published else Text("no", style=WARN)
        table.add_row(one.window, published, Text(verdicts, style=WARN if others else GOOD))
    return table


def _facts(demo: Demonstration) -> Table:
    """What else is to be known."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    for name, words in _sentences(demo):
        table.add_row(name, Text(words))
    return table


def _sentences(demo: Demonstration) -> Iterator[tuple[str, str]]:
    found, first, late = demo.assessment, *demo.passes
    worst = found.worst
    for one in demo.publications:
        for name, remark in one.remarks.items():
            yield one.window, f"{name} {one.checks[name]}: {remark}"
    virtual = f"virtual sensors: {found.virtual_sensor_coverage_95:.1%}"
    yield "Honesty", f"95 % intervals held the truth {found.coverage_95:.1%} of the time ({virtual})"
    stds = "" if worst.stds is None else f", {worst.stds:.1f} of its standard deviations"
    yield "Worst sensor", f"{worst.name}, {_when(worst.time)}: off by {worst.error:+.2g} {worst.unit}{stds}"
    yield "Slip", _slip(demo)
    took = f"{first.calibration_seconds:.0f} s" if first.windows else "all there already"
    yield "Calibration", f"{found.updates} updates, {found.model_runs:,} model runs, {took}"
    windows = f"window{'s' * (len(late.windows) > 1)} {', '.join(late.windows)}"
    again = f"{windows}, in {late.seconds:.0f} s" if late.windows else "nothing"
    yield "Late data", f"computed again: {again}"
    yield "All of it", f"{demo.seconds:.0f} s; the runs are in Dagster's UI on this home: make dev"


def _slip(demo: Demonstration) -> str:
    """When roller 9 slipped and when that was seen; of a demonstration that is too short for it, how long it takes."""
    slip = demo.assessment.slip
    if slip.true is not None:
        seen = "which the twin does not see" if slip.seen is None else f"seen from {_when(slip.seen)}"
        return f"roller 9 slips from {_when(slip.true)}, {seen}"
    seen = "and none is seen" if slip.seen is None else f"but roller 9 is seen to slip from {_when(slip.seen)}"
    days = STORY / pd.Timedelta(days=1)
    later = f" (roller 9 slips after {SLIP_AT * days:.1f} days: --days {days:g})" if demo.script.days < days else ""
    return f"none in {demo.script.lasts}, {seen}{later}"


def _when(time: pd.Timestamp) -> str:
    return f"{time:%Y-%m-%d %H:%M}"
