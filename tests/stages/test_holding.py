"""What is published of a coefficient: held until there is evidence, the same bytes however it is cut."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from twin_assets.assets.calibrated_coefficients import columns, news_of
from twin_assets.model import PredictiveModel
from twin_assets.spec import TwinSpec
from twin_assets.stages import CALIBRATED_COEFFICIENTS, UKF_STATE
from twin_assets.stages.holding import HOLDS, as_published, held_table, told_of
from twin_assets.stages.lineage import is_current, made_from
from twin_assets.stages.observations import observe
from twin_assets.stages.publish import published_samples
from twin_assets.stages.results import coefficients_table
from twin_assets.stages.states import previous_state
from twin_assets.stages.tables import load
from twin_assets.stages.ukf import assimilate
from twin_assets.store import Store
from twin_assets.windows import WindowGrid

DAYS = ("2026-01-01", "2026-01-02", "2026-01-03")
NAMES = ("wear", "leak")
MakeSpec = Callable[..., TwinSpec]
Recorded = Callable[..., pd.DataFrame]
Run = Callable[..., pd.DataFrame]


@pytest.fixture
def run(model: PredictiveModel, recorded: Recorded, tmp_path: Path) -> Run:
    """(spec, store, day, now, telemetry) -> the coefficients' table of a window, made as the assets do it."""
    both = pd.concat([recorded(DAYS[0], "2026-01-04"), recorded(DAYS[0], DAYS[1], unit="other", seed=2)])

    def go(
        spec: TwinSpec, store: str, key: str, now: str = "2026-02-01", telemetry: pd.DataFrame = both
    ) -> pd.DataFrame:
        at, where = pd.Timestamp(now, tz="UTC"), Store(tmp_path / store)
        window = WindowGrid.of(spec).parse(key)
        samples = telemetry[telemetry["time"] < at]
        result = assimilate(
            spec,
            model,
            observe(spec, tuple(samples["unit"].unique()), window, samples, at).frame,
            fmu_sha256="f" * 64,
            existing=load(where, "pump", UKF_STATE, key),
            previous=previous_state(where, spec, window),
        )
        beside = made_from(where, spec, UKF_STATE, window)
        where.write("pump", UKF_STATE, key, result.frame, {**result.metadata, **beside})
        table = held_table(where, spec, window, result.frame)
        beside = made_from(where, spec, CALIBRATED_COEFFICIENTS, window)
        where.write("pump", CALIBRATED_COEFFICIENTS, key, table.frame, {**table.metadata, **beside})
        return table.frame

    return go


def _bytes(folder: Path, key: str) -> bytes:
    return Store(folder).path("pump", CALIBRATED_COEFFICIENTS, key).read_bytes()


def _pump(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["unit"] == "pump"]


def test_the_table_holds_beside_what_it_estimates(spec: TwinSpec, run: Run, tmp_path: Path) -> None:
    """What is there without holding is there as before; what is held follows, as the asset describes it."""
    frame = run(spec, "store", DAYS[0])
    state = Store(tmp_path / "store").read("pump", UKF_STATE, DAYS[0])
    assert state is not None
    plain = coefficients_table(spec, state)
    pd.testing.assert_frame_equal(frame[list(plain.columns)], plain)
    assert list(frame.columns) == [name for name, _, _ in columns(spec)]
    assert list(frame.columns)[len(plain.columns) :] == [
        "wear_published",
        "wear_updated",
        "leak_published",
        "leak_updated",
    ]
    assert frame["wear_updated"].dtype == bool


def test_a_held_value_changes_with_news_and_with_nothing_else(spec: TwinSpec, run: Run) -> None:
    """The first row of a unit is news; a row that is news tells its estimate, every other one what was told before."""
    frame = _pump(run(spec, "store", DAYS[0]))
    for name in NAMES:
        held, news = frame[f"{name}_published"].to_numpy(), frame[f"{name}_updated"].to_numpy()
        assert news[0]
        assert (held[news] == frame[name].to_numpy()[news]).all()
        assert (held[1:][~news[1:]] == held[:-1][~news[1:]]).all()
        assert news.sum() < len(frame) / 3


