"""Are the intervals what they claim to be?"""

from collections.abc import Callable

import numpy as np

from twin_assets.estimation import (
    Coefficients,
    FilterSettings,
    coefficient_marginals,
    filter_step,
    predict_outputs,
    prior,
)
from twin_assets.model import Floats, PredictiveModel

MakeModel = Callable[[Callable[[Floats], Floats], int, int], PredictiveModel]
STEP_NS = 20 * 60 * 1_000_000_000
SEEDS = range(20)


def test_consistency_on_a_nonlinear_plant(
    make_model: MakeModel, make_coefficients: Callable[..., Coefficients]
) -> None:
    """NEES and NIS over 20 seeds of 40 steps lie within their 99.9 % chi-square bounds (Bar-Shalom 2001, 5.4)."""
    from scipy.stats import chi2

    def curved(b: Floats) -> Floats:
        return np.column_stack([b[:, 0] + 0.05 * b[:, 1] ** 2, b[:, 1] - b[:, 0], np.sin(b[:, 0])])

    noise_std, drift = np.array([0.2, 0.3, 0.1]), 0.1
    model, settings = make_model(curved, 2, 3), FilterSettings(noise_std, 1e-9)
    coefficients = make_coefficients(2, initial_std=0.5, drift=drift)
    nees = nis = 0.0
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        truth, state = 0.5 * rng.normal(size=2), prior(coefficients)
        for k in range(40):
            truth = truth + (drift / np.sqrt(3.0) * rng.normal(size=2) if k else 0.0)
            observation = curved(truth[np.newaxis])[0] + noise_std * rng.normal(size=3)
            step = filter_step(state, k * STEP_NS, observation, np.empty(0), model, coefficients, settings)
            nis += step.nis
            state = step.state
        # The last error of every seed: independent ones, so that the law is known.
        error = truth - state.posterior.mean
        nees += float(error @ np.linalg.solve(state.posterior.cov, error))
    assert chi2.ppf(0.0005, 2 * len(SEEDS)) < nees < chi2.ppf(0.9995, 2 * len(SEEDS))
    assert chi2.ppf(0.0005, 3 * 40 * len(SEEDS)) < nis < chi2.ppf(0.9995, 3 * 40 * len(SEEDS))


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
