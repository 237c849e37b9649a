"""What ``twin check`` finds out about a twin: whether file, FMU and model go together, and what the model can tell.

Belongs here: the order of the checks and their results as values. How they look is ``cli/check``'s.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from twin_assets.check_historian import historian_findings
from twin_assets.errors import TwinError
from twin_assets.estimation import Coefficients
from twin_assets.estimation.combinations import Combination, Confusion
from twin_assets.estimation.sensitivity import LocalSensitivity, local_sensitivity
from twin_assets.historian import HistorianError, may_hold_anything, open_historian
from twin_assets.home import Home
from twin_assets.model import EvaluationError, Floats
from twin_assets.neighbours import beside_others
from twin_assets.new_twin import NOISE_OF_VALUE
from twin_assets.simulation import FmuDescription, FmuModel, RestartReport, probe_restart
from twin_assets.spec import Channel, MeasurementSpec, TwinSpec
from twin_assets.spec_check import described
from twin_assets.spec_file import SpecError, Twin, load_twin
from twin_assets.spec_types import bounds_text, outside
from twin_assets.stages.conditions import Conditions, seen_conditions
from twin_assets.stages.engine import coefficients_of, open_model, settings_of
from twin_assets.stages.forgetting import EXPECTED as FORGOTTEN
from twin_assets.stages.forgetting import Forgetting, forgetting
from twin_assets.stages.settings import estimates_noise
from twin_assets.store import Store


@dataclass(frozen=True)
class Prediction:
    """One output of the model at the prior.

    Attributes:
        name: the FMU's variable.
        role: "measurement" or "virtual sensor".
        unit: physical unit, None where neither twin.yaml nor the FMU names one.
        value: settled value.
        noise_std: of the measurement; None for a virtual sensor, and where it is estimated.
    """

    name: str
    role: str
    unit: str | None
    value: float
    noise_std: float | None


@dataclass(frozen=True)
class Evidence:
    """What running the model around the prior showed.

    Attributes:
        restart: how the FMU can get back to where an evaluation starts, each way tried.
        conditions: operating points of the runs, the first of which the predictions are for.
        predictions: every output at the prior.
        coefficients: the prior.
        sensitivity: what one observation says about them.
        model_runs: how many runs it took.
        memory: of a process that never rests: what is left of another beginning; None where nothing can be said of it.
        equal_step_s: its communication step, where the FMU wants all of them to be equal.
    """

    restart: RestartReport
    conditions: Conditions
    predictions: tuple[Prediction, ...]
    coefficients: Coefficients
    sensitivity: LocalSensitivity
    model_runs: int
    memory: Forgetting | None = None
    equal_step_s: float | None = None


@dataclass(frozen=True)
class Report:
    """The result for one twin.

    Attributes:
        name: as asked for.
        findings: what has to be mended; empty if the twin can run.
        warnings: what a person should know before relying on it.
        description: of the FMU, as far as it could be read.
        twin: None if twin.yaml is wrong.
        evidence: None if the model was not run to the end.
    """

    name: str
    findings: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    description: FmuDescription | None = None
    twin: Twin | None = None
    evidence: Evidence | None = None


def check_twin(name: str, twins_path: Path, home: Home | None = None) -> Report:
    """Check the file and its neighbours, then the FMU against it, then the model, as far as one after another holds.

    Args:
        name: of the twin.
        twins_path: the folder with the twins.
        home: whose historian says under which conditions the twin is operated, if it has seen it; whose store is tried.
    """
    report = _described_and_run(name, twins_path, home)
    return replace(report, findings=(*report.findings, *_store_findings(home)))


def _store_findings(home: Home | None) -> tuple[str, ...]:
    """What would end a run where it writes its first table."""
    try:
        if home is not None:
            Store(home.store_path).blobs.probe()
    except TwinError as error:
        return (str(error),)
    return ()


def _described_and_run(name: str, twins_path: Path, home: Home | None) -> Report:
    try:
        twin = load_twin(name, twins_path)
    except SpecError as error:
        return Report(name, findings=error.findings)
    clashing, possible = beside_others(twin, twins_path)
    try:
        description = described(twin)
    except SpecError as error:
        return Report(name, (*clashing, *error.findings), possible, twin=twin)
    lacking = historian_findings(twin.spec, home)
    clashing = (*clashing, *lacking)
    conditions, unread = operating_points(twin.spec, description, None if lacking else home)
    try:
        evidence = gather(twin, description, conditions)
    except TwinError as error:
        unsaid = (*possible, *unread)
        return Report(name, (*clashing, f"{_where_run(twin, error)}: {error}"), unsaid, description, twin)
    remarks = (*possible, *unread, *warnings_of(twin, evidence))
    return Report(name, clashing, remarks, description, twin, evidence)


def gather(twin: Twin, description: FmuDescription, conditions: Conditions) -> Evidence:
    """Run the model at the prior and around it.

    Raises:
        TwinError: if the model cannot be started or evaluated.
    """
    coefficients, settings = coefficients_of(twin.spec), settings_of(twin.spec)
    given, input_std = settings.noise_std, settings.input_std
    with open_model(twin) as model:
        (values,) = model.evaluate(coefficients.initial[None, :], conditions.points[0])
        # Where noise will be estimated, a guess: with it all that is said of observations is a guess.
        noise = np.where(np.isnan(given), guessed_noise(values[: given.size]), given)
        sensitivity = local_sensitivity(model, conditions.points, coefficients, noise, conditions.shares, input_std)
        restart = probe_restart(model)
        if restart.replay is not None and restart.replay.status == "fails":
            raise TwinError(
                f"the FMU cannot be led through inputs that move, which transient mode does: {restart.replay.detail}."
                " Expected mode: steady_state, or an FMU whose inputs may change while it runs."
            )
        return Evidence(
            restart=restart,
            conditions=conditions,
            predictions=tuple(_predictions(twin.spec, description, values)),
            coefficients=coefficients,
            sensitivity=sensitivity,
            memory=_memory(twin.spec, model, coefficients, conditions) if twin.spec.transient else None,
            equal_step_s=model.equal_step_s,
            model_runs=model.model_runs,
        )


def _memory(spec: TwinSpec, model: FmuModel, coefficients: Coefficients, conditions: Conditions) -> Forgetting | None:
    moving = np.array([part.constant is None for part in spec.inputs])
    return forgetting(model, coefficients, conditions.points, moving, spec.model.memory_s or 0.0, spec.model.tolerance)


def guessed_noise(values: Floats) -> Floats:
    """(m,) as ``twin new`` guesses it: 1 % of each value (m,), or of one unit where that is nothing."""
    size = np.abs(values)
    return np.asarray(NOISE_OF_VALUE * np.where(size > 0.0, size, 1.0), dtype=np.float64)


def operating_points(
    spec: TwinSpec, description: FmuDescription, home: Home | None
) -> tuple[Conditions, tuple[str, ...]]:
    """Those that the historian has seen, else a trial; and what is to be told if the historian cannot be read."""
    trial = Conditions(np.array([list(operating_condition(spec, description).values())]), np.ones(1), 0)
    # A home is made by what fills it, not by a look.
    if home is None or not may_hold_anything(home):
        return trial, ()
    try:
        with open_historian(home) as historian:
            return seen_conditions(historian, spec) or trial, ()
    except HistorianError as error:
        return trial, (f"{error} The operating points are the FMU's start values instead of what was measured.",)


def operating_condition(spec: TwinSpec, description: FmuDescription) -> dict[str, float]:
    """Inputs for a trial: constants as they are, measured ones at the FMU's start values (0 where it has none)."""
    return {
        part.name: part.constant if part.constant is not None else description.variable(part.name).start or 0.0
        for part in spec.inputs
    }


