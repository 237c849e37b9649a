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

    points, root = cloud(physical(STATE, make_coefficients(3)), make_coefficients(3))
    drawn, weights = sigma_points(STATE)
    np.testing.assert_allclose(points, drawn)
    model = fitted(points, root, _curved(points))
    mean, cov = unscented_transform(_curved(points), weights, weights)
    np.testing.assert_allclose(model.value, mean)
    np.testing.assert_allclose(model.slope @ STATE.cov @ model.slope.T + model.error, cov, atol=1e-14)


def test_an_affine_model_is_found_exactly(make_coefficients: Callable[..., Coefficients]) -> None:
    """Slopes are exact and nothing is left over, also where the cloud had to be moved inside its bounds."""
    slope = np.array([[1.0, 2.0, -3.0], [0.0, 1e3, 1.0]])
    coefficients = make_coefficients(3, lower=0.0, upper=3.0)
    points, root = cloud(physical(STATE, coefficients), coefficients)
    model = fitted(points, root, points @ slope.T + 5.0)
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
    points, root = cloud(physical(Gaussian(np.array(means), cov), coefficients), coefficients)
    assert points.shape == (5, 2)
    assert (points >= 0).all()
    assert (points <= 1).all()
    assert (np.diag(root) > 0).all()
    assert (np.ptp(points, axis=0) > 1e-3).all()
