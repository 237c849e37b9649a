"""Looking back: against smoothers that somebody else wrote, against closed forms, and against a truth that is known."""

from collections.abc import Callable

import numpy as np
import pytest

from oracles import published
from oracles.consistency import played
from oracles.plants import AT_A_BOUND, BETWEEN_BOUNDS, CRAWLING, LINEAR, SATURATING, Plant
from twin_assets.estimation import (
    Coefficients,
    FilterSettings,
    Gaussian,
    Step,
    coefficient_marginals,
    filter_step,
    prior,
    smoothed,
)
from twin_assets.model import Floats, PredictiveModel

MakeModel = Callable[[Callable[[Floats], Floats], int, int], PredictiveModel]
MakeCoefficients = Callable[..., Coefficients]
HOUR_NS = 3_600_000_000_000
NO_INPUTS = np.empty(0)
NEVER_GATED = 1e-300
NAMES = ("mean", "lower", "upper")


def _filtered(
    model: PredictiveModel, coefficients: Coefficients, noise_std: Floats, hours: Floats, observations: Floats
) -> list[Step]:
    """Filter observations (t, m) at times in hours (t,)."""
    state, steps = prior(coefficients), []
    settings = FilterSettings(noise_std, NEVER_GATED)
    for hour, observation in zip(hours, observations, strict=True):
        steps.append(filter_step(state, round(hour * HOUR_NS), observation, NO_INPUTS, model, coefficients, settings))
        state = steps[-1].state
    return steps


def _smoothed(steps: list[Step], coefficients: Coefficients) -> list[Gaussian]:
    return smoothed([step.time_ns for step in steps], [step.posterior for step in steps], coefficients)


def _linear(
    make_model: MakeModel, make_coefficients: MakeCoefficients, n: int, m: int, seed: int
) -> tuple[list[Step], Coefficients, Floats, Floats, Floats, Floats]:
    """A linear plant at uneven times, a third of its measurements missing: also matrix, noise, hours, observations."""
    rng = np.random.default_rng(seed)
    matrix, noise_std = rng.normal(size=(m, n)), rng.uniform(0.1, 2.0, m)
    hours, observations = np.cumsum(rng.uniform(0.1, 5.0, 30)), rng.normal(size=(30, m))
    observations[rng.random(observations.shape) < 1 / 3] = np.nan
    observations[11] = np.nan
    coefficients = make_coefficients(n, drift=0.2)
    steps = _filtered(make_model(lambda b: b @ matrix.T, n, m), coefficients, noise_std, hours, observations)
    return steps, coefficients, matrix, noise_std, hours, observations


@pytest.mark.parametrize(("n", "m"), [(1, 1), (2, 5), (4, 6), (6, 2)])
def test_equals_the_textbooks_recursion_on_a_linear_plant(
    make_model: MakeModel, make_coefficients: MakeCoefficients, n: int, m: int
) -> None:
    """Rauch, Tung and Striebel's equations as they are printed (Anderson and Moore 1979, 7.4), to 1e-9."""
    steps, coefficients, _, _, hours, _ = _linear(make_model, make_coefficients, n, m, seed=10 * n + m)
    mean, cov = steps[-1].posterior.mean, steps[-1].posterior.cov
    found = _smoothed(steps, coefficients)
    for k in range(len(steps) - 2, -1, -1):
        filtered = steps[k].posterior
        predicted = filtered.cov + np.eye(n) * 0.2**2 * (hours[k + 1] - hours[k])
        gain = filtered.cov @ np.linalg.inv(predicted)
        mean = filtered.mean + gain @ (mean - filtered.mean)
        cov = filtered.cov + gain @ (cov - predicted) @ gain.T
        np.testing.assert_allclose(found[k].mean, mean, atol=1e-9)
        np.testing.assert_allclose(found[k].cov, cov, atol=1e-9)


