"""One step: what is missing, what is refused to begin with, what is promised of every step."""

from collections.abc import Callable

import numpy as np
import pytest

from twin_assets.estimation import Coefficients, FilterSettings, FilterState, Gaussian, Step, filter_step
from twin_assets.model import EvaluationError, Floats, PredictiveModel

MakeModel = Callable[[Callable[[Floats], Floats], int, int], PredictiveModel]
MakeCoefficients = Callable[..., Coefficients]
HOUR_NS = 3_600_000_000_000
NO_INPUTS = np.empty(0)
NOISE_STD = np.array([0.1, 0.3, 0.2])


def _curved(b: Floats) -> Floats:
    return np.column_stack([b[:, 0] + 0.1 * b[:, 1] ** 2, b[:, 1], b[:, 0] * b[:, 1]])


@pytest.fixture
def start(make_coefficients: MakeCoefficients) -> FilterState:
    """A state in the middle of a life: correlated, at a time."""
    del make_coefficients
    return FilterState(5 * HOUR_NS, Gaussian(np.array([0.5, 0.2]), np.array([[0.04, -0.01], [-0.01, 0.02]])))


def _same(one: Step, other: Step) -> bool:
    return np.array_equal(one.posterior.mean, other.posterior.mean) and np.array_equal(
        one.posterior.cov, other.posterior.cov
    )


@pytest.mark.parametrize("lower", [-np.inf, 0.0])
def test_a_missing_channel_equals_a_smaller_observation(
    make_model: MakeModel, make_coefficients: MakeCoefficients, start: FilterState, lower: float
) -> None:
    """NaN in the second channel: the very same posterior and NIS as a filter that has only the other two."""
    coefficients = make_coefficients(2, initial=0.5, drift=0.1, lower=lower)
    step = filter_step(
        start,
        6 * HOUR_NS,
        np.array([0.6, np.nan, 0.2]),
        NO_INPUTS,
        make_model(_curved, 2, 3),
        coefficients,
        FilterSettings(NOISE_STD, 1e-4),
    )
    smaller = filter_step(
        start,
        6 * HOUR_NS,
        np.array([0.6, 0.2]),
        NO_INPUTS,
        make_model(lambda b: _curved(b)[:, [0, 2]], 2, 2),
        coefficients,
        FilterSettings(NOISE_STD[[0, 2]], 1e-4),
    )
    np.testing.assert_allclose(step.posterior.mean, smaller.posterior.mean, rtol=1e-12)
    np.testing.assert_allclose(step.posterior.cov, smaller.posterior.cov, rtol=1e-12)
    assert step.nis == pytest.approx(smaller.nis)
    assert (step.dof, step.reasons) == (2, ("", "missing", ""))
    np.testing.assert_array_equal(np.isnan(step.innovation), [False, True, False])
    assert np.isfinite(step.innovation_std).all()


def test_nothing_measured_is_a_prediction(
    make_model: MakeModel, make_coefficients: MakeCoefficients, start: FilterState
) -> None:
    """Time passes, the variance grows, the model is not even run."""

    def never(b: Floats) -> Floats:
        raise AssertionError(b)

    step = filter_step(
        start,
        9 * HOUR_NS,
        np.full(3, np.nan),
        NO_INPUTS,
        make_model(never, 2, 3),
        make_coefficients(2, drift=0.1),
        FilterSettings(NOISE_STD, 1e-4),
    )
    assert (step.method, step.model_runs, step.nis, step.dof) == ("prediction", 0, 0.0, 0)
    assert step.reasons == ("missing",) * 3
    np.testing.assert_array_equal(step.posterior.mean, start.posterior.mean)
    np.testing.assert_allclose(step.posterior.cov, start.posterior.cov + np.eye(2) * 0.01 * 4)
    assert step.state.time_ns == 9 * HOUR_NS


def test_virtual_sensors_do_not_enter_the_filter(
    make_model: MakeModel, make_coefficients: MakeCoefficients, start: FilterState
) -> None:
    """The model may have more outputs than are measured; the first ones are the measurements."""
    arguments = (start, 6 * HOUR_NS, np.array([0.6, 0.3, 0.2]), NO_INPUTS)
    coefficients, settings = make_coefficients(2), FilterSettings(NOISE_STD, 1e-4)
    more = make_model(lambda b: np.column_stack([_curved(b), 1e6 * b[:, 0] ** 3]), 2, 4)
    step = filter_step(*arguments, more, coefficients, settings)
    assert _same(step, filter_step(*arguments, make_model(_curved, 2, 3), coefficients, settings))


def test_a_step_is_a_pure_function(
    make_model: MakeModel, make_coefficients: MakeCoefficients, start: FilterState
) -> None:
    """The same arguments give the same bits, whatever was filtered in between, and nothing given is changed."""
    model, coefficients = make_model(_curved, 2, 3), make_coefficients(2, initial=0.5, drift=0.1, lower=0.0)
    settings, observation = FilterSettings(NOISE_STD, 1e-4), np.array([0.6, 0.3, 9.0])
    first = filter_step(start, 6 * HOUR_NS, observation, NO_INPUTS, model, coefficients, settings)
    filter_step(first.state, 8 * HOUR_NS, observation, NO_INPUTS, model, coefficients, settings)
    again = filter_step(start, 6 * HOUR_NS, observation, NO_INPUTS, model, coefficients, settings)
    assert _same(first, again)
    assert (first.nis, first.reasons, first.model_runs) == (again.nis, again.reasons, again.model_runs)
    np.testing.assert_array_equal(observation, [0.6, 0.3, 9.0])


