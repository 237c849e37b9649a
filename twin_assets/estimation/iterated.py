"""Can the coefficients explain a surprising observation? The maximum-a-posteriori update.

Belongs here: the search for the coefficients that explain it best, by Levenberg and Marquardt's method. Whether that
explanation is believed is decided in ``gate``.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from twin_assets.estimation.affine import Affine
from twin_assets.estimation.bounds import Coefficients, clamp_slope, to_physical
from twin_assets.estimation.gaussian import Gaussian
from twin_assets.estimation.update import Evidence
from twin_assets.model import Floats

Predict = Callable[[Floats], Floats]

# Where the search starts from, as fractions of the plain update.
LINE = np.array([0.0, 0.125, 0.25, 0.5, 1.0])
# Finite differences reach at most this far, in prior standard deviations, and at least so many scales of the clamp: far
# above the model's own settling error.
_DIFFERENCE = 0.1
_SMALLEST_STEP = 0.01
# Converged when a step promises or changes less than this of the cost: less than half a posterior standard deviation,
# and the final update takes most of that.
_TOLERANCE = 0.2
# Trust region (Nocedal and Wright 2006, algorithm 4.1): the first radius in prior standard deviations, and which
# fraction of the promise makes it smaller or larger.
_FIRST_RADIUS = 1.0
_POOR, _GOOD = 0.25, 0.75


@dataclass(frozen=True, eq=False)
class Problem:
    """One observation against one prior, in whitened coordinates: z = mean + root xi, xi ~ N(0, I) a priori.

    Attributes:
        prior: of the n states.
        root: (n, n) lower Cholesky factor of its covariance.
        observation: (m,) whitened, of the used channels.
        predict: the whitened outputs (k, m) of those channels for coefficients (k, n).
        coefficients: bounds.
    """

    prior: Gaussian
    root: Floats
    observation: Floats
    predict: Predict
    coefficients: Coefficients


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
        cov = np.eye(self.residual.size) + self.slope @ self.slope.T
        return Evidence(self.residual + self.slope @ self.xi, cov)

    def step(self, radius: float) -> Floats:
        """(n,) the best step within the radius: Gauss-Newton, damped just enough (More 1978)."""
        values, vectors = np.linalg.eigh(np.eye(self.xi.size) + self.slope.T @ self.slope)
        downhill = vectors.T @ (self.slope.T @ self.residual - self.xi)
        low, high = 0.0, float(np.linalg.norm(downhill)) / radius
        if np.linalg.norm(downhill / values) <= radius:
            high = 0.0
        while high - low > _DIFFERENCE * high:
            damping = (low + high) / 2.0
            within = np.linalg.norm(downhill / (values + damping)) <= radius
            low, high = (low, damping) if within else (damping, high)
        return np.asarray(vectors @ (downhill / (values + high)), dtype=np.float64)

    def promised(self, step: Floats) -> float:
        """How much the linearized model takes off the cost for a step."""
        residual, xi = self.residual - self.slope @ step, self.xi + step
        return self.cost - float(xi @ xi + residual @ residual)


def problem(prior: Gaussian, observation: Floats, predict: Predict, coefficients: Coefficients) -> Problem:
    """Prepare the search; see ``Problem`` for the arguments."""
    root = np.asarray(np.linalg.cholesky(prior.cov), dtype=np.float64)
    return Problem(prior, root, observation, predict, coefficients)


def explain(task: Problem, plain: Gaussian, radius: float, linearizations: int) -> tuple[Trial, int]:
    """Search for the maximum of the posterior (Bell and Cathey 1993: the iterated Kalman update is Gauss-Newton).

    Before a kink (a roller that begins to slip) the slope says nothing about what lies behind it; the secants of the
    sigma points do. So the search starts on the line from the prior to the plain update, whose length they misjudge but
    whose direction they see, and a trust region then keeps the steps short.

    Args:
        task: what is to be explained.
        plain: the posterior of the plain update.
        radius: no step is longer, in prior standard deviations.
        linearizations: budget, at least one; each takes n+1 model runs.

    Returns:
        The best found, and the linearizations spent.
    """
    current = _linearized(task, _start(task, plain, radius), None)
    reach, spent = min(_FIRST_RADIUS, radius), 1
    while spent < linearizations:
        step = current.step(reach)
        promised = current.promised(step)
        if promised < _TOLERANCE:
            break
        trial = _linearized(task, current.xi + step, current)
        spent += 1
        gained = current.cost - trial.cost
        kept = gained / promised
        if kept < _POOR:
            reach = float(np.linalg.norm(step)) / 4.0
        elif kept > _GOOD:
            reach = min(2.0 * reach, radius)
        current = trial if gained > 0.0 else current
        if abs(gained) < _TOLERANCE:
            break
    return current, spent


def _start(task: Problem, plain: Gaussian, radius: float) -> Floats:
    xi = np.linalg.solve(task.root, plain.mean - task.prior.mean)
    xi *= min(1.0, radius / max(float(np.linalg.norm(xi)), np.finfo(float).tiny))
    line = LINE[:, np.newaxis] * xi
    outputs = task.predict(to_physical(task.prior.mean + line @ task.root.T, task.coefficients))
    cost = (line**2).sum(axis=1) + ((task.observation - outputs) ** 2).sum(axis=1)
    return np.asarray(line[np.argmin(cost)], dtype=np.float64)


def _linearized(task: Problem, xi: Floats, near: Trial | None) -> Trial:
    state = task.prior.mean + task.root @ xi
    bend = clamp_slope(state, task.coefficients)
    values = to_physical(state, task.coefficients)
    steps = _steps(task, near)
    # Differences lead away from an upper bound that they would cross.
    steps = np.where(values + steps <= task.coefficients.upper, steps, -steps)
    outputs = task.predict(np.vstack([values, values + np.diag(steps)]))
    slope = (outputs[1:] - outputs[0]).T / steps
    model = Affine(values, outputs[0], slope, np.zeros((outputs.shape[1], outputs.shape[1])))
    return Trial(xi, task.observation - outputs[0], slope * bend @ task.root, model)


def _steps(task: Problem, near: Trial | None) -> Floats:
    """(n,) of finite differences, physical units: the posterior's standard deviation, as far as it is known."""
    steps = _DIFFERENCE * task.prior.std
    if near is not None:
        inverse = np.linalg.inv(np.eye(len(near.xi)) + near.slope.T @ near.slope)
        steps = np.minimum(steps, np.sqrt(np.diag(task.root @ inverse @ task.root.T)))
    return np.asarray(np.maximum(steps, _SMALLEST_STEP * task.coefficients.scale), dtype=np.float64)
