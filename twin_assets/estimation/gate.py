"""What to believe: an innovation that is too large is explained by the coefficients or refused channel by channel.

Belongs here: the decision between the hypotheses. The updates themselves are in ``update`` and ``iterated``.
"""

from dataclasses import dataclass

import numpy as np

from twin_assets.estimation.gaussian import Gaussian
from twin_assets.estimation.iterated import Explanation, Predict, Problem, explain
from twin_assets.estimation.state import FilterSettings
from twin_assets.estimation.update import Prediction, evidence, updated
from twin_assets.model import Floats

# Linearizations spent on one surprising observation, over all hypotheses; a kink takes about five.
_BATCHES = 10


@dataclass(frozen=True, eq=False)
class Decision:
    """What was believed.

    Attributes:
        posterior: of the n states.
        nis: of the used channels; of an iterated update the cost of the explanation, which has the same law.
        used: (m,) bool.
        method: "ukf", "iterated" or "prediction".
        batches: further model evaluations, n+1 rows each.
    """

    posterior: Gaussian
    nis: float
    used: np.ndarray
    method: str
    batches: int


def decide(
    prior: Gaussian,
    prediction: Prediction,
    observation: Floats,
    predict: Predict,
    settings: FilterSettings,
) -> Decision:
    """Update with every channel that can be believed.

    The gate is a chi-square quantile on the Mahalanobis distance of the whole innovation. What fails it was improbable
    at p = ``gate_probability``, and two kinds of causes compete.

    - The coefficients moved and the model is nonlinear (a roller begins to slip). The cost of the best explanation,
      prior term plus measurement term, has the law of the NIS, of which it is the generalisation: in a linear model the
      two are equal. So it has to pass the same gate; an explanation that asks for a jump which drift does not allow
      fails by its prior term.
    - A channel is wrong, which is given the prior probability p. Dropping one is worth it where it takes more off the
      cost than the one-channel gate at p: then the odds are for the broken channel. Without this a single outlier could
      hide in the slack that many good channels leave in the gate.

    If the coefficients do not explain it, the channel whose removal leaves the least unexplained is gated, by the
    prediction or by the linearization at the best explanation, whichever leaves less (the first sees an outlier that
    led the search astray, the second an outlier beside a roller that begins to slip), and all starts again with the
    rest.

    Args:
        prior: of the n states.
        prediction: its sigma points through the model.
        observation: (m,) NaN where missing.
        predict: the measured outputs of further states.
        settings: noise and gate.
    """
    used = np.isfinite(observation)
    spent, known = 0, prediction
    while used.any():
        innovation = evidence(prediction, observation, settings.noise_std, used)
        threshold = settings.gate(int(used.sum()))
        if innovation.nis <= threshold:
            posterior = updated(prior, prediction, observation, settings.noise_std, used)
            return Decision(posterior, innovation.nis, used, "ukf", spent)
        left = innovation.nis_without_each()
        if spent < _BATCHES:
            task = Problem(prior, np.linalg.cholesky(prior.cov), observation, settings.noise_std, used, predict)
            found = explain(task, known, float(np.sqrt(threshold)), _BATCHES - spent)
            spent += found.batches
            left = np.minimum(left, found.evidence.nis_without_each())
            if found.cost <= threshold and found.cost - left.min() <= settings.gate(1):
                return Decision(found.posterior, found.cost, used, "iterated", spent)
            known = _with(known, found)
        used = _without(used, int(np.argmin(left)))
    return Decision(prior, 0.0, used, "prediction", spent)


def _with(known: Prediction, found: Explanation) -> Prediction:
    """Add the best explanation to where the next search may start."""
    return Prediction(
        np.vstack([known.points, found.posterior.mean]),
        np.append(known.weights, 0.0),
        np.vstack([known.outputs, found.outputs]),
    )


def _without(used: np.ndarray, place: int) -> np.ndarray:
    """Drop the channel at a place among the used ones."""
    rest = used.copy()
    rest[np.flatnonzero(used)[place]] = False
    return rest
