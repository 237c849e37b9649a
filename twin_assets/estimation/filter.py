"""One step of the filter: drift, predict, gate, update.

Belongs here: the order of things. The mathematics is in the modules beside it.
"""

from dataclasses import replace

import numpy as np

from twin_assets.estimation import bounds
from twin_assets.estimation.adaptive import Surprise, at_work, learnt_pace
from twin_assets.estimation.affine import cloud, fitted, inside
from twin_assets.estimation.bounds import Coefficients, physical
from twin_assets.estimation.drift import drifted
from twin_assets.estimation.evaluation import Runs, check
from twin_assets.estimation.gate import Decision, Prediction, decide
from twin_assets.estimation.gaussian import Gaussian
from twin_assets.estimation.hold import held
from twin_assets.estimation.inputs import NoisyInputs
from twin_assets.estimation.iterated import Predict
from twin_assets.estimation.mending import mended
from twin_assets.estimation.noise import Noise, in_use, learnt_noise, met, not_met, of_channels, rewhitened
from twin_assets.estimation.reuse import Learnt, Reused, learnt_from, reused_update
from twin_assets.estimation.state import FilterSettings, FilterState, Looked, Step, elapsed_h
from twin_assets.model import Floats, PredictiveModel

# Of an output's value: what the coefficients do to it while the machine runs is far more.
_STANDSTILL = 1e-9


def prior(coefficients: Coefficients) -> FilterState:
    """The state before any observation."""
    return FilterState(None, bounds.prior(coefficients))


