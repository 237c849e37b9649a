"""How fast coefficients drift, found from the innovations: each one's own factor on the drift that was given.

The likelihood of the innovations hangs on the drift in two ways: through what the last step of it adds to their
covariance, and through all that earlier steps did to the estimate and its covariance. The second is what tells slow
drifts, and noise from drift: a filter that drifts too slowly lags, and its innovations keep their sign. So one does not
look at the size of innovations alone (covariance matching), but at the derivatives of mean and covariance by the
logarithm of each drift, carried along beside the filter: the score of the exact likelihood (Gupta and Mehra 1974,
*Computational aspects of maximum likelihood estimation*), step by step, with Fisher's information for the size of the
step (recursive prediction error method: Ljung and Soderstrom 1983). With dm, dP the derivatives of the prior,
s = A' S^-1 r and M = A' S^-1 A of the innovation r, A the model's slope by the states,

    score = (s' dP s - tr(M dP)) / 2 + dm' s,   information = tr(M dP M dP) / 2 + dm' M dm,

and through the update, which multiplies by T = P' P^-1 (P before it, P' after it),

    dm -> T (dm + dP s),   dP -> T dP T',   and the next drift adds 2 drift^2 dt to dP.

Of each coefficient's derivatives its own are kept, dm_j and dP_jj: in plants of three and nine coefficients all of them
found the same factors, and no better intervals. One factor for all of a twin is not enough: where one of three
coefficients moves five times as fast, 95 % intervals held it 88 to 93 % of the time, and the others 98 to 99 %.

A surprise counts as one of three standard deviations of the innovations' chi-square at most, gated or not: outliers,
jumps and kinks are no drift. But what is gated again and again is, so a drift that is far too small is found, too.

Belongs here: the belief, and how an observation changes it. Nothing here runs the model.
"""

from dataclasses import dataclass, replace

import numpy as np

from twin_assets.estimation.bounds import Coefficients
from twin_assets.estimation.drift import drift
from twin_assets.estimation.gaussian import Gaussian, frozen, triangular
from twin_assets.estimation.update import Evidence
from twin_assets.model import Floats

MOST = 30.0
"""The factor lies between 1 / MOST and MOST."""
# What is believed at first: a factor of e^1.5 = 4.5, either way, is one standard deviation. After so many observations
# of another drift it is as likely as not: what was learnt is forgotten towards what was given.
_FIRST_LOG_STD, _MEMORY = 1.5, 1000.0
# No observation moves the logarithm by more.
_LONGEST_STEP = 0.5
# Of the NIS: its mean and so many standard deviations are the largest surprise that counts.
_SURPRISE = 3.0


@dataclass(frozen=True, eq=False)
class Pace:
    """What is believed of the drift of n coefficients.

    Attributes:
        log_drift: (n,) logarithm of the drift's standard deviation after one hour; NaN where there is none.
        precision: (n,) of that: one over its variance.
        mean_slope: (n,) derivative of each posterior mean by its own log_drift.
        var_slope: (n,) the same of each posterior variance.
    """

    log_drift: Floats
    precision: Floats
    mean_slope: Floats
    var_slope: Floats

    def __post_init__(self) -> None:
        for name in ("log_drift", "precision", "mean_slope", "var_slope"):
            object.__setattr__(self, name, frozen(getattr(self, name)))

    def factor(self, coefficients: Coefficients) -> Floats:
        """(n,) the drift that the filter works with over the one that was given; 1 where there is none."""
        with np.errstate(divide="ignore"):
            given = np.log(coefficients.drift_std_per_sqrt_hour)
        return np.where(np.isfinite(given), np.exp(_within(self.log_drift, given) - given), 1.0)


@dataclass(frozen=True, eq=False)
class Surprise:
    """An innovation of m measured channels, and what it was expected of.

    Attributes:
        prior: of the n states.
        expected: whitened innovation of the channels, before any was judged; NaN where missing.
        slope: (m, n) of the whitened outputs by the states.
    """

    prior: Gaussian
    expected: Evidence
    slope: Floats

    def of_first(self, n: int) -> "Surprise":
        """The same of the first n states, where the others do not hang on them before the innovation."""
        if n == self.prior.mean.size:
            return self
        return Surprise(
            Gaussian.of_root(self.prior.mean[:n], self.prior.root[:n, :n]), self.expected, self.slope[:, :n]
        )


