"""What earlier updates learnt of the model: slopes that are still right need no 2n+1 runs to be found again.

Belongs here: what is learnt, and when an update may rest on it; the update itself is in ``looks``. Whatever the checks
find too coarse is computed from all sigma points instead, and so is every surprising observation, but for an outlier
beside a model that ten runs show to be affine: a kink is not judged by what was true before it.
"""

from dataclasses import dataclass, replace

import numpy as np

from twin_assets.estimation.affine import Affine, cloud, inside
from twin_assets.estimation.bounds import Coefficients, physical
from twin_assets.estimation.gate import Prediction, surplus, without
from twin_assets.estimation.gaussian import Gaussian, Linearized
from twin_assets.estimation.iterated import Predict, Problem, is_affine
from twin_assets.estimation.looks import BENT, EVERY, WRONG, Task, bend, iterated, straight, turned
from twin_assets.estimation.state import FilterSettings
from twin_assets.estimation.update import Evidence, evidence
from twin_assets.model import Floats

# In standard deviations of the measurement noise: by how much the innovation may be mistaken for the slopes' sake. A
# tenth is lost in the noise.
_EXTRAPOLATED = 3.0
# Slopes of other inputs are as good as they are near: this part of each input.
_INPUTS_NEAR = 0.01
# What is not affine was found over the width of what was believed then. It says nothing about what is believed so many
# times as well, where it is more than BENT; and nothing at all about so many times as badly.
_WIDTHS = 2.0


@dataclass(frozen=True, eq=False)
class Learnt:
    """The model as it was last seen; all outputs whitened.

    Attributes:
        inputs: (p,) under which it was seen.
        first_inputs: (p,) under which all slopes were found.
        width: (n,) standard deviations of the coefficients over which they were found.
        model: affine about where it was run last.
        turn: updates since the full set, modulo EVERY times n: whose slope is measured when.
    """

    inputs: Floats
    first_inputs: Floats
    width: Floats
    model: Affine
    turn: int


@dataclass(frozen=True, eq=False)
class Reused:
    """An update from known slopes.

    Attributes:
        posterior: of the n states.
        expected: whitened innovation of all m channels, NaN where missing.
        nis: of the used channels; where the model is bent, by the slopes of where the update ends.
        used: (m,) bool.
        learnt: for the next update.
        believed: moments of the coefficients before it.
        model: what the observation was held against; where the model is bent, with the slopes of where the update ends.
        held: the innovation by that.
    """

    posterior: Gaussian
    expected: Evidence
    nis: float
    used: np.ndarray
    learnt: Learnt
    believed: Linearized
    model: Affine
    held: Evidence


def learnt_from(prediction: Prediction, inputs: Floats) -> Learnt:
    """What a full set of sigma points under inputs (p,) taught."""
    model = prediction.model
    # In the order of memory that a restored state has: sums are rounded alike then.
    seen = Affine(prediction.points[0], prediction.outputs[0], *map(np.ascontiguousarray, (model.slope, model.rest)))
    return Learnt(inputs, inputs, prediction.believed.std, seen, 0)


def reused_update(
    last: Gaussian,
    prior: Gaussian,
    observation: Floats,
    inputs: Floats,
    predict: Predict,
    coefficients: Coefficients,
    settings: FilterSettings,
    learnt: Learnt,
) -> Reused | None:
    """The update, or None where it takes all sigma points.

    Args:
        last: posterior of the n states after the observation before: about where the next one is expected.
        prior: of the n states.
        observation: (m,) whitened, NaN where missing, at least one measured.
        inputs: (p,) operating conditions.
        predict: whitened outputs (k, m) of coefficients (k, n).
        coefficients: bounds.
        settings: the gate.
        learnt: from the updates before.
    """
    believed = physical(prior, coefficients)
    task = Task(last, prior, believed, observation, np.isfinite(observation), predict, coefficients)
    model = _looked(task, inputs, learnt)
    if model is None:
        return None
    whole = evidence(believed, model, observation)
    innovation = whole if task.used.all() else task.innovation(model)
    if surplus(innovation, settings) > 0.0:
        fewer = _without_outlier(task, model, innovation, settings)
        if fewer is None:
            return None
        task, innovation = fewer
    bent = bend(model.rest)
    if bent.max() > BENT:
        ended = iterated(task, model, int(np.argmax(bent)), learnt.turn, settings)
    else:
        ended = straight(task, model, learnt.turn, settings, innovation.nis)
    if ended is None:
        return None
    after = replace(learnt, inputs=inputs, model=ended.model, turn=(learnt.turn + 1) % (EVERY * prior.mean.size))
    against = ended.held_against
    held = whole if against is model else evidence(believed, against, observation)
    return Reused(ended.posterior, whole, ended.nis, task.used, after, believed, against, held)


def _looked(task: Task, inputs: Floats, learnt: Learnt) -> Affine | None:
    """The model about the prior: as it was seen, where that is near enough, else by a run; None if slopes are not."""
    if (np.abs(inputs - learnt.first_inputs) > _INPUTS_NEAR * np.abs(learnt.first_inputs)).any():
        return None
    wider = task.believed.std / learnt.width
    bent = bend(learnt.model.rest).max() > BENT
    if wider.max() > _WIDTHS or (bent and wider.min() < 1.0 / _WIDTHS):
        return None
    same = np.array_equal(inputs, learnt.inputs)
    expected = learnt.model.at(inside(task.believed.mean, task.coefficients))
    if same and (bent or np.abs(expected - learnt.model.value).max() <= _EXTRAPOLATED):
        return learnt.model
    here = task.look(task.believed, learnt.model)
    if here is None or not same or np.abs(here.value - expected).max() <= WRONG:
        return here
    turn = turned(learnt.model, here)
    return None if turn is None else turn.model


def _without_outlier(
    task: Task, model: Affine, innovation: Evidence, settings: FilterSettings
) -> tuple[Task, Evidence] | None:
    """The update without the one channel that is wrong; None if it is not one, or coefficients may explain it."""
    if innovation.residual.size < 2 or bend(model.rest).max() > BENT:  # noqa: PLR2004 - nothing would be left
        return None
    fewer = replace(task, used=without(task.used, int(np.argmin(innovation.nis_without_each()))))
    rest = fewer.innovation(model)
    if surplus(rest, settings) > 0.0:
        return None
    points, used = cloud(task.believed, task.coefficients).points, task.used
    problem = Problem(
        prior=task.prior,
        points=points,
        outputs=(model.value + (points - model.center) @ model.slope.T)[:, used],
        model=model.only(used),
        observation=task.observation[used],
        predict=lambda values: task.predict(values)[:, used],
        coefficients=task.coefficients,
    )
    affine = is_affine(problem, task.posterior(model), surplus(innovation, settings))
    return (fewer, rest) if affine else None
