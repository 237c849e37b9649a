"""One step of the filter: drift, predict, gate, update.

Belongs here: the order of things. The mathematics is in the modules beside it.
"""

import numpy as np

from twin_assets.estimation import bounds
from twin_assets.estimation.affine import cloud, fitted
from twin_assets.estimation.bounds import Coefficients, physical
from twin_assets.estimation.drift import drifted
from twin_assets.estimation.evaluation import check, outputs_of
from twin_assets.estimation.gate import Prediction, decide
from twin_assets.estimation.gaussian import Gaussian
from twin_assets.estimation.iterated import Predict
from twin_assets.estimation.state import FilterSettings, FilterState, Step
from twin_assets.estimation.update import evidence
from twin_assets.model import Floats, PredictiveModel

_NS_PER_HOUR = 3_600_000_000_000


def prior(coefficients: Coefficients) -> FilterState:
    """The state before any observation."""
    return FilterState(None, bounds.prior(coefficients))


def filter_step(
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

    def predict(values: Floats) -> Floats:
        return outputs_of(values, inputs, model)[:, :m] / settings.noise_std

    prediction = _predicted(before, predict, coefficients)
    seen = observation / settings.noise_std
    decision = decide(prediction, np.where(measured, seen, np.nan), settings)
    expected = evidence(prediction.believed, prediction.model, np.where(measured, seen, np.nan))
    return Step(
        time_ns=time_ns,
        posterior=decision.posterior,
        innovation=expected.residual * settings.noise_std,
        innovation_std=expected.std * settings.noise_std,
        nis=decision.nis,
        dof=int(decision.used.sum()),
        reasons=_reasons(measured, decision.used),
        method=decision.method,
        model_runs=2 * before.mean.size + 1 + decision.model_runs,
    )


def _predicted(before: Gaussian, predict: Predict, coefficients: Coefficients) -> Prediction:
    believed = physical(before, coefficients)
    drawn = cloud(believed, coefficients)
    outputs = predict(drawn.points)
    return Prediction(before, believed, drawn.points, outputs, fitted(drawn, outputs), predict, coefficients)


def _reasons(measured: np.ndarray, used: np.ndarray) -> tuple[str, ...]:
    return tuple(np.where(used, "", np.where(measured, "gated", "missing")).tolist())


def _elapsed_h(before_ns: int | None, time_ns: int) -> float:
    if before_ns is None:
        return 0.0
    if time_ns <= before_ns:
        raise ValueError(f"time must advance: the state is of {before_ns} ns, the observation of {time_ns} ns")
    return (time_ns - before_ns) / _NS_PER_HOUR
