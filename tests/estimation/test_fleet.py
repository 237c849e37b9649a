"""What units have in common: against published numbers, against draws, and against a broken unit."""

import numpy as np
import pytest
from numpy.typing import NDArray

from twin_assets.estimation import Gaussian
from twin_assets.estimation.fleet import Members, predict_another, predictive, scores, spread, unbroken
from twin_assets.model import Floats

WIDE = 1e4


def members(mean: Floats, var: Floats) -> Members:
    """Members that all tell everything."""
    return Members(mean, var, np.ones(mean.shape, dtype=bool))


def everyone(found: Members) -> NDArray[np.bool_]:
    """All of them count."""
    return found.told


def own(n: int, std: float = WIDE) -> Gaussian:
    """A prior of twin.yaml around zero."""
    return Gaussian(np.zeros(n), std**2 * np.eye(n))


def test_spread_is_that_of_kacker_2004_and_metafor() -> None:
    """Kacker (2004, table 1) has tau 0.8399 by Paule and Mandel; R's metafor 62.4076199113286, 0.338030602684471."""
    mean = np.array([61.00, 61.40, 62.21, 62.30, 62.34, 62.60, 62.70, 62.84, 65.90])
    var = np.array([0.2025, 1.2100, 0.0900, 0.2025, 0.3844, 0.5625, 0.0676, 0.0225, 1.8225])
    kacker = members(mean[:, np.newaxis], var[:, np.newaxis])
    found = spread(kacker, everyone(kacker))
    assert np.sqrt(found.between_var[0]) == pytest.approx(0.8399, abs=5e-5)
    assert found.between_var[0] == pytest.approx(0.705395309224248, abs=1e-10)
    assert found.mean[0] == pytest.approx(62.4076199113286, abs=1e-10)
    assert np.sqrt(found.mean_var[0]) == pytest.approx(0.338030602684471, abs=1e-10)


def test_exactly_known_units_predict_with_students_t() -> None:
    """Without errors the 95 % interval is the textbook's for one more draw of a normal sample."""
    from scipy.stats import t

    values = np.array([1.0, 2.5, 2.0, 4.0, 3.5])
    exact = members(values[:, np.newaxis], np.full((5, 1), 1e-14))
    found = predict_another(exact, everyone(exact))
    expected = t.ppf(0.975, 4) * values.std(ddof=1) * np.sqrt(1 + 1 / 5)
    assert found.half_width()[0] == pytest.approx(expected, rel=1e-9)
    assert found.center[0] == pytest.approx(values.mean(), rel=1e-9)
    assert predictive(found, own(1)).std[0] == pytest.approx(expected / 1.959963984540054, rel=1e-9)


@pytest.mark.parametrize(("units", "tau"), [(5, 1.0), (5, 3.0), (10, 1.0), (20, 2.0)])
def test_95_percent_of_new_units_are_in_95_percent(units: int, tau: float) -> None:
    """Of 2,000 fleets each, units differing by as much as their errors or more: 93 to 97 % (sd of chance: 0.5 %)."""
    fleets = 2_000
    random = np.random.default_rng([units, int(tau)])
    errors = random.uniform(0.7, 1.3, (units, fleets))
    truth = 5.0 + tau * random.normal(size=(units + 1, fleets))
    found = members(truth[:-1] + errors * random.normal(size=errors.shape), errors**2)
    prior = predictive(predict_another(found, everyone(found)), own(fleets))
    inside = np.abs(truth[-1] - prior.mean) < 1.959963984540054 * prior.std
    assert 0.93 < inside.mean() < 0.97


def test_alike_units_are_never_promised_too_much() -> None:
    """Where all units are the same the prior is too wide rather than too narrow; and far narrower than an error."""
    random = np.random.default_rng(3)
    found = members(random.normal(size=(30, 500)), np.ones((30, 500)))
    prior = predictive(predict_another(found, everyone(found)), own(500))
    assert np.mean(np.abs(prior.mean) < 1.96 * prior.std) > 0.97
    assert np.median(prior.std) < 0.5


def test_few_units_leave_the_own_prior() -> None:
    """None, one and two units say nothing; three say where, and no less sure of it than twin.yaml is of anything."""
    for count in (0, 1, 2):
        few = members(np.full((count, 1), 7.0), np.full((count, 1), 0.1))
        found = predictive(predict_another(few, everyone(few)), own(1, 0.5))
        assert (found.mean[0], found.std[0]) == (0.0, 0.5)
    three = members(np.array([[6.9], [7.0], [7.2]]), np.full((3, 1), 1e-6))
    found = predictive(predict_another(three, everyone(three)), own(1, 0.25))
    assert found.mean[0] == pytest.approx(7.03, abs=0.01)
    assert found.std[0] == pytest.approx(0.25)  # Student's t alone would say 0.39
    apart = members(np.array([[5.0], [7.0], [9.0]]), np.full((3, 1), 1e-6))
    assert predictive(predict_another(apart, everyone(apart)), own(1, 0.25)).std[0] > 2.0


