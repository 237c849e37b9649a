"""What people read: values with intervals."""

from collections.abc import Callable

import numpy as np
import pytest

from twin_assets.estimation import Coefficients, Gaussian, coefficient_marginals, predict_outputs
from twin_assets.estimation.bounds import to_physical
from twin_assets.model import Floats, PredictiveModel

MakeModel = Callable[[Callable[[Floats], Floats], int, int], PredictiveModel]
MakeCoefficients = Callable[..., Coefficients]
CORRELATED = Gaussian(np.array([1.0, 2.0]), np.array([[2.0, -0.7], [-0.7, 1.0]]))


def test_marginals_without_bounds_are_normal(make_coefficients: MakeCoefficients) -> None:
    """Mean, standard deviation and mean plus or minus 1.96 of them."""
    found = coefficient_marginals(CORRELATED, make_coefficients(2))
    np.testing.assert_allclose(found.mean, [1.0, 2.0])
    np.testing.assert_allclose(found.std, [np.sqrt(2.0), 1.0])
    np.testing.assert_allclose(found.lower, found.mean - 1.959964 * found.std, rtol=1e-6)
    np.testing.assert_allclose(found.upper, found.mean + 1.959964 * found.std, rtol=1e-6)


@pytest.mark.parametrize("mean", [-0.02, -2e-3, 0.0, 2e-3, 0.02])
def test_marginals_at_a_bound_agree_with_sampling(make_coefficients: MakeCoefficients, mean: float) -> None:
    """Moments of a million samples through the clamp; 95 % quantiles midway to those without the clamp's bend."""
    coefficients = make_coefficients(1, initial_std=5e-3, lower=0.0, upper=0.5)
    posterior = Gaussian(np.array([mean]), np.array([[9e-6]]))
    states = mean + 3e-3 * np.random.default_rng(0).normal(size=(1_000_000, 1))
    samples = to_physical(states, coefficients)[:, 0]
    straight = np.clip(states[:, 0], 0.0, 0.5)
    found = coefficient_marginals(posterior, coefficients)
    assert found.mean[0] == pytest.approx(samples.mean(), rel=0.02)
    assert found.std[0] == pytest.approx(samples.std(), rel=0.02)
    lowest = (np.quantile(samples, 0.025) + np.quantile(straight, 0.025)) / 2.0
    assert found.lower[0] == pytest.approx(lowest, rel=0.03)
    assert found.upper[0] == pytest.approx(np.quantile(samples, 0.975), rel=0.03)
    assert 0.0 <= found.lower[0] < found.mean[0] < found.upper[0]


def test_predictions_of_a_linear_model_are_exact(make_model: MakeModel, make_coefficients: MakeCoefficients) -> None:
    """A b + c has mean A m + c, covariance A P A', and a symmetric interval."""
    matrix = np.array([[1.0, 2.0], [3.0, -1.0], [0.0, 0.0]])
    found = predict_outputs(
        CORRELATED, np.empty(0), make_model(lambda b: b @ matrix.T + 7.0, 2, 3), make_coefficients(2)
    )
    std = np.sqrt(np.diag(matrix @ CORRELATED.cov @ matrix.T))
    np.testing.assert_allclose(found.mean, matrix @ CORRELATED.mean + 7.0)
    np.testing.assert_allclose(found.std, std)
    np.testing.assert_allclose(found.lower, found.mean - 1.959964 * std, rtol=1e-6)
    np.testing.assert_allclose(found.upper, found.mean + 1.959964 * std, rtol=1e-6)


def test_predictions_of_a_quadratic_have_its_moments(
    make_model: MakeModel, make_coefficients: MakeCoefficients
) -> None:
    """b^2 of N(m, P) has mean m^2 + P and variance 4 m^2 P + 2 P^2; sigma points at 1.96 give them exactly."""
    found = predict_outputs(
        Gaussian(np.array([0.7]), np.array([[0.3]])),
        np.empty(0),
        make_model(np.square, 1, 1),
        make_coefficients(1),
    )
    assert found.mean[0] == pytest.approx(0.49 + 0.3)
    assert found.std[0] ** 2 == pytest.approx(4 * 0.49 * 0.3 + 2 * 0.09)


@pytest.mark.parametrize("mean", [-1.0, 0.0, 1.0, 5.0])
def test_what_cannot_be_negative_gets_no_negative_limit(
    make_model: MakeModel, make_coefficients: MakeCoefficients, mean: float
) -> None:
    """A slip velocity max(b, 0): the interval along one axis is its quantiles, not mean plus or minus 1.96 sigma."""
    found = predict_outputs(
        Gaussian(np.array([mean]), np.array([[1.0]])),
        np.empty(0),
        make_model(lambda b: np.maximum(b, 0.0), 1, 1),
        make_coefficients(1),
    )
    assert found.lower[0] == pytest.approx(max(mean - 1.959964, 0.0), abs=1e-5)
    assert found.upper[0] == pytest.approx(max(mean + 1.959964, 0.0), abs=1e-5)
    assert found.lower[0] <= found.mean[0] <= found.upper[0]


def test_predictions_are_of_all_outputs(line: PredictiveModel, bearings: Coefficients) -> None:
    """Measured and virtual ones, 2n+1 runs in one batch, shapes as promised; slip is never predicted negative."""
    posterior = Gaussian(np.array([1e-3, 0.12, 0.02]), np.eye(3) * 1e-5)
    found = predict_outputs(posterior, np.ones(1), line, bearings)
    for values in (found.mean, found.std, found.lower, found.upper):
        assert values.shape == (len(line.outputs),)
        assert np.isfinite(values).all()
    assert (found.lower[6:] >= 0.0).all()
    assert found.upper[7] > 0.0
    assert found.std[7] > 0.0


def test_marginals_refuse_another_models_coefficients(
    make_model: MakeModel, make_coefficients: MakeCoefficients
) -> None:
    """Names are compared, not counted."""
    with pytest.raises(ValueError, match="the model's coefficients are"):
        predict_outputs(CORRELATED, np.empty(0), make_model(lambda b: b, 2, 2), make_coefficients(3))


def test_marginals_shapes(make_coefficients: MakeCoefficients) -> None:
    """(n,) each, read-only."""
    found = coefficient_marginals(CORRELATED, make_coefficients(2, initial=0.5, lower=0.0))
    fields: list[Floats] = [found.mean, found.std, found.lower, found.upper]
    assert all(values.shape == (2,) and not values.flags.writeable for values in fields)
