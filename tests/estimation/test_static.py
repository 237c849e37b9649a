"""Constant coefficients from one batch: against closed forms, against the filter, and what is refused."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from twin_assets.estimation import (
    Batch,
    CalibrationError,
    Coefficients,
    FilterSettings,
    StaticSettings,
    calibrate_static,
    coefficient_marginals,
    filter_step,
    predict_outputs,
    prior,
)
from twin_assets.model import EvaluationError, Floats, PredictiveModel

MakeModel = Callable[[Callable[[Floats], Floats], int, int], PredictiveModel]
MakeCoefficients = Callable[..., Coefficients]
HOUR_NS = 3_600_000_000_000
NO_INPUTS = np.empty(0)
MATRIX = np.array([[1.0, 0.5, 0.0], [0.0, 1.0, -1.0], [0.3, 0.0, 1.0], [1.0, 1.0, 1.0]])
NOISE_STD = np.array([0.3, 0.5, 0.2, 1.0])


def _batch(observations: Floats) -> Batch:
    return Batch(np.empty((len(observations), 0)), observations)


def _linear(rng: np.random.Generator, t: int = 30, missing: float = 0.3) -> Batch:
    """Observations of MATRIX times some truth, with gaps."""
    truth = rng.normal(size=3)
    observations = MATRIX @ truth + NOISE_STD * rng.normal(size=(t, 4))
    observations[rng.random(observations.shape) < missing] = np.nan
    return _batch(observations)


def _rows(batch: Batch) -> tuple[Floats, Floats]:
    """The whitened linear problem, stacked: slopes (N, 3) and values (N,)."""
    slopes = np.concatenate([(MATRIX / NOISE_STD[:, np.newaxis])[seen] for seen in batch.measured])
    return slopes, (batch.observations / NOISE_STD)[batch.measured]


def test_without_a_prior_it_is_least_squares(make_model: MakeModel, make_coefficients: MakeCoefficients) -> None:
    """Linear, with gaps: estimate, covariance and sum of squares are NumPy's least squares, wherever it starts."""
    batch = _linear(np.random.default_rng(1))
    slopes, values = _rows(batch)
    expected, squares, *_ = np.linalg.lstsq(slopes, values)
    for initial in (0.0, -50.0):
        found = calibrate_static(
            make_model(lambda b: b @ MATRIX.T, 3, 4),
            batch,
            make_coefficients(3, initial=initial),
            StaticSettings(NOISE_STD, diffuse=True),
        )
        np.testing.assert_allclose(found.estimate, expected, rtol=1e-8)
        np.testing.assert_allclose(found.posterior.mean, expected, rtol=1e-8)
        np.testing.assert_allclose(found.posterior.cov, np.linalg.inv(slopes.T @ slopes), rtol=1e-8)
        assert found.chi_square == pytest.approx(squares[0], rel=1e-9)
        assert found.dof == values.size - 3


def test_with_a_prior_it_is_bayes_rule(make_model: MakeModel, make_coefficients: MakeCoefficients) -> None:
    """The linear model's posterior in closed form, also of fewer values than coefficients (Kay 1993, theorem 10.3)."""
    for t, missing in ((30, 0.3), (1, 0.5)):
        batch = _linear(np.random.default_rng(2), t, missing)
        slopes, values = _rows(batch)
        found = calibrate_static(
            make_model(lambda b: b @ MATRIX.T, 3, 4),
            batch,
            make_coefficients(3, initial=0.5, initial_std=0.2),
            StaticSettings(NOISE_STD),
        )
        cov = np.linalg.inv(slopes.T @ slopes + np.eye(3) / 0.2**2)
        mean = 0.5 + cov @ slopes.T @ (values - slopes @ np.full(3, 0.5))
        np.testing.assert_allclose(found.estimate, mean, rtol=1e-7)
        np.testing.assert_allclose(found.posterior.mean, mean, rtol=1e-7)
        np.testing.assert_allclose(found.posterior.cov, cov, rtol=1e-7, atol=1e-12)
        assert found.dof == values.size


