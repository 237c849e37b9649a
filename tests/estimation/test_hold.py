"""What the measurements do not determine: what the filter makes of it by itself, and that it can be held."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import pytest

from twin_assets.estimation import Coefficients, FilterSettings, FilterState, Gaussian, filter_step, prior
from twin_assets.estimation.hold import at_prior
from twin_assets.model import Floats, PredictiveModel

HOUR_NS = 3_600_000_000_000
MakeModel = Callable[[Callable[[Floats], Floats], int, int], PredictiveModel]
MakeCoefficients = Callable[..., Coefficients]


class Building(PredictiveModel, Protocol):
    """The building of conftest."""

    @property
    def noise_std(self) -> Floats:
        """Of the temperatures."""
        ...


def followed(
    model: PredictiveModel,
    coefficients: Coefficients,
    settings: FilterSettings,
    truth: Callable[[int], Floats],
    inputs: Callable[[int], Floats],
    steps: int,
) -> list[Gaussian]:
    """Posteriors of hourly observations with noise."""
    rng = np.random.default_rng(1)
    state, found = prior(coefficients), []
    m = settings.noise_std.size
    for i in range(steps):
        clean = model.evaluate(truth(i)[np.newaxis], inputs(i))[0, :m]
        observation = clean + settings.noise_std * rng.normal(size=m)
        state = filter_step(state, (i + 1) * HOUR_NS, observation, inputs(i), model, coefficients, settings).state
        found.append(state.posterior)
    return found


def nothing(_: int) -> Floats:
    """No inputs."""
    return np.empty(0)


def weather(i: int) -> Floats:
    """Nights and days; no heating."""
    return np.array([3.0 * np.sin(i / 4.0), 10.0, 0.0])


def sum_of_two(make_model: MakeModel) -> PredictiveModel:
    """One output, b0 + b1."""
    return make_model(lambda b: b.sum(axis=1, keepdims=True), 2, 1)


def test_a_linear_filter_keeps_a_blind_mean_and_lets_its_variance_grow(
    make_model: MakeModel, make_coefficients: MakeCoefficients
) -> None:
    """Of a sum the difference is not seen: its mean stays at the prior by itself, to rounding; drift widens it.

    Two walks of 0.1 an hour each add 0.02 an hour to the variance of the difference, 2 at first.
    """
    coefficients = make_coefficients(2, initial=2.0, drift=0.1)
    settings = FilterSettings(np.array([0.05]), 1e-4)
    found = followed(
        sum_of_two(make_model), coefficients, settings, lambda i: np.array([2.0 + 0.01 * i, 1.5]), nothing, 100
    )
    difference = np.array([1.0, -1.0])
    np.testing.assert_allclose([difference @ each.mean for each in found], 0.0, atol=1e-9)
    np.testing.assert_allclose([difference @ each.cov @ difference for each in found], 2.0 + 0.02 * np.arange(100))


@pytest.mark.parametrize("drift", [[0.1, 0.1], [0.1, 0.0]], ids=["alike", "unlike"])
def test_held_is_as_at_first(make_model: MakeModel, make_coefficients: MakeCoefficients, drift: list[float]) -> None:
    """Mean and variance of the difference are the prior's after any number of steps, and its sum is followed.

    Also where the drifts differ: by itself the filter gives all of the change to the coefficient that drifts.
    """
    plain = make_coefficients(2, initial=2.0)
    coefficients = Coefficients(
        plain.names, plain.initial, plain.initial_std, np.array(drift), plain.lower, plain.upper
    )
    settings = FilterSettings(np.array([0.05]), 1e-4, hold=True)
    found = followed(
        sum_of_two(make_model), coefficients, settings, lambda i: np.array([2.0 + 0.01 * i, 1.5]), nothing, 100
    )
    difference = np.array([1.0, -1.0])
    np.testing.assert_allclose([difference @ each.mean for each in found], 0.0, atol=1e-9)
    np.testing.assert_allclose([difference @ each.cov @ difference for each in found], 2.0, rtol=1e-6)
    assert found[-1].mean.sum() == pytest.approx(2.0 + 0.99 + 1.5, abs=0.15)
    assert np.ones(2) @ found[-1].cov @ np.ones(2) < 0.05**2


def test_curvature_is_taken_for_information_unless_it_is_held(
    building: Building, room: Callable[..., Coefficients]
) -> None:
    """R1, R2 and C of an unheated room, their products measured 50 times; nothing ever tells C.

    By itself the filter ends three times as sure of C as it may be. Held, its interval is as wide as the prior leaves
    it, the truth (25 % above the prior) lies in it, and the products are found.
    """
    truth = np.array([2.4, 4.0, 5.0])
    stds = {}
    for hold in (False, True):
        settings = FilterSettings(building.noise_std, 1e-4, hold=hold)
        last = followed(building, room(), settings, lambda _: truth, weather, 50)[-1]
        stds[hold] = last.std[2]
        if hold:
            assert (np.abs(last.mean - truth) < 2.0 * last.std).all()
            # The expected product of correlated coefficients, as the filter's own points have it.
            products = last.mean[:2] * last.mean[2] + last.cov[:2, 2]
            np.testing.assert_allclose(products, truth[:2] * truth[2], rtol=0.02)
    # A third of each of the three logarithms is the blind direction's: sqrt(1/3) of 30 % of 4.
    assert stds[True] == pytest.approx(1.2 / np.sqrt(3.0), rel=0.1)
    assert stds[False] < 0.35 * stds[True]


def test_held_does_not_grow_with_drift_in_a_curved_model(building: Building, room: Callable[..., Coefficients]) -> None:
    """The variance along the direction that is not seen stays the prior's, in the prior's units, step by step."""
    settings = FilterSettings(building.noise_std, 1e-4, hold=True)
    coefficients = room(0.01)
    found = followed(
        building, coefficients, settings, lambda i: np.array([2.4, 4.0, 5.0]) * (1 + 1e-3 * i), weather, 60
    )
    scale = np.outer(coefficients.initial_std, coefficients.initial_std)
    largest = [np.linalg.eigvalsh(each.cov / scale)[-1] for each in found]
    # The clamp, far from the bounds here, still bends by 1e-6.
    np.testing.assert_allclose(largest, 1.0, rtol=1e-4)


def test_what_can_be_told_is_not_held(make_model: MakeModel, make_coefficients: MakeCoefficients) -> None:
    """Where every direction is seen the filter is the same to the last bit, for 2n + 1 runs more."""
    model = make_model(lambda b: np.hstack([b.sum(axis=1, keepdims=True), b[:, :1] ** 3]), 2, 2)
    coefficients = make_coefficients(2, initial=1.0, initial_std=0.2, drift=0.05, lower=0.0)
    steps = [
        filter_step(
            prior(coefficients),
            HOUR_NS,
            np.array([2.2, 1.3]),
            np.empty(0),
            model,
            coefficients,
            FilterSettings(np.array([0.1, 0.1]), 1e-4, hold=hold),
        )
        for hold in (False, True)
    ]
    assert steps[0].posterior.mean.tobytes() == steps[1].posterior.mean.tobytes()
    assert steps[0].posterior.cov.tobytes() == steps[1].posterior.cov.tobytes()
    assert steps[1].model_runs - steps[0].model_runs == 5


def test_what_was_told_before_is_kept_where_it_is_not_seen(make_coefficients: MakeCoefficients) -> None:
    """An operating point that hides a direction does not undo what another told of it, until that is forgotten."""
    coefficients = make_coefficients(2)
    hidden = np.array([[1.0], [-1.0]]) / np.sqrt(2.0)
    known = Gaussian(np.array([0.3, -0.2]), np.diag([0.1, 0.2]))
    kept = at_prior(known, known, hidden, coefficients)
    np.testing.assert_allclose(kept.mean, known.mean)
    np.testing.assert_allclose(kept.cov, known.cov)
    forgotten = at_prior(Gaussian(known.mean, np.diag([0.9, 0.9])), known, hidden, coefficients)
    assert (hidden.T @ forgotten.cov @ hidden).item() == pytest.approx(1.0)
    np.testing.assert_allclose(forgotten.mean, known.mean)


def test_a_coefficient_without_effect_never_moves(make_model: MakeModel, make_coefficients: MakeCoefficients) -> None:
    """At a bound, drifting, for 60 steps: mean and variance of its state are the first ones, bit for bit."""
    model = make_model(lambda b: b[:, :1], 2, 1)
    coefficients = make_coefficients(2, initial=0.0, drift=0.2, lower=0.0)
    settings = FilterSettings(np.array([0.1]), 1e-4, hold=True)
    found = followed(model, coefficients, settings, lambda _: np.array([0.5, 0.0]), nothing, 60)
    start = prior(coefficients).posterior
    np.testing.assert_allclose(found[-1].mean[1], start.mean[1], rtol=1e-12)
    np.testing.assert_allclose(found[-1].cov[1], [0.0, start.cov[1, 1]], rtol=1e-12, atol=1e-12)
    assert found[-1].mean[0] == pytest.approx(0.5, abs=0.3)


def test_a_missing_channel_does_not_make_a_direction_blind(
    make_model: MakeModel, make_coefficients: MakeCoefficients
) -> None:
    """What the model would show counts, not what happened to be measured: the prediction drifts on as it would."""
    model = make_model(lambda b: b, 2, 2)
    coefficients = make_coefficients(2, drift=1.0)
    start = FilterState(0, Gaussian(np.zeros(2), np.eye(2)))
    step = filter_step(
        start,
        HOUR_NS,
        np.array([0.1, np.nan]),
        np.empty(0),
        model,
        coefficients,
        FilterSettings(np.array([0.1, 0.1]), 1e-4, hold=True),
    )
    assert step.posterior.cov[1, 1] == pytest.approx(2.0)
