"""What ``twin new`` finds out by running an FMU: the interface by which it settles, and the steps that suit it."""

from dataclasses import replace
from typing import Any

import pytest

from tests.simulation.conftest import MakeFmu
from twin_assets.first_run import first_run, suitable_steps
from twin_assets.simulation import FmuDescription, SettleSettings, read_description
from twin_assets.variable_choice import Patterns, choose

USUAL = SettleSettings()
LEVELS = Patterns(calibrate=("gain*",), measure=("level[1]", "level[2]", "count"))


@pytest.mark.parametrize(
    ("claims", "step_s", "max_settle_s"),
    [
        ({}, 2.0, 3600.0),
        ({"step_s": 0.01}, 2.0, 3600.0),
        ({"step_s": 900.0}, 900.0, 1_620_000.0),
        ({"can_vary_step": False}, 2.0, 3600.0),
        ({"can_vary_step": False, "step_s": 0.01}, 0.01, 3600.0),
        ({"fixed_step_s": 0.3}, 2.1, 3780.0),
        ({"fixed_step_s": 60.0}, 60.0, 108_000.0),
        ({"fixed_step_s": 0.25, "step_s": 0.5, "can_vary_step": False}, 0.5, 3600.0),
        ({"interface": "model_exchange", "step_s": 900.0}, 2.0, 3600.0),
    ],
)
def test_steps_follow_from_what_the_fmu_says(
    pump_fmu: FmuDescription, claims: dict[str, Any], step_s: float, max_settle_s: float
) -> None:
    """A long step of its own, one that must not vary, multiples of a fixed one; a solver outside chooses by itself."""
    settle = suitable_steps(replace(pump_fmu, **claims))
    assert (settle.step_s, settle.max_settle_s) == pytest.approx((step_s, max_settle_s))


def test_an_fmu_that_settles_is_run_as_it_offers(make_tanks: MakeFmu) -> None:
    """Values of the measurements at its start values; nothing needs to be said about the interface."""
    description = read_description(make_tanks(interfaces=("ModelExchange", "CoSimulation")))
    run = first_run(description, choose(description, LEVELS))
    assert (run.interface, run.problem, run.settle) == (None, "", USUAL)
    assert run.values == pytest.approx({"level[1]": 3.0, "level[2]": 3.0, "count": 2.0}, rel=1e-6)


def test_model_exchange_is_tried_where_co_simulation_fails(make_tanks: MakeFmu) -> None:
    """And named, with what went wrong."""
    description = read_description(make_tanks(interfaces=("ModelExchange", "CoSimulation"), guid="unlicensed"))
    run = first_run(description, choose(description, LEVELS))
    assert run.interface == "model_exchange"
    assert "fmi2Instantiate gave no instance" in run.problem
    assert run.values["level[1]"] == pytest.approx(3.0, rel=1e-6)


def test_smaller_steps_are_tried_where_the_fmu_s_own_solver_diverges(make_fmu: MakeFmu) -> None:
    """Euler's method inside, stable below 0.1 s: a hundredth of the usual step, and what went wrong."""
    description = read_description(make_fmu(guid="euler"))
    run = first_run(description, choose(description, Patterns(calibrate=("a",), measure=("y1", "y2"))))
    assert run.settle.max_step_s == pytest.approx(0.02)
    assert "a smaller max_step_s may help" in run.problem
    assert run.values == pytest.approx({"y1": 1.0, "y2": 1.0}, rel=1e-6)


def test_an_fmu_that_does_not_settle_at_all_has_a_problem(make_tanks: MakeFmu) -> None:
    """The first one that was met; no values, no interface."""
    description = read_description(make_tanks(guid="unlicensed"))
    run = first_run(description, choose(description, LEVELS))
    assert (run.interface, run.values) == (None, {})
    assert "fmi2Instantiate gave no instance" in run.problem
