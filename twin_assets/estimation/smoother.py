"""Looking back: what later observations tell about earlier coefficients.

Belongs here: the unscented Rauch-Tung-Striebel smoother (Rauch, Tung and Striebel 1965; Sarkka 2008, *Unscented
Rauch-Tung-Striebel smoother*), from the filter's posteriors alone. It runs no model: what the observations told is in
the posteriors already.

Between two observations a state z moves to z' = m' + F (z - m) + w, with F diagonal and w of covariance Q, as ``drift``
says it; at a bound that is the reflected walk, statistically linearized. So the unscented transform is exact, its
cross-covariance P F, and with the prior P' = F P F + Q

    G = P F P'^-1,  m_s = m + G (m_s' - m'),  P_s = (P - G P' G^T) + G P_s' G^T.

What is in parentheses, the covariance of z where z' is known, is never computed by that difference. The root of the
joint covariance of z' and z, made triangular, holds it (Park and Kailath 1995, *Square-root RTS smoothing
algorithms*): with L the root of P,

    [F L, Q^1/2; L, 0] = [R, 0; X, Y] (orthogonal),  so that  P' = R R^T,  G = X R^-1,  P - G P' G^T = Y Y^T.
"""

from collections.abc import Sequence

import numpy as np

from twin_assets.estimation.adaptive import Pace, at_work
from twin_assets.estimation.bounds import Coefficients
from twin_assets.estimation.drift import drift
from twin_assets.estimation.gaussian import Gaussian, triangular
from twin_assets.estimation.state import elapsed_h


def smoothed(
    times_ns: Sequence[int],
    posteriors: Sequence[Gaussian],
    coefficients: Coefficients,
    paces: Sequence[Pace | None] | None = None,
) -> list[Gaussian]:
    """The states at each observation, from all observations up to the last one (fixed-interval smoothing).

    Observations that came after the last one are not known here: the last state is the filter's own.

    Args:
        times_ns: (s,) of the observations, UTC nanoseconds since 1970, increasing.
        posteriors: (s,) of the n states after each of them, as ``filter_step`` gave them one after the other. What the
            filter held at its prior (``FilterSettings.hold``) did not drift: such posteriors would be smoothed wrongly.
        coefficients: bounds and drift, the filter's.
        paces: (s,) what was believed of drift after each of them, where it was adapted: it was at work until the next.

    Returns:
        (s,) Gaussians of the n states; no variance is larger than the filter's where its updates made none larger.

    Raises:
        ValueError: when there is not one posterior a time, or time does not advance.
    """
    if len(times_ns) != len(posteriors):
        raise ValueError(f"one posterior a time is expected, found {len(times_ns)} times, {len(posteriors)} posteriors")
    found, believed = list(posteriors[-1:]), paces or [None] * len(posteriors)
    for i in range(len(posteriors) - 2, -1, -1):
        hours = elapsed_h(times_ns[i], times_ns[i + 1])
        found.append(_looked_back(posteriors[i], found[-1], hours, at_work(coefficients, believed[i])))
    return found[::-1]


def _looked_back(posterior: Gaussian, later: Gaussian, hours: float, coefficients: Coefficients) -> Gaussian:
    """A posterior, with what is known of the state some hours ``later`` (smoothed)."""
    moved, n = drift(posterior, hours, coefficients), posterior.mean.size
    joint = np.zeros((2 * n, 2 * n))
    joint[:n, :n] = moved.kept[:, np.newaxis] * posterior.root
    joint[:n, n:] = np.diag(moved.added_std)
    joint[n:, :n] = posterior.root
    joint = triangular(joint)
    gain = np.linalg.solve(joint[:n, :n].T, joint[n:, :n].T).T
    mean = posterior.mean + gain @ (later.mean - moved.mean)
    return Gaussian.of_root(mean, triangular(joint[n:, n:], gain @ later.root))
