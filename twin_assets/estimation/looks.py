"""An update by few looks at the model, from slopes that are known.

The model is looked at where the update says that the coefficients are; the value there takes the place of what the
slopes predicted, so that an error of theirs does not add up; every other time one coefficient has its slope measured
anew, in turn.

Where the model is bent within the width of what is believed (a roller that slips), the update is iterated (Bell and
Cathey 1993): every look corrects the slopes by what it saw (secants: Broyden 1965, *A class of methods for solving
nonlinear simultaneous equations*) until one finds what they said. What is not affine over the width of the prior is
then no noise of the update, for its slopes are those of where it ends; and it is the innovation from there that has to
pass the gate.

Belongs here: the looks, and the checks that refuse what they show. None says that it takes all sigma points.
"""

from dataclasses import dataclass, replace

import numpy as np

from twin_assets.estimation.affine import SMALLEST_SPREAD, Affine, inside
from twin_assets.estimation.bounds import Coefficients, physical
from twin_assets.estimation.gate import surplus
from twin_assets.estimation.gaussian import Gaussian, Linearized
from twin_assets.estimation.iterated import Predict
from twin_assets.estimation.state import FilterSettings
from twin_assets.estimation.update import Evidence, evidence, updated
from twin_assets.model import Floats

WRONG = 0.3
"""Standard deviations of the measurement noise: how wrong slopes may be where they took an update; it is made good."""

BENT = 0.3
"""The same of what is not affine: more of it takes an iterated update."""

EVERY = 2
"""One update of so many measures a slope."""

# Looks of an iterated update. Each has to find an error less than so much of the last one's, and what a secant takes
# off a slope, or adds to it, may not be more than this part of it.
_LOOKS, _SHRINKS, _TURNS = 6, 0.5, 0.5
# Errors of less than this, in standard deviations of the noise, say nothing about a slope.
_SEEN = 0.03


@dataclass(frozen=True, eq=False)
class Task:
    """An update.

    Attributes:
        last: of the n states, after the observation before.
        prior: of the n states.
        believed: moments of the coefficients.
        observation: (m,) whitened.
        used: (m,) bool.
        predict: whitened outputs (k, m) of coefficients (k, n).
        coefficients: bounds.
    """

    last: Gaussian
    prior: Gaussian
    believed: Linearized
    observation: Floats
    used: np.ndarray
    predict: Predict
    coefficients: Coefficients

    def innovation(self, model: Affine) -> Evidence:
        """Of the used channels."""
        return evidence(self.believed, model.only(self.used), self.observation[self.used])

    def posterior(self, model: Affine, about: Gaussian | None = None) -> Gaussian:
        """Of the states; ``about``: where it is expected."""
        return updated(self.prior, model.only(self.used), self.observation[self.used], self.coefficients, about)

    def look(self, believed: Linearized, model: Affine, *columns: int) -> Affine | None:
        """A model where coefficients are believed to be, with some of its slopes measured there; None if it fails."""
        std = believed.std
        center = inside(believed.mean, self.coefficients)
        points = np.tile(center, (1 + len(columns), 1))
        for point, column in zip(points[1:], columns, strict=True):
            step = max(float(std[column]), SMALLEST_SPREAD * float(self.coefficients.scale[column]))
            if center[column] + step > self.coefficients.upper[column]:
                step = -step
            point[column] = max(center[column] + step, self.coefficients.lower[column])
        outputs = self.predict(points)
        if np.isnan(outputs).any():
            return None
        slope = model.slope.copy()
        for point, output, column in zip(points[1:], outputs[1:], columns, strict=True):
            slope[:, column] = (output - outputs[0]) / (point[column] - center[column])
        return Affine(center, outputs[0], slope, model.rest)


@dataclass(frozen=True, eq=False)
class Ended:
    """Where an update ended.

    Attributes:
        posterior: of the n states.
        nis: of the innovation.
        model: where it ended.
        held_against: what the observation was held against, as seen from the prior.
    """

    posterior: Gaussian
    nis: float
    model: Affine
    held_against: Affine


def straight(task: Task, model: Affine, turn: int, settings: FilterSettings, nis: float) -> Ended | None:
    """The update where the model is affine over the width of what is believed, as it proves to be where it ends.

    One update of two measures a slope there: that of coefficient ``turn`` / 2. ``nis``: of the innovation.
    """
    plain, columns = task.posterior(model, task.last), _due(turn)
    there = task.look(physical(plain, task.coefficients), model, *columns)
    if there is None:
        return None
    error = np.abs(there.value - model.at(there.center))
    off = float(error.max())
    if off <= WRONG and _tilt(there, model, columns, task.believed) <= WRONG:
        better = off > _SEEN or columns
        return Ended(task.posterior(there, plain) if better else plain, nis, there, model)
    turn_to = turned(model, there, columns)
    return None if turn_to is None else iterated(task, turn_to.model, int(np.argmax(error)), turn, settings)


