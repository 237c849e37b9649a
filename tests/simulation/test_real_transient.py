"""Transient mode on a mass-damper that another tool exported: known mass and stiffness are recovered from telemetry.

The telemetry is not the FMU's own: it comes from the closed form of m x'' + d x' + c x = f, which the FMU
(OpenModelica's Mass_Damper of the gemseo-fmu wheel; y = x - 0.5, d = 10) has to agree with.
"""

import itertools
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.simulation.test_real_fmus import FOLDER, wheel
from twin_assets.cli import main
from twin_assets.model import Floats, InputPath
from twin_assets.simulation.platforms import platform_folders
from twin_assets.spec import TwinSpec
from twin_assets.spec_check import check_against_fmu, description_of
from twin_assets.spec_file import Twin
from twin_assets.stages.engine import open_model
from twin_assets.stages.observations import observe
from twin_assets.stages.results import coefficients_table
from twin_assets.stages.ukf import assimilate
from twin_assets.windows import WindowGrid

__all__ = ["wheel"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(platform_folders()[0] != "linux64", reason="the wheel's FMUs are for linux64"),
]

MASS, DAMPING, STIFFNESS = 1.0, 10.0, 1e4
NOISE_STD, EVERY_S, COUNT, LEAD = 0.005, 0.01, 240, 200
START = pd.Timestamp("2026-01-01", tz="UTC")
SPEC = {
    "name": "damper",
    "model": {
        "fmu": "Mass_Damper.fmu",
        "interface": "model_exchange",
        "mode": "transient",
        # Its time constant is 2 m / d = 0.2 s.
        "memory_s": 1.2,
        "follow_step_s": 0.005,
    },
    "inputs": [{"name": "f", "max_age": "1s"}],
    "coefficients": [
        {"name": "mass.m", "initial": 1.1, "initial_std": 0.1, "bounds": [0.1, None]},
        {"name": "spring.c", "initial": 9000.0, "initial_std": 900.0, "bounds": [1000.0, None]},
    ],
    "measurements": [{"name": "y", "noise_std": NOISE_STD}],
    "align": {"tolerance": "1ms"},
    "window": "* * * * *",
    "start": "2026-01-01",
}


def swung(seed: int, count: int = COUNT, damping: float = DAMPING) -> tuple[Floats, Floats]:
    """(count,) force, and displacement from where it rests without any; solved exactly, straight between its values."""
    from scipy.linalg import expm

    rng, force = np.random.default_rng(seed), np.zeros(LEAD + count)
    for k in range(1, force.size):
        force[k] = 0.8 * force[k - 1] + 250.0 * rng.normal()
    rates = np.zeros((4, 4))
    rates[0, 1] = rates[2, 3] = 1.0
    rates[1, :3] = [-STIFFNESS / MASS, -damping / MASS, 1.0 / MASS]
    step, states = expm(rates * EVERY_S), [np.array([force[0] / STIFFNESS, 0.0])]
    for here, after in itertools.pairwise(force):
        states.append((step @ np.array([*states[-1], here, (after - here) / EVERY_S]))[:2])
    return force[LEAD:], np.array(states)[LEAD:, 0]


@pytest.fixture
def twin(wheel: Path, tmp_path: Path) -> Twin:
    """The mass-damper as a twin."""
    with zipfile.ZipFile(wheel) as archive:
        (tmp_path / "Mass_Damper.fmu").write_bytes(archive.read(f"{FOLDER}Mass_Damper.fmu"))
    found = Twin(TwinSpec.model_validate(SPEC), tmp_path / "twin.yaml", {})
    check_against_fmu(found, description_of(found))
    return found


def test_the_fmu_is_the_closed_form(twin: Twin) -> None:
    """Through a second of a force that jumps, and two of one that never rests."""
    times_s, force = np.arange(100.0) * EVERY_S, swung(1)[0][:100] * 0.0
    force[10:] = 300.0
    path = InputPath(times_s, force[:, np.newaxis], np.array([9, 11, 99]), np.array([False]))
    moved, displacement = swung(6, count=210)
    moving = InputPath(np.arange(210.0) * EVERY_S, moved[:, np.newaxis], np.array([150, 209]), np.array([True]))
    with open_model(twin, workers=1) as model:
        found = model.follow(np.array([[MASS, STIFFNESS]]), path)[0, :, 0]
        # Whatever it began with is forgotten but for exp(-d t / 2 m).
        forgotten = 0.2 * np.exp(-np.array([1.5, 2.09]) * DAMPING / MASS / 2.0)
        off = model.follow(np.array([[MASS, STIFFNESS]]), moving)[0, :, 0] + 0.5 - displacement[[150, 209]]
        assert (np.abs(off) < forgotten + 1e-5).all()
    decay, turn = DAMPING / MASS / 2.0, np.sqrt(STIFFNESS / MASS - (DAMPING / MASS / 2.0) ** 2)
    since = np.array([0.01, 0.89])
    step = 0.03 * (1.0 - np.exp(-decay * since) * (np.cos(turn * since) + decay / turn * np.sin(turn * since)))
    np.testing.assert_allclose(found + 0.5, [0.0, *step], atol=1e-6)


