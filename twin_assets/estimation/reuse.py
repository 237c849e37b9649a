"""What earlier updates learnt of the model: slopes that are still right need no 2n+1 runs to be found again.

Belongs here: an update from slopes that are known, by two or three model runs, and the checks that refuse it. The model
is looked at where the update says that the coefficients are; the value there takes the place of what the slopes
predicted, so that an error of theirs does not add up, and one coefficient a step has its slope measured anew, in turn.

This is an iterated update with secant sensitivities (Broyden 1965, *A class of methods for solving nonlinear
simultaneous equations*; Bell and Cathey 1993). Whatever the checks find too coarse is computed from all sigma points
instead, and so is every surprising observation: neither a kink nor an outlier is judged by what was true before it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from twin_assets.estimation.affine import SMALLEST_SPREAD, Affine, inside
from twin_assets.estimation.bounds import Coefficients, physical
from twin_assets.estimation.gate import Prediction
from twin_assets.estimation.gaussian import Gaussian, Linearized
from twin_assets.estimation.state import FilterSettings
from twin_assets.estimation.update import Evidence, evidence, updated
from twin_assets.model import Floats

# In standard deviations of the measurement noise: how wrong slopes may be where they took the update (that error is
# then made good), and by how much the innovation may be mistaken for their sake. A tenth is lost in the noise.
_WRONG, _EXTRAPOLATED = 0.3, 3.0
# Slopes of other inputs are as good as they are near: this part of each input.
_INPUTS_NEAR = 0.01
# What is not affine was found over the width of what was believed then. Where it is more than this part of the noise,
# it says nothing about what is believed so many times as well; and nothing at all about so many times as badly.
_BENT, _WIDTHS = 0.3, 2.0


@dataclass(frozen=True, eq=False)
class Learnt:
    """The model as it was last seen; all outputs whitened.

    Attributes:
        inputs: (p,) under which it was seen.
        first_inputs: (p,) under which all slopes were found.
        width: (n,) standard deviations of the coefficients over which they were found.
        model: affine about where it was run last.
        turn: the coefficient whose slope is measured next.
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
        nis: of the measured channels.
        learnt: for the next update.
    """

    posterior: Gaussian
    expected: Evidence
    nis: float
    learnt: Learnt


def learnt_from(prediction: Prediction, inputs: Floats) -> Learnt:
    """What a full set of sigma points under inputs (p,) taught."""
    model = prediction.model
    # In the order of memory that a restored state has: sums are rounded alike then.
    seen = Affine(prediction.points[0], prediction.outputs[0], *map(np.ascontiguousarray, (model.slope, model.rest)))
    return Learnt(inputs, inputs, np.sqrt(np.diag(prediction.believed.cov)), seen, 0)


def reused_update(
    prior: Gaussian,
    observation: Floats,
    inputs: Floats,
    predict: Callable[[Floats], Floats],
    coefficients: Coefficients,
    settings: FilterSettings,
    learnt: Learnt,
) -> Reused | None:
    """The update, or None where it takes all sigma points.

    Args:
        prior: of the n states.
        observation: (m,) whitened, NaN where missing, at least one measured.
        inputs: (p,) operating conditions.
        predict: whitened outputs (k, m) of coefficients (k, n).
        coefficients: bounds.
        settings: the gate.
        learnt: from the updates before.
    """
    believed = physical(prior, coefficients)
    model = _looked(believed, inputs, predict, coefficients, learnt)
    if model is None:
        return None
    used = np.isfinite(observation)
    whole = evidence(believed, model, observation)
    innovation = whole if used.all() else evidence(believed, model.only(used), observation[used])
    channels = int(used.sum())
    hidden = innovation.nis - innovation.nis_without_each().min() > settings.channel_gate(channels)
    if innovation.nis > settings.gate(channels) or hidden:
        return None
    plain = updated(prior, model.only(used), observation[used], coefficients)
    verified = _verified(plain, model, predict, coefficients, learnt.turn)
    if _too_wrong(verified, model, believed, learnt.turn):
        return None
    return Reused(
        posterior=updated(prior, verified.only(used), observation[used], coefficients, about=plain),
        expected=whole,
        nis=innovation.nis,
        learnt=replace(learnt, inputs=inputs, model=verified, turn=(learnt.turn + 1) % prior.mean.size),
    )


def _looked(
    believed: Linearized,
    inputs: Floats,
    predict: Callable[[Floats], Floats],
    coefficients: Coefficients,
    learnt: Learnt,
) -> Affine | None:
    """The model about the prior: as it was seen, where that is near enough, else by a run; None if slopes are not."""
    if (np.abs(inputs - learnt.first_inputs) > _INPUTS_NEAR * np.abs(learnt.first_inputs)).any():
        return None
    wider = np.sqrt(np.diag(believed.cov)) / learnt.width
    bent = np.sqrt((learnt.model.rest**2).sum(axis=0)).max() > _BENT
    if wider.max() > _WIDTHS or (bent and wider.min() < 1.0 / _WIDTHS):
        return None
    center, same = inside(believed.mean, coefficients), np.array_equal(inputs, learnt.inputs)
    expected = learnt.model.at(center)
    if same and np.abs(expected - learnt.model.value).max() <= _EXTRAPOLATED:
        return learnt.model
    value = predict(center[np.newaxis])[0]
    if np.isnan(value).any() or (same and np.abs(value - expected).max() > _WRONG):
        return None
    return replace(learnt.model, center=center, value=value)


def _verified(
    plain: Gaussian, model: Affine, predict: Callable[[Floats], Floats], coefficients: Coefficients, turn: int
) -> Affine:
    """The model where the update ends, with one slope measured there."""
    reached = physical(plain, coefficients)
    center = inside(reached.mean, coefficients)
    step = max(float(np.sqrt(reached.cov[turn, turn])), SMALLEST_SPREAD * float(coefficients.scale[turn]))
    if center[turn] + step > coefficients.upper[turn]:
        step = -step
    moved = center.copy()
    moved[turn] = max(center[turn] + step, coefficients.lower[turn])
    outputs = predict(np.vstack([center, moved]))
    slope = model.slope.copy()
    slope[:, turn] = (outputs[1] - outputs[0]) / (moved[turn] - center[turn])
    return Affine(center, outputs[0], slope, model.rest)


def _too_wrong(verified: Affine, model: Affine, believed: Linearized, turn: int) -> bool:
    """Whether the value where the update ended, or the slope measured there, is another than was relied upon.

    Where the model could not be run there is nothing to rely upon.
    """
    value = np.abs(verified.value - model.at(verified.center)).max()
    tilt = np.abs(verified.slope[:, turn] - model.slope[:, turn]).max() * np.sqrt(believed.cov[turn, turn])
    return not bool(np.maximum(value, tilt) <= _WRONG)
