"""Verdicts: what is refused, what is only told, and that a sound window passes."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from twin_assets.spec import TwinSpec
from twin_assets.stages.refusals import JUDGE_AGAIN, judged_again, verdict_table, waiting_units
from twin_assets.stages.verdicts import (
    Verdict,
    finite,
    freshness,
    innovation_consistency,
    measured_enough,
    off_bounds,
)
from twin_assets.windows import Window

MakeSpec = Callable[..., TwinSpec]


def ukf_rows(nis: float, dof: int, rows: int = 100, unit: str = "pump", gated: int = 0) -> pd.DataFrame:
    """Rows of a filter table; the first ``gated`` of them with a gated flow."""
    return pd.DataFrame(
        {
            "unit": unit,
            "nis": float(nis),
            "dof": dof,
            "flow_reason": ["gated"] * gated + [""] * (rows - gated),
            "pressure_reason": "missing",
        }
    )


def coefficients(wear: tuple[float, float], leak: tuple[float, float]) -> pd.DataFrame:
    """One row of coefficients from their intervals."""
    row = {"unit": "pump", "time": pd.Timestamp("2026-01-02 10:00Z")}
    for name, (lower, upper) in (("wear", wear), ("leak", leak)):
        row |= {name: (lower + upper) / 2, f"{name}_lower": lower, f"{name}_upper": upper}
    return pd.DataFrame([row])


def test_sound_innovations_pass(spec: TwinSpec) -> None:
    """Sums of chi-square draws: of 300 sound windows none is refused at a chance of 1e-4 (one in 33 runs would be)."""
    draws = np.random.default_rng(5).chisquare(3, size=(300, 72))
    for window in draws:
        frame = ukf_rows(0, 3, rows=72).assign(nis=window)
        assert innovation_consistency(spec, frame).passed


def test_innovations_that_are_too_large_refuse(spec: TwinSpec) -> None:
    """Chi-square of 300 degrees of freedom exceeds 399.8 with a chance of 1e-4 (scipy.stats)."""
    assert innovation_consistency(spec, ukf_rows(3.9, 3)).passed
    verdict = innovation_consistency(spec, ukf_rows(4.1, 3))
    assert verdict.refuses
    assert verdict.metadata["dof_sum"] == 300
    assert verdict.metadata["nis_sum"] == pytest.approx(410)
    assert "raise its noise_std" in verdict.description


def test_innovations_that_are_too_small_only_warn(spec: TwinSpec) -> None:
    """Overstated noise makes intervals wider than they need be; it misleads nobody."""
    verdict = innovation_consistency(spec, ukf_rows(1.0, 3))
    assert (verdict.passed, verdict.refuses) == (False, False)
    assert "wider than" in verdict.description


def test_one_bad_unit_is_enough(spec: TwinSpec) -> None:
    """Good units do not dilute it, and it is named."""
    frame = pd.concat([ukf_rows(2.9, 3, unit=unit) for unit in "abcdefgh"] + [ukf_rows(4.5, 3, unit="z")])
    verdict = innovation_consistency(spec, frame)
    assert verdict.refuses
    assert verdict.metadata["unit"] == "z"


def test_silent_window_passes_with_a_note(spec: TwinSpec, day: Window) -> None:
    """There is nothing to refuse, and the description says so."""
    empty, nothing = ukf_rows(0, 0).iloc[:0], coefficients((0, 1), (0, 1)).iloc[:0]
    verdicts = [
        innovation_consistency(spec, empty),
        innovation_consistency(spec, ukf_rows(0, 0)),
        off_bounds(spec, nothing),
        finite(nothing, nothing),
        measured_enough(spec, empty),
    ]
    assert all(verdict.passed for verdict in verdicts)
    assert all("No observations" in verdict.description for verdict in verdicts)
    assert freshness(spec, day, nothing, day.start).passed


@pytest.mark.parametrize(
    ("wear", "passes"),
    [
        ((0.0, 0.001), True),  # a healthy bearing lives at the bound that its prior reaches
        ((0.2, 0.4), True),
        ((0.5, 1.0), True),  # unknown, not squeezed
        ((0.992, 1.0), False),
    ],
)
def test_squeezed_coefficient_refuses(spec: TwinSpec, wear: tuple[float, float], passes: bool) -> None:
    """A whole interval at a bound that the prior does not reach asks for a value beyond."""
    verdict = off_bounds(spec, coefficients(wear, (0.9, 1.1)))
    assert verdict.passed == passes
    assert passes or "wear = 0.996 at its upper bound 1" in verdict.description


def test_lower_bound_far_from_the_prior_refuses(make_spec: MakeSpec) -> None:
    """A bound is a home only where the prior reaches it; without the other one the prior's width is the scale."""
    part = {"name": "wear", "initial": 0.9, "initial_std": 0.1, "bounds": [0.5, None]}
    spec = make_spec(coefficients=[part, {"name": "leak", "initial": 1, "initial_std": 0.5}])
    assert off_bounds(spec, coefficients((0.5, 0.5005), (0.9, 1.1))).refuses
    assert off_bounds(spec, coefficients((0.5, 0.51), (0.9, 1.1))).passed


