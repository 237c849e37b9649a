"""The plant: the web line as it really is, with coefficients that nobody but the summary knows.

Belongs here: how the hidden coefficients move, and what the line then does. What goes wrong with its sensors is
``faults``' business. The plant is the twin's own model: what the calibration must find is hidden, not how a line works.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from twin_assets.errors import TwinError
from twin_assets.model import Floats, PredictiveModel
from twin_assets.spec import TwinSpec

EVERY = pd.Timedelta(minutes=20)
# Healthy bearings: levels spread over this range; friction moves about its level with load and lubricant. Its steps
# from one sample to the next are of the size that the twin's drift_std_per_sqrt_hour speaks of, so near to the bound:
# what the filter expects is what happens, and its innovations are as large as it claims.
HEALTHY = (1e-3, 3e-3)
WANDER_STD = 0.5  # of the logarithm
WANDER_HOURS = 1.5  # after which it has forgotten where it was
# The story takes this long at least: a shorter demonstration shows its beginning, a longer one stretches it.
STORY = pd.Timedelta(days=3)
SLIP_AT = 0.92  # of the story
MODERATE_WEAR, MODERATE_AT = 0.06, 1.0  # what the moderately worn bearing has come to, at which part of the story
WEAR_EXPONENT = 1.5  # wear that feeds on itself
MODERATE, WORN = "b3", "b9"
SLIPPING = "Roller9_summary_SlipVelocity"
SLIP_M_PER_S = 1e-3  # what counts as slip; micro-slip of a roller that follows the web is ten times smaller
# Operating conditions (usual, and in the fast shift), for inputs that the twin measures.
OPERATION = {
    "web_speed_setpoint": (1.0, 1.1),
    "tension_1_setpoint": (100.0, 100.0),
    "tension_2_setpoint": (150.0, 150.0),
    "rewind_tension_setpoint": (100.0, 100.0),
}
FAST_SHIFT = (0.40, 0.52)  # part of the period in which the line runs faster


@dataclass(frozen=True)
class Plant:
    """What really happened.

    Attributes:
        times: (k,) of the samples, UTC.
        inputs: (k, p) operating conditions, one column an input.
        coefficients: (k, n) hidden coefficients, physical units.
        outputs: (k, m) what the line did, free of noise: measurements and virtual sensors.
        slip: when the worn bearing's roller began to slip; None if it did not.
    """

    times: pd.DatetimeIndex
    inputs: pd.DataFrame
    coefficients: pd.DataFrame
    outputs: pd.DataFrame
    slip: pd.Timestamp | None

    def truth(self) -> pd.DataFrame:
        """``time`` and everything that was true then: coefficients and outputs."""
        return pd.concat([self.coefficients, self.outputs], axis=1).rename_axis("time").reset_index()


def operate(spec: TwinSpec, model: PredictiveModel, times: pd.DatetimeIndex, rng: np.random.Generator) -> Plant:
    """Let the line run.

    Args:
        spec: the twin; its coefficients must have the two that wear.
        model: the twin's model.
        times: (k,) evenly spaced, UTC.
        rng: the source of all that is random.

    Raises:
        TwinError: if the twin is not the demonstration's.
    """
    check_scenario(spec)
    inputs = _inputs(spec, times)
    onset = slip_onset(model, inputs.to_numpy()[0])
    coefficients = hidden_coefficients(model.coefficients, times, onset, rng)
    outputs = _respond(model, coefficients, inputs)
    slipping = outputs.index[outputs[SLIPPING].abs() > SLIP_M_PER_S]
    return Plant(times, inputs, coefficients, outputs, slipping[0] if len(slipping) else None)


def check_scenario(spec: TwinSpec) -> None:
    """Refuse twins that the demonstration's story does not fit.

    Raises:
        TwinError: naming what the twin lacks.
    """
    present = {part.name for part in (*spec.coefficients, *spec.measurements, *spec.virtual_sensors)}
    missing = sorted({MODERATE, WORN, SLIPPING} - present)
    unknown = sorted(i.name for i in spec.inputs if i.constant is None and i.name not in OPERATION)
    if missing or unknown:
        found = f"it lacks {', '.join(missing)}" if missing else f"it measures the input {', '.join(unknown)}"
        raise TwinError(
            f"twin '{spec.name}': the demonstration plays wear and slip of the twin 'web_line', but {found}. Use the"
            " twin that comes with the project, or bring recorded data: 'twin ingest', then 'twin run'."
        )


def hidden_coefficients(
    names: tuple[str, ...], times: pd.DatetimeIndex, onset: float, rng: np.random.Generator
) -> pd.DataFrame:
    """Dampings (k, n) through time: healthy ones wander about their level, two wear.

    A healthy damping is its level times the exponential of an Ornstein-Uhlenbeck process, so it is positive and of the
    same order for ever; wear adds ``growth * progress ** WEAR_EXPONENT``.

    Args:
        names: of the n coefficients.
        times: (k,) evenly spaced.
        onset: damping at which the worn bearing's roller begins to slip; reached at ``SLIP_AT`` of the story.
        rng: the source of randomness.
    """
    hours = ((times - times[0]) / pd.Timedelta(hours=1)).to_numpy(dtype=float)
    lowest, highest = HEALTHY
    levels = np.exp(rng.uniform(np.log(lowest), np.log(highest), size=len(names)))
    values = levels * np.exp(_wander(hours, len(names), rng))
    story = max((times[-1] - times[0]) + EVERY, STORY) / pd.Timedelta(hours=1)
    for name, growth, at in ((MODERATE, MODERATE_WEAR, MODERATE_AT), (WORN, onset, SLIP_AT)):
        column = names.index(name)
        values[:, column] += (growth - levels[column]) * (hours / (at * story)) ** WEAR_EXPONENT
    return pd.DataFrame(values, index=times, columns=list(names))


def _wander(hours: Floats, count: int, rng: np.random.Generator) -> Floats:
    """(k, n) stationary Ornstein-Uhlenbeck processes at evenly spaced hours, exactly discretized."""
    step = hours[1] - hours[0] if len(hours) > 1 else 0.0
    memory = np.exp(-step / WANDER_HOURS)
    shocks = rng.normal(0.0, WANDER_STD, size=(len(hours), count))
    shocks[1:] *= np.sqrt(1.0 - memory**2)
    for index in range(1, len(hours)):
        shocks[index] += memory * shocks[index - 1]
    return shocks


def _inputs(spec: TwinSpec, times: pd.DatetimeIndex) -> pd.DataFrame:
    """(k, p) operating conditions: set points, so free of noise, with one fast shift."""
    part = np.arange(len(times)) / len(times)
    fast = (part >= FAST_SHIFT[0]) & (part < FAST_SHIFT[1])
    columns = {
        one.name: np.where(fast, *reversed(OPERATION[one.name])) if one.constant is None else one.constant
        for one in spec.inputs
    }
    return pd.DataFrame(columns, index=times, dtype=float)


def _respond(model: PredictiveModel, coefficients: pd.DataFrame, inputs: pd.DataFrame) -> pd.DataFrame:
    """(k, m) settled outputs: one batch for each run of equal operating conditions."""
    runs = (inputs != inputs.shift()).any(axis=1).cumsum()
    parts = [
        model.evaluate(part.to_numpy(), inputs.loc[part.index[0]].to_numpy())
        for _, part in coefficients.groupby(runs.to_numpy())
    ]
    return pd.DataFrame(np.vstack(parts), index=coefficients.index, columns=list(model.outputs))


def slip_onset(model: PredictiveModel, inputs: Floats) -> float:
    """The damping at which the worn bearing's roller begins to slip, all others healthy.

    Two rounds of a grid search, one batch each, find it to a thousandth of the range.

    Args:
        model: the twin's model.
        inputs: (p,) operating conditions.
    """
    low, high = 0.0, 0.25
    healthy = np.full(len(model.coefficients), float(np.mean(HEALTHY)))
    worn, slip = model.coefficients.index(WORN), model.outputs.index(SLIPPING)
    for _ in range(2):
        candidates = np.tile(healthy, (33, 1))
        candidates[:, worn] = np.linspace(low, high, len(candidates))
        slips = np.abs(model.evaluate(candidates, inputs)[:, slip]) > SLIP_M_PER_S
        first = int(np.argmax(slips))
        if not slips[first]:
            raise TwinError(f"the model does not slip up to {WORN} = {high:g}: the demonstration's story needs that.")
        low, high = candidates[max(first - 1, 0), worn], candidates[first, worn]
    return float(high)