def _predictions(spec: TwinSpec, description: FmuDescription, values: Floats) -> Iterator[Prediction]:
    parts: tuple[Channel, ...] = (*spec.measurements, *spec.virtual_sensors)
    for part, value in zip(parts, values.tolist(), strict=True):
        noise_std = part.noise_std if isinstance(part, MeasurementSpec) else None
        role = "measurement" if isinstance(part, MeasurementSpec) else "virtual sensor"
        yield Prediction(part.name, role, part.unit or description.variable(part.name).unit, value, noise_std)


def _where_run(twin: Twin, error: TwinError) -> str:
    # What fails at the prior is about its values; what fails before that about the model.
    return twin.where("coefficients") if isinstance(error, EvaluationError) else twin.where("model", "fmu")


def warnings_of(twin: Twin, evidence: Evidence) -> Iterator[str]:
    """What holds, and yet should be known: how it restarts, ranges that the model leaves, what is not told apart."""
    yield from _restart_warnings(twin.where("model", "fmu"), evidence.restart)
    for part, prediction in zip(twin.spec.measurements, evidence.predictions, strict=False):
        if outside(prediction.value, *part.valid_range):
            yield (
                f"{twin.where('measurements', part.name, 'valid_range')}: the model predicts {prediction.value:g} for"
                f" '{part.name}' at the prior, outside its valid_range {bounds_text(*part.valid_range)}: such"
                " measurements do not count."
            )
    estimated = estimates_noise(twin.spec)
    if estimated:
        yield (
            f"{twin.where('measurements', estimated[0])}: no noise_std is given for {listed(estimated)}: it is"
            " estimated from the data as they come. What an observation tells is judged here with 1 % of the model's"
            " value."
        )
    if twin.spec.transient:
        yield (
            f"{twin.where('model', 'mode')}: what one observation tells is judged at rest here, where no input moves."
            " What is told while they do, the check 'identifiability' of every window says."
        )
        yield from _transient_warnings(twin, evidence)
        return
    for confusion in evidence.sensitivity.confusions:
        yield f"{twin.where('coefficients', confusion.names[0])}: {_confused(confusion)}"


