"""Slopes that earlier updates found: as good as all sigma points, or not used."""

from collections.abc import Callable

import numpy as np
import pytest

from twin_assets.estimation import Coefficients, FilterSettings, FilterState, Step, filter_step, prior
from twin_assets.model import Floats, PredictiveModel

HOUR = 3_600_000_000_000
N = 5
MIX = np.random.default_rng(3).normal(size=(7, N))
MakeModel = Callable[[Callable[[Floats], Floats], int, int], PredictiveModel]


def linear(b: Floats) -> Floats:
    """Seven outputs, no curvature."""
    return np.asarray(b @ MIX.T, dtype=np.float64)


def curved(b: Floats) -> Floats:
    """The same, bent by about one noise standard deviation over the width of what is believed."""
    return np.asarray(linear(b) + 0.3 * linear(b) ** 2, dtype=np.float64)


def kinked(b: Floats) -> Floats:
    """Beyond 0.5 the last output falls away as a roller's speed does when it slips."""
    fallen = np.where(b[:, :1] > 0.5, 40.0 * (b[:, :1] - 0.5), 0.0) * (np.arange(7) == 6)
    return np.asarray(linear(b) - fallen, dtype=np.float64)


def filtered(model: PredictiveModel, observations: Floats, coefficients: Coefficients, *, reuse: bool) -> list[Step]:
    """All steps over observations (k, m), an hour apart."""
    settings = FilterSettings(np.full(7, 0.05), 1e-4, reuse=reuse)
    state: FilterState = prior(coefficients)
    steps = []
    for number, observation in enumerate(observations):
        steps.append(filter_step(state, number * HOUR, observation, np.empty(0), model, coefficients, settings))
        state = steps[-1].state
    return steps


def walked(function: Callable[[Floats], Floats], count: int, seed: int) -> Floats:
    """(count, 7) noisy observations of coefficients that wander as the filter expects."""
    rng = np.random.default_rng(seed)
    truth = np.cumsum(rng.normal(0.0, 0.02, size=(count, N)), axis=0)
    return function(truth) + rng.normal(0.0, 0.05, size=(count, 7))


@pytest.fixture
def wandering(make_coefficients: Callable[..., Coefficients]) -> Coefficients:
    """Five unbounded coefficients."""
    return make_coefficients(N, initial_std=0.3, drift=0.02)


def test_on_a_linear_plant_nothing_is_lost(make_model: MakeModel, wandering: Coefficients) -> None:
    """Posterior, innovation and NIS are those of all sigma points, to rounding, by two or three runs instead of 11."""
    observations = walked(linear, 60, 1)
    observations[7, 2] = observations[30, :5] = np.nan
    model = make_model(linear, N, 7)
    full, fewer = (filtered(model, observations, wandering, reuse=reuse) for reuse in (False, True))
    for one, other in zip(full, fewer, strict=True):
        np.testing.assert_allclose(other.posterior.mean, one.posterior.mean, atol=1e-9)
        np.testing.assert_allclose(other.posterior.cov, one.posterior.cov, atol=1e-11)
        np.testing.assert_allclose(other.innovation, one.innovation, atol=1e-9)
        np.testing.assert_allclose(other.innovation_std, one.innovation_std, rtol=1e-7)
        assert other.nis == pytest.approx(one.nis, rel=1e-6)
        assert other.reasons == one.reasons
    assert [step.model_runs for step in full] == [11] * 60
    assert [step.method for step in fewer] == ["ukf"] + ["reused"] * 59
    assert all(step.model_runs <= 3 for step in fewer[1:])


def test_on_a_curved_plant_it_stays_beside_the_full_filter(make_model: MakeModel, wandering: Coefficients) -> None:
    """Over 200 updates: within a fifth of a posterior standard deviation, nearly always, at less than half of the runs.

    Neither is right there: the full filter takes slopes over the prior, the other where the update ends.
    """
    observations, model = walked(curved, 200, 2), make_model(curved, N, 7)
    full, fewer = (filtered(model, observations, wandering, reuse=reuse) for reuse in (False, True))
    apart = [
        np.abs(one.posterior.mean - other.posterior.mean).max() / one.posterior.std.min()
        for one, other in zip(full, fewer, strict=True)
    ]
    assert np.quantile(apart, 0.95) < 0.2
    assert sum(step.model_runs for step in fewer) < 0.5 * sum(step.model_runs for step in full)


