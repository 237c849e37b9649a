"""Inputs that are measured with errors: what they do to the update, and to what is predicted."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from oracles.closed_form import ClosedForm, free
from oracles.plants import NOISY_INPUTS
from twin_assets.estimation import (
    Coefficients,
    FilterSettings,
    FilterState,
    Gaussian,
    Step,
    filter_step,
    predict_outputs,
    prior,
)
from twin_assets.estimation.diagnosis import Watch, watched
from twin_assets.estimation.inputs import NoisyInputs
from twin_assets.estimation.sensitivity import local_sensitivity
from twin_assets.model import Attempt, FailedRow, Floats, PredictiveModel, attempt_each

HOUR_NS = 3_600_000_000_000
Z_95 = 1.959963984540054
# Two coefficients, an input with errors and an exact one; the last output is a virtual sensor.
SEEN, DRIVEN = np.array([[1.0, 0.5], [0.2, 1.0], [2.0, -1.0]]), np.array([[0.8, 1.0], [-0.3, 0.0], [0.6, 2.0]])
LINEAR = ClosedForm(lambda b, u: b @ SEEN.T + DRIVEN @ u, ("b0", "b1"), ("y0", "y1", "v"), ("u0", "u1"))
COEFFICIENTS = free(("b0", "b1"), np.array([1.0, -1.0]), np.array([0.5, 2.0]))
NOISE, ERROR = np.array([0.1, 0.3]), np.array([0.4, 0.0])
SETTINGS = FilterSettings(NOISE, 1e-9, input_std=ERROR)
MEASURED, OBSERVATION = np.array([2.0, 5.0]), np.array([7.5, -0.9])


def stepped(settings: FilterSettings, observation: Floats = OBSERVATION) -> Step:
    """One step of the linear model from its prior."""
    return filter_step(prior(COEFFICIENTS), 0, observation, MEASURED, LINEAR, COEFFICIENTS, settings)


def kalman(observation: Floats = OBSERVATION) -> Gaussian:
    """The textbook's posterior of (b0, b1, u0)."""
    mean, cov = np.array([1.0, -1.0, 2.0]), np.diag([0.25, 4.0, 0.16])
    sees = np.column_stack([SEEN[:2], DRIVEN[:2, :1]])
    innovation = observation - sees @ mean - DRIVEN[:2, 1] * MEASURED[1]
    gain = cov @ sees.T @ np.linalg.inv(sees @ cov @ sees.T + np.diag(NOISE**2))
    return Gaussian(mean + gain @ innovation, cov - gain @ sees @ cov)


def test_coefficients_and_inputs_are_kalmans_joint_posterior() -> None:
    """Of a linear model, to rounding; what goes on is the coefficients' marginal."""
    step, expected = stepped(SETTINGS), kalman()
    assert step.joint is not None
    np.testing.assert_allclose(step.joint.mean, expected.mean, rtol=1e-12)
    np.testing.assert_allclose(step.joint.cov, expected.cov, rtol=1e-10)
    np.testing.assert_allclose(step.posterior.mean, expected.mean[:2], rtol=1e-12)
    np.testing.assert_allclose(step.posterior.cov, expected.cov[:2, :2], rtol=1e-10)


def test_an_inputs_error_is_noise_that_channels_share() -> None:
    """The coefficients' posterior is that of exact inputs with R + J Sigma J', and so is the innovation's spread."""
    step = stepped(SETTINGS)
    noise = np.diag(NOISE**2) + 0.16 * np.outer(DRIVEN[:2, 0], DRIVEN[:2, 0])
    cov = np.diag([0.25, 4.0])
    spread = SEEN[:2] @ cov @ SEEN[:2].T + noise
    gain = cov @ SEEN[:2].T @ np.linalg.inv(spread)
    np.testing.assert_allclose(step.posterior.cov, cov - gain @ SEEN[:2] @ cov, rtol=1e-10)
    np.testing.assert_allclose(step.innovation_std, np.sqrt(np.diag(spread)), rtol=1e-10)
    assert step.nis == pytest.approx(step.innovation @ np.linalg.solve(spread, step.innovation))


