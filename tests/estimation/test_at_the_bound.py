"""Healthy bearings sit on their bound for months; then one wears."""

from collections.abc import Callable

import numpy as np
import pytest

from twin_assets.estimation import Coefficients, FilterSettings, coefficient_marginals, filter_step, prior
from twin_assets.model import Floats, PredictiveModel

MakeModel = Callable[[Callable[[Floats], Floats], int, int], PredictiveModel]
STEP_NS = 20 * 60 * 1_000_000_000
NO_INPUTS = np.empty(0)


@pytest.mark.parametrize(
    ("healthy", "noise_std", "drift", "count"),
    [
        pytest.param(0.0, 1e-3, 5e-3, 5000, marks=pytest.mark.slow),
        pytest.param(1e-4, 1e-5, 5e-4, 5000, marks=pytest.mark.slow),
        (0.0, 1e-5, 5e-4, 500),
        (0.0, 1e-5, 5e-3, 500),
        (1e-4, 1e-3, 5e-4, 500),
        (1e-4, 1e-5, 5e-3, 500),
    ],
)
def test_does_not_stall(
    make_model: MakeModel,
    make_coefficients: Callable[..., Coefficients],
    healthy: float,
    noise_std: float,
    drift: float,
    count: int,
) -> None:
    """Healthy for up to 5,000 observations (ten weeks), then wearing at the drift's pace: followed within six updates.

    From there the estimate is within four standard deviations of what can be known (noise, or the drift of two steps).
    """
    coefficients = make_coefficients(1, initial_std=5e-3, drift=drift, lower=0.0, upper=0.5)
    model, settings = make_model(lambda b: b, 1, 1), FilterSettings(np.array([noise_std]), 1e-4)
    per_step = drift / np.sqrt(3.0)
    truth = healthy + 1.2 * per_step * np.maximum(np.arange(count + 20.0) - (count - 1), 0.0)
    rng = np.random.default_rng(0)
    state, errors, depths = prior(coefficients), [], []
    for k, damping in enumerate(truth):
        observation = np.array([damping + noise_std * rng.normal()])
        step = filter_step(state, k * STEP_NS, observation, NO_INPUTS, model, coefficients, settings)
        state = step.state
        if k < count:
            depths.append((state.posterior.mean / coefficients.scale)[0])
        elif k >= count + 6:
            errors.append(coefficient_marginals(state.posterior, coefficients).mean[0] - damping)
    assert min(depths) > -25.0
    assert np.abs(errors).max() < 4.0 * max(noise_std, per_step if noise_std > per_step else 0.0)


def test_a_healthy_bearing_is_known_to_be_healthy(
    make_model: MakeModel, make_coefficients: Callable[..., Coefficients]
) -> None:
    """Measured to 1e-4, a bearing of 1e-4 is not reported at the prior's 1e-3 but there, with an honest interval."""
    coefficients = make_coefficients(2, initial=1e-3, initial_std=5e-3, drift=5e-3, lower=0.0, upper=0.5)
    model, settings = make_model(lambda b: b, 2, 2), FilterSettings(np.full(2, 1e-4), 1e-4)
    rng = np.random.default_rng(1)
    state, inside, means = prior(coefficients), [], []
    for k in range(300):
        observation = 1e-4 + 1e-4 * rng.normal(size=2)
        state = filter_step(state, k * STEP_NS, observation, NO_INPUTS, model, coefficients, settings).state
        marginals = coefficient_marginals(state.posterior, coefficients)
        inside.append((marginals.lower < 1e-4) & (marginals.upper > 1e-4))
        means.append(marginals.mean)
    assert np.mean(inside) > 0.9
    assert np.mean(means) == pytest.approx(1e-4, abs=1e-4)
    assert np.max(means) < 5e-4


def test_the_update_at_the_bound_is_bayes_rule(
    make_model: MakeModel, make_coefficients: Callable[..., Coefficients]
) -> None:
    """One coefficient on its bound, against a posterior integrated on a grid: same mean, no upper limit too low.

    A Gaussian in z stands for a skewed posterior: a third of the noise in the mean, and an upper limit that may be too
    wide by twice the noise, are what that costs.
    """
    coefficients = make_coefficients(1, initial=1e-3, initial_std=5e-3, lower=0.0)
    start = prior(coefficients)
    for observed, noise_std in [(0.0, 1e-3), (1e-3, 1e-3), (3e-3, 5e-4)]:
        step = filter_step(
            start,
            0,
            np.array([observed]),
            NO_INPUTS,
            make_model(lambda b: b, 1, 1),
            coefficients,
            FilterSettings(np.array([noise_std]), 1e-4),
        )
        z = np.linspace(-0.08, 0.06, 200_001)
        b = coefficients.scale[0] * np.logaddexp(0.0, z / coefficients.scale[0])
        log = -0.5 * ((z - start.posterior.mean[0]) / 5e-3) ** 2 - 0.5 * ((observed - b) / noise_std) ** 2
        weights = np.exp(log - log.max())
        weights /= weights.sum()
        upper = b[np.searchsorted(np.cumsum(weights), 0.975)]
        found = coefficient_marginals(step.posterior, coefficients)
        assert found.mean[0] == pytest.approx(weights @ b, abs=noise_std / 3)
        assert upper - 0.1 * noise_std < found.upper[0] < upper + 2.0 * noise_std


def test_upper_bounds_are_mirrored_lower_bounds(
    make_model: MakeModel, make_coefficients: Callable[..., Coefficients]
) -> None:
    """A coefficient b below 0 is -b above 0: every number of every step, with the sign changed."""
    settings = FilterSettings(np.array([1e-3]), 1e-4)
    above = make_coefficients(1, initial=1e-3, initial_std=5e-3, drift=2e-3, lower=0.0)
    below = make_coefficients(1, initial=-1e-3, initial_std=5e-3, drift=2e-3, upper=0.0)
    rng = np.random.default_rng(2)
    one, other = prior(above), prior(below)
    for k in range(30):
        observation = np.array([1e-3 * rng.normal()])
        one = filter_step(
            one, k * STEP_NS, observation, NO_INPUTS, make_model(lambda b: b, 1, 1), above, settings
        ).state
        other = filter_step(
            other, k * STEP_NS, observation, NO_INPUTS, make_model(lambda b: -b, 1, 1), below, settings
        ).state
        assert one.posterior.mean[0] == pytest.approx(-other.posterior.mean[0], abs=1e-9)
        assert one.posterior.cov[0, 0] == pytest.approx(other.posterior.cov[0, 0], rel=1e-4)
    mirrored = coefficient_marginals(other.posterior, below)
    assert coefficient_marginals(one.posterior, above).upper[0] == pytest.approx(-mirrored.lower[0], abs=1e-9)
