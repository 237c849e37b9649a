"""What is to do now: nothing is overlooked, nothing is done for ever, whatever arrives, changes or crashes."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from twin_assets.historian import SqlHistorian
from twin_assets.model import Floats, PredictiveModel
from twin_assets.spec import TwinSpec
from twin_assets.stages import (
    CALIBRATED_COEFFICIENTS,
    OBSERVATIONS,
    PUBLISHED,
    REFUSED,
    SMOOTHED_COEFFICIENTS,
    TELEMETRY,
    UKF_STATE,
    VIRTUAL_SENSORS,
)
from twin_assets.stages.holding import held_table
from twin_assets.stages.lineage import is_current, made_from
from twin_assets.stages.live import live_windows, new_windows, pending_windows
from twin_assets.stages.observations import observe, telemetry_windows
from twin_assets.stages.publish import publish_window, published_properties, published_samples
from twin_assets.stages.refusals import JUDGE_AGAIN
from twin_assets.stages.results import virtual_sensors_table
from twin_assets.stages.smoothing import smoothed_table
from twin_assets.stages.states import previous_state
from twin_assets.stages.tables import load
from twin_assets.stages.telemetry import read_telemetry, resolve_units
from twin_assets.stages.ukf import assimilate
from twin_assets.store import Store
from twin_assets.windows import Window, WindowGrid

FLOW = (TELEMETRY, OBSERVATIONS, UKF_STATE, CALIBRATED_COEFFICIENTS, VIRTUAL_SENSORS, PUBLISHED)
HOURLY = {"every": "1h"}
Recorded = Callable[..., pd.DataFrame]


def utc(text: str) -> pd.Timestamp:
    """A UTC time."""
    return pd.Timestamp(text, tz="UTC")


@dataclass
class Line:
    """The whole flow without Dagster: stage by stage over the windows of a run, as the assets do it."""

    historian: SqlHistorian
    store: Store
    spec: TwinSpec
    model: PredictiveModel
    fmu: str = "f"

    @property
    def grid(self) -> WindowGrid:
        """Its windows."""
        return WindowGrid.of(self.spec)

    def pending(self, now: str) -> list[str]:
        """Keys of the pending windows."""
        found = pending_windows(self.historian, self.store, self.spec, self.grid, utc(now), self.fmu)
        return [window.key for window in found]

    def live(self, now: str) -> list[str]:
        """Keys of a live run."""
        return [w.key for w in live_windows(self.historian, self.store, self.spec, self.grid, utc(now))]

    def run(self, now: str, stages: tuple[str, ...] = FLOW) -> list[str]:
        """A live run, or its first stages only; returns the keys."""
        windows = live_windows(self.historian, self.store, self.spec, self.grid, utc(now), self.fmu)
        beside = (SMOOTHED_COEFFICIENTS,) if self.spec.smoothing and stages == FLOW else ()
        for stage in (*stages, *beside):
            for window in windows:
                self.materialize(stage, window, utc(now))
        return [window.key for window in windows]

    def save(self, stage: str, window: Window, frame: pd.DataFrame, metadata: Mapping[str, str]) -> None:
        """Write a table with its lineage."""
        found = {**metadata, **made_from(self.store, self.spec, stage, window)}
        self.store.write(self.spec.name, stage, window.key, frame, found)

    def rows(self, stage: str, window: Window) -> pd.DataFrame:
        """A table that must be there."""
        frame = self.store.read(self.spec.name, stage, window.key)
        assert frame is not None
        return frame

    def materialize(self, stage: str, window: Window, now: pd.Timestamp) -> None:
        """One stage of one window."""
        units = resolve_units(self.spec, self.historian)
        existing = load(self.store, self.spec.name, stage, window.key)
        if stage == TELEMETRY:
            read = read_telemetry(self.historian, self.spec, units, window)
            self.save(stage, window, read.frame, dict(read.metadata))
        elif stage == OBSERVATIONS:
            keys = [w.key for w in telemetry_windows(self.spec, self.grid, window)]
            observed = observe(self.spec, units, window, self.store.read_many(self.spec.name, TELEMETRY, keys), now)
            self.save(stage, window, observed.frame, dict(observed.metadata))
        elif stage == UKF_STATE:
            result = assimilate(
                self.spec,
                self.model,
                self.rows(OBSERVATIONS, window),
                fmu_sha256=self.fmu,
                existing=existing,
                previous=previous_state(self.store, self.spec, window),
            )
            self.save(stage, window, result.frame, dict(result.metadata))
        elif stage == CALIBRATED_COEFFICIENTS:
            self.save(stage, window, *held_table(self.store, self.spec, window, self.rows(UKF_STATE, window)))
        elif stage == SMOOTHED_COEFFICIENTS:
            self.save(stage, window, *smoothed_table(self.spec, window, self.rows(UKF_STATE, window), now))
        elif stage == VIRTUAL_SENSORS:
            state, observations = self.rows(UKF_STATE, window), self.rows(OBSERVATIONS, window)
            table = virtual_sensors_table(self.spec, self.model, state, observations, existing=existing)
            self.save(stage, window, table.frame, dict(table.metadata))
        else:
            results = [self.rows(name, window) for name in (CALIBRATED_COEFFICIENTS, VIRTUAL_SENSORS)]
            publish_window(self.historian, self.store, self.spec, window, published_samples(self.spec, *results))

    def content(self) -> Mapping[str, str]:
        """Digest of every table of every stage, and of what the states hand on."""
        return {
            f"{stage}/{key}": str({name: found[name] for name in ("content", "state_digest") if name in found})
            for stage in FLOW
            for key in self.store.keys(self.spec.name, stage)
            if (found := self.store.metadata(self.spec.name, stage, key)) is not None
        }

    def published(self) -> pd.DataFrame:
        """Everything that the historian holds under the names of results."""
        names = tuple(published_properties(self.spec).values())
        return self.historian.read((self.spec.name,), names, utc("2026-01-01"), utc("2026-02-01"))


@pytest.fixture
def make_line(
    tmp_path: Path, make_spec: Callable[..., TwinSpec], model: PredictiveModel
) -> Iterator[Callable[[str], Line]]:
    """Lines with a historian and a store of their own."""
    opened = []

    def make(name: str = "line") -> Line:
        (tmp_path / name).mkdir()
        opened.append(SqlHistorian.sqlite(tmp_path / name / "historian.sqlite"))
        return Line(opened[-1], Store(tmp_path / name / "store"), make_spec(align=HOURLY), model)

    yield make
    for historian in opened:
        historian.close()


@pytest.fixture
def line(make_line: Callable[[str], Line]) -> Line:
    """One line."""
    return make_line("line")


def test_nothing_is_to_do_without_telemetry(line: Line, make_spec: Callable[..., TwinSpec]) -> None:
    """No telemetry, no unit, a clock before the first window: nothing, and nothing is written."""
    assert line.pending("2026-01-02 12:00") == line.live("2026-01-02 12:00") == []
    assert line.pending("2019-01-02 12:00") == []
    line.spec = make_spec(units="discovered")
    assert line.pending("2026-01-02 12:00") == []
    assert line.store.keys("pump", "arrivals") == ()


def test_after_a_run_nothing_is_to_do(line: Line, recorded: Recorded) -> None:
    """Windows with new samples are pending until they went through all stages; the results count as no news."""
    line.historian.write(recorded("2026-01-01 12:00", "2026-01-02 06:00"))
    assert line.pending("2026-01-02 06:00") == ["2026-01-01", "2026-01-02"]
    assert line.run("2026-01-02 06:00") == ["2026-01-01", "2026-01-02"]
    assert line.pending("2026-01-02 06:00") == []
    assert line.pending("2026-01-02 06:00") == []
    assert line.live("2026-01-02 06:00") == ["2026-01-02"]
    before = line.content()
    line.run("2026-01-02 06:00")
    assert line.content() == before


def test_outage_of_three_days_is_four_windows(line: Line, recorded: Recorded) -> None:
    """The next run goes from the watermark's window to the current one, whether or not data was buffered meanwhile."""
    line.historian.write(recorded("2026-01-01 00:00", "2026-01-01 12:00"))
    line.run("2026-01-01 12:00")
    expected = ["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04"]
    assert line.live("2026-01-04 09:00") == expected
    line.historian.write(recorded("2026-01-01 12:00", "2026-01-04 09:00"))
    assert line.pending("2026-01-04 09:00") == expected
    assert line.run("2026-01-04 09:00") == expected
    assert line.pending("2026-01-04 09:00") == []


