"""Gaussians, sigma points and quadrature."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from twin_assets.estimation import Gaussian
from twin_assets.estimation.gaussian import linearized, sigma_points, sigma_radius

NEGATIVE = np.array([[2.0, -0.8, -0.3], [-0.8, 1.0, -0.2], [-0.3, -0.2, 0.5]])


@pytest.mark.parametrize("n", [1, 2, 3, 9, 20])
def test_weights_are_nonnegative_and_sum_to_one(n: int) -> None:
    """2n+1 points, the mean first; no negative weight that could make a covariance indefinite."""
    points, weights = sigma_points(Gaussian(np.arange(float(n)), np.eye(n)))
    assert points.shape == (2 * n + 1, n)
    assert weights.shape == (2 * n + 1,)
    np.testing.assert_array_equal(points[0], np.arange(n))
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1.0)
    assert np.abs(points - points[0]).max() == pytest.approx(sigma_radius(n))


def test_negative_correlations_are_kept() -> None:
    """The points have the covariance that they were drawn from; the reference's root of absolute values has not."""
    mean = np.array([1.0, -2.0, 0.0])
    points, weights = sigma_points(Gaussian(mean, NEGATIVE))
    deviations = points - mean
    np.testing.assert_allclose(deviations.T @ (weights[:, np.newaxis] * deviations), NEGATIVE, atol=1e-14)
    root = np.linalg.cholesky(np.abs(NEGATIVE)) * np.sign(NEGATIVE)
    assert np.abs(root @ root.T - NEGATIVE).max() > 0.1


def test_gaussians_do_not_change() -> None:
    """Neither the fields nor the arrays, nor through the arrays that they were made of."""
    mean = np.zeros(2)
    gaussian = Gaussian(mean, np.eye(2))
    mean[0] = 5.0
    assert gaussian.mean[0] == 0.0
    assert gaussian.mean.dtype == gaussian.cov.dtype == np.float64
    with pytest.raises(ValueError, match="read-only"):
        gaussian.cov[0, 0] = 2.0
    with pytest.raises(FrozenInstanceError):
        gaussian.mean = mean  # type: ignore[misc]


@pytest.mark.parametrize(("mean", "cov"), [(np.zeros(2), np.eye(3)), (np.zeros((2, 1)), np.eye(2))])
def test_shapes_are_checked(mean: np.ndarray, cov: np.ndarray) -> None:
    """A mean and a covariance that do not fit are refused."""
    with pytest.raises(ValueError, match="are expected, found"):
        Gaussian(mean, cov)


def test_statistical_linearization_of_a_polynomial_is_exact() -> None:
    """For z + z^2: mean m + m^2 + P, slope 1 + 2m, rest 2 P^2, as integrated by hand."""
    gaussian = Gaussian(np.array([0.5, -1.0]), np.array([[0.3, -0.2], [-0.2, 0.4]]))
    found = linearized(gaussian, np.square)
    variance = np.diag(gaussian.cov)
    slope = 1 + 2 * gaussian.mean
    np.testing.assert_allclose(found.mean, gaussian.mean + gaussian.mean**2 + variance)
    np.testing.assert_allclose(found.slope, slope)
    np.testing.assert_allclose(found.rest_var, 2 * variance**2)
    np.testing.assert_allclose(found.cov[0, 1], slope[0] * slope[1] * -0.2)
    np.testing.assert_allclose(np.diag(found.cov), slope**2 * variance + 2 * variance**2)


def test_no_change_is_not_even_rounded() -> None:
    """Where f(z) = z the numbers come back bit for bit."""
    gaussian = Gaussian(np.array([0.1, 1e9, 0.0]), NEGATIVE)
    found = linearized(gaussian, np.zeros_like)
    np.testing.assert_array_equal(found.mean, gaussian.mean)
    np.testing.assert_array_equal(found.cov, gaussian.cov)
