"""Can the coefficients explain a surprising observation? The maximum-a-posteriori update.

Belongs here: the search for the coefficients that explain it best, by Levenberg and Marquardt's method. Whether that
explanation is believed is decided in ``filter``.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from twin_assets.estimation.gaussian import Gaussian
from twin_assets.estimation.update import Evidence, Prediction, symmetric
from twin_assets.model import Floats

Predict = Callable[[Floats], Floats]

# Finite differences reach this far, in prior standard deviations: far above the model's own settling error, well
# within the width of what is searched.
_DIFFERENCE = 0.1
# Converged when the linearized model promises less than this off the cost: the mean is then within a tenth of a
# posterior standard deviation of the optimum.
_TOLERANCE = 1e-2
_FIRST_RADIUS = 1.0


@dataclass(frozen=True, eq=False)
class Problem:
    """One observation against one prior, in whitened coordinates: z = mean + root xi, xi ~ N(0, I) a priori.

    Attributes:
        prior: of the n states.
        root: (n, n) lower Cholesky factor of its covariance.
        observation: (m,) finite where used.
        noise_std: (m,).
        used: (m,) bool.
        predict: the measured outputs (k, m) of states (k, n).
    """

    prior: Gaussian
    root: Floats
    observation: Floats
    noise_std: Floats
    used: np.ndarray
    predict: Predict

    def residual(self, outputs: Floats) -> Floats:
        """(k, m) outputs to (k, m_used) whitened residuals."""
        return np.asarray(((self.observation - outputs) / self.noise_std)[:, self.used], dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Linearized:
    """The model near one point: residual(xi + d) = residual - slope d.

    Attributes:
        xi: (n,) whitened state.
        residual: (m_used,) whitened.
        slope: (m_used, n) by forward differences.
        outputs: (m,) at xi, physical units.
    """

    xi: Floats
    residual: Floats
    slope: Floats
    outputs: Floats

    @property
    def cost(self) -> float:
        """-2 log posterior up to a constant; at the truth chi-square with m_used degrees of freedom if h is linear."""
        return float(self.xi @ self.xi + self.residual @ self.residual)

    @property
    def information(self) -> Floats:
        """(n, n) Gauss-Newton information of xi, prior included."""
        return np.eye(self.xi.size) + self.slope.T @ self.slope

    def evidence(self) -> Evidence:
        """The innovation that this linearization sees from the prior's mean."""
        cov = np.eye(self.residual.size) + self.slope @ self.slope.T
        return Evidence(self.residual + self.slope @ self.xi, cov)

    def step(self, radius: float) -> Floats:
        """(n,) the best step within the radius: Gauss-Newton, damped just enough (More 1978)."""
        values, vectors = np.linalg.eigh(self.information)
        gradient = vectors.T @ (self.slope.T @ self.residual - self.xi)
        low, high = 0.0, float(np.linalg.norm(gradient)) / radius
        if np.linalg.norm(gradient / values) <= radius:
            high = 0.0
        for _ in range(60):
            damping = (low + high) / 2.0
            low, high = (low, damping) if np.linalg.norm(gradient / (values + damping)) <= radius else (damping, high)
        return np.asarray(vectors @ (gradient / (values + high)), dtype=np.float64)

    def promised(self, step: Floats) -> float:
        """How much the linearized model takes off the cost for a step."""
        residual, xi = self.residual - self.slope @ step, self.xi + step
        return self.cost - float(xi @ xi + residual @ residual)


@dataclass(frozen=True, eq=False)
class Explanation:
    """The best explanation found.

    Attributes:
        posterior: around it, from the last linearization.
        cost: what it takes to believe it (``Linearized.cost``).
        evidence: the innovation as linearized there.
        outputs: (m,) the model there.
        batches: model evaluations, n+1 rows each.
    """

    posterior: Gaussian
    cost: float
    evidence: Evidence
    outputs: Floats
    batches: int


def explain(task: Problem, known: Prediction, radius: float, batches: int) -> Explanation:
    """Search for the maximum of the posterior (Bell and Cathey 1993: the iterated Kalman update is Gauss-Newton).

    A trust region keeps the steps short across a kink (a roller that begins to slip), where the slope on one side says
    nothing about the other. The search starts at the most likely point among those that the model was already run for,
    and the posterior's covariance is that of the last linearization.

    Args:
        task: what is to be explained.
        known: states and outputs already evaluated; weights are not used.
        radius: no step is longer, in prior standard deviations.
        batches: budget of model evaluations, at least one; each has n+1 rows.
    """
    current = _linearize(task, _start(task, known))
    reach, spent = min(_FIRST_RADIUS, radius), 1
    while spent < batches:
        step = current.step(reach)
        promised = current.promised(step)
        if promised < _TOLERANCE:
            break
        trial = _linearize(task, current.xi + step)
        spent += 1
        kept = (current.cost - trial.cost) / promised
        # The usual trust region rules (Nocedal and Wright 2006, algorithm 4.1).
        length = float(np.linalg.norm(step))
        reach = length / 4.0 if kept < 0.25 else min(2.0 * reach, radius) if kept > 0.75 else reach
        current = trial if kept > 0.0 else current
    return _explanation(task, current, spent)


def _start(task: Problem, known: Prediction) -> Floats:
    xi = np.linalg.solve(task.root, (known.points - task.prior.mean).T).T
    cost = (xi**2).sum(axis=1) + (task.residual(known.outputs) ** 2).sum(axis=1)
    return np.asarray(xi[np.argmin(cost)], dtype=np.float64)


def _linearize(task: Problem, xi: Floats) -> Linearized:
    rows = np.vstack([xi, xi + _DIFFERENCE * np.eye(xi.size)])
    outputs = task.predict(task.prior.mean + rows @ task.root.T)
    residuals = task.residual(outputs)
    return Linearized(xi, residuals[0], (residuals[0] - residuals[1:]).T / _DIFFERENCE, outputs[0])


def _explanation(task: Problem, best: Linearized, batches: int) -> Explanation:
    point = task.prior.mean + task.root @ best.xi
    cov = task.root @ np.linalg.solve(best.information, task.root.T)
    return Explanation(Gaussian(point, symmetric(cov)), best.cost, best.evidence(), best.outputs, batches)
