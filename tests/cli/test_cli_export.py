"""``twin export``: what people get, and what they are told when there is nothing to get."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from twin_assets.cli import main
from twin_assets.store import Store

TWIN = """\
name: pump
smoothing: true
model: {fmu: pump.fmu}
coefficients: [{name: ua, initial: 1, initial_std: 1}]
measurements: [{name: t_out, noise_std: 0.1}]
virtual_sensors: [{name: flow}]
"""
DAYS = ("2026-01-01", "2026-01-02")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a twin and a home, which the commands work in."""
    (tmp_path / "twins" / "pump").mkdir(parents=True)
    (tmp_path / "twins" / "pump" / "twin.yaml").write_text(TWIN)
    monkeypatch.setenv("TWINS_PATH", str(tmp_path / "twins"))
    monkeypatch.setenv("TWIN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _coefficients(day: str) -> pd.DataFrame:
    times = pd.date_range(day, periods=3, freq="8h", tz="UTC").as_unit("ns")
    values = np.array([0.1, 1 / 3, 2e-17])
    return pd.DataFrame(
        {"unit": "u1", "time": times, "ua": values, "ua_std": 0.1, "ua_lower": values - 0.2, "ua_upper": values + 0.2}
    )


@pytest.fixture
def table(place: Path) -> pd.DataFrame:
    """Coefficients of two days in the store of the place's home; the rows that export is to give."""
    store = Store(place / "home" / "store")
    frames = [_coefficients(day) for day in DAYS]
    for day, frame in zip(DAYS, frames, strict=True):
        store.write("pump", "calibrated_coefficients", day, frame, {})
    return pd.concat(frames, ignore_index=True)


def _fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that must fail with exit code 1 and no traceback; its message."""
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    message = capsys.readouterr().err
    assert stopped.value.code == 1
    assert "Traceback" not in message
    return message


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_a_file_holds_every_number_of_every_window(place: Path, table: pd.DataFrame, name: str) -> None:
    """Reading the file back gives the store's rows, window after window, to the last bit."""
    main(["export", "pump", "coefficients", "-o", name])
    path = place / name
    back = pd.read_parquet(path) if name.endswith("parquet") else pd.read_csv(path)
    back["time"] = pd.to_datetime(back["time"], utc=True).dt.as_unit("ns")
    pd.testing.assert_frame_equal(back, table, check_dtype=False, check_exact=True)
    assert [entry.name for entry in place.iterdir() if entry.is_file()] == [name]


def test_smoothed_coefficients_are_exported_where_there_are_some(
    place: Path, table: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    """Windows that are over have rows; one that waits has none. Without smoothing it says what to do."""
    store = Store(place / "home" / "store")
    rows = table.assign(based_on_until=table["time"].max())
    store.write("pump", "smoothed_coefficients", DAYS[0], rows.iloc[:3], {})
    store.write("pump", "smoothed_coefficients", DAYS[1], rows.iloc[:0], {"waits_until": "2026-01-03T00:00:00+00:00"})
    main(["export", "pump", "smoothed_coefficients", "-o", "out.parquet"])
    pd.testing.assert_frame_equal(pd.read_parquet(place / "out.parquet"), rows.iloc[:3], check_dtype=False)
    twin_yaml = place / "twins" / "pump" / "twin.yaml"
    twin_yaml.write_text(TWIN.replace("smoothing: true\n", ""))
    assert "Set 'smoothing: true' there, then run 'twin run pump'" in _fails(
        capsys, "export", "pump", "smoothed_coefficients"
    )


def test_standard_output_is_csv_and_nothing_else(table: pd.DataFrame) -> None:
    """Without -o the table goes to standard output, ready for a pipe."""
    done = subprocess.run(
        [sys.executable, "-m", "twin_assets", "export", "pump", "coefficients"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(pd.read_csv(io.StringIO(done.stdout))) == len(table)
    assert done.stderr == ""


def test_a_reader_that_has_enough_is_no_error(table: pd.DataFrame) -> None:
    """A pipe that is closed early (``| head``) ends the command without a traceback."""
    assert len(table)
    command = f"{sys.executable} -m twin_assets export pump coefficients | true"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_a_range_is_half_open(place: Path, table: pd.DataFrame) -> None:
    """--from is the first time, --to the first that is left out, across windows."""
    main(["export", "pump", "coefficients", "--from", "2026-01-01T08:00", "--to", "2026-01-02T08:00", "-o", "out.csv"])
    back = pd.read_csv(place / "out.csv")
    assert list(pd.to_datetime(back["time"])) == list(table["time"][1:4])


def test_parts_of_the_uncertainty_are_exported_where_they_are_asked_for(place: Path) -> None:
    """Without --parts the table is as narrow as ever, and ends with whether a row is valid."""
    store, times = Store(place / "home" / "store"), pd.date_range(DAYS[0], periods=2, freq="8h", tz="UTC").as_unit("ns")
    estimate = {f"flow{suffix}": 1.0 for suffix in ("", "_std", "_lower", "_upper")}
    parts = {"flow_std_coefficients": 0.8, "flow_std_inputs": 0.6, "flow_std_discrepancy": np.nan}
    flags = {"valid": [True, False], "why_not": ["", "speed = 9"]}
    frame = pd.DataFrame({"unit": "u1", "time": times, **estimate, **parts, **flags})
    store.write("pump", "virtual_sensors", DAYS[0], frame, {})
    main(["export", "pump", "virtual_sensors", "-o", "narrow.csv"])
    main(["export", "pump", "virtual_sensors", "--parts", "-o", "wide.csv"])
    narrow, wide = (pd.read_csv(place / name) for name in ("narrow.csv", "wide.csv"))
    assert list(narrow.columns) == ["unit", "time", *estimate, "valid", "why_not"]
    assert list(wide.columns) == list(frame.columns)
    assert narrow["valid"].tolist() == [True, False]
    assert wide["flow_std_discrepancy"].isna().all()


def test_nothing_yet_says_what_to_run(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A twin that never ran: the message names the command that makes the table; no file appears."""
    assert "Run 'twin run pump' first" in _fails(capsys, "export", "pump", "virtual_sensors", "-o", "out.csv")
    assert not (place / "out.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["export", "pump", "coefficients", "--from", "2027-01-01"], "cover 2026-01-01T00:00 to 2026-01-03T00:00"),
        (["export", "pump", "coefficients", "--to", "2026-01-01"], "has no coefficients in that range"),
        (["export", "pump", "coefficients", "--from", "2026-01-02", "--to", "2026-01-01"], "is not before"),
        (["export", "pump", "coefficients", "--from", "yesterday-ish"], "is no time; expected for example"),
        (["export", "pump", "coefficients", "-o", "no/such/folder/out.csv"], "cannot be written"),
        (["export", "pump", "coefficients", "--format", "parquet"], "name a file with -o"),
        (["export", "pump", "coefficients", "--parts"], "--parts is for virtual_sensors"),
        (["export", "pomp", "coefficients"], "pump"),
        (["export", "pump", "coefficient"], "coefficients"),
    ],
)
def test_what_a_user_did_wrong_is_one_message(
    table: pd.DataFrame, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    """Exit code 1 and a sentence that helps; never a traceback."""
    assert len(table)
    assert said in _fails(capsys, *arguments)


def test_rows_of_an_earlier_version_are_told_and_their_flags_unknown(
    place: Path, table: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    """A window with newer columns after one without: yes, no or unknown, and how to get the rest of them."""
    newer = table[3:].reset_index(drop=True).assign(ua_published=0.1, ua_updated=[True, False, False])
    Store(place / "home" / "store").write("pump", "calibrated_coefficients", DAYS[1], newer, {})
    main(["export", "pump", "coefficients", "-o", "out.parquet"])
    back = pd.read_parquet(place / "out.parquet")
    assert back["ua_updated"].dtype == "boolean"
    assert back["ua_updated"].isna().tolist() == [True] * 3 + [False] * 3
    assert "3 of 6 rows, 2026-01-01T00:00 to 2026-01-01T16:00" in (said := capsys.readouterr().err)
    assert "twin run pump --from 2026-01-01" in said
