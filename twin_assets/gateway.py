"""An edge gateway's stand-in: a recording sent live, in order, with the faults of real ones on request.

Belongs here: what is sent when (``planned``, a pure function of recording, faults and seed) and the sending (``send``),
through the Historian protocol alone. Clock and waiting are arguments.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twin_assets.historian import Historian, HistorianError

BATCH_ROWS = 5_000  # a write's
TICK_S = 1.0  # what falls due within it goes into one write
GAP_SAMPLES = 10  # mean length of a dropout, in samples of its series
TRIES = 5  # of a write that the historian cannot take now
PAUSE_S = 2.0  # before the second try; doubled from try to try

Clock = Callable[[], pd.Timestamp]
Wait = Callable[[float], None]


@dataclass(frozen=True)
class Faults:
    """What goes wrong between a machine and its historian. Durations are in the recording's own time.

    Attributes:
        jitter_s: each sample is delivered up to so much later, evenly; so samples overtake each other.
        dropouts: share of samples that are never sent, in gaps of ten samples of a series on average.
        late: share of samples that are held back.
        late_s: for how long at most, evenly from nothing on.
        seed: the same seed, the same faults, at any speed.
    """

    jitter_s: float = 0.0
    dropouts: float = 0.0
    late: float = 0.0
    late_s: float = 3600.0
    seed: int = 0


@dataclass(frozen=True)
class Plan:
    """What is sent, in the order of sending.

    Attributes:
        samples: a historian's SAMPLE_COLUMNS, with recorded times.
        taken_s: when each was measured, seconds after the first sample of the recording, (n,).
        due_s: when each is to be sent, likewise, ascending, (n,).
        late: which of them are held back, (n,).
        dropped: how many are never sent.
        first: time of the recording's first sample.
        lasts_s: from there to its last one.
    """

    samples: pd.DataFrame
    taken_s: NDArray[np.float64]
    due_s: NDArray[np.float64]
    late: NDArray[np.bool_]
    dropped: int
    first: pd.Timestamp
    lasts_s: float


def planned(samples: pd.DataFrame, faults: Faults) -> Plan:
    """When each sample of a recording is sent.

    Args:
        samples: SAMPLE_COLUMNS, ordered by time within each series; at least one.
        faults: what goes wrong.
    """
    rng = np.random.default_rng(faults.seed)
    times = samples["time"].astype("int64").to_numpy()
    taken_s = (times - times.min()) / 1e9
    kept = ~_dropped(samples, faults.dropouts, rng)
    late = rng.random(len(samples)) < faults.late
    due_s = taken_s + faults.jitter_s * rng.random(len(samples))
    due_s += np.where(late, faults.late_s * rng.random(len(samples)), 0.0)
    order = np.argsort(due_s, kind="stable")
    order = order[kept[order]]
    chosen = samples.iloc[order].reset_index(drop=True)
    first, lasts_s = samples["time"].min(), float(taken_s.max())
    return Plan(chosen, taken_s[order], due_s[order], late[order], int((~kept).sum()), first, lasts_s)


def _dropped(samples: pd.DataFrame, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which samples fall into gaps: a chain of two states along each series, whose stationary share is the one asked.

    Gaps last ten samples on average; where that cannot be (a share of all but everything), longer.
    """
    if share <= 0.0:
        return np.zeros(len(samples), dtype=bool)
    ends = 1.0 / max(GAP_SAMPLES, share / max(1.0 - share, 1e-12))
    begins = min(1.0, ends * share / max(1.0 - share, 1e-12))
    dropped = np.zeros(len(samples), dtype=bool)
    for places in samples.groupby(["unit", "property"], observed=True, sort=True).indices.values():
        chance, gone = rng.random(len(places)), rng.random() < share
        for place, dice in zip(places, chance, strict=True):
            dropped[place] = gone
            gone = dice >= ends if gone else dice < begins
    return dropped


@dataclass
class Sent:
    """What became of a recording.

    Attributes:
        samples: how many were sent and taken.
        late: how many of those had been held back.
        dropped: how many were never sent, by the faults asked for.
        unsent: how many are left because the sending was stopped.
        rejected: how many the historian refused.
        reasons: reason -> how many it refused for it.
        first: first time sent, as the historian has it.
        last: last one.
    """

    samples: int = 0
    late: int = 0
    dropped: int = 0
    unsent: int = 0
    rejected: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    first: pd.Timestamp | None = None
    last: pd.Timestamp | None = None


