"""The filter over windows: every observation once, the same bytes however often and in however many runs."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import pytest

from twin_assets.model import EvaluationError, PredictiveModel
from twin_assets.spec import TwinSpec
from twin_assets.stages import UKF_STATE
from twin_assets.stages.fingerprint import fingerprint
from twin_assets.stages.observations import observe
from twin_assets.stages.settings import coefficients_of
from twin_assets.stages.states import previous_key, previous_state, start_state, states_of, watermark
from twin_assets.stages.tables import load
from twin_assets.stages.ukf import UkfResult, assimilate
from twin_assets.store import Store
from twin_assets.windows import WindowGrid

DAYS = ("2026-01-01", "2026-01-02", "2026-01-03")
Recorded = Callable[..., pd.DataFrame]
MakeSpec = Callable[..., TwinSpec]


class Pump(PredictiveModel, Protocol):
    """The pump of conftest: counts its runs, fails on demand."""

    model_runs: int
    fails_above: float


@dataclass
class Bench:
    """Runs windows against a store, as the assets do."""

    spec: TwinSpec
    model: Pump
    store: Store
    telemetry: pd.DataFrame
    units: tuple[str, ...] = ("pump",)
    fmu: str = "f" * 64

    def run(self, key: str, now: str = "2026-02-01") -> UkfResult:
        """Materialize one window's filter table."""
        window = WindowGrid.of(self.spec).parse(key)
        time = pd.Timestamp(now, tz="UTC")
        known = self.telemetry[self.telemetry["time"] < time]
        result = assimilate(
            self.spec,
            self.model,
            observe(self.spec, self.units, window, known, time).frame,
            fmu_sha256=self.fmu,
            existing=load(self.store, "pump", UKF_STATE, key),
            previous=previous_state(self.store, self.spec, window),
        )
        self.store.write("pump", UKF_STATE, key, result.frame, result.metadata)
        return result

    def bytes(self) -> dict[str, bytes]:
        """All filter tables."""
        return {key: self.store.path("pump", UKF_STATE, key).read_bytes() for key in self.store.keys("pump", UKF_STATE)}


@pytest.fixture
def make_bench(spec: TwinSpec, model: Pump, tmp_path: Path, recorded: Recorded) -> Callable[..., Bench]:
    """A bench with a store of its own and three days of telemetry."""

    def make(name: str = "store", telemetry: pd.DataFrame | None = None, units: tuple[str, ...] = ("pump",)) -> Bench:
        known = recorded("2026-01-01", "2026-01-04") if telemetry is None else telemetry
        return Bench(spec, model, Store(tmp_path / name), known, units)

    return make


def run_all(bench: Bench) -> dict[str, bytes]:
    """All days, each in one go."""
    for key in DAYS:
        bench.run(key)
    return bench.bytes()


def test_twice_is_once(make_bench: Callable[..., Bench]) -> None:
    """Materializing again runs no model and changes no byte."""
    bench = make_bench()
    once = run_all(bench)
    runs = bench.model.model_runs
    again = [bench.run(key) for key in DAYS]
    assert bench.bytes() == once
    assert bench.model.model_runs == runs
    assert [(result.kept, result.assimilated, result.model_runs) for result in again] == [(72, 0, 0)] * 3


def test_increments_equal_one_go(make_bench: Callable[..., Bench]) -> None:
    """A day in four runs, each going on after the watermark, is the day in one run, byte for byte."""
    whole, pieces = make_bench("whole"), make_bench("pieces")
    counts = [pieces.run(DAYS[0], f"2026-01-01 {hour}").assimilated for hour in ("05:10", "05:20", "17:59", "23:59")]
    assert counts == [15, 1, 37, 18]
    assert run_all(pieces) == run_all(whole)


def test_rows_that_go_leave_what_a_fresh_run_leaves(make_bench: Callable[..., Bench]) -> None:
    """A table of 37 rows loses its last one: the bytes are those of a run that never saw it, also what is handed on."""
    bench, fresh = make_bench("bench"), make_bench("fresh")
    whole = bench.telemetry
    for one, rows in ((bench, 37), (bench, 36), (fresh, 36)):
        end = pd.Timestamp(DAYS[0], tz="UTC") + rows * pd.Timedelta("20min") - pd.Timedelta("10min")
        one.telemetry = whole[whole["time"] < end]
        assert len(one.run(DAYS[0]).frame) == rows
    assert bench.bytes() == fresh.bytes()


