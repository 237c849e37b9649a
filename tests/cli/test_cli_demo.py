"""``twin demo`` from end to end: the real FMU, historian, Dagster and store."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from twin_assets.cli import main
from twin_assets.demo.direct import calibrate_directly
from twin_assets.demo.faults import record
from twin_assets.demo.plant import operate
from twin_assets.demo.randomness import streams
from twin_assets.historian import SqlHistorian
from twin_assets.home import Home
from twin_assets.running import instance_of
from twin_assets.spec_file import load_twin
from twin_assets.stages.engine import open_model
from twin_assets.store import Store

TWINS = Path(__file__).parents[2] / "twins"
PERIOD = ("--days", "0.5", "--start", "2026-01-01T12:00", "--seed", "3")
KEYS = {"coverage_95", "coefficient_rmse", "virtual_sensor_rmse", "model_runs", "seconds", "calibration_seconds"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """An empty home; the project's twins."""
    monkeypatch.setenv("TWINS_PATH", str(TWINS))
    monkeypatch.setenv("TWIN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return Home(tmp_path / "home")


def _demo(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """The summary of a demonstration, as machines get it."""
    main(["demo", "--json", "--quiet", *arguments])
    said = capsys.readouterr()
    assert said.err == ""
    summary: dict[str, Any] = json.loads(said.out)
    return summary


def _fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a demonstration that must fail with exit code 1 and no traceback; its message."""
    with pytest.raises(SystemExit) as stopped:
        main(["demo", *arguments])
    message = capsys.readouterr().err
    assert stopped.value.code == 1
    assert "Traceback" not in message
    return message


@pytest.mark.slow
def test_half_a_day_from_end_to_end(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    """What the demonstration leaves behind, and what it does when it is played again.

    The tables are what the stages compute without Dagster, the summary is about them, the pictures are there; playing
    again computes nothing; another demonstration in the same home is refused.
    """
    summary = _demo(capsys, *PERIOD)
    assert summary.keys() >= KEYS
    assert summary["updates"] == 36
    assert [one["windows"] for one in summary["passes"]] == [["2026-01-01"], ["2026-01-01"]]
    assert [one["published"] for one in summary["publications"]] == [True]
    assert json.loads((home.root / "demo" / "summary.json").read_text()) == summary
    for path in summary["files"].values():
        assert Path(path).stat().st_size > 1000
    with instance_of(home) as instance:
        assert {run.run_id for run in instance.get_runs()} == {one["run_id"] for one in summary["passes"]}
    _is_what_the_stages_compute(home, summary)
    _is_published(home)

    again = _demo(capsys)
    assert [one["windows"] for one in again["passes"]] == [[], []]
    assert again["coefficients"] == summary["coefficients"]
    assert "seed 3, not 4" in _fails(capsys, "--seed", "4")

    main(["demo"])
    said = capsys.readouterr().out
    assert "what was true, and what the twin found" in said
    assert str(home.root / "demo" / "coefficients.png") in said.replace("\n", "")


def _is_what_the_stages_compute(home: Home, summary: dict[str, Any]) -> None:
    """Late data and all: the store's coefficients equal those of one pass over all samples, and so does coverage."""
    twin = load_twin("web_line", TWINS)
    times = pd.date_range("2026-01-01T12:00", periods=36, freq="20min", tz="UTC", unit="ns")
    plant_rng, sensors_rng = streams(3)
    with open_model(twin) as model:
        plant = operate(twin.spec, model, times, plant_rng)
        recording = record(twin.spec, "line_1", plant, sensors_rng)
        samples = pd.concat([recording.prompt, recording.late])
        expected = calibrate_directly(twin.spec, model, samples, virtual_sensors=False).coefficients
    found = Store(home.store_path).read("web_line", "calibrated_coefficients", "2026-01-01")
    assert found is not None
    # The store also holds what is published of them.
    pd.testing.assert_frame_equal(found[expected.columns], expected, check_exact=True)
    names = [part.name for part in twin.spec.coefficients]
    truth = plant.coefficients.to_numpy()
    lower, upper = (found[[f"{name}{end}" for name in names]].to_numpy() for end in ("_lower", "_upper"))
    assert summary["coverage_95"] == pytest.approx(((lower <= truth) & (truth <= upper)).mean())


def _is_published(home: Home) -> None:
    """Results are in the historian under names of their own."""
    with SqlHistorian.sqlite(home.historian_path) as historian:
        properties = historian.properties("line_1")
    assert {"b9", "b9_lower", "b9_upper", "Roller9_w_predicted", "S9_Tension_N", "line_speed"} <= set(properties)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--days", "0.01"], "too short"),
        (["--days", "0"], "not in the range"),
        (["--start", "2222-01-01"], "still to come"),
        (["--start", "2999-01-01"], "expected a year"),
        (["--seed", "-1"], "not in the range"),
        (["--start", "soon-ish"], "is no time"),
    ],
)
def test_what_a_user_did_wrong_is_one_message(
    home: Home, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    """Exit code 1 and a sentence that helps; no demonstration is begun."""
    assert said in _fails(capsys, *arguments)
    assert not (home.root / "demo").exists()


def test_other_data_is_not_mixed_with_a_demonstration(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    """A home in whose historian the machine has telemetry already is refused and left as it is."""
    home.prepare()
    sample = {"unit": "line_1", "property": "Roller1_w", "value": 20.0, "quality": "GOOD"}
    with SqlHistorian.sqlite(home.historian_path) as historian:
        historian.write(pd.DataFrame([{**sample, "time": pd.Timestamp("2026-01-01", tz="UTC")}]))
    assert "holds other data of unit 'line_1'" in _fails(capsys, *PERIOD)
    assert not (home.root / "demo").exists()


def test_without_its_twin_the_demonstration_says_where_it_is(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run elsewhere than in the project's folder: the message names --twins."""
    assert not home.root.exists()
    monkeypatch.setenv("TWINS_PATH", str(tmp_path / "elsewhere"))
    assert "--twins" in _fails(capsys, *PERIOD)


def test_a_truncated_model_is_one_message(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged FMU is named, and nothing is left in the historian."""
    shutil.copytree(TWINS / "web_line", tmp_path / "twins" / "web_line", ignore=shutil.ignore_patterns("model"))
    fmu = tmp_path / "twins" / "web_line" / "web_line.fmu"
    fmu.write_bytes(fmu.read_bytes()[:5000])
    monkeypatch.setenv("TWINS_PATH", str(tmp_path / "twins"))
    assert "web_line.fmu" in _fails(capsys, *PERIOD)
    with SqlHistorian.sqlite(home.historian_path) as historian:
        assert historian.units() == ()