def test_late_data_starts_where_it_belongs(line: Line, make_line: Callable[[str], Line], recorded: Recorded) -> None:
    """Its window and all after it are done again, and end as if it had been in time; earlier ones are left alone."""
    samples = recorded("2026-01-01", "2026-01-04 12:00")
    late = samples["time"].between(utc("2026-01-02 10:00"), utc("2026-01-02 11:00"))
    line.historian.write(samples[~late])
    line.run("2026-01-04 12:00")
    assert line.pending("2026-01-04 12:00") == []
    line.historian.write(samples[late])
    assert line.pending("2026-01-04 12:00") == ["2026-01-02"]
    assert line.run("2026-01-04 12:00") == ["2026-01-02", "2026-01-03", "2026-01-04"]
    assert line.pending("2026-01-04 12:00") == []
    whole = make_line("whole")
    whole.historian.write(samples)
    whole.run("2026-01-04 12:00")
    assert line.content() == whole.content()


def test_later_windows_are_stale_when_only_one_was_replayed(line: Line, recorded: Recorded) -> None:
    """A person materializes the late window alone: the ones after it have another state to start from."""
    line.historian.write(recorded("2026-01-01", "2026-01-03 12:00"))
    line.run("2026-01-03 12:00")
    assert line.pending("2026-01-03 12:00") == []
    line.historian.write(recorded("2026-01-01 06:00", "2026-01-01 07:00").assign(value=3.3))
    for stage in FLOW:
        line.materialize(stage, line.grid.parse("2026-01-01"), utc("2026-01-03 12:00"))
    assert line.pending("2026-01-03 12:00") == ["2026-01-02"]
    line.run("2026-01-03 12:00")
    assert line.pending("2026-01-03 12:00") == []


