"""Outliers are refused, rollers that begin to slip are followed."""

from collections.abc import Callable

import numpy as np
import pytest

from twin_assets.estimation import Coefficients, FilterSettings, FilterState, Step, coefficient_marginals, filter_step
from twin_assets.estimation import prior as before_any
from twin_assets.model import Floats, PredictiveModel

MakeModel = Callable[[Callable[[Floats], Floats], int, int], PredictiveModel]
STEP_NS = 20 * 60 * 1_000_000_000
SPEED = np.array([1.0])
SLIP_BEGINS = 0.125


def _measured(line: PredictiveModel, truth: Floats, noise: Floats) -> Floats:
    return line.evaluate(truth[np.newaxis], SPEED)[0, : noise.size] + noise


def _followed(
    line: PredictiveModel, bearings: Coefficients, settings: FilterSettings, truths: Floats, seed: int = 0
) -> list[Step]:
    """Filter noisy observations of true dampings (t, 3)."""
    rng = np.random.default_rng(seed)
    state, steps = before_any(bearings), []
    for k, truth in enumerate(truths):
        observation = _measured(line, truth, settings.noise_std * rng.normal(size=settings.noise_std.size))
        steps.append(filter_step(state, k * STEP_NS, observation, SPEED, line, bearings, settings))
        state = steps[-1].state
    return steps


@pytest.fixture
def settled(line: PredictiveModel, bearings: Coefficients, line_settings: FilterSettings) -> FilterState:
    """After thirty quiet observations."""
    return _followed(line, bearings, line_settings, np.tile([1e-3, 5e-3, 5e-3], (30, 1)))[-1].state


@pytest.mark.parametrize("channel", range(6))
@pytest.mark.parametrize("size", [-300.0, -12.0, 12.0, 300.0])
def test_an_outlier_is_gated_and_leaves_the_rest_untouched(
    line: PredictiveModel,
    bearings: Coefficients,
    line_settings: FilterSettings,
    settled: FilterState,
    channel: int,
    size: float,
) -> None:
    """One wild channel, up or down: its reason is recorded, and the posterior is the one without that channel."""
    observation = _measured(line, np.array([1e-3, 5e-3, 5e-3]), np.zeros(6))
    without = np.where(np.arange(6) == channel, np.nan, observation)
    observation[channel] += size * line_settings.noise_std[channel] * (25.0 if channel > 2 else 1.0)
    time_ns = (settled.time_ns or 0) + STEP_NS
    step = filter_step(settled, time_ns, observation, SPEED, line, bearings, line_settings)
    expected = filter_step(settled, time_ns, without, SPEED, line, bearings, line_settings)
    assert step.reasons == tuple("gated" if j == channel else "" for j in range(6))
    np.testing.assert_allclose(step.posterior.mean, expected.posterior.mean)
    np.testing.assert_allclose(step.posterior.cov, expected.posterior.cov)
    assert step.nis == pytest.approx(expected.nis)
    assert step.dof == 5
    assert np.isfinite(step.innovation[channel])
    assert abs(step.innovation[channel]) > 3 * step.innovation_std[channel]
    assert step.model_runs <= 100


def test_two_outliers_are_gated_both(
    line: PredictiveModel, bearings: Coefficients, line_settings: FilterSettings, settled: FilterState
) -> None:
    """A burst over two sensors: both are named, the other four are used."""
    observation = _measured(line, np.array([1e-3, 5e-3, 5e-3]), np.zeros(6))
    observation[[0, 4]] += [0.5, -40.0]
    step = filter_step(settled, (settled.time_ns or 0) + STEP_NS, observation, SPEED, line, bearings, line_settings)
    assert step.reasons == ("gated", "", "", "", "gated", "")
    estimate = coefficient_marginals(step.posterior, bearings)
    np.testing.assert_allclose(estimate.mean, [1e-3, 5e-3, 5e-3], atol=2e-3)


def test_all_wrong_is_a_prediction(make_model: MakeModel, make_coefficients: Callable[..., Coefficients]) -> None:
    """Where nothing can be believed nothing is assimilated, and that is said."""
    coefficients = make_coefficients(1, initial_std=0.1)
    step = filter_step(
        before_any(coefficients),
        0,
        np.array([50.0, -80.0]),
        np.empty(0),
        make_model(lambda b: b[:, [0, 0]], 1, 2),
        coefficients,
        FilterSettings(np.array([0.1, 0.1]), 1e-4),
    )
    assert (step.method, step.dof, step.reasons) == ("prediction", 0, ("gated", "gated"))
    np.testing.assert_array_equal(step.posterior.mean, [0.0])


def test_good_observations_are_gated_as_often_as_asked(
    make_model: MakeModel, make_coefficients: Callable[..., Coefficients]
) -> None:
    """With a gate probability of 5 % about 5 % of 1,000 good observations lose a channel (binomial: 3.1 to 7.1 %)."""
    coefficients = make_coefficients(2, drift=0.1)
    model = make_model(lambda b: np.column_stack([b, b.sum(axis=1)]), 2, 3)
    settings = FilterSettings(np.full(3, 0.2), 0.05)
    rng = np.random.default_rng(5)
    truth = rng.normal(size=2)
    state, gated = before_any(coefficients), 0
    for k in range(1000):
        truth = truth + (0.1 * rng.normal(size=2) if k else 0.0)
        observation = np.append(truth, truth.sum()) + 0.2 * rng.normal(size=3)
        step = filter_step(state, k * 3 * STEP_NS, observation, np.empty(0), model, coefficients, settings)
        gated += "gated" in step.reasons
        state = step.state
    assert 31 <= gated <= 71


