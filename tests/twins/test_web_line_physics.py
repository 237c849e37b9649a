"""The line at rest obeys the textbooks; expected values are worked out here, not by the model."""

import math
from collections.abc import Callable, Mapping
from itertools import pairwise

import numpy as np
import pytest

Settled = Callable[..., Mapping[str, float]]

ROLLERS = (1, 2, 3, 4, 5, 7, 8, 9, 10)
STIFFNESS = 4e5
RADIUS = 0.05
WORN = {"b2": 0.03, "b3": 0.12, "b7": 0.05, "b9": 0.1}


def _tension(line: Mapping[str, float], span: int) -> float:
    return line[f"S{span}_Tension_N"]


def test_web_line_tension_steps_are_the_bearings_drag(settled: Settled) -> None:
    """Across each roller at rest the tension rises by b w / R: nothing else takes power from the web."""
    line = settled(**WORN)
    for roller in ROLLERS:
        drag = WORN.get(f"b{roller}", 1e-3) * line[f"Roller{roller}_w"] / RADIUS
        assert _tension(line, roller + 1) - _tension(line, roller) == pytest.approx(drag, abs=1e-7)


def test_web_line_mass_flow_is_the_same_everywhere(settled: Settled) -> None:
    """Web speed over stretch is one number from unwinder to winder (1e-12: rounding of speeds of 1 m/s)."""
    line = settled(**WORN)
    speeds = {1 + r: RADIUS * line[f"Roller{r}_w"] + line[f"Roller{r}_summary_SlipVelocity"] for r in ROLLERS}
    flows = [speed / (1 + _tension(line, number - 1) / STIFFNESS) for number, speed in speeds.items()]
    flows += [RADIUS * line["NipRoller2_w"] / (1 + _tension(line, 6) / STIFFNESS)]
    flows += [RADIUS * line["NipRoller1_w"] / (1 + _tension(line, 11) / STIFFNESS)]
    flows += [line["WS1_Vout_ms"] / (1 + 100 / STIFFNESS), line["WS2_Velocity_ms"] / (1 + 100 / STIFFNESS)]
    assert np.ptp(flows) < 1e-12


def test_web_line_set_points_are_held(settled: Settled) -> None:
    """Master nip, nip and winder hold theirs exactly; the dancer's spring leaves 12.5 N a radian."""
    line = settled(
        **WORN,
        web_speed_setpoint=1.4,
        tension_1_setpoint=120.0,
        tension_2_setpoint=180.0,
        rewind_tension_setpoint=90.0,
    )
    assert line["ms"] == pytest.approx(1.4, abs=1e-12)
    assert _tension(line, 11) == pytest.approx(180.0, abs=1e-7)
    assert _tension(line, 12) == pytest.approx(90.0, abs=1e-7)
    assert _tension(line, 1) == pytest.approx(120.0 - 12.5 * math.radians(line["deg"]), abs=1e-7)
    assert math.radians(line["deg"]) == pytest.approx((1.4 - line["WS1_Vout_ms"]) / 0.1, abs=1e-9)
    assert line["Pa"] == pytest.approx(325956.2867 * 1.2, rel=1e-6)


def test_web_line_torque_pulls_the_web_and_turns_the_nip(settled: Settled) -> None:
    """The drive's torque at rest is the tension step over the nip times its radius, and the nip's own drag."""
    line = settled(b3=0.1)
    pull = RADIUS * (_tension(line, 6) - _tension(line, 7))
    assert line["Nm"] == pytest.approx(pull + 0.01 * line["NipRoller2_w"], abs=1e-9)


def test_web_line_without_drag_is_without_tension_steps(settled: Settled) -> None:
    """Frictionless bearings (b = 0, the bound) leave each zone at its set point and every roller without slip."""
    line = settled(healthy=0.0)
    assert [_tension(line, span) for span in range(1, 13)] == pytest.approx([100] * 6 + [150] * 5 + [100], abs=1e-8)
    assert all(abs(line[f"Roller{r}_summary_SlipVelocity"]) < 1e-13 for r in ROLLERS)


def test_web_line_traction_stays_at_the_capstan_limit(settled: Settled) -> None:
    """Of dampings too large for friction, rollers slip: the tension ratio stays at e^(mu theta) (+2 % of the step)."""
    line = settled(b3=0.4, b9=0.4)
    for roller, wrap in ((3, 2.35619449), (9, 2.44796474)):
        limit = math.exp(0.25 * wrap) - 1.0
        step = _tension(line, roller + 1) / _tension(line, roller) - 1.0
        assert 0.99 * limit < step < 1.02 * limit
        assert line[f"Roller{roller}_w"] < 15.0


def test_web_line_slip_sets_in_suddenly(settled: Settled) -> None:
    """Roller 9 loses more than 0.3 rad/s within 3 % of damping, where its whole wear before cost 0.01."""
    wear = [settled(b9=b)["Roller9_w"] for b in (1e-3, 0.165, 0.17, 0.17 * 1.03)]
    assert wear[0] - wear[1] < 0.01
    assert wear[2] - wear[3] > 0.3
    assert settled(b9=0.165)["Roller9_summary_SlipVelocity"] < 1e-3 < settled(b9=0.172)["Roller9_summary_SlipVelocity"]


def test_web_line_zone_1_slips_later(settled: Settled) -> None:
    """Roller 3 pulls against a growing tension and slips only from about 0.2."""
    assert settled(b3=0.197)["Roller3_summary_SlipVelocity"] < 1e-3 < settled(b3=0.202)["Roller3_summary_SlipVelocity"]


def test_web_line_settled_answers_are_smooth_in_the_coefficients(settled: Settled) -> None:
    """Derivatives by steps of 1e-5 and of 1e-4 agree to 1e-4: no solver noise that a filter would differentiate."""

    def slope(change: float) -> float:
        return (settled(b9=0.05 + change)["Roller9_w"] - settled(b9=0.05 - change)["Roller9_w"]) / (2 * change)

    assert slope(1e-5) == pytest.approx(slope(1e-4), rel=1e-4)


def test_web_line_survives_every_bearing_at_its_bound(settled: Settled) -> None:
    """All dampings at 0.5: rollers slide, the web stays taut, drag still equals the tension steps."""
    line = settled(healthy=0.5)
    tensions = [_tension(line, span) for span in range(1, 12)]
    assert min(tensions) > 0
    assert all(after > before for before, after in pairwise(tensions[:6]))
    for roller in ROLLERS:
        drag = 0.5 * line[f"Roller{roller}_w"] / RADIUS
        assert _tension(line, roller + 1) - _tension(line, roller) == pytest.approx(drag, rel=1e-6)