def test_a_wear_that_goes_on_is_followed(spec: TwinSpec, run: Run) -> None:
    """0.002 an hour for three days: what is held is never farther than four standard deviations from the estimate."""
    frame = _pump(pd.concat([run(spec, "store", key) for key in DAYS]))
    assert frame["wear_updated"].sum() > 3
    off = (frame["wear_published"] - frame["wear"]).abs() / frame["wear_std"]
    assert off.max() < 4.0
    assert (off > 1.96).mean() < 0.15


def test_cuts_leave_the_same_bytes(spec: TwinSpec, run: Run, tmp_path: Path) -> None:
    """A day in three runs, and the days after it, are those of one run."""
    for now in ("05:10", "17:59"):
        run(spec, "pieces", DAYS[0], f"2026-01-01 {now}")
    for store in ("pieces", "whole"):
        for key in DAYS:
            run(spec, store, key)
    for key in DAYS:
        assert _bytes(tmp_path / "pieces", key) == _bytes(tmp_path / "whole", key)


def test_windows_go_on_from_each_other(make_spec: MakeSpec, run: Run) -> None:
    """Days or one week: the same values are held, and the same rows are news."""
    weekly = run(make_spec(window="weekly", start="2025-12-29"), "week", "2025-12-29")
    daily = pd.concat([run(make_spec(), "days", key) for key in DAYS])
    week = weekly.sort_values(["unit", "time"], ignore_index=True)
    days = daily.sort_values(["unit", "time"], ignore_index=True)
    for name in NAMES:
        np.testing.assert_array_equal(week[f"{name}_updated"], days[f"{name}_updated"])
        np.testing.assert_allclose(week[f"{name}_published"], days[f"{name}_published"], rtol=1e-9)


def test_what_is_held_of_a_silent_unit_is_handed_on(spec: TwinSpec, run: Run, tmp_path: Path) -> None:
    """The other unit has telemetry on the first day alone; what was told of it is there after the third."""
    frames = [run(spec, "store", key) for key in DAYS]
    found = told_of(Store(tmp_path / "store").metadata("pump", CALIBRATED_COEFFICIENTS, DAYS[2]))
    assert set(frames[2]["unit"]) == {"pump"}
    last = frames[0][frames[0]["unit"] == "other"].iloc[-1]
    assert found["other"].told.tolist() == [last["wear_published"], last["leak_published"]]


def test_units_do_not_know_each_other(spec: TwinSpec, run: Run, recorded: Recorded) -> None:
    """What is held of the pump is the same without the other unit."""
    alone = run(spec, "alone", DAYS[0], telemetry=recorded(DAYS[0], DAYS[1]))
    both = _pump(run(spec, "both", DAYS[0])).reset_index(drop=True)
    pd.testing.assert_frame_equal(both, alone)


def test_late_data_replay_what_is_held(spec: TwinSpec, run: Run, recorded: Recorded, tmp_path: Path) -> None:
    """A gap of the first day is filled after the second: the second day's table is stale, then that of one go."""
    whole = recorded(DAYS[0], "2026-01-03")
    hole = (whole["time"] >= pd.Timestamp("2026-01-01T20:00Z")) & (whole["time"] < pd.Timestamp("2026-01-01T22:00Z"))
    for key in DAYS[:2]:
        run(spec, "late", key, telemetry=whole[~hole])
    run(spec, "late", DAYS[0], telemetry=whole)
    second = WindowGrid.of(spec).parse(DAYS[1])
    assert not is_current(Store(tmp_path / "late"), spec, CALIBRATED_COEFFICIENTS, second)
    run(spec, "late", DAYS[1], telemetry=whole)
    for key in DAYS[:2]:
        run(spec, "fresh", key, telemetry=whole)
        assert _bytes(tmp_path / "late", key) == _bytes(tmp_path / "fresh", key)


