"""Seven FMUs that other people's tools exported, from the gemseo-fmu wheel: described, checked and evaluated.

The wheel is LGPL: it is downloaded, read, and never part of this project. What is in it:

==================== === ================================ ======================== ==================================
FMU                  FMI interfaces                       exported by              what it is
==================== === ================================ ======================== ==================================
add                  2.0 co-simulation, model exchange    OpenModelica 1.20        y = k1 u1 + k2 u2, no states
ramp                 2.0 co-simulation, model exchange    OpenModelica 1.20        a ramp: no states, two indicators
Mass_Damper          2.0 co-simulation, model exchange    OpenModelica 1.19        a damped spring; stable in Euler
                                                                                   steps below 1 ms alone
MassSpringSystem     2.0 co-simulation, model exchange    OpenModelica 1.21        two masses that swing for ever
MassSpringSubSystem1 2.0 co-simulation, model exchange    OpenModelica 1.21        its first mass
MassSpringSubSystem2 2.0 co-simulation, model exchange    OpenModelica 1.21        its second mass
FMU3Model            3.0 co-simulation                    PythonFMU3 0.2           counts steps; Python inside; array,
                                                                                   integers, Boolean, enumeration
==================== === ================================ ======================== ==================================

None of them keeps its state. OpenModelica's co-simulation makes one step of Euler's method for each communication step.
"""

import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from twin_assets.cli import main
from twin_assets.first_run import first_run
from twin_assets.model import EvaluationError
from twin_assets.simulation import FmuModel, Interface, SettleSettings, read_description
from twin_assets.simulation.platforms import platform_folders
from twin_assets.simulation.walk import SMALLER_STEPS
from twin_assets.spec_file import load_twin
from twin_assets.variable_choice import Patterns, choose

PACKAGE = "gemseo-fmu==3.1.1"
FOLDER = "gemseo_fmu/problems/fmu_files/linux/"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(platform_folders()[0] != "linux64", reason="the wheel's FMUs are for linux64"),
]


@dataclass(frozen=True)
class Real:
    """An FMU, what is asked of it, and the answer.

    Attributes:
        calibrate: its coefficient.
        measure: its measured output.
        values: of the coefficient.
        answers: the output that each settles at, by the FMU's equations.
        inputs: operating condition.
        parameters: what else is set; where nothing damps the model, states in which it rests.
        version: of FMI.
        written: the interface that ``twin new`` writes, None for the first that the FMU offers.
        finding: of ``twin check`` on what ``twin new`` writes; empty if it holds.
    """

    calibrate: str
    measure: str
    values: tuple[float, ...]
    answers: tuple[float, ...]
    inputs: Mapping[str, float] = field(default_factory=dict)
    parameters: Mapping[str, float] = field(default_factory=dict)
    version: str = "2.0"
    written: Interface | None = None
    finding: str = ""


# Undamped, and Euler's method lets it swing ever more.
SWINGS = r"'\w+' runs away: .* a smaller max_step_s may help"
REAL = {
    "add": Real("add.k1", "y", (1.0, 2.5), (5.0, 8.0), inputs={"u1": 2.0, "u2": 3.0}),
    "ramp": Real("ramp.height", "out", (1.0, 2.0), (1.5, 2.5), parameters={"ramp.offset": 0.5}),
    "Mass_Damper": Real("spring.c", "y", (1e4, 5e3), (-0.4995, -0.499), inputs={"f": 5.0}, written="model_exchange"),
    "MassSpringSystem": Real(
        "k1",
        "x1",
        (1.0, 2.0),
        (0.0, 0.0),
        parameters={"_D_outputAlias_v1": 0.0, "_D_outputAlias_x2": 0.0},
        finding=SWINGS,
    ),
    "MassSpringSubSystem1": Real(
        "m1",
        "x1",
        (1.0, 2.0),
        (0.5, 0.5),
        inputs={"x2": 1.0},
        parameters={"_D_outputAlias_v1": 0.0, "_D_outputAlias_x1": 0.5},
        finding=SWINGS,
    ),
    "MassSpringSubSystem2": Real("m2", "x2", (1.0, 2.0), (1.0, 1.0), inputs={"x1": 2.0}, finding=SWINGS),
    "FMU3Model": Real(
        "input",
        "output",
        (1.0, 2.0),
        (3.0, 3.0),
        inputs={"int32": 3.0, "int64": 2.0, "boolean": 0.0, "enumeration": 3.0, "float64": 1.5},
        parameters={"increment": 0.0},
        version="3.0",
        finding=r"does not settle: '(output|vector\[[1-5]\])' drifts by",
    ),
}


@pytest.fixture(scope="session")
def wheel(pytestconfig: pytest.Config) -> Path:
    """The wheel, downloaded once and kept in pytest's cache; no registry is a failure in CI, a skip elsewhere."""
    assert pytestconfig.cache is not None
    cache = Path(pytestconfig.cache.mkdir("real_fmus"))
    found = sorted(cache.glob("*.whl"))
    if found:
        return found[0]
    with tempfile.TemporaryDirectory(dir=cache) as aside:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "-d", aside, PACKAGE]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=250)
        if done.returncode != 0:
            reason = f"{PACKAGE} cannot be downloaded, so FMUs of other tools are not tested: {done.stderr[-500:]}"
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)
        (downloaded,) = Path(aside).glob("*.whl")
        return downloaded.rename(cache / downloaded.name)


