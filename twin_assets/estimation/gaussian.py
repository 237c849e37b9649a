"""Gaussians and the deterministic points that stand for them.

Belongs here: the value that the filter carries, its sigma points, one-dimensional quadrature. What is done with them
is in ``drift``, ``update``, ``iterated`` and ``marginals``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from twin_assets.model import Floats

# Of the 41 nodes those that count: the others' weights are less than a rounding error of the middle one's.
_QUADRATURE_NODES, _SMALLEST_WEIGHT = 41, 1e-16


def frozen(values: ArrayLike) -> Floats:
    """A float64 copy, by rows, that nobody can write to: what frozen dataclasses hold."""
    array = np.array(values, dtype=np.float64, order="C")
    array.setflags(write=False)
    return array


def triangular(*parts: Floats) -> Floats:
    """(n, n) lower triangular root of the sum of A A^T over the parts A (n, k), n columns in all or more.

    By an orthogonal transformation of the roots themselves (Kaminski, Bryson and Schmidt 1971): nothing is squared and
    nothing subtracted, so no rounding makes a covariance indefinite. Its diagonal is not negative.
    """
    from scipy.linalg.lapack import dgeqrf

    n = len(parts[0])
    # NumPy's own function takes five times as long for matrices as small as these.
    lower = np.where(_below_diagonal(n), dgeqrf(np.concatenate(parts, axis=1).T)[0][:n].T, 0.0)
    return np.asarray(lower * np.where(lower.diagonal() < 0.0, -1.0, 1.0), dtype=np.float64)


def solved(matrix: Floats, right: Floats) -> Floats:
    """(n, k) matrix^-1 right, or (n,) of a vector, for a matrix (n, n) that can be inverted."""
    from scipy.linalg.lapack import dgesv

    # As above.
    return np.asarray(dgesv(matrix, right)[2], dtype=np.float64)


def solved_positive(matrix: Floats, right: Floats) -> Floats:
    """(n, k) matrix^-1 right, for a positive definite matrix (n, n)."""
    from scipy.linalg.lapack import dposv

    # As above. (Not so its triangular solver: that starts threads, which wait for each other by spinning.)
    return np.asarray(dposv(matrix, right)[1], dtype=np.float64)


@cache
def _below_diagonal(n: int) -> np.ndarray:
    """(n, n) bool, the diagonal included."""
    return np.tri(n, dtype=bool)


@dataclass(frozen=True, eq=False)
class Gaussian:
    """A normal distribution. What the filter computes with, and hands on, is the root of its covariance.

    Attributes:
        mean: (n,).
        cov: (n, n), symmetric positive definite.
    """

    mean: Floats
    cov: Floats

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", frozen(self.mean))
        object.__setattr__(self, "cov", frozen(self.cov))
        n = self.mean.size
        if self.mean.shape != (n,) or self.cov.shape != (n, n):
            raise ValueError(
                f"a mean (n,) and a covariance (n, n) are expected, found {self.mean.shape} and {self.cov.shape}"
            )

    @classmethod
    def of_root(cls, mean: Floats, root: Floats) -> Self:
        """The normal distribution whose covariance is root root^T, for a root (n, n): no factorization can fail."""
        found = cls(mean, root @ root.T)
        vars(found)["root"] = frozen(root)
        return found

    @cached_property
    def root(self) -> Floats:
        """(n, n) with root root^T = cov: the one that it was made of, otherwise the lower Cholesky factor.

        Raises:
            numpy.linalg.LinAlgError: if a covariance that it was made of is not positive definite.
        """
        return frozen(np.linalg.cholesky(self.cov))

    @cached_property
    def std(self) -> Floats:
        """(n,) marginal standard deviations."""
        return frozen(np.sqrt(self.cov.diagonal()))


@cache
def _rule(n: int) -> Any:  # noqa: ANN401 - filterpy has no types
    # Imported at the first use: filterpy imports scipy.stats, which takes longer than all the rest together.
    from filterpy.kalman import MerweScaledSigmaPoints  # noqa: PLC0415

    # It would factorize a covariance; the root is there already, and comes transposed, as filterpy's does.
    return MerweScaledSigmaPoints(n, alpha=1.0, beta=0.0, kappa=max(0.0, 3.0 - n), sqrt_method=lambda scaled: scaled)


def sigma_points(gaussian: Gaussian) -> tuple[Floats, Floats]:
    """The 2n+1 scaled sigma points (Van der Merwe 2004, as filterpy draws them) and their weights.

    alpha = 1, beta = 0, kappa = max(0, 3 - n): points at sqrt(n + kappa) standard deviations. A symmetric set with
    covariance P has weights 1 / (2 r^2) at radius r, so the mean's weight 1 - n / r^2 is nonnegative exactly when
    r^2 >= n; popular small alphas put it near -1e6, where cancellation eats the digits and covariances turn indefinite.
    This is the narrowest nonnegative choice (for n >= 3 the cubature rule of Arasaratnam and Haykin 2009, whose mean
    point has no weight), and for n <= 3 it matches the fourth moment (Julier and Uhlmann 1997). With beta = 0 mean and
    covariance share one vector of weights.

    Args:
        gaussian: of n dimensions; a covariance that is not positive definite raises ``numpy.linalg.LinAlgError``.

    Returns:
        Points (2n+1, n), the mean first, then mean + r * column and mean - r * column for the columns of the root;
        weights (2n+1,), nonnegative, summing to one.
    """
    n = gaussian.mean.size
    # filterpy scales by r^2 what it takes for a covariance.
    points: Floats = _rule(n).sigma_points(gaussian.mean, gaussian.root.T / sigma_radius(n))
    return points, sigma_weights(n)


def sigma_weights(n: int) -> Floats:
    """(2n+1,) weights of the sigma points, the mean's first."""
    weights: Floats = _rule(n).Wm
    return weights


