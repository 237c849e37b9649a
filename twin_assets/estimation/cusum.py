"""Holding an estimate until there is evidence that it is wrong: wander within the noise is no news.

A filter's estimate changes with every observation, for every observation is noisy. A value that somebody has been told
is another thing: it stays until the observations since say that the coefficient is elsewhere. That is Page's question
(1954, *Continuous inspection schemes*), and his answer, in the form of a likelihood ratio, is the CUSUM.

Of each coefficient, with N(m, P) believed before an observation and N(m', P') after it, the observation said as much as
a measurement of variance 1/L of the coefficient itself, with L = 1/P' - 1/P and the score of a held value h

    U(h) = (m' - h)/P' - (m - h)/P,   of mean L (b - h) and variance L where the coefficient is b.

Against "b = h" stands "b = h + d" or "b = h - d", with d so many of the current standard deviations sqrt(P'): an
estimate that becomes sharper asks its held value again. The log-likelihood ratios d U - d^2 L / 2 and -d U - d^2 L / 2
are added up, never below zero; where a sum passes the threshold the estimate of that moment takes the held one's place.

The filter's own innovations would not do: they are white while the coefficient wanders as its drift says, however far
it comes. Nor would the estimate's distance from the held value, each of which is nearly the one before.

In units of one standard deviation of U this is Page's rule with allowance k = a/2 and threshold T/a, a = d sqrt(L): in
a filter whose observations have the weight K in its estimate, a = d/sqrt(P') sqrt(K). A threshold T on the ratio lets
at least e^T / 2 observations pass, on average, until a value that is right is given up (Lorden 1971, *Procedures for
reacting to a change in distribution*; two sides). About how many, says Siegmund (1985, *Sequential analysis*, 2.6).

Belongs here: what one observation does to held values. It needs the filter's beliefs, and runs no model.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from twin_assets.estimation.gaussian import Gaussian, frozen
from twin_assets.model import Floats

# Siegmund's correction for what a sum of normal steps is beyond a threshold when it passes it, at both ends.
_EXCESS = 1.166


@dataclass(frozen=True)
class Watch:
    """When a held value is given up.

    Attributes:
        shift: d, the distance that is looked for, in current standard deviations of the estimate.
        threshold: T, of the sums of log-likelihood ratios.
    """

    shift: float
    threshold: float

    def run_length(self, weight: float) -> float:
        """Observations until a value that is right is given up, on average (Siegmund 1985, equation 2.63).

        Args:
            weight: K, that one observation has in the estimate, between 0 and 1.
        """
        step = self.shift * np.sqrt(weight)
        twice = step * (self.threshold / step + _EXCESS)
        one_side = (np.expm1(twice) - twice) / (step**2 / 2.0)
        return float(one_side / 2.0)


@dataclass(frozen=True, eq=False)
class Held:
    """What is held of n coefficients, and what speaks against it.

    Attributes:
        state: (n,) held values, as unbounded states z.
        rise: (n,) evidence that a coefficient is above: sum of log-likelihood ratios, not negative.
        fall: (n,) that it is below.
    """

    state: Floats
    rise: Floats
    fall: Floats

    def __post_init__(self) -> None:
        for name in ("state", "rise", "fall"):
            object.__setattr__(self, name, frozen(getattr(self, name)))

    @classmethod
    def of(cls, posterior: Gaussian) -> Self:
        """The estimate itself, just told."""
        nothing = np.zeros_like(posterior.mean)
        return cls(posterior.mean, nothing, nothing)


def watched(held: Held, prior: Gaussian, posterior: Gaussian, watch: Watch) -> tuple[Held, np.ndarray]:
    """What is held after an observation.

    Args:
        held: before it.
        prior: of the n states, drift included.
        posterior: of the n states.
        watch: when to give up.

    Returns:
        What is held now, and (n,) bool, of which coefficients that is news.
    """
    before, after = prior.std**2, posterior.std**2
    told = 1.0 / after - 1.0 / before
    score = (posterior.mean - held.state) / after - (prior.mean - held.state) / before
    distance = watch.shift * posterior.std
    # Where a bend of the clamp leaves more variance than there was, nothing was told.
    cost = np.where(told > 0.0, distance**2 * told / 2.0, 0.0)
    gain = np.where(told > 0.0, distance * score, 0.0)
    rise, fall = np.maximum(held.rise + gain - cost, 0.0), np.maximum(held.fall - gain - cost, 0.0)
    news = np.maximum(rise, fall) > watch.threshold
    return Held(
        np.where(news, posterior.mean, held.state), np.where(news, 0.0, rise), np.where(news, 0.0, fall)
    ), np.asarray(news)