def test_parts_of_a_linear_model_are_exact() -> None:
    """Law of total variance: var E[v|u] and E var[v|u] of the textbook's posterior; their sum is all."""
    joint = kalman()
    found = predict_outputs(stepped(SETTINGS).joint or joint, MEASURED, LINEAR, COEFFICIENTS, ERROR)
    drives, sees = DRIVEN[:, 0], SEEN
    b, both, u = joint.cov[:2, :2], joint.cov[:2, 2], joint.cov[2, 2]
    of_inputs = np.abs(sees @ both + drives * u) / np.sqrt(u)
    rest = np.sqrt(np.einsum("ij,jk,ik->i", sees, b - np.outer(both, both) / u, sees))
    whole = np.column_stack([sees, drives])
    np.testing.assert_allclose(found.std_inputs, of_inputs, rtol=1e-10)
    np.testing.assert_allclose(found.std_coefficients, rest, rtol=1e-10)
    np.testing.assert_allclose(found.std**2, np.einsum("ij,jk,ik->i", whole, joint.cov, whole), rtol=1e-10)
    np.testing.assert_allclose(found.std**2, found.std_inputs**2 + found.std_coefficients**2, rtol=1e-12)
    np.testing.assert_allclose(found.upper - found.mean, Z_95 * found.std, rtol=1e-10)


def test_a_plant_that_differs_from_its_model_has_a_third_part() -> None:
    """Added in quadrature, to the standard deviation and to both arms of the interval; NaN states nothing."""
    found = predict_outputs(stepped(SETTINGS).joint or kalman(), MEASURED, LINEAR, COEFFICIENTS, ERROR)
    differing = found.differing(np.array([np.nan, 0.0, 0.7]))
    np.testing.assert_array_equal(differing.std[:2], found.std[:2])
    np.testing.assert_array_equal(differing.lower[:2], found.lower[:2])
    assert differing.std[2] ** 2 == pytest.approx(found.std[2] ** 2 + 0.49)
    assert differing.mean[2] - differing.lower[2] == pytest.approx(Z_95 * differing.std[2])
    assert differing.upper[2] - differing.mean[2] == pytest.approx(Z_95 * differing.std[2])
    np.testing.assert_array_equal(differing.std_discrepancy, [np.nan, 0.0, 0.7])


def test_what_can_be_told_is_told_with_the_errors_of_inputs() -> None:
    """One observation leaves the standard deviations that the filter has after it; exact inputs would leave less."""
    found = local_sensitivity(LINEAR, MEASURED, COEFFICIENTS, NOISE, input_std=ERROR)
    np.testing.assert_allclose(found.reachable_std, stepped(SETTINGS).posterior.std, rtol=1e-9)
    exact = local_sensitivity(LINEAR, MEASURED, COEFFICIENTS, NOISE)
    np.testing.assert_allclose(exact.reachable_std, stepped(FilterSettings(NOISE, 1e-9)).posterior.std, rtol=1e-9)
    assert (exact.reachable_std < found.reachable_std).all()


def test_where_nothing_is_measured_an_input_is_as_sure_as_its_sensor() -> None:
    """The joint posterior is the drifted one beside the input's own error; no model run."""
    step = stepped(SETTINGS, np.full(2, np.nan))
    assert step.model_runs == 0
    assert step.joint is not None
    np.testing.assert_allclose(step.joint.cov, np.diag([0.25, 4.0, 0.16]), rtol=1e-14)
    alone = predict_outputs(step.posterior, MEASURED, LINEAR, COEFFICIENTS, ERROR)
    np.testing.assert_array_equal(alone.std, predict_outputs(step.joint, MEASURED, LINEAR, COEFFICIENTS, ERROR).std)
    np.testing.assert_allclose(alone.std_inputs, 0.4 * np.abs(DRIVEN[:, 0]), rtol=1e-12)


def test_exact_inputs_change_no_bit() -> None:
    """Standard deviations of zero are those that nobody gave."""
    plain, zero = (stepped(FilterSettings(NOISE, 1e-9, input_std=std)) for std in (None, np.zeros(2)))
    assert plain.joint is None
    assert zero.joint is None
    np.testing.assert_array_equal(plain.posterior.root, zero.posterior.root)
    np.testing.assert_array_equal(plain.posterior.mean, zero.posterior.mean)
    found = predict_outputs(plain.posterior, MEASURED, LINEAR, COEFFICIENTS)
    np.testing.assert_array_equal(found.std_inputs, np.zeros(3))
    np.testing.assert_array_equal(found.std_coefficients, found.std)


