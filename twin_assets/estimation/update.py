"""The measurement update, and how unlikely an innovation is.

Belongs here: linear algebra on an affine model; nothing here runs the real one. Whitened, as in ``affine``.
"""

from dataclasses import dataclass

import numpy as np

from twin_assets.estimation.affine import Affine
from twin_assets.estimation.bounds import Coefficients, physical
from twin_assets.estimation.gaussian import Gaussian, Linearized
from twin_assets.model import Floats

# Rounds of linearizing the clamp: two away from bounds, ten to thirty at one, damped after these many. They are cheap.
_ROUNDS, _UNDAMPED = 50, 10
# Settled when no mean and no standard deviation moves by more than this part of a standard deviation.
_SETTLED = 1e-3


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


def evidence(believed: Linearized, model: Affine, observation: Floats) -> Evidence:
    """The innovation and its covariance: measurement noise, process noise and linearization error included.

    Args:
        believed: moments of the coefficients, drift included.
        model: affine, of m outputs.
        observation: (m,) whitened.
    """
    cov = np.eye(observation.size) + model.error + model.slope @ believed.cov @ model.slope.T
    return Evidence(observation - model.at(believed.mean), cov)


def updated(prior: Gaussian, model: Affine, observation: Floats, coefficients: Coefficients) -> Gaussian:
    """The posterior of the states.

    Without bounds this is the update of the unscented Kalman filter (Julier and Uhlmann 1997), written with the
    statistical linear regression that it amounts to. Near a bound the clamp is curved on the scale of the prior, and a
    single linearization biases what is on the bound away from it. The clamp costs no model runs, so it is linearized
    again about the posterior until that no longer moves (iterated posterior linearization: Garcia-Fernandez, Svensson,
    Morelande and Sarkka 2015); the rounds are damped once they should have settled.

    Args:
        prior: of the n states.
        model: affine, of m >= 1 outputs.
        observation: (m,) whitened.
        coefficients: bounds.
    """
    about = prior
    for done in range(_ROUNDS):
        new = _once(prior, about, model, observation, coefficients)
        moved = np.maximum(np.abs(new.mean - about.mean), np.abs(new.std - about.std)) / new.std
        if done >= _UNDAMPED:
            new = Gaussian((about.mean + new.mean) / 2.0, (about.cov + new.cov) / 2.0)
        about = new
        if moved.max() < _SETTLED:
            break
    return about


def _once(prior: Gaussian, about: Gaussian, model: Affine, observation: Floats, coefficients: Coefficients) -> Gaussian:
    """Kalman's update with the clamp linearized about a Gaussian.

    Joseph's form: positive definite whatever is rounded, since it is a sum of squares.
    """
    clamp = physical(about, coefficients)
    slope = model.slope * clamp.slope
    predicted = model.at(clamp.mean + clamp.slope * (prior.mean - about.mean))
    noise = np.eye(observation.size) + model.error + (model.slope * clamp.rest_var) @ model.slope.T
    gain = np.linalg.solve(slope @ prior.cov @ slope.T + noise, slope @ prior.cov).T
    left = np.eye(prior.mean.size) - gain @ slope
    cov = left @ prior.cov @ left.T + gain @ noise @ gain.T
    return Gaussian(prior.mean + gain @ (observation - predicted), (cov + cov.T) / 2.0)
