"""``twin run``: through Dagster on a real FMU, and what people are told."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from twin_assets.cli import main
from twin_assets.cli.run import choose
from twin_assets.historian import SqlHistorian
from twin_assets.home import Home
from twin_assets.running import instance_of
from twin_assets.spec_file import load_twin
from twin_assets.store import Store

TWINS = Path(__file__).parents[2] / "twins"
START = pd.Timestamp("2026-01-01", tz="UTC")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """An empty home; the project's twins."""
    monkeypatch.setenv("TWINS_PATH", str(TWINS))
    monkeypatch.setenv("TWIN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    home = Home(tmp_path / "home")
    home.prepare()
    return home


def _measure(home: Home, start: pd.Timestamp, times: int, level: float = 148.8) -> None:
    """A line speed and one load cell in the historian, every 20 minutes."""
    index = pd.date_range(start, periods=times, freq="20min", unit="ns")
    speed = pd.DataFrame({"property": "line_speed", "time": index, "value": 1.0})
    # Not quite constant: a value that never changes would count as stuck.
    force = pd.DataFrame({"property": "S8_Tension_N", "time": index, "value": level + 0.01 * (index.minute // 20)})
    with SqlHistorian.sqlite(home.historian_path) as historian:
        report = historian.write(pd.concat([speed, force]).assign(unit="line_1", quality="GOOD"))
        assert report.rejected.empty


def _fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that must fail with exit code 1 and no traceback; its message."""
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    message = capsys.readouterr().err
    assert stopped.value.code == 1
    assert "Traceback" not in message
    return message


def test_run_does_what_is_new_and_then_nothing(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    """Two days in one run, seen by Dagster; a second call computes nothing; new data starts from its own window."""
    _measure(home, START, 3)
    _measure(home, START + pd.Timedelta(days=1), 3)
    main(["run", "web_line", "--json"])
    first = json.loads(capsys.readouterr().out)
    assert first["windows"] == ["2026-01-01", "2026-01-02"]
    assert first["refused"] == {}
    with instance_of(home) as instance:
        assert [run.run_id for run in instance.get_runs()] == [first["run_id"]]
    main(["run", "web_line"])
    assert "up to date" in capsys.readouterr().out
    main(["run", "web_line", "--json"])
    assert json.loads(capsys.readouterr().out) == {"run_id": None, "windows": [], "refused": {}, "refused_units": {}}
    _measure(home, START + pd.Timedelta(days=1, hours=1), 1)
    main(["run", "web_line"])
    said = capsys.readouterr()
    assert "1 window materialized (2026-01-02), 1 published" in said.out
    assert said.err == ""
    assert len(Store(home.store_path).read_many("web_line", "calibrated_coefficients", first["windows"])) == 7


def test_a_range_materializes_its_windows(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    """--from and --to name times; the windows that hold them are materialized, whether anything is new or not."""
    _measure(home, START, 3)
    _measure(home, START + pd.Timedelta(days=1), 3)
    main(["run", "web_line", "--from", "2026-01-01T05:00", "--to", "2026-01-01T06:00", "--quiet", "--json"])
    assert json.loads(capsys.readouterr().out)["windows"] == ["2026-01-01"]
    assert Store(home.store_path).keys("web_line", "calibrated_coefficients") == ("2026-01-01",)


def test_refused_windows_are_an_error_that_says_why(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    """Telemetry that the model cannot explain: the checks refuse, the command exits 1 with their reason."""
    _measure(home, START, 6, level=900.0)
    message = _fails(capsys, "run", "web_line")
    assert "1 of 1 windows were refused by the checks" in message
    assert "2026-01-01:" in message
    assert "twin export" in message


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "web_line"], "Write telemetry first"),
        (["run", "web_lime"], "web_line"),
        (["run", "web_line", "--from", "2026-01-02", "--to", "2026-01-01"], "is not before"),
        (["run", "web_line", "--from", "monday-ish"], "is no time"),
    ],
)
def test_what_a_user_did_wrong_is_one_message(
    home: Home, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    """Exit code 1 and a sentence that helps; never a traceback."""
    assert home.root.exists()
    assert said in _fails(capsys, *arguments)


def test_a_range_before_the_twins_first_window_is_said_so(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing to do is an error when a range was asked for: it can only be a mistake."""
    _measure(home, START, 1)
    assert "has no window in that range" in _fails(capsys, "run", "web_line", "--to", "1999-01-01")


def test_an_end_alone_begins_where_anything_is_new(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    """--to alone begins at the first window with news, not at the twin's start years before; its end is kept.

    What has gone through is not gone through again; where nothing was measured before the end, that is said.
    """
    _measure(home, START, 3)
    _measure(home, START + pd.Timedelta(days=2), 3)
    twin = load_twin("web_line", TWINS)

    def chosen(end: str) -> list[str]:
        return [window.key for window in choose(home, twin, None, pd.Timestamp(end, tz="UTC"))]

    assert chosen("2026-01-01T05:00") == ["2026-01-01"]
    assert chosen("2026-01-03T00:20") == ["2026-01-01", "2026-01-02", "2026-01-03"]
    assert chosen("2026-01-05") == ["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04"]
    message = _fails(capsys, "run", "web_line", "--to", "2026-01-01")
    assert "has no telemetry before that time; it begins in the hour from 2026-01-01T00:00 UTC" in message

    main(["run", "web_line", "--to", "2026-01-02", "--json"])
    assert json.loads(capsys.readouterr().out)["windows"] == ["2026-01-01"]
    assert chosen("2026-01-04") == ["2026-01-03"]
    main(["run", "web_line", "--to", "2026-01-02"])
    assert "up to date: nothing new before 2026-01-02T00:00 UTC" in capsys.readouterr().out


def test_a_missing_model_is_one_message(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A twin whose FMU is not there fails before any run, and says which file is meant."""
    (tmp_path / "twins" / "web_line").mkdir(parents=True)
    shutil.copy(TWINS / "web_line" / "twin.yaml", tmp_path / "twins" / "web_line")
    monkeypatch.setenv("TWINS_PATH", str(tmp_path / "twins"))
    _measure(home, START, 1)
    assert "web_line.fmu" in _fails(capsys, "run", "web_line")
