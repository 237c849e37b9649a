"""A model that cannot be run everywhere: updates go on with what is left of it, or wait, and say so."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from twin_assets.estimation import (
    Coefficients,
    FilterSettings,
    FilterState,
    Gaussian,
    Step,
    UnpredictableError,
    coefficient_marginals,
    filter_step,
    predict_outputs,
)
from twin_assets.model import Attempt, FailedRow, Floats, PredictiveModel, told

HOUR_NS = 3_600_000_000_000
NO_INPUTS = np.empty(0)
SETTINGS = FilterSettings(np.array([0.1, 0.3]), 1e-4)
OBSERVATION = np.array([0.6, 0.3])
START = FilterState(5 * HOUR_NS, Gaussian(np.array([0.5, 0.2]), np.diag([0.04, 0.02])))
Fails = Callable[[Floats], np.ndarray]


@dataclass
class Fragile:
    """A model that can tell which rows fail: those that ``fails`` says, (k, n) -> (k,)."""

    whole: PredictiveModel
    fails: Fails
    runs: int = 0

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
        self.runs += len(coefficients)
        bad = np.flatnonzero(self.fails(coefficients)).tolist()
        outputs = self.whole.evaluate(coefficients, inputs)
        failed = [FailedRow(i, dict(zip(self.coefficients, coefficients[i], strict=True)), "it burst") for i in bad]
        if failed and failed[0].row == 0:
            return Attempt(np.full_like(outputs, np.nan), (failed[0],))
        outputs[bad] = np.nan
        return Attempt(outputs, tuple(failed))


@pytest.fixture
def linear(make_model: Callable[..., PredictiveModel]) -> PredictiveModel:
    """Two outputs that mix two coefficients."""
    return make_model(lambda b: b @ np.array([[1.0, 0.5], [0.2, 1.0]]), 2, 2)


@pytest.fixture
def two(make_coefficients: Callable[..., Coefficients]) -> Coefficients:
    """Two coefficients that drift."""
    return make_coefficients(2, initial=0.5, drift=0.1)


def step(model: PredictiveModel, coefficients: Coefficients, observation: Floats = OBSERVATION) -> Step:
    """An hour after the start."""
    return filter_step(START, 6 * HOUR_NS, observation, NO_INPUTS, model, coefficients, SETTINGS)


def test_a_lost_sigma_point_of_a_linear_model_costs_nothing(linear: PredictiveModel, two: Coefficients) -> None:
    """The posterior is the Kalman filter's; the step tells that a point was lost, where and why; so it does again."""
    fragile = Fragile(linear, lambda b: b[:, 0] > 0.7)
    degraded = step(fragile, two)
    slope, prior = linear.evaluate(np.eye(2), NO_INPUTS).T, START.posterior.cov + 0.1**2 * np.eye(2)
    gain = prior @ slope.T @ np.linalg.inv(slope @ prior @ slope.T + np.diag(SETTINGS.noise_std**2))
    mean = START.posterior.mean + gain @ (OBSERVATION - slope @ START.posterior.mean)
    np.testing.assert_allclose(degraded.posterior.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(degraded.posterior.cov, prior - gain @ slope @ prior, rtol=1e-10)
    assert (degraded.method, degraded.dof, degraded.reasons) == ("ukf", 2, ("", ""))
    # Five sigma points, the center and two points halfway, and the model where the update ends.
    assert degraded.model_runs == fragile.runs == 9
    (failed,) = degraded.failures
    assert failed.coefficients["b0"] > 0.7
    assert str(failed).endswith(": it burst")
    assert step(linear, two).failures == ()
    again = step(fragile, two)
    assert again.posterior.root.tobytes() == degraded.posterior.root.tobytes()


def test_one_point_of_every_axis_may_be_lost(linear: PredictiveModel, two: Coefficients) -> None:
    """Half of the points but the center."""
    degraded = step(Fragile(linear, lambda b: (b[:, 0] > 0.7) | (b[:, 1] < 0.0)), two)
    np.testing.assert_allclose(degraded.posterior.mean, step(linear, two).posterior.mean, rtol=1e-12)
    assert len(degraded.failures) == 2


@pytest.mark.parametrize(
    ("fails", "count"),
    [
        pytest.param(lambda b: np.abs(b[:, 0] - 0.5) > 0.1, 4, id="both points of an axis, near and far"),
        pytest.param(lambda b: b[:, 0] < 0.6, 1, id="the center"),
    ],
)
def test_where_too_little_is_left_nothing_is_assimilated(
    linear: PredictiveModel, two: Coefficients, fails: Fails, count: int
) -> None:
    """Time passes, for the reason "model"; the same state as without any measurement."""
    waited = step(Fragile(linear, fails), two, np.array([0.6, np.nan]))
    silent = step(linear, two, np.full(2, np.nan))
    assert waited.posterior.mean.tobytes() == silent.posterior.mean.tobytes()
    assert waited.posterior.root.tobytes() == silent.posterior.root.tobytes()
    assert (waited.method, waited.dof, waited.nis) == ("prediction", 0, 0.0)
    assert waited.reasons == ("model", "missing")
    assert np.isnan([waited.innovation, waited.innovation_std]).all()
    assert len(waited.failures) == count


def test_what_is_not_finite_counts_as_failed(
    make_model: Callable[..., PredictiveModel], linear: PredictiveModel, two: Coefficients
) -> None:
    """Also where the model itself does not tell so."""
    broken = make_model(lambda b: np.where(b[:, :1] > 0.7, np.inf, linear.evaluate(b, NO_INPUTS)), 2, 2)
    degraded = step(Fragile(broken, lambda b: np.zeros(len(b), dtype=bool)), two)
    np.testing.assert_allclose(degraded.posterior.mean, step(linear, two).posterior.mean, rtol=1e-12)
    assert [failed.reason for failed in degraded.failures] == ["its output 'y0' is inf"]


def test_a_bent_model_is_believed_no_more_than_before(
    make_model: Callable[..., PredictiveModel], two: Coefficients
) -> None:
    """Where it is quadratic, slope and bend are those of all points: a lost one feigns no information."""
    mix = np.array([[1.0, 0.5], [0.2, 1.0]])
    bent = make_model(lambda b: b @ mix + 0.4 * (b @ mix) ** 2, 2, 2)
    whole = step(bent, two)
    degraded = step(Fragile(bent, lambda b: b[:, 0] > 0.7), two)
    assert degraded.failures
    np.testing.assert_allclose(degraded.posterior.mean, whole.posterior.mean, rtol=1e-9)
    np.testing.assert_allclose(degraded.posterior.cov, whole.posterior.cov, rtol=1e-9)
    np.testing.assert_allclose(degraded.innovation_std, whole.innovation_std, rtol=1e-9)


def test_an_update_does_not_lead_to_where_the_model_cannot_be_run(linear: PredictiveModel, two: Coefficients) -> None:
    """From there no later update would find back: nothing is assimilated, and the next observation may do."""
    wall = Fragile(linear, lambda b: b[:, 0] > 0.7)
    beyond = linear.evaluate(np.array([[0.8, 0.2]]), NO_INPUTS)[0]
    waited = step(wall, two, beyond)
    assert (waited.method, waited.dof, waited.reasons) == ("prediction", 0, ("model", "model"))
    np.testing.assert_array_equal(waited.posterior.mean, START.posterior.mean)
    before = linear.evaluate(np.array([[0.6, 0.2]]), NO_INPUTS)[0]
    later = filter_step(waited.state, 7 * HOUR_NS, before, NO_INPUTS, wall, two, SETTINGS)
    assert (later.method, later.dof) == ("ukf", 2)


def test_what_cannot_be_looked_at_is_not_held_and_nothing_is_assimilated(
    linear: PredictiveModel, two: Coefficients
) -> None:
    """Sigma points answer, the nearer ones that look for what the measurements do not tell do not."""
    settings = FilterSettings(SETTINGS.noise_std, SETTINGS.gate_probability, hold=True)
    near = Fragile(linear, lambda b: np.isclose(np.abs(b[:, 0] - 0.5), 0.25))
    waited = filter_step(START, 6 * HOUR_NS, OBSERVATION, NO_INPUTS, near, two, settings)
    assert (waited.method, waited.reasons) == ("prediction", ("model", "model"))
    assert len(waited.failures) == 2
    whole = filter_step(START, 6 * HOUR_NS, OBSERVATION, NO_INPUTS, linear, two, settings)
    assert whole.method == "ukf"


def test_a_search_shuns_where_the_model_cannot_be_run(
    line: PredictiveModel, bearings: Coefficients, line_settings: FilterSettings
) -> None:
    """A roller begins to slip, behind a kink: found as with a whole model, though starts beyond it burst."""
    truth = np.array([1e-3, 0.14, 1e-3])
    observation = line.evaluate(truth[np.newaxis], np.ones(1))[0, :6]
    start = FilterState(0, Gaussian(np.array([1e-3, 0.12, 1e-3]), np.diag([1e-3, 5e-3, 1e-3]) ** 2))
    arguments = (start, HOUR_NS, observation, np.ones(1))
    whole = filter_step(*arguments, line, bearings, line_settings)
    careful = filter_step(*arguments, Fragile(line, lambda b: b[:, 1] > 0.145), bearings, line_settings)
    assert whole.method == careful.method == "iterated"
    assert careful.failures
    np.testing.assert_allclose(coefficient_marginals(careful.posterior, bearings).mean, truth, atol=1e-3)


def test_an_explanation_that_cannot_be_run_is_none(
    line: PredictiveModel, bearings: Coefficients, line_settings: FilterSettings
) -> None:
    """A wild value: where the search for an explanation leads nowhere the channel is gated, as outliers are."""
    observation = line.evaluate(np.full((1, 3), 1e-3), np.ones(1))[0, :6]
    observation[1] += 0.5
    start = FilterState(0, Gaussian(np.full(3, 1e-3), np.diag([2e-3, 2e-3, 2e-3]) ** 2))
    first = filter_step(start, HOUR_NS, observation, np.ones(1), line, bearings, line_settings)
    assert first.reasons[1] == "gated"
    calls = 0

    def later(b: Floats) -> np.ndarray:
        """All batches but the first fail, if not a single run."""
        nonlocal calls
        calls += 1
        return np.full(len(b), calls > 1 and len(b) > 1)

    fragile = Fragile(line, later)
    gated = filter_step(start, HOUR_NS, observation, np.ones(1), fragile, bearings, line_settings)
    assert gated.reasons == ("", "gated", "", "", "", "")
    assert gated.failures


def test_what_was_mended_is_not_reused(linear: PredictiveModel, two: Coefficients) -> None:
    """Slopes for later updates come from whole sets of points; a quick look that fails leads to all points."""
    settings = FilterSettings(SETTINGS.noise_std, SETTINGS.gate_probability, reuse=True)
    arguments = (OBSERVATION, NO_INPUTS)
    degraded = filter_step(START, 6 * HOUR_NS, *arguments, Fragile(linear, lambda b: b[:, 0] > 0.7), two, settings)
    assert degraded.learnt is None
    learnt = filter_step(START, 6 * HOUR_NS, *arguments, linear, two, settings)
    quick = filter_step(learnt.state, 7 * HOUR_NS, *arguments, linear, two, settings)
    assert quick.method == "reused"
    calls = 0

    def first(b: Floats) -> np.ndarray:
        nonlocal calls
        calls += 1
        return np.full(len(b), calls == 1)

    full = filter_step(learnt.state, 7 * HOUR_NS, *arguments, Fragile(linear, first), two, settings)
    assert full.method == "ukf"
    np.testing.assert_allclose(full.posterior.mean, quick.posterior.mean, atol=1e-6)
    assert len(full.failures) == 1


@pytest.mark.parametrize("bend", [0.0, 0.3])
def test_predictions_are_made_from_what_is_left(
    make_model: Callable[..., PredictiveModel], two: Coefficients, bend: float
) -> None:
    """Of a linear and of a quadratic model they are those of all points, and say what failed for them."""
    mix = np.array([[1.0, 0.5], [0.2, 1.0]])
    model = make_model(lambda b: b @ mix + bend * (b @ mix) ** 2, 2, 2)
    whole = predict_outputs(START.posterior, NO_INPUTS, model, two)
    part = predict_outputs(START.posterior, NO_INPUTS, Fragile(model, lambda b: b[:, 0] > 0.75), two)
    for name in ("mean", "std", "lower", "upper"):
        np.testing.assert_allclose(getattr(part, name), getattr(whole, name), rtol=1e-12)
    assert [failed.reason for failed in part.failures] == ["it burst"]
    assert whole.failures == ()


def test_where_too_little_is_left_nothing_is_predicted(linear: PredictiveModel, two: Coefficients) -> None:
    """The error tells at which coefficients the model failed, and why."""
    with pytest.raises(UnpredictableError, match=r"b0=0\.5, b1=0\.2: it burst") as caught:
        predict_outputs(START.posterior, NO_INPUTS, Fragile(linear, lambda b: b[:, 0] < 0.6), two)
    assert caught.value.coefficients == {"b0": 0.5, "b1": 0.2}


def test_a_talkative_model_is_told_in_a_line() -> None:
    """Coefficients in full, the beginning of the reason, the first failures and how many more there are."""
    failures = [FailedRow(i, {"b0": float(i), "b1": 0.25}, "no\nconvergence " + "at all " * 1000) for i in range(9)]
    assert str(failures[3]).startswith("b0=3, b1=0.25: no convergence at all at all")
    assert len(str(failures[3])) < 330
    assert told(failures).count("b1=0.25") == 5
    assert told(failures).endswith(" …; and 4 more")
    assert told(failures[:1]) == str(failures[0])
    assert told([]) == ""
