"""What is to do now: windows with news, and the range that a live run materializes.

**Live is backfill**: a live run goes through the same stages as a backfill, from the earliest window with anything to
do up to the one that holds now; after an outage of three days that is four windows.

How news is found without going through all of history: a table ``arrivals/seen`` holds the position in the historian up
to which every arrival is known to have gone through all stages, and the windows that were waiting for time to pass. It
is written only when nothing is left to do; losing it, or a crash at any moment, costs a longer look and nothing else.
"""

import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pandas as pd

from twin_assets.historian.base import Arrivals, Historian
from twin_assets.spec import TwinSpec
from twin_assets.stages import (
    CALIBRATED_COEFFICIENTS,
    FLEET,
    OBSERVATIONS,
    PUBLISHED,
    REFUSED,
    SMOOTHED_COEFFICIENTS,
    TELEMETRY,
    UKF_STATE,
    VIRTUAL_SENSORS,
)
from twin_assets.stages.fingerprint import FINGERPRINT, fingerprint
from twin_assets.stages.lineage import described, is_current
from twin_assets.stages.observations import OPEN_UNTIL
from twin_assets.stages.refusals import JUDGE_AGAIN
from twin_assets.stages.smoothing import WAITS_UNTIL
from twin_assets.stages.telemetry import CHANNELS, CURSOR, channel_properties, channels_text, resolve_units
from twin_assets.stages.units import is_tried_again
from twin_assets.store import CONTENT, Store
from twin_assets.windows import Window, WindowGrid

ARRIVALS = "arrivals"
SEEN = "seen"
BASIS = "basis"
WAITING = "waiting"
KNOWN = "units"
TRIED_AGAIN = (UKF_STATE, VIRTUAL_SENSORS)
COMPUTED = (OBSERVATIONS, UKF_STATE, CALIBRATED_COEFFICIENTS, VIRTUAL_SENSORS)


def computed(spec: TwinSpec) -> tuple[str, ...]:
    """The stages between telemetry and what is published, and those that look back or aside where the twin has them."""
    smoothed = (SMOOTHED_COEFFICIENTS,) if spec.smoothing else ()
    return (*COMPUTED, *smoothed, *((FLEET,) if spec.shows_fleet else ()))


def pending_windows(
    historian: Historian,
    store: Store,
    spec: TwinSpec,
    grid: WindowGrid,
    now: pd.Timestamp,
    fmu_sha256: str | None = None,
) -> list[Window]:
    """Windows with something to do, in order; empty when all is up to date.

    A window is pending when samples arrived in it that its telemetry does not hold, when an observation in it has
    become complete since, when a later stage is missing or stale (a crash in between, or an earlier window has another
    final state now), when twin.yaml or the FMU say something else now, when a unit failed in it that is to be tried
    again (``units``), when its results were neither published nor refused, when they were refused for being stale while
    the window was live, and it is over, or when it is over and was not smoothed as twin.yaml asks. Every window after a
    pending one is to be materialized too, for the state is handed on: ``live_windows`` and ``new_windows`` give that
    range.

    Windows that begin after ``now`` are not pending yet.
    """
    units = resolve_units(spec, historian)
    if not units or now < grid.first.start:
        return []
    return _Search(historian, store, spec, grid, now, units, fmu_sha256).pending()


def live_windows(
    historian: Historian,
    store: Store,
    spec: TwinSpec,
    grid: WindowGrid,
    now: pd.Timestamp,
    fmu_sha256: str | None = None,
) -> list[Window]:
    """The contiguous range of a live run: from the first pending window, or the one that holds the watermark, to now's.

    Where windows after the watermark's were materialized already (without observations), the newest of them counts in
    its place. Empty only while there is neither telemetry nor any result.
    """
    started = [*pending_windows(historian, store, spec, grid, now, fmu_sha256)[:1], *_newest_result(store, spec, grid)]
    if not started:
        return []
    return grid.between(min(window.start for window in started), grid.containing(now).end)


