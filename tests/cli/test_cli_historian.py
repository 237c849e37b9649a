"""``twin --historian``: another historian than the embedded one, from the command line."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from postgres_server import PASSWORD
from twin_assets.historian import SqlHistorian

ROOT = Path(__file__).parents[2]
TWIN = f"""\
name: line
model: {{fmu: {ROOT / "twins" / "web_line" / "web_line.fmu"}}}
start: 2026-01-01
inputs:
  - {{name: web_speed_setpoint, property: line_speed}}
coefficients:
  - {{name: b3, initial: 0.01, initial_std: 0.02, bounds: [0, 0.5]}}
measurements:
  - {{name: Roller3_w, noise_std: 0.001}}
virtual_sensors:
  - {{name: S9_Tension_N}}
"""
EVER = pd.Timestamp("2000-01-01", tz="UTC"), pd.Timestamp("2100-01-01", tz="UTC")


@pytest.fixture(name="folder", autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a twin and a recording of it."""
    (tmp_path / "twins" / "line").mkdir(parents=True)
    (tmp_path / "twins" / "line" / "twin.yaml").write_text(TWIN)
    (tmp_path / "wide.csv").write_text("time,line_speed,Roller3_w\n2026-01-01T00:00Z,1.5,30\n2026-01-01T00:20Z,1.5,\n")
    monkeypatch.chdir(tmp_path)
    for variable in ("TWIN_HOME", "TWINS_PATH"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


def twin(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "twin_assets", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})


@pytest.mark.parametrize("way", ["option", "environment"])
def test_a_recording_goes_where_it_was_told(folder: Path, postgresql_url: str, way: str) -> None:
    """By the option or the variable; nothing is made in the home, and the password is in no output."""
    ingest = ("ingest", "line", "wide.csv")
    done = (
        twin("--historian", postgresql_url, *ingest)
        if way == "option"
        else twin(*ingest, TWIN_HISTORIAN=postgresql_url)
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert PASSWORD not in done.stdout
    with SqlHistorian(postgresql_url) as historian:
        found = historian.read(("line",), ("line_speed", "Roller3_w"), *EVER)
    assert found["value"].tolist() == [30.0, 1.5, 1.5]
    assert not (folder / ".twin" / "historian.sqlite").exists()


@pytest.mark.parametrize("arguments", [("ingest", "line", "wide.csv"), ("--debug", "run", "line")])
def test_a_historian_that_cannot_be_reached_is_one_message(arguments: tuple[str, ...]) -> None:
    """Where, why, what to do; without the password, also where a traceback was asked for."""
    done = twin("--historian", "postgresql://twin:s3cret@127.0.0.1:1/plant", *arguments)
    assert done.returncode == 1
    assert "Error: postgresql://twin@127.0.0.1:1/plant: no server answers there. Start it" in done.stderr
    assert "s3cret" not in done.stderr
    assert ("Traceback" in done.stderr) == ("--debug" in arguments)


def test_a_run_says_where_it_found_nothing(postgresql_url: str) -> None:
    """The historian that was asked is named, for another one may hold it."""
    done = twin("--historian", postgresql_url, "run", "line")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: postgresql://postgres@127.0.0.1:")
    assert "/postgres: the historian holds nothing that twin 'line' measures" in done.stderr
    assert PASSWORD not in done.stderr


@pytest.mark.slow
def test_the_demonstration_is_the_same_with_either(tmp_path: Path, postgresql_url: str) -> None:
    """Plant, faults, late data, FMU in worker processes, publishing: the tables in the home are the same bytes."""
    common = ("--twins", str(ROOT / "twins"))
    play = ("demo", "--days", "0.5", "--start", "2026-01-05", "--quiet")
    embedded = twin(*common, "--home", str(tmp_path / "embedded"), *play)
    served = twin(*common, "--home", str(tmp_path / "served"), "--historian", postgresql_url, *play)
    assert (embedded.returncode, served.returncode) == (0, 0), embedded.stderr + served.stderr
    tables = {
        name: {path.name + str(path.parent.name): path.read_bytes() for path in (tmp_path / name).rglob("*.parquet")}
        for name in ("embedded", "served")
    }
    assert len(tables["embedded"]) > 3
    assert tables["served"] == tables["embedded"]