def test_equals_filterpys_smoother(make_model: MakeModel, make_coefficients: MakeCoefficients) -> None:
    """The same observations, missing ones included, through filterpy's Kalman filter and rts_smoother, to 1e-9."""
    from filterpy.kalman import KalmanFilter  # noqa: PLC0415 - slow to import

    steps, coefficients, matrix, noise_std, hours, observations = _linear(make_model, make_coefficients, 3, 4, seed=7)
    kalman, means, covs, noises = KalmanFilter(dim_x=3, dim_z=4), [], [], []
    kalman.x, kalman.P = np.zeros(3), np.eye(3)
    for hour, before, observation in zip(hours, [hours[0], *hours], observations, strict=False):
        noises.append(np.eye(3) * 0.2**2 * (hour - before))
        kalman.predict(Q=noises[-1])
        if (seen := np.isfinite(observation)).any():
            kalman.update(observation[seen], R=np.diag(noise_std[seen] ** 2), H=matrix[seen])
        means.append(kalman.x.copy())
        covs.append(kalman.P.copy())
    expected, expected_cov, _, _ = kalman.rts_smoother(np.array(means), np.array(covs), Qs=noises)
    found = _smoothed(steps, coefficients)
    np.testing.assert_allclose([state.mean for state in found], expected, atol=1e-9)
    np.testing.assert_allclose([state.cov for state in found], expected_cov, atol=1e-9)


def test_equals_least_squares_over_the_whole_history(
    make_model: MakeModel, make_coefficients: MakeCoefficients
) -> None:
    """All states at once, from prior, walk and observations as one set of linear equations: no recursion at all."""
    n = 3
    steps, coefficients, matrix, noise_std, hours, observations = _linear(make_model, make_coefficients, n, 4, seed=3)
    count = len(hours)
    rows = [np.eye(n, n * count)]
    values = [np.zeros(n)]
    for k, observation in enumerate(observations):
        if k:
            walked = np.eye(n, n * count, n * k) - np.eye(n, n * count, n * (k - 1))
            rows.append(walked / (0.2 * np.sqrt(hours[k] - hours[k - 1])))
            values.append(np.zeros(n))
        seen = np.isfinite(observation)
        row = np.zeros((seen.sum(), n * count))
        row[:, n * k : n * (k + 1)] = matrix[seen] / noise_std[seen, np.newaxis]
        rows.append(row)
        values.append(observation[seen] / noise_std[seen])
    equations = np.concatenate(rows)
    cov = np.linalg.inv(equations.T @ equations)
    expected = (cov @ equations.T @ np.concatenate(values)).reshape(count, n)
    found = _smoothed(steps, coefficients)
    np.testing.assert_allclose([state.mean for state in found], expected, atol=1e-9)
    for k, state in enumerate(found):
        np.testing.assert_allclose(state.cov, cov[n * k : n * (k + 1), n * k : n * (k + 1)], atol=1e-9)


def test_what_does_not_drift_was_always_what_it_is_at_the_end(
    make_model: MakeModel, make_coefficients: MakeCoefficients
) -> None:
    """Without drift every smoothed state is the last posterior; beside a coefficient that drifts as well."""
    coefficients = make_coefficients(2)
    rng = np.random.default_rng(4)
    model = make_model(lambda b: b @ np.array([[1.0, 0.4], [0.2, 1.0]]), 2, 2)
    steps = _filtered(model, coefficients, np.full(2, 0.5), np.arange(20.0), rng.normal(size=(20, 2)))
    for state in _smoothed(steps, coefficients):
        np.testing.assert_allclose(state.mean, steps[-1].posterior.mean, atol=1e-12)
        np.testing.assert_allclose(state.cov, steps[-1].posterior.cov, atol=1e-12)
    one_drifts = Coefficients(
        coefficients.names, np.zeros(2), np.ones(2), np.array([0.3, 0.0]), coefficients.lower, coefficients.upper
    )
    steps = _filtered(model, one_drifts, np.full(2, 0.5), np.arange(20.0), rng.normal(size=(20, 2)))
    found = _smoothed(steps, one_drifts)
    np.testing.assert_allclose([state.mean[1] for state in found], steps[-1].posterior.mean[1], atol=1e-12)
    assert np.ptp([state.mean[0] for state in found]) > 0.1


