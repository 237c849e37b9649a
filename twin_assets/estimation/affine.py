"""The model near what is believed: affine in the coefficients, with what is left over as further noise.

Belongs here: where the model is run for an update and what is made of its answers. Outputs are in units of the
measurement noise ("whitened"): rad/s and newtons meet at the same scale, and the noise covariance is the identity.
"""

from dataclasses import dataclass

import numpy as np

from twin_assets.estimation.bounds import Coefficients
from twin_assets.estimation.gaussian import (
    Gaussian,
    Linearized,
    sigma_points,
    sigma_radius,
    sigma_weights,
    triangular,
)
from twin_assets.model import Floats

# A coefficient known to sit on its bound hardly moves, and slopes over steps that small would be the model's settling
# error. Its points are spread at least this far, in scales of the clamp.
SMALLEST_SPREAD = 0.1


@dataclass(frozen=True, eq=False)
class Affine:
    """y(b) = value + slope (b - center) + an error of covariance ``error``.

    Attributes:
        center: (n,) coefficients, physical units.
        value: (m,) whitened outputs there.
        slope: (m, n) per physical unit.
        rest: (k, m) whitened, k >= 0: what is not affine, with covariance rest^T rest.
    """

    center: Floats
    value: Floats
    slope: Floats
    rest: Floats

    @property
    def error(self) -> Floats:
        """(m, m) covariance of what is not affine, whitened."""
        return self.rest.T @ self.rest

    def noise_root(self, further: Floats) -> Floats:
        """(m, m) lower triangular root of I + error + further further^T, for further (m, k): positive definite."""
        return triangular(np.eye(self.value.size), self.rest.T, further)

    def at(self, values: Floats) -> Floats:
        """(m,) whitened outputs of coefficients (n,)."""
        return self.value + self.slope @ (values - self.center)

    def only(self, used: np.ndarray) -> "Affine":
        """The rows of the used channels (m,) bool."""
        return Affine(self.center, self.value[used], self.slope[used], self.rest[:, used])


@dataclass(frozen=True, eq=False)
class Cloud:
    """Sigma points of the coefficients, none beyond a bound.

    Attributes:
        points: (2n+1, n) physical units: the center, then center + r f column, then center - r f column.
        root: (n, n) lower triangular root of the covariance that they were drawn from; its columns are the axes.
        fractions: (2n,) f, how much of the way of every point but the center lies within the bounds.
    """

    points: Floats
    root: Floats
    fractions: Floats


def cloud(believed: Linearized, coefficients: Coefficients) -> Cloud:
    """Where to run the model: the unscented filter's own points, except where they would lie beyond a bound.

    Those stop at the bound. The center stays where the coefficients are believed to be: were the whole cloud moved
    inside instead, a line of healthy bearings would be looked at as if all of them were worn.

    Args:
        believed: moments of the coefficients.
        coefficients: bounds.
    """
    n = believed.mean.size
    radius = sigma_radius(n)
    std = believed.std
    wide = np.maximum(std, SMALLEST_SPREAD * coefficients.scale)
    center = inside(believed.mean, coefficients)
    root = triangular(believed.root, np.diag(np.sqrt(wide**2 - std**2)))
    points, _ = sigma_points(Gaussian.of_root(center, root))
    ways = points[1:] - points[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(ways > 0.0, coefficients.upper - points[0], coefficients.lower - points[0]) / ways
    fractions = np.minimum(1.0, np.where(ways == 0.0, 1.0, room).min(axis=1))
    # The clip removes rounding alone.
    within = np.clip(points[0] + fractions[:, np.newaxis] * ways, coefficients.lower, coefficients.upper)
    return Cloud(np.vstack([points[:1], within]), ways[:n].T / radius, fractions)


def inside(values: Floats, coefficients: Coefficients) -> Floats:
    """(n,) values (n,), but half a step off the bounds: on one, in a corner of two, no way might be left."""
    inset = SMALLEST_SPREAD / 2.0 * coefficients.scale
    return np.asarray(np.clip(values, coefficients.lower + inset, coefficients.upper - inset), dtype=np.float64)


def fitted(drawn: Cloud, outputs: Floats) -> Affine:
    """Statistical linear regression of the outputs on sigma points (Lefebvre, Bruyninckx and De Schutter 2002).

    Args:
        drawn: n coefficients' sigma points.
        outputs: (2n+1, m) whitened, at the points.
    """
    n = len(drawn.root)
    weights = sigma_weights(n)
    far = sigma_radius(n) * drawn.fractions
    # In the coordinates of the points the slopes are differences; no covariance has to be inverted.
    along = (outputs[1 : n + 1] - outputs[n + 1 :]) / (far[:n] + far[n:])[:, np.newaxis]
    bent = outputs - outputs[0]
    bent[1 : n + 1] -= far[:n, np.newaxis] * along
    bent[n + 1 :] += far[n:, np.newaxis] * along
    rest = np.sqrt(weights)[:, np.newaxis] * (bent - weights @ bent)
    slope = np.asarray(np.linalg.solve(drawn.root.T, along).T, dtype=np.float64)
    return Affine(drawn.points[0], outputs[0] + weights @ bent, slope, rest)
