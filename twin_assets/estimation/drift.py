"""How the coefficients move between observations: a random walk that the bounds reflect.

Belongs here: the time update. It knows elapsed time, never the count of samples.
"""

import numpy as np

from twin_assets.estimation.bounds import Coefficients, to_physical, to_state
from twin_assets.estimation.gaussian import Gaussian, standard_nodes
from twin_assets.model import Floats

# The reflection is rounded off within this many standard deviations of the walk: the spacing of the quadrature's
# nodes, which cannot see more detail. It keeps the walk from ending on the bound itself, infinitely far away in z.
_ROUNDING = 0.25
_STATE_NODES = 31
# Even: no node at zero, where a state deep beyond the bound would stay what it was.
_WALK_NODES = 32


def drifted(posterior: Gaussian, elapsed_h: float, coefficients: Coefficients) -> Gaussian:
    """The prior of the next observation: what was known, moved on by elapsed time.

    Without bounds, or far from them, this is the random walk, P + drift^2 t. At a bound it is not enough to let z walk:
    where nothing is learnt (a healthy bearing) z would wander ever deeper beyond the bound and not come back when the
    bearing wears. The coefficient cannot do that: it walks in physical units and is reflected. So the moments of

        z' = to_state(reflected(to_physical(z) + N(0, drift^2 t)))

    are matched (statistical linearization: Gelb 1974, section 6.2): mean, variance and the covariance with z of every
    coefficient by Gauss-Hermite quadrature, the covariances among them through the matched slope. However deep z was,
    after elapsed time it is as near to the bound as the walk brings the coefficient; and there is no step size in it,
    long outages included.

    Args:
        posterior: of the n states.
        elapsed_h: hours, not negative.
        coefficients: bounds and drift.

    Returns:
        Prior of the n states.
    """
    walk_std = coefficients.drift_std_per_sqrt_hour * np.sqrt(elapsed_h)
    bounded = np.isfinite(coefficients.lower) | np.isfinite(coefficients.upper)
    if not (bounded & (walk_std > 0.0)).any():
        return Gaussian(posterior.mean, posterior.cov + np.diag(walk_std**2))
    (state_nodes, state_weights), (walk_nodes, walk_weights) = standard_nodes(_STATE_NODES), standard_nodes(_WALK_NODES)
    xi = state_nodes[:, np.newaxis, np.newaxis]
    weights = state_weights[:, np.newaxis] * walk_weights
    before = posterior.mean + xi * posterior.std
    walked = walk_nodes[:, np.newaxis] * walk_std
    # The change that is left to do beside the plain walk, so that nothing is rounded where there is none.
    reflection = _reflection(before, walked, walk_std, coefficients)
    shift = np.tensordot(weights, reflection, axes=2)
    slope = np.tensordot(weights, xi * reflection, axes=2) / posterior.std
    rest = walked + reflection - shift - slope * xi * posterior.std
    gain = 1.0 + slope
    cov = gain[:, np.newaxis] * posterior.cov * gain + np.diag(np.tensordot(weights, rest**2, axes=2))
    return Gaussian(posterior.mean + shift, cov)


def _reflection(before: Floats, walked: Floats, walk_std: Floats, coefficients: Coefficients) -> Floats:
    """(q, r, n) by how much states (q, 1, n) end elsewhere than at ``before + walked`` (r, n)."""
    start = to_physical(before, coefficients)
    end = _reflected(start + walked, walk_std, coefficients)
    return to_state(end, coefficients) - before - walked


def _reflected(values: Floats, walk_std: Floats, coefficients: Coefficients) -> Floats:
    lower, upper = coefficients.lower, coefficients.upper
    width = upper - lower
    # Into the range by reflection at both bounds: a triangle wave; at one bound the absolute value.
    one_sided = ~np.isfinite(width)
    period = np.where(one_sided, 1.0, width)
    wave = lower + np.abs(np.mod(values - lower + period, 2 * period) - period)
    with np.errstate(invalid="ignore"):
        left = np.where(np.isfinite(lower), lower + np.abs(values - lower), values)
        single = np.where(np.isfinite(upper), upper - np.abs(upper - values), left)
    inside = np.where(one_sided, single, wave)
    eps = np.maximum(np.minimum(_ROUNDING * walk_std, width / 20), 1e-300)
    return inside + eps * (
        np.log1p(np.exp(-2 * (inside - lower) / eps)) - np.log1p(np.exp(-2 * (upper - inside) / eps))
    )