def test_every_sigma_point_goes_into_one_batch(
    make_model: MakeModel, make_coefficients: MakeCoefficients, start: FilterState
) -> None:
    """2n+1 rows in one call, the mean first: what warm starts and worker pools are made for."""
    batches = []

    def kept(b: Floats) -> Floats:
        batches.append(b)
        return _curved(b)

    step = filter_step(
        start,
        6 * HOUR_NS,
        np.array([0.5, 0.2, 0.1]),
        NO_INPUTS,
        make_model(kept, 2, 3),
        make_coefficients(2),
        FilterSettings(NOISE_STD, 1e-4),
    )
    assert [batch.shape for batch in batches] == [(5, 2)]
    np.testing.assert_allclose(batches[0][0], start.posterior.mean)
    assert step.model_runs == 5


@pytest.mark.parametrize("time_ns", [5 * HOUR_NS, 4 * HOUR_NS])
def test_time_must_advance(
    make_model: MakeModel, make_coefficients: MakeCoefficients, start: FilterState, time_ns: int
) -> None:
    """The same or an earlier time is refused: no observation is assimilated twice."""
    with pytest.raises(ValueError, match="time must advance"):
        filter_step(
            start,
            time_ns,
            np.zeros(3),
            NO_INPUTS,
            make_model(_curved, 2, 3),
            make_coefficients(2),
            FilterSettings(NOISE_STD, 1e-4),
        )


@pytest.mark.parametrize(
    ("observation", "inputs", "n", "message"),
    [
        (np.zeros(2), NO_INPUTS, 2, "an observation of 3 values is expected"),
        (np.zeros(3), np.zeros(1), 2, r"inputs have shape \(1,\)"),
        (np.zeros(3), NO_INPUTS, 3, "the model's coefficients are"),
    ],
)
def test_what_does_not_fit_is_refused(
    make_model: MakeModel,
    make_coefficients: MakeCoefficients,
    start: FilterState,
    observation: Floats,
    inputs: Floats,
    n: int,
    message: str,
) -> None:
    """Shapes and names that disagree are a programming error, found before anything is run."""
    with pytest.raises(ValueError, match=message):
        filter_step(
            start,
            6 * HOUR_NS,
            observation,
            inputs,
            make_model(_curved, 2, 3),
            make_coefficients(n),
            FilterSettings(NOISE_STD, 1e-4),
        )


def test_a_failing_model_is_reported(
    make_model: MakeModel, make_coefficients: MakeCoefficients, start: FilterState
) -> None:
    """The error of a model that cannot tell where it fails comes through; so does that of a wrong shape."""

    def breaks(b: Floats) -> Floats:
        message = "no steady state"
        raise EvaluationError(message, {"b0": float(b[0, 0])})

    arguments = (start, 6 * HOUR_NS, np.zeros(3), NO_INPUTS)
    coefficients, settings = make_coefficients(2), FilterSettings(NOISE_STD, 1e-4)
    with pytest.raises(EvaluationError, match="no steady state"):
        filter_step(*arguments, make_model(breaks, 2, 3), coefficients, settings)
    short = make_model(lambda b: b, 2, 3)
    with pytest.raises(ValueError, match=r"outputs have shape \(5, 2\), expected \(5, 3\)"):
        filter_step(*arguments, short, coefficients, settings)


@pytest.mark.parametrize(
    ("noise_std", "probability", "message"),
    [
        (np.array([0.1, 0.0]), 1e-4, "noise_std must be"),
        (np.array([[0.1]]), 1e-4, "noise_std must be"),
        (np.array([0.1]), 0.0, "gate_probability must lie"),
    ],
)
def test_settings_refuse_what_makes_no_sense(noise_std: Floats, probability: float, message: str) -> None:
    """No noise and no probability are refused where they are given."""
    with pytest.raises(ValueError, match=message):
        FilterSettings(noise_std, probability)


def test_inputs_must_be_finite(make_coefficients: MakeCoefficients, start: FilterState) -> None:
    """An operating condition that is not known cannot be simulated."""

    class WithInput:
        coefficients, inputs, outputs = ("b0", "b1"), ("speed",), ("y0", "y1", "y2")

        def evaluate(self, coefficients: Floats, inputs: Floats) -> Floats:
            return _curved(coefficients) * inputs

    with pytest.raises(ValueError, match="inputs must be finite"):
        filter_step(
            start,
            6 * HOUR_NS,
            np.zeros(3),
            np.array([np.nan]),
            WithInput(),
            make_coefficients(2),
            FilterSettings(NOISE_STD, 1e-4),
        )
