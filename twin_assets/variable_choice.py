"""Choosing an FMU's variables by shell-style patterns: what is calibrated, measured, predicted, told.

Belongs here: which variables may play a role and which of them patterns mean. Their numbers are ``new_twin``'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from twin_assets.errors import TwinError
from twin_assets.nearest import nearest_names
from twin_assets.simulation import FmuDescription, FmuVariable
from twin_assets.spec_check import can_be_calibrated, can_be_read, can_be_set
from twin_assets.spec_types import variable_name

Variables = tuple[FmuVariable, ...]
MOST_LISTED = 40


@dataclass(frozen=True)
class Patterns:
    """Shell-style patterns (``b*``, ``Roller?_w``; or a variable's whole name) for each role."""

    calibrate: tuple[str, ...] = ()
    measure: tuple[str, ...] = ()
    predict: tuple[str, ...] = ()


@dataclass(frozen=True)
class Chosen:
    """The variables of a twin, each role in the order of the FMU.

    Attributes:
        inputs: operating conditions.
        untold: inputs that cannot be told, for they are no numbers; they keep their start values.
        coefficients: to calibrate.
        measurements: measured outputs.
        virtual_sensors: predicted outputs.
    """

    inputs: Variables
    untold: Variables
    coefficients: Variables
    measurements: Variables
    virtual_sensors: Variables


@dataclass(frozen=True)
class _Role:
    """Candidates of a role. Patterns look at the first tier, and at the next where they match nothing in it."""

    option: str
    question: str
    tiers: tuple[tuple[str, Variables], ...]

    @property
    def candidates(self) -> Variables:
        return tuple(variable for _, tier in self.tiers for variable in tier)


def choose(description: FmuDescription, patterns: Patterns) -> Chosen:
    """Resolve the patterns against the FMU.

    Without ``predict``, all outputs that are not measured become virtual sensors, if they are numbers. What is measured
    is no virtual sensor, and what is calibrated no input.

    Raises:
        TwinError: if nothing is to be calibrated or measured, or a pattern matches nothing; lists the candidates.
    """
    nameable = [variable for variable in description.variables if _nameable(variable)]
    readable = [variable for variable in nameable if can_be_read(variable)]
    inputs, outputs = _of([v for v in nameable if can_be_set(v)], "input"), _of(readable, "output")
    real = [variable for variable in nameable if can_be_calibrated(variable)]
    parameters = _of(real, "parameter")
    calibrate = _Role(
        "--calibrate",
        "which parameters are to be calibrated",
        (
            ("tunable", tuple(variable for variable in parameters if variable.tunable)),
            ("fixed before start (each run then starts cold)", tuple(v for v in parameters if not v.tunable)),
            ("inputs", _of(real, "input")),
        ),
    )
    measure = _Role(
        "--measure", "which outputs are measured", (("outputs", outputs), ("local", _of(readable, "local")))
    )
    predict = _Role("--predict", "", measure.tiers)
    problems = [
        *_problems(calibrate, patterns.calibrate, needed=True),
        *_problems(measure, patterns.measure, needed=True),
        *_problems(predict, patterns.predict, needed=False),
    ]
    if problems:
        raise TwinError("\n".join(f"{description.path}: {problem}" for problem in problems))
    coefficients = _matching(calibrate, patterns.calibrate)
    measurements = _matching(measure, patterns.measure)
    predicted = _matching(predict, patterns.predict) if patterns.predict else outputs
    return Chosen(
        inputs=tuple(variable for variable in inputs if variable not in coefficients),
        untold=tuple(
            variable for variable in description.variables if variable.causality == "input" and variable not in inputs
        ),
        coefficients=coefficients,
        measurements=measurements,
        virtual_sensors=tuple(variable for variable in predicted if variable not in measurements),
    )


def _nameable(variable: FmuVariable) -> bool:
    try:
        variable_name(variable.name)
    except ValueError:
        return False
    return True


def _of(variables: Sequence[FmuVariable], causality: str) -> Variables:
    return tuple(variable for variable in variables if variable.causality == causality)


def _matching(role: _Role, patterns: tuple[str, ...]) -> Variables:
    """Variables that any of the patterns means, in the order of the FMU's tiers."""
    chosen = {variable.name for pattern in patterns for variable in _matches(role, pattern)}
    return tuple(variable for variable in role.candidates if variable.name in chosen)


def _matches(role: _Role, pattern: str) -> Variables:
    # An array's element, x[1], is also a pattern (it would mean x1): a whole name means itself.
    exact = tuple(variable for variable in role.candidates if variable.name == pattern)
    if exact:
        return exact
    matches = (tuple(variable for variable in tier if fnmatchcase(variable.name, pattern)) for _, tier in role.tiers)
    return next((found for found in matches if found), ())


def _problems(role: _Role, patterns: tuple[str, ...], *, needed: bool) -> list[str]:
    if needed and not role.candidates:
        return [f"{role.question}? The FMU offers none: a number, with a name of letters, digits and _ . , ( ) [ ] -."]
    if needed and not patterns:
        example = f"{role.option} '{role.candidates[0].name[0]}*'"
        expected = f"Expected {role.option} PATTERN (shell-style, repeatable), for example {example}"
        return [f"{role.question}? {expected}. Candidates:{_listed(role)}"]
    return [_no_match(role, pattern) for pattern in patterns if not _matches(role, pattern)]


def _no_match(role: _Role, pattern: str) -> str:
    near = nearest_names(pattern.strip("*?"), [variable.name for variable in role.candidates])
    hint = f" Nearest: {', '.join(near)}." if near else ""
    return f"{role.option} '{pattern}' matches none of the candidates.{hint} Candidates:{_listed(role)}"


def _listed(role: _Role) -> str:
    return "".join(f"\n  {kind}: {_names(variables)}" for kind, variables in role.tiers if variables)


def _names(variables: Variables) -> str:
    names = ", ".join(variable.name for variable in variables[:MOST_LISTED])
    more = len(variables) - MOST_LISTED
    return f"{names} and {more} more" if more > 0 else names