def _transient_warnings(twin: Twin, evidence: Evidence) -> Iterator[str]:
    where, memory_s, memory = twin.where("model", "memory_s"), twin.spec.model.memory_s or 0.0, evidence.memory
    if memory is None:
        seen = "seen so far" if evidence.conditions.observations else "of the FMU's start ('twin ingest' first)"
        yield (
            f"{where}: whether a memory of {memory_s:g} s is long enough cannot be told: under the inputs {seen} it"
            " hardly shows in any output where the model begins, or the model fails. Expected eight times its slowest"
            " time constant."
        )
    elif not memory.enough:
        needed = (
            f"Write memory_s: {rounded_up(memory.needed_s):g} or more"
            if memory.needed_s is not None
            else "It hardly dies out: a model that keeps what it began with cannot be followed from rest"
        )
        yield (
            f"{where}: found {memory_s:g} s, after which {memory.left:.2g} of the error that a prediction begins with"
            f" is left in '{memory.output}'; expected no more than {FORGOTTEN:g}. {needed}."
        )
    if evidence.equal_step_s is not None:
        yield (
            f"{twin.where('model', 'follow_step_s')}: this FMU wants equal communication steps, which are"
            f" {evidence.equal_step_s:g} s here, also while it settles: times of observations are rounded to them. A"
            " shorter follow_step_s makes them shorter."
        )


def rounded_up(value: float) -> float:
    """Two digits, never less."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return math.ceil(round(value / unit, 6)) * unit


def _restart_warnings(where: str, restart: RestartReport) -> Iterator[str]:
    if restart.used == "reset":
        reason = restart.rollback.detail
        yield f"{where}: every run of the FMU is a reset and a cold start, which is slow, because {reason}."
    if restart.replay is not None and restart.replay.status != "exact":
        yield (
            f"{where}: the FMU cannot be led through the same inputs twice with the same answers"
            f" ({restart.replay.detail}), which transient mode relies on: what a later run computes may differ."
        )
    if not restart.reproducible:
        outcome = restart.rollback if restart.used == "rollback" else restart.reset
        yield (
            f"{where}: the FMU's {restart.used} is not exact ({outcome.detail}): a window that is materialized again"
            " may differ in its last digits."
        )


def _confused(confusion: Confusion) -> str:
    if len(confusion.names) == 1:
        (combination,) = confusion.combinations
        return (
            f"the measurements hardly depend on {combination}: {_much(combination)}. Fix it (model parameters), measure"
            " more, or, if it shows only while the process moves (a mass, a capacity), write mode: transient."
        )
    ways = "; ".join(_way(combination) for combination in confusion.combinations)
    near = "Near the prior only" if confusion.local else "Only"
    return (
        f"the measurements cannot tell {', '.join(confusion.names)} apart: {ways}. {near}"
        f" {listed(confusion.told)} can be told. Calibrate fewer of them, measure more, or let the filter hold what is"
        " not told (identifiability: hold)."
    )


def _way(combination: Combination) -> str:
    if combination.law == "product":
        return f"with {combination} for any factor f {_much(combination)}"
    return f"along {combination} {_much(combination)}"


def _much(combination: Combination) -> str:
    if combination.endless:
        return "no number of observations tells"
    return f"it takes {combination.observations:.2g} observations to tell as much as the prior does"


def listed(texts: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join(part for part in (", ".join(texts[:-1]), *texts[-1:]) if part)
