"""``twin ingest`` as people and machines use it: real processes, a real home, nothing half-written."""

import json
import os
import pty
import subprocess
import sys
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
  - {name: Roller2_w, noise_std: 0.1}
virtual_sensors:
  - {name: S1_Tension_N}
"""
WIDE = "time,Roller1_w,Roller2_w,extra\n2026-01-01T00:00Z,1,2,3\n2026-01-01T00:20Z,4,,5\n"
EVER = pd.Timestamp("2000-01-01", tz="UTC"), pd.Timestamp("2100-01-01", tz="UTC")


@pytest.fixture(name="folder", autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a twin of one machine, a twin of two, and one that discovers its machines."""
    for name, units in {"line": "", "lines": "units: [a, b]\n", "found": "units: discovered\n"}.items():
        (tmp_path / "twins" / name).mkdir(parents=True)
        (tmp_path / "twins" / name / "twin.yaml").write_text(TWIN.replace("name: line\n", f"name: {name}\n{units}", 1))
    monkeypatch.chdir(tmp_path)
    for variable in ("TWIN_HOME", "TWINS_PATH"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "wide.csv").write_text(WIDE)
    return tmp_path


def twin(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "twin_assets", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def held(unit: str = "line", home: str = ".twin") -> list[tuple[str, float]]:
    """Property and value of every sample of a unit."""
    with SqlHistorian.sqlite(Home(Path(home)).historian_path) as historian:
        frame = historian.read((unit,), historian.properties(unit), *EVER)
    return list(zip(frame["property"], frame["value"], strict=True))


def failure(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the command says when it fails; in this process, which is quicker."""
    with pytest.raises(SystemExit) as caught:
        main(["ingest", *arguments])
    assert caught.value.code == 1
    return capsys.readouterr().err


def test_a_recording_goes_into_the_historian() -> None:
    """All numeric columns, for the twin's only unit; one line says what was done; nothing on stderr when piped."""
    done = twin("ingest", "line", "wide.csv")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Ingested 5 samples of 3 properties of line, 2026-01-01T00:00:00")
    assert held() == [("Roller1_w", 1), ("Roller1_w", 4), ("Roller2_w", 2), ("extra", 3), ("extra", 5)]


def test_ingesting_twice_is_ingesting_once(capsys: pytest.CaptureFixture[str]) -> None:
    """The same file again changes nothing and is no arrival."""
    main(["ingest", "line", "wide.csv"])
    before = held()
    with SqlHistorian.sqlite(Path(".twin/historian.sqlite")) as historian:
        cursor = historian.arrivals(("line",), ("Roller1_w",)).cursor
        main(["ingest", "line", "wide.csv", "wide.csv"])
        assert historian.arrivals(("line",), ("Roller1_w",), since=cursor).buckets.empty
    assert held() == before
    assert "5 were in the files more than once" in capsys.readouterr().out


def test_json_is_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    """One object on stdout with what people read, notes included."""
    Path("part.csv").write_text("time,Roller1_w,S1_Tension_N\n2025-12-31T00:00Z,1,2\n")
    main(["ingest", "line", "part.csv", "--json"])
    output = capsys.readouterr()
    report = json.loads(output.out)
    assert report["twin"] == "line"
    assert report["files"] == ["part.csv"]
    assert report["samples"] == 1
    assert report["units"] == ["line"]
    assert report["properties"] == ["Roller1_w"]
    assert pd.Timestamp(report["first"]) == pd.Timestamp(report["last"]) == pd.Timestamp("2025-12-31T00:00Z")
    assert list(report["skipped"]) == ["S1_Tension_N"]
    assert len(report["notes"]) == 3
    assert output.err.count("Note: ") == 3


def test_quiet_keeps_notes_to_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """--quiet leaves the result alone on stdout."""
    Path("part.csv").write_text("time,Roller1_w\n2026-01-01T00:00Z,1\n")
    main(["ingest", "line", "part.csv", "--quiet"])
    output = capsys.readouterr()
    assert output.err == ""
    assert output.out.startswith("Ingested 1 samples")


def test_numbers_count_from_the_start(capsys: pytest.CaptureFixture[str]) -> None:
    """A numeric time column, its unit and start said on the command line, is exact to the nanosecond."""
    Path("count.csv").write_text("clock,Roller1_w,Roller2_w\n1102151.076001,1,2\n")
    main(["ingest", "line", "count.csv", "--time-column", "clock", "--time-unit", "ms", "--start", "2026-01-01"])
    assert "2026-01-01T00:18:22.151076001" in capsys.readouterr().out


def test_local_times_are_told_their_zone(capsys: pytest.CaptureFixture[str]) -> None:
    """--timezone says where a clock without an offset was; an unknown zone is refused."""
    Path("local.csv").write_text("time,Roller1_w,Roller2_w\n2026-01-01 01:00,1,2\n")
    main(["ingest", "line", "local.csv", "--timezone", "Europe/Berlin"])
    assert "2026-01-01T00:00:00" in capsys.readouterr().out
    assert "'Berlin' is no time zone" in failure(capsys, "line", "local.csv", "--timezone", "Berlin")


def test_decimal_commas_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """The summary says that commas were read as decimal signs, with the first of them; so does the JSON."""
    Path("excel.csv").write_text("time;Roller1_w;Roller2_w\n01.01.2026 00:20;1,5;2\n")
    main(["ingest", "line", "excel.csv", "--timezone", "UTC"])
    said = "Read numbers with decimal commas: excel.csv:2 has '1,5', which is 1.5."
    output = capsys.readouterr()
    assert output.out.rstrip().endswith(said)
    assert output.err == ""
    assert held() == [("Roller1_w", 1.5), ("Roller2_w", 2)]
    main(["ingest", "line", "excel.csv", "--timezone", "UTC", "--json"])
    assert json.loads(capsys.readouterr().out)["decimals"] == [said]


@pytest.mark.parametrize(("name", "unit"), [("line", "line"), ("lines", "b"), ("found", "anything")])
def test_the_unit_can_be_said(name: str, unit: str) -> None:
    """Any of the twin's units; any name at all where units are discovered."""
    main(["ingest", name, "wide.csv", "--unit", unit])
    assert len(held(unit)) == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("lines", "wide.csv"), "--unit NAME of a, b."),
        (("found", "wide.csv"), "--unit NAME."),
        (("lines", "wide.csv", "--unit", "c"), "--unit: found 'c'; expected a unit of twin 'lines': a, b."),
        (("found", "wide.csv", "--unit", " "), "--unit: found ' '; expected a unit of twin 'found': any name."),
        (("nowhere", "wide.csv"), "there is no twin 'nowhere'"),
        (("line", "missing.csv"), "missing.csv: cannot be read"),
        (("line", "wide.csv", "--start", "2026-01-01"), "--start is for numbers"),
        (("line", "wide.csv", "--time-column", "tine"), "found no column 'tine'. Nearest: 'time'."),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    """Exit code 1, one message, and not even a home."""
    assert message in failure(capsys, *arguments)
    assert not Path(".twin").exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2026-01-01T00:40Z,x,1,1", "bad.csv:3: column 'Roller1_w': found 'x'; expected a number"),
        ("2026-01-01T00:20Z,9,1,1", "bad.csv:3: found 9.0 for 'Roller1_w'"),
        ("2025-12-31T00:00Z,1,1,1", "bad.csv:3: found 'Roller1_w' at 2025-12-31T00:00:00Z, below"),
        ("2026-01-01T00:40,1,1,1", "bad.csv:3: column 'time': found 2026-01-01T00:40:00, without a time zone"),
        ("2199-01-01T00:00Z,1,1,1", "bad.csv:3: found the time 2199-01-01T00:00:00Z, which lies in the future"),
    ],
)
def test_one_bad_line_keeps_all_files_out(capsys: pytest.CaptureFixture[str], line: str, message: str) -> None:
    """A good file before the bad one is not written either; the historian stays as it was."""
    main(["ingest", "line", "wide.csv"])
    before = held()
    Path("good.csv").write_text("time,Roller1_w\n2026-01-02T00:00Z,7\n")
    Path("bad.csv").write_text(f"time,Roller1_w,Roller2_w,extra\n2026-01-01T00:20Z,4,,5\n{line}\n")
    assert message in failure(capsys, "line", "good.csv", "bad.csv")
    assert held() == before


