"""How the state moves between observations: a random walk that the bounds push back.

Belongs here: the time update. It knows elapsed time, never the count of samples.
"""

import numpy as np

from twin_assets.estimation.bounds import Coefficients
from twin_assets.estimation.gaussian import Gaussian, linearized
from twin_assets.model import Floats

# Beyond this many scales from a bound the push is below the rounding of z.
_INTERIOR = 36.0


def drifted(posterior: Gaussian, elapsed_h: float, coefficients: Coefficients) -> Gaussian:
    """The prior of the next observation: what was known, moved on by elapsed time.

    Away from bounds this is the plain random walk, P + drift^2 t. Beyond a bound it is not enough to let z walk: where
    nothing is learnt (a healthy bearing, for months) z would wander ever deeper and not come back when the bearing
    wears. The coefficient cannot do that: it is reflected. So z follows the Langevin equation whose stationary law is
    the one of a uniformly distributed coefficient, p(z) = db/dz,

        dz = (drift^2 / 2) (log p)'(z) dt + drift dW:

    a push of drift^2 / (2 s) back towards the range, which fades within a few scales s inside of the bound. It has no
    parameter of its own. Observations of a coefficient on its bound take z as deep as they can still tell and about a
    scale more; the push holds it there. It is integrated exactly over the elapsed time (see ``_push``), its moments are
    matched by statistical linearization, and then drift^2 t is added.

    Args:
        posterior: of the n states.
        elapsed_h: hours, not negative.
        coefficients: bounds and drift.

    Returns:
        Prior of the n states.
    """
    walked = np.diag(coefficients.drift_std_per_sqrt_hour**2 * elapsed_h)
    pushed = linearized(posterior, lambda state: _push(state, elapsed_h, coefficients))
    return Gaussian(pushed.mean, pushed.cov + walked)


def _push(state: Floats, elapsed_h: float, coefficients: Coefficients) -> Floats:
    """By how much the bounds move states (q, n) within the elapsed time.

    With x = (z - lo) / s and p = sigmoid(x) the noise-free equation is dx/dt = r / (1 + exp(x)), r = drift^2 / (2 s^2).
    It separates: x + exp(x) grows by r t. Each bound acts on its half of the range.
    """
    scale = coefficients.scale
    growth = elapsed_h * (coefficients.drift_std_per_sqrt_hour / scale) ** 2 / 2.0
    from_lower = (state - coefficients.lower) / scale
    from_upper = (coefficients.upper - state) / scale
    near = np.minimum(from_lower, from_upper)
    moves = (near < _INTERIOR) & (growth > 0.0)
    x = np.where(moves, near, 0.0)
    # The two pushes meet in the middle of the range, where neither may overshoot.
    middle = np.maximum((from_lower + from_upper) / 2.0, x)
    away = np.where(moves, np.minimum(_solved(x + np.exp(x) + growth), middle) - x, 0.0)
    return np.asarray(scale * np.where(from_lower <= from_upper, away, -away), dtype=np.float64)


def _solved(k: Floats) -> Floats:
    """The x of x + exp(x) = k, by the Wright omega function (Corless and Jeffrey 2002)."""
    from scipy.special import wrightomega

    omega = wrightomega(k)
    # Two forms of the same number: each keeps the digits that the other one loses.
    with np.errstate(divide="ignore"):
        return np.asarray(np.where(k > 0.0, np.log(omega), k - omega), dtype=np.float64)