def test_lost_run_is_made_up_for(make_bench: Callable[..., Bench]) -> None:
    """Killed before its table was renamed, a run leaves the earlier table; the next one ends at the same bytes."""
    bench, whole = make_bench("killed"), make_bench("whole")
    bench.run(DAYS[0], "2026-01-01 05:10")
    before = bench.bytes()
    bench.run(DAYS[0], "2026-01-01 12:00")
    bench.store.path("pump", UKF_STATE, DAYS[0]).write_bytes(before[DAYS[0]])
    assert run_all(bench) == run_all(whole)


def test_late_data_replays_from_where_it_belongs(make_bench: Callable[..., Bench]) -> None:
    """Rows before the late sample stay; the rest, and the days after, are as if it had never been late."""
    whole = make_bench("whole")
    late = whole.telemetry["time"].between("2026-01-02 10:00Z", "2026-01-02 10:30Z")
    bench = make_bench("late", telemetry=whole.telemetry[~late])
    run_all(bench)
    bench.telemetry = whole.telemetry
    results = [bench.run(key) for key in DAYS]
    assert [(result.kept, result.assimilated) for result in results] == [(72, 0), (30, 42), (0, 72)]
    assert bench.bytes() == run_all(whole)


def test_corrected_sample_replays(make_bench: Callable[..., Bench]) -> None:
    """Another value at the same time is another observation."""
    bench = make_bench()
    bench.run(DAYS[0])
    changed = (bench.telemetry["time"] == pd.Timestamp("2026-01-01 23:50Z")) & (
        bench.telemetry["property"] == "pressure"
    )
    bench.telemetry.loc[changed, "value"] += 0.01
    result = bench.run(DAYS[0])
    assert (result.kept, result.assimilated) == (71, 1)


@pytest.mark.parametrize("change", ["spec", "fmu", "input"])
def test_another_spec_or_fmu_replays_everything(
    make_bench: Callable[..., Bench], make_spec: MakeSpec, change: str
) -> None:
    """What decides about the posterior is in the digests from the first row on."""
    bench = make_bench()
    bench.run(DAYS[0])
    if change == "fmu":
        bench.fmu = "0" * 64
    elif change == "spec":
        bench.spec = make_spec(checks={"gate_probability": 1e-3})
    else:
        bench.spec = make_spec(inputs=[bench.spec.inputs[0], {"name": "head", "constant": 2.5}])
    result = bench.run(DAYS[0])
    assert (result.kept, result.assimilated) == (0, 72)


def test_what_people_see_does_not_replay(spec: TwinSpec, make_spec: MakeSpec) -> None:
    """Titles, limits, alarms, schedules, descriptions and where an FMU runs leave the fingerprint; noise does not.

    A longest step for the FMU counts where it is given; without it, all is as before there was such a field.
    """
    coefficients = [part.model_copy(update={"limit": 0.4, "description": "wear"}) for part in spec.coefficients]
    model = {"fmu": "pump.fmu", "timeout_s": 5, "isolation": "thread", "recycle_after": 50, "recycle_above_mb": 10}
    seen = make_spec(title="Pump", schedule="0 * * * *", coefficients=coefficients, model=model)
    assert fingerprint(seen, "f") == fingerprint(spec, "f")
    noisy = [part.model_copy(update={"noise_std": 0.2}) for part in spec.measurements]
    assert fingerprint(make_spec(measurements=noisy), "f") != fingerprint(spec, "f")
    for max_step_s, same in ((None, True), (0.001, False)):
        stepped = make_spec(model={"fmu": "pump.fmu", "max_step_s": max_step_s})
        assert (fingerprint(stepped, "f") == fingerprint(spec, "f")) is same


def test_units_do_not_know_each_other(make_bench: Callable[..., Bench], recorded: Recorded) -> None:
    """Late data of one unit leaves every row of the other as it is, and each unit is as if it were alone."""
    both = pd.concat(
        [recorded("2026-01-01", "2026-01-04", unit=unit, seed=seed) for unit, seed in (("a", 1), ("b", 2))]
    )
    late = (both["unit"] == "a") & (both["time"] < pd.Timestamp("2026-01-01 08:00Z"))
    bench = make_bench("both", telemetry=both[~late], units=("a", "b"))
    bench.run(DAYS[0])
    bench.telemetry = both
    result = bench.run(DAYS[0])
    assert (result.kept, result.assimilated) == (72, 72)
    alone = make_bench("alone", telemetry=both[both["unit"] == "b"], units=("b",)).run(DAYS[0])
    mine = result.frame[result.frame["unit"] == "b"].reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, alone.frame)