def test_a_prior_is_no_evidence() -> None:
    """Units that started from one prior and learnt next to nothing are not counted; of the others it is taken out."""
    data, data_var, prior_mean, prior_var = 3.0, 0.5, 1.0, 2.0
    posterior_var = 1 / (1 / data_var + 1 / prior_var)
    posterior = posterior_var * (data / data_var + prior_mean / prior_var)
    one = np.ones((1, 1))
    found = Members.of(posterior * one, posterior_var * one, prior_mean * one, prior_var * one)
    assert found.mean[0, 0] == pytest.approx(data)
    assert found.var[0, 0] == pytest.approx(data_var)
    lazy = Members.of(prior_mean * one, 0.9 * prior_var * one, prior_mean * one, prior_var * one)
    assert not lazy.told.any()
    broken = Members.of(np.nan * one, one, prior_mean * one, 4 * one)
    assert not broken.told.any()
    assert spread(broken, everyone(broken)).units[0] == 0


@pytest.mark.parametrize("far", [30.0, 1e6])
def test_one_broken_unit_does_not_matter(far: float) -> None:
    """Among eight, however far off it is, it is left out: the prior is that of the other seven."""
    random = np.random.default_rng(11)
    mean = random.normal(size=(8, 2))
    without = members(mean[:7], np.full((7, 2), 0.1))
    mean[7, 1] = far
    found = members(mean, np.full((8, 2), 0.1))
    kept = unbroken(found)
    assert kept.tolist() == [True] * 7 + [False]
    ours = predictive(predict_another(found, kept[:, np.newaxis] & found.told), own(2))
    theirs = predictive(predict_another(without, everyone(without)), own(2))
    assert ours.mean == pytest.approx(theirs.mean)
    assert ours.std == pytest.approx(theirs.std)


def test_a_fleet_of_two_kinds_is_not_taken_for_broken() -> None:
    """Where many would have to go all stay, and the prior is as wide as both kinds."""
    kinds = np.repeat([0.0, 50.0], 6)[:, np.newaxis] + np.random.default_rng(0).normal(size=(12, 1))
    found = members(kinds, np.full((12, 1), 0.1))
    assert unbroken(found).all()
    assert predictive(predict_another(found, everyone(found)), own(1)).std[0] > 20.0


@pytest.mark.parametrize("units", [8, 120])
def test_good_fleets_name_an_outlier_as_rarely_as_they_say(units: int) -> None:
    """At a chance of 5 % a fleet, 300 fleets name one in 0 to 9 % of them; also where groups are left out."""
    random = np.random.default_rng(units)
    fleets = 300 if units < 50 else 60
    named = 0
    for _ in range(fleets):
        errors = random.uniform(0.2, 0.6, (units, 2))
        found = members(random.normal(size=(units, 2)) + errors * random.normal(size=(units, 2)), errors**2)
        worst = scores(found, np.ones(units, dtype=bool)).unit_probability.min()
        named += bool(worst * units < 0.05)
    assert named / fleets <= 0.09


def test_an_outlier_is_found_among_many() -> None:
    """Eight deviations off, in one coefficient of two, among 200: it has by far the smallest probability."""
    mean = np.random.default_rng(2).normal(size=(200, 2))
    mean[137, 1] = 8.0
    found = scores(members(mean, np.full((200, 2), 0.01)), np.ones(200, dtype=bool))
    assert int(found.unit_probability.argmin()) == 137
    assert found.unit_probability[137] * 200 < 1e-6
    assert found.score[137, 1] == pytest.approx(8.0, rel=0.15)


def test_nothing_is_said_of_nobody() -> None:
    """No units, one, and units that tell nothing: no scores, no error."""
    for found in (
        members(np.zeros((0, 2)), np.zeros((0, 2))),
        members(np.zeros((1, 2)), np.ones((1, 2))),
        Members(np.zeros((5, 2)), np.ones((5, 2)), np.zeros((5, 2), dtype=bool)),
    ):
        judged = scores(found, np.ones(len(found.mean), dtype=bool))
        assert np.isnan(judged.score).all()
        assert (judged.unit_probability == 1.0).all()
        assert unbroken(found).all()
