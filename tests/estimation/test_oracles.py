"""The filter against filters that somebody else wrote, and against published numbers."""

from collections.abc import Callable

import numpy as np
import pytest

from twin_assets.estimation import Coefficients, FilterSettings, FilterState, Step, filter_step, prior
from twin_assets.model import Floats, PredictiveModel

MakeModel = Callable[[Callable[[Floats], Floats], int, int], PredictiveModel]
HOUR_NS = 3_600_000_000_000
NO_INPUTS = np.empty(0)
NEVER_GATED = 1e-300
# Annual flow of the Nile at Aswan, 1871-1970, 1e8 m3 (Cobb 1978).
# fmt: off
NILE = np.array([
    1120, 1160, 963, 1210, 1160, 1160, 813, 1230, 1370, 1140, 995, 935, 1110, 994, 1020, 960, 1180, 799, 958, 1140,
    1100, 1210, 1150, 1250, 1260, 1220, 1030, 1100, 774, 840, 874, 694, 940, 833, 701, 916, 692, 1020, 1050, 969,
    831, 726, 456, 824, 702, 1120, 1100, 832, 764, 821, 768, 845, 864, 862, 698, 845, 744, 796, 1040, 759,
    781, 865, 845, 944, 984, 897, 822, 1010, 771, 676, 649, 846, 812, 742, 801, 1040, 860, 874, 848, 890,
    744, 749, 838, 1050, 918, 986, 797, 923, 975, 815, 1020, 906, 901, 1170, 912, 746, 919, 718, 714, 740,
], dtype=float)
# fmt: on


def _filtered(
    model: PredictiveModel,
    coefficients: Coefficients,
    noise_std: Floats,
    hours: Floats,
    observations: Floats,
) -> list[Step]:
    """Filter observations (t, m) at times in hours (t,)."""
    state, steps = prior(coefficients), []
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


def test_nile_local_level_has_the_published_numbers(
    make_model: MakeModel, make_coefficients: Callable[..., Coefficients]
) -> None:
    """Durbin and Koopman (2012, chapter 2): second level 1118.3, filtered variance to 4032.2, log-likelihood -632.5.

    A year is an hour here; variances 15099 (observation) and 1469.1 (level), diffuse start of variance 1e7.
    """
    coefficients = make_coefficients(1, initial_std=np.sqrt(1e7), drift=np.sqrt(1469.1))
    steps = _filtered(
        make_model(lambda b: b, 1, 1), coefficients, np.sqrt([15099.0]), np.arange(100.0), NILE[:, np.newaxis]
    )
    assert steps[0].posterior.mean[0] == pytest.approx(1118.3, abs=0.05)
    assert steps[-1].posterior.cov[0, 0] == pytest.approx(4032.2, abs=0.1)
    likelihood = -0.5 * sum(np.log(2 * np.pi * s.innovation_std[0] ** 2) + s.nis for s in steps[1:])
    assert likelihood == pytest.approx(-632.5, abs=0.1)


def test_state_is_none_before_any_observation(make_coefficients: Callable[..., Coefficients]) -> None:
    """The prior has no time: nothing has drifted yet at the first observation, whenever it comes."""
    state = prior(make_coefficients(2, initial_std=0.5))
    assert isinstance(state, FilterState)
    assert state.time_ns is None
    np.testing.assert_array_equal(state.posterior.cov, np.eye(2) * 0.25)
