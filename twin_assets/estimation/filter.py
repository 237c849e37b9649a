"""One step of the filter: drift, predict, gate, update.

Belongs here: the order of things. The mathematics is in the modules beside it.
"""

import numpy as np

from twin_assets.estimation import bounds
from twin_assets.estimation.bounds import Coefficients
from twin_assets.estimation.drift import drifted
from twin_assets.estimation.evaluation import check, outputs_of
from twin_assets.estimation.gate import decide
from twin_assets.estimation.gaussian import sigma_points
from twin_assets.estimation.state import FilterSettings, FilterState, Step
from twin_assets.estimation.update import Prediction
from twin_assets.model import Floats, PredictiveModel

_NS_PER_HOUR = 3_600_000_000_000


def prior(coefficients: Coefficients) -> FilterState:
    """The state before any observation."""
    return FilterState(None, bounds.prior(coefficients))


def filter_step(  # noqa: PLR0913 - all that a pure step depends on
    state: FilterState,
    time_ns: int,
    observation: Floats,
    inputs: Floats,
    model: PredictiveModel,
    coefficients: Coefficients,
    settings: FilterSettings,
) -> Step:
    """Assimilate one observation.

    Args:
        state: after the observation before.
        time_ns: UTC nanoseconds since 1970, after the state's.
        observation: (m,) measured values in the order of the model's first m outputs, NaN where missing.
        inputs: (p,) operating conditions, finite.
        model: whose coefficients are ``coefficients.names``, in order.
        coefficients: bounds and drift.
        settings: noise and gate.

    Returns:
        Posterior and diagnostics; a pure function of the arguments.

    Raises:
        ValueError: on wrong shapes or names, and when time does not advance.
        EvaluationError: when the model cannot be evaluated.
    """
    check(model, inputs, coefficients)
    m = settings.noise_std.size
    if np.shape(observation) != (m,) or m > len(model.outputs):
        raise ValueError(
            f"an observation of {m} values is expected, the first of the model's outputs {model.outputs}; found shape"
            f" {np.shape(observation)}"
        )
    before = drifted(state.posterior, _elapsed_h(state.time_ns, time_ns), coefficients)
    measured = np.isfinite(observation)
    if not measured.any():
        nothing = np.full(m, np.nan)
        return Step(time_ns, before, nothing, nothing, 0.0, 0, ("missing",) * m, "prediction", 0)

    def predict(states: Floats) -> Floats:
        return outputs_of(states, inputs, model, coefficients)[:, :m]

    points, weights = sigma_points(before)
    prediction = Prediction(points, weights, predict(points))
    decision = decide(before, prediction, np.where(measured, observation, np.nan), predict, settings)
    return Step(
        time_ns=time_ns,
        posterior=decision.posterior,
        innovation=np.where(measured, observation - prediction.mean, np.nan),
        innovation_std=prediction.spread(settings.noise_std),
        nis=decision.nis,
        dof=int(decision.used.sum()),
        reasons=_reasons(measured, decision.used),
        method=decision.method,
        model_runs=len(points) + decision.batches * (before.mean.size + 1),
    )


def _reasons(measured: np.ndarray, used: np.ndarray) -> tuple[str, ...]:
    return tuple(np.where(used, "", np.where(measured, "gated", "missing")).tolist())


def _elapsed_h(before_ns: int | None, time_ns: int) -> float:
    if before_ns is None:
        return 0.0
    if time_ns <= before_ns:
        raise ValueError(f"time must advance: the state is of {before_ns} ns, the observation of {time_ns} ns")
    return (time_ns - before_ns) / _NS_PER_HOUR
