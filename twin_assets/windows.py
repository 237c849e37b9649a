"""Windows: the time partitions of a twin's tables, and their keys.

Belongs here: the arithmetic of windows. That they are Dagster partitions is ``automation``'s; both agree key by key.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Self

import pandas as pd
from croniter import croniter

from twin_assets.errors import TwinError
from twin_assets.spec import TwinSpec

CRONS = {"hourly": "0 * * * *", "daily": "0 0 * * *", "weekly": "0 0 * * 1"}
DATE_FORMAT = "%Y-%m-%d"
MINUTE_FORMAT = "%Y-%m-%dT%H%M"


@dataclass(frozen=True)
class Window:
    """One time partition, half-open: ``start <= time < end``, UTC.

    Attributes:
        key: file-safe name, also Dagster's partition key; keys sort as their times do.
    """

    key: str
    start: pd.Timestamp
    end: pd.Timestamp

    def __contains__(self, time: pd.Timestamp) -> bool:
        return self.start <= time < self.end


@dataclass(frozen=True)
class WindowGrid:
    """All windows of a twin: gapless, from the tick of ``cron`` at ``start``.

    Attributes:
        cron: the ticks at which windows begin, UTC, five fields.
        key_format: strftime format of the keys.
        start: of the first window, the one that holds the midnight (UTC) at which the spec's first day begins.
    """

    cron: str
    key_format: str
    start: pd.Timestamp

    @classmethod
    def of(cls, spec: TwinSpec) -> Self:
        """The grid that a spec describes."""
        key_format = DATE_FORMAT if spec.window in ("daily", "weekly") else MINUTE_FORMAT
        grid = cls(CRONS.get(spec.window, spec.window), key_format, pd.Timestamp(spec.start, tz="UTC"))
        return replace(grid, start=grid._tick_before(grid._tick_after(grid.start)))

    @property
    def first(self) -> Window:
        """The first window of all."""
        return self._at(self._tick_after(self.start - pd.Timedelta(seconds=1)))

    def containing(self, time: pd.Timestamp) -> Window:
        """The window that holds a time.

        Raises:
            TwinError: if the time lies before the first window.
        """
        end = self._tick_after(time)
        start = self._tick_before(end)
        if start < self.start:
            raise TwinError(
                f"{time} lies before the first window, which starts at {self.first.start}."
                " Choose a later time, or an earlier 'start' in twin.yaml."
            )
        return Window(start.strftime(self.key_format), start, end)

    def parse(self, key: str) -> Window:
        """The window of a key.

        Raises:
            TwinError: if no window has that key.
        """
        expected = f"one like '{self.first.key}', a start of '{self.cron}' (UTC)"
        try:
            start = pd.to_datetime(key, format=self.key_format, utc=True)
        except ValueError:
            raise TwinError(f"'{key}' is no window; expected {expected}.") from None
        window = self.containing(start)
        if window.key != key:
            raise TwinError(f"'{key}' is no window; expected {expected}. The nearest earlier one is '{window.key}'.")
        return window

    def known(self, keys: Iterable[str]) -> list[Window]:
        """The windows of those keys that have one; keys from before the twin's windows were changed have none."""
        found = []
        for key in keys:
            with suppress(TwinError):
                found.append(self.parse(key))
        return found

    def previous(self, window: Window) -> Window | None:
        """The window before; None before the first."""
        start = self._tick_before(window.start)
        return None if start < self.start else Window(start.strftime(self.key_format), start, window.start)

    def between(self, start: pd.Timestamp, end: pd.Timestamp) -> list[Window]:
        """The windows that overlap [start, end), in order; what lies before the first window is left out."""
        first = self.first
        if end <= max(start, first.start):
            return []
        windows = [first if start < first.end else self.containing(start)]
        while windows[-1].end < end:
            windows.append(self._at(windows[-1].end))
        return windows

    def _at(self, tick: pd.Timestamp) -> Window:
        return Window(tick.strftime(self.key_format), tick, self._tick_after(tick))

    def _tick_after(self, time: pd.Timestamp) -> pd.Timestamp:
        # Ticks are on whole minutes; croniter would carry a fraction of a second along.
        return _timestamp(croniter(self.cron, time.floor("s").to_pydatetime()).get_next(float))

    def _tick_before(self, tick: pd.Timestamp) -> pd.Timestamp:
        return _timestamp(croniter(self.cron, tick.to_pydatetime()).get_prev(float))


def _timestamp(seconds: float) -> pd.Timestamp:
    return pd.Timestamp(round(seconds), unit="s", tz="UTC").as_unit("ns")
