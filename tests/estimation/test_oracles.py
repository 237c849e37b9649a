"""The filter against filters that somebody else wrote."""

from collections.abc import Callable

import numpy as np
import pytest

from twin_assets.estimation import Coefficients, FilterSettings, FilterState, Gaussian, Step, filter_step, prior
from twin_assets.model import Floats, PredictiveModel

MakeModel = Callable[[Callable[[Floats], Floats], int, int], PredictiveModel]
HOUR_NS = 3_600_000_000_000
NO_INPUTS = np.empty(0)
NEVER_GATED = 1e-300


def _filtered(
    model: PredictiveModel,
    coefficients: Coefficients,
    noise_std: Floats,
    hours: Floats,
    observations: Floats,
    start: FilterState | None = None,
) -> list[Step]:
    """Filter observations (t, m) at times in hours (t,)."""
    state, steps = start or prior(coefficients), []
    settings = FilterSettings(noise_std, NEVER_GATED)
    for hour, observation in zip(hours, observations, strict=True):
        step = filter_step(state, round(hour * HOUR_NS), observation, NO_INPUTS, model, coefficients, settings)
        state = step.state
        steps.append(step)
    return steps


def test_equals_kalman_filter_on_a_linear_plant(
    make_model: MakeModel, make_coefficients: Callable[..., Coefficients]
) -> None:
    """Uneven times, four coefficients, six measurements: filterpy's KalmanFilter gives the same to 1e-9."""
    from filterpy.kalman import KalmanFilter  # noqa: PLC0415 - slow to import

    rng = np.random.default_rng(1)
    matrix, noise_std = rng.normal(size=(6, 4)), np.array([0.1, 1.0, 0.5, 0.1, 2.0, 0.3])
    hours, observations = np.cumsum(rng.uniform(0.1, 5.0, 30)), rng.normal(size=(30, 6))
    steps = _filtered(
        make_model(lambda b: b @ matrix.T, 4, 6), make_coefficients(4, drift=0.2), noise_std, hours, observations
    )
    kalman = KalmanFilter(dim_x=4, dim_z=6)
    kalman.H, kalman.R, kalman.x = matrix, np.diag(noise_std**2), np.zeros(4)
    for hour, before, observation, step in zip(hours, [hours[0], *hours], observations, steps, strict=False):
        kalman.predict(Q=np.eye(4) * 0.2**2 * (hour - before))
        kalman.update(observation)
        np.testing.assert_allclose(step.posterior.mean, kalman.x, atol=1e-9)
        np.testing.assert_allclose(step.posterior.cov, kalman.P, atol=1e-9)
        np.testing.assert_allclose(step.innovation, kalman.y, atol=1e-9)
        np.testing.assert_allclose(step.innovation_std, np.sqrt(np.diag(kalman.S)), atol=1e-9)
        assert step.nis == pytest.approx(float(kalman.y @ kalman.SI @ kalman.y), abs=1e-9)
        assert (step.method, step.dof, step.model_runs) == ("ukf", 6, 9)


def test_equals_filterpys_unscented_filter_on_a_nonlinear_plant(
    make_model: MakeModel, make_coefficients: Callable[..., Coefficients]
) -> None:
    """Step by step, with the same sigma points: somebody else's UKF, which draws them after Q was added."""
    from filterpy.kalman import MerweScaledSigmaPoints, UnscentedKalmanFilter  # noqa: PLC0415 - slow to import

    def curved(b: Floats) -> Floats:
        return np.column_stack([np.hypot(b[:, 0], b[:, 1] + 3.0), b[:, 0] * b[:, 1], np.exp(0.3 * b[:, 1])])

    rng = np.random.default_rng(2)
    observations = curved(np.array([[1.0, 0.5]])) + 0.1 * rng.normal(size=(40, 3))
    coefficients = make_coefficients(2, initial=[0.7, 0.1], initial_std=0.5, drift=0.05)
    steps = _filtered(make_model(curved, 2, 3), coefficients, np.full(3, 0.1), np.arange(40.0), observations)
    points = MerweScaledSigmaPoints(2, alpha=1.0, beta=0.0, kappa=1.0)
    other = UnscentedKalmanFilter(2, 3, 1.0, lambda x: curved(x[np.newaxis])[0], lambda x, _: x, points)
    other.x, other.P, other.R = np.array([0.7, 0.1]), np.eye(2) * 0.25, np.eye(3) * 0.01
    for k, (observation, step) in enumerate(zip(observations, steps, strict=True)):
        other.Q = np.eye(2) * (0.05**2 if k else 0.0)
        other.predict()
        other.update(observation)
        np.testing.assert_allclose(step.posterior.mean, other.x, rtol=1e-9)
        np.testing.assert_allclose(step.posterior.cov, other.P, rtol=1e-7, atol=1e-12)
        np.testing.assert_allclose(step.innovation_std, np.sqrt(np.diag(other.S)), rtol=1e-9)
        assert step.method == "ukf"


def _correlated(n: int, rng: np.random.Generator) -> Gaussian:
    """A prior whose coefficients are anything but independent."""
    mixed = rng.normal(size=(n, n))
    return Gaussian(rng.normal(size=n), 0.05 * mixed @ mixed.T + 0.02 * np.eye(n))


