"""Are the intervals what they claim to be? Over many seeds, where the truth is known."""

import numpy as np
import pytest

from oracles.consistency import consistency, played
from oracles.plants import AT_A_BOUND, BETWEEN_BOUNDS, CRAWLING, LINEAR, NOISY_INPUTS, SATURATING, Plant
from twin_assets.estimation import (
    Coefficients,
    FilterSettings,
    coefficient_marginals,
    filter_step,
    predict_outputs,
    prior,
)
from twin_assets.model import PredictiveModel

STEP_NS = 20 * 60 * 1_000_000_000
SEEDS = range(20)


def _titled(plant: Plant) -> str:
    return plant.title.replace(" ", "_")


@pytest.mark.parametrize("plant", [LINEAR, SATURATING], ids=_titled)
def test_nees_is_chi_square(plant: Plant) -> None:
    """The ANEES of 100 seeds lies in its chi-square bounds: at the last step in those of 95 %, at every one of 99.9 %.

    (Bar-Shalom, Li and Kirubarajan 2001, 5.4.2; of 25 steps, one in 40 plants would leave the latter.) Not where a
    bound is active: the state beyond it has no true value.
    """
    found = played(plant, 100)
    low, high = found.nees_bounds(0.95)
    assert low < found.nees()[-1] < high
    low, high = found.nees_bounds(0.999)
    assert ((low < found.nees()) & (found.nees() < high)).all()


@pytest.mark.slow
@pytest.mark.parametrize("plant", [LINEAR, SATURATING, AT_A_BOUND, NOISY_INPUTS], ids=_titled)
def test_nis_is_chi_square(plant: Plant) -> None:
    """The average NIS of 100 seeds and 25 steps lies in its 95 % chi-square bounds, and nothing good is refused."""
    found = played(plant, 100)
    low, high = found.nis_bounds(0.95)
    assert low < found.nis() < high
    assert found.measurements > 6000
    assert found.gated == 0


@pytest.mark.slow
def test_nis_between_two_bounds_errs_to_the_safe_side() -> None:
    """In a range so narrow that both bounds are felt, innovations are expected a little too wide, not too narrow.

    It takes in the 97.5 % quantile of the reflected walk, and does not know that the far bound reflects too.
    """
    found = played(BETWEEN_BOUNDS, 100)
    assert 0.9 < found.nis() < found.nis_bounds(0.95)[1]
    assert found.gated == 0


@pytest.mark.parametrize(
    "plant",
    [
        LINEAR,
        SATURATING,
        AT_A_BOUND,
        NOISY_INPUTS,
        pytest.param(BETWEEN_BOUNDS, marks=pytest.mark.slow),
        pytest.param(CRAWLING, marks=pytest.mark.slow),
    ],
    ids=_titled,
)
def test_intervals_hold_the_truth_as_often_as_they_say(plant: Plant) -> None:
    """95 % intervals of every coefficient and every virtual sensor hold the truth in 93 to 97 of 100 cases."""
    found = played(plant, 100)
    for coverage in (found.coverage(), found.coverage_virtual()):
        assert ((coverage >= 0.93) & (coverage <= 0.97)).all(), coverage


def test_errors_of_inputs_that_nobody_mentions_make_intervals_lie() -> None:
    """The same plant, its inputs taken for exact: less than two thirds of the intervals hold. So they are filtered."""
    found = consistency(NOISY_INPUTS, range(20), errors_known=False)
    assert (found.coverage() < 0.66).all()
    assert (found.coverage_virtual() < 0.66).all()


def test_coverage_on_a_line_with_healthy_and_wearing_bearings(
    line: PredictiveModel, bearings: Coefficients, line_settings: FilterSettings
) -> None:
    """Over 20 seeds the 95 % intervals hold the truth 90 to 99 % of the time: healthy, wearing, and what is predicted.

    Two bearings stay within 1e-4 and 1e-3 of zero, one wears up to just before it slips.
    """
    inside: list[np.ndarray] = []
    predicted: list[np.ndarray] = []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        healthy, state = rng.uniform(1e-4, 1e-3, 2), prior(bearings)
        for k, wear in enumerate(np.linspace(5e-4, 0.1, 40)):
            truth = np.array([healthy[0], wear, healthy[1]])
            outputs = line.evaluate(truth[np.newaxis], np.ones(1))[0]
            observation = outputs[:6] + line_settings.noise_std * rng.normal(size=6)
            state = filter_step(state, k * STEP_NS, observation, np.ones(1), line, bearings, line_settings).state
            found = coefficient_marginals(state.posterior, bearings)
            inside.append((found.lower <= truth) & (truth <= found.upper))
            answer = predict_outputs(state.posterior, np.ones(1), line, bearings)
            predicted.append((answer.lower <= outputs) & (outputs <= answer.upper))
    coverage = np.mean(inside, axis=0)
    assert (coverage >= 0.90).all()
    assert 0.90 <= coverage.mean() <= 0.99
    assert (np.mean(predicted, axis=0)[3:6] >= 0.90).all()