@pytest.mark.parametrize("precision", [1.0, 0.01])
@pytest.mark.parametrize("seed", range(3))
def test_a_roller_that_begins_to_slip_is_followed(
    line: PredictiveModel, bearings: Coefficients, line_settings: FilterSettings, seed: int, precision: float
) -> None:
    """The middle bearing wears until its speed falls by up to 50,000 noise widths: its damping stays right to 0.003.

    The others are not thrown onto a bound, and hardly an observation loses a channel on the way.
    """
    settings = FilterSettings(precision * line_settings.noise_std, line_settings.gate_probability)
    wear = np.concatenate([np.full(20, 5e-3), np.linspace(5e-3, 0.2, 120)])
    truths = np.column_stack([np.full_like(wear, 1e-3), wear, np.full_like(wear, 5e-3)])
    steps = _followed(line, bearings, settings, truths, seed)
    means = np.array([coefficient_marginals(step.posterior, bearings).mean for step in steps])
    assert np.abs(means - truths)[1:].max() < 3e-3
    assert sum("gated" in step.reasons for step in steps) <= 1
    assert max(step.model_runs for step in steps) <= 60


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("speed_noise_std", [1e-3, 1e-5])
def test_a_sudden_slip_is_explained(
    nine_rollers: PredictiveModel, make_coefficients: Callable[..., Coefficients], speed_noise_std: float, seed: int
) -> None:
    """Nine rollers; one wears by three drift widths an update until its speed falls by 1 rad/s from one to the next.

    An iterated update explains what the linear one cannot: damping right to 0.005, no other thrown onto a bound, hardly
    a channel gated, and on average no more than 30 model runs an update.
    """
    coefficients = make_coefficients(9, initial=1e-3, initial_std=5e-3, drift=5e-3, lower=0.0, upper=0.5)
    settings = FilterSettings(np.repeat([speed_noise_std, 0.2], 9), 1e-4)
    wear = np.arange(5e-3, 0.2, 9e-3)
    truths = np.full((wear.size, 9), 5e-4)
    truths[:, 6] = wear
    steps = _followed(nine_rollers, coefficients, settings, truths, seed)
    means = np.array([coefficient_marginals(step.posterior, coefficients).mean for step in steps])
    assert any(step.method == "iterated" for step in steps)
    assert np.abs(means - truths).max() < 5e-3
    assert sum("gated" in step.reasons for step in steps) <= 1
    assert np.mean([step.model_runs for step in steps]) <= 30


@pytest.mark.parametrize("precision", [1.0, 0.01])
def test_slip_among_healthy_bearings_takes_no_more_than_a_linear_update(
    nine_rollers: PredictiveModel, make_coefficients: Callable[..., Coefficients], precision: float
) -> None:
    """At the pace of the drift the sigma points themselves see the kink: 19 runs an update all the way into slip.

    They see it because the eight healthy bearings are looked at where they are, not moved away from their bound.
    """
    coefficients = make_coefficients(9, initial=1e-3, initial_std=5e-3, drift=5e-3, lower=0.0, upper=0.5)
    settings = FilterSettings(np.repeat([1e-3 * precision, 0.2], 9), 1e-4)
    wear = np.arange(5e-3, 0.18, 2e-3)
    truths = np.full((wear.size, 9), 5e-4)
    truths[:, 6] = wear
    steps = _followed(nine_rollers, coefficients, settings, truths)
    assert {step.model_runs for step in steps} == {19}
    assert not any("gated" in step.reasons for step in steps)
    means = np.array([coefficient_marginals(step.posterior, coefficients).mean for step in steps])
    assert np.abs(means - truths).max() < 3e-3


def test_slip_beside_an_outlier(line: PredictiveModel, bearings: Coefficients, line_settings: FilterSettings) -> None:
    """With another sensor broken for good, the roller that slips is still followed; only the broken one is gated."""
    wear = np.concatenate([np.full(20, 5e-3), np.linspace(5e-3, 0.18, 140)])
    state = before_any(bearings)
    rng = np.random.default_rng(0)
    wrong = 0
    for k, damping in enumerate(wear):
        observation = _measured(line, np.array([1e-3, damping, 5e-3]), line_settings.noise_std * rng.normal(size=6))
        observation[0] += 0.4
        step = filter_step(state, k * STEP_NS, observation, SPEED, line, bearings, line_settings)
        state = step.state
        wrong += step.reasons[1:] != ("",) * 5
        assert step.reasons[0] == "gated"
    assert wrong <= 2
    assert coefficient_marginals(state.posterior, bearings).mean[1] == pytest.approx(0.18, abs=3e-3)
