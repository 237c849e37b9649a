"""``twin run`` and ``twin export`` of a twin of many units, whole and divided into shards, on a real FMU."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from twin_assets.cli import main
from twin_assets.cli.run_shards import _refusals
from twin_assets.definitions import build_definitions
from twin_assets.historian import SqlHistorian
from twin_assets.home import Home
from twin_assets.running import RunSummary
from twin_assets.spec_file import load_twin

FMU = Path(__file__).parents[2] / "twins" / "web_line" / "web_line.fmu"
TWIN_YAML = f"""\
name: line
model: {{fmu: {FMU}}}
start: 2026-01-01
units: discovered
inputs:
  - {{name: web_speed_setpoint, property: line_speed, max_age: 30h}}
coefficients:
  - {{name: b9, initial: 0.001, initial_std: 0.005, bounds: [0, 0.5], drift_std_per_sqrt_hour: 0.0001}}
measurements:
  - {{name: S8_Tension_N, noise_std: 0.05}}
virtual_sensors:
  - {{name: S9_Tension_N}}
"""
UNITS = ("a", "b", "c", "d", "f")
UseHome = Callable[..., Home]
START = pd.Timestamp("2026-01-01", tz="UTC")


def measure(home: Home, units: tuple[str, ...], day: int, times: int = 3) -> None:
    """A line speed and a load cell of some units, every 20 minutes."""
    index = pd.date_range(START + pd.Timedelta(days=day), periods=times, freq="20min", unit="ns")
    parts = []
    for unit in units:
        speed = pd.DataFrame({"property": "line_speed", "time": index, "value": 1.0})
        force = pd.DataFrame({"property": "S8_Tension_N", "time": index, "value": 148.8 + 0.01 * (index.minute // 20)})
        parts += [speed.assign(unit=unit), force.assign(unit=unit)]
    with SqlHistorian.sqlite(home.historian_path) as historian:
        assert historian.write(pd.concat(parts).assign(quality="GOOD")).rejected.empty


def look(definitions: dg.Definitions, instance: dg.DagsterInstance, name: str) -> None:
    """Let a sensor look, as the daemon does."""
    repository, found = definitions.get_repository_def(), definitions.resources or {}
    with dg.build_sensor_context(
        instance=instance,
        repository_def=repository,
        resources={key: found[key] for key in ("historian", "bench")},
        sensor_name=name,
    ) as context:
        assert repository.get_sensor_def(name).evaluate_tick(context).run_requests


def spoil(home: Home, unit: str, day: int) -> None:
    """Half of what a unit's load cell said becomes 100 N more."""
    index = pd.date_range(START + pd.Timedelta(days=day), periods=6, freq="40min", unit="ns")
    wrong = pd.DataFrame({"property": "S8_Tension_N", "time": index, "value": 248.8, "unit": unit, "quality": "GOOD"})
    with SqlHistorian.sqlite(home.historian_path) as historian:
        assert historian.write(wrong).rejected.empty


@pytest.fixture
def use_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> UseHome:
    """Makes a home with one twin in it and works there; ``more`` is added to its twin.yaml."""

    def use(name: str, more: str = "") -> Home:
        folder = tmp_path / name / "twins" / "line"
        folder.mkdir(parents=True)
        (folder / "twin.yaml").write_text(TWIN_YAML + more)
        monkeypatch.setenv("TWINS_PATH", str(folder.parent))
        monkeypatch.setenv("TWIN_HOME", str(tmp_path / name / "home"))
        monkeypatch.chdir(tmp_path / name)
        home = Home(tmp_path / name / "home")
        home.prepare()
        return home

    return use


