"""Measurement noise that nobody gave: found from the innovations, and the intervals are honest all the same."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest

from oracles.consistency import HOUR_NS, Consistency, consistency
from oracles.plants import LINEAR, SATURATING, Plant
from twin_assets.estimation import Coefficients, FilterSettings, FilterState, Step, filter_step, prior
from twin_assets.estimation.noise import Noise
from twin_assets.model import Attempt, FailedRow, Floats, PredictiveModel

NO_INPUTS = np.empty(0)
STEPS, LEARNT = 60, 25
MakeModel = Callable[[Callable[[Floats], Floats], int, int], PredictiveModel]
MakeCoefficients = Callable[..., Coefficients]


@cache
def _played(plant: Plant) -> Consistency:
    """A hundred seeds, 60 steps, no noise given."""
    return consistency(replace(plant, steps=STEPS), range(100), noise_given=False)


def _titled(plant: Plant) -> str:
    return plant.title.replace(" ", "_")


@pytest.mark.slow
@pytest.mark.parametrize("plant", [LINEAR, SATURATING], ids=_titled)
def test_noise_is_found(plant: Plant) -> None:
    """After 60 observations the median of 100 estimates is right to 10 %, and 17 of 20 to a third."""
    ratio = np.array([run.noise_std for run in _played(plant).runs]) / plant.noise_std
    assert np.median(ratio, axis=0) == pytest.approx(1.0, abs=0.1)
    assert (np.abs(np.log(ratio)) < np.log(4 / 3)).mean() > 0.85


@pytest.mark.parametrize("plant", [LINEAR, SATURATING], ids=_titled)
def test_intervals_hold_the_truth_as_often_as_they_say(plant: Plant) -> None:
    """95 % intervals hold the truth in 93 to 97 of 100 cases, over all steps, also before the noise is known."""
    found = _played(plant)
    for coverage in (found.coverage(), found.coverage_virtual()):
        assert ((coverage >= 0.93) & (coverage <= 0.97)).all(), coverage
    assert found.gated == 0


@pytest.mark.parametrize("plant", [LINEAR, SATURATING], ids=_titled)
def test_nis_is_chi_square_once_the_noise_is_known(plant: Plant) -> None:
    """From the 25th step on the average NIS lies in its 95 % bounds; before it is less: little is believed at first."""
    from scipy.special import chdtri

    runs = _played(plant).runs
    nis, dof = (np.array([getattr(run, name) for run in runs], dtype=float) for name in ("nis", "dof"))
    low, high = chdtri(dof[:, LEARNT:].sum(), [0.975, 0.025])
    assert low < nis[:, LEARNT:].sum() < high
    assert nis[:, :LEARNT].sum() / dof[:, :LEARNT].sum() < 1.0


def _filtered(
    model: PredictiveModel,
    coefficients: Coefficients,
    observations: Floats,
    settings: FilterSettings,
    state: FilterState | None = None,
) -> list[Step]:
    """All steps, an hour apart."""
    state, steps = state or prior(coefficients), []
    for k, observation in enumerate(observations):
        steps.append(filter_step(state, k * HOUR_NS, observation, NO_INPUTS, model, coefficients, settings))
        state = steps[-1].state
    return steps


def _noise(step: Step) -> Noise:
    assert step.noise is not None
    return step.noise


@pytest.fixture
def three(make_model: MakeModel) -> PredictiveModel:
    """Three outputs of about forty, of two coefficients."""
    matrix = np.array([[1.0, 0.3], [0.2, 1.0], [1.0, -1.0]])
    return make_model(lambda b: 40.0 + b @ matrix.T, 2, 3)


@dataclass(frozen=True)
class Silent:
    """A model that never answers, and can tell so."""

    whole: PredictiveModel

    @property
    def coefficients(self) -> tuple[str, ...]:
        """See PredictiveModel."""
        return self.whole.coefficients

    @property
    def inputs(self) -> tuple[str, ...]:
        """See PredictiveModel."""
        return self.whole.inputs

    @property
    def outputs(self) -> tuple[str, ...]:
        """See PredictiveModel."""
        return self.whole.outputs

    def evaluate(self, coefficients: Floats, inputs: Floats) -> Floats:
        """Not what a filter asks that knows of ``attempt``."""
        raise AssertionError(coefficients, inputs)

    def attempt(self, coefficients: Floats, inputs: Floats) -> Attempt:
        """See TolerantModel."""
        del inputs
        return Attempt(np.full((len(coefficients), len(self.outputs)), np.nan), (FailedRow(0, {}, "it is silent"),))


UNKNOWN = FilterSettings(np.full(3, np.nan), 1e-4)


def _recorded(model: PredictiveModel, noise_std: Floats, steps: int, seed: int = 3) -> Floats:
    rng = np.random.default_rng(seed)
    truth = model.evaluate(np.zeros((1, 2)), NO_INPUTS)[0]
    return np.asarray(truth + noise_std * rng.normal(size=(steps, 3)), dtype=np.float64)


@pytest.mark.parametrize("size", [1e-5, 1e-2, 10.0])
def test_a_first_guess_far_off_is_forgotten(
    three: PredictiveModel, make_coefficients: MakeCoefficients, size: float
) -> None:
    """Noise of 1e-5 to 10 on values of forty (1 % of which is guessed): right within a factor of 1.5 after 40 steps."""
    coefficients = make_coefficients(2, initial_std=size, drift=size / 50)
    steps = _filtered(three, coefficients, _recorded(three, size * np.array([1.0, 0.5, 2.0]), 40), UNKNOWN)
    ratio = _noise(steps[-1]).std / (size * np.array([1.0, 0.5, 2.0]))
    assert ((ratio > 1 / 1.5) & (ratio < 1.5)).all(), ratio


def test_given_noise_stays_and_the_rest_is_estimated(
    three: PredictiveModel, make_coefficients: MakeCoefficients
) -> None:
    """Of three channels the second has none given: it alone is estimated."""
    settings = FilterSettings(np.array([0.1, np.nan, 0.1]), 1e-4)
    steps = _filtered(three, make_coefficients(2), _recorded(three, np.full(3, 0.1), 60), settings)
    assert _noise(steps[-1]).channels == ("y1",)
    assert _noise(steps[-1]).std == pytest.approx([0.1], rel=0.3)


@pytest.mark.parametrize("size", [100.0, 10_000.0])
def test_an_outlier_is_no_noise(three: PredictiveModel, make_coefficients: MakeCoefficients, size: float) -> None:
    """A value that is 100 or 10,000 noise widths off is gated, and changes what is believed of its noise by < 2 %."""
    observations = _recorded(three, np.full(3, 0.1), 61)
    observations[60, 1] += 0.1 * size
    steps = _filtered(three, make_coefficients(2, drift=0.01), observations, UNKNOWN)
    assert steps[60].reasons == ("", "gated", "")
    assert _noise(steps[60]).std[1] == pytest.approx(_noise(steps[59]).std[1], rel=0.02)


def test_noise_that_grows_is_found_to_grow(three: PredictiveModel, make_coefficients: MakeCoefficients) -> None:
    """A channel whose noise is four times as large from one day on is known to be so after 300 more, to 30 %."""
    observations = _recorded(three, np.full(3, 0.1), 400)
    observations[100:, 2] = 40.0 + 4.0 * (observations[100:, 2] - 40.0)
    steps = _filtered(three, make_coefficients(2, drift=0.01), observations, UNKNOWN)
    assert _noise(steps[-1]).std == pytest.approx([0.1, 0.1, 0.4], rel=0.3)


def test_noise_is_never_below_the_resolution(three: PredictiveModel, make_coefficients: MakeCoefficients) -> None:
    """Values rounded to 0.5 that never change show no noise: it is the rounding's, 0.5 / sqrt(12), not nothing."""
    settings = FilterSettings(np.full(3, np.nan), 1e-4, resolution=np.full(3, 0.5))
    steps = _filtered(three, make_coefficients(2, drift=0.01), np.full((60, 3), 40.0), settings)
    assert (_noise(steps[-1]).std >= 0.5 / np.sqrt(12.0)).all()
    assert (_noise(steps[-1]).std < 0.5).all()