def test_the_end_of_the_window_counts(spec: TwinSpec) -> None:
    """What was squeezed in between and came back is not refused."""
    rows = pd.concat([coefficients((0.992, 1.0), (0.9, 1.1)), coefficients((0.2, 0.4), (0.9, 1.1))])
    assert off_bounds(spec, rows).passed
    assert off_bounds(spec, rows.iloc[::-1]).refuses


@pytest.mark.parametrize(("now", "passes"), [("10:30", True), ("10:31", False)])
def test_stale_live_window_refuses(make_spec: MakeSpec, day: Window, now: str, passes: bool) -> None:
    """With max_age 30min an observation of 10:00 is fresh until 10:30."""
    spec = make_spec(checks={"max_age": "30min"})
    frame = coefficients((0, 1), (0, 1))
    verdict = freshness(spec, day, frame, pd.Timestamp(f"2026-01-02 {now}", tz="UTC"))
    assert verdict.passed == passes
    assert verdict.metadata["max_age_s"] == 1800.0


def test_only_a_live_window_must_be_fresh(make_spec: MakeSpec, day: Window) -> None:
    """A backfill of old windows is never stale; a live window without any observation soon is."""
    spec = make_spec(checks={"max_age": "30min"})
    nothing = coefficients((0, 1), (0, 1)).iloc[:0]
    assert freshness(spec, day, nothing, day.end).passed
    assert freshness(spec, day, nothing, day.start + pd.Timedelta("30min")).passed
    assert freshness(spec, day, nothing, day.start + pd.Timedelta("31min")).refuses


def test_only_staleness_passes_by_itself(make_spec: MakeSpec, day: Window) -> None:
    """A refusal for staleness alone is to be judged again when the window is over; with another reason it is not."""
    spec = make_spec(checks={"max_age": "30min"})
    stale = freshness(spec, day, coefficients((0, 1), (0, 1)), pd.Timestamp("2026-01-02 12:00", tz="UTC"))
    good, bad, told = (innovation_consistency(spec, ukf_rows(nis, 3)) for nis in (3.0, 4.1, 1.0))
    again = {JUDGE_AGAIN: day.end.isoformat()}
    assert judged_again(waiting_units([good, stale, told])) == again
    for verdicts in ([good, stale, bad], [bad], [good, told]):
        assert judged_again(waiting_units(verdicts)) == {}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_refuses(value: float) -> None:
    """The column is named."""
    good = coefficients((0, 1), (0, 1))
    assert finite(good, good).passed
    verdict = finite(good, good.assign(leak_upper=value))
    assert verdict.refuses
    assert "leak_upper (1)" in verdict.description


def test_a_discrepancy_that_nobody_states_does_not_refuse() -> None:
    """Parts, flags and reasons are no results to be published; a part that cannot be computed still refuses."""
    good = coefficients((0, 1), (0, 1))
    parts = {"leak_std_coefficients": 0.1, "leak_std_inputs": 0.0, "leak_std_discrepancy": np.nan}
    predicted = good.assign(**parts, valid=False, why_not="speed = 9")
    assert finite(good, predicted).passed
    verdict = finite(good, predicted.assign(leak_std_inputs=np.nan))
    assert verdict.refuses
    assert "leak_std_inputs (1)" in verdict.description


def test_too_much_gated_refuses(spec: TwinSpec) -> None:
    """More than half of the measured values; missing ones do not count on either side."""
    assert measured_enough(spec, ukf_rows(1, 1, gated=50)).passed
    verdict = measured_enough(spec, ukf_rows(1, 1, gated=51))
    assert verdict.refuses
    assert verdict.metadata["gated_fraction"] == pytest.approx(0.51)


def test_verdicts_become_a_table() -> None:
    """Types hold also without any."""
    table = verdict_table([Verdict("finite", passed=False, description="why")])
    told = {"name": "finite", "passed": False, "severity": "error", "description": "why", "units": "[]"}
    assert table.to_dict("records") == [told]
    pd.testing.assert_series_equal(table.dtypes, verdict_table([]).dtypes)