def sigma_radius(n: int) -> float:
    """How many standard deviations the sigma points lie from the mean."""
    return float(np.sqrt(max(3.0, n)))


@cache
def quadrature() -> tuple[Floats, Floats]:
    """Gauss-Hermite nodes (q, 1) of the standard normal and their weights (q,), which sum to one."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(_QUADRATURE_NODES)
    weights = weights / weights.sum()
    felt = weights > _SMALLEST_WEIGHT
    return frozen(nodes[felt, np.newaxis]), frozen(weights[felt])


@cache
def _moment_weights() -> Floats:
    """(2, q) of the mean and of the first moment."""
    nodes, weights = quadrature()
    return frozen([weights, weights * nodes[:, 0]])


@dataclass(frozen=True, eq=False)
class Linearized:
    """An elementwise function f of a Gaussian z, statistically linearized: f(z) = mean + slope (z - z_mean) + rest.

    Attributes:
        mean: (n,) of f(z).
        slope: (n,) the best ones in the mean square.
        rest_var: (n,) variance of what is not linear; not correlated with z.
        source: z.
    """

    mean: Floats
    slope: Floats
    rest_var: Floats
    source: Gaussian

    @cached_property
    def cov(self) -> Floats:
        """(n, n) of f(z); its diagonal is exact."""
        cov = np.outer(self.slope, self.slope) * self.source.cov
        cov.flat[:: len(cov) + 1] += self.rest_var
        return frozen(cov)

    @cached_property
    def std(self) -> Floats:
        """(n,) standard deviations of f(z), exact."""
        return frozen(np.sqrt(self.slope * self.slope * self.source.cov.diagonal() + self.rest_var))

    @cached_property
    def root(self) -> Floats:
        """(n, 2n) with root root^T = cov."""
        return np.hstack([self.slope[:, np.newaxis] * self.source.root, np.diag(np.sqrt(self.rest_var))])


def linearized(gaussian: Gaussian, change: Callable[[Floats], Floats]) -> Linearized:
    """Statistical linearization of f(z) = z + change(z), elementwise (Gelb 1974, section 6.2; Ito and Xiong 2000).

    Slope and rest carry the moments of every marginal over to the covariance, which stays positive definite.

    Args:
        gaussian: of n dimensions.
        change: elementwise over the last axis, (q, n) -> (q, n).
    """
    return Linearized(*moments(gaussian.mean, gaussian.std, change), gaussian)


def moments(mean: Floats, std: Floats, change: Callable[[Floats], Floats]) -> tuple[Floats, Floats, Floats]:
    """The moments of every marginal, from Gauss-Hermite quadrature. Where there is no change nothing is rounded.

    Args:
        mean: (n,) of z.
        std: (n,) of z, positive.
        change: as above.

    Returns:
        (n,) each: mean of f(z), best slope, variance of what is not linear.
    """
    nodes, weights = quadrature()
    changes = change(mean + nodes * std)
    shift, tilt = _moment_weights() @ changes
    changes -= shift
    changes -= nodes * tilt
    changes *= changes
    return mean + shift, 1.0 + tilt / std, weights @ changes
