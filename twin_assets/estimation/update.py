"""The measurement update, and how unlikely an innovation is.

Belongs here: linear algebra on an affine model; nothing here runs the real one. Whitened, as in ``affine``.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from twin_assets.estimation.affine import Affine
from twin_assets.estimation.bounds import Coefficients, clamped
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
    seen = _seen(model, observation)
    mean, std = prior.mean, prior.std
    for done in range(_ROUNDS):
        new, root = _solved(prior, mean, std, seen, coefficients)
        width = np.linalg.norm(root, axis=1)
        moved = np.maximum(np.abs(new - mean), np.abs(width - std)) / width
        if moved.max() < _SETTLED:
            break
        damped = done >= _UNDAMPED
        mean = (mean + new) / 2.0 if damped else new
        std = np.sqrt((std**2 + width**2) / 2.0) if damped else width
    return Gaussian.of_root(new, triangular(root))


@dataclass(frozen=True, eq=False)
class _Seen:
    """An observation as so many independent ones as there are coefficients, or fewer: what is left of it tells nothing.

    Attributes:
        center: (n,) coefficients about which the model is affine.
        residual: (k,) observed minus predicted there, in standard deviations of the noise and of what is not affine.
        slope: (k, n) of what is predicted.
    """

    center: Floats
    residual: Floats
    slope: Floats


def _seen(model: Affine, observation: Floats) -> _Seen:
    m, n = model.slope.shape
    noise = model.noise_root(np.empty((m, 0)))
    white = np.linalg.solve(noise, np.column_stack([model.slope, observation - model.value]))
    upper = np.linalg.qr(white, mode="r")[: min(m, n)]
    return _Seen(model.center, upper[:, n], upper[:, :n])


def _solved(
    prior: Gaussian, mean: Floats, std: Floats, seen: _Seen, coefficients: Coefficients
) -> tuple[Floats, Floats]:
    """Kalman's update by an orthogonal transformation (square-root information filter: Bierman 1977, chapter V).

    The clamp is linearized about states of means and standard deviations (n,); their correlations play no part. As
    least squares it is |eta|^2 + |xi|^2 + |r - H eta - G xi|^2 with z = mean + root xi and eta for the part of the clamp
    that is not linear. The transformation of [H G; I 0; 0 I] ends in an R with R^T R the information about xi, and root
    R^-1 is a root of the posterior's covariance. The singular values of R are at least one, so it can always be
    inverted, and no covariance is ever formed by a difference.

    Returns:
        The posterior's mean (n,) and a root (n, n) of its covariance.
    """
    n, k = prior.mean.size, seen.residual.size
    expected, slope, rest_var = clamped(mean, std, coefficients)
    stacked = np.zeros((k + 2 * n, 2 * n + 1))
    stacked[:k, :n] = seen.slope * np.sqrt(rest_var)
    stacked[:k, n:-1] = (seen.slope * slope) @ prior.root
    stacked[:k, -1] = seen.residual - seen.slope @ (expected + slope * (prior.mean - mean) - seen.center)
    stacked[k:, :-1].flat[:: 2 * n + 1] = 1.0
    upper = np.linalg.qr(stacked, mode="r")[n : 2 * n, n:]
    root = np.linalg.solve(upper[:, :n].T, prior.root.T).T
    return prior.mean + root @ upper[:, n], root
