"""The square-root form: what rounding cannot do to a covariance."""

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from twin_assets.estimation import Coefficients, FilterSettings, FilterState, Gaussian, filter_step
from twin_assets.estimation.gaussian import triangular
from twin_assets.model import Floats

HOUR = 3_600_000_000_000
# 1 + TINY is a number of its own, 1 + TINY^2 is not: Kaminski, Bryson and Schmidt's (1971) example.
TINY = 1e-9
NOISE_STD = 1e-9


class NearlyParallel:
    """Two outputs that see almost the same sum of two coefficients."""

    coefficients = ("b0", "b1")
    inputs: tuple[str, ...] = ()
    outputs = ("y1", "y2")
    matrix = np.array([[1.0, 1.0], [1.0, 1.0 + TINY]])

    def evaluate(self, coefficients: Floats, inputs: Floats) -> Floats:
        """See PredictiveModel."""
        del inputs
        return np.asarray(coefficients @ self.matrix.T, dtype=np.float64)


def exact_covariance(updates: int) -> list[list[Fraction]]:
    """The posterior covariance of a unit prior after some updates, in rational numbers: inverse(I + k H^T H / r)."""
    h = [[Fraction(value) for value in row] for row in NearlyParallel.matrix.tolist()]
    weight = updates / Fraction(NOISE_STD) ** 2
    m = [[sum(row[i] * row[j] for row in h) * weight + (1 if i == j else 0) for j in range(2)] for i in range(2)]
    determinant = m[0][0] * m[1][1] - m[0][1] * m[1][0]
    return [[m[1][1] / determinant, -m[0][1] / determinant], [-m[1][0] / determinant, m[0][0] / determinant]]


def test_nearly_parallel_measurements_leave_the_exact_covariance(
    make_coefficients: Callable[..., Coefficients],
) -> None:
    """Where the covariance update loses every digit, the root has the covariance of rational arithmetic.

    The prior is a billion times wider than the noise; one direction stays a billion times worse known than the other.
    """
    coefficients = make_coefficients(2)
    state = FilterState(None, Gaussian(np.zeros(2), np.eye(2)))
    settings = FilterSettings(np.full(2, NOISE_STD), 1e-4)
    for number in range(5):
        state = filter_step(
            state, number * HOUR, np.zeros(2), np.empty(0), NearlyParallel(), coefficients, settings
        ).state
    exact = exact_covariance(5)
    expected = np.array([[float(value) for value in row] for row in exact])
    np.testing.assert_allclose(state.posterior.root @ state.posterior.root.T, expected, rtol=1e-6)
    # The well-known direction is a difference of these numbers; the root has it without one.
    seen = np.linalg.norm(np.array([1.0, 1.0]) @ state.posterior.root)
    exactly = float(sum(value for row in exact for value in row)) ** 0.5
    assert seen == pytest.approx(exactly, rel=1e-3)


def test_the_conventional_update_fails_there() -> None:
    """The test above can fail: P - K H P is not positive definite after the same measurement."""
    h, cov = NearlyParallel.matrix, np.eye(2)
    for row in h:
        gain = cov @ row / (row @ cov @ row + NOISE_STD**2)
        cov = cov - np.outer(gain, row @ cov)
    assert np.linalg.eigvalsh(cov).min() <= 0.0


@pytest.mark.parametrize("n", [1, 3, 9])
def test_triangular_roots(n: int) -> None:
    """The sum of two covariances has the lower triangular root with a nonnegative diagonal that Cholesky finds."""
    rng = np.random.default_rng(n)
    one, other = rng.normal(size=(n, n)), np.diag(rng.uniform(size=n))
    root = triangular(one, other)
    assert (np.triu(root, 1) == 0.0).all()
    np.testing.assert_allclose(root, np.linalg.cholesky(one @ one.T + other @ other.T), atol=1e-10)


def test_a_singular_covariance_has_a_root() -> None:
    """Where Cholesky refuses (a coefficient that does not vary at all), an orthogonal transformation does not."""
    root = triangular(np.array([[1.0, 0.0], [1.0, 0.0]]))
    np.testing.assert_allclose(root @ root.T, np.ones((2, 2)))
    with pytest.raises(np.linalg.LinAlgError):
        _ = Gaussian(np.zeros(2), np.array([[1.0, 1.0], [1.0, 1.0 - 1e-12]])).root


def test_a_gaussian_keeps_the_root_that_it_was_made_of() -> None:
    """To the bit, and its covariance is exactly symmetric."""
    made = np.array([[2.0, 0.0], [-0.3, 0.1]])
    gaussian = Gaussian.of_root(np.zeros(2), made)
    assert gaussian.root.tobytes() == made.tobytes()
    assert (gaussian.cov == gaussian.cov.T).all()
    np.testing.assert_allclose(gaussian.std, [2.0, np.sqrt(0.1)])


def test_many_channels_tell_what_the_information_filter_says(make_coefficients: Callable[..., Coefficients]) -> None:
    """Forty channels of two coefficients: information adds up, I + sum h h^T, far from any bound."""

    class Many:
        coefficients = ("b0", "b1")
        inputs: tuple[str, ...] = ()
        outputs = tuple(f"y{number}" for number in range(40))
        matrix = np.random.default_rng(7).normal(size=(40, 2))

        def evaluate(self, coefficients: Floats, inputs: Floats) -> Floats:
            """See PredictiveModel."""
            del inputs
            return np.asarray(coefficients @ self.matrix.T, dtype=np.float64)

    observed = np.random.default_rng(8).normal(size=40)
    state = FilterState(None, Gaussian(np.zeros(2), np.eye(2)))
    posterior = filter_step(
        state, 0, observed, np.empty(0), Many(), make_coefficients(2), FilterSettings(np.ones(40), 1e-4)
    ).posterior
    information = np.eye(2) + Many.matrix.T @ Many.matrix
    np.testing.assert_allclose(posterior.cov, np.linalg.inv(information), rtol=1e-9)
    np.testing.assert_allclose(posterior.mean, np.linalg.solve(information, Many.matrix.T @ observed), rtol=1e-9)