def test_parts_of_a_curved_model_agree_with_sampling() -> None:
    """Of b exp(u): mean, standard deviation and inputs' part of a million draws from the joint posterior, to 2 %."""
    curved = ClosedForm(lambda b, u: b * np.exp(u[0]), ("b",), ("y",), ("u",))
    one = free(("b",), np.array([2.0]), np.array([0.3]))
    joint = Gaussian(np.array([2.0, 0.5]), np.array([[0.09, -0.012], [-0.012, 0.01]]))
    found = predict_outputs(joint, np.array([0.5]), curved, one, np.array([0.1]))
    b, u = np.random.default_rng(0).multivariate_normal(joint.mean, joint.cov, 1_000_000).T
    values = b * np.exp(u)
    given_u = (2.0 + joint.cov[0, 1] / joint.cov[1, 1] * (u - 0.5)) * np.exp(u)
    assert found.mean[0] == pytest.approx(values.mean(), rel=2e-3)
    assert found.std[0] == pytest.approx(values.std(), rel=0.02)
    assert found.std_inputs[0] == pytest.approx(given_u.std(), rel=0.02)
    lower, upper = np.quantile(values, [0.025, 0.975])
    assert (found.lower[0], found.upper[0]) == pytest.approx((lower, upper), rel=0.03)


def filtered(settings: FilterSettings, steps: int = 30) -> list[Step]:
    """The plant of the honesty tests, its inputs with errors."""
    plant, rng = NOISY_INPUTS, np.random.default_rng(3)
    state, found, truth = prior(plant.coefficients), [], np.array([[1.2, 0.4]])
    for k in range(steps):
        inputs = np.array([1.0 + 1e-3 * np.sin(k), 1.0])
        observation = plant.model.evaluate(truth, inputs)[0, :3] + 0.03 * rng.normal(size=3)
        step = filter_step(state, k * HOUR_NS, observation, inputs, plant.model, plant.coefficients, settings)
        found.append(step)
        state = step.state
    return found


def test_slopes_are_reused_with_errors_of_inputs_too() -> None:
    """Few runs where the machine hardly moves, and the posterior of all sigma points to a tenth of its width."""
    small = np.array([2e-3, 2e-3])
    every = filtered(FilterSettings(NOISY_INPUTS.noise_std, 1e-9, input_std=small))
    few = filtered(FilterSettings(NOISY_INPUTS.noise_std, 1e-9, reuse=True, input_std=small))
    assert [step.model_runs for step in every] == [9] * 30
    assert sum(step.method == "reused" for step in few) > 20
    for one, other in zip(every, few, strict=True):
        assert (np.abs(one.posterior.mean - other.posterior.mean) < 0.1 * one.posterior.std).all()


def test_what_was_learnt_of_other_unknowns_is_not_reused() -> None:
    """A state of exact inputs goes on where one has an error, by all sigma points."""
    before = filtered(FilterSettings(NOISY_INPUTS.noise_std, 1e-9, reuse=True), 5)[-1].state
    assert before.learnt is not None
    settings = FilterSettings(NOISY_INPUTS.noise_std, 1e-9, reuse=True, input_std=np.array([0.01, 0.0]))
    plant, inputs = NOISY_INPUTS, np.ones(2)
    observation = plant.model.evaluate(np.array([[1.2, 0.4]]), inputs)[0, :3]
    step = filter_step(before, 9 * HOUR_NS, observation, inputs, plant.model, plant.coefficients, settings)
    assert step.method == "ukf"
    assert step.model_runs == 2 * 3 + 1


def test_noise_is_estimated_apart_from_the_errors_of_inputs() -> None:
    """Channels' own noise comes out to 30 %; where the inputs are taken for exact, their errors are in it."""
    plant = NOISY_INPUTS
    known, ignored = (noise_estimated(std) for std in (plant.input_std, None))
    np.testing.assert_allclose(known, plant.noise_std, rtol=0.3)
    assert (ignored > 1.5 * plant.noise_std).all()


def test_a_machine_that_stands_still_tells_nothing_of_its_noise_whatever_its_input_is_off_by() -> None:
    """At a measured drive of zero a channel hangs on the drive's error alone: its noise has to wait."""
    driven = ClosedForm(lambda b, u: b * u[0], ("gain",), ("y",), ("drive",))
    one = free(("gain",), np.array([2.0]), np.array([0.5]))
    settings = FilterSettings(np.array([np.nan]), 1e-9, input_std=np.array([0.1]))
    still = filter_step(prior(one), 0, np.array([0.3]), np.zeros(1), driven, one, settings)
    assert still.noise is not None
    assert still.noise.channels == ()
    running = filter_step(still.state, HOUR_NS, np.array([2.2]), np.ones(1), driven, one, settings)
    assert running.noise is not None
    assert running.noise.channels == ("y",)


