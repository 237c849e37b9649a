"""The smooth clamp and the prior."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin_assets.estimation import Coefficients, coefficient_marginals, prior
from twin_assets.estimation.bounds import clamp_slope, to_physical, to_state

BOUNDS = [(-np.inf, np.inf), (0.0, np.inf), (-np.inf, 0.5), (0.0, 0.5), (-3.0, 2.0), (0.0, 1e-3)]


def _one(lower: float, upper: float, initial: float | None = None, initial_std: float = 5e-3) -> Coefficients:
    inside = float(np.clip(0.25, lower, upper)) if initial is None else initial
    return Coefficients(
        ("b",),
        np.array([inside]),
        np.array([initial_std]),
        np.zeros(1),
        np.array([lower]),
        np.array([upper]),
    )


@given(bounds=st.sampled_from(BOUNDS), scales=st.floats(-25.0, 25.0), at_upper=st.booleans())
def test_clamp_and_inverse_undo_each_other(bounds: tuple[float, float], scales: float, *, at_upper: bool) -> None:
    """From a state near either bound, deep beyond it or inside, the inverse of the clamp leads back."""
    coefficients = _one(*bounds)
    scale = coefficients.scale[0]
    anchor = bounds[1] if at_upper and np.isfinite(bounds[1]) else bounds[0] if np.isfinite(bounds[0]) else 0.0
    state = np.array([anchor + scales * scale])
    value = to_physical(state, coefficients)
    # What is left of a state beyond a bound is exp(-depth); the bound's own rounding divided by that is lost.
    depth = max(-scales if anchor == bounds[0] else scales, 0.0)
    lost = 4e-16 * max(abs(anchor), scale * 25.0) * np.exp(depth)
    if np.isfinite(to_state(value, coefficients)).all() and lost < scale:
        assert to_state(value, coefficients) == pytest.approx(state, abs=8 * lost + 1e-12)


@given(bounds=st.sampled_from(BOUNDS), states=st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=20))
def test_clamp_is_monotone_and_within_bounds(bounds: tuple[float, float], states: list[float]) -> None:
    """Whatever the state, the coefficient is within its bounds; a greater state is never a smaller coefficient."""
    coefficients = _one(*bounds)
    values = to_physical(np.sort(np.array(states))[:, np.newaxis], coefficients)[:, 0]
    assert (values >= bounds[0]).all()
    assert (values <= bounds[1]).all()
    assert (np.diff(values) >= -1e-12).all()


@given(bounds=st.sampled_from(BOUNDS), state=st.floats(-0.05, 0.55))
def test_slope_is_the_derivative(bounds: tuple[float, float], state: float) -> None:
    """The analytic slope agrees with a central difference of the clamp."""
    coefficients = _one(*bounds)
    step = 1e-3 * coefficients.scale[0]
    ends = to_physical(np.array([[state - step], [state + step]]), coefficients)
    assert clamp_slope(np.array([state]), coefficients)[0] == pytest.approx(
        (ends[1, 0] - ends[0, 0]) / (2 * step), abs=1e-6
    )


def test_clamp_is_the_identity_in_the_interior_and_learns_at_the_bound() -> None:
    """Ten scales inside the state is the coefficient; at the bound the slope is a half, not zero."""
    coefficients = _one(0.0, 0.5)
    scale = coefficients.scale[0]
    inside = np.array([10 * scale])
    assert to_physical(inside, coefficients) == pytest.approx(inside, rel=1e-5)
    assert clamp_slope(np.zeros(1), coefficients) == pytest.approx(0.5)
    assert clamp_slope(np.array([-3 * scale]), coefficients)[0] > 0.04


def test_without_bounds_nothing_is_changed() -> None:
    """No bounds: state and coefficient are the same numbers."""
    coefficients = _one(-np.inf, np.inf)
    states = np.array([[-1e9], [0.1], [3e7]])
    np.testing.assert_array_equal(to_physical(states, coefficients), states)
    np.testing.assert_array_equal(to_state(states, coefficients), states)


@pytest.mark.parametrize("initial", [1e-3, 0.25, 0.4999])
def test_prior_maps_back_to_the_initial_value(initial: float) -> None:
    """The prior's centre is the initial value that the user gave."""
    coefficients = _one(0.0, 0.5, initial)
    assert to_physical(prior(coefficients).posterior.mean, coefficients) == pytest.approx([initial])


@pytest.mark.parametrize("initial", [0.0, 0.5])
def test_prior_on_a_bound_is_finite_and_hardly_off_it(initial: float) -> None:
    """An initial value on the bound has no finite inverse; the prior starts within 3 % of its width from there."""
    coefficients = _one(0.0, 0.5, initial)
    state = prior(coefficients)
    assert state.time_ns is None
    assert abs(to_physical(state.posterior.mean, coefficients)[0] - initial) < 0.03 * 5e-3
    marginals = coefficient_marginals(state.posterior, coefficients)
    assert abs(marginals.lower[0] - marginals.upper[0]) > 0.5 * 5e-3


@pytest.mark.parametrize(
    ("field", "values", "message"),
    [
        ("initial_std", [1.0, 0.0], "initial_std must be positive.*: b1"),
        ("drift_std_per_sqrt_hour", [-1.0, 0.0], "must not be negative: b0"),
        ("lower", [0.0, 2.0], "lower must be below upper: b1"),
        ("initial", [-1.0, 0.5], "within the bounds: b0"),
        ("initial", [0.5], r"initial has shape \(1,\)"),
    ],
)
def test_coefficients_refuse_what_makes_no_sense(field: str, values: list[float], message: str) -> None:
    """What cannot be meant is refused, naming the field and the coefficient."""
    fields = {
        "initial": [0.5, 0.5],
        "initial_std": [1.0, 1.0],
        "drift_std_per_sqrt_hour": [0.0, 0.0],
        "lower": [0.0, 0.0],
        "upper": [1.0, 1.0],
    } | {field: values}
    with pytest.raises(ValueError, match=message):
        Coefficients(("b0", "b1"), **{name: np.array(value) for name, value in fields.items()})
