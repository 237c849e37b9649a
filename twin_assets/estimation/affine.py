"""The model near what is believed: affine in the coefficients, with what is left over as further noise.

Belongs here: where the model is run for an update and what is made of its answers. Outputs are in units of the
measurement noise ("whitened"): rad/s and newtons meet at the same scale, and the noise covariance is the identity.
"""

from dataclasses import dataclass

import numpy as np

from twin_assets.estimation.bounds import Coefficients
from twin_assets.estimation.gaussian import Gaussian, Linearized, sigma_points, sigma_radius, sigma_weights
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
        error: (m, m) covariance of what is not affine, whitened.
    """

    center: Floats
    value: Floats
    slope: Floats
    error: Floats

    def at(self, values: Floats) -> Floats:
        """(m,) whitened outputs of coefficients (n,)."""
        return self.value + self.slope @ (values - self.center)

    def only(self, used: np.ndarray) -> "Affine":
        """The rows of the used channels (m,) bool."""
        return Affine(self.center, self.value[used], self.slope[used], self.error[np.ix_(used, used)])


def cloud(believed: Linearized, coefficients: Coefficients) -> tuple[Floats, Floats]:
    """Where to run the model: the sigma points of the coefficients, moved inside their bounds.

    Away from bounds these are the unscented filter's own points. A cloud that would reach across a bound is shifted,
    and narrowed where the whole range is smaller: the slope is then taken over the nearest values that can be.

    Args:
        believed: moments of the coefficients.
        coefficients: bounds.

    Returns:
        Points (2n+1, n) within the bounds, physical units, the center first; the lower Cholesky factor (n, n) of their
        covariance.
    """
    std = np.sqrt(np.diag(believed.cov))
    wide = np.maximum(std, SMALLEST_SPREAD * coefficients.scale)
    radius = sigma_radius(std.size)
    fit = np.minimum(1.0, (coefficients.upper - coefficients.lower) / (2.0 * radius * wide))
    cov = fit[:, np.newaxis] * (believed.cov + np.diag(wide**2 - std**2)) * fit
    reach = radius * fit * wide
    center = np.clip(believed.mean, coefficients.lower + reach, coefficients.upper - reach)
    points, _ = sigma_points(Gaussian(center, cov))
    # The clip removes rounding alone.
    inside = np.clip(points, coefficients.lower, coefficients.upper)
    return inside, np.asarray(np.linalg.cholesky(cov), dtype=np.float64)


def fitted(points: Floats, root: Floats, outputs: Floats) -> Affine:
    """Statistical linear regression of the outputs on sigma points (Lefebvre, Bruyninckx and De Schutter 2002).

    Args:
        points: (2n+1, n) as ``cloud`` gives them.
        root: (n, n) lower Cholesky factor of their covariance.
        outputs: (2n+1, m) whitened.
    """
    n = len(root)
    radius = sigma_radius(n)
    weights = sigma_weights(n)
    value = weights @ outputs
    # In the coordinates of the points the slopes are central differences; no covariance has to be inverted.
    along = (outputs[1 : n + 1] - outputs[n + 1 :]).T / (2.0 * radius)
    unit = radius * np.vstack([np.zeros((1, n)), np.eye(n), -np.eye(n)])
    rest = np.sqrt(weights)[:, np.newaxis] * (outputs - value - unit @ along.T)
    slope = np.asarray(np.linalg.solve(root.T, along.T).T, dtype=np.float64)
    return Affine(points[0], value, slope, rest.T @ rest)
