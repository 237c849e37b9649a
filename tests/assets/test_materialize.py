"""The graph as Dagster runs it: exactly once, in any portions, on any news."""

from collections.abc import Callable
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from twin_assets.stages import CALIBRATED_COEFFICIENTS, OBSERVATIONS, PUBLISHED, TELEMETRY, UKF_STATE, VIRTUAL_SENSORS
from twin_assets.stages.live import pending_windows

DAYS = ("2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04")
TABLES = (TELEMETRY, OBSERVATIONS, UKF_STATE, CALIBRATED_COEFFICIENTS, VIRTUAL_SENSORS, PUBLISHED)
Line = Any  # conftest's, which cannot be imported
Finished = tuple[Line, dg.ExecuteInProcessResult]
Record = Callable[[str, str], pd.DataFrame]


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """Tables that are new or differ, as stage/key."""
    return {path.removeprefix("line/").removesuffix(".parquet") for path in after if after[path] != before.get(path)}


def test_a_range_goes_from_telemetry_to_the_historian(finished: Finished) -> None:
    """One run fills every table of every window and publishes what it found, which is the truth."""
    line, result = finished
    assert result.success
    assert {path.split("/")[1] for path in line.tables()} == set(TABLES)
    assert all(line.store.keys("line", stage) == DAYS for stage in TABLES)
    last = line.store.read("line", CALIBRATED_COEFFICIENTS, DAYS[-1]).iloc[-1]
    assert last["b3_lower"] < 0.02 < last["b3_upper"]
    assert last["b9_lower"] < 0.05 < last["b9_upper"]
    published = line.published()
    assert set(published["property"]) >= {"b3", "b9_upper", "S9_Tension_N_lower", "load_cell_predicted"}
    assert len(published) == 48 * 3 * (2 + 1 + 3)


def test_what_is_measured_is_never_written(finished: Finished, record: Record) -> None:
    """After a run the measured properties hold the samples that they held before, and no other."""
    line, _ = finished
    measured = record("2026-01-01", "2026-01-05")
    with line.historian() as historian:
        names = tuple(sorted(measured["property"].unique()))
        found = historian.read(("line",), names, pd.Timestamp("2020", tz="UTC"), pd.Timestamp("2030", tz="UTC"))
    order = ["property", "time"]
    pd.testing.assert_frame_equal(
        found.sort_values(order, ignore_index=True)[["property", "time", "value"]],
        measured.sort_values(order, ignore_index=True)[["property", "time", "value"]],
        check_dtype=False,
    )


def test_twice_is_once(materialized: Line) -> None:
    """Materializing again changes no byte of the store, no sample of the historian, and does not open the model."""
    tables, published = materialized.tables(), materialized.published()
    assert materialized.materialize(DAYS[0], DAYS[-1]).success
    assert materialized.tables() == tables
    pd.testing.assert_frame_equal(materialized.published(), published)
    assert materialized.model.opened == 0


def test_window_by_window_is_the_range(finished: Finished, make_line: Callable[[], Line], record: Record) -> None:
    """Four runs of one window end at the bytes of one run over four."""
    line, _ = finished
    other = make_line()
    other.write(record("2026-01-01", "2026-01-05"))
    for day in DAYS:
        assert other.materialize(day, day).success
    assert other.tables() == line.tables()
    pd.testing.assert_frame_equal(other.published(), line.published())


def test_as_data_comes_in_is_all_at_once(finished: Finished, make_line: Callable[[], Line], record: Record) -> None:
    """A live day in three looks, the window still open, ends at the tables of a backfill."""
    line, _ = finished
    other = make_line()
    for end in ("2026-01-01T10:00", "2026-01-01T18:00", "2026-01-03T00:00"):
        other.now = pd.Timestamp(end, tz="UTC")
        other.write(record("2026-01-01", end))
        assert other.materialize(DAYS[0], other.grid.containing(other.now - pd.Timedelta("1s")).key).success
    rows = (UKF_STATE, CALIBRATED_COEFFICIENTS, VIRTUAL_SENSORS, PUBLISHED)
    for stage in rows:
        for day in DAYS[:2]:
            pd.testing.assert_frame_equal(other.store.read("line", stage, day), line.store.read("line", stage, day))
    published = line.published()
    both = published[published["time"] < pd.Timestamp(DAYS[2], tz="UTC")].reset_index(drop=True)
    pd.testing.assert_frame_equal(other.published(), both)


