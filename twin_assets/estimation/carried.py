"""Points that are carried on: a model that never rests is looked at from fixed coefficients while they are good enough.

Belongs here: an update from the outputs of fixed points, and when they are no longer good enough. What the outputs are
is the model's affair: of a process that never rests they are functions of the coefficients *and* of the recent past,
with the coefficients held over all of it. So every point carries the model's own state on from one observation to the
next. Were the points moved with each update and the states not, the states would still come from the wider cloud of
before, and slopes would be too steep; were all states made one, slopes would be those of a single interval.

Between two draws the model is one affine function of the coefficients for each observation, about the points' center,
and the updates are those of a least-squares problem. Where the points no longer surround what is believed, or the model
bends too much over the way there, new ones are drawn where the coefficients are believed to be, and the observations
since the last new start are taken in once more, as they look from there: iterated posterior linearization
(Garcia-Fernandez, Svensson, Morelande and Sarkka 2015) of many observations together. What a first look from far away
made of an observation is then forgotten, before it can pass for knowledge.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twin_assets.estimation.affine import Affine, Cloud, cloud, fitted
from twin_assets.estimation.bounds import Coefficients, physical
from twin_assets.estimation.filter import expected_at
from twin_assets.estimation.gaussian import Gaussian
from twin_assets.estimation.iterated import Predict, Problem, explain
from twin_assets.estimation.mending import mended
from twin_assets.estimation.state import FilterSettings, FilterState, Looked, Step
from twin_assets.estimation.update import evidence, updated
from twin_assets.model import FailedRow, Floats

# What is not affine is wrong in the same direction at every observation, so it adds up where noise averages out: over k
# observations the bias is sqrt(k) times as many standard deviations of the posterior. A fifth costs less than one
# percent of a 95 % interval's coverage.
_BIAS = 0.2
# Beyond the points, in their standard deviations, nothing was looked at.
_MOVED, _WIDER = 2.0, 1.5
# Linearizations spent on a search.
_LINEARIZATIONS = 16


@dataclass(frozen=True, eq=False)
class Taken:
    """An observation that was taken in.

    Attributes:
        time_ns: its time.
        seen: (m,) whitened, NaN where nothing was used.
    """

    time_ns: int
    seen: Floats


@dataclass(frozen=True, eq=False)
class Carried:
    """What the model says of one observation at fixed points.

    Attributes:
        drawn: the points (2n+1, n).
        model: affine, fitted to its outputs there; whitened.
    """

    drawn: Cloud
    model: Affine

    @classmethod
    def of(cls, drawn: Cloud, outputs: Floats) -> "Carried":
        """From whitened outputs (2n+1, m) at the points."""
        return cls(drawn, fitted(drawn, outputs))

    def good_enough(self, posterior: Gaussian, coefficients: Coefficients, observations: int) -> bool:
        """Whether so many observations that led to a posterior may be taken for what they look from these points.

        A bend of the model along an axis is known on average over the points; where the mean has moved by d of their
        standard deviations, and w of their width is left, it is d^2 + w^2 - 1 times that.
        """
        believed = physical(posterior, coefficients)
        moved = np.abs(np.linalg.solve(self.drawn.root, believed.mean - self.drawn.points[0]))
        left = np.linalg.norm(np.linalg.solve(self.drawn.root, believed.root), axis=1)
        if moved.max() > _MOVED or left.max() > _WIDER:
            return False
        bent = np.sqrt((self.model.rest**2).sum(axis=0)).max()
        off = max(np.abs(moved**2 + left**2 - 1.0).max(), moved.max() ** 2)
        return bool(bent * off * np.sqrt(observations) <= _BIAS)


def taken_again(
    state: FilterState, taken: Sequence[Taken], models: Sequence[Affine], coefficients: Coefficients
) -> FilterState:
    """The state after some observations, each as it looks by its own affine model; their gate is not asked again."""
    for each, model in zip(taken, models, strict=True):
        prior, used = expected_at(state, each.time_ns, coefficients), np.isfinite(each.seen)
        if used.any():
            prior = updated(prior, model.only(used), each.seen[used], coefficients)
        state = FilterState(each.time_ns, prior)
    return state


def explained(
    prior: Gaussian, seen: Floats, predict: Predict, coefficients: Coefficients, settings: FilterSettings
) -> tuple[Gaussian | None, int]:
    """The posterior of many observations together, by a search for its maximum; None where they cannot all be right.

    From far away a single observation may look like what it is not (an oscillation that is a whole turn off); then the
    next ones surprise. Which coefficients explain them all is looked for from the prior that none of them has touched.

    Args:
        prior: of the n states, before all of them.
        seen: (q,) whitened.
        predict: the same (k, q) for coefficients (k, n); NaN in rows that fail.
        coefficients: bounds.
        settings: the gate.

    Returns:
        The posterior, and how many model runs it took.
    """
    runs = 0

    def counted(values: Floats) -> Floats:
        nonlocal runs
        runs += len(values)
        return predict(values)

    believed, enough = physical(prior, coefficients), settings.gate(seen.size)
    drawn = cloud(believed, coefficients)
    outputs = mended(drawn.points, counted(drawn.points), counted)
    if outputs is None:
        return None, runs
    model = fitted(drawn, outputs)
    task = Problem(prior, drawn.points, outputs, model, seen, counted, coefficients)
    needed = evidence(believed, model, seen).nis - enough
    found = explain(task, updated(prior, model, seen, coefficients), needed, enough, _LINEARIZATIONS)
    if found.best is None or found.cost > enough:
        return None, runs
    return updated(prior, found.best.model, seen, coefficients), runs


def carried_step(
    prior: Gaussian,
    time_ns: int,
    observation: Floats,
    model: Affine,
    coefficients: Coefficients,
    settings: FilterSettings,
) -> Step | None:
    """The update by an affine model; None for a surprising observation, which deserves a full look at the real one.

    Args:
        prior: of the n states, drift included.
        time_ns: of the observation.
        observation: (m,) NaN where missing, at least one measured.
        model: of the m outputs then, whitened.
        coefficients: bounds.
        settings: noise and gate.
    """
    believed, seen = physical(prior, coefficients), observation / settings.noise_std
    used = np.isfinite(seen)
    innovation, channels = evidence(believed, model.only(used), seen[used]), int(used.sum())
    hidden = innovation.nis - innovation.nis_without_each().min() > settings.channel_gate(channels)
    if innovation.nis > settings.gate(channels) or hidden:
        return None
    whole = evidence(believed, model, seen)
    return Step(
        time_ns=time_ns,
        posterior=updated(prior, model.only(used), seen[used], coefficients),
        innovation=whole.residual * settings.noise_std,
        innovation_std=whole.std * settings.noise_std,
        nis=innovation.nis,
        dof=channels,
        reasons=tuple(np.where(used, "", "missing").tolist()),
        method="carried",
        model_runs=0,
        looked=Looked(whole, believed, model, settings.noise_std),
    )


def unanswered_step(
    prior: Gaussian, time_ns: int, observation: Floats, failures: tuple[FailedRow, ...], model_runs: int
) -> Step:
    """Nothing is assimilated, for too little of the model could be run: time has passed, that is all."""
    nothing = np.full(observation.size, np.nan)
    reasons = tuple(np.where(np.isfinite(observation), "model", "missing").tolist())
    return Step(time_ns, prior, nothing, nothing, 0.0, 0, reasons, "prediction", model_runs, failures=failures)