def shift_of(plan: Plan, begin: pd.Timestamp, speed: float) -> pd.Timedelta:
    """What is added to recorded times, so that none lies in the future when it is sent, and intervals stay.

    At speed 1 the first sample is of now. Faster, the past catches up: the last sample is of the time it is sent at.
    Slower, times fall behind.
    """
    ahead_s = max(0.0, plan.lasts_s - plan.lasts_s / speed)
    return pd.Timedelta(begin - plan.first - pd.Timedelta(ahead_s, "s")).as_unit("ns")


class Gateway:
    """Sends a plan. ``send`` may be interrupted; ``flush`` then sends what is held back and measured already."""

    def __init__(
        self,
        historian: Historian,
        plan: Plan,
        speed: float,
        *,
        keep_times: bool,
        clock: Clock,
        wait: Wait,
        advance: Callable[[int], None] = lambda _: None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Begin now.

        Args:
            historian: takes the samples.
            plan: at least one sample.
            speed: seconds of the recording to a second of the clock.
            keep_times: send recorded times as they are.
            clock: what is now, UTC.
            wait: waits so many seconds.
            advance: told how many samples are through.
            say: told what goes wrong.
        """
        self._historian, self._plan, self._speed = historian, plan, speed
        self._clock, self._wait, self._advance, self._say = clock, wait, advance, say
        self._begin = clock().as_unit("ns")
        self._shift = pd.Timedelta(0) if keep_times else shift_of(plan, self._begin, speed)
        self._open = np.ones(len(plan.samples), dtype=bool)
        self.sent = Sent(dropped=plan.dropped, unsent=len(plan.samples))

    def send(self) -> None:
        """Send all, each when it is due.

        Raises:
            HistorianError: if the historian could not take a write, several times in a row.
        """
        due_s, through = self._plan.due_s, 0
        while through < len(due_s):
            reached = int(np.searchsorted(due_s, self._elapsed_s(), side="right"))
            for first in range(through, reached, BATCH_ROWS):
                self._write(np.arange(first, min(first + BATCH_ROWS, reached)))
            through = reached
            if through < len(due_s):
                self._wait(max(TICK_S, (due_s[through] - self._elapsed_s()) / self._speed))

    def flush(self) -> None:
        """Send what is held back, or still on its way, of what was measured so far; as ``send``."""
        behind = np.flatnonzero(self._open & (self._plan.taken_s <= self._elapsed_s()))
        for first in range(0, len(behind), BATCH_ROWS):
            self._write(behind[first : first + BATCH_ROWS])

    def _elapsed_s(self) -> float:
        return float((self._clock() - self._begin) / pd.Timedelta(1, "s")) * self._speed

    def _write(self, places: NDArray[np.int64]) -> None:
        batch = self._plan.samples.iloc[places]
        batch = batch.assign(time=(batch["time"] + self._shift).astype("datetime64[ns, UTC]"))
        rejected = self._written(batch)
        self._open[places] = False
        sent, refused = self.sent, len(rejected)
        sent.samples += len(batch) - refused
        sent.late += int((self._plan.late[places] & ~batch.index.isin(rejected.index)).sum())
        sent.unsent -= len(batch)
        sent.rejected += refused
        for reason, count in rejected["reason"].value_counts().items():
            sent.reasons[str(reason)] = sent.reasons.get(str(reason), 0) + int(count)
        taken = batch["time"][~batch.index.isin(rejected.index)]
        if len(taken):
            sent.first = min(taken.min(), sent.first or taken.min())
            sent.last = max(taken.max(), sent.last or taken.max())
        self._advance(len(self._plan.samples) - sent.unsent)

    def _written(self, batch: pd.DataFrame) -> pd.DataFrame:
        """What was rejected. A gateway keeps what could not be delivered: writing twice is writing once."""
        for attempt in range(1, TRIES):
            try:
                return self._historian.write(batch).rejected
            except HistorianError as error:
                pause_s = PAUSE_S * 2 ** (attempt - 1)
                self._say(f"{error} Trying again in {pause_s:g} s.")
                self._wait(pause_s)
        return self._historian.write(batch).rejected