def test_noise_is_never_below_single_precision(three: PredictiveModel, make_coefficients: MakeCoefficients) -> None:
    """Without a resolution it is that of a number of 40 in single precision, 40 * 2^-23 / sqrt(12)."""
    steps = _filtered(three, make_coefficients(2, drift=0.01), np.full((60, 3), 40.0), UNKNOWN)
    assert (_noise(steps[-1]).std >= 40.0 * 2.0**-23 / np.sqrt(12.0)).all()


def test_a_channel_that_is_met_late_begins_then(three: PredictiveModel, make_coefficients: MakeCoefficients) -> None:
    """Before its first value a channel has no noise and nothing is said of its innovation; slopes are still reused."""
    observations = _recorded(three, np.full(3, 0.1), 80)
    observations[:40, 2] = np.nan
    steps = _filtered(three, make_coefficients(2, drift=0.01), observations, replace(UNKNOWN, reuse=True))
    assert _noise(steps[39]).channels == ("y0", "y1")
    assert np.isnan(steps[39].innovation_std[2])
    assert steps[39].method == "reused"
    assert _noise(steps[-1]).std == pytest.approx(0.1, rel=0.35)


def test_nothing_measured_tells_nothing(three: PredictiveModel, make_coefficients: MakeCoefficients) -> None:
    """An observation without values leaves what is believed as it was, and runs no model."""
    observations = _recorded(three, np.full(3, 0.1), 11)
    observations[10] = np.nan
    steps = _filtered(three, make_coefficients(2), observations, UNKNOWN)
    assert steps[10].model_runs == 0
    np.testing.assert_array_equal(_noise(steps[10]).log_mean, _noise(steps[9]).log_mean)
    np.testing.assert_array_equal(_noise(steps[10]).log_std, _noise(steps[9]).log_std)


