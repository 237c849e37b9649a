"""Somebody's FMU for the first time: by which interface, and in which steps, does it settle at its start values?

Belongs here: what ``twin new`` finds out by running the FMU. What twin.yaml says then is ``new_twin``'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from twin_assets.errors import TwinError
from twin_assets.simulation import FmuDescription, FmuModel, Interface, SettleSettings, read_description
from twin_assets.simulation.walk import SMALLER_STEPS
from twin_assets.variable_choice import Chosen

# Of the communication step: no smaller ones are tried where an FMU's own solver diverges.
SMALLEST_OF_STEP = 2e-5
# A try in small steps is one of several, and a model that neither diverges nor settles in them takes very long.
SMALL_STEPS_TIMEOUT_S = 10.0
# How long settling may take, in steps, where nothing is said.
STEPS = round(SettleSettings().max_settle_s / SettleSettings().step_s)


@dataclass(frozen=True)
class FirstRun:
    """What running the FMU at its start values showed.

    Attributes:
        interface: what it is to be run by, where that is not what is tried first; else None.
        settle: the steps that suit the FMU.
        values: measurement -> value at which the model settles; empty if it does not.
        problem: why it does not settle, or not by the interface that is tried first; empty if it does.
    """

    interface: Interface | None = None
    settle: SettleSettings = field(default_factory=SettleSettings)
    values: Mapping[str, float] = field(default_factory=dict)
    problem: str = ""


def first_run(description: FmuDescription, chosen: Chosen) -> FirstRun:
    """Try all interfaces that the FMU offers, best first, until the measurements settle by one."""
    names = tuple(variable.name for variable in chosen.measurements)
    problems: list[str] = []
    for interface in description.interfaces:
        settle = suitable_steps(read_description(description.path, interface))
        try:
            values = _settled(description, interface, settle, names)
        except TwinError as error:
            problems.append(str(error))
            continue
        other = interface if interface != description.interface else None
        return FirstRun(other, settle, dict(zip(names, values, strict=True)), "".join(problems[:1]))
    if all(SMALLER_STEPS in problem for problem in problems):  # else a solver outside of it did not settle it, either
        return _in_smaller_steps(description, names, problems[0])
    return FirstRun(settle=suitable_steps(description), problem=problems[0])


def _in_smaller_steps(description: FmuDescription, names: tuple[str, ...], problem: str) -> FirstRun:
    """Where the FMU's solver diverged: the longest steps, out of a few, in which it does not."""
    settle = suitable_steps(description)
    step_s = settle.step_s
    while step_s > settle.step_s * SMALLEST_OF_STEP:
        step_s /= 10.0
        limited = replace(settle, max_step_s=step_s)
        try:
            values = _settled(description, description.interface, limited, names, SMALL_STEPS_TIMEOUT_S)
        except TwinError:
            continue
        return FirstRun(None, limited, dict(zip(names, values, strict=True)), problem)
    return FirstRun(settle=settle, problem=problem)


def suitable_steps(description: FmuDescription) -> SettleSettings:
    """Communication steps and patience as the FMU's default experiment and its solver suggest them.

    A model whose own step is long is a slow one. A step that has to stay the same is best the one that the exporter
    had in mind. A solver of fixed step inside can only be asked for multiples of it.
    """
    usual = SettleSettings()
    step_s = usual.step_s
    if description.interface == "co_simulation":
        own = description.step_s or 0.0
        step_s = max(own, step_s) if description.can_vary_step else own or step_s
        if description.fixed_step_s:
            step_s = description.fixed_step_s * max(1, round(step_s / description.fixed_step_s))
    return SettleSettings(step_s, max(usual.max_settle_s, STEPS * step_s))


def _settled(
    description: FmuDescription,
    interface: Interface,
    settle: SettleSettings,
    names: tuple[str, ...],
    timeout_s: float = 60.0,
) -> list[float]:
    with FmuModel(
        description.path,
        coefficients=(),
        inputs=(),
        outputs=names,
        settle=settle,
        workers=1,
        timeout_s=timeout_s,
        interface=interface,
    ) as model:
        (row,) = model.evaluate(np.empty((1, 0)), np.empty(0))
    return [float(value) for value in row]
