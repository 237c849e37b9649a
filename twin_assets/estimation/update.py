"""The measurement update, and how unlikely an innovation is.

Belongs here: linear algebra on an affine model; nothing here runs the real one. Whitened, as in ``affine``.
"""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from twin_assets.estimation.affine import Affine
from twin_assets.estimation.bounds import Coefficients, clamped
from twin_assets.estimation.gaussian import Gaussian, Linearized, frozen, solved, solved_positive, triangular
from twin_assets.model import Floats

# Rounds of linearizing the clamp: two away from bounds, ten to thirty at one, damped after these many. They are cheap.
_ROUNDS, _UNDAMPED = 50, 10
# Settled when no mean and no standard deviation moves by more than this part of a standard deviation; what is left is
# a quarter of that as a rule.
_SETTLED = 1e-2
# So many times as many channels as coefficients are worth a transformation that leaves as many.
_MANY = 2
# Of the normal equations: eight of sixteen digits are left.
_ILL_CONDITIONED = 1e8


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
    def inverse(self) -> Floats:
        """(m, m) root^-1."""
        return solved(self.root, _eye(self.residual.size))

    @cached_property
    def nis(self) -> float:
        """Normalised innovation squared: chi-square with m degrees of freedom when the filter is right."""
        white = self.inverse @ self.residual
        return float(white @ white)

    def nis_without_each(self) -> Floats:
        """(m,) the NIS that is left when one channel is dropped, for each of them.

        The inverse of a submatrix by the Schur complement: NIS - (S^-1 r)_j^2 / (S^-1)_jj.
        """
        scaled = self.inverse.T @ (self.inverse @ self.residual)
        return np.asarray(self.nis - scaled**2 / (self.inverse**2).sum(axis=0), dtype=np.float64)


def evidence(believed: Linearized, model: Affine, observation: Floats) -> Evidence:
    """The innovation and its covariance: measurement noise, process noise and linearization error included.

    Args:
        believed: moments of the coefficients, drift included.
        model: affine, of m outputs.
        observation: (m,) whitened.
    """
    return Evidence(observation - model.at(believed.mean), model.noise_root(model.slope @ believed.root))


def updated(
    prior: Gaussian, model: Affine, observation: Floats, coefficients: Coefficients, about: Gaussian | None = None
) -> Gaussian:
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
        about: where the posterior is expected, if anywhere; it is found in fewer rounds then.
    """
    seen = _seen(model, observation)
    about = about or prior
    mean, std = about.mean, about.std
    for done in range(_ROUNDS):
        reach, noise, residual = _linear(prior, mean, std, seen, coefficients)
        new, width = _roughly_solved(prior, reach, noise, residual)
        moved = np.maximum(np.abs(new - mean), np.abs(width - std)) / width
        if moved.max() < _SETTLED:
            break
        damped = done >= _UNDAMPED
        mean = (mean + new) / 2.0 if damped else new
        std = np.sqrt((std**2 + width**2) / 2.0) if damped else width
    return _solved(prior, reach, noise, residual)


@dataclass(frozen=True, eq=False)
class _Seen:
    """An observation as few independent ones; what is left of many tells nothing of n coefficients.

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
    both = np.column_stack([model.slope, observation - model.value])
    white = solved(noise, both)
    if m > _MANY * n:
        white = np.asarray(np.linalg.qr(white, mode="r"), dtype=np.float64)[:n]
    return _Seen(model.center, white[:, n], white[:, :n])


def _linear(
    prior: Gaussian, mean: Floats, std: Floats, seen: _Seen, coefficients: Coefficients
) -> tuple[Floats, Floats, Floats]:
    """G (k, n), H (k, n) and r (k,) of the update as least squares, |xi|^2 + |eta|^2 + |r - G xi - H eta|^2.

    The state is mean + root xi. The clamp is linearized about states of means and standard deviations (n,), whose
    correlations play no part; eta is what of it is not linear.
    """
    expected, slope, rest_var = clamped(mean, std, coefficients)
    residual = seen.residual - seen.slope @ (expected + slope * (prior.mean - mean) - seen.center)
    return (seen.slope * slope) @ prior.root, seen.slope * np.sqrt(rest_var), residual


def _roughly_solved(prior: Gaussian, reach: Floats, noise: Floats, residual: Floats) -> tuple[Floats, Floats]:
    """The posterior's means and standard deviations (n,): where to linearize the clamp next.

    By the normal equations, which take a third of the time, unless their rounding could be seen.
    """
    if np.vdot(reach, reach) + np.vdot(noise, noise) > _ILL_CONDITIONED:
        found = _solved(prior, reach, noise, residual)
        return found.mean, found.std
    n, k = prior.mean.size, residual.size
    told = np.empty((k, n + 1))
    told[:, :n], told[:, n] = reach, residual
    information = reach.T @ solved_positive(noise @ noise.T + _eye(k), told)
    told = np.empty((n, n + 1))
    told[:, :n], told[:, n] = prior.root.T, information[:, n]
    solved = solved_positive(information[:, :n] + _eye(n), told)
    variance = np.einsum("ij,ji->i", prior.root, solved[:, :n])
    return prior.mean + prior.root @ solved[:, n], np.sqrt(variance)


def _solved(prior: Gaussian, reach: Floats, noise: Floats, residual: Floats) -> Gaussian:
    """Kalman's update by an orthogonal transformation (square-root covariance filter: Kaminski, Bryson, Schmidt 1971).

    That of the rows of [I H G; 0 0 root] makes them [S 0; K P], lower triangular: S is a root of the innovation's
    covariance, P one of the posterior's, K S^-1 the gain. No covariance is ever formed by a difference, and S can
    always be inverted, for its singular values are at least one.
    """
    n, k = prior.mean.size, residual.size
    rows = np.zeros((k + n, k + 2 * n))
    rows[:k, :k], rows[:k, k:-n], rows[:k, -n:], rows[k:, -n:] = _eye(k), noise, reach, prior.root
    lower = triangular(rows)
    return Gaussian.of_root(prior.mean + lower[k:, :k] @ solved(lower[:k, :k], residual), lower[k:, k:])


@cache
def _eye(n: int) -> Floats:
    return frozen(np.eye(n))