def noise_estimated(input_std: Floats | None) -> Floats:
    """(3,) what the filter finds in 500 observations of the plant of the honesty tests."""
    plant, rng = NOISY_INPUTS, np.random.default_rng(0)
    settings = FilterSettings(np.full(3, np.nan), 1e-9, input_std=input_std)
    state, truth = prior(plant.coefficients), np.array([[1.2, 0.4]])
    for k in range(500):
        inputs = 1.0 + 0.4 * np.sin([k / 3.0, k / 4.0])
        observation = plant.model.evaluate(truth, inputs)[0, :3] + plant.noise_std * rng.normal(size=3)
        seen = inputs + plant.input_std * rng.normal(size=2)
        state = filter_step(state, k * HOUR_NS, observation, seen, plant.model, plant.coefficients, settings).state
    assert state.noise is not None
    return np.asarray(state.noise.std, dtype=np.float64)


def test_a_held_direction_is_one_of_coefficients_alone() -> None:
    """Of a sum of two, the difference stays at its prior, whatever is not known of the input; the sum is told."""
    model = ClosedForm(lambda b, u: b.sum(axis=1, keepdims=True) + u[0], ("b0", "b1"), ("y",), ("u",))
    two = replace(free(("b0", "b1"), np.zeros(2), np.ones(2)), drift_std_per_sqrt_hour=np.full(2, 0.05))
    settings = FilterSettings(np.array([0.1]), 1e-9, hold=True, input_std=np.array([0.2]))
    rng, state = np.random.default_rng(2), FilterState(None, prior(two).posterior)
    for k in range(60):
        noise, error = rng.normal(size=2) * [0.1, 0.2]
        step = filter_step(state, k * HOUR_NS, np.array([1.0 + noise]), np.array([error]), model, two, settings)
        state = step.state
    apart, total = np.array([1.0, -1.0]), np.ones(2)
    assert apart @ state.posterior.cov @ apart == pytest.approx(2.0, rel=1e-6)
    assert total @ state.posterior.mean == pytest.approx(1.0, abs=0.25)
    assert total @ state.posterior.cov @ total < 0.05


class Grumbling:
    """A model that tells of rows that it cannot evaluate: where the first coefficient is above one."""

    coefficients, inputs, outputs = ("b",), ("u",), ("y",)

    def __init__(self) -> None:
        self.batches: list[tuple[int, float]] = []

    def evaluate(self, coefficients: Floats, inputs: Floats) -> Floats:
        """See PredictiveModel."""
        return np.asarray(coefficients + inputs[0], dtype=np.float64)

    def attempt(self, coefficients: Floats, inputs: Floats) -> Attempt:
        """See TolerantModel."""
        self.batches.append((len(coefficients), float(inputs[0])))
        bad = np.flatnonzero(coefficients[:, 0] > 1.0).tolist()
        outputs = self.evaluate(coefficients, inputs)
        outputs[bad] = np.nan
        return Attempt(outputs, tuple(FailedRow(row, {"b": float(coefficients[row, 0])}, "no") for row in bad))


def test_rows_of_other_inputs_are_asked_for_in_batches_of_their_own() -> None:
    """Each row under its own inputs, in the order that they were given; failures keep their rows."""
    model: PredictiveModel = Grumbling()
    values, inputs = np.array([[0.0], [2.0], [0.5], [3.0]]), np.array([[1.0], [7.0], [1.0], [7.0]])
    found = attempt_each(model, values, inputs)
    np.testing.assert_array_equal(found.outputs[[0, 2], 0], [1.0, 1.5])
    assert [failed.row for failed in found.failures] == [1, 3]
    assert [failed.coefficients["b"] for failed in found.failures] == [2.0, 3.0]


def test_rows_of_the_same_inputs_are_one_batch() -> None:
    """As ever: an FMU's rows start from the first one's settled state."""
    model = Grumbling()
    attempt_each(model, np.zeros((3, 1)), np.full((3, 1), 4.0))
    assert model.batches == [(3, 4.0)]


@pytest.mark.parametrize("std", [np.array([0.1]), np.array([-0.1, 0.0]), np.array([np.nan, 0.0])])
def test_what_is_no_standard_deviation_is_refused(std: Floats) -> None:
    """Wrong shape, negative, not a number."""
    with pytest.raises(ValueError, match="input_std must be finite, not negative, one for each of"):
        NoisyInputs.of(("u0", "u1"), MEASURED, std)