def test_it_is_the_filter_without_drift(make_model: MakeModel, make_coefficients: MakeCoefficients) -> None:
    """One observation after the other or all at once: the same posterior, which the filter goes on from."""
    batch = _linear(np.random.default_rng(3))
    model, coefficients = make_model(lambda b: b @ MATRIX.T, 3, 4), make_coefficients(3)
    settings, state = FilterSettings(NOISE_STD, 1e-300), prior(coefficients)
    for k, observation in enumerate(batch.observations):
        state = filter_step(state, k * HOUR_NS, observation, NO_INPUTS, model, coefficients, settings).state
    found = calibrate_static(model, batch, coefficients, StaticSettings(NOISE_STD)).state(29 * HOUR_NS)
    np.testing.assert_allclose(found.posterior.mean, state.posterior.mean, rtol=1e-7)
    np.testing.assert_allclose(found.posterior.cov, state.posterior.cov, rtol=1e-7, atol=1e-12)
    steps = [
        filter_step(start, 30 * HOUR_NS, MATRIX.sum(axis=1), NO_INPUTS, model, coefficients, settings)
        for start in (found, state)
    ]
    np.testing.assert_allclose(steps[0].posterior.mean, steps[1].posterior.mean, rtol=1e-7)


def test_the_noise_is_estimated_without_bias(make_model: MakeModel, make_coefficients: MakeCoefficients) -> None:
    """Channels of very different noise, three coefficients in six observations: variances right on average.

    Within three standard errors of 300 seeds. Dividing by the number of values would give 0.88 of them.
    """
    rng = np.random.default_rng(4)
    model, coefficients = make_model(lambda b: b @ MATRIX.T, 3, 4), make_coefficients(3)
    ratios = np.array(
        [
            calibrate_static(model, _linear(rng, 6, 0.0), coefficients, StaticSettings(diffuse=True)).noise_std ** 2
            / NOISE_STD**2
            for _ in range(300)
        ]
    )
    error = ratios.std(axis=0) / np.sqrt(len(ratios))
    assert (np.abs(ratios.mean(axis=0) - 1.0) < 3.0 * error).all()
    assert (error < 0.06).all()


def test_one_channels_noise_is_the_unbiased_residual_variance(
    make_model: MakeModel, make_coefficients: MakeCoefficients
) -> None:
    """RSS / (N - n), the textbook's; and the standard error of a mean is the noise over the root of N."""
    values = np.array([[1.0], [3.0], [np.nan], [2.0], [7.0]])
    found = calibrate_static(
        make_model(lambda b: b, 1, 1), _batch(values), make_coefficients(1), StaticSettings(diffuse=True)
    )
    assert found.estimate[0] == pytest.approx(3.25)
    assert found.noise_std[0] == pytest.approx(np.nanstd(values, ddof=1))
    assert found.posterior.std[0] == pytest.approx(np.nanstd(values, ddof=1) / 2.0)
    np.testing.assert_allclose(found.residuals, values - 3.25)


def test_a_channel_without_values_has_no_noise(make_model: MakeModel, make_coefficients: MakeCoefficients) -> None:
    """A sensor that never spoke changes nothing and is given no number."""
    batch = _linear(np.random.default_rng(5))
    silent = batch.observations.copy()
    silent[:, 2] = np.nan
    model = make_model(lambda b: b @ MATRIX.T, 3, 4)
    found = calibrate_static(model, _batch(silent), make_coefficients(3), StaticSettings(diffuse=True))
    assert np.isnan(found.noise_std[2])
    assert np.isfinite(found.noise_std[[0, 1, 3]]).all()
    assert np.isfinite(found.posterior.cov).all()


def test_intervals_hold_the_truth(make_model: MakeModel, make_coefficients: MakeCoefficients) -> None:
    """A saturating plant, 300 truths from the prior: 95 % intervals of coefficients and outputs hold 93 to 97 %."""

    def saturating(b: Floats) -> Floats:
        return np.column_stack([2.0 * np.tanh(b[:, 0] / 2.0), b[:, 1] - 0.3 * b[:, 0], np.exp(0.3 * b[:, 1])])

    rng = np.random.default_rng(6)
    model, coefficients = make_model(saturating, 2, 3), make_coefficients(2, initial_std=0.5)
    held = []
    for _ in range(300):
        truth = 0.5 * rng.normal(size=2)
        outputs = saturating(truth[np.newaxis])[0]
        batch = _batch(outputs[:2] + 0.3 * rng.normal(size=(5, 2)))
        posterior = calibrate_static(model, batch, coefficients, StaticSettings(np.full(2, 0.3))).posterior
        known = coefficient_marginals(posterior, coefficients)
        said = predict_outputs(posterior, NO_INPUTS, model, coefficients)
        held.append([*((known.lower <= truth) & (truth <= known.upper)), said.lower[2] <= outputs[2] <= said.upper[2]])
    assert 0.93 <= np.mean(held) <= 0.97


