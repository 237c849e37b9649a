"""``twin check`` as a user calls it, on the demonstration's FMU."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from twin_assets.cli import main
from twin_assets.historian import SqlHistorian
from twin_assets.home import Home

FMU = Path(__file__).parents[2] / "twins" / "web_line" / "web_line.fmu"

LINE = """\
name: line
model: {fmu: FMU, step_s: 2, max_settle_s: 1200}
inputs:
  - {name: web_speed_setpoint, property: line_speed, unit: m/s}
coefficients:
  - {name: b1, initial: 1.0e-3, initial_std: 5.0e-3, bounds: [0, 0.5]}
  - {name: b2, initial: 1.0e-3, initial_std: 5.0e-3, bounds: [0, 0.5]}
measurements:
  - {name: S4_Tension_N, unit: N, noise_std: 0.2, valid_range: [0, 50]}
virtual_sensors:
  - {name: Nm}
"""

INERTIA = "{name: roller_inertia, initial: 0.02, initial_std: 0.005}"


@pytest.fixture(autouse=True)
def twins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a twin in which one load cell sees two bearings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TWINS_PATH", str(tmp_path / "twins"))
    (tmp_path / "twins").mkdir()
    write(tmp_path / "twins", LINE)
    return tmp_path / "twins"


def write(twins: Path, text: str, name: str = "line") -> None:
    """A twin's folder with this text."""
    (twins / name).mkdir(exist_ok=True)
    (twins / name / "twin.yaml").write_text(text.replace("FMU", str(FMU)))


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of ``twin check``."""
    code = 0
    try:
        main(["check", *arguments])
    except SystemExit as error:
        code = int(error.code or 0)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_check_runs_the_model_and_says_what_can_be_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    """One load cell behind two equal bearings sees the sum of their drags, and check names what it does not see."""
    code, output, error = run(capsys, "line")
    assert (code, error) == (0, "")
    assert output.startswith("line: holds")
    assert "(FMI 2.0 co-simulation, exported by" in output
    assert "Restart: each run rolls back to a settled state (tried: rollback exact, reset exact" in output
    assert "with web_speed_setpoint = 1" in output, "a measured input takes the FMU's start value"
    assert re.search(r"S4_Tension_N *│ measurement *│ N *│ *10\d", output)
    assert "twins/line/twin.yaml:6: the measurements cannot tell b1, b2 apart: along b1 - b2 " in output
    assert ". Only b1 + b2 can be told. " in output
    assert re.search(r"twins/line/twin.yaml:9: the model predicts 10\d.* outside its valid_range \[0, 50\]", output)


def test_json_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers instead of tables, nothing else on standard output."""
    code, output, _ = run(capsys, "line", "--json", "--quiet")
    (line,) = json.loads(output)["twins"]
    assert code == 0
    assert (line["ok"], len(line["warnings"])) == (True, 2)
    assert (line["fmu"]["fmi_version"], line["fmu"]["interface"]) == ("2.0", "co_simulation")
    assert (line["restart"]["used"], line["restart"]["rollback"]["status"]) == ("rollback", "exact")
    assert [output["role"] for output in line["outputs"]] == ["measurement", "virtual sensor"]
    assert line["outputs"][1]["unit"] == "N.m", "the FMU's unit where twin.yaml gives none"
    (blind,) = line["blind"]
    assert set(blind["weights"]) == {"b1", "b2"}
    assert blind["observations"] is None or blind["observations"] > 1e4
    assert sum(blind["weights"].values()) == pytest.approx(0, abs=1e-4)
    assert (blind["combination"], blind["law"], blind["exponents"]) == ("b1 - b2", "sum", {})
    assert line["told"] == [{"among": ["b1", "b2"], "told": ["b1 + b2"], "near_the_prior_only": False}]
    assert line["inputs"] == {"web_speed_setpoint": 1.0}
    assert (line["operating_points"], line["observations_seen"]) == ([{"inputs": line["inputs"], "share": 1.0}], 0)
    assert all(row["std_after_one"] < row["initial_std"] for row in line["coefficients"])