@pytest.mark.parametrize("reached", range(len(FLOW)))
def test_crash_between_stages_is_noticed(
    line: Line, make_line: Callable[[str], Line], recorded: Recorded, reached: int
) -> None:
    """First run or later one, whatever stage it reached: the windows stay pending, the next run ends the same."""
    for name, end in (("2026-01-02 06:00", "2026-01-02 06:00"), ("2026-01-02 18:00", "2026-01-02 18:00")):
        line.historian.write(recorded("2026-01-01 18:00", end))
        pending = line.pending(name)
        line.run(name, FLOW[:reached])
        assert line.pending(name) == pending
        line.run(name)
        assert line.pending(name) == []
    whole = make_line("whole")
    whole.historian.write(recorded("2026-01-01 18:00", "2026-01-02 18:00"))
    whole.run("2026-01-02 18:00")
    assert line.content() == whole.content()


def test_refused_window_is_settled(line: Line, recorded: Recorded) -> None:
    """A refusal is no crash: the window is not tried again until its results change."""
    line.historian.write(recorded("2026-01-01", "2026-01-01 12:00"))
    line.run("2026-01-01 12:00", FLOW[:-1])
    assert line.pending("2026-01-01 12:00") == ["2026-01-01"]
    line.save(REFUSED, line.grid.parse("2026-01-01"), pd.DataFrame({"name": ["finite"]}), {})
    assert line.pending("2026-01-01 12:00") == []
    line.historian.write(recorded("2026-01-01 12:00", "2026-01-01 13:00"))
    line.run("2026-01-01 13:00", FLOW[:-1])
    assert line.pending("2026-01-01 13:00") == ["2026-01-01"]


