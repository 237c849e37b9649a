"""A home with damaged files in it: each command says which file, what was found and what to do, never a traceback."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from twin_assets.cli import main
from twin_assets.historian import SqlHistorian
from twin_assets.home import Home
from twin_assets.running import instance_of
from twin_assets.store import Store

TWINS = Path(__file__).parents[2] / "twins"
TIMES = pd.date_range("2026-01-01", periods=3, freq="20min", tz="UTC", unit="ns")
DEMO = ("demo", "--days", "0.2", "--quiet")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home with an hour of line speed in it, for the project's twin."""
    monkeypatch.setenv("TWINS_PATH", str(TWINS))
    monkeypatch.setenv("TWIN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    home = Home(tmp_path / "home")
    home.prepare()
    samples = pd.DataFrame({"unit": "line_1", "property": "line_speed", "time": TIMES, "value": 1.0, "quality": "GOOD"})
    with SqlHistorian.sqlite(home.historian_path) as historian:
        historian.write(samples)
    return home


def _fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that must fail with exit code 1 and no traceback; its message."""
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    message = capsys.readouterr().err
    assert stopped.value.code == 1
    assert "Traceback" not in message
    assert message.startswith("Error:")
    return message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("telemetry: [1", r":1: no valid YAML: while parsing a flow sequence"),
        ("\trun_queue: 1", r":1: no valid YAML: .*indents by spaces, not tabs"),
        ("telemetry:\n  enabled: true\nwuff: 1\n", r':3: Received unexpected config entry "wuff" at the root\.$'),
        ("telemetry:\n  wuff: 1\n", r':2: Received .* "wuff" at path root:telemetry\. Expected: "{ enabled\?: Bool }"'),
        ("telemetry: 3\n", r":1: Value at path root:telemetry must be dict"),
        ("run_queue:\n  max_concurrent_runs: many\n", r':2: Invalid scalar .*Value "many"'),
        ("- telemetry\n", r":1: found '\['telemetry'\]'; expected keys with values"),
        ("storage:\n  sqlite: {base_dir: {env: NOT_SET_AT_ALL}}\n", r'"NOT_SET_AT_ALL" which is not set'),
        ("storage: {}\n", r"Expected one of:\['postgres', 'mysql', 'sqlite', 'custom'\]"),
        ("event_log_storage: {module: nowhere, class: X}\n", r": Couldn't import module nowhere"),
    ],
)
def test_a_dagster_yaml_that_cannot_be_used_is_one_message(
    home: Home, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    """Bad YAML, unknown keys, wrong types, what is not there: file, line, what was found, what to do."""
    path = home.dagster_path / "dagster.yaml"
    path.write_text(text)
    message = _fails(capsys, "run", "web_line")
    assert f"{path}" in message
    assert pd.Series(message.splitlines()).str.contains(said).any()
    assert "Mend the file, or delete it" in message
    assert len(message) < 1000


def test_text_that_is_no_utf8_is_said_so(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    """Bytes of another encoding in dagster.yaml."""
    (home.dagster_path / "dagster.yaml").write_bytes("telemetry: {enabled: true} # während".encode("latin-1"))
    assert "dagster.yaml: cannot be read as text" in _fails(capsys, "run", "web_line")


def test_the_advice_helps(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the file the home gets a new one, with which it opens."""
    path = home.dagster_path / "dagster.yaml"
    path.write_text("wuff: 1")
    _fails(capsys, "run", "web_line")
    path.unlink()
    home.prepare()
    with instance_of(home) as instance:
        assert instance.get_runs() == []


@pytest.mark.parametrize("name", ["history/runs.db", "history/runs/index.db"])
def test_a_damaged_record_of_runs_is_named_and_can_be_moved_away(
    home: Home, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Dagster's own databases: the message names the damaged one; without it the home opens again."""
    with instance_of(home) as instance:
        assert instance.get_runs() == []
    path = home.dagster_path / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    message = _fails(capsys, "run", "web_line")
    assert f"{path}: Dagster's record of runs is damaged" in message
    assert "Move it away and run again" in message
    path.unlink()
    with instance_of(home) as instance:
        instance.get_runs()
    assert path.stat().st_size > 1000


def test_storage_that_cannot_be_opened_is_no_damage(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder in the place of a database: nothing is said to be damaged."""
    (home.dagster_path / "history" / "runs.db").mkdir(parents=True)
    message = _fails(capsys, "run", "web_line")
    assert f"{home.dagster_path}: Dagster cannot keep its record of runs" in message
    assert "damaged" not in message


@pytest.mark.parametrize("arguments", [("run", "web_line"), DEMO], ids=lambda value: value[0])
@pytest.mark.parametrize(
    ("content", "said"), [(b"no database " * 99, "it is no historian"), (None, "the file is damaged")]
)
def test_a_damaged_historian_is_one_message(
    home: Home, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], content: bytes | None, said: str
) -> None:
    """Some other file in its place, or half of it: what it is and what to do, whatever is asked of it."""
    whole = home.historian_path.read_bytes()
    home.historian_path.write_bytes(content or whole[: len(whole) // 2])
    assert f"{home.historian_path}: {said}" in _fails(capsys, *arguments)


@pytest.mark.parametrize(
    ("arguments", "damage"),
    [
        (("run", "web_line"), lambda data: data[: len(data) // 2]),
        (("export", "web_line", "telemetry"), lambda data: data[: len(data) // 2]),
        (("export", "web_line", "telemetry"), lambda data: data[:4] + b"\0" * 60 + data[64:]),
    ],
    ids=["run, half", "export, half", "export, other bytes"],
)
def test_a_damaged_table_is_one_message(
    home: Home, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], damage: Callable[[bytes], bytes]
) -> None:
    """A table that ends in the middle, or has other bytes in it: its file is named."""
    store = Store(home.store_path)
    frame = pd.DataFrame({"unit": "line_1", "property": "line_speed", "time": TIMES, "value": 1.0, "quality": "GOOD"})
    store.write("web_line", "telemetry", "2026-01-01", frame, {})
    path = store.path("web_line", "telemetry", "2026-01-01")
    path.write_bytes(damage(path.read_bytes()))
    message = _fails(capsys, *arguments)
    assert f"{path}: not readable as a Parquet table" in message
    assert "delete the file and run the twin again" in message


def test_a_demonstration_in_a_home_with_a_broken_configuration_is_one_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same words as for ``twin run``, before the plant has run for nothing."""
    monkeypatch.setenv("TWINS_PATH", str(TWINS))
    monkeypatch.setenv("TWIN_HOME", str(tmp_path / "home"))
    home = Home(tmp_path / "home")
    home.prepare()
    (home.dagster_path / "dagster.yaml").write_text("wuff: 1")
    assert 'dagster.yaml:1: Received unexpected config entry "wuff"' in _fails(capsys, *DEMO)
    assert not (home.root / "demo").exists()
