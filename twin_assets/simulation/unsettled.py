"""What will not come to rest: a drift, a cycle; recognized on what was seen of a model so far.

A false "does not settle" is worse than waiting, so what is recognized could not have settled in the time that is left
(but for a ramp that ends of its own, as a limiter's does: one that lasts an eighth of the patience counts as a drift):

- a drift has moved at one and the same rate, to 1e-4, over four steps that make an eighth of the patience. Near the
  turning point of the rate of two modes, the rate changes by t^2/(2 T1 T2) of itself, so the geometric mean of their
  time constants is then three times the patience; a single mode's is a thousand times that;
- a cycle is sampled finely twice, an eighth of the patience apart, and has the same period then, the same mean and at
  least 95 % of its size. With the 8 % that samples may miss of a crest, an oscillation that dies out, be it in a
  straight line (dry friction), then lasts longer than the patience, too.

What is neither (noise, beats, growth) is waited for.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from twin_assets.simulation.walk import Floats, SettleError, Walk

LAST_FEW = 4
DRIFT_SPAN_OF_MAX = 8.0
SAME_RATE = 1e-4
LEAST_TOLERANCES = 100.0
LASTING = 0.5

SAMPLES = 168  # five periods at the longest that the next finer scale leaves to this one, and a little
# From the longest: a block takes an eighth of the patience; each scale is a quarter of the one before.
LONGEST_SAMPLING_OF_MAX = 8 * SAMPLES
SCALES = 6
LEAST_PERIODS = 4
SAMPLES_PER_PERIOD = 8
HYSTERESIS = 0.2
SAME_SPACING = 0.1
SAME_PERIOD = 0.02
SUSTAINED = 0.95
SAME_MEAN = 0.1
GAP_OF_MAX = 8.0
GAP_STEPS = 2
OFF_GRID = (0.6180339887498949, 0.41421356237309515, 0.7320508075688772)
OFF_GRID_RESIDUAL = 0.25


@dataclass(frozen=True)
class Drift:
    """An output that moves at a constant rate.

    Attributes:
        output: its index.
        per_s: rate, its unit per simulated second.
    """

    output: int
    per_s: float


@dataclass(frozen=True)
class Cycle:
    """An output that goes round.

    Attributes:
        output: its index.
        period_s: simulated seconds.
        amplitude: half of the way from its lowest to its highest value.
        mean: over whole periods.
    """

    output: int
    period_s: float
    amplitude: float
    mean: float


def drift(
    differences: Sequence[Floats], lengths: Sequence[float], tolerance: Floats, max_settle_s: float
) -> Drift | None:
    """The output that drifts most, in tolerances, or None.

    Args:
        differences: what each step changed, (m,) each.
        lengths: of these steps, s.
        tolerance: (m,), absolute.
        max_settle_s: the patience.
    """
    last = np.array(lengths[-LAST_FEW:])
    if len(last) < LAST_FEW or last.sum() < max_settle_s / DRIFT_SPAN_OF_MAX:
        return None
    recent = np.stack(differences[-LAST_FEW:])
    rates = recent / last[:, np.newaxis]
    mean = rates.mean(axis=0)
    steady = np.ptp(rates, axis=0) <= SAME_RATE * np.abs(mean)
    moved = np.where(steady, np.abs(recent).min(axis=0) / tolerance, 0.0)
    worst = int(np.argmax(moved))
    return Drift(worst, float(mean[worst])) if moved[worst] > LEAST_TOLERANCES else None


def cycle(
    advance: Callable[[float], Floats], output: int, tolerance: float, max_settle_s: float, quantum_s: float | None
) -> Cycle | None:
    """Sample an output that goes to and fro; what it does if that is a lasting cycle, else None.

    Args:
        advance: simulates so many seconds further and returns the outputs (m,) then.
        output: the index of the one that is suspected.
        tolerance: of this output, absolute.
        max_settle_s: the patience.
        quantum_s: the model can be advanced by multiples of this only; None if by any time.

    A sampling that is too slow for a cycle shows another one in its place: the finest comes first, and a period is
    believed only where a few more values, off the sampling's grid, are those of a period before.
    """

    def pass_time(seconds: float) -> float:
        length = seconds if quantum_s is None else quantum_s * max(1, round(seconds / quantum_s))
        return float(advance(length)[output])

    longest = max_settle_s / LONGEST_SAMPLING_OF_MAX
    spacings = [longest / 4.0**scale for scale in reversed(range(SCALES))]
    if quantum_s is not None:
        spacings = sorted({quantum_s * max(1, round(spacing / quantum_s)) for spacing in spacings})
    for spacing_s in spacings:
        first = np.array([pass_time(spacing_s) for _ in range(SAMPLES)])
        found = _round(first, spacing_s, output)
        if found is None or found.amplitude <= LEAST_TOLERANCES * tolerance:
            continue
        if not _off_grid_too(first, spacing_s, found, pass_time, quantum_s):
            continue
        for _ in range(GAP_STEPS):
            pass_time(max_settle_s / GAP_STEPS / GAP_OF_MAX)
        later = _round(np.array([pass_time(spacing_s) for _ in range(SAMPLES)]), spacing_s, output)
        return later if later is not None and _same(found, later) else None
    return None


def refuse_drift(walk: Walk, tolerance: Floats, max_settle_s: float) -> None:
    """Raise where an output moves at a constant rate; ``tolerance`` is absolute, (m,)."""
    if walk.elapsed_s < max_settle_s / DRIFT_SPAN_OF_MAX:
        return
    rate, before = (walk.differences[-place] / walk.lengths[-place] for place in (1, 2))
    # Two rates tell mostly that four are not the same, in a part of the time.
    if not (np.abs(rate - before) < 2.0 * SAME_RATE * np.abs(rate)).any():
        return
    found = drift(walk.differences, walk.lengths, tolerance, max_settle_s)
    if found is not None:
        raise SettleError(
            f"does not settle: '{walk.names[found.output]}' drifts by {found.per_s:.3g} per s, at the same rate until"
            f" {walk.elapsed_s:g} simulated s. It has no settled answer: measure and calibrate what settles, or give"
            " the inputs and parameters that balance it; if it ends much later, raise max_settle_s"
        )


def refuse_cycle(walk: Walk, tolerance: Floats, max_settle_s: float, quantum_s: float | None) -> bool:
    """Raise where the output that moved most goes round for ever; whether one went to and fro so that it was tried."""
    *before, last, latest = [np.abs(difference) for difference in walk.differences[-LAST_FEW:]]
    # What dies out is waited for: that takes less than to sample it.
    lasts = np.maximum(last, latest) > LASTING * np.maximum.reduce([*before, LEAST_TOLERANCES * tolerance])
    if not lasts.any():
        return False
    recent = np.stack(walk.differences[-LAST_FEW:])
    size = np.abs(recent)
    to_and_fro = np.abs(recent.sum(axis=0)) < size.sum(axis=0)
    moved = np.where(to_and_fro & lasts, size.max(axis=0) / tolerance, 0.0)
    worst = int(np.argmax(moved))
    if moved[worst] <= LEAST_TOLERANCES:
        return False
    found = cycle(walk.pass_time, worst, float(tolerance[worst]), max_settle_s, quantum_s)
    if found is not None:
        raise SettleError(
            f"does not settle: '{walk.names[worst]}' goes round with a period of about {found.period_s:.3g} s and an"
            f" amplitude of {found.amplitude:.3g}, around {found.mean:.6g}, still after {walk.elapsed_s:g} simulated s."
            " It has no settled answer: give parameters at which it does not oscillate, or measure what does not"
        )
    return True


def _round(values: Floats, spacing_s: float, output: int) -> Cycle | None:
    """The cycle that equally spaced values (SAMPLES,) show: upward crossings of their middle at equal distances."""
    crossings = _crossings(values)
    if len(crossings) <= LEAST_PERIODS:
        return None
    apart = np.diff(crossings)
    period = float(apart.mean())
    if period < SAMPLES_PER_PERIOD or np.ptp(apart) > SAME_SPACING * period:
        return None
    whole = values[math.ceil(crossings[0]) : math.ceil(crossings[-1])]
    return Cycle(output, period * spacing_s, float(np.ptp(values)) / 2.0, float(whole.mean()))


def _crossings(values: Floats) -> Floats:
    """Where values cross their middle upwards, in samples, between two of them; small wiggles about it are not it."""
    middle, band = (values.max() + values.min()) / 2.0, HYSTERESIS * np.ptp(values) / 2.0
    crossings: list[float] = []
    below, crossed = False, 0.0
    for index in range(1, len(values)):
        before, after = values[index - 1] - middle, values[index] - middle
        below = below or before < -band
        if before < 0.0 <= after:
            crossed = index - 1 + before / (before - after)
        if below and after > band:
            crossings.append(float(crossed))
            below = False
    return np.array(crossings)


def _off_grid_too(
    values: Floats, spacing_s: float, found: Cycle, pass_time: Callable[[float], float], quantum_s: float | None
) -> bool:
    """Values at times between the grid's are those of a whole number of periods before; (SAMPLES,) on the grid."""
    time = (SAMPLES - 1) * spacing_s
    grid = spacing_s * np.arange(SAMPLES)
    for share in OFF_GRID:
        length = share * spacing_s
        value = pass_time(length)
        time += length if quantum_s is None else quantum_s * max(1, round(length / quantum_s))
        before = time - 2.0 * found.period_s
        if abs(value - np.interp(before, grid, values)) > OFF_GRID_RESIDUAL * found.amplitude:
            return False
    return True


def _same(one: Cycle, later: Cycle) -> bool:
    """No sign of dying out, and no trend."""
    return (
        abs(later.period_s - one.period_s) <= SAME_PERIOD * one.period_s
        and later.amplitude >= SUSTAINED * one.amplitude
        and abs(later.mean - one.mean) <= SAME_MEAN * one.amplitude
    )