def test_refusal_for_staleness_ends_with_the_window(line: Line, recorded: Recorded) -> None:
    """It is settled while the window is live, however often one looks, and is looked at again when that is over."""
    day = line.grid.parse("2026-01-01")
    line.historian.write(recorded("2026-01-01", "2026-01-01 12:00"))
    line.run("2026-01-01 20:00", FLOW[:-1])
    line.save(REFUSED, day, pd.DataFrame({"name": ["freshness"]}), {JUDGE_AGAIN: day.end.isoformat()})
    assert line.pending("2026-01-01 20:00") == line.pending("2026-01-01 23:59") == []
    assert line.pending("2026-01-02 00:00") == line.pending("2026-01-05 00:00") == ["2026-01-01"]
    line.materialize(PUBLISHED, day, utc("2026-01-05"))
    assert line.pending("2026-01-05 00:00") == []


def test_observation_that_became_complete_is_pending(line: Line, recorded: Recorded) -> None:
    """Nothing arrives any more: the last observation is due as soon as its time has passed, also over midnight."""
    line.historian.write(recorded("2026-01-01 20:00", "2026-01-02"))
    line.run("2026-01-01 23:55")
    assert line.pending("2026-01-01 23:59") == []
    assert line.pending("2026-01-02 00:00") == ["2026-01-01"]
    line.run("2026-01-02 00:00")
    assert line.pending("2026-01-02 00:00") == []
    assert len(line.rows(UKF_STATE, line.grid.parse("2026-01-01"))) == 4


def test_sample_of_the_next_window_waits_for_it(line: Line, recorded: Recorded) -> None:
    """A clock that is ahead puts a sample into tomorrow: not pending today, not forgotten tomorrow."""
    line.historian.write(recorded("2026-01-01 20:00", "2026-01-02 00:10"))
    line.run("2026-01-01 23:59")
    assert line.pending("2026-01-01 23:59") == []
    assert "2026-01-02" in line.pending("2026-01-02 00:05")


def test_new_channel_is_read_for_old_windows(
    line: Line, make_spec: Callable[..., TwinSpec], recorded: Recorded
) -> None:
    """A measurement that is added to the spec was recorded long ago: its windows are pending."""
    line.historian.write(recorded("2026-01-01", "2026-01-02 12:00"))
    both = line.spec
    line.spec = make_spec(measurements=[both.measurements[0]], align=HOURLY)
    line.model = _Narrow()
    line.run("2026-01-02 12:00")
    assert line.pending("2026-01-02 12:00") == []
    line.spec = both
    assert line.pending("2026-01-02 12:00") == ["2026-01-01", "2026-01-02"]


def test_replaced_historian_is_noticed(line: Line, make_line: Callable[[str], Line], recorded: Recorded) -> None:
    """A new historian counts anew: what it holds is pending where it differs from what was read."""
    for hour in range(6):
        line.historian.write(recorded(f"2026-01-01 {hour:02}:00", f"2026-01-01 {hour + 1:02}:00"))
    line.run("2026-01-01 06:00")
    assert line.pending("2026-01-01 06:00") == []
    line.historian = make_line("replaced").historian
    line.historian.write(recorded("2026-01-01", "2026-01-01 06:00", seed=2))
    assert line.pending("2026-01-01 06:00") == ["2026-01-01"]


def test_changed_windows_start_anew(line: Line, make_spec: Callable[..., TwinSpec], recorded: Recorded) -> None:
    """Tables of days do not stand for hours, nor in their way."""
    line.historian.write(recorded("2026-01-01 20:00", "2026-01-01 22:00"))
    line.run("2026-01-01 22:00")
    line.spec = make_spec(window="hourly", align=HOURLY)
    assert line.pending("2026-01-01 22:00") == ["2026-01-01T2000", "2026-01-01T2100"]
    assert line.live("2026-01-01 22:00") == ["2026-01-01T2000", "2026-01-01T2100", "2026-01-01T2200"]
    line.run("2026-01-01 22:00")
    assert line.pending("2026-01-01 22:00") == []