def test_a_kink_is_looked_at_in_full(make_model: MakeModel, wandering: Coefficients) -> None:
    """Where a coefficient crosses a kink the update is that of the full filter: old slopes know nothing of it."""
    truth = np.zeros((12, N))
    truth[8:, 0] = 0.56
    observations, model = kinked(truth), make_model(kinked, N, 7)
    full, fewer = (filtered(model, observations, wandering, reuse=reuse) for reuse in (False, True))
    assert [step.method for step in fewer[2:8]] == ["reused"] * 6
    assert fewer[8].method == full[8].method != "reused"
    np.testing.assert_allclose(fewer[8].posterior.mean, full[8].posterior.mean, atol=0.02)


def test_an_outlier_is_gated_by_known_slopes(make_model: MakeModel, wandering: Coefficients) -> None:
    """Ten runs show that the model is affine there, two take the update; it is that of all sigma points."""
    observations, model = walked(linear, 10, 4), make_model(linear, N, 7)
    observations[6, 3] += 5.0
    full, fewer = (filtered(model, observations, wandering, reuse=reuse) for reuse in (False, True))
    assert fewer[6].reasons == full[6].reasons == ("", "", "", "gated", "", "", "")
    assert (fewer[6].method, fewer[6].dof) == ("reused", 6)
    assert fewer[6].model_runs <= 13
    assert fewer[6].nis == pytest.approx(full[6].nis, rel=1e-6)
    np.testing.assert_allclose(fewer[6].posterior.mean, full[6].posterior.mean, atol=1e-9)
    np.testing.assert_allclose(fewer[6].posterior.cov, full[6].posterior.cov, atol=1e-11)


def test_two_outliers_are_judged_in_full(make_model: MakeModel, wandering: Coefficients) -> None:
    """More than one wrong channel is the whole decision's; then slopes serve on."""
    observations, model = walked(linear, 10, 4), make_model(linear, N, 7)
    observations[6, [1, 3]] += 5.0
    full, fewer = (filtered(model, observations, wandering, reuse=reuse) for reuse in (False, True))
    assert fewer[6].reasons == full[6].reasons == ("", "gated", "", "gated", "", "", "")
    assert [step.method for step in fewer[6:8]] == ["ukf", "reused"]


def slipping(b: Floats) -> Floats:
    """The last output falls the faster the larger the first coefficient: by ten noise standard deviations a step."""
    fallen = 2.0 * np.expm1(4.0 * b[:, :1]) * (np.arange(7) == 6)
    return np.asarray(linear(b) - fallen, dtype=np.float64)


def test_a_bent_plant_is_followed_by_few_looks(make_model: MakeModel, wandering: Coefficients) -> None:
    """Over 300 updates: errors and intervals as good as those of all sigma points, by less than half of the runs."""
    rng = np.random.default_rng(8)
    truth = np.cumsum(rng.normal(0.0, 0.02, size=(300, N)), axis=0)
    observations = slipping(truth) + rng.normal(0.0, 0.05, size=(300, 7))
    model = make_model(slipping, N, 7)
    full, fewer = (filtered(model, observations, wandering, reuse=reuse) for reuse in (False, True))

    def judged(steps: list[Step]) -> tuple[float, float]:
        apart = np.array([step.posterior.mean for step in steps]) - truth
        held = np.abs(apart) < 1.96 * np.array([step.posterior.std for step in steps])
        return float(np.sqrt((apart**2).mean())), float(held.mean())

    (error, held), (error_of_fewer, held_of_fewer) = judged(full), judged(fewer)
    assert error_of_fewer < 1.02 * error
    assert held_of_fewer > min(held, 0.95) - 0.01
    assert sum(step.model_runs for step in fewer) < 0.5 * sum(step.model_runs for step in full)
    looks = [step.model_runs for step in fewer if step.method == "reused"]
    assert len(looks) > 250
    assert max(looks) > 3