def test_a_model_without_an_answer_leaves_a_new_channel_unmet(
    three: PredictiveModel, make_coefficients: MakeCoefficients
) -> None:
    """Where the model cannot be run nothing is guessed; the failures are told, and the next observation begins."""
    silent = Silent(three)
    first, second = _recorded(three, np.full(3, 0.1), 2)
    step = filter_step(prior(make_coefficients(2)), 0, first, NO_INPUTS, silent, make_coefficients(2), UNKNOWN)
    assert step.reasons == ("model",) * 3
    assert _noise(step).channels == ()
    assert step.failures
    after = filter_step(step.state, HOUR_NS, second, NO_INPUTS, three, make_coefficients(2), UNKNOWN)
    assert _noise(after).channels == ("y0", "y1", "y2")
    assert after.method == "ukf"


class Stopping:
    """A machine whose two outputs depend on a coefficient while it runs (u = 1), and on nothing while it stands."""

    coefficients = ("b0",)
    inputs = ("u",)
    outputs = ("y0", "y1")

    def evaluate(self, coefficients: Floats, inputs: Floats) -> Floats:
        """See PredictiveModel."""
        return np.asarray(inputs[0] * coefficients * np.array([[1000.0, 500.0]]), dtype=np.float64)


@pytest.mark.parametrize("running", [np.r_[np.ones(60), np.zeros(300), np.ones(60)], np.r_[np.zeros(60), np.ones(120)]])
def test_a_machine_that_stands_still_tells_nothing_of_noise(
    make_coefficients: MakeCoefficients, running: Floats
) -> None:
    """Its sensors read one and the same number then; what they do while it runs is found before and after."""
    model, rng, truth = Stopping(), np.random.default_rng(3), 1.2
    coefficients = make_coefficients(1, initial=(1.0,), initial_std=0.5, drift=1e-4)
    settings, state, held = FilterSettings(np.full(2, np.nan), 1e-4), prior(coefficients), []
    for k, u in enumerate(running):
        observation = model.evaluate(np.array([[truth]]), np.array([u]))[0] + u * 10.0 * rng.normal(size=2)
        state = filter_step(state, k * HOUR_NS, observation, np.array([u]), model, coefficients, settings).state
        held.append(abs(state.posterior.mean[0] - truth) < 3.0 * state.posterior.std[0])
    assert state.noise is not None
    np.testing.assert_allclose(state.noise.std, 10.0, rtol=0.35)
    assert np.mean(held) > 0.95