def test_a_posterior_of_other_unknowns_is_refused() -> None:
    """That of coefficients and an input, where no input is said to have an error."""
    with pytest.raises(ValueError, match="a posterior of 3 unknowns was given; expected those of"):
        predict_outputs(kalman(), MEASURED, LINEAR, COEFFICIENTS)


def test_a_surprise_is_explained_with_errors_of_inputs_too(
    make_kinked: Callable[[], tuple[PredictiveModel, Coefficients]],
) -> None:
    """Beyond a kink the search finds the coefficient, and the input where it is: nothing is gated."""
    model, coefficients = make_kinked()
    state, settings = prior(coefficients), FilterSettings(np.full(2, 0.01), 1e-4, input_std=np.array([0.02]))
    methods = []
    for k, wear in enumerate([0.2, 0.22, 0.24, 0.9, 0.92]):
        observation = model.evaluate(np.array([[wear, 0.3]]), np.ones(1))[0]
        step = filter_step(state, k * HOUR_NS, observation, np.ones(1), model, coefficients, settings)
        state = step.state
        methods.append(step.method)
        assert step.reasons == ("", "")
    assert "iterated" in methods
    assert step.joint is not None
    assert np.abs(step.joint.mean - [0.92, 0.3, 1.0]) == pytest.approx(np.zeros(3), abs=0.02)


@pytest.fixture
def make_kinked() -> Callable[[], tuple[PredictiveModel, Coefficients]]:
    """A roller that slips beyond 0.5: its speed falls steeply there, and hardly before."""

    def make() -> tuple[PredictiveModel, Coefficients]:
        def speed(b: Floats, u: Floats) -> Floats:
            slip = np.maximum(b[:, 0] - 0.5, 0.0)
            return np.column_stack([u[0] * (1.0 - 1e-2 * b[:, 0] - 2.0 * slip), u[0] * b[:, 1]])

        drifting = replace(
            free(("wear", "load"), np.array([0.2, 0.3]), np.full(2, 0.1)),
            drift_std_per_sqrt_hour=np.array([0.25, 0.05]),
        )
        return ClosedForm(speed, ("wear", "load"), ("w", "t"), ("speed",)), drifting

    return make


def test_what_the_diagnosis_doubts_is_doubted_together_with_the_inputs() -> None:
    """A coefficient that moves faster than its drift is believed less; the errors of inputs stay what they are."""
    sees = np.array([[1.0, 1.0], [-3.0, 2.0], [1.0, 1.0], [-2.0, 1.0]])
    model = ClosedForm(lambda b, u: b @ sees[:, :1].T + sees[:, 1] * u, ("b",), ("y0", "y1", "y2", "y3"), ("u",))
    coefficients = replace(free(("b",), np.array([0.1]), np.array([0.3])), drift_std_per_sqrt_hour=np.array([0.01]))
    settings = FilterSettings(np.full(4, 0.05), 1e-3, reuse=True, input_std=np.array([0.3]))
    watch = Watch(model.outputs, np.full((4, 2), np.nan), np.zeros(4), np.zeros(4, dtype=bool))
    rng, state, truth, widened = np.random.default_rng(2), prior(coefficients), 0.1, 0
    for k in range(80):
        truth += 0.03 if k >= 40 else 0.0
        observation = truth * sees[:, 0] + 10.0 * sees[:, 1] + 0.05 * rng.normal(size=4)
        told, plain = 10.0 + 0.3 * rng.normal(size=1), list[Step]()

        def step(before: FilterState, believed: Floats, told: Floats = told, done: list[Step] = plain) -> Step:
            time_ns = (0 if before.time_ns is None else before.time_ns) + HOUR_NS
            done.append(filter_step(before, time_ns, believed, told, model, coefficients, settings))
            return done[0]

        found = watched(state, observation, coefficients, watch, step)
        state, before = found.state, plain[0].joint
        assert found.joint is not None
        assert before is not None
        assert found.joint.cov[0, 0] == pytest.approx(found.posterior.cov[0, 0], rel=1e-12)
        np.testing.assert_allclose(found.joint.cov[1], before.cov[1], rtol=1e-9)
        widened += found.posterior.cov[0, 0] > 1.01 * before.cov[0, 0]
    assert widened > 0
