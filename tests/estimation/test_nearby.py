"""The model near coefficients at which it was run: what is exact, and where it is not asked."""

import numpy as np

from twin_assets.estimation import Coefficients, Gaussian
from twin_assets.estimation.nearby import Nearby, is_near, surroundings
from twin_assets.model import Floats

FREE = Coefficients(
    names=("a", "b"),
    initial=np.array([1.0, 2.0]),
    initial_std=np.array([0.5, 0.3]),
    drift_std_per_sqrt_hour=np.zeros(2),
    lower=np.full(2, -np.inf),
    upper=np.full(2, np.inf),
)
POSTERIOR = Gaussian(np.array([1.0, 2.0]), np.array([[0.04, 0.01], [0.01, 0.02]]))


def quadratic(values: Floats) -> Floats:
    """(k, 2) of coefficients (k, 2), bent along a and linear in b."""
    a, b = values.T
    return np.column_stack([1.0 + 3.0 * a - 2.0 * a**2 + 5.0 * b, b - a])


def test_the_ends_of_the_interval_are_points_themselves() -> None:
    """Along every axis of the posterior: there predictions look first."""
    drawn = surroundings(POSTERIOR, FREE)
    assert drawn.points.shape == (5, 2)
    np.testing.assert_allclose(drawn.points[1:3] - drawn.points[0], 1.959963984540054 * POSTERIOR.root.T, atol=1e-12)
    outputs = np.random.default_rng(1).normal(size=(5, 3))
    np.testing.assert_allclose(Nearby(drawn, outputs).at(drawn.points), outputs, atol=1e-12)


def test_a_model_that_bends_along_the_axes_is_known_everywhere_near() -> None:
    """Of independent coefficients, between the points and beyond them."""
    drawn = surroundings(Gaussian(POSTERIOR.mean, np.diag([0.04, 0.02])), FREE)
    values = POSTERIOR.mean + np.array([[0.0, 0.0], [0.1, -0.2], [-0.5, 0.3]])
    np.testing.assert_allclose(Nearby(drawn, quadratic(drawn.points)).at(values), quadratic(values), atol=1e-12)


def test_points_at_a_bound_are_not_equally_far_away_and_still_tell_the_bend() -> None:
    """A coefficient on its bound is looked at from one side more than from the other."""
    bounded = Coefficients(
        names=FREE.names,
        initial=FREE.initial,
        initial_std=FREE.initial_std,
        drift_std_per_sqrt_hour=np.zeros(2),
        lower=np.array([0.95, -np.inf]),
        upper=np.full(2, np.inf),
    )
    drawn = surroundings(Gaussian(POSTERIOR.mean, np.diag([0.04, 0.02])), bounded)
    assert (drawn.points[:, 0] >= 0.95).all()
    assert drawn.fractions.min() < 0.9
    values = np.array([[0.95, 2.0], [1.2, 2.1]])
    np.testing.assert_allclose(Nearby(drawn, quadratic(drawn.points)).at(values), quadratic(values), atol=1e-12)


def test_what_was_not_looked_at_is_not_near() -> None:
    """Far away, much wider, or on a much smaller scale, in one direction alone; a little of each is near."""
    drawn = surroundings(POSTERIOR, FREE)

    def near(shift: float = 0.0, widths: tuple[float, float] = (1.0, 1.0)) -> bool:
        root = POSTERIOR.root * np.array(widths)
        return is_near(drawn, Gaussian.of_root(POSTERIOR.mean + shift * POSTERIOR.root[:, 0], root), FREE)

    assert near()
    assert near(0.9, (1.2, 0.6))
    assert not near(1.1)
    assert not near(widths=(1.3, 1.0))
    assert not near(widths=(1.0, 0.45))
