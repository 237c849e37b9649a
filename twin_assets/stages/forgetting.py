"""How long a model remembers where it began, which is how long the recent past of a process that never rests has to be.

Every prediction in transient mode begins with the model at rest under the inputs of ``memory_s`` ago, where the machine
was not at rest. What is left of that error at the end is measured: the model is led through the same constant inputs
from two beginnings, at rest under these inputs and under other ones, and the difference dies out as the error would.

Belongs here: that measurement. What is made of it is ``check_twin``'s.
"""

import math
from dataclasses import dataclass

import numpy as np

from twin_assets.estimation import Coefficients
from twin_assets.estimation.affine import cloud
from twin_assets.estimation.bounds import physical, prior
from twin_assets.estimation.evaluation import RunsAlong
from twin_assets.model import Floats, InputPath, TransientModel

EXPECTED = 1e-3
"""Of another beginning no more than this part may be left in any output: eight time constants leave a third of it."""

_TIMES, _MOMENT = 32, 0.01
# An input that was seen at one value alone moves by so much of it, or of one unit.
_TRIAL = 0.1
# What decays by less than this over the memory does not die out.
_DECAYS = 0.01
# Of a difference that is no more than so many tolerances of the solver nothing can be said.
_TOLERANCES = 10.0


@dataclass(frozen=True)
class Forgetting:
    """What is left of another beginning after the memory.

    Attributes:
        left: part of the largest difference, of the output in which most is left.
        output: its name.
        needed_s: after how long no more than ``EXPECTED`` is left; None where nothing says when, for it hardly decays.
    """

    left: float
    output: str
    needed_s: float | None

    @property
    def enough(self) -> bool:
        """Whether the memory is long enough."""
        return self.left <= EXPECTED


def forgetting(
    model: TransientModel,
    coefficients: Coefficients,
    points: Floats,
    moving: np.ndarray,
    memory_s: float,
    tolerance: float,
) -> Forgetting | None:
    """Measure it at sigma points of the prior: the slowest of them counts.

    Args:
        model: to be followed.
        coefficients: the prior.
        points: (q, p) operating points seen, q >= 1; the first is where all ends, the others are where it begins.
        moving: (p,) bool: inputs that move, at least one.
        memory_s: how long, simulated seconds.
        tolerance: of the model's solver, relative.

    Returns:
        None where the model fails on the way, or says nothing of where it began.

    Raises:
        EvaluationError: when the model cannot be evaluated at all, or cannot tell where it fails.
    """
    rows = cloud(physical(prior(coefficients), coefficients), coefficients).points
    since_s, held = np.linspace(0.0, memory_s, _TIMES + 1), np.zeros(points.shape[1], dtype=bool)
    # What the model begins under it is told for a moment only.
    times_s = np.concatenate([[0.0], since_s + since_s[1] * _MOMENT])

    def led(beginning: Floats) -> Floats:
        """(k, t, m)."""
        inputs = np.vstack([beginning, np.repeat(points[:1], _TIMES + 1, axis=0)])
        return RunsAlong(model, InputPath(times_s, inputs, np.arange(2, _TIMES + 2), held))(rows)

    rest = led(points[0])
    found = [
        _left(led(beginning) - rest, np.abs(rest).max(axis=1), since_s[1:], tolerance, model.outputs)
        for beginning in _beginnings(points, moving)
    ]
    known = [each for each in found if each is not None]
    return max(known, key=lambda each: each.left, default=None)


def _beginnings(points: Floats, moving: np.ndarray) -> list[Floats]:
    """Other inputs (p,) to begin under: for every input that moves, the value seen farthest away, or a trial."""
    found = []
    for place in np.flatnonzero(moving).tolist():
        other, here = points[0].copy(), points[0, place]
        far = points[np.argmax(np.abs(points[:, place] - here)), place]
        other[place] = far if far != here else here + _TRIAL * (abs(here) or 1.0)
        found.append(other)
    return found


def _left(
    difference: Floats, size: Floats, times_s: Floats, tolerance: float, outputs: tuple[str, ...]
) -> Forgetting | None:
    """The worst of differences (k, t, m), of outputs of a size (k, m)."""
    whole = np.abs(difference)
    # An oscillation passes through zero: what is still to come counts.
    to_come = np.maximum.accumulate(whole[:, ::-1], axis=1)[:, ::-1]
    largest, floor = to_come[:, 0], _TOLERANCES * tolerance * np.maximum(size, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.where(to_come > floor[:, np.newaxis], to_come / largest[:, np.newaxis], 0.0)
    judged = np.isfinite(whole).all(axis=1) & (EXPECTED * largest > floor)
    if not judged.any():
        return None
    row, output = np.unravel_index(int(np.argmax(np.where(judged, parts[:, -1], -1.0))), judged.shape)
    slowest = max((_needed(parts[i, :, j], times_s) for i, j in np.argwhere(judged)), key=lambda each: each or math.inf)
    return Forgetting(float(parts[row, -1, output]), outputs[output], slowest)


def _needed(parts: Floats, times_s: Floats) -> float | None:
    """When no more than is expected is left: seen, or by the decay over the last half."""
    done = np.flatnonzero(parts <= EXPECTED)
    if done.size:
        return float(times_s[done[0]])
    middle = len(parts) // 2
    rate = math.log(parts[middle] / parts[-1]) / (times_s[-1] - times_s[middle])
    return float(times_s[-1] + math.log(parts[-1] / EXPECTED) / rate) if rate * times_s[-1] > _DECAYS else None