def test_state_is_handed_on_exactly(make_bench: Callable[..., Bench]) -> None:
    """The metadata's state is the last row's, to the last bit, with the time and the digest."""
    bench = make_bench()
    result = bench.run(DAYS[0])
    state = states_of(bench.store.metadata("pump", UKF_STATE, DAYS[0]))["pump"]
    last = result.frame.iloc[-1]
    assert state.state.time_ns == last["time"].value
    assert state.digest == last["digest"]
    assert state.state.posterior.mean.tobytes() == last["state_mean"].tobytes()
    assert state.state.posterior.cov.tobytes() == last["state_cov"].tobytes()
    assert state.state.posterior.root.tobytes() == last["state_root"].tobytes()
    assert watermark(result.metadata) == last["time"]


def test_state_passes_through_a_silent_window(make_bench: Callable[..., Bench]) -> None:
    """A day without observations hands on what it was given; the day after starts from it, drift and all."""
    bench = make_bench()
    silent = bench.telemetry["time"].dt.strftime("%Y-%m-%d") == DAYS[1]
    bench.telemetry = bench.telemetry[~silent]
    first, second, third = (bench.run(key) for key in DAYS)
    assert second.frame.empty
    assert list(second.frame.columns) == list(first.frame.columns)
    assert second.metadata == first.metadata
    skipping = make_bench("skipping", telemetry=bench.telemetry)
    skipping.run(DAYS[0])
    pd.testing.assert_frame_equal(skipping.run(DAYS[2]).frame, third.frame)


def test_first_window_of_all_hands_on_nothing(make_bench: Callable[..., Bench]) -> None:
    """Before any observation there is no state, and no watermark."""
    bench = make_bench()
    bench.telemetry = bench.telemetry.iloc[:0]
    result = bench.run(DAYS[0])
    assert states_of(result.metadata) == {}
    assert watermark(result.metadata) is None


def test_unknown_input_is_a_prediction(make_bench: Callable[..., Bench]) -> None:
    """Without its inputs the model cannot be compared: nothing is assimilated, no model runs, uncertainty grows."""
    bench = make_bench()
    dropped = (bench.telemetry["property"] == "drive_speed") & bench.telemetry["time"].between(
        "2026-01-01 06:00Z", "2026-01-01 12:00Z"
    )
    bench.telemetry = bench.telemetry[~dropped]
    frame = bench.run(DAYS[0]).frame
    blind = frame[frame["method"] == "prediction"]
    # Held for an hour after 05:50, so blind from 07:00; the sample at 12:10 gives the cell of 12:00 its mean.
    assert [f"{time:%H:%M}" for time in (blind["time"].min(), blind["time"].max())] == ["07:00", "11:40"]
    assert (blind[["flow_reason", "pressure_reason"]] == "input").all(axis=None)
    assert blind["model_runs"].sum() == 0
    variance = np.array([cov[3] for cov in blind["state_cov"]])
    assert (np.diff(variance) > 0).all()


def test_reasons_of_observations_are_kept(make_bench: Callable[..., Bench]) -> None:
    """Why a value was not used: the observation's reason, or that the gate refused it."""
    bench = make_bench()
    time = bench.telemetry["time"]
    flow = bench.telemetry["property"] == "flow_meter"
    for begin, value in (("10:00", 200.0), ("14:00", 90.0)):
        start = pd.Timestamp(f"2026-01-01 {begin}", tz="UTC")
        bench.telemetry.loc[flow & (time >= start) & (time < start + pd.Timedelta("20min")), "value"] = value
    frame = bench.run(DAYS[0]).frame.set_index("time")
    row = frame.loc[pd.Timestamp("2026-01-01 10:00Z")]
    assert row["flow_reason"] == "range"
    assert np.isnan(row["flow_innovation"])
    assert row["dof"] == 1
    row = frame.loc[pd.Timestamp("2026-01-01 14:00Z")]
    assert row["flow_reason"] == "gated"
    assert row["flow_innovation"] > 50