def test_a_variance_that_a_difference_would_lose(make_coefficients: MakeCoefficients) -> None:
    """A wide posterior, hardly any drift, then a measurement of 1e-10: 1 - 1 is 0, the variance is 1e-20 + 1e-24.

    In closed form P_s = P Q / (P + Q) + (P / (P + Q))^2 P_s' with P = 1, Q = 1e-24.
    """
    coefficients = make_coefficients(1, drift=1e-12)
    wide, sharp = Gaussian(np.zeros(1), np.eye(1)), Gaussian(np.array([0.7]), np.eye(1) * 1e-20)
    first, last = smoothed([0, HOUR_NS], [wide, sharp], coefficients)
    assert last is sharp
    assert first.mean[0] == pytest.approx(0.7, abs=1e-12)
    assert first.cov[0, 0] == pytest.approx(1e-20 + 1e-24, rel=1e-12)


def test_nile_is_smoothed_as_in_the_textbook() -> None:
    """Levels and variances are those of the backward recursion of Durbin and Koopman (2012), 2.4.2 and 2.4.3.

    r_{t-1} = v_t / F_t + L_t r_t, level a_t + P_t r_{t-1}; N_{t-1} = 1 / F_t + L_t^2 N_t, variance P_t - P_t^2 N_{t-1}:
    from innovations, where ours is from posteriors. The variance stands still in the middle of the century.
    """
    noise_var, level_var = published.NILE_NOISE_VAR, published.NILE_LEVEL_VAR
    steps = published.nile(noise_var, level_var)
    found = smoothed([s.time_ns for s in steps], [s.posterior for s in steps], published.nile_level(level_var))
    levels, variances, level, var = [], [], 0.0, published.DIFFUSE_VAR
    for flow in published.NILE:
        levels.append(level)
        variances.append(var)
        gain = var / (var + noise_var)
        level, var = level + gain * (flow - level), var * (1.0 - gain) + level_var
    r, n = 0.0, 0.0
    for t in range(len(published.NILE) - 1, -1, -1):
        spread = variances[t] + noise_var
        kept = noise_var / spread
        r, n = (published.NILE[t] - levels[t]) / spread + kept * r, 1.0 / spread + kept**2 * n
        assert found[t].mean[0] == pytest.approx(levels[t] + variances[t] * r, rel=1e-9)
        if t:
            assert found[t].cov[0, 0] == pytest.approx(variances[t] - variances[t] ** 2 * n, rel=1e-9)
    # Information from both sides: 1 / V = 1 / P_filtered + 1 / P_predicted backwards, both from Riccati's equation.
    predicted = (level_var + np.sqrt(level_var**2 + 4.0 * level_var * noise_var)) / 2.0
    assert found[50].cov[0, 0] == pytest.approx(1.0 / (1.0 / (predicted - level_var) + 1.0 / predicted), rel=1e-6)


def _titled(plant: Plant) -> str:
    return plant.title.replace(" ", "_")


ALL = [LINEAR, SATURATING, AT_A_BOUND, *(pytest.param(p, marks=pytest.mark.slow) for p in (BETWEEN_BOUNDS, CRAWLING))]


@pytest.mark.parametrize("plant", ALL, ids=_titled)
def test_smoothed_intervals_hold_the_truth_as_often_as_they_say(plant: Plant) -> None:
    """Over 100 seeds the 95 % intervals of every coefficient hold the truth in 93 to 97 of 100 cases, at bounds too."""
    coverage = played(plant, 100).coverage_smoothed()
    assert ((coverage >= 0.93) & (coverage <= 0.97)).all(), coverage