def test_recording_of_the_past_ends_in_the_past(line: Line, recorded: Recorded) -> None:
    """What is new ends with the data; a live run goes on to now."""
    line.historian.write(recorded("2026-01-01", "2026-01-03"))
    new = new_windows(line.historian, line.store, line.spec, line.grid, utc("2026-02-01"))
    assert [window.key for window in new] == ["2026-01-01", "2026-01-02"]
    assert len(line.live("2026-01-20")) == 20
    line.run("2026-01-05")
    assert new_windows(line.historian, line.store, line.spec, line.grid, utc("2026-01-05")) == []


def test_unread_window_in_between_is_not_pending(line: Line, recorded: Recorded) -> None:
    """A day without samples has nothing to do by itself; a run passes through it."""
    line.historian.write(recorded("2026-01-01", "2026-01-01 06:00"))
    line.historian.write(recorded("2026-01-03", "2026-01-03 06:00"))
    assert line.pending("2026-01-03 06:00") == ["2026-01-01", "2026-01-03"]
    assert line.run("2026-01-03 06:00") == ["2026-01-01", "2026-01-02", "2026-01-03"]
    assert is_current(line.store, line.spec, PUBLISHED, line.grid.parse("2026-01-02"))


@pytest.mark.parametrize(("seed", "align"), [(0, HOURLY), (1, HOURLY), (2, {"tolerance": "35min"})])
def test_any_order_of_arrival_ends_at_the_same_results(
    line: Line,
    make_line: Callable[[str], Line],
    make_spec: Callable[..., TwinSpec],
    recorded: Recorded,
    seed: int,
    align: Mapping[str, str],
) -> None:
    """Samples arrive hour by hour in a random order, runs crash at random stages: the end is that of one clean run.

    So are the tables, and the published samples: also where late data moves the observations to other times.
    """
    line.spec = make_spec(align=align)
    random = np.random.default_rng(seed)
    samples = recorded("2026-01-01 12:00", "2026-01-03 12:00")
    hours = samples["time"].dt.floor("h")
    pieces = random.permutation(hours.unique())
    for part in np.array_split(pieces, 6):
        line.historian.write(samples[hours.isin(list(part))])
        line.run("2026-01-03 12:00", FLOW[: random.integers(1, len(FLOW) + 1)])
    line.run("2026-01-03 12:00")
    assert line.pending("2026-01-03 12:00") == []
    whole = make_line("whole")
    whole.spec = line.spec
    whole.historian.write(samples)
    whole.run("2026-01-03 12:00")
    assert line.content() == whole.content()
    pd.testing.assert_frame_equal(line.published(), whole.published())


class _Narrow:
    """The pump with its flow meter alone."""

    coefficients = ("wear", "leak")
    inputs = ("speed", "head")
    outputs = ("flow", "torque")

    def evaluate(self, coefficients: Floats, inputs: Floats) -> Floats:
        """See PredictiveModel."""
        (wear, leak), (speed, _head) = coefficients.T, inputs
        return np.stack([speed * (1 - wear), speed * leak], axis=1)


@pytest.mark.parametrize(
    "change",
    [
        {"align": {"every": "2h"}},
        {"measurements": [{"name": "p_out", "noise_std": 0.5}]},
        {"measurements": [{"name": "p_out", "noise_std": 0.1, "valid_range": [0, 5]}]},
        {"coefficients": [{"name": "k", "initial": 1.0, "initial_std": 0.3}]},
        {"checks": {"max_gated_fraction": 0.4}},
    ],
)
def test_another_description_asks_for_all_windows(line: Line, recorded: Recorded, change: dict[str, Any]) -> None:
    """What twin.yaml says otherwise holds for what was computed before, too; after a run nothing is to do again."""
    before = line.spec.model_dump(by_alias=True)
    now = "2026-01-02 06:00"
    line.historian.write(recorded("2026-01-01 12:00", now))
    line.run(now)
    assert line.pending(now) == []
    parts = {name: _merged(before[name], value) for name, value in change.items()}
    line.spec = TwinSpec.model_validate(before | parts)
    assert line.pending(now) == ["2026-01-01", "2026-01-02"]
    line.run(now)
    assert line.pending(now) == []