def test_filter_finds_the_truth(make_bench: Callable[..., Bench]) -> None:
    """Wear grows from 0.1 by 0.002 an hour, the leak stays 1.2: after three days both are found."""
    bench = make_bench()
    run_all(bench)
    frame = load(bench.store, "pump", UKF_STATE, DAYS[2])
    assert frame is not None
    wear, leak = frame.frame["state_mean"].iloc[-1]
    assert wear == pytest.approx(0.1 + 0.002 * 72, abs=0.02)
    assert leak == pytest.approx(1.2, abs=0.1)


def test_failing_model_names_unit_and_time(make_bench: Callable[..., Bench]) -> None:
    """The error says which observation it was and keeps the coefficients."""
    bench = make_bench()
    bench.model.fails_above = 10.9
    with pytest.raises(EvaluationError, match=r"pump at 2026-01-01 01:20:00\+00:00: the pump seized") as caught:
        bench.run(DAYS[0])
    assert set(caught.value.coefficients) == {"wear"}


def test_progress_counts_what_is_to_be_computed(make_bench: Callable[..., Bench], spec: TwinSpec) -> None:
    """Kept rows do not count; the last call says all is done."""
    bench, calls = make_bench(), []
    bench.run(DAYS[0], "2026-01-01 20:00")
    window = WindowGrid.of(spec).parse(DAYS[0])
    observations = observe(spec, ("pump",), window, bench.telemetry, pd.Timestamp("2026-02-01", tz="UTC")).frame
    assimilate(
        spec,
        bench.model,
        observations,
        fmu_sha256=bench.fmu,
        existing=load(bench.store, "pump", UKF_STATE, DAYS[0]),
        progress=lambda done, total: calls.append((done, total)),
    )
    assert calls == [(done, 12) for done in range(1, 13)]


def test_another_state_space_starts_from_the_prior(make_bench: Callable[..., Bench], make_spec: MakeSpec) -> None:
    """With other bounds the old numbers mean something else; with another drift they are still a posterior."""
    bench = make_bench()
    bench.run(DAYS[0])
    handed_on = states_of(bench.store.metadata("pump", UKF_STATE, DAYS[0]))
    wear, leak = bench.spec.coefficients
    drift = make_spec(coefficients=[wear.model_copy(update={"drift_std_per_sqrt_hour": 0.03}), leak])
    bounds = make_spec(coefficients=[wear.model_copy(update={"bounds": (0.0, 2.0)}), leak])
    assert start_state("pump", handed_on, coefficients_of(drift)) is handed_on["pump"]
    started = start_state("pump", handed_on, coefficients_of(bounds))
    assert started.digest == ""
    assert started.state.time_ns is None


def test_gap_starts_from_the_newest_earlier_window(make_bench: Callable[..., Bench], grid: WindowGrid) -> None:
    """The window before if it is there; else the newest before it; never one that reaches into the window."""
    bench = make_bench()
    window = grid.parse(DAYS[2])
    assert previous_key(bench.store, bench.spec, window) is None
    bench.run(DAYS[0])
    assert previous_key(bench.store, bench.spec, window) == DAYS[0]
    bench.run(DAYS[1])
    assert previous_key(bench.store, bench.spec, window) == DAYS[1]
    hourly = WindowGrid("0 * * * *", "%Y-%m-%dT%H%M", grid.start).parse("2026-01-02T0500")
    spec = bench.spec.model_copy(update={"window": "hourly"})
    assert previous_key(bench.store, spec, hourly) == DAYS[0]


def test_existing_table_of_another_shape_is_replaced(make_bench: Callable[..., Bench], make_spec: MakeSpec) -> None:
    """After a measurement was taken away, nothing of the old table is taken over."""
    bench = make_bench()
    bench.run(DAYS[0])
    bench.spec = make_spec(measurements=bench.spec.measurements[:1])
    result = bench.run(DAYS[0])
    assert result.kept == 0
    assert not [column for column in result.frame.columns if column.startswith("pressure")]


def test_metadata_is_readable(make_bench: Callable[..., Bench]) -> None:
    """The states are JSON, so that a person can see what is handed on."""
    found = json.loads(make_bench().run(DAYS[0]).metadata["states"])
    assert set(found["pump"]) == {"time_ns", "mean", "root", "digest", "space", "calibrated", "suspicion"}


def test_settings_follow_the_spec(spec: TwinSpec) -> None:
    """No bound is an infinite one."""
    coefficients = coefficients_of(spec)
    assert coefficients.names == ("wear", "leak")
    np.testing.assert_array_equal(coefficients.lower, [0, -np.inf])
    np.testing.assert_array_equal(coefficients.upper, [1, np.inf])
