"""The model near what is believed."""

from collections.abc import Callable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from twin_assets.estimation import Coefficients, Gaussian
from twin_assets.estimation.affine import cloud, fitted
from twin_assets.estimation.bounds import physical
from twin_assets.estimation.gaussian import sigma_points
from twin_assets.model import Floats

STATE = Gaussian(np.array([0.4, -0.2, 0.1]), np.array([[0.5, -0.2, 0.1], [-0.2, 0.3, 0.0], [0.1, 0.0, 0.2]]))


def _curved(values: Floats) -> Floats:
    return np.column_stack([np.sin(values).sum(axis=1), values[:, 0] * values[:, 1], np.exp(values[:, 2])])


def test_regression_holds_the_unscented_transform(make_coefficients: Callable[..., Coefficients]) -> None:
    """Value, and slope P slope' + error, are filterpy's unscented transform of the same points."""
    from filterpy.kalman import unscented_transform  # noqa: PLC0415 - slow to import

    drawn = cloud(physical(STATE, make_coefficients(3)), make_coefficients(3))
    points, weights = sigma_points(STATE)
    np.testing.assert_allclose(drawn.points, points)
    np.testing.assert_allclose(drawn.root @ drawn.root.T, STATE.cov, atol=1e-15)
    model = fitted(drawn, _curved(points))
    mean, cov = unscented_transform(_curved(points), weights, weights)
    np.testing.assert_allclose(model.value, mean)
    np.testing.assert_allclose(model.slope @ STATE.cov @ model.slope.T + model.error, cov, atol=1e-14)


def test_an_affine_model_is_found_exactly(make_coefficients: Callable[..., Coefficients]) -> None:
    """Slopes are exact and nothing is left over, also where points had to stop at a bound."""
    slope = np.array([[1.0, 2.0, -3.0], [0.0, 1e3, 1.0]])
    coefficients = make_coefficients(3, lower=0.0, upper=3.0)
    drawn = cloud(physical(STATE, coefficients), coefficients)
    assert drawn.fractions.min() < 1.0
    model = fitted(drawn, drawn.points @ slope.T + 5.0)
    np.testing.assert_allclose(model.slope, slope, rtol=1e-10, atol=1e-9)
    np.testing.assert_allclose(model.at(np.ones(3)), slope.sum(axis=1) + 5.0)
    np.testing.assert_allclose(model.error, 0.0, atol=1e-20)
    np.testing.assert_array_equal(model.only(np.array([False, True])).slope, model.slope[1:])


@given(
    means=st.lists(st.floats(-3, 4), min_size=2, max_size=2),
    std=st.floats(1e-4, 100),
    correlation=st.floats(-0.99, 0.99),
)
def test_the_model_is_never_run_out_of_bounds(means: list[float], std: float, correlation: float) -> None:
    """Whatever is believed, every point lies within the bounds, and the points differ."""
    two = np.ones(2)
    coefficients = Coefficients(("a", "b"), 0.5 * two, two, two, 0 * two, two)
    cov = std**2 * np.array([[1.0, correlation], [correlation, 1.0]])
    drawn = cloud(physical(Gaussian(np.array(means), cov), coefficients), coefficients)
    assert drawn.points.shape == (5, 2)
    assert (drawn.points >= 0).all()
    assert (drawn.points <= 1).all()
    assert (drawn.fractions >= 0).all()
    assert (np.diag(drawn.root) > 0).all()
    assert (np.ptp(drawn.points, axis=0) > 1e-4).all()
    slope = fitted(drawn, drawn.points @ np.array([[1.0, 2.0], [3.0, -1.0]])).slope
    np.testing.assert_allclose(slope, [[1.0, 3.0], [2.0, -1.0]], rtol=1e-6)