def test_another_hold_before_makes_the_next_window_stale(spec: TwinSpec, run: Run, tmp_path: Path) -> None:
    """The filter's tables are the same; what is held before the window is not, so neither is what is held in it."""
    store = Store(tmp_path / "store")
    for key in DAYS[:2]:
        run(spec, "store", key)
    second = WindowGrid.of(spec).parse(DAYS[1])
    assert is_current(store, spec, CALIBRATED_COEFFICIENTS, second)
    found = store.read_with_metadata("pump", CALIBRATED_COEFFICIENTS, DAYS[0])
    assert found is not None
    store.write("pump", CALIBRATED_COEFFICIENTS, DAYS[0], found[0], {**found[1], "state_digest": "another"})
    assert not is_current(store, spec, CALIBRATED_COEFFICIENTS, second)


def test_another_state_space_is_told_anew(make_spec: MakeSpec, run: Run) -> None:
    """With other bounds the filter starts from its prior, and the first estimate is news."""
    run(make_spec(), "store", DAYS[0])
    parts = [part.model_dump(mode="json") for part in make_spec().coefficients]
    other = make_spec(coefficients=[parts[0] | {"bounds": [0, 0.9]}, parts[1]])
    frame = run(other, "store", DAYS[1])
    assert frame[["wear_updated", "leak_updated"]].iloc[0].all()


@pytest.mark.parametrize("field", [{"hold": False}, {"hold_shift": 3.0}, {"hold_threshold": 5.0}])
def test_another_way_to_hold_makes_the_table_stale(
    spec: TwinSpec, make_spec: MakeSpec, run: Run, tmp_path: Path, field: dict[str, object]
) -> None:
    """Switched off, or with other limits: the table is to be made again, the filter's is not."""
    run(spec, "store", DAYS[0])
    store, window, other = Store(tmp_path / "store"), WindowGrid.of(spec).parse(DAYS[0]), make_spec(publish=field)
    assert is_current(store, spec, CALIBRATED_COEFFICIENTS, window)
    assert not is_current(store, other, CALIBRATED_COEFFICIENTS, window)
    assert is_current(store, other, UKF_STATE, window)


def test_what_is_published_is_held_and_its_interval_contains_it(spec: TwinSpec, run: Run) -> None:
    """Under the coefficient's own name; the interval is the newest one, and reaches to what is held if it has to."""
    frame = _pump(run(spec, "store", DAYS[0]))
    samples = published_samples(spec, frame, pd.DataFrame({"unit": [], "time": frame["time"].iloc[:0]}))
    told = samples.pivot_table(index="time", columns="property", values="value")
    for name in NAMES:
        held = frame[f"{name}_published"].to_numpy()
        np.testing.assert_array_equal(told[name], held)
        np.testing.assert_array_equal(told[f"{name}_lower"], np.minimum(frame[f"{name}_lower"], held))
        np.testing.assert_array_equal(told[f"{name}_upper"], np.maximum(frame[f"{name}_upper"], held))
        assert told[name].nunique() < frame[name].nunique() / 3


def test_every_estimate_is_published_where_that_is_asked_for(make_spec: MakeSpec, run: Run, tmp_path: Path) -> None:
    """With hold: false the table is the one of before, without metadata; what is published is what is estimated."""
    spec = make_spec(publish={"hold": False})
    frame = run(spec, "store", DAYS[0])
    assert list(frame.columns) == [name for name, _, _ in columns(spec)]
    assert not [name for name in frame.columns if name.endswith(("_published", "_updated"))]
    assert HOLDS not in (Store(tmp_path / "store").metadata("pump", CALIBRATED_COEFFICIENTS, DAYS[0]) or {})
    assert as_published(spec, frame) is frame
    assert news_of(spec, frame) == {}


def test_tables_of_before_are_published_as_they_are(spec: TwinSpec, make_spec: MakeSpec, run: Run) -> None:
    """A table without held values, of an earlier version, is no error: its estimates are published."""
    old = run(make_spec(publish={"hold": False}), "store", DAYS[0])
    assert as_published(spec, old) is old


def test_news_is_counted(spec: TwinSpec, run: Run) -> None:
    """For people: how many rows of a window brought news, and of what."""
    frame = run(spec, "store", DAYS[0])
    wear, leak = int(frame["wear_updated"].sum()), int(frame["leak_updated"].sum())
    assert news_of(spec, frame) == {"news": wear + leak, "news_of": f"wear: {wear}, leak: {leak}"}
    assert news_of(spec, frame.iloc[:0]) == {"news": 0}
