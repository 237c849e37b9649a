"""``twin new`` as a user calls it, on the demonstration's FMU."""

import zipfile
from pathlib import Path

import pytest

from twin_assets.cli import main
from twin_assets.spec_file import load_twin

FMU = Path(__file__).parents[2] / "twins" / "web_line" / "web_line.fmu"


@pytest.fixture(autouse=True)
def twins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder without twins."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TWINS_PATH", str(tmp_path / "twins"))
    return tmp_path / "twins"


def test_new_writes_a_twin_from_patterns(twins: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Patterns choose; noise is guessed from a run of the model; what comes next is said."""
    main(["new", "line", "--fmu", str(FMU), "--calibrate", "b*", "--measure", "Roller*_w", "--predict", "S?_*"])
    spec = load_twin("line", twins).spec
    assert [part.name for part in spec.coefficients] == [f"b{i}" for i in (1, 2, 3, 4, 5, 7, 8, 9, 10)]
    assert spec.measurements[0].noise_std == 0.2, "1 % of the settled 20 rad/s"
    assert [part.name for part in spec.virtual_sensors] == [f"S{i}_Tension_N" for i in range(1, 10)]
    output = capsys.readouterr().out
    assert output.startswith(
        "Wrote twins/line/twin.yaml (coefficients: 9, measurements: 9, virtual sensors: 9, inputs: 4)."
    )
    assert "twin check line" in output


def test_a_model_that_does_not_run_is_a_warning(
    twins: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A damaged binary: the file is written with a lesser guess, and said to be; twin check will tell the rest."""
    broken = tmp_path / "broken.fmu"
    with zipfile.ZipFile(FMU) as source, zipfile.ZipFile(broken, "w") as target:
        for member in source.namelist():
            target.writestr(member, b"" if member.startswith("binaries/") else source.read(member))
    main(["new", "line", "--fmu", str(broken), "--calibrate", "b9", "--measure", "Roller9_w"])
    assert "Warning: noise_std is guessed from less, for the model does not run" in capsys.readouterr().err
    assert load_twin("line", twins).spec.measurements[0].noise_std == 0.1, "1 % of the nominal 10 rad/s"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["new", "line", "--fmu", str(FMU)], "tunable: b1, b2"),
        (["new", "line", "--fmu", str(FMU), "--calibrate", "c9", "--measure", "Roller9_w"], "'c9' matches none"),
        (["new", "Line", "--fmu", str(FMU)], "NAME: found 'Line'"),
        (["new", "line", "--fmu", "missing.fmu"], "'missing.fmu' does not exist"),
        (["new", "line", "--fmu", __file__], "no complete FMU"),
        (["new", "line", "--fmu", str(FMU), "--start", "soon"], "'soon'"),
        (["new", "line"], "--fmu"),
    ],
)
def test_wrong_use_is_one_message_and_nothing_is_written(
    twins: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    """Exit code 1, no traceback, no folder."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    error = capsys.readouterr().err
    assert caught.value.code == 1
    assert message in error
    assert "Traceback" not in error
    assert not twins.exists()
