"""Drift that was given wrongly: found from the innovations, and the intervals are honest all the same."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from oracles import published
from oracles.closed_form import ClosedForm
from twin_assets.estimation import (
    Coefficients,
    FilterSettings,
    FilterState,
    Step,
    coefficient_marginals,
    filter_step,
    prior,
    smoothed,
)
from twin_assets.estimation.adaptive import MOST, Pace
from twin_assets.model import Floats, PredictiveModel

HOUR_NS = 3_600_000_000_000
NO_INPUTS = np.empty(0)
MATRIX = np.array([[1.0, 0.3, 0.0], [0.2, 1.0, -0.4], [0.0, 0.5, 1.0], [0.6, -0.6, 0.6]])
SETTINGS = FilterSettings(np.ones(4), 1e-4, adaptive_drift=True)
MakeCoefficients = Callable[..., Coefficients]


@pytest.fixture
def plant() -> PredictiveModel:
    """Four outputs of three coefficients."""
    names = ("b0", "b1", "b2")
    return ClosedForm(lambda b, _: b @ MATRIX.T, names, ("y0", "y1", "y2", "y3"))


def _filtered(
    model: PredictiveModel,
    coefficients: Coefficients,
    observations: Floats,
    settings: FilterSettings = SETTINGS,
    state: FilterState | None = None,
) -> list[Step]:
    """All steps, an hour apart."""
    state, steps = state or prior(coefficients), []
    for k, observation in enumerate(observations):
        steps.append(filter_step(state, k * HOUR_NS, observation, NO_INPUTS, model, coefficients, settings))
        state = steps[-1].state
    return steps


def _walked(drift: Floats, steps: int, seed: int) -> tuple[Floats, Floats]:
    """(s, 3) truth from the prior N(0, 1), walking, and (s, 4) observations with noise 1."""
    rng = np.random.default_rng(seed)
    moves = drift * rng.normal(size=(steps, 3))
    moves[0] = rng.normal(size=3)
    truth = moves.cumsum(axis=0)
    return truth, truth @ MATRIX.T + rng.normal(size=(steps, 4))


def _pace(step: Step) -> Pace:
    assert step.pace is not None
    return step.pace


def _held(steps: list[Step], truth: Floats, coefficients: Coefficients) -> np.ndarray:
    """(s, n) bool: whether the 95 % intervals hold the truth."""
    found = [coefficient_marginals(step.posterior, coefficients) for step in steps]
    lower, upper = (np.array([getattr(one, name) for one in found]) for name in ("lower", "upper"))
    return (lower <= truth) & (truth <= upper)


@pytest.mark.parametrize("wrong", [1 / 5, 1.0, 5.0, 20.0])
def test_intervals_hold_the_truth_however_wrong_the_drift_was(
    plant: PredictiveModel, make_coefficients: MakeCoefficients, wrong: float
) -> None:
    """Drift 1.14 an hour, given wrong: after 100 observations intervals hold the truth in 93 to 97 of 100 cases."""
    coefficients, held = make_coefficients(3, drift=1.14 * wrong), []
    for seed in range(6):
        truth, observations = _walked(np.full(3, 1.14), 300, seed)
        held.append(_held(_filtered(plant, coefficients, observations), truth, coefficients)[100:])
    assert 0.93 <= np.mean(held) <= 0.97


def test_each_coefficient_has_its_own_drift(plant: PredictiveModel, make_coefficients: MakeCoefficients) -> None:
    """Of three that were given the same, one drifts five times as fast and one a fifth as fast: each is found so."""
    drift = 0.5 * np.array([5.0, 1.0, 0.2])
    coefficients = make_coefficients(3, drift=0.5)
    factors = []
    for seed in range(4):
        steps = _filtered(plant, coefficients, _walked(drift, 500, seed)[1])
        factors.append(np.median([_pace(step).factor(coefficients) for step in steps[300:]], axis=0))
    fast, right, slow = np.median(factors, axis=0)
    assert fast == pytest.approx(5.0, rel=0.2)
    assert right == pytest.approx(1.0, rel=0.4)
    assert slow < 0.5


def test_drift_that_was_right_costs_little(plant: PredictiveModel, make_coefficients: MakeCoefficients) -> None:
    """Errors are at most 3 % larger than those of the filter that is told."""
    coefficients, errors = make_coefficients(3, drift=1.14), []
    for seed in range(6):
        truth, observations = _walked(np.full(3, 1.14), 300, seed)
        for settings in (SETTINGS, replace(SETTINGS, adaptive_drift=False)):
            steps = _filtered(plant, coefficients, observations, settings)
            errors.append(np.square([step.posterior.mean for step in steps] - truth).mean())
    assert np.sqrt(np.mean(errors[::2]) / np.mean(errors[1::2])) < 1.03


@pytest.mark.parametrize("wrong", [1 / 5, 5.0])
def test_the_level_of_the_nile_drifts_as_is_published(wrong: float) -> None:
    """From a standard deviation wrong by five, either way, 3 times through the series: within 1.4 of sqrt(1469.1)."""
    coefficients = replace(
        published.nile_level(published.NILE_LEVEL_VAR),
        drift_std_per_sqrt_hour=wrong * np.sqrt([published.NILE_LEVEL_VAR]),
    )
    model = ClosedForm(lambda values, _: values, ("level",), ("flow",))
    settings = FilterSettings(np.sqrt([published.NILE_NOISE_VAR]), 1e-4, adaptive_drift=True)
    # There and back again, so that the level has no jump.
    series = np.concatenate([published.NILE, published.NILE[::-1], published.NILE])[:, np.newaxis]
    steps = _filtered(model, coefficients, series, settings)
    found = _pace(steps[-1]).factor(coefficients) * wrong
    assert found == pytest.approx([1.0], rel=0.4)


@pytest.mark.parametrize("size", [30.0, 3000.0])
def test_an_outlier_is_no_drift(plant: PredictiveModel, make_coefficients: MakeCoefficients, size: float) -> None:
    """One value that is 30 or 3000 noise widths off moves no factor by more than a tenth."""
    coefficients = make_coefficients(3, drift=0.5)
    observations = _walked(np.full(3, 0.5), 121, 1)[1]
    observations[120, 1] += size
    steps = _filtered(plant, coefficients, observations)
    assert steps[120].reasons[1] == "gated"
    before, after = (_pace(step).factor(coefficients) for step in steps[-2:])
    assert after == pytest.approx(before, rel=0.1)


def test_a_jump_is_forgotten(plant: PredictiveModel, make_coefficients: MakeCoefficients) -> None:
    """A coefficient that jumps once, by ten times its drift: 100 observations later the factors are below two."""
    coefficients = make_coefficients(3, drift=0.5)
    observations = _walked(np.full(3, 0.5), 251, 2)[1]
    observations[150:] += 5.0 * MATRIX[:, 0]
    steps = _filtered(plant, coefficients, observations)
    assert (_pace(steps[-1]).factor(coefficients) < 2.0).all()


def test_the_factor_is_bounded(plant: PredictiveModel, make_coefficients: MakeCoefficients) -> None:
    """Drift given 10,000 times too large or too small is corrected by 30, and no more."""
    observations = _walked(np.full(3, 1.0), 200, 3)[1]
    for given in (1e-4, 1e4):
        coefficients = make_coefficients(3, drift=given)
        steps = _filtered(plant, coefficients, observations)
        factors = np.array([_pace(step).factor(coefficients) for step in steps])
        assert (factors > (1.0 - 1e-9) / MOST).all()
        assert (factors < (1.0 + 1e-9) * MOST).all()
    assert (_pace(steps[-1]).factor(coefficients) < 0.1).all()


def test_what_does_not_drift_does_not_begin_to(plant: PredictiveModel, make_coefficients: MakeCoefficients) -> None:
    """Without a drift there is nothing to correct: the steps are those of the filter that is told, to the bit."""
    coefficients = make_coefficients(3)
    observations = _walked(np.full(3, 1.0), 30, 4)[1]
    steps = _filtered(plant, coefficients, observations)
    told = _filtered(plant, coefficients, observations, replace(SETTINGS, adaptive_drift=False))
    for one, other in zip(steps, told, strict=True):
        np.testing.assert_array_equal(one.posterior.mean, other.posterior.mean)
        np.testing.assert_array_equal(_pace(one).factor(coefficients), np.ones(3))


def test_a_drift_that_is_given_anew_is_the_same_drift(
    plant: PredictiveModel, make_coefficients: MakeCoefficients
) -> None:
    """Whoever writes what was found into twin.yaml has the factors near one, and the same drift at work."""
    found = _pace(_filtered(plant, make_coefficients(3, drift=0.2), _walked(np.full(3, 1.0), 200, 5)[1])[-1])
    before, after = make_coefficients(3, drift=0.2), make_coefficients(3, drift=1.0)
    np.testing.assert_allclose(found.factor(before) * 0.2, found.factor(after) * 1.0, rtol=1e-12)


@pytest.mark.parametrize("wrong", [1 / 5, 1.0, 5.0])
def test_noise_and_drift_together_err_on_the_wide_side(
    plant: PredictiveModel, make_coefficients: MakeCoefficients, wrong: float
) -> None:
    """Neither is known: after 150 observations 95 % intervals hold the truth in at least 93 of 100 cases."""
    coefficients, held = make_coefficients(3, drift=0.5 * wrong), []
    settings = replace(SETTINGS, noise_std=np.full(4, np.nan))
    for seed in range(4):
        truth, observations = _walked(np.full(3, 0.5), 350, seed)
        held.append(_held(_filtered(plant, coefficients, observations, settings), truth, coefficients)[150:])
    assert np.mean(held) >= 0.93


def test_it_is_smoothed_with_the_drift_that_was_at_work(
    plant: PredictiveModel, make_coefficients: MakeCoefficients
) -> None:
    """Drift given five times too small: smoothed intervals hold the truth with the factors, and do not without."""
    coefficients = make_coefficients(3, drift=1.14 / 5)
    truth, observations = _walked(np.full(3, 1.14), 400, 6)
    steps = _filtered(plant, coefficients, observations)
    times, posteriors, paces = zip(*((s.time_ns, s.posterior, s.pace) for s in steps), strict=True)
    held = []
    for known in (paces, None):
        later = smoothed(times, posteriors, coefficients, known)
        means, stds = np.array([one.mean for one in later]), np.array([one.std for one in later])
        held.append((np.abs(means - truth) < 1.96 * stds)[100:].mean())
    assert held[0] > 0.93
    assert held[1] < 0.85
