"""Along a path of operating conditions, in communication steps: pure, on whatever can be advanced in time.

An input that goes straight to its next value is told its mean over every step, so that what it drives is right to the
second order of the step; one that keeps its value is told exactly that. Where a solver outside of the model asks for
an input whenever it looks, there is no such error. Where outputs are asked for, the inputs stand at their values of
that very time: an output that follows an input at once follows the right one.

How far a path goes on changes nothing of what came before: the steps between two of its times depend on them alone.
"""

import math
from collections.abc import Callable

import numpy as np

from twin_assets.model import InputPath
from twin_assets.simulation.settle import Floats

# Steps that are longer than allowed by rounding alone are not cut in two.
ROUNDING = 1e-9


def walk(
    path: InputPath,
    longest_s: float,
    stand: Callable[[Floats], None],
    advance: Callable[[float], None],
    read: Callable[[], Floats],
    *,
    fixed: bool = False,
    glide: Callable[[Floats, Floats, float], bool] | None = None,
) -> Floats:
    """Go along a path; the model stands at its beginning, under its first inputs.

    Args:
        path: q times and inputs, t of which are read.
        longest_s: the longest communication step.
        stand: sets inputs (p,).
        advance: simulates so many seconds further.
        read: the outputs (m,) as they are.
        fixed: all steps have to be ``longest_s`` long; times are then rounded to the nearest of them.
        glide: goes from some inputs (p,) straight to others in so many seconds, however long; False if it cannot.

    Returns:
        (t, m) outputs.
    """
    told, found, wanted = path.inputs[0], [], set(path.read.tolist())

    def tell(inputs: Floats) -> None:
        nonlocal told
        if not np.array_equal(inputs, told):
            stand(inputs)
            told = inputs

    if 0 in wanted:
        found.append(read())
    for place in range(1, len(path.times_s)):
        before, after = path.times_s[place - 1], path.times_s[place]
        here, change = path.inputs[place - 1], np.where(path.linear, path.inputs[place] - path.inputs[place - 1], 0.0)
        if glide is not None and change.any():
            tell(here)
            if glide(here, here + change, float(after - before)):
                told = here + change
                if place in wanted:
                    tell(path.inputs[place])
                    found.append(read())
                continue
        count = _fixed_steps(before, after, longest_s) if fixed else _steps(after - before, longest_s)
        for step in range(count):
            tell(here + change * ((step + 0.5) / count))
            advance(longest_s if fixed else (after - before) / count)
        if place in wanted:
            tell(path.inputs[place])
            found.append(read())
    return np.array(found, dtype=np.float64)


def _steps(seconds: float, longest_s: float) -> int:
    return max(1, math.ceil(seconds / longest_s - ROUNDING))


def _fixed_steps(before: float, after: float, step_s: float) -> int:
    return round(after / step_s) - round(before / step_s)
