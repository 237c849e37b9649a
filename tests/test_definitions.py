"""The graph has a snapshot: a difference is a decision. And what the code location does with mistakes."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from twin_assets.definitions import STAGES, build_definitions, defs, find_all
from twin_assets.home import TWINS_VARIABLE
from twin_assets.spec_file import SpecError, load_twin

FMU = Path(__file__).parents[1] / "twins" / "web_line" / "web_line.fmu"
TWIN_YAML = f"""\
name: line
model: {{fmu: {FMU}}}
start: 2026-01-01
schedule: "*/20 * * * *"
inputs:
  - {{name: web_speed_setpoint, max_age: 30h}}
coefficients:
  - {{name: b9, initial: 0.01, initial_std: 0.02}}
measurements:
  - {{name: Roller9_w, noise_std: 0.001}}
virtual_sensors:
  - {{name: S9_Tension_N}}
"""
MakeTwins = Callable[..., Path]


@pytest.fixture
def make_twins(tmp_path: Path) -> MakeTwins:
    """A folder with the twins of which the texts are given, by name."""

    def make(**texts: str) -> Path:
        for name, text in texts.items():
            (tmp_path / name).mkdir()
            (tmp_path / name / "twin.yaml").write_text(text)
        return tmp_path

    return make


@pytest.fixture
def graph(make_twins: MakeTwins) -> dg.Definitions:
    """The definitions of one twin."""
    return build_definitions([load_twin("line", make_twins(line=TWIN_YAML))])


def test_the_stages_are_in_the_order_that_data_flows() -> None:
    """A newcomer reads the system here."""
    assert list(STAGES) == [
        "fmu",
        "telemetry",
        "observations",
        "ukf_state",
        "calibrated_coefficients",
        "virtual_sensors",
        "published",
        "smoothed_coefficients",
        "fleet",
    ]


def test_keys_and_dependencies(graph: dg.Definitions) -> None:
    """Who is made from whom, of which windows: (first, last) offset from the own one."""
    assets = graph.resolve_asset_graph()
    found = {}
    for key in assets.get_all_asset_keys():
        node = assets.get(key)
        found[key.to_user_string()] = {
            dep.asset_key.path[1]: getattr(dep.partition_mapping, "start_offset", 0) or 0
            for dep in node.assets_def.get_asset_spec(key).deps
        }
    assert found == {
        "line/fmu": {},
        "line/telemetry": {},
        "line/observations": {"telemetry": -2},
        "line/ukf_state": {"fmu": 0, "observations": 0, "ukf_state": -1},
        "line/calibrated_coefficients": {"ukf_state": 0, "calibrated_coefficients": -1},
        "line/virtual_sensors": {"fmu": 0, "ukf_state": 0, "observations": 0},
        "line/published": {"calibrated_coefficients": 0, "virtual_sensors": 0},
    }


def test_smoothing_is_a_stage_of_twins_that_ask_for_it(make_twins: MakeTwins) -> None:
    """Made from the filter's table of the same window, in the same job, without a check; nothing is made from it."""
    twin = load_twin("line", make_twins(line=TWIN_YAML + "smoothing: true\n"))
    definitions = build_definitions([twin])
    assets = definitions.resolve_asset_graph()
    node = assets.get(dg.AssetKey(["line", "smoothed_coefficients"]))
    assert node.parent_keys == {dg.AssetKey(["line", "ukf_state"])}
    assert not node.child_keys
    assert node.partitions_def == assets.get(dg.AssetKey(["line", "ukf_state"])).partitions_def
    job = definitions.resolve_job_def("line_live")
    assert {key.path[1] for key in job.asset_layer.executable_asset_keys} == set(STAGES) - {"fleet"}
    assert len(job.asset_layer.asset_graph.asset_check_keys) == 8


@pytest.mark.parametrize("units", ["[a, b]", "discovered"])
def test_several_units_are_compared(make_twins: MakeTwins, units: str) -> None:
    """Made from the filter's table of the same window, in the same job, with a check that blocks nothing."""
    twin = load_twin("line", make_twins(line=TWIN_YAML + f"units: {units}\n"))
    definitions = build_definitions([twin])
    node = definitions.resolve_asset_graph().get(dg.AssetKey(["line", "fleet"]))
    assert node.parent_keys == {dg.AssetKey(["line", "ukf_state"])}
    assert not node.child_keys
    job = definitions.resolve_job_def("line_live")
    assert dg.AssetKey(["line", "fleet"]) in job.asset_layer.executable_asset_keys
    checks = {spec.name: spec for part in definitions.asset_checks or () for spec in part.check_specs}
    assert not checks["outliers"].blocking
    assert checks["outliers"].asset_key == node.key


def test_shards_are_twins_beside_each_other(make_twins: MakeTwins) -> None:
    """Each has all stages, a job, a sensor and a schedule of its own; the comparison is made from all parts."""
    twin = load_twin("line", make_twins(line=TWIN_YAML + "units: discovered\nshards: 2\n"))
    definitions = build_definitions([twin])
    assets = definitions.resolve_asset_graph()
    shards = {f"line__{number}_of_2" for number in (1, 2)}
    stages = set(STAGES) - {"smoothed_coefficients", "fleet"}
    assert {key.path[0] for key in assets.get_all_asset_keys()} == {*shards, "line"}
    assert all({key.path[1] for key in assets.get_all_asset_keys() if key.path[0] == each} == stages for each in shards)
    assert assets.get(dg.AssetKey(["line", "fleet"])).parent_keys == {
        dg.AssetKey([each, "ukf_state"]) for each in shards
    }
    for each in shards:
        for key in assets.get_all_asset_keys():
            if key.path[0] == each:
                assert {parent.path[0] for parent in assets.get(key).parent_keys} <= {each}
    assert {job.name for job in definitions.resolve_all_job_defs()} >= {
        *(f"{each}_live" for each in shards),
        "line_live",
    }
    assert {schedule.name for schedule in definitions.schedules or ()} == {f"{each}_schedule" for each in shards}
    assert {sensor.name for sensor in definitions.sensors or ()} == {
        *(f"{each}_new_telemetry" for each in shards),
        "line_fleet",
    }