def test_only_debug_shows_a_traceback() -> None:
    """One line for people; all of it for whoever wants to know where it was found."""
    plain = twin("ingest", "line", "missing.csv")
    assert plain.returncode == 1
    assert plain.stdout == ""
    assert plain.stderr.startswith("Error: missing.csv: cannot be read")
    assert len(plain.stderr.splitlines()) == 1
    debug = twin("ingest", "line", "missing.csv", "--debug")
    assert debug.returncode == 1
    assert "Traceback" in debug.stderr


def test_a_recording_of_results_alone_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Where every column is one that the twin publishes itself, nothing is left to ingest."""
    Path("results.csv").write_text("time,S1_Tension_N\n2026-01-01T00:00Z,100\n")
    assert "found nothing to ingest for twin 'line'. Left out 'S1" in failure(capsys, "line", "results.csv")
    assert not Path(".twin").exists()


def test_a_home_that_cannot_be_written_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """A file where the home should be."""
    Path(".twin").write_text("")
    assert "the home cannot be written" in failure(capsys, "line", "wide.csv")


def test_a_historian_that_is_none_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Another file of that name in the home is left alone."""
    Path(".twin").mkdir()
    Path(".twin/historian.sqlite").write_text("no database, but long enough to look at" * 100)
    assert "it is no historian" in failure(capsys, "line", "wide.csv")


def test_a_person_at_a_terminal_sees_progress(folder: Path) -> None:
    """With a real terminal there is a bar; --quiet silences it."""
    for extra, seen in ((), True), (("--quiet",), False):
        leader, follower = pty.openpty()
        command = [sys.executable, "-m", "twin_assets", "ingest", "line", "wide.csv", *extra]
        done = subprocess.run(command, stdout=follower, stderr=follower, check=False, cwd=folder)
        os.close(follower)
        text = os.read(leader, 1 << 16).decode()
        os.close(leader)
        assert done.returncode == 0
        assert ("Reading" in text) is seen
        assert "Ingested 5 samples" in text


def test_a_recording_round_trips_through_csv_and_parquet() -> None:
    """What pandas writes of samples, long, is what comes back."""
    main(["ingest", "line", "wide.csv"])
    with SqlHistorian.sqlite(Path(".twin/historian.sqlite")) as historian:
        frame = historian.read(("line",), historian.properties("line"), *EVER)
    frame.to_csv("long.csv", index=False)
    frame.to_parquet("long.parquet")
    main(["--home", "other", "ingest", "line", "long.csv", "long.parquet"])
    os.environ.pop("TWIN_HOME")
    assert held(home="other") == held()