def test_a_bound_is_treated_as_the_filter_treats_it(make_model: MakeModel, make_coefficients: MakeCoefficients) -> None:
    """On a bound, ten observations at once are one of their mean: the filter's interval of it, within the bounds."""
    coefficients = make_coefficients(1, initial=1e-3, initial_std=5e-3, lower=0.0)
    model, rng = make_model(lambda b: b, 1, 1), np.random.default_rng(7)
    for truth in (0.0, 1e-4, 2e-3):
        values = truth + 1e-3 * rng.normal(size=(10, 1))
        found = calibrate_static(model, _batch(values), coefficients, StaticSettings(np.array([1e-3])))
        settings = FilterSettings(np.array([1e-3 / np.sqrt(10.0)]), 1e-9)
        step = filter_step(prior(coefficients), 0, values.mean(axis=0), NO_INPUTS, model, coefficients, settings)
        ours, other = (coefficient_marginals(one.posterior, coefficients) for one in (found, step))
        assert found.estimate[0] >= 0.0
        for field in ("mean", "lower", "upper"):
            assert getattr(ours, field) == pytest.approx(getattr(other, field), abs=1e-5)


@dataclass
class Counted:
    """y = b0 (1 - exp(-b1 x)); counts its evaluations."""

    coefficients: tuple[str, ...] = ("b0", "b1")
    inputs: tuple[str, ...] = ("x",)
    outputs: tuple[str, ...] = ("y",)
    evaluations: int = 0
    rows: int = 0

    def evaluate(self, coefficients: Floats, inputs: Floats) -> Floats:
        """All rows under one condition."""
        self.evaluations += 1
        self.rows += len(coefficients)
        return coefficients[:, :1] * (1.0 - np.exp(-coefficients[:, 1:] * inputs))


def test_one_evaluation_a_distinct_condition(make_coefficients: MakeCoefficients) -> None:
    """A hundred observations under four conditions take four evaluations a point, and the count of runs is true."""
    model, rng = Counted(), np.random.default_rng(8)
    inputs = rng.choice([0.1, 0.5, 1.0, 3.0], size=(100, 1))
    observations = 2.0 * (1.0 - np.exp(-1.5 * inputs)) + 0.01 * rng.normal(size=(100, 1))
    coefficients = make_coefficients(2, initial=1.0)
    found = calibrate_static(model, Batch(inputs, observations), coefficients, StaticSettings(np.array([0.01])))
    np.testing.assert_allclose(found.estimate, [2.0, 1.5], rtol=0.02)
    assert found.model_runs == model.rows
    assert model.evaluations % 4 == 0
    assert model.evaluations < 4 * 40


@dataclass
class Logarithm:
    """y = log(b0), which refuses b0 <= 0 and counts how often."""

    coefficients: tuple[str, ...] = ("b0",)
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ("y",)
    refused: int = 0

    def evaluate(self, coefficients: Floats, inputs: Floats) -> Floats:
        """All rows, or none."""
        assert inputs.size == 0
        if (coefficients <= 0.0).any():
            self.refused += 1
            raise EvaluationError("no logarithm", {"b0": float(coefficients.min())})
        return np.log(coefficients)


def test_the_search_turns_back_where_the_model_fails(make_coefficients: MakeCoefficients) -> None:
    """A first step from 5 to -15, which the model refuses, is shortened; a start there is the caller's to mend."""
    model, batch = Logarithm(), _batch(np.full((3, 1), np.log(0.1)))
    settings = StaticSettings(np.array([0.1]), diffuse=True)
    found = calibrate_static(model, batch, make_coefficients(1, initial=5.0), settings)
    assert model.refused > 0
    assert found.estimate[0] == pytest.approx(0.1, rel=1e-6)
    with pytest.raises(EvaluationError, match="no logarithm"):
        calibrate_static(model, batch, make_coefficients(1, initial=-1.0), settings)


