"""The measurement update on sigma points, and how unlikely an innovation is.

Belongs here: linear algebra on predictions that were already made; nothing here runs a model. Everything is in units
of the measurement noise ("whitened"), so that rad/s and newtons meet at the same scale and R is the identity.
"""

from dataclasses import dataclass

import numpy as np

from twin_assets.estimation.gaussian import Gaussian
from twin_assets.model import Floats


@dataclass(frozen=True, eq=False)
class Prediction:
    """The sigma points of the prior and what the model says about them.

    Attributes:
        points: (k, n) states, the mean first.
        weights: (k,) nonnegative.
        outputs: (k, m) predicted measurements, physical units.
    """

    points: Floats
    weights: Floats
    outputs: Floats

    @property
    def mean(self) -> Floats:
        """(m,) predicted measurement."""
        return np.asarray(self.weights @ self.outputs, dtype=np.float64)

    def spread(self, noise_std: Floats) -> Floats:
        """(m,) standard deviation of the innovation, measurement noise included."""
        return np.sqrt(self.weights @ (self.outputs - self.mean) ** 2 + noise_std**2)


@dataclass(frozen=True, eq=False)
class Evidence:
    """A whitened innovation with its covariance.

    Attributes:
        residual: (m,) observed minus predicted, in noise standard deviations.
        cov: (m, m) its covariance, positive definite: the identity plus what the prior adds.
    """

    residual: Floats
    cov: Floats

    @property
    def nis(self) -> float:
        """Normalised innovation squared: chi-square with m degrees of freedom when the filter is right."""
        return float(self.residual @ np.linalg.solve(self.cov, self.residual))

    def nis_without_each(self) -> Floats:
        """(m,) the NIS that is left when one channel is dropped, for each of them.

        The inverse of a submatrix by the Schur complement: NIS - (S^-1 r)_j^2 / (S^-1)_jj.
        """
        inverse = np.linalg.inv(self.cov)
        return np.asarray(self.nis - (inverse @ self.residual) ** 2 / np.diag(inverse), dtype=np.float64)


def evidence(prediction: Prediction, observation: Floats, noise_std: Floats, used: np.ndarray) -> Evidence:
    """The innovation of the used channels and its covariance, measurement and process noise included.

    The points were drawn after the drift was added, so the process noise is in their spread.

    Args:
        prediction: of m measurements.
        observation: (m,) finite where used.
        noise_std: (m,).
        used: (m,) bool.
    """
    deviation = ((prediction.outputs - prediction.mean) / noise_std)[:, used]
    residual = ((observation - prediction.mean) / noise_std)[used]
    cov = np.eye(residual.size) + deviation.T @ (prediction.weights[:, np.newaxis] * deviation)
    return Evidence(residual, cov)


def updated(
    prior: Gaussian, prediction: Prediction, observation: Floats, noise_std: Floats, used: np.ndarray
) -> Gaussian:
    """The posterior of the unscented Kalman filter (Julier and Uhlmann 1997) from the used channels.

    P - K S K' is written as a sum of squares, sum_i w_i (dx_i - K dy_i)(dx_i - K dy_i)' + K R K' (Joseph's form for
    sigma points): equal in exact arithmetic, and positive definite in any, because no weight is negative.

    Args:
        prior: of the n states, from which the prediction's points were drawn.
        prediction: of m measurements.
        observation: (m,) finite where used.
        noise_std: (m,).
        used: (m,) bool, at least one.
    """
    found = evidence(prediction, observation, noise_std, used)
    dx = prediction.points - prior.mean
    dy = ((prediction.outputs - prediction.mean) / noise_std)[:, used]
    cross = dx.T @ (prediction.weights[:, np.newaxis] * dy)
    gain = np.linalg.solve(found.cov, cross.T).T
    rest = np.sqrt(prediction.weights)[:, np.newaxis] * (dx - dy @ gain.T)
    return Gaussian(prior.mean + gain @ found.residual, symmetric(rest.T @ rest + gain @ gain.T))


def symmetric(cov: Floats) -> Floats:
    """Remove what rounding left between a matrix and its transpose."""
    return np.asarray((cov + cov.T) / 2.0, dtype=np.float64)
