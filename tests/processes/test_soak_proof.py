"""What the soak test looks for at its end, it finds: each proof is shown what it has to refuse."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from soak_gateway import Key
from soak_line import NAME, NOISE, TWIN_YAML, UNIT, measured, time_of
from soak_proof import Point, Tables, assimilated_once, published_once, same_as_undisturbed
from twin_assets.spec import TwinSpec
from twin_assets.spec_file import load_twin
from twin_assets.stages import CALIBRATED_COEFFICIENTS, OBSERVATIONS, TELEMETRY, UKF_STATE, VIRTUAL_SENSORS
from twin_assets.stages.publish import published_samples
from twin_assets.store import Store

KEY = "2026-01-01"
TICKS = 2
COLUMNS = {"line_speed": "web_speed_setpoint", "load_cell": "S4_Tension_N"}
Raw = dict[Point, float | None]


@pytest.fixture
def spec(tmp_path: Path) -> TwinSpec:
    """The line's."""
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / "twin.yaml").write_text(TWIN_YAML)
    return load_twin(NAME, tmp_path).spec


@pytest.fixture
def accepted() -> dict[Key, float]:
    """All samples of two ticks."""
    return {(name, time_of(tick).value): value for tick in range(TICKS) for name, value in measured(tick, 1).items()}


@pytest.fixture
def write(spec: TwinSpec, accepted: dict[Key, float], tmp_path: Path) -> Callable[[str], Tables]:
    """Writes the tables that two ticks come to, into a store by its name."""
    times = [time_of(tick) for tick in range(TICKS)]
    rows = pd.DataFrame({"unit": UNIT, "time": times}).astype({"time": "datetime64[ns, UTC]"})
    columns = {COLUMNS.get(name, name): [accepted[name, time.value] for time in times] for name in NOISE}
    results = [result.column for result in spec.results]
    own = [name for name in results if name.split("_")[0] in {"b3", "b9"}]
    telemetry = pd.DataFrame(
        [(UNIT, name, time_ns, value, "GOOD") for (name, time_ns), value in accepted.items()],
        columns=["unit", "property", "time", "value", "quality"],
    )
    telemetry["time"] = pd.to_datetime(telemetry["time"], utc=True).astype("datetime64[ns, UTC]")
    frames = {
        TELEMETRY: telemetry,
        OBSERVATIONS: rows.assign(**columns),
        UKF_STATE: rows.assign(b3=0.02),
        CALIBRATED_COEFFICIENTS: rows.assign(**dict.fromkeys(own, 0.02)),
        VIRTUAL_SENSORS: rows.assign(**dict.fromkeys(sorted({*results} - {*own}), 20.0), valid=True, why_not=""),
    }

    def write(name: str) -> Tables:
        for stage, frame in frames.items():
            Store(tmp_path / name).write(NAME, stage, KEY, frame, {})
        return Tables(tmp_path / name)

    return write


@pytest.fixture
def tables(write: Callable[[str], Tables]) -> Tables:
    """The tables that two ticks come to."""
    return write("store")


@pytest.fixture
def raw(spec: TwinSpec, tables: Tables) -> Raw:
    """What the historian holds once they are published."""
    samples = published_samples(spec, tables.every(CALIBRATED_COEFFICIENTS), tables.every(VIRTUAL_SENSORS))
    columns = (samples["property"], samples["time"].astype("int64"), samples["quality"], samples["value"])
    return {(name, int(time), quality): value for name, time, quality, value in zip(*columns, strict=True)}


def test_what_is_whole_is_not_refused(
    spec: TwinSpec, tables: Tables, write: Callable[[str], Tables], accepted: dict[Key, float], raw: Raw
) -> None:
    """Otherwise the tests below would show nothing."""
    assert [*assimilated_once(tables, accepted)] == []
    assert [*same_as_undisturbed(tables, write("other"))] == []
    assert [*published_once(spec, tables, raw)] == []
    assert len(raw) == TICKS * 3 * 6


def test_a_lost_sample_is_found(tables: Tables, accepted: dict[Key, float]) -> None:
    """One that was accepted and is in no table."""
    accepted["Roller3_w", time_of(TICKS).value] = 19.9
    problems = [*assimilated_once(tables, accepted)]
    assert any(problem.startswith("telemetry: 1 missing") for problem in problems)
    assert any(problem.startswith("ukf_state: 1 missing") for problem in problems)


def test_a_correction_that_was_not_taken_is_found(tables: Tables, accepted: dict[Key, float]) -> None:
    """The tables hold what was accepted before it."""
    accepted["Roller3_w", time_of(0).value] += 1e-9
    assert any(
        problem.startswith("observations Roller3_w: 1 missing") for problem in assimilated_once(tables, accepted)
    )


@pytest.mark.parametrize("stage", [TELEMETRY, OBSERVATIONS, UKF_STATE])
def test_a_row_that_is_there_twice_is_found(tables: Tables, accepted: dict[Key, float], stage: str) -> None:
    """Of what was measured, observed or assimilated."""
    rows = tables.every(stage)
    Store(tables.root).write(NAME, stage, KEY, pd.concat([rows, rows.head(1)]), {})
    assert any(problem.startswith(f"{stage}: 1 too many") for problem in assimilated_once(tables, accepted))


def test_a_table_that_came_out_otherwise_is_found(tables: Tables, write: Callable[[str], Tables]) -> None:
    """Rows, or what is kept beside them."""
    other = write("other")
    Store(other.root).write(NAME, UKF_STATE, KEY, tables.every(UKF_STATE), {"states": "others"})
    assert [*same_as_undisturbed(tables, other)] == [
        f"{NAME}/{UKF_STATE}/{KEY}.parquet: other bytes than in a run that nobody disturbed"
    ]
    Store(other.root).write(NAME, TELEMETRY, "2026-01-02", tables.every(TELEMETRY), {})
    assert any("missing rows" in problem for problem in same_as_undisturbed(tables, other))


def test_results_that_are_missing_left_or_of_two_qualities_are_found(spec: TwinSpec, tables: Tables, raw: Raw) -> None:
    """Each by itself; a withdrawn one is none, and NaN and null are none."""
    name, time_ns, _ = point = ("b3", time_of(0).value, "GOOD")
    assert any("1 missing" in problem for problem in published_once(spec, tables, {**raw, point: 1.0}))
    left = {**raw, (name, time_of(TICKS).value, "GOOD"): 0.02}
    assert any("1 too many" in problem for problem in published_once(spec, tables, left))
    assert [*published_once(spec, tables, {**left, (name, time_of(TICKS).value, "BAD"): None})] == []
    twin = {**raw, (name, time_ns, "UNCERTAIN"): 0.02}
    assert any("of two qualities" in problem for problem in published_once(spec, tables, twin))
    assert [*published_once(spec, tables, {**raw, (name, time_ns, "UNCERTAIN"): float("nan")})] == []