def test_what_is_no_longer_bent_takes_two_looks_again(make_model: MakeModel, wandering: Coefficients) -> None:
    """Back where the model is straight, what was not affine elsewhere is forgotten by halves."""
    truth = np.zeros((40, N))
    truth[:, 0] = np.clip(0.3 - 0.05 * np.arange(-10, 30), -0.7, 0.3)
    model = make_model(slipping, N, 7)
    steps = filtered(model, slipping(truth), wandering, reuse=True)
    assert max(step.model_runs for step in steps[1:10]) > 3
    assert max(step.model_runs for step in steps[-3:]) <= 3


class WithInput:
    """y = (1 + u) times a linear map."""

    coefficients = tuple(f"b{i}" for i in range(N))
    inputs = ("u",)
    outputs = tuple(f"y{i}" for i in range(7))

    def evaluate(self, coefficients: Floats, inputs: Floats) -> Floats:
        """See PredictiveModel."""
        return np.asarray((1.0 + inputs[0]) * linear(coefficients), dtype=np.float64)


@pytest.mark.parametrize(("change", "method", "runs"), [(0.0, "reused", 2), (1e-3, "reused", 3), (0.5, "ukf", 11)])
def test_other_inputs_take_another_look(wandering: Coefficients, change: float, method: str, runs: int) -> None:
    """The same inputs: two runs; inputs beside them: the value anew; other inputs: all of it."""
    model, settings = WithInput(), FilterSettings(np.full(7, 0.05), 1e-4, reuse=True)
    state, nothing = prior(wandering), np.zeros(7)
    for number in range(3):
        state = filter_step(state, number * HOUR, nothing, np.ones(1), model, wandering, settings).state
    step = filter_step(state, 3 * HOUR, nothing, np.ones(1) + change, model, wandering, settings)
    assert (step.method, step.model_runs) == (method, runs)


def test_every_slope_gets_its_turn(make_model: MakeModel, wandering: Coefficients) -> None:
    """After twice as many updates as there are coefficients, each slope was measured: a changed plant is followed."""
    settings = FilterSettings(np.full(7, 0.05), 1e-4, reuse=True)
    state = filter_step(
        prior(wandering), 0, np.zeros(7), np.empty(0), make_model(linear, N, 7), wandering, settings
    ).state
    bent = make_model(lambda b: linear(b * np.linspace(1.005, 1.02, N)), N, 7)
    for number in range(1, 2 * N + 1):
        state = filter_step(state, number * HOUR, np.zeros(7), np.empty(0), bent, wandering, settings).state
    assert state.learnt is not None
    np.testing.assert_allclose(state.learnt.model.slope * 0.05, MIX * np.linspace(1.005, 1.02, N), rtol=1e-9)


def test_curvature_over_a_wide_prior_hides_no_outlier(
    make_model: MakeModel, make_coefficients: Callable[..., Coefficients]
) -> None:
    """What was not affine over the first, wide prior is no noise of later, narrow ones: an outlier there is gated.

    One channel tells the coefficient, another is bent by three noise standard deviations over the first prior's width.
    """
    coefficients = make_coefficients(1, initial_std=1.0, drift=0.01)
    model = make_model(lambda b: np.hstack([100.0 * b, 3.0 * b**2]), 1, 2)
    rng = np.random.default_rng(5)
    observations = rng.normal(size=(20, 2))
    observations[11, 1] = 8.0
    found: dict[bool, list[Step]] = {}
    for reuse in (False, True):
        settings, state, found[reuse] = FilterSettings(np.ones(2), 1e-3, reuse=reuse), prior(coefficients), []
        for number, observation in enumerate(observations):
            step = filter_step(state, number * HOUR, observation, np.empty(0), model, coefficients, settings)
            found[reuse].append(step)
            state = step.state
    assert [step.reasons for step in found[True]] == [step.reasons for step in found[False]]
    assert found[True][11].reasons == ("", "gated")
    assert sum(step.method == "reused" for step in found[True]) > 10
    for one, other in zip(found[False], found[True], strict=True):
        np.testing.assert_allclose(other.innovation_std, one.innovation_std, rtol=0.05)
