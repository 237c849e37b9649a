"""Which coefficients the measurements can tell apart, judged locally, at the prior, at the operating points seen.

With the model's Jacobian J scaled to S_ij = J_ij · initial_std_j / noise_std_i, one observation of a linear model with
a Gaussian prior leaves the posterior covariance inverse(I + Sᵀ S), in units of the prior's standard deviations (the
Bayesian linear model: Kay, Fundamentals of Statistical Signal Processing I, 1993, theorem 10.3). The right singular
vectors of S are directions among the coefficients. Along one with the singular value s, an observation leaves
1 / (1 + s²) of the prior's variance, so 1 / s² observations are worth as much as the prior.

Several operating points add their information, Sᵀ S = Σ share · Sᵀ S of each: that of an average observation. What one
of them cannot tell two together may (a heater that is on now and then tells a capacity from a resistance). Everything
is said per observation: how much N of them are worth depends on how fast the coefficients drift meanwhile.

Belongs here: what runs around the prior say, put together. Profiles, designs and changes along a history do not.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from twin_assets.estimation.bounds import Coefficients
from twin_assets.estimation.combinations import Combination, Confusion, combination, confusions, named, reduced
from twin_assets.estimation.coordinates import exponential, straight
from twin_assets.estimation.evaluation import outputs_of
from twin_assets.estimation.gaussian import triangular
from twin_assets.estimation.laws import far_way
from twin_assets.estimation.seen import Measure, Seen, seen_around
from twin_assets.model import Floats, PredictiveModel


@dataclass(frozen=True, eq=False)
class LocalSensitivity:
    """What one observation says about n coefficients, at the prior.

    Attributes:
        names: of the coefficients.
        scaled: (q m, n) change of each measurement, in its noise, by one prior standard deviation of each coefficient;
            the rows of each operating point times the root of its share.
        singular_values: (n,) how well each of n orthogonal directions is seen, largest first.
        reachable_std: (n,) standard deviation of each coefficient after one observation, physical units.
        blind: combinations that the measurements cannot tell; empty where all coefficients can be told apart.
    """

    names: tuple[str, ...]
    scaled: Floats
    singular_values: Floats
    reachable_std: Floats
    blind: tuple[Combination, ...]

    @property
    def confusions(self) -> tuple[Confusion, ...]:
        """The blind combinations, those that share coefficients together, with what is told of these."""
        return confusions(self.blind, self.names)


def local_sensitivity(
    model: PredictiveModel,
    inputs: Floats,
    coefficients: Coefficients,
    noise_std: Floats,
    shares: Floats | None = None,
    input_std: Floats | None = None,
) -> LocalSensitivity:
    """Run the model around the prior, 2n + 1 times an operating point, and judge what its first m outputs say.

    Where directions are seen weakly, further runs look along them; where some are not seen at all, runs far away find
    out whether it is a sum or a product that is told.

    Args:
        model: its first m outputs are the measurements.
        inputs: (p,) operating point, or (q, p) several.
        coefficients: the prior, with bounds that the runs keep. One at a bound is judged a quarter of its prior
            standard deviation inside, so that there are two sides to look at.
        noise_std: (m,) of the measurements.
        shares: (q,) how much of the time each operating point stands for; equal ones if None.
        input_std: (p,) standard deviations of the inputs' errors, noise that the measurements share (two model runs an
            input and operating point); 0 for none, None if all are exact.

    Raises:
        EvaluationError: if the model fails.
    """
    conditions = np.atleast_2d(inputs)
    weights = np.ones(len(conditions)) if shares is None else shares
    errors = np.zeros(len(model.inputs)) if input_std is None else input_std
    roots = [_noise_root(model, each, coefficients.initial, noise_std, errors) for each in conditions]
    measure = _measure(model, conditions, weights / weights.sum(), noise_std, roots)
    seen = seen_around(measure, straight(coefficients))
    variance = (seen.directions**2 / (1.0 + seen.values**2)).sum(axis=1)
    return LocalSensitivity(
        names=coefficients.names,
        scaled=seen.scaled,
        singular_values=np.sort(seen.values)[::-1],
        reachable_std=coefficients.initial_std * np.sqrt(variance),
        blind=tuple(_combinations(measure, coefficients, seen)),
    )


def _measure(
    model: PredictiveModel, conditions: Floats, shares: Floats, noise_std: Floats, roots: Sequence[Floats]
) -> Measure:
    """All operating points at once; squares add up to those of an average observation."""

    def whitened(values: Floats, condition: Floats, root: Floats) -> Floats:
        outputs = outputs_of(values, condition, model)[:, : noise_std.size] / noise_std
        return np.asarray(np.linalg.solve(root, outputs.T).T, dtype=np.float64) if root.size else outputs

    def measure(values: Floats) -> Floats:
        points = zip(shares, conditions, roots, strict=True)
        return np.hstack([np.sqrt(share) * whitened(values, condition, root) for share, condition, root in points])

    return measure


def _noise_root(
    model: PredictiveModel, condition: Floats, center: Floats, noise_std: Floats, input_std: Floats
) -> Floats:
    """(m, m) root of the measurements' covariance at an operating point, in their own noise; (0, 0) for that alone."""
    errors = np.diag(input_std)[input_std > 0.0]
    if not len(errors):
        return np.empty((0, 0))
    ahead, behind = (
        np.array([outputs_of(center[np.newaxis], condition + sign * error, model)[0] for error in errors])
        for sign in (1.0, -1.0)
    )
    shared = (ahead - behind)[:, : noise_std.size] / (2.0 * noise_std)
    return triangular(np.eye(noise_std.size), shared.T)


def _combinations(measure: Measure, coefficients: Coefficients, seen: Seen) -> Iterator[Combination]:
    """Each blind direction as few coefficients as possible: any basis of the blind space is as true as another."""
    if not seen.blind.size:
        return
    rows, own = reduced(seen.blind.T)
    # To first order exponential coordinates have the same directions. But only in those coordinates that fit the model
    # does a direction that was found over a finite step lead on far away.
    chart = exponential(coefficients)
    curved = seen_around(measure, chart).least[:, : len(own)].T
    for row, bent in zip(rows, np.linalg.solve(curved[:, own], curved), strict=True):
        used = named(row)
        curves = used.sum() > 1 and bool(chart.exponential[used].all())
        way = far_way(measure, coefficients, row * used, bent * used if curves else None)
        change = seen.along(row) if way.law == "local" else way.change
        found = combination(coefficients.names, coefficients.initial_std, row, change)
        powers = dict(zip(coefficients.names, way.exponents.tolist(), strict=True))
        yield replace(found, law=way.law, exponents={name: power for name, power in powers.items() if power})