def test_late_data_changes_the_windows_that_it_should(
    finished: Finished, make_line: Callable[[], Line], record: Record
) -> None:
    """A gap filled later: its day and those after it are made again, to the tables of data that was never late.

    The day before stays, to the byte.
    """
    line, _ = finished
    samples = record("2026-01-01", "2026-01-05")
    late = (samples["property"] == "Roller9_w") & (samples["time"].dt.floor("D") == pd.Timestamp(DAYS[1], tz="UTC"))
    late &= samples["time"].dt.hour.isin([8, 10])
    other = make_line()
    other.write(samples[~late])
    assert other.materialize(DAYS[0], DAYS[-1]).success
    before = other.tables()
    other.write(samples[late])
    with other.historian() as historian:
        pending = pending_windows(historian, other.store, other.twin.spec, other.grid, other.now)
    assert [window.key for window in pending] == [DAYS[1]]
    assert other.materialize(DAYS[1], DAYS[-1]).success
    results = {f"{stage}/{day}" for stage in TABLES[2:-1] for day in DAYS[1:]}
    expected = {f"telemetry/{DAYS[1]}", f"observations/{DAYS[1]}", f"observations/{DAYS[2]}"} | results
    # What was published is counted, and the count did not change; that it is of other results is beside it.
    assert changed(before, other.tables()) == expected | {f"published/{day}" for day in DAYS[1:]}
    for stage in (UKF_STATE, CALIBRATED_COEFFICIENTS, VIRTUAL_SENSORS):
        for day in DAYS:
            pd.testing.assert_frame_equal(other.store.read("line", stage, day), line.store.read("line", stage, day))


def test_a_failing_model_keeps_what_was_done(line: Line, record: Record) -> None:
    """The model breaks on the third day: two days are kept, the message names unit, time and coefficients' cause."""
    broken = record("2026-01-03T10:00", "2026-01-03T12:00")
    broken = broken[broken["property"] == "line_speed"].assign(value=2.0)
    line.write(broken)
    line.model.fails_at_speed = 1.5
    result = line.materialize(DAYS[0], DAYS[-1])
    assert not result.success
    failure = next(event for event in result.all_events if event.is_step_failure)
    assert failure.step_key == "line__ukf_state"
    told = failure.step_failure_data.user_failure_data
    assert told is not None
    assert told.description == "line at 2026-01-03 10:00:00+00:00: the web broke"
    assert line.store.keys("line", UKF_STATE) == DAYS[:2]
    line.model.fails_at_speed = float("inf")
    assert line.materialize(DAYS[2], DAYS[-1]).success


def test_a_missing_source_is_named(line: Line) -> None:
    """A stage materialized before what it is made from says which asset comes first."""
    result = line.materialize(DAYS[0], DAYS[0], UKF_STATE)
    failure = next(event for event in result.all_events if event.is_step_failure)
    told = failure.step_failure_data.user_failure_data
    assert told is not None
    assert told.description is not None
    assert "Materialize 'line/observations' for this window first" in told.description


def test_an_fmu_that_does_not_fit_stops_the_run(make_line: Callable[..., Line], record: Record) -> None:
    """A misspelt output ends the run at the FMU, with the line of twin.yaml, before the filter starts."""
    line = make_line({"name: S9_Tension_N": "name: S9_Tensoin_N"})
    line.write(record("2026-01-01", "2026-01-02"))
    result = line.materialize(DAYS[0], DAYS[0])
    failed = {event.step_key: event for event in result.all_events if event.is_step_failure}
    assert set(failed) == {"line__fmu"}
    told = failed["line__fmu"].step_failure_data.user_failure_data
    assert told is not None
    assert "S9_Tensoin_N" in (told.description or "")
    assert "twin.yaml:" in (told.description or "")
    assert line.store.keys("line", UKF_STATE) == ()