@pytest.mark.parametrize("plant", [LINEAR, SATURATING], ids=_titled)
def test_nees_of_smoothed_states_is_chi_square(plant: Plant) -> None:
    """As the filter's: every step's average over 100 seeds lies in its 99.9 % bounds."""
    found = played(plant, 100)
    low, high = found.nees_bounds(0.999)
    assert ((low < found.nees_smoothed()) & (found.nees_smoothed() < high)).all()


@pytest.mark.parametrize("plant", ALL, ids=_titled)
def test_looking_back_is_never_less_sure_than_the_filter_was(plant: Plant) -> None:
    """No standard deviation of any state is larger than the filter's, and before the end they are smaller."""
    narrowed = np.array([run.narrowed for run in played(plant, 100).runs])
    assert narrowed.max() < 1.0 + 1e-12
    assert (narrowed[:, -1] == 1.0).all()
    assert (narrowed[:, :-1].mean(axis=1) < 0.99).all()


@pytest.mark.parametrize("plant", [LINEAR, SATURATING], ids=_titled)
def test_without_bounds_no_interval_is_wider(plant: Plant) -> None:
    """In physical units too. At a bound one may be: what is found to have left the bound is less sharp than it."""
    for run in played(plant, 100).runs:
        widths = (each.upper - each.lower for each in (run.smoothed, run.coefficients))
        after, before = widths
        assert (after <= before * (1.0 + 1e-9)).all()


@pytest.mark.slow
def test_the_onset_of_wear_is_seen_earlier(make_model: MakeModel, make_coefficients: MakeCoefficients) -> None:
    """A bearing wears after 100 observations on its bound, seen through noise of several steps.

    Over 100 seeds looking back finds the onset earlier than the filter did, is nearer to the truth, and honest.
    """
    coefficients = make_coefficients(1, initial=1e-3, initial_std=5e-3, drift=5e-4, lower=0.0, upper=0.5)
    model, noise, healthy = make_model(lambda b: b, 1, 1), np.array([3e-3]), 40
    truth = 1e-4 + 4e-4 * np.maximum(np.arange(1.0 - healthy, 31.0), 0.0)
    errors, onsets, held = [], [], []
    for seed in range(100):
        observations = truth + noise * np.random.default_rng(seed).normal(size=truth.size)
        steps = _filtered(model, coefficients, noise, np.arange(float(truth.size)), observations[:, np.newaxis])
        both = ([step.posterior for step in steps], _smoothed(steps, coefficients))
        found = [[coefficient_marginals(state, coefficients) for state in states] for states in both]
        means, lower, upper = (np.array([[getattr(one, name)[0] for one in each] for each in found]) for name in NAMES)
        errors.append(np.abs(means - truth)[:, healthy:])
        onsets.append((means > 4e-3).argmax(axis=1))
        held.append(((lower <= truth) & (truth <= upper))[:, healthy:])
    filtered, looked_back = np.mean(errors, axis=(0, 2))
    assert looked_back < 0.7 * filtered
    filtered, looked_back = np.median(onsets, axis=0)
    assert healthy < looked_back <= filtered - 3
    filtered, looked_back = np.mean(held, axis=(0, 2))
    assert looked_back > max(filtered, 0.9)


def test_one_observation_or_none_is_nothing_to_look_back_from(make_coefficients: MakeCoefficients) -> None:
    """The last state is the filter's own, and nothing is nothing."""
    only = Gaussian(np.zeros(1), np.eye(1))
    assert smoothed([0], [only], make_coefficients(1, drift=0.1)) == [only]
    assert smoothed([], [], make_coefficients(1, drift=0.1)) == []


@pytest.mark.parametrize(("times", "said"), [([0, 0], "time must advance"), ([0], "one posterior a time")])
def test_states_that_do_not_follow_each_other_are_refused(
    make_coefficients: MakeCoefficients, times: list[int], said: str
) -> None:
    """Equal times, or more posteriors than times, are a mistake of the caller."""
    states = [Gaussian(np.zeros(1), np.eye(1))] * 2
    with pytest.raises(ValueError, match=said):
        smoothed(times, states, make_coefficients(1, drift=0.1))