def _with_gaps(observations: Floats, rng: np.random.Generator) -> Floats:
    """A third of the values is missing, and a whole observation."""
    gappy = np.where(rng.random(observations.shape) < 1 / 3, np.nan, observations)
    gappy[len(gappy) // 2] = np.nan
    return gappy


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 4), (2, 2), (3, 7), (6, 2), (9, 9)])
def test_equals_kalman_filter_with_gaps_and_correlated_coefficients(
    make_model: MakeModel, make_coefficients: Callable[..., Coefficients], n: int, m: int
) -> None:
    """More coefficients than measurements or fewer, channels and whole observations missing: filterpy's to 1e-9."""
    from filterpy.kalman import KalmanFilter  # noqa: PLC0415 - slow to import

    rng = np.random.default_rng(10 * n + m)
    matrix, noise_std, start = rng.normal(size=(m, n)), rng.uniform(0.1, 2.0, m), _correlated(n, rng)
    hours, observations = np.cumsum(rng.uniform(0.1, 5.0, 25)), _with_gaps(rng.normal(size=(25, m)), rng)
    coefficients, model = make_coefficients(n, drift=0.2), make_model(lambda b: b @ matrix.T, n, m)
    steps = _filtered(model, coefficients, noise_std, hours, observations, FilterState(None, start))
    kalman = KalmanFilter(dim_x=n, dim_z=m)
    kalman.x, kalman.P = start.mean.copy(), start.cov.copy()
    for hour, before, observation, step in zip(hours, [hours[0], *hours], observations, steps, strict=False):
        kalman.predict(Q=np.eye(n) * 0.2**2 * (hour - before))
        if (seen := np.isfinite(observation)).any():
            kalman.update(observation[seen], R=np.diag(noise_std[seen] ** 2), H=matrix[seen])
            np.testing.assert_allclose(step.innovation[seen], kalman.y, atol=1e-9)
            assert step.nis == pytest.approx(float(kalman.y @ kalman.SI @ kalman.y), abs=1e-9)
        assert step.dof == seen.sum()
        np.testing.assert_allclose(step.posterior.mean, kalman.x, atol=1e-9)
        np.testing.assert_allclose(step.posterior.cov, kalman.P, atol=1e-9)


@pytest.mark.parametrize("m", [2, 3, 6])
def test_equals_filterpys_unscented_filter_with_gaps_and_correlated_coefficients(
    make_model: MakeModel, make_coefficients: Callable[..., Coefficients], m: int
) -> None:
    """Three coefficients in a nonlinear plant of two, three and six measurements, some of them missing."""
    from filterpy.kalman import MerweScaledSigmaPoints, UnscentedKalmanFilter  # noqa: PLC0415 - slow to import

    def curved(b: Floats) -> Floats:
        first, second, third = b.T
        outputs = [first * second, np.hypot(third, 2.0), np.exp(0.3 * second), np.sin(first), third**2, first + third]
        return np.column_stack(outputs)[:, :m]

    rng = np.random.default_rng(m)
    start = _correlated(3, rng)
    observations = _with_gaps(curved(start.mean[np.newaxis]) + 0.3 * rng.normal(size=(20, m)), rng)
    coefficients, model = make_coefficients(3, drift=0.05), make_model(curved, 3, m)
    steps = _filtered(model, coefficients, np.full(m, 0.3), np.arange(20.0), observations, FilterState(None, start))
    points = MerweScaledSigmaPoints(3, alpha=1.0, beta=0.0, kappa=0.0)
    other = UnscentedKalmanFilter(3, m, 1.0, lambda x: x, lambda x, _: x, points)
    other.x, other.P = start.mean.copy(), start.cov.copy()
    for k, (observation, step) in enumerate(zip(observations, steps, strict=True)):
        other.Q = np.eye(3) * (0.05**2 if k else 0.0)
        other.predict()
        if (seen := np.isfinite(observation)).any():
            other.update(
                observation[seen], R=np.eye(seen.sum()) * 0.3**2, hx=lambda x, seen=seen: curved(x[np.newaxis])[0, seen]
            )
        # Both run the model at sigma points of their own square root; in three dimensions with kappa = 0 any root
        # of the covariance gives other points, so these agree only where both take the lower Cholesky factor.
        np.testing.assert_allclose(step.posterior.mean, other.x, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(step.posterior.cov, other.P, rtol=1e-6, atol=1e-10)
        assert step.method in {"ukf", "prediction"}


def test_process_noise_is_in_the_predicted_measurement(
    make_model: MakeModel, make_coefficients: Callable[..., Coefficients]
) -> None:
    """Scalar, Q = 0.09, R = 0.25: posterior variance 0.1116; without Q where it belongs it is Q too large, 0.2016."""
    coefficients = make_coefficients(1, drift=0.3)
    step = _filtered(make_model(lambda b: b, 1, 1), coefficients, np.array([0.5]), np.arange(50.0), np.zeros((50, 1)))[
        -1
    ]
    assert step.posterior.cov[0, 0] == pytest.approx(0.1116, abs=5e-5)
    assert step.posterior.cov[0, 0] + 0.09 == pytest.approx(0.2016, abs=5e-5)
    assert step.innovation_std[0] ** 2 == pytest.approx(0.2016 + 0.25, abs=5e-5)


def test_state_is_none_before_any_observation(make_coefficients: Callable[..., Coefficients]) -> None:
    """The prior has no time: nothing has drifted yet at the first observation, whenever it comes."""
    state = prior(make_coefficients(2, initial_std=0.5))
    assert isinstance(state, FilterState)
    assert state.time_ns is None
    np.testing.assert_array_equal(state.posterior.cov, np.eye(2) * 0.25)
