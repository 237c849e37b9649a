"""The random walk between observations."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin_assets.estimation import Coefficients, Gaussian, coefficient_marginals
from twin_assets.estimation.bounds import to_physical
from twin_assets.estimation.drift import drifted

CORRELATED = Gaussian(np.array([1.0, 2.0]), np.array([[2.0, -0.7], [-0.7, 1.0]]))


def test_variance_grows_with_elapsed_time(make_coefficients: Callable[..., Coefficients]) -> None:
    """Without bounds: drift squared per hour is added to the variances, nothing else changes."""
    after = drifted(CORRELATED, 7.0, make_coefficients(2, drift=0.3))
    np.testing.assert_array_equal(after.mean, CORRELATED.mean)
    np.testing.assert_allclose(after.cov, CORRELATED.cov + np.eye(2) * 0.09 * 7.0, rtol=1e-15)


@pytest.mark.parametrize("lower", [-np.inf, -1e3])
def test_many_short_steps_are_one_long_step(make_coefficients: Callable[..., Coefficients], lower: float) -> None:
    """It is elapsed time that counts, not the number of observations; a bound far away changes nothing."""
    coefficients = make_coefficients(2, drift=0.3, lower=lower)
    short = CORRELATED
    for _ in range(100):
        short = drifted(short, 0.07, coefficients)
    long = drifted(CORRELATED, 7.0, coefficients)
    np.testing.assert_allclose(short.mean, long.mean, rtol=1e-14)
    np.testing.assert_allclose(short.cov, long.cov, rtol=1e-13)


def test_what_does_not_drift_stays(make_coefficients: Callable[..., Coefficients]) -> None:
    """Without drift time changes nothing, also beyond a bound."""
    deep = Gaussian(np.array([-5.0, 3.0]), CORRELATED.cov)
    after = drifted(deep, 1e4, make_coefficients(2, lower=0.0))
    np.testing.assert_array_equal(after.mean, deep.mean)
    np.testing.assert_array_equal(after.cov, deep.cov)


def test_a_state_beyond_the_bound_comes_back(make_coefficients: Callable[..., Coefficients]) -> None:
    """Twenty scales deep nothing could be learnt; after one walk the interval takes in what the walk can have done."""
    coefficients = make_coefficients(1, initial_std=5e-3, drift=1e-3, lower=0.0)
    scale = coefficients.scale[0]
    after = drifted(Gaussian(np.array([-20 * scale]), np.array([[scale**2]])), 1.0, coefficients)
    assert coefficient_marginals(after, coefficients).upper[0] == pytest.approx(2.24e-3, rel=0.01)


@pytest.mark.parametrize("mean", [-0.01, 0.0, 2e-3, 0.01, 0.1])
def test_reflected_walk_agrees_with_sampling(make_coefficients: Callable[..., Coefficients], mean: float) -> None:
    """The interval takes in the folded normal's, from a million walks; away from the bound it is the same."""
    coefficients = make_coefficients(1, initial_std=5e-3, drift=5e-3, lower=0.0)
    before = Gaussian(np.array([mean]), np.array([[1e-3**2]]))
    rng = np.random.default_rng(0)
    start = to_physical(mean + 1e-3 * rng.normal(size=(1_000_000, 1)), coefficients)[:, 0]
    walked = np.abs(start + 5e-3 * rng.normal(size=1_000_000))
    after = drifted(before, 1.0, coefficients)
    found = coefficient_marginals(after, coefficients)
    assert found.upper[0] == pytest.approx(np.quantile(walked, 0.975), rel=0.01)
    assert found.lower[0] <= np.quantile(walked, 0.025) * 1.5
    assert after.cov[0, 0] > before.cov[0, 0]
    if mean > 0.05:
        assert found.lower[0] == pytest.approx(np.quantile(walked, 0.025), rel=0.01)
        np.testing.assert_allclose(after.mean, before.mean, rtol=1e-12)


def test_upper_bounds_reflect_like_lower_ones(make_coefficients: Callable[..., Coefficients]) -> None:
    """A range is the same seen from either end."""
    coefficients = make_coefficients(2, initial=0.25, initial_std=5e-3, drift=5e-3, lower=0.0, upper=0.5)
    cov = np.array([[4e-6, -1e-6], [-1e-6, 4e-6]])
    after = drifted(Gaussian(np.array([-5e-3, 0.505]), cov), 1.0, coefficients)
    assert after.mean.sum() == pytest.approx(0.5)
    assert after.cov[0, 0] == pytest.approx(after.cov[1, 1])
    assert -1e-6 < after.cov[0, 1] < 0.0


@pytest.mark.parametrize("elapsed_h", [1.0, 1e3, 1e9])
def test_long_outages_end_between_the_bounds(make_coefficients: Callable[..., Coefficients], elapsed_h: float) -> None:
    """However long nothing came, what is believed stays finite and takes in no more than the range."""
    coefficients = make_coefficients(2, initial=[0.0, 0.5], initial_std=5e-3, drift=5e-3, lower=0.0, upper=0.5)
    after = drifted(Gaussian(np.array([-0.01, 0.51]), np.eye(2) * 1e-5), elapsed_h, coefficients)
    marginals = coefficient_marginals(after, coefficients)
    assert np.isfinite(marginals.std).all()
    assert (marginals.lower >= 0.0).all()
    assert (marginals.upper <= 0.5).all()


@given(
    depth=st.floats(-30, 60),
    width=st.floats(0.01, 30),
    correlation=st.floats(-0.99, 0.99),
    growth=st.floats(1e-6, 1e4),
)
def test_covariance_stays_positive_definite(depth: float, width: float, correlation: float, growth: float) -> None:
    """Wherever the states are, however long it took and however they are correlated."""
    both = np.ones(2)
    coefficients = Coefficients(("a", "b"), 0 * both, 2.5 * both, both, 0 * both, both * np.inf)
    cov = width**2 * np.array([[1.0, correlation], [correlation, 1.0]])
    after = drifted(Gaussian(np.array([depth, 0.0]), cov), growth, coefficients)
    assert (np.linalg.eigvalsh(after.cov) > 0).all()
    assert (after.cov == after.cov.T).all()
    assert (np.diag(after.cov) >= growth * (1.0 - 1e-9)).all()


@settings(deadline=None)
@given(depth=st.floats(-6, 3), width=st.floats(0.05, 3), growth=st.floats(0.01, 30))
def test_no_state_stays_deeper_than_the_walk_lets_be_true(depth: float, width: float, growth: float) -> None:
    """The coefficient of the new mean is the law's 5 % quantile where it was less, else what it was: nothing between.

    The law is the folded normal's, mixed over two thousand equally likely starts.
    """
    from scipy.optimize import brentq
    from scipy.special import ndtr, ndtri

    coefficients = Coefficients(("a",), np.zeros(1), 2.5 * np.ones(1), np.ones(1), np.zeros(1), np.array([np.inf]))
    after = drifted(Gaussian(np.array([depth]), np.array([[width**2]])), growth, coefficients)
    starts = np.logaddexp(0.0, depth + width * ndtri((np.arange(2000) + 0.5) / 2000))
    walk = np.sqrt(growth)

    def missing(value: float) -> float:
        return float((ndtr((value - starts) / walk) - ndtr((-value - starts) / walk)).mean()) - 0.05

    floor = brentq(missing, 0.0, starts.max() + 9.0 * walk)
    found, before = np.logaddexp(0.0, after.mean[0]), np.logaddexp(0.0, depth)
    assert found == pytest.approx(max(before, floor), rel=5e-3)
