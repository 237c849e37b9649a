"""Progress on standard error: a bar a stage for people, nothing for pipes."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from twin_assets.progress import PARTS_PER_WINDOW, silent
from twin_assets.progress import Progress as Told


@contextmanager
def stage_bars(*, quiet: bool) -> Iterator[Told]:
    """A progress to hand to a run; draws a bar for each stage as soon as it is told of it.

    Args:
        quiet: draw nothing; nothing is drawn either where standard error is no terminal.
    """
    if quiet or not sys.stderr.isatty():
        yield silent
        return
    columns = (
        TextColumn("{task.description:<24}"),
        BarColumn(bar_width=32),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[windows]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        yield _Bars(bars)


class _Bars:
    """A ``Told`` that draws; called from the threads that compute, which rich allows."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        windows = f"{done // PARTS_PER_WINDOW} of {total // PARTS_PER_WINDOW} windows"
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage.replace("_", " "), total=total, windows=windows)
        self._bars.update(self._tasks[stage], completed=done, total=total, windows=windows)