def expected_at(state: FilterState, time_ns: int, coefficients: Coefficients) -> Gaussian:
    """What is believed at a time before anything is measured then: the posterior, and the drift since.

    Raises:
        ValueError: when time does not advance.
    """
    return drifted(state.posterior, elapsed_h(state.time_ns, time_ns), at_work(coefficients, state.pace))


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
        settings: noise, where it is given, gate, and whether to hold what is not told.

    Returns:
        Posterior and diagnostics; a pure function of the arguments. Where some runs of a model that can tell them
        failed (``TolerantModel``), the update goes on without them if enough are left (``mending``), and is degraded;
        otherwise nothing is assimilated, for the reason "model".

    Raises:
        ValueError: on wrong shapes or names, and when time does not advance.
        EvaluationError: when the model cannot be evaluated at all, or cannot tell where it fails.
    """
    check(model, inputs, coefficients)
    m = settings.noise_std.size
    if np.shape(observation) != (m,) or m > len(model.outputs):
        raise ValueError(
            f"an observation of {m} values is expected, the first of the model's outputs {model.outputs}; found shape"
            f" {np.shape(observation)}"
        )
    # What an earlier twin.yaml let be found out about drift is of no use where this one gives it.
    state = state if settings.adaptive_drift else replace(state, pace=None)
    assimilate = _estimating if np.isnan(settings.noise_std).any() else _step
    step, seen = assimilate(state, time_ns, observation, inputs, model, coefficients, settings)
    if not settings.adaptive_drift:
        return step
    hours = elapsed_h(state.time_ns, time_ns)
    return replace(step, pace=learnt_pace(state.pace, state.posterior, hours, step.posterior, coefficients, seen))


def _estimating(
    state: FilterState,
    time_ns: int,
    observation: Floats,
    inputs: Floats,
    model: PredictiveModel,
    coefficients: Coefficients,
    settings: FilterSettings,
) -> tuple[Step, Surprise | None]:
    """A step with noise as it is believed so far, and what it tells about that."""
    channels, given = model.outputs[: settings.noise_std.size], settings.noise_std
    known = of_channels(state.noise, channels, given)
    asked = Runs(model, inputs, np.ones(given.size), NoisyInputs.of(model.inputs, inputs, settings.input_std))
    noise = _guessed(known, state, time_ns, observation, asked, coefficients, channels, given)
    std = in_use(noise, channels, given)
    start = replace(state, learnt=rewhitened(state.learnt, in_use(known, channels, given), std))
    known_noise = replace(settings, noise_std=std)
    step, seen = _step(start, time_ns, observation, inputs, model, coefficients, known_noise)
    if seen is not None:
        used = np.array([reason == "" for reason in step.reasons])
        noise = learnt_noise(noise, channels, seen.expected, used, std, observation, settings.steps)
    # As after any failure: nothing is learnt of the model.
    learnt = None if asked.failures else rewhitened(step.learnt, std, in_use(noise, channels, given))
    found = replace(
        step,
        noise=noise,
        learnt=learnt,
        innovation_std=np.where(np.isfinite(std), step.innovation_std, np.nan),
        model_runs=step.model_runs + asked.rows,
        failures=(*asked.failures, *step.failures),
    )
    return found, seen


def _guessed(
    known: Noise,
    state: FilterState,
    time_ns: int,
    observation: Floats,
    asked: Runs,
    coefficients: Coefficients,
    channels: tuple[str, ...],
    given: Floats,
) -> Noise:
    """The belief with a first guess for what is measured for the first time; without where the model is silent."""
    new = not_met(known, channels, given, observation)
    if not new.any():
        return known
    before = asked.noisy.beside(expected_at(state, time_ns, coefficients))
    looked = _predicted(before, asked, asked.noisy.coefficients(coefficients))
    if looked is None:
        return known
    spread = replace(looked.model, slope=looked.model.slope @ looked.believed.root)
    # What depends on no coefficient here, as all does on a machine that stands still, tells nothing of its noise.
    told = spread.slope[:, : len(coefficients.names)]
    size = np.sqrt((told**2).sum(axis=1) + (spread.rest**2).sum(axis=0))
    new &= size > _STANDSTILL * np.abs(spread.value)
    return met(known, channels, new, observation, spread) if new.any() else known


def _step(
    state: FilterState,
    time_ns: int,
    observation: Floats,
    inputs: Floats,
    model: PredictiveModel,
    coefficients: Coefficients,
    settings: FilterSettings,
) -> tuple[Step, Surprise | None]:
    """A step whose noise is known, and what was expected of the observation, if the model could be asked."""
    noisy = NoisyInputs.of(model.inputs, inputs, settings.input_std)
    believed, unknowns = noisy.beside(state.posterior), noisy.coefficients(coefficients)
    before = noisy.beside(expected_at(state, time_ns, coefficients))
    runs = Runs(model, inputs, settings.noise_std, noisy)
    start = replace(state, posterior=believed, learnt=_fitting(state.learnt, before))
    step, seen = _joint_step(start, before, time_ns, observation, inputs, runs, unknowns, settings)
    return noisy.parted(step), None if seen is None else seen.of_first(state.posterior.mean.size)


def _fitting(learnt: Learnt | None, before: Gaussian) -> Learnt | None:
    """What was learnt, if it was of as many unknowns: which inputs are exact may have changed since."""
    return learnt if learnt is not None and learnt.width.size == before.mean.size else None


def _joint_step(
    state: FilterState,
    before: Gaussian,
    time_ns: int,
    observation: Floats,
    inputs: Floats,
    runs: Runs,
    coefficients: Coefficients,
    settings: FilterSettings,
) -> tuple[Step, Surprise | None]:
    """The step from a state and what it drifted to; the unknowns are coefficients, and inputs that have errors."""
    m = settings.noise_std.size
    measured = np.isfinite(observation)
    if not measured.any():
        nothing = np.full(m, np.nan)
        return Step(time_ns, before, nothing, nothing, 0.0, 0, ("missing",) * m, "prediction", 0, state.learnt), None

    seen = np.where(measured, observation / settings.noise_std, np.nan)
    if settings.reuse and state.learnt is not None:
        quick = reused_update(state.posterior, before, seen, inputs, runs, coefficients, settings, state.learnt)
        if quick is not None:
            slope = quick.learnt.model.slope * quick.believed.slope
            return _reused(time_ns, quick, measured, runs, settings), Surprise(before, quick.expected, slope)
    prediction = _predicted(before, runs, coefficients)
    if prediction is not None and settings.hold:
        prediction = held(prediction, state.posterior, len(runs.noisy.names))
    decision = None if prediction is None else _answered(decide(prediction, seen, settings), prediction, runs)
    if prediction is None or decision is None:
        return _unanswered(time_ns, before, measured, runs), None
    # Beyond a kink the slopes are others; and what was made up is no knowledge.
    known = settings.reuse and decision.method == "ukf" and not runs.failures
    step = Step(
        time_ns=time_ns,
        posterior=decision.posterior,
        innovation=_in_units(decision.expected.residual, settings.noise_std),
        innovation_std=decision.expected.std * settings.noise_std,
        nis=decision.nis,
        dof=int(decision.used.sum()),
        reasons=_reasons(measured, decision.used),
        method=decision.method,
        model_runs=runs.rows,
        learnt=learnt_from(prediction, inputs) if known else None,
        failures=runs.failures,
        looked=Looked(decision.expected, prediction.believed, prediction.model, settings.noise_std),
    )
    slope = prediction.model.slope * prediction.believed.slope
    return step, Surprise(prediction.prior, decision.expected, slope)


def _in_units(residual: Floats, noise_std: Floats) -> Floats:
    """(m,) innovations, NaN where missing or where the noise is not known yet, and so infinite."""
    return np.where(np.isfinite(noise_std), residual, np.nan) * np.where(np.isfinite(noise_std), noise_std, 1.0)


def _predicted(before: Gaussian, predict: Predict, coefficients: Coefficients) -> Prediction | None:
    """The model at 2n+1 sigma points; None where it could be run at too few of them."""
    believed = physical(before, coefficients)
    drawn = cloud(believed, coefficients)
    outputs = mended(drawn.points, predict(drawn.points), predict)
    if outputs is None:
        return None
    return Prediction(before, believed, drawn.points, outputs, fitted(drawn, outputs), predict, coefficients)


def _answered(decision: Decision, prediction: Prediction, runs: Runs) -> Decision | None:
    """A decision; None if it leads to where the model cannot be run, from where no later update would find back."""
    if not (runs.failures and decision.used.any()):
        return decision
    reached = inside(physical(decision.posterior, prediction.coefficients).mean, prediction.coefficients)
    return None if np.isnan(runs(reached[np.newaxis])).any() else decision


def _unanswered(time_ns: int, before: Gaussian, measured: np.ndarray, runs: Runs) -> Step:
    """Too little of the model could be run to compare anything with it: time has passed, that is all."""
    nothing, reasons = np.full(measured.size, np.nan), tuple(np.where(measured, "model", "missing").tolist())
    return Step(time_ns, before, nothing, nothing, 0.0, 0, reasons, "prediction", runs.rows, failures=runs.failures)


def _reused(time_ns: int, quick: Reused, measured: np.ndarray, runs: Runs, settings: FilterSettings) -> Step:
    return Step(
        time_ns=time_ns,
        posterior=quick.posterior,
        innovation=_in_units(quick.expected.residual, settings.noise_std),
        innovation_std=quick.expected.std * settings.noise_std,
        nis=quick.nis,
        dof=int(quick.used.sum()),
        reasons=_reasons(measured, quick.used),
        method="reused",
        model_runs=runs.rows,
        learnt=quick.learnt,
        looked=Looked(quick.held, quick.believed, quick.model, settings.noise_std),
    )


def _reasons(measured: np.ndarray, used: np.ndarray) -> tuple[str, ...]:
    return tuple(np.where(used, "", np.where(measured, "gated", "missing")).tolist())