def exported(capsys: pytest.CaptureFixture[str], table: str) -> pd.DataFrame:
    """What ``twin export`` prints."""
    main(["export", "line", table])
    return pd.read_csv(io.StringIO(capsys.readouterr().out))


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that must fail with exit code 1 and no traceback; its message."""
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    message = capsys.readouterr().err
    assert stopped.value.code == 1
    assert "Traceback" not in message
    return message


@pytest.mark.slow
def test_shards_are_run_and_exported_as_one_twin(use_home: UseHome, capsys: pytest.CaptureFixture[str]) -> None:
    """One command runs all shards and then nothing; every table is that of the twin that is not divided."""
    tables = []
    for name, more in (("whole", ""), ("divided", "shards: 3\n")):
        home = use_home(name, more)
        measure(home, UNITS, 0)
        measure(home, (*UNITS, "new"), 1)
        main(["run", "line", "--json"])
        told = json.loads(capsys.readouterr().out)
        if more:
            assert {run["shard"] for run in told["runs"]} == {f"line, shard {number}/3" for number in (1, 2, 3)}
            assert all(run["refused"] == {} for run in told["runs"])
        main(["run", "line"])
        assert "up to date" in capsys.readouterr().out
        found = {table: exported(capsys, table) for table in ("telemetry", "coefficients", "virtual_sensors", "fleet")}
        tables.append({key: frame.sort_values(list(frame.columns), ignore_index=True) for key, frame in found.items()})
        units = exported(capsys, "units")
        assert sorted(units["unit"]) == [*UNITS, "new"]
    for table, whole in tables[0].items():
        pd.testing.assert_frame_equal(whole, tables[1][table], check_exact=True, obj=table)
    main(["run", "line", "--from", "2026-01-02", "--to", "2026-01-03"])
    said = capsys.readouterr().out
    assert said.count("1 window materialized (2026-01-02), 1 published") == 3


def test_what_a_twin_does_not_have_is_told(use_home: UseHome, capsys: pytest.CaptureFixture[str]) -> None:
    """No fleet where there is one unit, nothing yet where nothing was run, nothing to run where nothing is measured."""
    use_home("divided", "shards: 3\n")
    assert "has no fleet yet" in fails(capsys, "export", "line", "fleet")
    assert "has no record of units yet" in fails(capsys, "export", "line", "units")
    for arguments in ((), ("--from", "2026-01-01")):
        assert "holds nothing that twin 'line' measures" in fails(capsys, "run", "line", *arguments)
    home = use_home("one")
    path = home.root.parent / "twins" / "line" / "twin.yaml"
    path.write_text(TWIN_YAML.replace("units: discovered", "units: [a]"))
    for table in ("fleet", "units"):
        assert "has one unit" in fails(capsys, "export", "line", table)


@pytest.mark.slow
def test_a_shards_trouble_is_its_own_and_told(use_home: UseHome, capsys: pytest.CaptureFixture[str]) -> None:
    """A damaged store ends one shard, a bad sensor refuses one unit of another; the rest is published, exit code 1."""
    home = use_home("divided", "shards: 3\nchecks: {max_gated_fraction: 0.1}\n")
    measure(home, UNITS, 0, times=12)
    spoil(home, "a", 0)
    damaged = Path(home.store_path) / "line__1_of_3" / "calibrated_coefficients"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"no folder")
    with pytest.raises(SystemExit) as stopped:
        main(["run", "line", "--json"])
    assert stopped.value.code == 1
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert list(told["failed"]) == ["line, shard 1/3"]
    runs = {run["shard"]: run for run in told["runs"]}
    assert set(runs) == {"line, shard 2/3", "line, shard 3/3"}
    assert len(told["runs"]) == len(runs), "what is refused is no reason to go again"
    assert list(runs["line, shard 2/3"]["refused_units"]) == ["2026-01-01"]
    assert runs["line, shard 3/3"]["refused_units"] == {}
    assert "line, shard 2/3: 1 of 1 windows hold units that were refused" in said.err
    assert str(damaged) in said.err
    assert "Traceback" not in said.err
    assert set(exported(capsys, "fleet")["unit"]) == set(UNITS)
    with SqlHistorian.sqlite(home.historian_path) as historian:
        found = historian.read(UNITS, ("b9",), START, START + pd.Timedelta(days=2))
    assert set(found["unit"]) == {"b", "c", "d"}


def test_what_was_refused_and_then_put_right_is_not_told() -> None:
    """Of a window that was run twice the last run speaks, of the others each its own."""
    done = [
        ("1/2", RunSummary("first", ("d1", "d2", "d3"), {"d1": "bad", "d2": "bad"})),
        ("2/2", RunSummary("other", ("d1",), {})),
        ("1/2", RunSummary("second", ("d2", "d3"), {"d3": "worse"})),
    ]
    assert _refusals(done, "refused", "were refused") == ["1/2: 2 of 3 windows were refused:\n  d1: bad\n  d3: worse"]
    assert _refusals(done, "refused_units", "were refused") == []


def test_a_shard_with_one_named_unit_keeps_its_record(use_home: UseHome, capsys: pytest.CaptureFixture[str]) -> None:
    """The record of a divided twin holds each of its named units, also one that is alone in its shard."""
    home = use_home("divided", "shards: 3\n")
    path = home.root.parent / "twins" / "line" / "twin.yaml"
    path.write_text(path.read_text().replace("units: discovered", "units: [a, c, f]"))
    measure(home, ("a", "c", "f"), 0)
    with dg.DagsterInstance.ephemeral() as instance:
        definitions = build_definitions([load_twin("line", path.parents[1])], home=home)
        for number in (1, 2, 3):
            look(definitions, instance, f"line__{number}_of_3_new_telemetry")
    assert sorted(exported(capsys, "units")["unit"]) == ["a", "c", "f"]