def test_check_looks_where_the_machine_was_run(
    twins: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two line speeds in the historian are two operating points, each with its share; the usual one comes first."""
    home = Home(twins.parent / ".twin")
    monkeypatch.setenv("TWIN_HOME", str(home.root))
    home.prepare()
    times = pd.date_range("2026-01-01", periods=40, freq="h", tz="UTC").as_unit("ns")
    values = {"line_speed": [2.0] * 30 + [0.5] * 10, "S4_Tension_N": [30.0] * 40}
    samples = [
        pd.DataFrame({"unit": "line", "property": name, "time": times, "value": value, "quality": "GOOD"})
        for name, value in values.items()
    ]
    with SqlHistorian.sqlite(home.historian_path) as historian:
        historian.write(pd.concat(samples))
    code, output, _ = run(capsys, "line")
    assert code == 0
    assert "around the prior at 2 operating points that stand for 40 observations in the historian." in output
    assert re.search(r"│ *2 │ *75% │\n│ *0.5 │ *25% │", output)
    _, output, _ = run(capsys, "line", "--json")
    (line,) = json.loads(output)["twins"]
    assert line["operating_points"] == [
        {"inputs": {"web_speed_setpoint": 2.0}, "share": 0.75},
        {"inputs": {"web_speed_setpoint": 0.5}, "share": 0.25},
    ]
    assert (line["inputs"], line["observations_seen"]) == ({"web_speed_setpoint": 2.0}, 40)


def test_findings_of_all_twins_are_told_and_fail(twins: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a name every twin is checked: a wrong file, a misfit with the FMU and a good one."""
    write(twins, "name: empty\n", "empty")
    write(twins, LINE.replace("name: line", "name: misfit").replace("{name: b2", "{name: b22"), "misfit")
    code, output, _ = run(capsys)
    assert code == 1
    assert "empty: has to be mended\n  twins/empty/twin.yaml:1: 'coefficients' is missing" in output
    assert "twins/misfit/twin.yaml:7: coefficients 'b22': the FMU has no variable 'b22'. Nearest: 'b2'" in output
    assert "line: holds" in output


def test_findings_as_json(twins: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code is the same, the findings are a list."""
    write(twins, LINE.replace("unit: m/s", "unit: km/h"))
    code, output, _ = run(capsys, "line", "--json")
    report = json.loads(output)
    assert (code, report["ok"]) == (1, False)
    (finding,) = report["twins"][0]["findings"]
    assert finding.startswith(
        "twins/line/twin.yaml:4: inputs 'web_speed_setpoint' unit: found 'km/h'; the FMU has 'm/s'"
    )


def test_a_model_that_fails_at_the_prior_is_a_finding(twins: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the line, the reason and the coefficients of the run that failed."""
    write(twins, LINE.replace("step_s: 2, max_settle_s: 1200", "step_s: 0.01, max_settle_s: 0.05"))
    code, output, _ = run(capsys, "line")
    assert code == 1
    assert re.search(r"twins/line/twin.yaml:5: .*not settled.*Coefficients: b1=0.00", output)


def test_an_interface_that_the_fmu_does_not_offer_is_a_finding(twins: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the line of the FMU and what it offers; also where only its variables are asked for."""
    write(twins, LINE.replace("step_s: 2,", "interface: model_exchange,"))
    for arguments in (("line",), ("line", "--variables")):
        code, output, error = run(capsys, *arguments)
        assert code == 1
        assert "this FMU cannot be run by model_exchange on this machine; found co_simulation" in output + error


def test_a_fixed_coefficient_is_a_warning(twins: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The FMU takes it before start only: every run is a cold start, and check says so."""
    write(twins, LINE.replace("{name: b2, initial: 1.0e-3, initial_std: 5.0e-3, bounds: [0, 0.5]}", INERTIA))
    code, output, _ = run(capsys, "line")
    assert code == 0
    assert "twin.yaml:2: every run of the FMU is a reset and a cold start, which is slow, because" in output
    assert "the measurements hardly depend on roller_inertia" in output, "no settled speed depends on an inertia"


def test_variables_lists_all_of_the_fmu(twins: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the FMU offers and what the twin uses, also where the two do not fit."""
    write(twins, LINE.replace("{name: b2", "{name: b22"))
    code, output, _ = run(capsys, "line", "--variables")
    assert code == 0
    assert re.search(r"│ b1 *│ coefficient *│ parameter *│ tunable *│ Real", output)
    assert re.search(r"│ b2 *│ *│ parameter", output)
    code, output, _ = run(capsys, "line", "--variables", "--json")
    (line,) = json.loads(output)["twins"]
    used = {variable["name"]: variable["used_as"] for variable in line["variables"]}
    assert (used["Nm"], used["S4_Tension_N"], used["web_speed_setpoint"], used["b2"]) == (
        "virtual sensor",
        "measurement",
        "input",
        None,
    )


def test_no_twin_at_all_is_told(twins: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """How to write one."""
    (twins / "line" / "twin.yaml").unlink()
    code, _, error = run(capsys)
    assert code == 1
    assert "there is no twin; 'twin new NAME --fmu F' writes one" in error


def test_what_new_writes_check_accepts(capsys: pytest.CaptureFixture[str]) -> None:
    """The two commands agree."""
    main(["new", "fresh", "--fmu", str(FMU), "--calibrate", "b?", "--measure", "Roller*_w", "--predict", "Nm"])
    capsys.readouterr()
    code, output, _ = run(capsys, "fresh")
    assert code == 0
    assert "fresh: holds" in output
    assert "to tell as much as the prior does" in output, "a noise of 1 % drowns creep, and check says so"


def test_noise_that_is_not_given_is_said_to_be_estimated(twins: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """People read where it comes from, and that what an observation tells rests on a guess; machines read null."""
    write(twins, LINE.replace(" noise_std: 0.2,", ""))
    code, said, _ = run(capsys, "line")
    assert code == 0
    assert re.search(r"S4_Tension_N .*estimated from the data", said)
    assert "no noise_std is given for S4_Tension_N" in said
    _, machine, _ = run(capsys, "line", "--json")
    (output,) = (row for row in json.loads(machine)["twins"][0]["outputs"] if row["name"] == "S4_Tension_N")
    assert (output["role"], output["noise_std"]) == ("measurement", None)
