"""The gateway's stand-in: what is sent, when, with which times, and what becomes of faults; on the test's clock."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from twin_assets.gateway import PAUSE_S, TRIES, Faults, Gateway, planned
from twin_assets.historian import HistorianError, SqlHistorian, WriteReport

RECORDED = pd.Timestamp("2020-03-01T06:00", tz="UTC")
BEGIN = pd.Timestamp("2026-01-01", tz="UTC")
EVER = pd.Timestamp("2000-01-01", tz="UTC"), pd.Timestamp("2100-01-01", tz="UTC")


def recorded(count: int = 100, every_s: float = 10.0, properties: tuple[str, ...] = ("x", "y")) -> pd.DataFrame:
    """Samples of two properties, as a recording has them: by series, then by time."""
    times = pd.date_range(RECORDED, periods=count, freq=pd.Timedelta(every_s, "s")).as_unit("ns")
    parts = [
        pd.DataFrame({"unit": "line", "property": name, "time": times, "value": np.arange(count, dtype=float)})
        for name in properties
    ]
    return pd.concat(parts, ignore_index=True).assign(quality="GOOD")


@dataclass
class Clock:
    """Stands still but while somebody waits; may be interrupted then."""

    now: pd.Timestamp = BEGIN
    interrupt_at: pd.Timestamp = EVER[1]

    def __call__(self) -> pd.Timestamp:
        """What is now."""
        return self.now

    def wait(self, seconds: float) -> None:
        """Go on at once."""
        assert seconds > 0
        self.now += pd.Timedelta(seconds, "s")
        if self.now >= self.interrupt_at:
            self.interrupt_at = EVER[1]
            raise KeyboardInterrupt


@dataclass
class Watched(SqlHistorian):
    """A historian that remembers when what was written; may refuse to be used for some writes."""

    path: Path
    clock: Clock
    fails: int = 0
    writes: list[tuple[pd.Timestamp, pd.DataFrame]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(f"sqlite:///{self.path}", clock=self.clock)

    def write(self, samples: pd.DataFrame) -> WriteReport:
        """See Historian."""
        if self.fails:
            self.fails -= 1
            raise HistorianError("the historian is away.")
        self.writes.append((self.clock.now, samples))
        return super().write(samples)

    def held(self) -> pd.DataFrame:
        """All samples."""
        return self.read(("line",), ("x", "y"), *EVER)


@pytest.fixture(name="clock")
def _clock() -> Clock:
    return Clock()


@pytest.fixture(name="historian")
def _historian(tmp_path: Path, clock: Clock) -> Iterator[Watched]:
    with Watched(tmp_path / "historian.sqlite", clock) as historian:
        yield historian


MakeGateway = Callable[..., Gateway]


@pytest.fixture(name="gateway")
def _gateway(historian: Watched, clock: Clock) -> MakeGateway:
    def make(samples: pd.DataFrame, faults: Faults | None = None, speed: float = 1.0, *, keep: bool = False) -> Gateway:
        plan = planned(samples, faults or Faults())
        return Gateway(historian, plan, speed, keep_times=keep, clock=clock, wait=clock.wait)

    return make


def test_at_speed_one_each_sample_is_of_the_time_it_is_sent_at(gateway: MakeGateway, historian: Watched) -> None:
    """In order, to the second in which writes are gathered, with the intervals of the recording."""
    sending = gateway(recorded(30))
    sending.send()
    for now, batch in historian.writes:
        age = now - batch["time"]
        assert age.min() >= pd.Timedelta(0)
        assert age.max() <= pd.Timedelta(1, "s")
    sent = pd.concat([batch for _, batch in historian.writes])["time"]
    assert sent.is_monotonic_increasing
    expected = recorded(30).assign(time=lambda frame: frame["time"] - RECORDED + BEGIN)
    pd.testing.assert_frame_equal(historian.held(), expected, check_dtype=False)
    assert (sending.sent.samples, sending.sent.unsent) == (60, 0)
    assert (sending.sent.first, sending.sent.last) == (BEGIN, BEGIN + pd.Timedelta(290, "s"))


def test_faster_it_catches_up_with_now(gateway: MakeGateway, historian: Watched, clock: Clock) -> None:
    """Thirty times as fast: 990 s in 33 s; intervals stay, nothing lies in the future, the last sample is of now."""
    gateway(recorded(), speed=30.0).send()
    assert clock.now - BEGIN <= pd.Timedelta(35, "s")
    assert len(historian.writes) > 10
    ages = [now - batch["time"].max() for now, batch in historian.writes]
    assert min(ages) >= pd.Timedelta(0)
    assert ages[-1] <= pd.Timedelta(1, "s")
    times = historian.held().query("property == 'x'")["time"]
    assert times.diff().dropna().unique().tolist() == [pd.Timedelta(10, "s")]


def test_slower_nothing_lies_in_the_future(gateway: MakeGateway, historian: Watched, clock: Clock) -> None:
    """Half as fast: twice as long, times falling behind."""
    gateway(recorded(20), speed=0.5).send()
    assert clock.now - BEGIN >= pd.Timedelta(380, "s")
    assert min(now - batch["time"].max() for now, batch in historian.writes) >= pd.Timedelta(0)


def test_recorded_times_may_be_kept(gateway: MakeGateway, historian: Watched) -> None:
    """What is sent is then the recording itself."""
    gateway(recorded(), speed=1000.0, keep=True).send()
    pd.testing.assert_frame_equal(historian.held(), recorded(), check_dtype=False)


def test_nanoseconds_stay(gateway: MakeGateway, historian: Watched) -> None:
    """The shift is exact, so intervals of a nanosecond are intervals of a nanosecond."""
    samples = recorded(2).assign(time=lambda frame: frame["time"] + pd.Timedelta(1, "ns") * frame.index)
    gateway(samples, speed=7.0).send()
    times = historian.held()["time"]
    assert (times.iloc[3] - times.iloc[0]) == pd.Timedelta(10, "s") + pd.Timedelta(3, "ns")


def test_late_samples_are_held_back_and_all_arrive(gateway: MakeGateway, historian: Watched) -> None:
    """The share asked for, no longer than asked for; the others on time; in the end the historian lacks nothing."""
    samples, faults = recorded(2000), Faults(late=0.2, late_s=600.0, seed=1)
    plan = planned(samples, faults)
    delay_s = plan.due_s - plan.taken_s
    assert np.array_equal(delay_s > 0, plan.late)
    assert 0.0 < delay_s[plan.late].mean() < delay_s.max() <= 600.0
    # Four standard deviations of a binomial share of 4,000 samples.
    assert abs(plan.late.mean() - 0.2) < 4 * np.sqrt(0.2 * 0.8 / 4000)
    sending = gateway(samples, faults, speed=2000.0)
    sending.send()
    assert not pd.concat([batch for _, batch in historian.writes])["time"].is_monotonic_increasing
    assert len(historian.held()) == sending.sent.samples == 4000
    assert sending.sent.late == plan.late.sum()


def test_dropouts_are_gaps_of_the_share_asked_for() -> None:
    """Never sent; runs of ten samples of a series on average, not single ones."""
    samples = recorded(20_000)
    plan = planned(samples, Faults(dropouts=0.2, seed=2))
    assert plan.dropped + len(plan.samples) == 40_000
    assert abs(plan.dropped / 40_000 - 0.2) < 0.03
    there = samples["time"].isin(plan.samples.query("property == 'x'")["time"])[:20_000].to_numpy()
    starts = int((np.diff(there.astype(int)) == -1).sum())
    assert 8.0 < (~there).sum() / starts < 12.0
    assert planned(samples, Faults(dropouts=1.0)).samples.empty
    assert abs(planned(samples, Faults(dropouts=0.97)).dropped / 40_000 - 0.97) < 0.02


def test_jitter_lets_samples_overtake_each_other() -> None:
    """Each is delivered within the time asked for; order of arrival differs from order of measurement."""
    plan = planned(recorded(300), Faults(jitter_s=60.0, seed=3))
    delay_s = plan.due_s - plan.taken_s
    assert 0.0 <= delay_s.min() < delay_s.max() <= 60.0
    assert (np.diff(plan.due_s) >= 0).all()
    assert not plan.samples["time"].is_monotonic_increasing
    assert len(plan.samples) == 600


def test_the_same_seed_has_the_same_faults() -> None:
    """At any speed, since faults are planned in the recording's own time; another seed has others."""
    faults = Faults(jitter_s=5.0, dropouts=0.1, late=0.1, seed=4)
    one, again, other = (planned(recorded(), each) for each in (faults, faults, replace(faults, seed=5)))
    assert one.samples.equals(again.samples)
    assert np.array_equal(one.due_s, again.due_s)
    assert not np.array_equal(one.due_s, other.due_s)


