"""What a check warns of, from evidence made by hand."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from twin_assets.check_twin import (
    Evidence,
    Prediction,
    check_twin,
    operating_condition,
    operating_points,
    warnings_of,
)
from twin_assets.estimation import Coefficients
from twin_assets.estimation.combinations import Combination
from twin_assets.estimation.sensitivity import LocalSensitivity
from twin_assets.historian import SqlHistorian, open_historian
from twin_assets.home import Home
from twin_assets.simulation import FmuDescription, RestartOutcome, RestartReport
from twin_assets.spec_file import Twin, load_twin
from twin_assets.stages.conditions import Conditions
from twin_assets.stages.forgetting import Forgetting
from twin_assets.stages.telemetry import channel_properties

EXACT = RestartOutcome("exact")

PUMP = """\
name: pump
model: {fmu: pump.fmu}
inputs:
  - {name: speed, property: n}
  - {name: weight, constant: 7}
coefficients:
  - {name: wear, initial: 0, initial_std: 1}
  - {name: leak, initial: 0, initial_std: 1}
measurements:
  - {name: flow, noise_std: 1, valid_range: [0, null]}
"""


@pytest.fixture
def pump(tmp_path: Path) -> Twin:
    """Two coefficients and one measurement."""
    path = tmp_path / "pump" / "twin.yaml"
    path.parent.mkdir()
    path.write_text(PUMP)
    return load_twin(path, tmp_path)


def warnings(
    twin: Twin,
    restart: RestartReport | None = None,
    value: float = 1.0,
    blind: tuple[Combination, ...] = (),
    memory: Forgetting | None = None,
    equal_step_s: float | None = None,
) -> list[str]:
    """What is warned of, from the line on."""
    two = np.ones(2)
    evidence = Evidence(
        restart=restart or RestartReport(EXACT, EXACT, EXACT, "rollback"),
        conditions=Conditions(np.array([[150.0, 7.0]]), np.ones(1), 0),
        predictions=(Prediction("flow", "measurement", None, value, 1.0),),
        coefficients=Coefficients(("wear", "leak"), 0 * two, two, two, -np.inf * two, np.inf * two),
        sensitivity=LocalSensitivity(("wear", "leak"), np.ones((1, 2)), two, two, blind),
        model_runs=6,
        memory=memory,
        equal_step_s=equal_step_s,
    )
    return [warning.partition("twin.yaml:")[2] for warning in warnings_of(twin, evidence)]


def test_good_evidence_warns_of_nothing(pump: Twin) -> None:
    """An exact rollback, a value in its range, coefficients that can be told apart."""
    assert warnings(pump) == []


def test_a_slow_restart_is_told_with_its_reason(pump: Twin) -> None:
    """A reset that is exact is slow and nothing else."""
    reset = RestartReport(RestartOutcome("not offered", "the FMU cannot"), EXACT, EXACT, "reset")
    (warning,) = warnings(pump, reset)
    assert warning == "2: every run of the FMU is a reset and a cold start, which is slow, because the FMU cannot."


@pytest.mark.parametrize("used", ["rollback", "reset"])
def test_an_inexact_restart_is_told(pump: Twin, used: str) -> None:
    """Whichever way is used: results would not be byte for byte the same again."""
    off = RestartOutcome("inexact", "outputs differ by up to 1e-9, relative")
    report = (
        RestartReport(off, EXACT, EXACT, "rollback")
        if used == "rollback"
        else RestartReport(EXACT, off, EXACT, "reset")
    )
    warning = warnings(pump, report)[-1]
    assert warning.startswith(f"2: the FMU's {used} is not exact (outputs differ by up to 1e-9, relative)")


def test_a_range_that_the_model_leaves_is_told(pump: Twin) -> None:
    """Its measurements would never count."""
    (warning,) = warnings(pump, value=-3.0)
    assert warning.startswith("10: the model predicts -3 for 'flow' at the prior, outside its valid_range [0, null]")


@pytest.mark.parametrize(
    ("weights", "observations", "expected"),
    [
        ({"leak": 1.0}, np.inf, "8: the measurements hardly depend on leak: no number of observations tells."),
        (
            {"wear": 1.0, "leak": -0.8},
            4e4,
            "7: the measurements cannot tell wear, leak apart: along wear - 0.8·leak it takes 4e+04 observations",
        ),
    ],
)
def test_blind_combinations_are_told(pump: Twin, weights: dict[str, float], observations: float, expected: str) -> None:
    """By name, with what it would take."""
    (warning,) = warnings(pump, blind=(Combination(weights, observations),))
    assert warning.startswith(expected)


def test_what_can_be_told_is_told_by_its_law(pump: Twin) -> None:
    """Of a product the powers of a factor, of a sum the exchange; and what the filter can do about it."""
    weights = {"wear": 1.0, "leak": -1.0}
    (product,) = warnings(pump, blind=(Combination(weights, np.inf, "product", weights),))
    assert (
        "with wear·f, leak/f for any factor f no number of observations tells. Only wear·leak can be told." in product
    )
    (local,) = warnings(pump, blind=(Combination(weights, np.inf),))
    assert "Near the prior only wear + leak can be told." in local
    (total,) = warnings(pump, blind=(Combination(weights, np.inf, "sum"),))
    assert "along wear - leak no number of observations tells. Only wear + leak can be told." in total
    assert total.endswith("let the filter hold what is not told (identifiability: hold).")


MOVING = PUMP.replace("{fmu: pump.fmu}", "{fmu: pump.fmu, mode: transient, memory_s: 60}")


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        (Forgetting(5e-4, "flow", 52.0), ""),
        (
            Forgetting(0.02, "flow", 103.0),
            "60 s, after which 0.02 of .* left in 'flow'; .* Write memory_s: 110 or more",
        ),
        (Forgetting(0.9, "flow", None), "It hardly dies out: a model that keeps what it began with cannot be followed"),
        (None, "whether a memory of 60 s is long enough cannot be told: under the inputs of the FMU's start"),
    ],
)
def test_a_memory_that_is_too_short_is_told_with_what_it_has_to_be(
    pump: Twin, memory: Forgetting | None, expected: str
) -> None:
    """Found, expected, what to write; that all is judged at rest is told in any case."""
    pump.path.write_text(MOVING)
    moving = load_twin(pump.path, pump.path.parents[1])
    found = warnings(moving, memory=memory, equal_step_s=0.25)
    assert "is judged at rest" in found[0]
    assert re.search(r"equal communication steps, which are 0\.25 s here, also while it settles", found[-1])
    assert [bool(re.search(expected, warning)) for warning in found[1:-1]] == [True] * bool(expected)


def test_the_trial_takes_constants_and_start_values(pump: Twin, pump_fmu: FmuDescription) -> None:
    """A measured input has no measurement yet: the FMU's own start value stands for it."""
    assert operating_condition(pump.spec, pump_fmu) == {"speed": 150, "weight": 7}


