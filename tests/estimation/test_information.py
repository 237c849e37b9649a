"""What observations told, read off posteriors: held against what looking at the model says."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import pytest

from twin_assets.estimation import Coefficients, FilterSettings, Gaussian, filter_step, prior
from twin_assets.estimation.information import information, untold
from twin_assets.estimation.sensitivity import local_sensitivity
from twin_assets.model import Floats, PredictiveModel

HOUR_NS = 3_600_000_000_000
MakeModel = Callable[[Callable[[Floats], Floats], int, int], PredictiveModel]
MakeCoefficients = Callable[..., Coefficients]


class Line(PredictiveModel, Protocol):
    """The line of conftest."""

    @property
    def noise_std(self) -> Floats:
        """Of the speeds and tensions."""
        ...


def told(
    model: PredictiveModel, coefficients: Coefficients, settings: FilterSettings, observation: Floats, inputs: Floats
) -> tuple[Floats, Gaussian]:
    """Information of the second of two equal observations, an hour apart, and what was known before it."""
    first = filter_step(prior(coefficients), HOUR_NS, observation, inputs, model, coefficients, settings)
    second = filter_step(first.state, 2 * HOUR_NS, observation, inputs, model, coefficients, settings)
    gain = information(first.posterior, 1.0, second.posterior, coefficients, hold=settings.hold)
    return gain, first.posterior


def test_of_a_linear_model_it_is_what_the_jacobian_says(
    make_model: MakeModel, make_coefficients: MakeCoefficients
) -> None:
    """J = Sᵀ S with the scaled Jacobian S, whatever was known before and however much drifted."""
    jacobian = np.random.default_rng(6).normal(size=(4, 3))
    model = make_model(lambda b: b @ jacobian.T, 3, 4)
    coefficients = make_coefficients(3, initial=1.0, initial_std=0.5, drift=0.3)
    noise = np.array([0.1, 0.2, 0.3, 0.4])
    gain, _ = told(model, coefficients, FilterSettings(noise, 1e-4), jacobian @ np.ones(3), np.empty(0))
    scaled = jacobian * 0.5 / noise[:, np.newaxis]
    np.testing.assert_allclose(gain, scaled.T @ scaled, rtol=1e-8, atol=1e-8)


def test_at_a_bound_it_is_still_that_of_the_coefficient(line: Line, bearings: Coefficients) -> None:
    """Healthy bearings sit on their bound, where the clamp hides nine tenths of a state's steps; they are told as well.

    To a factor of four, for near the bound the clamp's own width adds to what is uncertain.
    """
    speed = np.array([1.0])
    observation = line.evaluate(np.full((1, 3), 1e-4), speed)[0, :6]
    gain, _ = told(line, bearings, FilterSettings(line.noise_std, 1e-4), observation, speed)
    looked = local_sensitivity(line, speed, bearings, line.noise_std)
    ratio = np.sqrt(np.linalg.eigvalsh(gain)[::-1]) / looked.singular_values
    assert (ratio > 0.25).all()
    assert (ratio < 4.0).all()


@pytest.mark.parametrize("hold", [False, True])
def test_what_is_not_told_is_named(make_model: MakeModel, make_coefficients: MakeCoefficients, hold: bool) -> None:
    """Of b0 + b1 and b2 the difference is missing, never known before; also where it is held, with drift or without."""
    model = make_model(lambda b: np.stack([b[:, 0] + 2.0 * b[:, 1], b[:, 2]], axis=1), 3, 2)
    for drift in (0.0, 0.3):
        coefficients = make_coefficients(3, drift=drift)
        settings = FilterSettings(np.array([0.1, 0.1]), 1e-4, hold=hold)
        gain, before = told(model, coefficients, settings, np.zeros(2), np.empty(0))
        (missing,) = untold(gain, 1, before, before, coefficients)
        assert str(missing.combination) == "b0 - 0.5·b1"
        assert not missing.known


def test_what_was_known_and_is_not_told_any_more_is_said_to_be_so(make_coefficients: MakeCoefficients) -> None:
    """Half the prior's variance, or less, is what something told."""
    coefficients = make_coefficients(2)
    gain = np.array([[100.0, 0.0], [0.0, 1e-6]])
    for variance, known in ((0.4, True), (0.9, False)):
        start = Gaussian(np.zeros(2), np.diag([1.0, variance]))
        (lost,) = untold(gain, 72, start, start, coefficients)
        assert (str(lost.combination), lost.known) == ("b1", known)
        assert lost.combination.observations == pytest.approx(1e6)


@pytest.mark.parametrize(
    ("gain", "observations", "left", "missing"),
    [
        (0.5e-4, 1_000_000, 0.02, 1),  # less than a hundredth of a noise by a prior standard deviation: blind
        (2e-4, 1_000_000, 0.005, 0),
        (2e-4, 72, 0.99, 1),  # 72 observations told a seventieth of what the prior does, and nothing before them did
        (2e-4, 72, 0.3, 0),  # others did
        (0.1, 72, 0.12, 0),
    ],
)
def test_what_counts_as_told(
    make_coefficients: MakeCoefficients, gain: float, observations: int, left: float, missing: int
) -> None:
    """By an average observation, by all of them together, or by those before them."""
    start, end = Gaussian(np.zeros(2), np.eye(2)), Gaussian(np.zeros(2), np.diag([0.01, left]))
    assert len(list(untold(np.diag([100.0, gain]), observations, start, end, make_coefficients(2)))) == missing