def test_each_window_has_its_own_metadata(finished: Finished) -> None:
    """Every partition shows its own counts and newest values, as numbers that Dagster charts."""
    _, result = finished
    found = {
        (event.materialization.asset_key.path[1], event.partition): event.materialization.metadata
        for event in result.get_asset_materialization_events()
    }
    for stage in TABLES:
        assert [key[1] for key in found if key[0] == stage] == list(DAYS)
    coefficients = [found[CALIBRATED_COEFFICIENTS, day]["b9"] for day in DAYS[:2]]
    assert all(isinstance(value, dg.FloatMetadataValue) for value in coefficients)
    assert coefficients[0] != coefficients[1]
    filtered = found[UKF_STATE, DAYS[0]]
    assert {"nis_per_dof", "gated_fraction", "model_runs", "watermark", "observations_to_tell"} <= set(filtered)
    assert filtered["assimilated_now"].value == 12
    assert found[OBSERVATIONS, DAYS[0]]["usable"].value == 36
    assert found[PUBLISHED, DAYS[1]]["samples"].value == 12 * 3 * 6


def test_pictures_are_at_the_newest_window(materialized: Line) -> None:
    """The last partition of a run carries the pictures, as data that a browser shows."""
    result = materialized.materialize(DAYS[0], DAYS[1], CALIBRATED_COEFFICIENTS, VIRTUAL_SENSORS, pictures=True)
    pictures = {
        (event.asset_key.path[1], event.partition, name): str(value.value)
        for event in result.get_asset_materialization_events()
        for name, value in event.materialization.metadata.items()
        if name in {"picture", "measured_and_predicted"}
    }
    assert set(pictures) == {
        (CALIBRATED_COEFFICIENTS, DAYS[1], "picture"),
        (VIRTUAL_SENSORS, DAYS[1], "picture"),
        (VIRTUAL_SENSORS, DAYS[1], "measured_and_predicted"),
    }
    for text in pictures.values():
        assert text.startswith("![picture](data:image/png;base64,iVBORw0KGgo")
        assert len(text) < 200_000


def test_the_fmu_is_known_by_its_bytes(line: Line) -> None:
    """The FMU's data version is the hash of its file; its variables are shown, those in use first."""
    result = line.materialize(DAYS[0], DAYS[0], "fmu")
    (event,) = result.get_asset_materialization_events()
    metadata = event.materialization.metadata
    assert event.materialization.tags is not None
    assert event.materialization.tags["dagster/data_version"] == metadata["sha256"].value
    assert metadata["fmi_version"].value == "2.0"
    assert metadata["interface"].value == "co_simulation"
    assert "linux64" in str(metadata["platforms"].value)
    rows = str(metadata["variables"].value).splitlines()
    assert rows[2].startswith("| measurement | Roller3_w |")


def test_what_the_historian_rejects_is_told(materialized: Line) -> None:
    """Where the historian does not take results the run fails with its reason; that window is not called published."""
    materialized.now = pd.Timestamp("2026-01-02T00:00", tz="UTC")
    result = materialized.materialize(DAYS[1], DAYS[2], PUBLISHED, checks=False)
    failure = next(event for event in result.all_events if event.is_step_failure)
    told = failure.step_failure_data.user_failure_data
    assert told is not None
    assert f"window {DAYS[1]}: the historian did not take " in (told.description or "")
    assert not result.get_asset_materialization_events()


def test_no_telemetry_is_no_error(make_line: Callable[..., Line]) -> None:
    """A run over windows in which nothing was measured succeeds with empty tables."""
    line = make_line()
    assert line.materialize(DAYS[0], DAYS[1]).success
    assert line.store.read("line", CALIBRATED_COEFFICIENTS, DAYS[0]).empty
    assert line.published().empty
    assert line.model.opened == 0


@pytest.mark.parametrize("units", ["[east, west]", "discovered"])
def test_units_have_their_own_numbers(make_line: Callable[..., Line], record: Record, units: str) -> None:
    """With two machines every number is told for each of them."""
    line = make_line({"title: A line": f"units: {units}\ntitle: A line"})
    samples = record("2026-01-01", "2026-01-02")
    line.write(pd.concat([samples.assign(unit="east"), samples.assign(unit="west")]))
    result = line.materialize(DAYS[0], DAYS[0])
    assert result.success
    metadata = next(
        event.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key.path[1] == CALIBRATED_COEFFICIENTS
    )
    assert {"east/b3", "west/b3"} <= set(metadata)
