"""What stands in for sigma points at which the model could not be run.

A point that is left out takes with it the slope along its axis, and how the model bends there. Taken for straight, the
model would be believed more than before, just where it is so crooked that it fails. So it is looked at half the way to
both points of the axis, and what is missing is the parabola through what did answer: exact where the model is linear or
quadratic, and with the bend that was seen where it is not.

Belongs here: which points are needed, and when there are too few. What is made of the outputs is in ``affine`` and
``marginals``, as ever.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from twin_assets.model import Floats

# A parabola is followed no farther than so many times as far as it was seen.
_FARTHEST = 2.0


def mended(points: Floats, outputs: Floats, run: Callable[[Floats], Floats]) -> Floats | None:
    """Outputs at sigma points, those that failed made up from others on their axis.

    Args:
        points: (2n+1, n) the center, a point on each of n axes, then those opposite, not equally far away.
        outputs: (2n+1, m) there, NaN in rows that failed.
        run: the outputs (k, m) at further points (k, n), NaN in rows that fail.

    Returns:
        (2n+1, m) finite; the same array where nothing failed; None where too little is left: without the center, or
        where an axis has less than two points that answer, or only some that are much nearer than those that fail.
    """
    failed = np.asarray(np.isnan(outputs).any(axis=1))
    if not failed.any():
        return outputs
    if failed[0]:
        return None
    pairs = np.arange(1, len(points)).reshape(2, -1).T
    lost = pairs[failed[pairs].any(axis=1)]
    halves = run(np.vstack([points[:1], (points[:1] + points[lost.reshape(-1)]) / 2.0]))[1:]
    whole = outputs.copy()
    for pair, near in zip(lost, halves.reshape(*lost.shape, -1), strict=True):
        ways = np.linalg.norm(points[pair] - points[0], axis=1) * [1.0, -1.0]
        filled = _parabola(ways, np.vstack([outputs[pair], near]) - outputs[0])
        if filled is None:
            return None
        whole[pair] = np.where(failed[pair][:, np.newaxis], outputs[0] + filled, outputs[pair])
    return whole


def mended_along(points: Floats, run: Callable[[Floats], Floats]) -> list[tuple[Floats | None, int]]:
    """As ``mended``, at each time along a path; what comes later changes nothing of what is said of a time.

    Args:
        points: (2n+1, n) as there.
        run: the outputs (k, t, m) at points (k, n), the center first, NaN from where on a row fails.

    Returns:
        For each of the t times: outputs (2n+1, m), or None; and how many runs it takes.
    """
    outputs, known = run(points), dict[bytes, Floats]()
    counted = len(points)

    def looked(time: int, values: Floats) -> Floats:
        nonlocal counted
        counted = len(points) + len(values)
        missing = [value for value in values[1:] if value.tobytes() not in known]
        if missing:
            answers = run(np.vstack([values[:1], *missing]))[1:]
            known.update(zip((value.tobytes() for value in missing), answers, strict=True))
        return np.array([outputs[0, time], *(known[value.tobytes()][time] for value in values[1:])])

    found: list[tuple[Floats | None, int]] = []
    # What fails at one time fails at all later ones: of those the most is asked, so that the model is run once more.
    for time in reversed(range(outputs.shape[1])):
        counted = len(points)
        whole = mended(points, outputs[:, time], partial(looked, time))
        found.append((whole, counted))
    return found[::-1]


def _parabola(ways: Floats, rises: Floats) -> Floats | None:
    """(2, m) rises from the center at both ends (2,) of an axis, by the parabola through the outermost known ones.

    Args:
        ways: from the center, one positive and one negative.
        rises: (4, m) at both ends, then half the way to either; NaN where not known.
    """
    ways = ways / np.abs(ways).max()
    places = np.concatenate([ways, ways / 2.0])
    known = np.flatnonzero(np.isfinite(rises).all(axis=1))
    outer = known[[int(np.argmin(places[known])), int(np.argmax(places[known]))]] if known.size > 1 else known
    if outer.size < 2 or _FARTHEST * np.abs(places[outer]).max() < 1.0:  # noqa: PLR2004 - two points
        return None
    powers = np.column_stack([places, places**2])
    return np.asarray(powers[:2] @ np.linalg.solve(powers[outer], rises[outer]), dtype=np.float64)
