"""Can the coefficients explain a surprising observation? The maximum-a-posteriori update.

Belongs here: the search for the coefficients that explain it best. Whether that explanation is believed is decided in
``gate``.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from twin_assets.estimation.affine import Affine
from twin_assets.estimation.bounds import Coefficients, clamp_slope, to_physical
from twin_assets.estimation.gaussian import Gaussian, sigma_radius, triangular
from twin_assets.estimation.update import Evidence
from twin_assets.model import Floats

Predict = Callable[[Floats], Floats]

# Where the search may start: on the axis that explains most (prior standard deviations), and on the line to the plain
# update (fractions of it). No start is farther away than the longest of the former.
_AXIS, _LINE = np.array([0.0, 0.25, 0.5, 1.0, 2.0, 4.0]), np.array([0.125, 0.25, 0.5, 1.0])
# The model is taken for affine if none of these costs differs by this part of what an explanation has to gain.
_AFFINE = 0.1
# Fractions of a full step that are tried together where the full step leads uphill.
_SHORTER = np.array([0.5, 0.25, 0.125, 0.06, 0.03, 0.01])
# Finite differences reach at most this far, in prior standard deviations, and at least so many scales of the clamp: far
# above the model's own settling error.
_DIFFERENCE = 0.1
_SMALLEST_STEP = 0.01
# Converged when a step takes less than this off the cost: less than half a posterior standard deviation, and the final
# update takes most of that.
_TOLERANCE = 0.2
# The search within one linearization, without model runs: rounds, first damping, what a step takes off the cost in the
# end (the linearization is worth no more), and the shortest one that is tried.
_INNER, _DAMPING, _GAIN, _STILL = 100, 1e-3, 1e-3, 1e-9


@dataclass(frozen=True, eq=False)
class Problem:
    """One observation against one prior, in whitened coordinates: z = mean + root xi, xi ~ N(0, I) a priori.

    Attributes:
        prior: of the n states.
        points: (2n+1, n) the sigma points of the coefficients.
        outputs: (2n+1, m) whitened, there.
        model: affine, fitted to them.
        observation: (m,) whitened, of the used channels.
        predict: the whitened outputs (k, m) of those channels for coefficients (k, n).
        coefficients: bounds.
    """

    prior: Gaussian
    points: Floats
    outputs: Floats
    model: Affine
    observation: Floats
    predict: Predict
    coefficients: Coefficients

    def states(self, xi: Floats) -> Floats:
        """(..., n) states of whitened ones."""
        return np.asarray(self.prior.mean + xi @ self.prior.root.T, dtype=np.float64)

    def costs(self, xi: Floats) -> Floats:
        """(k,) costs of whitened states (k, n), by k model runs; infinite where the model cannot be run."""
        costs = self._costs(xi, self.predict(to_physical(self.states(xi), self.coefficients)))
        return np.asarray(np.where(np.isnan(costs), np.inf, costs), dtype=np.float64)

    def affine_costs(self, xi: Floats) -> Floats:
        """(k,) what they would be if the model were what was fitted to the sigma points."""
        away = to_physical(self.states(xi), self.coefficients) - self.model.center
        return self._costs(xi, self.model.value + away @ self.model.slope.T)

    def _costs(self, xi: Floats, outputs: Floats) -> Floats:
        return np.asarray((xi**2).sum(axis=1) + ((self.observation - outputs) ** 2).sum(axis=1), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Trial:
    """The model near one point: residual(xi + d) = residual - slope d.

    Attributes:
        xi: (n,) whitened state.
        residual: (m,) whitened.
        slope: (m, n) per whitened state.
        model: the same, affine in the coefficients.
    """

    xi: Floats
    residual: Floats
    slope: Floats
    model: Affine

    @property
    def cost(self) -> float:
        """-2 log posterior up to a constant; its minimum has the law of the NIS where the model is linear."""
        return float(self.xi @ self.xi + self.residual @ self.residual)

    def evidence(self) -> Evidence:
        """The innovation that this linearization sees from the prior's mean."""
        return Evidence(self.residual + self.slope @ self.xi, triangular(np.eye(self.residual.size), self.slope))