def test_a_window_is_smoothed_when_it_is_over(line: Line, recorded: Recorded) -> None:
    """Midnight is news for who asked for it, once, though nothing arrives; an idle day after it is none."""
    line.spec = line.spec.model_copy(update={"smoothing": True})
    line.historian.write(recorded("2026-01-01 12:00", "2026-01-02 06:00"))
    line.run("2026-01-02 06:00")
    assert line.pending("2026-01-02 23:59") == []
    assert line.rows(SMOOTHED_COEFFICIENTS, line.grid.parse("2026-01-02")).empty
    assert line.pending("2026-01-03 00:00") == ["2026-01-02"]
    assert line.run("2026-01-03 00:00") == ["2026-01-02", "2026-01-03"]
    assert len(line.rows(SMOOTHED_COEFFICIENTS, line.grid.parse("2026-01-02"))) == 6
    assert line.pending("2026-01-03 00:01") == []
    assert line.pending("2026-01-04 00:01") == []


def test_who_begins_to_ask_for_smoothing_gets_all_that_is_over(line: Line, recorded: Recorded) -> None:
    """All windows are pending, and nothing of what the filter found is another thing after that."""
    now = "2026-01-02 06:00"
    line.historian.write(recorded("2026-01-01 12:00", now))
    line.run(now)
    assert line.pending(now) == []
    days = [line.grid.parse(key) for key in ("2026-01-01", "2026-01-02")]
    before = [line.rows(UKF_STATE, day) for day in days]
    line.spec = line.spec.model_copy(update={"smoothing": True})
    assert line.pending(now) == ["2026-01-01", "2026-01-02"]
    line.run(now)
    assert line.pending(now) == []
    for day, frame in zip(days, before, strict=True):
        pd.testing.assert_frame_equal(line.rows(UKF_STATE, day), frame)


def test_late_data_of_a_smoothed_window_makes_it_stale(line: Line, recorded: Recorded) -> None:
    """What the filter finds otherwise now is looked back at again, in the later windows too."""
    line.spec = line.spec.model_copy(update={"smoothing": True})
    samples = recorded("2026-01-01 12:00", "2026-01-03 06:00")
    late = samples["time"].between(utc("2026-01-01 14:00"), utc("2026-01-01 15:00"))
    line.historian.write(samples[~late])
    line.run("2026-01-03 06:00")
    window = line.grid.parse("2026-01-02")
    before = line.rows(SMOOTHED_COEFFICIENTS, window)
    line.historian.write(samples[late])
    line.run("2026-01-03 06:00", FLOW[:3])
    assert not is_current(line.store, line.spec, SMOOTHED_COEFFICIENTS, window)
    line.run("2026-01-03 06:00")
    assert is_current(line.store, line.spec, SMOOTHED_COEFFICIENTS, window)
    assert not line.rows(SMOOTHED_COEFFICIENTS, window)["wear"].equals(before["wear"])
    assert line.pending("2026-01-03 06:00") == []


def test_what_only_people_see_asks_for_nothing(line: Line, recorded: Recorded) -> None:
    """A new title or schedule leaves results as they are."""
    now = "2026-01-02 06:00"
    line.historian.write(recorded("2026-01-01 12:00", now))
    line.run(now)
    line.spec = line.spec.model_copy(update={"title": "Another", "schedule": "*/5 * * * *"})
    assert line.pending(now) == []


def test_another_fmu_asks_for_all_windows(line: Line, recorded: Recorded) -> None:
    """A new build of the FMU replays what the old one computed, and nothing is to do after that."""
    now = "2026-01-02 06:00"
    line.historian.write(recorded("2026-01-01 12:00", now))
    line.run(now)
    line.fmu = "g"
    assert line.pending(now) == ["2026-01-01", "2026-01-02"]
    line.run(now)
    assert line.pending(now) == []


def _merged(before: Any, value: Any) -> Any:  # noqa: ANN401 - JSON
    """A part of twin.yaml with the first of its entries, or itself, changed."""
    if isinstance(value, list):
        return [{**before[0], **value[0], "name": before[0]["name"]}, *before[1:]]
    return {**before, **value}
