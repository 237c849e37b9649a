"""Directions among the coefficients, and how well the measurements see each.

The differences that make a Jacobian are wrong by the model's curvature, some per cent of what is seen best. That alone
would make a direction that is not seen at all look as if it were. Looked at along itself it shows what it does: where
that is still something that other directions cause, the direction is turned by so much, and looked at again (Newton's
method on the direction).

Belongs here: what small steps around a point say. How a direction goes on farther away is found out in ``laws``.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from twin_assets.estimation.coordinates import STEP_IN_PRIOR_STD, Coordinates
from twin_assets.model import Floats

Measure = Callable[[Floats], Floats]
"""The measurements (k, m), in units of their noise, of coefficients (k, n) in physical units."""

# Worth as much as the prior only after 10,000 observations: half a year at one every 20 minutes.
BLIND = 1e-2
# What is seen less than this part of what is seen best may be curvature.
_WEAK = 0.1
# Turned until no more than this of what stronger directions do is left.
_LEFT, _ROUNDS = BLIND / 100.0, 4


@dataclass(frozen=True, eq=False)
class Seen:
    """Orthonormal directions among n coefficients, and how well an observation sees each.

    Attributes:
        scaled: (m, n) change of each measurement, in its noise, by one prior standard deviation of each coefficient.
        directions: (n, n) columns, in prior standard deviations.
        values: (n,) change of the measurements by one prior standard deviation along each; not ordered.
    """

    scaled: Floats
    directions: Floats
    values: Floats

    @property
    def least(self) -> Floats:
        """(n, n) the directions, the least seen first."""
        return np.asarray(self.directions[:, np.argsort(self.values, kind="stable")], dtype=np.float64)

    @property
    def blind(self) -> Floats:
        """(n, k) the directions that are not seen."""
        return self.least[:, : int((self.values < BLIND).sum())]

    def along(self, direction: Floats) -> float:
        """How well a direction (n,) is seen."""
        return float(np.linalg.norm(self.values * (direction @ self.directions)) / np.linalg.norm(direction))


def seen_around(measure: Measure, coordinates: Coordinates) -> Seen:
    """Run the model around a point: 2n + 1 times, and 2k + 1 times a round where k directions are seen weakly."""
    steps = np.diag(np.minimum(coordinates.reach, STEP_IN_PRIOR_STD))
    scaled = _changes(measure, coordinates, steps)
    n = len(steps)
    left, found, right = np.linalg.svd(scaled, full_matrices=True)
    values = np.zeros(n)
    values[: found.size] = found
    strong = int((values >= max(BLIND, _WEAK * values[0])).sum())
    if strong == n:
        return Seen(scaled, right.T, values)
    weak, changes = _turned(measure, coordinates, right[strong:], left[:, :strong], right[:strong].T / values[:strong])
    _, found, mix = np.linalg.svd(changes, full_matrices=True)
    values[strong:] = 0.0
    values[strong : strong + found.size] = found
    # The seen directions are those that are left, nearly what they were.
    rest = np.linalg.qr(np.vstack([weak, right[:strong]]).T)[0][:, n - strong :]
    return Seen(scaled, np.hstack([rest, weak.T @ mix.T]), values)


def _turned(
    measure: Measure, coordinates: Coordinates, weak: Floats, effects: Floats, causes: Floats
) -> tuple[Floats, Floats]:
    """Weak directions (k, n) turned away from what has the effects (m, s) by the causes (n, s); what they do (m, k)."""
    changes = _changes(measure, coordinates, _within(weak, coordinates))
    for _ in range(_ROUNDS):
        excess = effects.T @ changes
        if np.abs(excess).max(initial=0.0) < _LEFT:
            break
        weak = np.linalg.qr(weak.T - causes @ excess)[0].T
        changes = _changes(measure, coordinates, _within(weak, coordinates))
    return weak, changes


def _within(directions: Floats, coordinates: Coordinates) -> Floats:
    """(k, n) steps along directions of length one that no coordinate leaves its reach with."""
    with np.errstate(divide="ignore"):
        far = (coordinates.reach / np.abs(directions)).min(axis=1, initial=STEP_IN_PRIOR_STD)
    return np.asarray(directions * far[:, np.newaxis], dtype=np.float64)


def _changes(measure: Measure, coordinates: Coordinates, steps: Floats) -> Floats:
    """(m, k) central differences along steps (k, n), per prior standard deviation."""
    k, n = steps.shape
    outputs = measure(coordinates.at(np.vstack([np.zeros((1, n)), steps, -steps])))
    slopes = (outputs[1 : k + 1] - outputs[k + 1 :]) / (2.0 * np.linalg.norm(steps, axis=1))[:, np.newaxis]
    return np.asarray(slopes.T, dtype=np.float64)
