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
from twin_assets.estimation.hold import held
from twin_assets.estimation.iterated import Predict
from twin_assets.estimation.reuse import Reused, learnt_from, reused_update
from twin_assets.estimation.state import FilterSettings, FilterState, Step
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
        settings: noise, gate, and whether to hold what is not told.

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
        return Step(time_ns, before, nothing, nothing, 0.0, 0, ("missing",) * m, "prediction", 0, state.learnt)

    def predict(values: Floats) -> Floats:
        return outputs_of(values, inputs, model)[:, :m] / settings.noise_std

    seen = np.where(measured, observation / settings.noise_std, np.nan)
    if settings.reuse and state.learnt is not None:
        quick = reused_update(before, seen, inputs, predict, coefficients, settings, state.learnt)
        if quick is not None:
            return _reused(time_ns, quick, measured, settings)
    prediction, looked = _predicted(before, predict, coefficients), 0
    if settings.hold:
        prediction, looked = held(prediction, state.posterior)
    decision = decide(prediction, seen, settings)
    # Beyond a kink the slopes are others.
    learnt = learnt_from(prediction, inputs) if settings.reuse and decision.method == "ukf" else None
    return Step(
        time_ns=time_ns,
        posterior=decision.posterior,
        innovation=decision.expected.residual * settings.noise_std,
        innovation_std=decision.expected.std * settings.noise_std,
        nis=decision.nis,
        dof=int(decision.used.sum()),
        reasons=_reasons(measured, decision.used),
        method=decision.method,
        model_runs=len(prediction.points) + looked + decision.model_runs,
        learnt=learnt,
    )


def _predicted(before: Gaussian, predict: Predict, coefficients: Coefficients) -> Prediction:
    """The model at 2n+1 sigma points."""
    believed = physical(before, coefficients)
    drawn = cloud(believed, coefficients)
    outputs = predict(drawn.points)
    return Prediction(before, believed, drawn.points, outputs, fitted(drawn, outputs), predict, coefficients)


def _reused(time_ns: int, quick: Reused, measured: np.ndarray, settings: FilterSettings) -> Step:
    return Step(
        time_ns=time_ns,
        posterior=quick.posterior,
        innovation=quick.residual * settings.noise_std,
        innovation_std=quick.residual_std * settings.noise_std,
        nis=quick.nis,
        dof=int(measured.sum()),
        reasons=_reasons(measured, measured),
        method="reused",
        model_runs=quick.model_runs,
        learnt=quick.learnt,
    )


def _reasons(measured: np.ndarray, used: np.ndarray) -> tuple[str, ...]:
    return tuple(np.where(used, "", np.where(measured, "gated", "missing")).tolist())


def _elapsed_h(before_ns: int | None, time_ns: int) -> float:
    if before_ns is None:
        return 0.0
    if time_ns <= before_ns:
        raise ValueError(f"time must advance: the state is of {before_ns} ns, the observation of {time_ns} ns")
    return (time_ns - before_ns) / _NS_PER_HOUR
