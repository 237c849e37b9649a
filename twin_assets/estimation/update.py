"""The measurement update, and how unlikely an innovation is.

Belongs here: linear algebra on an affine model; nothing here runs the real one. Whitened, as in ``affine``.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from twin_assets.estimation.affine import Affine
from twin_assets.estimation.bounds import Coefficients, physical
from twin_assets.estimation.gaussian import Gaussian, Linearized, triangular
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
        root: (m, m) lower triangular root of its covariance: that of the noise, the identity, and of the prior.
    """

    residual: Floats
    root: Floats

    @property
    def std(self) -> Floats:
        """(m,) standard deviations of the residual."""
        return np.asarray(np.linalg.norm(self.root, axis=1), dtype=np.float64)

    @cached_property
    def _inverse(self) -> Floats:
        """(m, m) root^-1."""
        return np.asarray(np.linalg.solve(self.root, np.eye(self.residual.size)), dtype=np.float64)

    @property
    def nis(self) -> float:
        """Normalised innovation squared: chi-square with m degrees of freedom when the filter is right."""
        white = self._inverse @ self.residual
        return float(white @ white)

    def nis_without_each(self) -> Floats:
        """(m,) the NIS that is left when one channel is dropped, for each of them.

        The inverse of a submatrix by the Schur complement: NIS - (S^-1 r)_j^2 / (S^-1)_jj.
        """
        scaled = self._inverse.T @ (self._inverse @ self.residual)
        return np.asarray(self.nis - scaled**2 / (self._inverse**2).sum(axis=0), dtype=np.float64)


def evidence(believed: Linearized, model: Affine, observation: Floats) -> Evidence:
    """The innovation and its covariance: measurement noise, process noise and linearization error included.

    Args:
        believed: moments of the coefficients, drift included.
        model: affine, of m outputs.
        observation: (m,) whitened.
    """
    return Evidence(observation - model.at(believed.mean), model.noise_root(model.slope @ believed.root))


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
        new = _solved(prior, *_problem(prior, about, model, observation, coefficients))
        moved = np.maximum(np.abs(new.mean - about.mean), np.abs(new.std - about.std)) / new.std
        if moved.max() < _SETTLED:
            break
        about = new if done < _UNDAMPED else Gaussian((about.mean + new.mean) / 2.0, (about.cov + new.cov) / 2.0)
    return Gaussian.of_root(new.mean, triangular(new.root))


def _problem(
    prior: Gaussian, about: Gaussian, model: Affine, observation: Floats, coefficients: Coefficients
) -> tuple[Floats, Floats]:
    """The update as least squares, |xi|^2 + |r - G xi|^2 with z = mean + root xi: G (m, n) and r (m,).

    The clamp is linearized about a Gaussian's mean and standard deviations; its correlations play no part.
    """
    clamp = physical(about, coefficients)
    predicted = model.at(clamp.mean + clamp.slope * (prior.mean - about.mean))
    noise = model.noise_root(model.slope * np.sqrt(clamp.rest_var))
    reach = (model.slope * clamp.slope) @ prior.root
    seen = np.asarray(np.linalg.solve(noise, np.column_stack([reach, observation - predicted])), dtype=np.float64)
    return seen[:, :-1], seen[:, -1]


def _solved(prior: Gaussian, reach: Floats, residual: Floats) -> Gaussian:
    """Kalman's update by an orthogonal transformation (square-root information filter: Bierman 1977, chapter V).

    That of [G; I] gives R with R^T R = I + G^T G, and root R^-1 is a root of the posterior's covariance. The singular
    values of R are at least one, so it can always be inverted, and no covariance is ever formed by a difference.
    """
    n = prior.mean.size
    upper = triangular(reach.T, np.eye(n)).T
    solved = np.asarray(np.linalg.solve(upper.T, np.column_stack([prior.root.T, reach.T @ residual])), dtype=np.float64)
    root = solved[:, :n].T
    return Gaussian.of_root(prior.mean + root @ solved[:, n], root)