@dataclass(frozen=True, eq=False)
class Found:
    """What a search found and what it took.

    Attributes:
        best: the most likely point; None where the model is affine, and the plain update is that, or cannot be run.
        linearizations: spent.
    """

    best: Trial | None
    linearizations: int

    @property
    def cost(self) -> float:
        """Of the best."""
        return np.inf if self.best is None else self.best.cost


def explain(task: Problem, plain: Gaussian, needed: float, enough: float, linearizations: int) -> Found:
    """Search for the maximum of the posterior (Bell and Cathey 1993: the iterated Kalman update is Gauss-Newton).

    Before a kink (a roller that begins to slip) the slope says nothing about what lies behind it; the sigma points do,
    though they misjudge how far it is. So the search starts at the best of a few points in a direction that they show:
    first along the one axis whose points go most of the way to the observation (one roller slips, the other
    coefficients stay where they are), then, if that does not do, along the plain update.

    Where the model is affine as far as these points reach, no search is made: the plain update is the best there is,
    for the least cost of an affine model is the NIS, which was too much.

    Args:
        task: what is to be explained.
        plain: the posterior of the plain update.
        needed: by how much the cost has to be less than the plain update's.
        enough: a cost that needs no second start.
        linearizations: budget, at least two; each takes n+1 model runs.
    """
    along, line = _starts(task, plain)
    costs = task.costs(np.vstack([along, line]))
    if _as_affine(task, np.vstack([along, line]), costs, needed):
        return Found(None, 0)
    costs_along, costs_on_line = np.split(costs, [len(along)])
    first = _descended(task, _best(along, costs_along), linearizations - linearizations // 3)
    if first.cost <= enough:
        return first
    second = _descended(task, _best(line, costs_on_line), linearizations - first.linearizations)
    better = min(first, second, key=lambda found: found.cost)
    return Found(better.best, first.linearizations + second.linearizations)


def is_affine(task: Problem, plain: Gaussian, needed: float) -> bool:
    """Whether the model is affine as far as a search would start, so that there is nothing to be found; ten runs."""
    starts = np.vstack(_starts(task, plain))
    return _as_affine(task, starts, task.costs(starts), needed)


def _as_affine(task: Problem, starts: Floats, costs: Floats, needed: float) -> bool:
    return bool(np.abs(task.affine_costs(starts) - costs).max() < _AFFINE * needed)


def _starts(task: Problem, plain: Gaussian) -> tuple[Floats, Floats]:
    """(a, n) whitened states along an axis, (l, n) on the line to the plain update."""
    return np.outer(_AXIS, _axis(task)), np.outer(_LINE, _whitened_within_reach(task, plain))


def _best(states: Floats, costs: Floats) -> Floats | None:
    """(n,) the one of (k, n) with the least of the costs (k,); None where the model can be run at none."""
    place = int(np.argmin(costs))
    return states[place] if np.isfinite(costs[place]) else None


def _whitened_within_reach(task: Problem, plain: Gaussian) -> Floats:
    """(n,) the plain update's step, but no longer than the longest along an axis."""
    xi = np.asarray(np.linalg.solve(task.prior.root, plain.mean - task.prior.mean), dtype=np.float64)
    return xi * min(1.0, float(_AXIS[-1] / np.linalg.norm(xi)))


def _descended(task: Problem, start: Floats | None, linearizations: int) -> Found:
    """Go downhill from a start (n,), if there is one.

    The model is linearized, in the coefficients, at each minimum of the linearization before; a step that leads uphill
    is shortened (line search: Sarkka and Svensson 2020), and so is one to where the model cannot be run. The clamp is
    not linearized: it costs no model runs.
    """
    current, spent = _linearized(task, start, None), 1
    while current is not None and spent < linearizations:
        step = _minimum(task, current) - current.xi
        trial = _linearized(task, current.xi + step, current)
        spent += 1
        if (trial is None or trial.cost >= current.cost) and spent < linearizations:
            # The first is the model's anchor: nothing is said about the others where it cannot be run itself.
            shorter = _SHORTER[::-1] if trial is None else _SHORTER
            states = current.xi + np.outer(shorter, step)
            trial = _linearized(task, _best(states, task.costs(states)), current)
            spent += 1
        gained = 0.0 if trial is None else current.cost - trial.cost
        current = trial if gained > 0.0 else current
        if gained < _TOLERANCE:
            break
    return Found(current, spent)


def _axis(task: Problem) -> Floats:
    """(n,) the unit vector, forth or back, along which the sigma points explain most at the least cost.

    A sigma point's change counts as far as the state can make the same step: at a bound it can hardly step back.
    """
    n, radius = len(task.prior.root), sigma_radius(len(task.prior.root))
    towards = np.vstack([np.eye(n), -np.eye(n)])
    here = to_physical(task.prior.mean, task.coefficients)
    steps = (to_physical(task.states(radius * towards), task.coefficients) - here)[
        np.arange(2 * n), np.arange(2 * n) % n
    ]
    drawn = (task.points[1:] - task.points[0])[np.arange(2 * n), np.arange(2 * n) % n]
    share = np.divide(steps, drawn, out=np.zeros_like(steps), where=drawn != 0.0)
    changes = (task.outputs[1:] - task.outputs[0]) * share[:, np.newaxis]
    # The cost of going a part of each step is a parabola; its minimum within reach of the starts.
    downhill = changes @ (task.observation - task.outputs[0])
    curvature = (changes**2).sum(axis=1) + radius**2
    part = np.clip(downhill / curvature, 0.0, _AXIS[-1] / radius)
    return np.asarray(towards[np.argmax(part * (2.0 * downhill - part * curvature))], dtype=np.float64)


def _minimum(task: Problem, near: Trial) -> Floats:
    """(n,) where the cost is least if the model is what it is near a trial (Levenberg 1944; Marquardt 1963)."""

    def residual(xi: Floats) -> Floats:
        gap = task.observation - near.model.at(to_physical(task.states(xi), task.coefficients))
        return np.concatenate([gap, -xi])

    xi, damping = near.xi, _DAMPING
    best = residual(xi)
    for _ in range(_INNER):
        slope = near.model.slope * clamp_slope(task.states(xi), task.coefficients) @ task.prior.root
        jacobian = np.vstack([slope, np.eye(xi.size)])
        curvature = jacobian.T @ jacobian
        step = np.linalg.solve(curvature + damping * np.diag(np.diag(curvature)), jacobian.T @ best)
        trial = residual(xi + step)
        gained = best @ best - trial @ trial
        if gained > 0.0:
            xi, best, damping = xi + step, trial, damping / 5.0
        else:
            damping *= 5.0
        if 0.0 < gained < _GAIN or np.abs(step).max() < _STILL:
            break
    return xi


def _linearized(task: Problem, xi: Floats | None, near: Trial | None) -> Trial | None:
    """None where there is no such point, or the model cannot be run there."""
    if xi is None:
        return None
    state = task.states(xi)
    values = to_physical(state, task.coefficients)
    steps = _steps(task, near)
    # Differences lead away from an upper bound that they would cross.
    steps = np.where(values + steps <= task.coefficients.upper, steps, -steps)
    outputs = task.predict(np.vstack([values, values + np.diag(steps)]))
    if np.isnan(outputs).any():
        return None
    slope = (outputs[1:] - outputs[0]).T / steps
    model = Affine(values, outputs[0], slope, np.zeros((0, outputs.shape[1])))
    chain = slope * clamp_slope(state, task.coefficients) @ task.prior.root
    return Trial(xi, task.observation - outputs[0], chain, model)


def _steps(task: Problem, near: Trial | None) -> Floats:
    """(n,) of finite differences, physical units: the posterior's standard deviation, as far as it is known."""
    steps = _DIFFERENCE * task.prior.std
    if near is not None:
        inverse = np.linalg.inv(np.eye(len(near.xi)) + near.slope.T @ near.slope)
        steps = np.minimum(steps, np.sqrt(np.diag(task.prior.root @ inverse @ task.prior.root.T)))
    return np.asarray(np.maximum(steps, _SMALLEST_STEP * task.coefficients.scale), dtype=np.float64)
