"""What to believe: an innovation that is too large is explained by the coefficients or refused channel by channel.

Belongs here: the decision between the hypotheses. The updates themselves are in ``update`` and ``iterated``.
"""

from dataclasses import dataclass

import numpy as np

from twin_assets.estimation.affine import Affine
from twin_assets.estimation.bounds import Coefficients
from twin_assets.estimation.gaussian import Gaussian, Linearized
from twin_assets.estimation.iterated import Predict, Problem, explain
from twin_assets.estimation.state import FilterSettings
from twin_assets.estimation.update import Evidence, evidence, updated
from twin_assets.model import Floats

# Linearizations spent on one surprising observation, over all hypotheses; a kink takes about five.
_LINEARIZATIONS = 8


@dataclass(frozen=True, eq=False)
class Prediction:
    """What is known before an observation is looked at.

    Attributes:
        prior: of the n states.
        believed: moments of the coefficients.
        points: (2n+1, n) sigma points of the coefficients.
        outputs: (2n+1, m) whitened, what the model said there.
        model: affine, fitted to them.
        predict: whitened outputs (k, m) of further coefficients (k, n).
        coefficients: bounds.
    """

    prior: Gaussian
    believed: Linearized
    points: Floats
    outputs: Floats
    model: Affine
    predict: Predict
    coefficients: Coefficients


@dataclass(frozen=True, eq=False)
class Decision:
    """What was believed.

    Attributes:
        expected: the innovation of all m channels, NaN where missing, before any was judged.
        posterior: of the n states.
        nis: of the used channels; of an iterated update the cost of the explanation, which has the same law.
        used: (m,) bool.
        method: "ukf", "iterated" or "prediction".
    """

    expected: Evidence
    posterior: Gaussian
    nis: float
    used: np.ndarray
    method: str


def decide(prediction: Prediction, observation: Floats, settings: FilterSettings) -> Decision:
    """Update with every channel that can be believed.

    Two gates, which a good observation fails with ``gate_probability`` together: a chi-square quantile on the
    Mahalanobis distance of the whole innovation, and one on what each channel adds to it. Without the second an outlier
    hides in the slack that many good channels leave in the first. Two kinds of causes compete for what fails.

    - The coefficients moved and the model is nonlinear (a roller begins to slip). The cost of the best explanation,
      prior term plus measurement term, is what the NIS generalises to: in a linear model the two are equal. So it has
      to pass the same gates; an explanation that asks for a jump which drift does not allow fails by its prior term.
    - A channel is wrong. What fails the first gate and is explained is believed: a wrong jump is taken back by the next
      good observation, but a roller that slips and whose speed is gated stays an outlier, ever farther from what the
      rest then says. What fails the second gate alone is no such kink; there the explanation has to pass it too.

    If the coefficients do not explain it, the channel whose removal leaves the least unexplained is gated, by the
    prediction or by the linearization at the best explanation, whichever leaves less (the first sees an outlier that
    led the search astray, the second an outlier beside a roller that begins to slip), and all starts again with the
    rest.

    Args:
        prediction: what the observation is held against.
        observation: (m,) whitened, NaN where missing.
        settings: the gate.
    """
    used = np.isfinite(observation)
    expected = evidence(prediction.believed, prediction.model, observation)
    spent = 0
    while used.any():
        model, seen = prediction.model.only(used), observation[used]
        innovation = expected if used.all() else evidence(prediction.believed, model, seen)
        plain = updated(prediction.prior, model, seen, prediction.coefficients)
        channels = int(used.sum())
        threshold, one = settings.gate(channels), settings.channel_gate(channels)
        needed = surplus(innovation, settings)
        if needed <= 0.0:
            return Decision(expected, plain, innovation.nis, used, "ukf")
        left, hidden = innovation.nis_without_each(), innovation.nis <= threshold
        if spent + 2 <= _LINEARIZATIONS:
            task = _problem(prediction, model, seen, used)
            found = explain(task, plain, needed, threshold, _LINEARIZATIONS - spent)
            best, spent = found.best, spent + found.linearizations
            if best is not None:
                left = np.minimum(left, best.evidence().nis_without_each())
                if best.cost <= threshold and not (hidden and best.cost - left.min() > one):
                    posterior = updated(prediction.prior, best.model, seen, prediction.coefficients)
                    return Decision(expected, posterior, best.cost, used, "iterated")
        used = without(used, int(np.argmin(left)))
    return Decision(expected, prediction.prior, 0.0, used, "prediction")


def surplus(innovation: Evidence, settings: FilterSettings) -> float:
    """By how much an innovation exceeds what the first gate allows or, if it passes that, the second; 0 if neither."""
    channels = innovation.residual.size
    over = innovation.nis - settings.gate(channels)
    if over > 0.0:
        return float(over)
    adds = innovation.nis - innovation.nis_without_each().min()
    return max(0.0, float(adds - settings.channel_gate(channels)))


def _problem(prediction: Prediction, model: Affine, seen: Floats, used: np.ndarray) -> Problem:
    """What the used channels ask of the coefficients."""

    def predict(values: Floats) -> Floats:
        return prediction.predict(values)[:, used]

    return Problem(
        prior=prediction.prior,
        points=prediction.points,
        outputs=prediction.outputs[:, used],
        model=model,
        observation=seen,
        predict=predict,
        coefficients=prediction.coefficients,
    )


def without(used: np.ndarray, place: int) -> np.ndarray:
    """Drop the channel at a place among the used ones."""
    rest = used.copy()
    rest[np.flatnonzero(used)[place]] = False
    return rest
