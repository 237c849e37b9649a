"""Which coefficients the measurements can tell apart, judged locally, at the prior.

With the model's Jacobian J scaled to S_ij = J_ij · initial_std_j / noise_std_i, one observation of a linear model with
a Gaussian prior leaves the posterior covariance inverse(I + Sᵀ S), in units of the prior's standard deviations (the
Bayesian linear model: Kay, Fundamentals of Statistical Signal Processing I, 1993, theorem 10.3). The right singular
vectors of S are directions among the coefficients. Along one with the singular value s, an observation leaves
1 / (1 + s²) of the prior's variance, so 1 / s² observations are worth as much as the prior.

Belongs here: what a handful of runs around the prior says. Profiles, designs and changes along a history do not.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from twin_assets.estimation.bounds import Coefficients
from twin_assets.model import Floats, PredictiveModel

# Small enough to be local (a product of two coefficients should look like one), large against what settling leaves.
STEP_IN_PRIOR_STD = 0.25
# Worth as much as the prior only after 10,000 observations: half a year at one every 20 minutes.
BLIND = 1e-2
ENDLESS = 1e9
# Less than this of a combination's largest part, in prior standard deviations, is not named.
SMALLEST_NAMED = 0.03


@dataclass(frozen=True)
class Combination:
    """Coefficients that may change together without the measurements telling.

    Attributes:
        weights: coefficient -> change (physical units), the largest part (in prior standard deviations) being 1.
        observations: how many observations would tell as much as the prior does; inf where none ever would.
    """

    weights: Mapping[str, float]
    observations: float

    @property
    def endless(self) -> bool:
        """Whether no machine lives long enough to tell: more than rounding would be read into a larger number."""
        return self.observations > ENDLESS

    def __str__(self) -> str:
        """``b1 - 0.8·b2``."""
        text = " ".join(
            f"{'-' if weight < 0 else '+'} {_factor(weight)}{name}" for name, weight in self.weights.items()
        )
        return text[2:] if text.startswith("+") else f"-{text[2:]}"


@dataclass(frozen=True, eq=False)
class LocalSensitivity:
    """What one observation says about n coefficients, at the prior.

    Attributes:
        outputs: (m,) measurements that the model predicts there.
        scaled: (m, n) change of each measurement, in its noise, by one prior standard deviation of each coefficient.
        singular_values: (n,) of ``scaled``, largest first, zeros appended where m < n.
        reachable_std: (n,) standard deviation of each coefficient after one observation, physical units.
        blind: combinations that the measurements cannot tell; empty where all coefficients can be told apart.
    """

    outputs: Floats
    scaled: Floats
    singular_values: Floats
    reachable_std: Floats
    blind: tuple[Combination, ...]


def local_sensitivity(
    model: PredictiveModel, inputs: Floats, coefficients: Coefficients, noise_std: Floats
) -> LocalSensitivity:
    """Run the model around the prior, 2n + 1 times, and judge what its first m outputs say.

    Args:
        model: its first m outputs are the measurements.
        inputs: (p,) operating condition.
        coefficients: the prior, with bounds that the runs keep.
        noise_std: (m,) of the measurements.

    Raises:
        EvaluationError: if the model fails.
    """
    points = _points(coefficients)
    predicted = model.evaluate(points, inputs)[:, : len(noise_std)]
    up, down = np.split(np.arange(1, len(points)), 2)
    widths = (points[up] - points[down]).diagonal()
    jacobian = (predicted[up] - predicted[down]).T / widths
    scaled = jacobian * coefficients.initial_std / noise_std[:, None]
    _, values, directions = np.linalg.svd(scaled, full_matrices=True)
    singular = np.zeros(len(coefficients.names))
    singular[: len(values)] = values
    variance = (directions**2 / (1.0 + singular[:, None] ** 2)).sum(axis=0)
    return LocalSensitivity(
        outputs=predicted[0],
        scaled=scaled,
        singular_values=singular,
        reachable_std=coefficients.initial_std * np.sqrt(variance),
        blind=_combinations(scaled, directions[singular < BLIND], coefficients),
    )


def _points(coefficients: Coefficients) -> Floats:
    """(2n + 1, n): the prior, then each coefficient raised, then each lowered, inside the bounds."""
    step = np.diag(STEP_IN_PRIOR_STD * coefficients.initial_std)
    up = np.minimum(coefficients.initial + step, coefficients.upper)
    down = np.maximum(coefficients.initial - step, coefficients.lower)
    return np.vstack([coefficients.initial, up, down])


def _combinations(scaled: Floats, directions: Floats, coefficients: Coefficients) -> tuple[Combination, ...]:
    """Each blind direction as few coefficients as possible: any basis of the blind space is as true as another."""
    found = []
    for row in _reduced(directions):
        seen = np.linalg.norm(scaled @ row) / np.linalg.norm(row)
        named = np.flatnonzero(np.abs(row) >= SMALLEST_NAMED * np.abs(row).max())
        change = row * coefficients.initial_std
        change = change / change[np.argmax(np.abs(row))]
        weights = {coefficients.names[j]: float(change[j]) for j in named}
        found.append(Combination(weights, float(1.0 / seen**2) if seen > 0 else np.inf))
    return tuple(found)


def _reduced(rows: Floats) -> Floats:
    """Gauss-Jordan elimination with full pivoting: the same row space, each row with a column of its own."""
    rows = rows.copy()
    for i in range(len(rows)):
        r, c = divmod(int(np.argmax(np.abs(rows[i:]))), rows.shape[1])
        rows[[i, i + r]] = rows[[i + r, i]]
        rows[i] /= rows[i, c]
        others = np.arange(len(rows)) != i
        rows[others] -= np.outer(rows[others, c], rows[i])
    return rows


def _factor(weight: float) -> str:
    text = f"{abs(weight):.2g}"
    return "" if text == "1" else f"{text}·"
