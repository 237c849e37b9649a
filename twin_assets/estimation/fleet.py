"""What a fleet's units have in common: the spread of each coefficient between them, a prior for a new one, who differs.

Each unit's posterior is taken for a measurement of that unit's coefficient with an error of known variance, and the
units for draws from one normal distribution: a random-effects meta-analysis, coefficient by coefficient, in the
filter's unbounded states z.

Belongs here: arithmetic on arrays of means and variances. Which units these are of is the stages' business.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from twin_assets.estimation.gaussian import Gaussian, quadrature
from twin_assets.model import Floats

LEAST_UNITS = 3
"""Fewer that tell a coefficient say nothing of how much units differ in it."""

BROKEN_PROBABILITY = 0.01
"""Chance that a fleet without any broken unit loses one from its prior."""

_Z_975 = 1.959963984540054
_MOST_BROKEN = 0.25
# A unit whose data told less than the prior that it started from counts for nothing: taking that prior out again would
# be mostly extrapolation.
_LEAST_TOLD = 0.5
_MOST_STEPS = 200
_SMALL = 1e-12
_FAR, _BISECTIONS = 10.0, 80
_OUTSIDE = 0.05
_GROUPS = 50


@dataclass(frozen=True, eq=False)
class Members:
    """What k units' own data say of n coefficients, in the unbounded states z.

    Attributes:
        mean: (k, n).
        var: (k, n) variances of their errors, positive.
        told: (k, n) whether the unit's data tell the coefficient at all; elsewhere mean and var mean nothing.
    """

    mean: Floats
    var: Floats
    told: NDArray[np.bool_]

    @classmethod
    def of(cls, mean: Floats, var: Floats, prior_mean: Floats, prior_var: Floats) -> "Members":
        """Of posteriors (k, n), with what each unit started from (k, n) taken out again.

        A posterior holds its unit's prior as well as its data. Units that started from the same prior would agree
        because of it, and the more of them, the surer the fleet would be of what nobody measured. So the normal
        likelihood is restored whose product with the prior is the posterior. Drift makes a filter forget its prior,
        which is not known here: what is taken out is at least what is still in it.
        """
        told = np.isfinite(mean) & np.isfinite(var) & (var > 0.0) & (var <= _LEAST_TOLD * prior_var)
        kept = np.where(told, var, 0.0)
        share = kept / (prior_var - kept)
        return cls(
            mean=np.where(told, mean + share * (mean - prior_mean), 0.0),
            var=np.where(told, kept * (1.0 + share), 1.0),
            told=told,
        )


@dataclass(frozen=True, eq=False)
class Spread:
    """How units differ in n coefficients, and by how many it is known.

    Attributes:
        mean: (..., n) between units.
        mean_var: (..., n) variance of its error.
        between_var: (..., n) variance between units, tau^2.
        units: (..., n) how many tell.
    """

    mean: Floats
    mean_var: Floats
    between_var: Floats
    units: NDArray[np.int_]

    @property
    def var(self) -> Floats:
        """(..., n) of another unit's coefficient, as if tau^2 were known."""
        return np.asarray(self.between_var + self.mean_var)

    @property
    def known(self) -> NDArray[np.bool_]:
        """(..., n) whether enough units tell."""
        return self.units >= LEAST_UNITS


def spread(members: Members, counted: NDArray[np.bool_], target: Floats | None = None) -> Spread:
    """Random effects of the counted members, by the estimator of Paule and Mandel.

    tau^2 is what makes the weighted squares of the deviations as large as they should be, sum w (z - mu)^2 = k - 1 with
    w = 1 / (tau^2 + var), or 0 (Paule and Mandel 1982, *J. Res. NBS* 87, 377; the recommended one in Veroniki et al.
    2016, *Research Synthesis Methods* 7, 55). It needs no distribution. The iteration is that of DerSimonian and Kacker
    (2007, *Contemp. Clin. Trials* 28, 105): Newton's from below, which never overshoots.

    Args:
        members: k units.
        counted: (..., k, n) which of them count, several choices at once if need be.
        target: (..., n) what the sum is to be, if not k - 1.

    Returns:
        (..., n); where nobody counts mean 0 and variances of infinity.
    """
    counted = counted & members.told
    units = np.asarray(counted.sum(axis=-2))
    target = np.maximum(units - 1.0, 0.0) if target is None else target
    between = _least(members, counted, target)
    for _ in range(_MOST_STEPS):
        weight, _, deviation, _ = _weighted(members, counted, between)
        excess = (weight * deviation**2).sum(axis=-2) - target
        going = (excess > _SMALL * np.maximum(target, _SMALL)) & (units > 1)
        if not going.any():
            break
        slope = (weight**2 * deviation**2).sum(axis=-2)
        between = between + np.divide(excess, slope, out=np.zeros_like(excess), where=going)
    _, mean, _, total = _weighted(members, counted, between)
    nobody = np.broadcast_to(units == 0, total.shape)
    mean_var = np.divide(1.0, total, out=np.full(total.shape, np.inf), where=~nobody)
    return Spread(mean, mean_var, np.where(nobody, np.inf, between), units)


