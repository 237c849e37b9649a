"""A held value: given up when observations refute it, and as seldom as is said while they do not."""

from collections.abc import Callable

import numpy as np
import pytest

from twin_assets.estimation import Gaussian
from twin_assets.estimation.cusum import Held, Watch, watched
from twin_assets.model import Floats

WATCH = Watch(shift=2.0, threshold=7.0)


def _updated(prior: Gaussian, seen: Floats, noise_var: float) -> Gaussian:
    """Each of n coefficients measured as it is: Kalman's update."""
    before = prior.std**2
    after = 1.0 / (1.0 / before + 1.0 / noise_var)
    return Gaussian(after * (prior.mean / before + seen / noise_var), np.diag(after))


def _played(
    truth: Callable[[int], Floats], steps: int, drift_var: float, watch: Watch, seed: int = 0
) -> tuple[Floats, Floats, Floats, Floats]:
    """Local levels seen with noise 1, from their steady state: (s, n) held, whether that was news, estimates, stds."""
    rng, n = np.random.default_rng(seed), truth(0).size
    var = (np.sqrt(drift_var**2 + 4.0 * drift_var) - drift_var) / 2.0  # of Riccati's equation
    posterior = Gaussian(truth(0) + np.sqrt(var) * rng.normal(size=n), var * np.eye(n))
    held, found = Held.of(posterior), []
    for k in range(1, steps):
        prior = Gaussian(posterior.mean, posterior.cov + drift_var * np.eye(n))
        posterior = _updated(prior, truth(k) + rng.normal(size=n), 1.0)
        held, news = watched(held, prior, posterior, watch)
        found.append((held.state, news, posterior.mean, posterior.std))
    said, news, means, stds = (np.array(part) for part in zip(*found, strict=True))
    return said, news, means, stds


@pytest.mark.parametrize(("threshold", "published"), [(4.0, 168.0), (5.0, 465.0)])
def test_mean_run_lengths_are_the_published_ones(threshold: float, published: float) -> None:
    """Two-sided, allowance 1/2: 168 at threshold 4, 465 at 5 (Lucas and Crosier 1982; Montgomery's table 9.3)."""
    assert Watch(shift=1.0, threshold=threshold).run_length(weight=1.0) == pytest.approx(published, rel=0.02)


def test_a_value_that_is_right_stays_as_long_as_is_said() -> None:
    """300 coefficients held where they are, weight 1/2, allowance 1/2: the mean of their stays is 465, to 15 %."""
    n, rng, watch = 300, np.random.default_rng(1), Watch(shift=np.sqrt(2.0), threshold=5.0)
    held, prior = Held(np.zeros(n), np.zeros(n), np.zeros(n)), Gaussian(np.zeros(n), 2.0 * np.eye(n))
    stays = np.full(n, np.nan)
    for k in range(1, 4000):
        posterior = _updated(prior, np.sqrt(2.0) * rng.normal(size=n), 2.0)
        new, news = watched(held, prior, posterior, watch)
        stays = np.where(news & np.isnan(stays), k, stays)
        held = Held(np.zeros(n), new.rise, new.fall)
        if np.isfinite(stays).all():
            break
    assert np.mean(stays) == pytest.approx(465.0, rel=0.15)
    assert np.mean(stays) == pytest.approx(watch.run_length(weight=0.5), rel=0.15)


@pytest.mark.parametrize(("drift_var", "most"), [(1.3, 0.009), (0.01, 0.004), (1e-4, 0.001)])
def test_wander_within_the_noise_is_no_news(drift_var: float, most: float) -> None:
    """Nothing moves: of the weights 0.66, 0.1 and 0.01, a few of 1000 updates are news; every estimate moved."""
    _, news, means, _ = _played(lambda _: np.zeros(200), 1200, drift_var, WATCH)
    assert news.mean() < most
    assert (np.diff(means, axis=0) != 0.0).all()


@pytest.mark.parametrize("drift_var", [1.3, 0.01])
def test_what_nothing_contradicts_lies_in_the_interval(drift_var: float) -> None:
    """Nothing moves: the held value is outside the newest 95 % interval in less than one of twenty updates."""
    said, _, means, stds = _played(lambda _: np.zeros(200), 1200, drift_var, WATCH)
    assert (np.abs(said - means) > 1.96 * stds).mean() < 0.05


@pytest.mark.parametrize("drift_var", [1.3, 0.01])
def test_a_slow_wear_is_told_in_time(drift_var: float) -> None:
    """A ramp of one standard deviation in fifty updates: the held value is never outside for longer than the memory."""
    weight = (np.sqrt(drift_var**2 + 4.0 * drift_var) - drift_var) / 2.0
    said, _, means, stds = _played(lambda k: np.full(200, 0.02 * np.sqrt(weight) * k), 800, drift_var, WATCH)
    outside = np.abs(said - means) > 1.96 * stds
    longest = _longest(outside)
    assert np.median(longest) <= np.ceil(2.0 / weight)
    assert outside.mean() < 0.11


def _longest(outside: np.ndarray) -> Floats:
    """(n,) of the columns' runs."""
    now, most = np.zeros(outside.shape[1]), np.zeros(outside.shape[1])
    for row in outside:
        now = np.where(row, now + 1, 0)
        most = np.maximum(most, now)
    return most


@pytest.mark.parametrize("step", [-6.0, 6.0])
def test_a_step_is_news_at_once(step: float) -> None:
    """Six standard deviations, up or down, weight 0.66: told of nearly all within five updates, and about right."""
    size = step * np.sqrt(0.66)
    said, _, _, _ = _played(lambda k: np.full(200, size * (k > 50)), 56, 1.3, WATCH)
    assert (np.abs(said[-1] - size) < 3.0).mean() > 0.97


def test_what_was_refined_is_told() -> None:
    """Nothing drifts and thousands of observations come: what is held becomes as sharp, to four of its stds."""
    rng, posterior = np.random.default_rng(2), Gaussian(np.zeros(50), np.eye(50))
    truth, held = rng.normal(size=50), Held.of(posterior)
    for _ in range(2000):
        prior, posterior = posterior, _updated(posterior, truth + rng.normal(size=50), 1.0)
        held, _ = watched(held, prior, posterior, WATCH)
    assert (np.abs(held.state - posterior.mean) < 4.0 * posterior.std).all()


def test_where_nothing_is_told_nothing_changes() -> None:
    """Drift alone, or an update that leaves as much variance as there was, adds no evidence."""
    held, prior = Held(np.array([0.5]), np.array([3.0]), np.array([0.0])), Gaussian(np.zeros(1), np.eye(1))
    for posterior in (prior, Gaussian(np.ones(1), 1.1 * np.eye(1))):
        after, news = watched(held, prior, posterior, WATCH)
        assert not news.any()
        assert (after.rise, after.fall, after.state) == (held.rise, held.fall, held.state)


def test_each_coefficient_has_its_own_news() -> None:
    """Of two, one jumps: the other one's value and evidence stay."""
    prior = Gaussian(np.zeros(2), np.eye(2))
    posterior = _updated(prior, np.array([12.0, 0.0]), 1.0)
    after, news = watched(Held(np.zeros(2), np.zeros(2), np.array([0.0, 0.3])), prior, posterior, WATCH)
    assert news.tolist() == [True, False]
    assert after.state.tolist() == [posterior.mean[0], 0.0]
    assert after.rise[0] == after.fall[0] == 0.0