def test_mass_and_stiffness_of_a_mass_damper_are_recovered(twin: Twin) -> None:
    """Noisy telemetry of a damper that nobody saw at rest: both within their 95 % intervals, to a few percent."""
    force, displacement = swung(4)
    noisy = displacement - 0.5 + NOISE_STD * np.random.default_rng(5).normal(size=COUNT)
    times = START + pd.to_timedelta(np.round(np.arange(COUNT) * EVERY_S * 1e3).astype(int), unit="ms")
    telemetry = pd.concat(
        [
            pd.DataFrame({"unit": "damper", "property": name, "time": times, "value": values, "quality": "GOOD"})
            for name, values in (("f", force), ("y", noisy))
        ]
    )
    window = WindowGrid.of(twin.spec).containing(START)
    observations = observe(twin.spec, ("damper",), window, telemetry, window.end).frame
    with open_model(twin) as model:
        result = assimilate(twin.spec, model, observations, fmu_sha256=model.sha256)
    assert len(result.frame) == COUNT
    assert (result.frame["y_reason"] == "").sum() == COUNT - 120
    assert (result.frame["method"] == "carried").sum() > 80
    last = coefficients_table(twin.spec, result.frame).iloc[-1]
    for name, truth in (("mass.m", MASS), ("spring.c", STIFFNESS)):
        assert last[f"{name}_lower"] <= truth <= last[f"{name}_upper"]
        assert last[f"{name}_std"] < 0.03 * truth
        assert abs(last[name] - truth) < 0.03 * truth


def test_from_the_fmu_to_its_coefficients_by_the_command_line(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a user does: new, a few lines of twin.yaml, check, ingest, run over two windows, export; both recovered.

    The second window goes on amid the movement, so nothing in it waits for a recent past.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TWINS_PATH", str(tmp_path / "twins"))
    monkeypatch.setenv("TWIN_HOME", str(tmp_path / "home"))
    fmu, names = tmp_path / "Mass_Damper.fmu", ("mass.m", "spring.c")
    with zipfile.ZipFile(wheel) as archive:
        fmu.write_bytes(archive.read(f"{FOLDER}{fmu.name}"))
    calibrate = [option for name in names for option in ("--calibrate", name)]
    main(["new", "damper", "--fmu", str(fmu), *calibrate, "--measure", "y", "--start", "2026-01-01"])
    yaml = tmp_path / "twins" / "damper" / "twin.yaml"
    text = yaml.read_text(encoding="utf-8")
    for found, wanted in (
        (r"  mode: steady_state .*", "  mode: transient"),
        (r"  # memory_s: .*", "  memory_s: 0.5"),
        (r"  # parameters: \{\} .*", "  parameters: {damper.d: 40}"),
        (r"  # follow_step_s: .*", "  follow_step_s: 0.005"),
        (r"constant: 0\}", "property: force, max_age: 1s}"),
        (r"initial: 1, initial_std: 0.5(.*)bounds: \[0", r"initial: 1.1, initial_std: 0.1\1bounds: [0.1"),
        (r"initial: 10000, initial_std: 5000(.*)bounds: \[0", r"initial: 9000, initial_std: 900\1bounds: [1000"),
        (r"window: daily", "window: hourly"),
        (r"tolerance: 1s", "tolerance: 1ms"),
    ):
        text, count = re.subn(found, wanted, text)
        assert count == 1, found
    yaml.write_text(text, encoding="utf-8")
    force, displacement = swung(6, count=150, damping=40.0)
    noisy = displacement - 0.5 + NOISE_STD * np.random.default_rng(7).normal(size=150)
    times_s = np.round(np.arange(150) * EVERY_S, 3)
    pd.DataFrame({"time_s": times_s, "force": force, "y": noisy}).to_csv(tmp_path / "swing.csv", index=False)
    main(["ingest", "damper", "swing.csv", "--start", "2026-01-01T00:59:59.1Z"])
    capsys.readouterr()
    main(["check", "damper", "--json", "--quiet"])
    (checked,) = json.loads(capsys.readouterr().out)["twins"]
    assert checked["memory"]["enough"]
    assert checked["memory"]["needed_s"] == pytest.approx(
        np.log(1e3) * 2.0 * (1.1 + 0.1 * np.sqrt(3.0)) / 40.0, rel=0.2
    )
    main(["run", "damper", "--json", "--quiet"])
    done = json.loads(capsys.readouterr().out)
    assert (len(done["windows"]), done["refused"]) == (2, {})
    main(["export", "damper", "coefficients", "-o", "coefficients.csv"])
    main(["export", "damper", "virtual_sensors", "-o", "predicted.csv"])
    last = pd.read_csv("coefficients.csv").iloc[-1]
    for name, truth in zip(names, (MASS, STIFFNESS), strict=True):
        assert last[f"{name}_lower"] <= truth <= last[f"{name}_upper"]
        assert last[f"{name}_std"] < 0.03 * truth
    predicted = pd.read_csv("predicted.csv")
    assert len(predicted) == 150 - 50
    # From noise ten times as large: what the calibrated model says of the displacement is nearer to the truth.
    off = predicted["y_predicted"].to_numpy()[-60:] + 0.5 - displacement[-60:]
    assert np.sqrt(np.mean(off**2)) < NOISE_STD / 3.0