def _least(members: Members, counted: NDArray[np.bool_], target: Floats) -> Floats:
    """(..., n) a tau^2 that is not too large: what it would be if all errors were as large as the largest."""
    units = np.maximum(counted.sum(axis=-2), 1)
    mean = np.where(counted, members.mean, 0.0).sum(axis=-2) / units
    squares = np.where(counted, (members.mean - mean[..., np.newaxis, :]) ** 2, 0.0).sum(axis=-2)
    largest = np.where(counted, members.var, 0.0).max(axis=-2, initial=0.0)
    room = np.divide(
        squares, target, out=np.zeros(np.broadcast_shapes(squares.shape, target.shape)), where=target > 0.0
    )
    return np.asarray(np.maximum(room - largest, 0.0), dtype=np.float64)


def _weighted(members: Members, counted: NDArray[np.bool_], between: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Weights (..., k, n), mean by them (..., n), deviations from it (..., k, n), the sum of the weights (..., n)."""
    weight = np.where(counted, 1.0 / (between[..., np.newaxis, :] + members.var), 0.0)
    total = weight.sum(axis=-2)
    mean = np.divide((weight * members.mean).sum(axis=-2), total, out=np.zeros_like(total), where=total > 0.0)
    return weight, mean, np.where(counted, members.mean - mean[..., np.newaxis, :], 0.0), total


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the counted units say of another one, as a mixture of q normal distributions.

    Attributes:
        spread: (..., n) the best single guess.
        mean: (q, ..., n).
        var: (q, ..., n).
        weight: (q,) summing to one.
    """

    spread: Spread
    mean: Floats
    var: Floats
    weight: Floats

    @cached_property
    def center(self) -> Floats:
        """(..., n) mean of the mixture."""
        return np.asarray(np.tensordot(self.weight, self.mean, axes=1))

    def beyond(self, values: Floats, var: Floats) -> Floats:
        """(..., n) probability of what is at least as far from the center as values with errors of variance var are."""
        from scipy.special import ndtr

        far, center = np.abs(values - self.center), self.center
        std = np.sqrt(self.var + var)
        outside = ndtr((center - far - self.mean) / std) + ndtr((self.mean - center - far) / std)
        return np.asarray(np.tensordot(self.weight, outside, axes=1))

    def half_width(self) -> Floats:
        """(..., n) half the width of the 95 % interval around the center; inf where nobody counts."""
        low, high = np.zeros(self.spread.units.shape), _FAR * np.sqrt(self.var.max(axis=0))
        known = np.isfinite(high)
        for _ in range(_BISECTIONS):
            middle = np.where(known, 0.5 * (low + high), 1.0)
            inside = self.beyond(self.center + middle, np.zeros_like(middle)) < _OUTSIDE
            low, high = np.where(inside, low, middle), np.where(inside & known, middle, high)
        return np.asarray(high, dtype=np.float64)


def predict_another(members: Members, counted: NDArray[np.bool_]) -> Prediction:
    """What counted members say of a unit that is not among them, the uncertainty of tau^2 included.

    At the true tau^2 the sum of squares above has the chi-square distribution of k - 1 degrees of freedom, so the
    tau^2 that belong to its quantiles are a confidence distribution of tau^2, and what is predicted is its mixture
    (Nagashima, Noma and Furukawa 2019, *Stat. Methods Med. Res.* 28, 1689; integrated here by quadrature, so that the
    same members give the same numbers). A single guess in its place is too narrow where tau is no larger than the
    errors: it is 0 in so many fleets. Where errors are small this is Student's t of a normal sample, exactly.
    """
    from scipy.special import chdtri, ndtr

    best = spread(members, counted)
    nodes, weight = quadrature()
    level = ndtr(nodes).reshape((-1,) + (1,) * best.units.ndim)
    target = chdtri(np.maximum(best.units - 1, 1), level)
    found = spread(members, counted, target)
    return Prediction(best, found.mean, found.var, weight)


def predictive(found: Prediction, own: Gaussian) -> Gaussian:
    """The prior of a unit that nobody has seen yet, of n coefficients that are taken as independent.

    As wide as its 95 % interval has to be. For want of units it is never made wider than twin.yaml's own prior; only
    units that differ by more than that make it so. A coefficient that fewer than ``LEAST_UNITS`` tell keeps its own.

    Args:
        found: (n,) of the fleet.
        own: the prior in twin.yaml.
    """
    known = found.spread.known
    widest = np.maximum(own.std, np.sqrt(found.spread.var))
    std = np.where(known, np.minimum(found.half_width() / _Z_975, widest), own.std)
    return Gaussian(np.where(known, found.center, own.mean), np.diag(std**2))


@dataclass(frozen=True, eq=False)
class Scores:
    """How far each of k units is from what the others predict.

    Attributes:
        mean: (k, n) what the others predict; NaN, as the following, where too few of them tell.
        std: (k, n) that of a normal distribution with the same 95 % interval.
        score: (k, n) the unit's deviation over both its and their standard deviation; NaN where it does not tell.
        probability: (k, n) of one as large in a unit like the others, two-sided; 1 where nothing can be said.
    """

    mean: Floats
    std: Floats
    score: Floats
    probability: Floats

    @property
    def unit_probability(self) -> Floats:
        """(k,) of the worst of a unit's coefficients, for their number (Bonferroni)."""
        judged = np.maximum(np.isfinite(self.score).sum(axis=1), 1)
        return np.asarray(np.minimum(1.0, judged * self.probability.min(axis=1, initial=1.0)), dtype=np.float64)


def scores(members: Members, reference: NDArray[np.bool_]) -> Scores:
    """Each unit against the others, so that no outlier hides in the spread that it makes itself.

    In fleets of more than ``_GROUPS`` units the others are those outside of the unit's own group, every 50th unit; one
    by one would cost the square of their number.

    Args:
        members: k units.
        reference: (k,) which of them are taken for the others.
    """
    k, n = members.mean.shape
    found = Scores(*(np.full((k, n), start) for start in (np.nan, np.nan, np.nan, 1.0)))
    groups = np.arange(k) % min(max(k, 1), _GROUPS)
    for j in range(n if k else 0):  # one coefficient at a time keeps the arrays small
        one = Members(members.mean[:, [j]], members.var[:, [j]], members.told[:, [j]])
        leaving_out = (reference & (groups != np.arange(groups.max() + 1)[:, np.newaxis]))[..., np.newaxis]
        others = predict_another(one, leaving_out)
        mean, std = others.center[groups, 0], others.half_width()[groups, 0] / _Z_975
        known = others.spread.known[groups, 0]
        said = known & one.told[:, 0]
        found.mean[known, j], found.std[known, j] = mean[known], std[known]
        score = (one.mean[:, 0] - mean) / np.hypot(std, np.sqrt(one.var[:, 0]))
        found.score[said, j] = score[said]
        judged = Prediction(others.spread, others.mean[:, groups], others.var[:, groups], others.weight)
        found.probability[said, j] = judged.beyond(one.mean, one.var)[said, 0]
    return found


def unbroken(members: Members) -> NDArray[np.bool_]:
    """(k,) the units that a prior is made of: all but those that the others make all but impossible.

    Where more than a quarter would have to go it is no broken unit but how they are, and all stay: the prior is as wide
    as that. Among very few units a broken one cannot be told, and makes the prior wide in the same way.
    """
    kept = np.ones(len(members.mean), dtype=bool)
    while True:
        broken = kept & (scores(members, kept).unit_probability * max(kept.sum(), 1) < BROKEN_PROBABILITY)
        if not broken.any():
            return kept
        if (~kept | broken).sum() > _MOST_BROKEN * len(kept):
            return np.ones(len(members.mean), dtype=bool)
        kept &= ~broken
