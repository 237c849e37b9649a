"""What observations told of the coefficients, read off the filter's own posteriors: no model is run.

An update adds information: the inverse of the covariance grows by that of the observation, J = P⁻¹ after - P⁻¹ before
(Kay, Fundamentals of Statistical Signal Processing I, 1993, theorem 10.3). In prior standard deviations its eigenvalues
are the squares of the singular values that ``sensitivity`` finds by looking: how well each direction was seen, at the
operating points of the moment, by what was measured and believed.

It is what the filter believes to have been told. In a curved model that may be too much (see ``hold``).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from twin_assets.estimation.bounds import Coefficients, physical
from twin_assets.estimation.combinations import Combination, combination, reduced
from twin_assets.estimation.drift import drifted
from twin_assets.estimation.gaussian import Gaussian
from twin_assets.estimation.hold import apart
from twin_assets.estimation.seen import BLIND
from twin_assets.model import Floats

# A held direction has its prior variance, but for what the clamp bends.
_HELD = 1.0 - 1e-3
# A direction with less than this part of its prior variance has been told something.
_TOLD = 0.5


@dataclass(frozen=True)
class Untold:
    """A combination of coefficients that was not told.

    Attributes:
        combination: which, near the estimate.
        known: whether it had been told before, so that an operating point or a sensor has been lost.
    """

    combination: Combination
    known: bool


def information(
    before: Gaussian, elapsed_h: float, after: Gaussian, coefficients: Coefficients, *, hold: bool
) -> Floats:
    """(n, n) what one observation told, in prior standard deviations of the coefficients.

    Args:
        before: posterior of the observation before.
        elapsed_h: hours between the two.
        after: posterior.
        coefficients: bounds, drift, prior.
        hold: whether the filter holds what is not told.
    """
    scale = np.outer(coefficients.initial_std, coefficients.initial_std)
    prior, posterior = drifted(before, elapsed_h, coefficients).cov / scale, after.cov / scale
    if hold:
        variances, directions = np.linalg.eigh(posterior)
        prior = apart(prior, directions[:, variances > _HELD])
    # Of the states; what the clamp hides of a coefficient at its bound is no want of information about it.
    slope = physical(after, coefficients).slope
    told = (np.linalg.inv(posterior) - np.linalg.inv(prior)) / np.outer(slope, slope)
    return np.asarray((told + told.T) / 2.0, dtype=np.float64)


def untold(
    told: Floats, observations: int, start: Gaussian, end: Gaussian, coefficients: Coefficients
) -> Iterator[Untold]:
    """The combinations that some observations did not tell.

    Either an average one tells as good as nothing; or all together tell less than the prior does, and nothing before
    them told more. The latter is what a curved model looks like: as its estimate moves, the direction that it hides
    turns, and what was seen a little beside it is counted along it.

    Args:
        told: (n, n) information of an average observation.
        observations: how many.
        start: what was known before them.
        end: what was known after them.
        coefficients: names and prior.
    """
    values, directions = np.linalg.eigh(told)
    std = coefficients.initial_std
    unknown = _variances(end, directions, std) > _TOLD
    missing = (values < BLIND**2) | ((observations * values < 1.0) & unknown)
    for row in reduced(directions[:, missing].T)[0]:
        seen = np.sqrt(max(0.0, float(row @ told @ row))) / np.linalg.norm(row)
        before = _variances(start, (row / np.linalg.norm(row))[:, np.newaxis], std)
        yield Untold(combination(coefficients.names, std, row, float(seen)), bool(before[0] < _TOLD))


def _variances(known: Gaussian, directions: Floats, std: Floats) -> Floats:
    """(k,) along directions (n, k), in parts of the prior's."""
    return np.asarray(((known.cov / np.outer(std, std) @ directions) * directions).sum(axis=0), dtype=np.float64)