def at_work(coefficients: Coefficients, pace: Pace | None) -> Coefficients:
    """Coefficients with the drift that is believed; as they are without a belief."""
    if pace is None:
        return coefficients
    return replace(
        coefficients,
        drift_std_per_sqrt_hour=coefficients.drift_std_per_sqrt_hour * pace.factor(coefficients),
    )


def given_pace(coefficients: Coefficients) -> Pace:
    """What is believed before any observation: the drift that was given, roughly."""
    n, given = len(coefficients.names), coefficients.drift_std_per_sqrt_hour
    with np.errstate(divide="ignore"):
        log_drift = np.where(given > 0.0, np.log(given), np.nan)
    nothing = np.zeros(n)
    return Pace(log_drift, np.full(n, _FIRST_LOG_STD**-2), nothing, nothing)


def learnt_pace(
    pace: Pace | None,
    before: Gaussian,
    elapsed_h: float,
    posterior: Gaussian,
    coefficients: Coefficients,
    seen: Surprise | None,
) -> Pace:
    """The belief after an observation.

    Args:
        pace: before it; None before any.
        before: posterior of the observation before.
        elapsed_h: hours since then.
        posterior: of this observation.
        coefficients: with the drift that was given.
        seen: what was measured; None where nothing was, or the model was silent.
    """
    first = given_pace(coefficients)
    pace = first if pace is None else pace
    # A drift that twin.yaml gives another value of goes on from what was learnt of it, within the new bounds.
    log_drift = _within(pace.log_drift, first.log_drift)
    moved = drift(before, elapsed_h, at_work(coefficients, pace))
    mean_slope = moved.kept * pace.mean_slope
    var_slope = moved.kept**2 * pace.var_slope + 2.0 * np.where(np.isfinite(first.log_drift), moved.added_std**2, 0.0)
    if seen is None:
        return Pace(log_drift, pace.precision, mean_slope, var_slope)
    white, residual = _whitened(seen)
    limited, share = _limited(residual)
    told, size = white.T @ limited, (white**2).sum(axis=0)
    score = (told**2 / share - size) * var_slope / 2.0 + told * mean_slope
    gained = (size * var_slope) ** 2 / 2.0 + size * mean_slope**2
    back = first.precision / _MEMORY
    precision = pace.precision * (1.0 - 1.0 / _MEMORY) + back + gained
    step = (score - back * (log_drift - first.log_drift)) / precision
    log_drift = _within(log_drift + np.clip(step, -_LONGEST_STEP, _LONGEST_STEP), first.log_drift)
    kept, used = _through(seen.prior, posterior)
    return Pace(log_drift, precision, kept * (mean_slope + var_slope * used), kept**2 * var_slope)


def _within(log_drift: Floats, given: Floats) -> Floats:
    """(n,) a belief within the bounds about what is given (n,); that itself where nothing is believed yet."""
    reach = np.log(MOST)
    given = np.where(np.isfinite(given), given, np.nan)
    return np.clip(np.where(np.isnan(log_drift), given, log_drift), given - reach, given + reach)


def _whitened(seen: Surprise) -> tuple[Floats, Floats]:
    """S^-1/2 A (k, n) and S^-1/2 r (k,) of the k measured channels."""
    measured = np.isfinite(seen.expected.residual)
    root = triangular(seen.expected.root[measured])
    both = np.column_stack([seen.slope[measured], seen.expected.residual[measured]])
    white = np.asarray(np.linalg.solve(root, both), dtype=np.float64)
    return white[:, :-1], white[:, -1]


def _limited(residual: Floats) -> tuple[Floats, float]:
    """A whitened innovation (k,), no longer than counts, and the part of chi-square's mean that is left on average."""
    from scipy.special import chdtr

    k, nis = residual.size, float(residual @ residual)
    most = k + _SURPRISE * np.sqrt(2.0 * k)
    share = float(chdtr(k + 2, most) + most * (1.0 - chdtr(k, most)) / k)
    return residual * (np.sqrt(most / nis) if nis > most else 1.0), share


def _through(prior: Gaussian, posterior: Gaussian) -> tuple[Floats, Floats]:
    """(n,) what the update left of each coefficient's own error, and P^-1 (m' - m), by what was used."""
    inverse = np.linalg.solve(prior.root, np.eye(prior.mean.size))
    precision = inverse.T @ inverse
    kept = np.clip(np.einsum("ij,ji->i", posterior.cov, precision), 0.0, 1.0)
    return kept, precision @ (posterior.mean - prior.mean)