def test_what_cannot_be_told_apart_is_named(make_model: MakeModel, make_coefficients: MakeCoefficients) -> None:
    """Only the product of two coefficients is seen: the combination is named, and with a prior there is an answer.

    Along b0 = 1, b1 = 2 the product stays when b1 falls by twice what b0 rises; scaled so that the largest part is one.
    """
    model = make_model(lambda b: np.column_stack([b[:, 0] * b[:, 1], b[:, 2]]), 3, 2)
    coefficients = make_coefficients(3, initial=[1.0, 2.0, 0.0])
    batch = _batch(np.array([[2.0, 1.0], [2.2, 1.1], [1.9, 0.8]]))
    with pytest.raises(CalibrationError, match=r"cannot tell -0\.5\d*·b0 \+ b1; let the prior count") as refused:
        calibrate_static(model, batch, coefficients, StaticSettings(np.full(2, 0.1), diffuse=True))
    assert "b2" not in str(refused.value)
    found = calibrate_static(model, batch, coefficients, StaticSettings(np.full(2, 0.1)))
    assert found.posterior.std[:2].max() > 0.4
    assert found.posterior.std[2] < 0.1


def test_likelihood_on_a_bound_is_refused(make_model: MakeModel, make_coefficients: MakeCoefficients) -> None:
    """Values below the bound: without a prior there is no interval and it says so; with one there is."""
    model, coefficients = make_model(lambda b: b, 1, 1), make_coefficients(1, initial=0.5, lower=0.0)
    batch = _batch(np.array([[-1.0], [-1.1]]))
    with pytest.raises(CalibrationError, match=r"on a bound \(b0 = .*prior count"):
        calibrate_static(model, batch, coefficients, StaticSettings(np.array([0.1]), diffuse=True))
    posterior = calibrate_static(model, batch, coefficients, StaticSettings(np.array([0.1]))).posterior
    assert 0.0 <= coefficient_marginals(posterior, coefficients).upper[0] < 0.1


@pytest.mark.parametrize(
    ("observations", "settings", "message"),
    [
        ([[1.0, np.nan, np.nan, np.nan]], StaticSettings(NOISE_STD, diffuse=True), "1 measured values cannot tell"),
        ([[1.0, 2.0, 3.0, np.nan]], StaticSettings(diffuse=True), "none is left to tell the noise"),
        (np.zeros((5, 4)), StaticSettings(diffuse=True), "predicted exactly, which tells no noise"),
        (np.ones((5, 4)), StaticSettings(NOISE_STD, evaluations=1), "did not converge in [12] evaluations"),
    ],
)
def test_what_observations_cannot_give_is_said(
    make_model: MakeModel,
    make_coefficients: MakeCoefficients,
    observations: Floats,
    settings: StaticSettings,
    message: str,
) -> None:
    """Too few values, no freedom for the noise, no residuals, no convergence: each with what would help."""
    model, coefficients = make_model(lambda b: b @ MATRIX.T, 3, 4), make_coefficients(3)
    with pytest.raises(CalibrationError, match=message):
        calibrate_static(model, _batch(np.array(observations)), coefficients, settings)


def test_wrong_arguments_are_refused(make_model: MakeModel, make_coefficients: MakeCoefficients) -> None:
    """Shapes and names, found and expected."""
    model, coefficients = make_model(lambda b: b, 1, 1), make_coefficients(1)
    one = _batch(np.ones((2, 1)))
    with pytest.raises(ValueError, match=r"found \(3, 0\) and \(2, 1\)"):
        Batch(np.empty((3, 0)), np.ones((2, 1)))
    with pytest.raises(ValueError, match="inputs must be finite"):
        Batch(np.array([[np.nan]]), np.ones((1, 1)))
    with pytest.raises(ValueError, match="nothing is measured"):
        _batch(np.full((2, 1), np.nan))
    with pytest.raises(ValueError, match="noise_std must be"):
        StaticSettings(np.array([0.0]))
    with pytest.raises(ValueError, match="2 channels"):
        calibrate_static(model, _batch(np.ones((2, 2))), coefficients, StaticSettings())
    with pytest.raises(ValueError, match=r"noise_std has shape \(2,\)"):
        calibrate_static(model, one, coefficients, StaticSettings(np.ones(2)))
    with pytest.raises(ValueError, match="the model's coefficients"):
        calibrate_static(model, one, make_coefficients(2), StaticSettings())
    with pytest.raises(ValueError, match="inputs have shape"):
        calibrate_static(model, Batch(np.ones((2, 1)), np.ones((2, 1))), coefficients, StaticSettings())