def test_partitions_groups_and_ranges(graph: dg.Definitions) -> None:
    """All but the FMU have the twin's windows, the open one too, and take ranges of them in one run."""
    assets = graph.resolve_asset_graph()
    for key in assets.get_all_asset_keys():
        node = assets.get(key)
        assert node.group_name == "line"
        assert node.code_version == "1"
        assert node.description
        if key.path[1] == "fmu":
            assert node.partitions_def is None
            continue
        assert node.backfill_policy == dg.BackfillPolicy.single_run()
        assert node.partitions_def == dg.TimeWindowPartitionsDefinition(
            start="2026-01-01", cron_schedule="0 0 * * *", fmt="%Y-%m-%d", timezone="UTC", end_offset=1
        )
        assert "dagster/column_schema" in node.metadata


def test_checks_stand_before_published(graph: dg.Definitions) -> None:
    """Six blocking checks, on what published is made from and on nothing before it."""
    assets = graph.resolve_asset_graph()
    specs = [assets.get_check_spec(key) for key in assets.asset_check_keys]
    assert {f"{spec.asset_key.to_user_string()}:{spec.name}" for spec in specs} == {
        "line/calibrated_coefficients:innovation_consistency",
        "line/calibrated_coefficients:measured_enough",
        "line/calibrated_coefficients:off_bounds",
        "line/calibrated_coefficients:identifiability",
        "line/calibrated_coefficients:freshness",
        "line/calibrated_coefficients:model_answers",
        "line/calibrated_coefficients:diagnosis",
        "line/virtual_sensors:finite",
    }
    assert all(spec.blocking for spec in specs)


def test_jobs_schedules_sensors(graph: dg.Definitions) -> None:
    """One job for all of a twin, started by its schedule and by news; both are on."""
    (schedule,) = graph.schedules or ()
    (sensor,) = graph.sensors or ()
    assert isinstance(schedule, dg.ScheduleDefinition)
    assert isinstance(sensor, dg.SensorDefinition)
    job = graph.resolve_job_def("line_live")
    assert {key.path[1] for key in job.asset_layer.executable_asset_keys} == set(STAGES) - {
        "smoothed_coefficients",
        "fleet",
    }
    assert len(job.asset_layer.asset_graph.asset_check_keys) == 8
    assert (schedule.name, schedule.job_name, schedule.cron_schedule, schedule.execution_timezone) == (
        "line_schedule",
        "line_live",
        "*/20 * * * *",
        "UTC",
    )
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    assert (sensor.name, sensor.job_name, sensor.minimum_interval_seconds) == ("line_new_telemetry", "line_live", 30)
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING


def test_no_schedule_without_one(make_twins: MakeTwins) -> None:
    """A twin without ``schedule`` is started by new telemetry alone."""
    twin = load_twin("line", make_twins(line=TWIN_YAML.replace("schedule:", "# ")))
    definitions = build_definitions([twin])
    assert not definitions.schedules
    assert len(list(definitions.sensors or ())) == 1


def test_twins_do_not_meet(make_twins: MakeTwins) -> None:
    """Two twins have graphs of their own in one code location."""
    folder = make_twins(line=TWIN_YAML, other=TWIN_YAML.replace("name: line", "name: other"))
    twins, broken = find_all(folder)
    assert not broken
    assets = build_definitions(twins).resolve_asset_graph()
    assert {(key.path[0], assets.get(key).group_name) for key in assets.get_all_asset_keys()} == {
        ("line", "line"),
        ("other", "other"),
    }
    for key in assets.get_all_asset_keys():
        assert {parent.path[0] for parent in assets.get(key).parent_keys} <= {key.path[0]}


def test_a_broken_twin_does_not_take_the_others_away(make_twins: MakeTwins, monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt key is shown as an asset with the message; the sound twin is there."""
    folder = make_twins(line=TWIN_YAML, pump=TWIN_YAML.replace("start:", "strat:"))
    monkeypatch.setenv(TWINS_VARIABLE, str(folder))
    loaded = defs()
    assets = loaded.resolve_asset_graph()
    assert dg.AssetKey(["line", "published"]) in assets.get_all_asset_keys()
    stand_in = assets.get(dg.AssetKey(["pump", "twin_yaml"]))
    assert "pump/twin.yaml:3: " in (stand_in.description or "")
    result = dg.materialize([stand_in.assets_def], raise_on_error=False)
    assert not result.success


def test_a_missing_folder_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a folder of twins the code location does not load, and says what is missing."""
    monkeypatch.setenv(TWINS_VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(SpecError, match="nowhere: the folder with the twins cannot be read"):
        defs()


def test_importing_does_nothing(tmp_path: Path) -> None:
    """Importing the code location reads no twin, makes no home, and loads neither matplotlib nor fmpy nor boto3."""
    code = (
        "import sys, twin_assets.definitions, twin_assets.running;"
        "print([name for name in ('matplotlib', 'fmpy', 'boto3', 'scipy.stats', 'PIL') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert list(tmp_path.iterdir()) == []