@pytest.fixture(params=REAL)
def fmu(request: pytest.FixtureRequest, wheel: Path, tmp_path: Path) -> Path:
    """One of the FMUs."""
    path = tmp_path / f"{request.param}.fmu"
    with zipfile.ZipFile(wheel) as archive:
        path.write_bytes(archive.read(f"{FOLDER}{path.name}"))
    return path


def test_new_and_check_say_what_can_be_done_with_it(
    fmu: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A twin.yaml always comes about; check holds where the model settles, else it says why not, with its line."""
    monkeypatch.setenv("TWINS_PATH", str(tmp_path / "twins"))
    real, name = REAL[fmu.stem], fmu.stem.lower()
    main(["new", name, "--fmu", str(fmu), "--calibrate", real.calibrate, "--measure", real.measure])
    spec = load_twin(name, tmp_path / "twins").spec
    assert spec.model.interface == real.written
    assert {part.name for part in spec.inputs} >= set(real.inputs)
    assert (f"interface: {real.written} is written" in capsys.readouterr().err) is (real.written is not None)
    code = 0
    try:
        main(["check", name, "--quiet"])
    except SystemExit as error:
        code = int(error.code or 0)
    output = capsys.readouterr().out
    assert code == bool(real.finding)
    assert f"FMI {real.version} {'model exchange' if real.written else 'co-simulation'}" in output
    assert re.search(real.finding or f"{name}: holds", output)


def test_it_settles_where_its_equations_say(fmu: Path) -> None:
    """The same bits a second time, after others; by every interface that can."""
    real = REAL[fmu.stem]
    rows = np.array(real.values)[:, None]
    interfaces = read_description(fmu).interfaces
    for interface in [real.written] if real.written else interfaces:
        with FmuModel(
            fmu,
            coefficients=(real.calibrate,),
            inputs=tuple(real.inputs),
            outputs=(real.measure,),
            parameters=real.parameters,
            workers=1,
            interface=interface,
        ) as model:
            once, again = (model.evaluate(rows, np.array(list(real.inputs.values()))) for _ in range(2))
        assert once.tobytes() == again.tobytes()
        np.testing.assert_allclose(once[:, 0], real.answers, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("fmu", ["Mass_Damper"], indirect=True)
def test_an_explicit_solver_inside_settles_in_steps_that_it_bears(fmu: Path) -> None:
    """By co-simulation, the answers of its equations in steps of at most a fifth of a millisecond; else it says so."""
    real = REAL[fmu.stem]
    rows, inputs = np.array(real.values)[:, None], np.array(list(real.inputs.values()))

    def by_co_simulation(max_step_s: float | None) -> FmuModel:
        return FmuModel(
            fmu,
            coefficients=(real.calibrate,),
            inputs=tuple(real.inputs),
            outputs=(real.measure,),
            workers=1,
            interface="co_simulation",
            settle=SettleSettings(max_step_s=max_step_s),
        )

    with by_co_simulation(None) as model, pytest.raises(EvaluationError, match=SMALLER_STEPS):
        model.evaluate(rows, inputs)
    with by_co_simulation(2e-4) as model:
        np.testing.assert_allclose(model.evaluate(rows, inputs)[:, 0], real.answers, rtol=1e-9)


@pytest.mark.parametrize("fmu", ["Mass_Damper"], indirect=True)
def test_the_steps_that_it_bears_are_found(fmu: Path) -> None:
    """As ``twin new`` does where co-simulation is all that an FMU offers."""
    real, both = REAL[fmu.stem], read_description(fmu)
    alone = replace(both, interfaces=("co_simulation",))
    run = first_run(alone, choose(alone, Patterns(calibrate=(real.calibrate,), measure=(real.measure,))))
    assert run.settle.max_step_s == pytest.approx(2e-4)
    assert run.interface is None
    assert SMALLER_STEPS in run.problem


def test_what_the_fmus_are_is_as_the_table_says(wheel: Path, tmp_path: Path) -> None:
    """Version, interfaces and what an evaluation may rely on."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path, [name for name in archive.namelist() if name.startswith(FOLDER)])
    descriptions = {path.stem: read_description(path) for path in sorted((tmp_path / FOLDER).glob("*.fmu"))}
    assert set(descriptions) == set(REAL)
    for name, description in descriptions.items():
        both = ("co_simulation", "model_exchange")
        assert description.fmi_version == REAL[name].version
        assert description.interfaces == (both if description.fmi_version == "2.0" else both[:1])
        assert not description.can_get_set_state
        assert description.can_vary_step
    assert {name: (d.continuous_states, d.event_indicators) for name, d in descriptions.items()} == {
        "FMU3Model": (0, 0),
        "MassSpringSubSystem1": (2, 0),
        "MassSpringSubSystem2": (2, 0),
        "MassSpringSystem": (4, 0),
        "Mass_Damper": (2, 0),
        "add": (0, 0),
        "ramp": (0, 2),
    }
    array = [v.name for v in descriptions["FMU3Model"].variables if v.array]
    assert array == [f"vector[{i}]" for i in range(1, 6)]
