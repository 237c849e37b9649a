"""``twin replay`` as people and machines use it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from twin_assets.cli import main
from twin_assets.historian import SqlHistorian
from twin_assets.home import Home

TWIN = """\
name: line
model: {fmu: line.fmu}
start: 2026-01-01
coefficients:
  - {name: b1, initial: 0.1, initial_std: 0.1}
measurements:
  - {name: Roller1_w, noise_std: 0.1}
virtual_sensors:
  - {name: S1_Tension_N}
"""
EVER = pd.Timestamp("2000-01-01", tz="UTC"), pd.Timestamp("2100-01-01", tz="UTC")


@pytest.fixture(name="folder", autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a twin and an hour of recording."""
    (tmp_path / "twins" / "line").mkdir(parents=True)
    (tmp_path / "twins" / "line" / "twin.yaml").write_text(TWIN)
    times = pd.date_range("2026-01-01", periods=61, freq="1min", tz="UTC")
    pd.DataFrame({"time": times, "Roller1_w": range(61)}).to_csv(tmp_path / "hour.csv", index=False)
    monkeypatch.chdir(tmp_path)
    for variable in ("TWIN_HOME", "TWINS_PATH"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


def held(url: str | None = None) -> pd.DataFrame:
    """All samples of the line."""
    with SqlHistorian(url) if url else SqlHistorian.sqlite(Home(Path(".twin")).historian_path) as historian:
        return historian.read(("line",), ("Roller1_w",), *EVER)


def test_a_recording_happens_now(capsys: pytest.CaptureFixture[str]) -> None:
    """An hour in no time: its samples end now, a minute apart, and the summary says so."""
    main(["replay", "line", "hour.csv", "--speed", "1e9", "--json"])
    report = json.loads(capsys.readouterr().out)
    found = held()
    assert found["value"].tolist() == list(range(61))
    assert found["time"].diff().dropna().unique().tolist() == [pd.Timedelta("1min")]
    assert abs(pd.Timestamp.now("UTC") - found["time"].iloc[-1]) < pd.Timedelta("5min")
    assert (report["samples"], report["rejected"], report["unsent"]) == (61, 0, 0)
    assert pd.Timestamp(report["last"]) == found["time"].iloc[-1]


def test_it_goes_where_it_was_told(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another database by --to; the embedded one by its name, whatever the environment says."""
    elsewhere = f"sqlite:///{folder}/elsewhere.sqlite"
    common = ["replay", "line", "hour.csv", "--speed", "1e9", "--keep-times"]
    main([*common, "--to", elsewhere])
    assert "Sent 61 samples to" in capsys.readouterr().out
    assert held(elsewhere)["time"].iloc[0] == pd.Timestamp("2026-01-01", tz="UTC")
    assert not (folder / ".twin" / "historian.sqlite").exists()
    monkeypatch.setenv("TWIN_HISTORIAN", elsewhere)
    main([*common, "--to", "sql"])
    assert len(held()) == 61


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--speed", "0"], "--speed"),
        (["--late", "1.5"], "--late"),
        (["--dropouts", "1"], "nothing is left of 61 samples. Choose a smaller share"),
        (["--to", "nowhere"], "'nowhere' is no database URL"),
        (["--unit", "other"], "expected a unit of twin 'line'"),
    ],
)
def test_what_cannot_be_is_one_message(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is sent."""
    with pytest.raises(SystemExit) as ended:
        main(["replay", "line", "hour.csv", *arguments])
    assert ended.value.code == 1
    assert said in capsys.readouterr().err


def test_ctrl_c_ends_it_with_a_summary(folder: Path) -> None:
    """A process that is interrupted in the middle says what it sent, and that is what the historian holds."""
    (folder / "seconds.csv").write_text(
        "time_s,Roller1_w\n" + "".join(f"{number},{number}\n" for number in range(100_000))
    )
    command = [sys.executable, "-m", "twin_assets", "replay", "line", "seconds.csv", "--start", "2026-01-01"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [*command, "--late", "0.5", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not _count():
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.strip() == "Stopped."
    report = json.loads(out)
    found = held()
    assert report["samples"] == len(found) > 0
    assert report["unsent"] == 100_000 - len(found)
    assert found["value"].tolist() == list(range(len(found)))


def _count() -> int:
    path = Home(Path(".twin")).historian_path
    return len(held()) if path.exists() else 0
