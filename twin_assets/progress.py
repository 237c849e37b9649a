"""How a run tells how far it is: the one thing that whoever started it has to offer.

Belongs here: the Protocol. Bars are drawn by the command line; a run that Dagster's daemon starts tells nobody.
"""

from collections.abc import Callable
from typing import Protocol

PARTS_PER_WINDOW = 1000


class Progress(Protocol):
    """Told of every step, in the thread that computes: it should be quick, and must not raise."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """``stage``, one of the names in ``twin_assets.stages``, is through ``done / total`` of this run's windows.

        Only the quotient means anything: ``total`` counts parts of windows, of which some hold more steps than others.
        """
        ...


def silent(stage: str, done: int, total: int) -> None:
    """Tell nobody."""


def within_window(progress: Progress, stage: str, number: int, windows: int) -> Callable[[int, int], None]:
    """A callback (done, total) for the steps of one window, ``number`` of ``windows`` counted from 0."""

    def tell(done: int, total: int) -> None:
        part = PARTS_PER_WINDOW * done // total if total else PARTS_PER_WINDOW
        progress(stage, PARTS_PER_WINDOW * number + part, PARTS_PER_WINDOW * windows)

    return tell