def new_windows(
    historian: Historian,
    store: Store,
    spec: TwinSpec,
    grid: WindowGrid,
    now: pd.Timestamp,
    fmu_sha256: str | None = None,
) -> list[Window]:
    """The contiguous range that brings all data up to date: from the first pending window to the last one with data.

    Unlike a live run it does not go on to now's window: a recording of last year ends last year. Empty if nothing is
    pending.
    """
    pending = pending_windows(historian, store, spec, grid, now, fmu_sha256)
    if not pending:
        return []
    end = max(window.end for window in (pending[-1], *_newest_result(store, spec, grid)))
    return grid.between(pending[0].start, end)


def _newest_result(store: Store, spec: TwinSpec, grid: WindowGrid) -> list[Window]:
    """The newest window with a filter table: it holds the watermark, or hands it on; none before the first result."""
    newest = (window for key in reversed(store.keys(spec.name, UKF_STATE)) for window in grid.known([key]))
    return [*itertools.islice(newest, 1)]


@dataclass(frozen=True)
class _Search:
    """One look for pending windows."""

    historian: Historian
    store: Store
    spec: TwinSpec
    grid: WindowGrid
    now: pd.Timestamp
    units: tuple[str, ...]
    fmu_sha256: str | None
    _found: dict[tuple[str, ...], Mapping[Window, int]] = field(default_factory=dict, repr=False)

    def pending(self) -> list[Window]:
        arrivals, waited = self._unseen()
        current = self.grid.containing(self.now)
        cursors = _newest_cursors(arrivals, self.grid)
        starts = [window.start for window in (*cursors, *waited) if window.start <= current.start]
        suspects = self.grid.between(min(starts), current.end) if starts else []
        pending = [window for window in suspects if self._is_pending(window, cursors.get(window), window in waited)]
        if not pending:
            later = [window for window in {**cursors, **waited} if window.start > current.start]
            self._remember(arrivals.cursor, [*filter(self._waits, suspects), *later])
        return pending

    def _unseen(self) -> tuple[Arrivals, dict[Window, None]]:
        """What arrived since everything was last up to date, and the windows that were waiting then."""
        properties = channel_properties(self.spec)
        seen = self.store.metadata(self.spec.name, ARRIVALS, SEEN) or {}
        if seen.get(BASIS) == self._basis():
            # One position earlier: the arrival at the position itself, or newer ones in its place, must be found again.
            # Where they are not, the historian is not the one that the position was taken from.
            arrivals = self.historian.arrivals(self.units, properties, int(seen[CURSOR]) - 1)
            if len(arrivals.buckets):
                arrivals = self._with_all_of(set(self.units) - set(json.loads(seen.get(KNOWN, "[]"))), arrivals)
                return arrivals, {self.grid.parse(key): None for key in json.loads(seen[WAITING])}
        return self.historian.arrivals(self.units, properties), {}

    def _with_all_of(self, new: set[str], arrivals: Arrivals) -> Arrivals:
        """Arrivals, and all that ever arrived of units that were not there before, which may be older."""
        if self.spec.named_units is not None or not new:
            return arrivals
        properties = channel_properties(self.spec)
        older = self.historian.arrivals(tuple(sorted(new)), properties).buckets
        whole = self.historian.arrivals(self.units, properties).buckets
        if older.empty or older["start"].min() < self.grid.first.start:
            return Arrivals(arrivals.cursor, whole)
        since = self.grid.containing(older["start"].min()).start
        return Arrivals(arrivals.cursor, whole[(whole["end"] > since)])

    def _remember(self, cursor: int, waiting: Iterable[Window]) -> None:
        """Note that all is done up to a position but for what is waiting for time to pass."""
        keys = sorted({window.key for window in waiting})
        metadata = {BASIS: self._basis(), CURSOR: str(cursor), WAITING: json.dumps(keys)}
        if self.spec.named_units is None:
            metadata[KNOWN] = json.dumps(self.units)
        before = self.store.metadata(self.spec.name, ARRIVALS, SEEN) or {}
        if cursor and {name: before[name] for name in before if name != CONTENT} != metadata:
            self.store.write(self.spec.name, ARRIVALS, SEEN, pd.DataFrame(), metadata)

    def _basis(self) -> str:
        """What the position is about; with another description or FMU all of history is looked at again."""
        about = [described(self.spec, stage) for stage in (*computed(self.spec), PUBLISHED)]
        made_by = fingerprint(self.spec, self.fmu_sha256 or "")
        # Discovered units come and go; what they bring is looked for, and what others brought need not be again.
        channels = channels_text(self.spec, self.spec.named_units or ())
        return json.dumps([self.grid.cron, str(self.grid.start), channels, *about, made_by])

    def _is_pending(self, window: Window, cursor: int | None, waited: bool) -> bool:
        """Whether there is anything to do; cursor: the newest arrival in the window, None where nothing is unseen."""
        telemetry = self.store.metadata(self.spec.name, TELEMETRY, window.key)
        if telemetry is None:
            return cursor is not None or waited
        if self._read_otherwise(window, telemetry[CHANNELS]):
            return True
        if cursor is not None and telemetry[CURSOR] != str(cursor):
            return True
        return self._is_stale(window) or self._is_due(window)

    def _read_otherwise(self, window: Window, channels: str) -> bool:
        """Whether a window was read for others: of discovered units only those matter that have samples in it."""
        if self.spec.named_units is not None or channels == channels_text(self.spec, self.units):
            return channels != channels_text(self.spec, self.units)
        then = json.loads(channels)
        if channels_text(self.spec, tuple(then["units"])) != channels:
            return True
        new = tuple(sorted(set(self.units) - set(then["units"])))
        return bool(new) and window in self._windows_of(new)

    def _windows_of(self, units: tuple[str, ...]) -> Mapping[Window, int]:
        if units not in self._found:
            arrivals = self.historian.arrivals(units, channel_properties(self.spec))
            self._found[units] = _newest_cursors(arrivals, self.grid)
        return self._found[units]

    def _is_stale(self, window: Window) -> bool:
        if not all(is_current(self.store, self.spec, stage, window) for stage in computed(self.spec)):
            return True
        if self.fmu_sha256 is not None:
            made_by = (self.store.metadata(self.spec.name, UKF_STATE, window.key) or {}).get(FINGERPRINT)
            if made_by != fingerprint(self.spec, self.fmu_sha256):
                return True
        if any(is_tried_again(self.store.metadata(self.spec.name, stage, window.key)) for stage in TRIED_AGAIN):
            return True
        return not any(is_current(self.store, self.spec, stage, window) for stage in (PUBLISHED, REFUSED))

    def _is_due(self, window: Window) -> bool:
        due = self._due(window)
        return due is not None and due <= self.now

    def _waits(self, window: Window) -> bool:
        return self._due(window) is not None

    def _due(self, window: Window) -> pd.Timestamp | None:
        """When there is something to do though nothing arrives: an observation is complete, the window is over."""
        observed, refused, smoothed = (
            self.store.metadata(self.spec.name, stage, window.key) or {}
            for stage in (OBSERVATIONS, REFUSED, SMOOTHED_COEFFICIENTS)
        )
        times = [
            observed.get(OPEN_UNTIL),
            refused.get(JUDGE_AGAIN),
            smoothed.get(WAITS_UNTIL) if self.spec.smoothing else None,
        ]
        return min((pd.Timestamp(time) for time in times if time is not None), default=None)


def _newest_cursors(arrivals: Arrivals, grid: WindowGrid) -> dict[Window, int]:
    """The newest arrival in each window that has any; a span of arrivals may touch several windows."""
    cursors: dict[Window, int] = {}
    buckets = arrivals.buckets
    if not len(buckets):
        return cursors
    windows = grid.between(buckets["start"].min(), buckets["end"].max())
    starts = pd.DatetimeIndex([window.start for window in windows])
    first = starts.searchsorted(pd.DatetimeIndex(buckets["start"]), side="right") - 1
    beyond = starts.searchsorted(pd.DatetimeIndex(buckets["end"]), side="left")
    for low, high, cursor in zip(first, beyond, buckets["cursor"], strict=True):
        for window in windows[max(int(low), 0) : int(high)]:
            cursors[window] = max(int(cursor), cursors.get(window, 0))
    return cursors
