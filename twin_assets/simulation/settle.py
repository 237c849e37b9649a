r"""When is a model settled, and where would it end: pure, on whatever can be advanced in time.

A transient that dies out as a sum of :math:`a_i e^{-\lambda_i t}` is left, after some time, with its slowest mode. From
the differences :math:`d_0, d_1` of the outputs over two successive steps follows that mode's decay, and with it what is
still to come; "a small change per step" instead takes a slow mode for the end. For equal steps the decay over a step is
:math:`r = d_1/d_0` and the rest :math:`d_1 r/(1-r)` (Aitken, 1926). Here each step is twice as long as the one before:
a solver of variable step crosses long, quiet times almost for nothing, and the total time doubles with every step.
Then, with :math:`x = e^{-\lambda h_0}`, :math:`d_1/d_0 = x + x^2` and the rest is :math:`d_1 x^2/(1-x^2)`.

What is guarded against:

- a fast mode that hides a slow one: a decay faster than one half is never believed when judging (only when adding the
  rest), so the last, long step itself must have moved no more than three tolerances;
- an oscillation whose period divides the steps: two unequal steps off the beat have to move nothing either;
- dead time at the start: ``MIN_STEPS`` are made before anything is judged;
- the solver's own noise, which never falls below the tolerance: a short, bounded, trendless stretch is averaged.

What will never settle is recognized by ``unsettled``.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin_assets.simulation.unsettled import LEAST_TOLERANCES, refuse_cycle, refuse_drift
from twin_assets.simulation.walk import SMALLER_STEPS, Floats, SettleError, Walk

__all__ = ["Floats", "SettleError", "SettleSettings", "Settled", "settle"]

MIN_STEPS = 4
# A power of two of step_s, and short enough that something is left to judge before time is up.
LONGEST_STEP_OF_MAX = 16
OFF_BEAT_OF_STEP = 4
GOLDEN = 0.6180339887498949  # the number least well met by any ratio of whole numbers
FASTEST_BELIEVED = 0.5
ROUNDED = 1.0 + 1e-9
SLOWEST_BELIEVED = 0.99
NOISE_DIFFERENCES = 5
NOISE_TOLERANCES = 10.0
LAST_FEW = 4
SUSPECTED_OF_MAX = 4.0  # not before this part of the patience


@dataclass(frozen=True)
class SettleSettings:
    """How a model is brought to its settled answer.

    Attributes:
        step_s: first communication step, simulated seconds.
        max_settle_s: give up after this many simulated seconds.
        tolerance: settled when the rest of the transient is below this, relative to max(abs(output), nominal).
        max_step_s: the model is given no longer communication step; a longer one is made of several. None: no limit.
    """

    step_s: float = 2.0
    max_settle_s: float = 3600.0
    tolerance: float = 1e-7
    max_step_s: float | None = None

    @property
    def longest_step_s(self) -> float:
        """The step stops doubling here."""
        doublings = math.floor(math.log2(max(1.0, self.max_settle_s / LONGEST_STEP_OF_MAX / self.step_s)))
        return self.step_s * 2.0**doublings

    def sub_steps(self, seconds: float, *, can_vary_step: bool) -> int:
        """In how many equal communication steps so much time passes; all have one length where steps cannot vary."""
        units, unit_s = (1, seconds) if can_vary_step else (round(seconds / self.step_s), self.step_s)
        return units * (1 if self.max_step_s is None else max(1, math.ceil(round(unit_s / self.max_step_s, 6))))


@dataclass(frozen=True)
class Settled:
    """A settled answer.

    Attributes:
        outputs: (m,), the rest of the transient added.
        simulated_s: how long the model was simulated.
        steps: how often it was advanced.
    """

    outputs: Floats
    simulated_s: float
    steps: int


@dataclass(frozen=True)
class _End:
    """Where the outputs seem to end.

    Attributes:
        outputs: (m,).
        tolerance: (m,), absolute: by how much they may still differ.
        recent: differences until then, (m,) each.
    """

    outputs: Floats
    tolerance: Floats
    recent: Sequence[Floats]

    def is_at(self, value: Floats) -> bool:
        """Whether outputs (m,) are there, those that are noise as far as their noise goes."""
        away = np.abs(value - self.outputs)
        if (away <= self.tolerance).all():
            return True
        noise = _noise(self.recent, self.tolerance)
        return bool((away <= np.where(noise, NOISE_TOLERANCES * self.tolerance, self.tolerance)).all())


@dataclass(frozen=True)
class _Judgement:
    """What two successive differences say, (m,) each: decay over the first, signed rest, cautious bound of it."""

    decay: Floats
    rest: Floats
    bound: Floats


def settle(
    advance: Callable[[float], Floats],
    names: Sequence[str],
    nominal: Floats,
    settings: SettleSettings,
    quantum_s: float | None = None,
) -> Settled:
    """Advance a model until what is left of its transient is below the tolerance, and add that rest.

    Args:
        advance: simulates so many seconds further and returns the outputs (m,) then.
        names: of the m outputs, for errors.
        nominal: (m,), magnitude below which an output's movement counts absolutely.
        settings: steps, patience and tolerance.
        quantum_s: the model can be advanced by multiples of this only; None if by any time.

    Raises:
        SettleError: if it drifts, goes round, does not settle within ``max_settle_s``, or an output is not finite.
    """
    walk, suspected, longest = Walk(advance, names, nominal), False, settings.longest_step_s
    step = settings.step_s
    walk.go(step)
    while walk.elapsed_s - walk.aside_s < settings.max_settle_s:
        step = min(2.0 * step, longest)
        walk.go(step)
        if walk.steps < MIN_STEPS or walk.rhythm < 2:  # noqa: PLR2004 - a ratio takes two differences
            continue
        tolerance = walk.tolerances(settings.tolerance)
        moved = np.abs(walk.differences[-1]) / tolerance
        worst = int(moved.argmax())
        # What moved by more is neither settled nor noise, however it is judged.
        end = _end(walk, tolerance, worst) if moved[worst] <= NOISE_TOLERANCES else None
        if end is not None and _confirmed(walk, end, quantum_s):
            return Settled(end.outputs, walk.elapsed_s, walk.steps)
        if moved[worst] > LEAST_TOLERANCES:
            refuse_drift(walk, tolerance, settings.max_settle_s)
        if not suspected and walk.elapsed_s >= settings.max_settle_s / SUSPECTED_OF_MAX:
            suspected = refuse_cycle(walk, tolerance, settings.max_settle_s, quantum_s)
    raise SettleError(_unsettled(walk, nominal, settings))


def _judge(before: Floats, after: Floats, before_s: float, after_s: float) -> _Judgement:
    """What is left of the transient, from two differences over steps of the same length or the second twice as long."""
    growth = after_s / before_s
    never = np.where(after == 0.0, 0.0, np.inf)  # nothing moved, then something does: as slow as can be
    quotient = np.clip(np.divide(after, before, out=never, where=before != 0.0), 0.0, 2.0)
    over_before = quotient if growth == 1.0 else (np.sqrt(1.0 + 4.0 * quotient) - 1.0) / 2.0
    over_before = np.minimum(over_before, SLOWEST_BELIEVED)
    decay = over_before**growth
    cautious = np.maximum(over_before, FASTEST_BELIEVED) ** growth
    return _Judgement(over_before, after * decay / (1.0 - decay), np.abs(after) * cautious / (1.0 - cautious))


def _end(walk: Walk, tolerance: Floats, worst: int) -> _End | None:
    """Where the outputs end, or None while any of them is still on its way.

    Args:
        walk: until now.
        tolerance: (m,), absolute.
        worst: the output that moved by most tolerances in the last step.
    """
    recent, one = walk.differences[-NOISE_DIFFERENCES:], slice(worst, worst + 1)
    decay = FASTEST_BELIEVED ** (walk.lengths[-1] / walk.lengths[-2])
    rest = abs(float(recent[-1][worst])) * decay / (1.0 - decay)
    # Mostly the worst output alone tells that it is too early, in a part of the time that all take.
    if rest > ROUNDED * tolerance[worst] and not _noise([each[one] for each in recent], tolerance[one]):
        return None
    judgement = _judge(walk.differences[-2], walk.differences[-1], walk.lengths[-2], walk.lengths[-1])
    outputs, settled = walk.values[-1] + judgement.rest, judgement.bound <= tolerance
    if not settled.all():
        if not (settled | _noise(recent, tolerance)).all():
            return None
        outputs = np.where(settled, outputs, np.mean(walk.values[-NOISE_DIFFERENCES - 1 :], axis=0))
    return _End(outputs, tolerance, recent)


def _noise(recent: Sequence[Floats], tolerance: Floats) -> NDArray[np.bool_]:
    """Which outputs, (m,), have gone to and fro in recent differences, a little and without a trend."""
    moved = np.abs(recent)
    trendless = np.abs(np.sum(recent, axis=0)) <= 0.5 * moved.sum(axis=0)
    small = moved.max(axis=0) <= NOISE_TOLERANCES * tolerance
    return np.asarray(trendless & small & (len(recent) == NOISE_DIFFERENCES))


def _confirmed(walk: Walk, end: _End, quantum_s: float | None) -> bool:
    """Two shorter, unequal steps off the beat stay there, too.

    One step might span an oscillation's crest; and the last step on the beat a turning point of two slow modes.
    """
    span = walk.lengths[-1] / OFF_BEAT_OF_STEP
    for length in (span * GOLDEN, span * (1.0 - GOLDEN)):
        walk.go(length if quantum_s is None else quantum_s * max(1, round(length / quantum_s)))
        if not end.is_at(walk.values[-1]):
            walk.rhythm = 0
            return False
    return True


def _unsettled(walk: Walk, nominal: Floats, settings: SettleSettings) -> str:
    """Which output moved how much, for the error."""
    text = f"not settled after {walk.elapsed_s:g} simulated s (max_settle_s {settings.max_settle_s:g})"
    if len(walk.differences) < 2:  # noqa: PLR2004 - as above
        return f"{text}: too few steps of {settings.step_s:g} s fit in; raise max_settle_s"
    value, recent = walk.values[-1], np.stack(walk.differences[-LAST_FEW:])
    largest = np.abs(recent).max(axis=0)
    worst = int(np.argmax(largest / np.maximum(np.abs(value), nominal)))
    text += (
        f": '{walk.names[worst]}' still moved by up to {largest[worst]:.3g} a step of {walk.lengths[-1]:.3g} s, around"
        f" {value[worst]:.6g} (tolerance {settings.tolerance:g})"
    )
    rates = np.abs(recent[:, worst]) / walk.lengths[-len(recent) :]
    if (rates[1:] > rates[:-1]).all():
        return f"{text}; it grows faster and faster: {SMALLER_STEPS}, or the model is unstable"
    decay = _judge(recent[-2], recent[-1], walk.lengths[-2], walk.lengths[-1]).decay[worst]
    if walk.rhythm >= LAST_FEW and abs(recent[:, worst].sum()) == np.abs(recent[:, worst]).sum():
        slow = -walk.lengths[-2] / math.log(decay) if decay > 0.0 else 0.0
        return f"{text}; it creeps (time constant about {slow:.2g} s): raise max_settle_s, or tolerance"
    return f"{text}; it goes to and fro: there may be no steady state here, or tolerance is below the solver's noise"