def test_what_is_held_back_is_sent_when_it_is_stopped(gateway: MakeGateway, historian: Watched, clock: Clock) -> None:
    """All that was measured until then is there, though late; nothing that was measured after it."""
    clock.interrupt_at = BEGIN + pd.Timedelta(300, "s")
    sending = gateway(recorded(), Faults(late=0.5, late_s=5000.0))
    with pytest.raises(KeyboardInterrupt):
        sending.send()
    before = len(historian.held())
    sending.flush()
    assert before < len(historian.held())
    stopped = int((clock.now - BEGIN).total_seconds() // 10) + 1
    assert len(historian.held()) == 2 * stopped
    assert sending.sent.unsent == 200 - 2 * stopped


def test_what_could_not_be_delivered_is_delivered_again(gateway: MakeGateway, historian: Watched, clock: Clock) -> None:
    """A historian that is away for a while misses nothing; one that stays away ends it, and says so."""
    historian.fails = TRIES - 1
    sending = gateway(recorded(10))
    sending.send()
    assert len(historian.held()) == 20
    assert clock.now - BEGIN > pd.Timedelta(PAUSE_S * (2 ** (TRIES - 1) - 1), "s")
    historian.fails = TRIES
    with pytest.raises(HistorianError, match="is away"):
        gateway(recorded(10)).send()


def test_what_is_refused_is_counted_with_its_reason(gateway: MakeGateway, historian: Watched) -> None:
    """The others are there."""
    samples = recorded(10).assign(value=[np.inf, *range(19)])
    sending = gateway(samples)
    sending.send()
    assert (sending.sent.samples, sending.sent.rejected, sending.sent.unsent) == (19, 1, 0)
    assert sending.sent.reasons == {"the value is no finite number": 1}
    assert len(historian.held()) == 19


def test_a_large_recording_goes_in_small_writes(gateway: MakeGateway, historian: Watched) -> None:
    """However much is due at once."""
    gateway(recorded(6000), speed=1e9).send()
    assert max(len(batch) for _, batch in historian.writes) <= 5000
    assert len(historian.held()) == 12_000
