"""A fleet through Dagster: units come, go and come back, new ones start from the others, shards change nothing."""

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from twin_assets.automation import job_name, range_tags
from twin_assets.definitions import build_definitions
from twin_assets.estimation import coefficient_marginals
from twin_assets.shards import shards_of
from twin_assets.stages import CALIBRATED_COEFFICIENTS, FLEET, TELEMETRY, UKF_STATE
from twin_assets.stages.fleet import stale_windows
from twin_assets.stages.live import pending_windows
from twin_assets.stages.settings import coefficients_of
from twin_assets.stages.states import states_of
from twin_assets.stages.unit_record import RECORD, UNITS
from twin_assets.windows import Window, WindowGrid

Line = Any  # conftest's, which cannot be imported
DAYS = ("2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04")
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
BEARINGS = {"a": 0.018, "b": 0.020, "c": 0.022, "d": 0.021, "f": 0.019}


def measured(unit: str, b3: float, start: str, end: str) -> pd.DataFrame:
    """Telemetry of one line with a bearing b3 of its own, every two hours; noise from the unit's name."""
    times = pd.date_range(start, end, freq="2h", tz="UTC", inclusive="left").as_unit("ns")
    at = ((times - pd.Timestamp("2026-01-01", tz="UTC")) // pd.Timedelta("2h")).to_numpy()
    clean = {"line_speed": 1.0, "Roller3_w": 20 - 5 * b3, "Roller9_w": 20 - 5 * 0.05, "load_cell": 100 + 100 * b3}
    noise = {"line_speed": 0.0, "Roller3_w": 0.001, "Roller9_w": 0.001, "load_cell": 0.5}
    draws = np.random.default_rng(list(unit.encode())).normal(size=(4, 100))
    parts = [
        pd.DataFrame(
            {
                "unit": unit,
                "property": name,
                "time": times,
                "value": clean[name] + noise[name] * row[at],
                "quality": "GOOD",
            }
        )
        for name, row in zip(clean, draws, strict=True)
    ]
    return pd.concat(parts, ignore_index=True)


def fleet_of(bearings: dict[str, float], start: str, end: str) -> pd.DataFrame:
    """Telemetry of several lines."""
    return pd.concat([measured(unit, b3, start, end) for unit, b3 in bearings.items()], ignore_index=True)


def run(line: Line, first: str, last: str, *, shard: Any = None) -> dg.ExecuteInProcessResult:  # noqa: ANN401
    """Materialize a range of windows of the twin, of one of its shards, or of the whole's comparison."""
    twin = shard or line.twin
    definitions = build_definitions(
        [line.twin], home=line.home, clock=lambda: line.now, opener=line.opener, pictures=False
    )
    windows = [line.grid.parse(first), line.grid.parse(last)]
    return definitions.resolve_job_def(job_name(twin.spec)).execute_in_process(
        tags=range_tags(windows), run_config=QUIET
    )


def look(line: Line, instance: dg.DagsterInstance, name: str = "line_new_telemetry") -> dg.RunRequest | str:
    """What a sensor asks for, as the daemon asks it, or why it skips."""
    repository = line.definitions().get_repository_def()
    found = line.definitions().resources or {}
    with dg.build_sensor_context(
        instance=instance,
        repository_def=repository,
        resources={key: found[key] for key in ("historian", "bench")},
        sensor_name=name,
    ) as context:
        data = repository.get_sensor_def(name).evaluate_tick(context)
    if data.run_requests:
        request = data.run_requests[0]
        assert isinstance(request, dg.RunRequest)
        return request
    return str(data.skip_message)


def span(request: dg.RunRequest | str) -> tuple[str, ...]:
    """The windows that are asked for."""
    assert isinstance(request, dg.RunRequest), request
    return tuple(request.tags[f"dagster/asset_partition_range_{edge}"] for edge in ("start", "end"))


def delete_asset(line: Line, unit: str) -> None:
    """Take a unit and all that was measured of it out of the historian's file, without a trace."""
    with sqlite3.connect(line.home.historian_path) as database:
        for table in ("samples", "arrival"):
            database.execute(f"DELETE FROM {table} WHERE series_id IN (SELECT id FROM series WHERE unit = ?)", (unit,))
        database.execute("DELETE FROM series WHERE unit = ?", (unit,))


@pytest.fixture
def make_fleet(make_line: Callable[..., Line]) -> Callable[..., Line]:
    """Makes twins whose units are discovered."""
    return lambda more="": make_line({"title: A line": f"units: discovered\n{more}\ntitle: A line"})


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """Dagster's memory."""
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def record_of(line: Line) -> list[tuple[str, str]]:
    """Unit and state, in the order of noticing."""
    frame = line.store.read("line", UNITS, RECORD)
    return [] if frame is None else list(zip(frame["unit"], frame["state"], strict=True))


def digests(line: Line, stage: str) -> dict[str, str]:
    """Content of a stage's tables, by window."""
    return {key: line.store.metadata("line", stage, key)["content"] for key in line.store.keys("line", stage)}


def test_units_come_go_and_come_back_without_a_restart(
    make_fleet: Callable[..., Line], instance: dg.DagsterInstance
) -> None:
    """The sensor finds a new unit, asks for its windows alone, notes when one went; past tables stay as they are."""
    line = make_fleet()
    line.now = pd.Timestamp("2026-01-02T00:00", tz="UTC")
    line.write(fleet_of({"a": 0.018, "b": 0.020}, "2026-01-01", "2026-01-02"))
    assert span(look(line, instance)) == (DAYS[0], DAYS[0])
    assert record_of(line) == [("a", "active"), ("b", "active")]
    run(line, DAYS[0], DAYS[0])

    line.now = pd.Timestamp("2026-01-03T00:00", tz="UTC")
    line.write(fleet_of({"a": 0.018, "b": 0.020, "c": 0.022}, "2026-01-02", "2026-01-03"))
    assert span(look(line, instance)) == (DAYS[1], DAYS[1])
    assert record_of(line)[2:] == [("c", "active")]
    appeared = line.store.read("line", UNITS, RECORD).iloc[-1]
    assert appeared["since"] == appeared["first_sample"] == pd.Timestamp("2026-01-02", tz="UTC")
    assert appeared["noticed"] == line.now
    run(line, DAYS[1], DAYS[1])
    assert "Nothing new" in str(look(line, instance))
    before = {stage: digests(line, stage) for stage in (TELEMETRY, UKF_STATE, CALIBRATED_COEFFICIENTS)}

    delete_asset(line, "b")
    assert "Nothing new" in str(look(line, instance))
    assert record_of(line)[3:] == [("b", "gone")]
    run(line, DAYS[0], DAYS[1])  # also where its windows are read anew
    assert {stage: digests(line, stage) for stage in before} == before

    line.now = pd.Timestamp("2026-01-04T00:00", tz="UTC")
    line.write(fleet_of({"a": 0.018, "b": 0.020}, "2026-01-03", "2026-01-04"))
    assert span(look(line, instance)) == (DAYS[2], DAYS[2])
    assert record_of(line)[4:] == [("b", "active"), ("c", "silent")]
    run(line, DAYS[2], DAYS[2])
    states = states_of(line.store.metadata("line", UKF_STATE, DAYS[2]))
    assert states["b"].calibrated is not None
    # It goes on from what was known of it: its first row of the day is no wider than its last one was.
    first, last = (line.store.read("line", CALIBRATED_COEFFICIENTS, day) for day in (DAYS[2], DAYS[1]))
    assert first[first["unit"] == "b"]["b3_std"].iloc[0] < 2 * last[last["unit"] == "b"]["b3_std"].iloc[-1]

    line.now = pd.Timestamp("2026-01-05T12:00", tz="UTC")
    assert isinstance(look(line, instance), str)
    silent = line.store.read("line", UNITS, RECORD)
    assert list(silent[silent["noticed"] == line.now]["unit"]) == ["a", "b"]
    again = len(silent)
    look(line, instance)
    assert len(line.store.read("line", UNITS, RECORD)) == again


def test_an_older_recording_of_a_new_unit_asks_for_its_own_windows(
    make_fleet: Callable[..., Line], instance: dg.DagsterInstance
) -> None:
    """A unit that is brought in with its past is calibrated from there; a window in which it is not is left alone."""
    line = make_fleet()
    line.write(fleet_of({"a": 0.018}, DAYS[0], "2026-01-05"))
    run(line, DAYS[0], DAYS[3])
    look(line, instance)
    line.write(measured("b", 0.02, DAYS[1], DAYS[2]))
    with line.historian() as historian:
        found = pending_windows(historian, line.store, line.twin.spec, line.grid, line.now, None)
    assert [window.key for window in found] == [DAYS[1]]
    assert span(look(line, instance)) == (DAYS[1], DAYS[3])


def test_a_new_unit_starts_from_the_fleet(make_fleet: Callable[..., Line]) -> None:
    """It starts from what the others say, which is narrower than twin.yaml's prior and holds the truth; and says so."""
    line = make_fleet()
    line.write(fleet_of(BEARINGS, DAYS[0], "2026-01-03"))
    line.write(measured("new", 0.0205, DAYS[1], "2026-01-03"))
    result = run(line, DAYS[0], DAYS[1])
    assert result.success
    states = states_of(line.store.metadata("line", UKF_STATE, DAYS[1]))
    assert {unit for unit, state in states.items() if state.origin is not None} == {"new"}
    origin = states["new"].origin
    assert origin is not None
    prior = coefficient_marginals(origin, coefficients_of(line.twin.spec))
    assert prior.mean[0] == pytest.approx(0.020, abs=0.001)
    assert 0.0015 < prior.std[0] < 0.006  # the five differ by 0.0016; twin.yaml says 0.02
    told = [
        event.materialization.metadata["started_from_fleet"].value
        for event in result.get_asset_materialization_events()
        if "started_from_fleet" in event.materialization.metadata
    ]
    assert told == ["new"]


@pytest.mark.slow
def test_the_fleets_prior_is_replayed_to_the_byte(make_fleet: Callable[..., Line]) -> None:
    """From an empty store, or once more, all comes out the same; what is new of an earlier day is replayed into it."""
    tables = []
    for _ in range(2):
        line = make_fleet()
        line.write(fleet_of(BEARINGS, DAYS[0], "2026-01-03"))
        line.write(measured("new", 0.0205, DAYS[1], "2026-01-03"))
        run(line, DAYS[0], DAYS[1])
        tables.append({path: digest for path, digest in line.tables().items() if "arrivals" not in path})
    assert tables[0] == tables[1]
    run(line, DAYS[0], DAYS[1])
    again = {path: digest for path, digest in line.tables().items() if "arrivals" not in path}
    assert again == tables[0]
    late = measured("a", 0.0185, DAYS[0], DAYS[1]).iloc[:12]
    line.write(late.assign(value=late["value"] + 1e-4))
    before = line.store.read("line", UKF_STATE, DAYS[1])
    run(line, DAYS[0], DAYS[1])
    after = line.store.read("line", UKF_STATE, DAYS[1])
    changed = {
        unit
        for unit in set(after["unit"])
        if list(after[after["unit"] == unit]["digest"]) != list(before[before["unit"] == unit]["digest"])
    }
    assert "new" in changed or "a" not in changed
    assert changed <= {"a", "new"}


@pytest.mark.slow
def test_named_units_keep_their_own_prior(make_line: Callable[..., Line]) -> None:
    """Nothing of the fleet is in the states of units that twin.yaml names, unless it asks for it."""
    names = ", ".join([*BEARINGS, "new"])
    for more, expected in (("", set()), ("fleet: {prior: fleet}\n", {"new"})):
        line = make_line({"title: A line": f"units: [{names}]\n{more}title: A line"})
        line.write(fleet_of(BEARINGS, DAYS[0], "2026-01-03"))
        line.write(measured("new", 0.0205, DAYS[1], "2026-01-03"))
        run(line, DAYS[0], DAYS[1])
        states = states_of(line.store.metadata("line", UKF_STATE, DAYS[1]))
        assert {unit for unit, state in states.items() if state.origin is not None} == expected


def test_an_outlier_is_ranked_first_named_and_published(make_fleet: Callable[..., Line]) -> None:
    """A worn bearing among eight is first, alone flagged, named by the check, and published all the same."""
    line = make_fleet()
    bearings = {f"u{i}": 0.02 + 0.001 * np.sin(i) for i in range(8)} | {"worn": 0.045}
    line.write(fleet_of(bearings, DAYS[0], DAYS[1]))
    result = run(line, DAYS[0], DAYS[0])
    assert result.success
    frame = line.store.read("line", FLEET, DAYS[0])
    assert frame[frame["outlier"]][["unit", "coefficient"]].to_numpy().tolist() == [["worn", "b3"]]
    assert set(frame[frame["rank"] == 1]["unit"]) == {"worn"}
    check = next(each for each in result.get_asset_check_evaluations() if each.check_name == "outliers")
    assert not check.passed
    assert "'worn' has b3 0.04" in (check.description or "")
    metadata = next(
        event.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey(["line", FLEET])
    )
    assert str(metadata["ranking"].value).splitlines()[2].startswith("| 1 | worn | b3 |")


def rounds(line: Line) -> None:
    """Run the shards until nothing is to be done, then the whole's comparison."""
    for _ in range(5):
        for shard in shards_of(line.twin):
            with line.historian() as historian:
                found: list[Window] = pending_windows(
                    historian, line.store, shard.spec, WindowGrid.of(shard.spec), line.now, None
                )
            if found:
                assert run(line, found[0].key, DAYS[1], shard=shard).success
    stale = stale_windows(line.store, line.twin.spec)
    assert run(line, stale[0].key, stale[-1].key).success


@pytest.mark.slow
def test_results_do_not_depend_on_shards(make_fleet: Callable[..., Line], instance: dg.DagsterInstance) -> None:
    """With three shards every unit has the rows that it has with one, also one that starts from the others."""
    found = []
    for more in ("", "shards: 3"):
        line = make_fleet(more)
        line.now = pd.Timestamp("2026-01-03", tz="UTC")
        line.write(fleet_of(BEARINGS, DAYS[0], "2026-01-03"))
        line.write(measured("new", 0.0205, DAYS[1], "2026-01-03"))
        if more:
            rounds(line)
        else:
            run(line, DAYS[0], DAYS[1])
        parts = [shard.spec.name for shard in shards_of(line.twin)]
        tables = [
            pd.concat(
                [
                    frame
                    for part in parts
                    if (frame := line.store.read_many(part, stage, DAYS[:2])) is not None and len(frame)
                ]
            ).sort_values(["unit", "time"], ignore_index=True)
            for stage in (UKF_STATE, CALIBRATED_COEFFICIENTS)
        ]
        found.append([*tables, line.store.read_many("line", FLEET, DAYS[:2])])
    assert all(len(line.store.keys(part, UKF_STATE)) for part in parts), "every shard holds a unit"
    for one, three in zip(*found, strict=True):
        pd.testing.assert_frame_equal(one, three, check_exact=True)
    assert "Nothing new" in str(look(line, instance, "line_fleet"))
    assert "Nothing new" in str(look(line, instance, "line__2_of_3_new_telemetry"))


def test_runs_of_shards_are_tagged(make_fleet: Callable[..., Line]) -> None:
    """What Dagster's concurrency limits and a cluster's sizing go by is on every run of a shard."""
    line = make_fleet("shards: 3")
    jobs = {job.name: job.run_tags for job in line.definitions().resolve_all_job_defs()}
    assert jobs["line__2_of_3_live"] == {"twin": "line", "twin/shard": "2/3"}
    assert jobs["line_live"] == {"twin": "line"}