def test_a_broken_fmu_is_a_finding_with_its_line(pump: Twin) -> None:
    """The file is right, the FMU is not: both are told by the line that names it."""
    pump.fmu_path.write_bytes(b"PK, but no zip")
    report = check_twin("pump", pump.path.parents[1])
    assert report.twin is not None
    assert report.evidence is None
    (finding,) = report.findings
    assert "twin.yaml:2:" in finding
    assert "no complete FMU" in finding


def test_without_telemetry_the_trial_stands_alone(pump: Twin, pump_fmu: FmuDescription, tmp_path: Path) -> None:
    """No home, a home without historian, a historian that never saw the twin: no file is made by looking."""
    home = Home(tmp_path / "home")
    for each in (None, home):
        found, told = operating_points(pump.spec, pump_fmu, each)
        assert (found.points.tolist(), found.shares.tolist(), found.observations, told) == ([[150, 7]], [1], 0, ())
    assert not home.root.exists()
    home.prepare()
    with SqlHistorian.sqlite(home.historian_path):
        pass
    assert operating_points(pump.spec, pump_fmu, home)[0].observations == 0


def test_operating_points_are_those_of_the_historian_that_was_chosen(
    pump: Twin, pump_fmu: FmuDescription, tmp_path: Path, postgresql_url: str
) -> None:
    """Not those of the embedded one, which need not be there."""
    home = Home(tmp_path / "home", postgresql_url)
    times = pd.date_range("2026-01-01", periods=3, freq="h", tz="UTC").as_unit("ns")
    parts = [
        pd.DataFrame({"unit": pump.spec.name, "property": name, "time": times, "value": 42.0, "quality": "GOOD"})
        for name in channel_properties(pump.spec)
    ]
    with open_historian(home) as historian:
        historian.write(pd.concat(parts))
    found, told = operating_points(pump.spec, pump_fmu, home)
    assert (found.observations, told) == (3, ())
    assert not home.root.exists()


def test_a_historian_that_cannot_be_read_is_told(pump: Twin, pump_fmu: FmuDescription, tmp_path: Path) -> None:
    """The twin can be checked all the same."""
    home = Home(tmp_path / "home")
    home.prepare()
    home.historian_path.write_text("no database")
    found, (told,) = operating_points(pump.spec, pump_fmu, home)
    assert found.observations == 0
    assert str(home.historian_path) in told
    assert told.endswith("The operating points are the FMU's start values instead of what was measured.")
