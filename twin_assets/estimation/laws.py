"""Which way a blind direction goes on far from the prior: found out by going there.

Belongs here: the far runs. A Jacobian cannot tell R1·C from R1 + C; a model that answers the same at ten times R1 and a
tenth of C can.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from twin_assets.estimation.bounds import Coefficients
from twin_assets.estimation.combinations import Law, whole
from twin_assets.estimation.coordinates import Chart, exponential, straight
from twin_assets.estimation.seen import BLIND, Measure
from twin_assets.model import EvaluationError, Floats

# As far as the bounds allow, at most: of products this factor up and down, of sums so many prior standard deviations.
FACTOR, _STDS = 10.0, 5.0
# A model may fail that far away; then parts of the way are tried.
_PARTS = (1.0, 0.4)
# From a start with this much room, in prior standard deviations; a way that ends before half of that shows nothing.
_ROOM, _SHORTEST = 1.0, 0.5


@dataclass(frozen=True, eq=False)
class Way:
    """A direction with the law by which it goes on.

    Attributes:
        law: "sum" or "product"; "local" where neither keeps the measurements.
        direction: (n,) in prior standard deviations near the prior.
        exponents: (n,) powers of one factor, of a product; zeros otherwise.
        change: of the measurements, in their noise, per prior standard deviation along it; NaN if "local".
    """

    law: Law
    direction: Floats
    exponents: Floats
    change: float = np.nan


def far_way(measure: Measure, coefficients: Coefficients, straight_on: Floats, curved: Floats | None) -> Way:
    """The law that keeps the measurements best along one direction, if any does; some 3 to 18 runs.

    Args:
        measure: the model.
        coefficients: the prior, with bounds that the runs keep.
        straight_on: (n,) the direction as straight coordinates have it, in prior standard deviations.
        curved: (n,) as exponential ones have it; None if some of its coefficients have none.
    """
    zeros = np.zeros(straight_on.size)
    ways = [Way("sum", straight_on, zeros)]
    if curved is not None:
        ways += _products(exponential(coefficients), straight_on, curved)
    tried = [replace(way, change=_change(measure, coefficients, way)) for way in ways]
    best = min(tried, key=lambda way: way.change)
    return best if best.change < BLIND else Way("local", straight_on, zeros)


def _products(chart: Chart, straight_on: Floats, curved: Floats) -> Iterator[Way]:
    """With whole numbers for exponents where they are nearly such, and as they were found."""
    used = curved != 0.0
    exponents = np.divide(curved * chart.std, chart.center, out=np.zeros_like(curved), where=used)
    yield Way("product", straight_on, exponents / np.abs(exponents).max())
    rounded = whole(exponents[used])
    if rounded is not None:
        exponents[used] = rounded
        yield Way("product", straight_on, exponents)


def _change(measure: Measure, coefficients: Coefficients, way: Way) -> float:
    """By how much the measurements change along a way, per prior standard deviation; inf where it is not known."""
    for part in _PARTS:
        far = _ends(coefficients, way, part)
        moved = np.linalg.norm((far[1:] - far[0]) / coefficients.initial_std, axis=1)
        if moved.max() < _SHORTEST:
            break
        try:
            outputs = measure(far)
        except EvaluationError:
            continue
        return float((np.linalg.norm(outputs[1:] - outputs[0], axis=1) / np.maximum(moved, 1.0)).max())
    return np.inf


def _ends(coefficients: Coefficients, way: Way, part: float) -> Floats:
    """(3, n) coefficients: a start inside the bounds, and as far as a way leads to both sides, or a part of that."""
    curved = exponential(coefficients, _ROOM)
    # What is positive by all that is believed stays so.
    lower = np.maximum(coefficients.lower, np.where(curved.exponential, curved.center / FACTOR, -np.inf))
    upper = coefficients.upper
    if way.law == "sum":
        chart, direction = straight(coefficients, _ROOM), way.direction
        most = _STDS / np.abs(direction).max()
    else:
        chart, direction = curved, way.exponents * curved.center / curved.std
        most = float(np.log(FACTOR) / np.abs(way.exponents).max())
    far = [sign * part * min(most, chart.ahead(sign * direction, lower, upper)) * direction for sign in (1.0, -1.0)]
    # The clip removes rounding alone.
    return np.clip(chart.at(np.vstack([np.zeros_like(direction), *far])), lower, upper)