def iterated(task: Task, model: Affine, bent: int, turn: int, settings: FilterSettings) -> Ended | None:
    """The update where it is not: by secants until a look finds what they said, and slopes that are measured there.

    That of the coefficient which moves output ``bent`` most, and those that are due.
    """
    steepest = int(np.argmax(np.abs(model.slope[bent]) * task.believed.std))
    others = tuple(column for column in _due(turn) if column != steepest)
    found = _found(task, replace(model, rest=np.zeros((0, model.value.size))), (steepest, *others))
    if found is None:
        return None
    innovation = task.innovation(found.model)
    there = physical(found.plain, task.coefficients)
    if _tilt(found.model, found.said, others, there) > WRONG or surplus(innovation, settings) > 0.0:
        return None
    # Half of what was not met this time is not expected the next time.
    after = replace(found.model, rest=model.rest / 2.0 if found.at_once else model.rest)
    return Ended(task.posterior(found.model, found.plain), innovation.nis, after, found.model)


@dataclass(frozen=True, eq=False)
class _Found:
    """Where secants lead.

    Attributes:
        plain: the posterior by the model that predicted what was seen there.
        said: that model.
        model: the same with what was seen, slopes included.
        at_once: no secant was needed.
    """

    plain: Gaussian
    said: Affine
    model: Affine
    at_once: bool


def _found(task: Task, model: Affine, columns: tuple[int, ...]) -> _Found | None:
    """Looks that follow each other until the model, corrected by all before, predicts what the next one finds."""
    plain, error, expected = None, np.inf, np.inf
    for looks in range(_LOOKS):
        plain = task.posterior(model, plain)
        there = physical(plain, task.coefficients)
        # The slopes are measured by the look that is expected to be the last one.
        seen = task.look(there, model, *(columns if expected <= WRONG else ()))
        before, error = error, np.inf if seen is None else float(np.abs(seen.value - model.at(seen.center)).max())
        if seen is None or error > _SHRINKS * before:
            break
        if error <= WRONG:
            measured = seen if expected <= WRONG else task.look(there, model, *columns)
            return None if measured is None else _Found(plain, model, measured, looks == 0)
        turn = turned(model, seen, columns if expected <= WRONG else ())
        if turn is None:
            break
        model, expected = turn.model, turn.part * error
    return None


@dataclass(frozen=True, eq=False)
class Turn:
    """A model with other slopes, and the largest part by which one changed."""

    model: Affine
    part: float


def turned(model: Affine, seen: Affine, measured: tuple[int, ...] = ()) -> Turn | None:
    """A model where it was seen, its slopes such that they would have predicted that; None if they are too wrong.

    What bends an output scales all its slopes alike, where it is a function of one sum of the coefficients. Columns
    that were measured are left as they are.
    """
    predicted, found = model.slope @ (seen.center - model.center), seen.value - model.value
    off = np.abs(found - predicted)
    ratio = np.divide(found, predicted, out=np.full_like(found, np.inf), where=predicted != 0.0)
    too_far = np.abs(ratio - 1.0) > _TURNS
    if (too_far & (off > WRONG)).any():
        return None
    # Small errors of what hardly moved say nothing about a slope.
    ratio = np.where((off > _SEEN) & ~too_far, ratio, 1.0)
    part = float(np.abs(ratio - 1.0).max())
    slope = model.slope * ratio[:, np.newaxis]
    slope[:, list(measured)] = seen.slope[:, list(measured)]
    return Turn(replace(seen, slope=slope), part)


def _due(turn: int) -> tuple[int, ...]:
    """The coefficient whose slope is measured, if this update measures one."""
    return () if turn % EVERY else (turn // EVERY,)


def _tilt(seen: Affine, said: Affine, columns: tuple[int, ...], over: Linearized) -> float:
    """By how much outputs change, over what is believed, for the slopes that were measured to be others than said."""
    if not columns:
        return 0.0
    wrong = np.abs(seen.slope - said.slope)[:, columns].max(axis=0)
    return float((wrong * over.std[list(columns)]).max())


def bend(rest: Floats) -> Floats:
    """(m,) standard deviations of what is not affine."""
    return np.asarray(np.sqrt((rest**2).sum(axis=0)), dtype=np.float64)
