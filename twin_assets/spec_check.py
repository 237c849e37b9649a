"""Holding a twin's description against its FMU: what twin.yaml alone cannot tell.

Belongs here: comparing names, kinds, units and numbers. Nothing is run; ``twin check`` runs the model.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from twin_assets.nearest import nearest_hint
from twin_assets.simulation import FmuDescription, FmuError, FmuVariable, read_description
from twin_assets.spec import CoefficientSpec, InputSpec, NamedPart, TwinSpec
from twin_assets.spec_file import SpecError, Twin
from twin_assets.spec_types import Conflict, YamlPath, bounds_text, outside

Variables = Mapping[str, FmuVariable]


def described(twin: Twin) -> FmuDescription:
    """The description of the twin's FMU, which fits twin.yaml.

    Raises:
        SpecError: if the FMU cannot be used, or listing every finding of ``check_against_fmu``.
    """
    try:
        description = description_of(twin)
    except FmuError as error:
        raise SpecError([f"{twin.where('model', 'fmu')}: {error}"]) from error
    check_against_fmu(twin, description)
    return description


def description_of(twin: Twin) -> FmuDescription:
    """The description of the twin's FMU, run by the interface that twin.yaml names.

    Raises:
        FmuError: if the FMU cannot be used.
    """
    return read_description(twin.fmu_path, twin.spec.model.interface)


def check_against_fmu(twin: Twin, description: FmuDescription) -> None:
    """Refuse a twin.yaml that its FMU does not fit.

    Raises:
        SpecError: listing every finding with its line, in the order of the lines.
    """
    variables = {variable.name: variable for variable in description.variables}
    conflicts = [
        *_section_conflicts(twin.spec, variables),
        *_parameter_conflicts(twin.spec, variables),
        *_movement_conflicts(twin.spec, variables),
    ]
    if conflicts:
        conflicts.sort(key=lambda conflict: twin.line(*conflict.path))
        raise SpecError(f"{twin.where(*conflict.path)}: {conflict.message}" for conflict in conflicts)


def can_be_set(variable: FmuVariable) -> bool:
    """Whether an operating condition may be told by it: a parameter or input with a number that may be set.

    Parameters of variability ``fixed`` are among them: they are set before initialization, which costs a cold start.
    """
    return variable.number and variable.causality in {"input", "parameter"} and (variable.settable or variable.tunable)


def can_be_calibrated(variable: FmuVariable) -> bool:
    """Whether the filter may infer it: what can be set, if it is real; nothing else has values between its values."""
    return variable.real and can_be_set(variable)


def can_be_read(variable: FmuVariable) -> bool:
    """Whether it may be a measurement or a virtual sensor: a number that the model computes, also a local variable."""
    changes = variable.variability in {"continuous", "discrete"}
    return variable.number and variable.causality in {"output", "local"} and changes


def same_unit(one: str, other: str) -> bool:
    """Whether two spellings are one unit: ``N*m`` and ``N.m``, ``°C`` and ``degC``; nothing is converted."""
    return _plain(one) == _plain(other)


@dataclass(frozen=True)
class _Role:
    """What a section needs of its variables."""

    section: str
    fits: Callable[[FmuVariable], bool]
    wanted: str


_ROLES = (
    _Role("inputs", can_be_set, "an input, or a parameter that may be set, with a number"),
    _Role(
        "coefficients", can_be_calibrated, "a real parameter that may be set (causality parameter, tunable or fixed)"
    ),
    _Role("measurements", can_be_read, "an output, or a local variable, with a number"),
    _Role("virtual_sensors", can_be_read, "an output, or a local variable, with a number"),
)


def _section_conflicts(spec: TwinSpec, variables: Variables) -> Iterator[Conflict]:
    for role in _ROLES:
        parts: tuple[NamedPart, ...] = getattr(spec, role.section)
        for index, part in enumerate(parts):
            path = (role.section, index)
            label = f"{role.section} '{part.name}'"
            variable = variables.get(part.name)
            if variable is None:
                yield Conflict((*path, "name"), f"{label}: {_unknown(part.name, spec.name, variables, role.fits)}")
            elif not role.fits(variable):
                yield Conflict((*path, "name"), f"{label}: {_unfit(variable, role, variables)}")
            else:
                yield from _unit_conflicts(path, label, part, variable)
                yield from _number_conflicts(path, label, part, variable)


def _unknown(name: str, twin: str, variables: Variables, fits: Callable[[FmuVariable], bool]) -> str:
    candidates = [variable.name for variable in variables.values() if fits(variable)]
    hint = nearest_hint(name, candidates) or nearest_hint(name, variables)
    return f"the FMU has no variable '{name}'.{hint} Rename it, or run 'twin check {twin} --variables' for all."


def _unfit(variable: FmuVariable, role: _Role, variables: Variables) -> str:
    candidates = [other.name for other in variables.values() if role.fits(other)]
    found = f"found {kind(variable)} of the FMU; expected {role.wanted}."
    if role.fits is can_be_calibrated and can_be_set(variable):
        found += " There are no values between its values, so the filter cannot move it: set it in model parameters."
    if not candidates:
        return f"{found} The FMU has none: export it with one."
    return f"{found}{nearest_hint(variable.name, candidates)}"


def kind(variable: FmuVariable) -> str:
    """``a tunable parameter``, ``a continuous output``, ``an integer input``: with its article."""
    words = [variable.variability, variable.causality]
    if not variable.real:
        words.insert(0, variable.type.lower())
    text = " ".join(words)
    return f"{'an' if text[0] in 'aeio' else 'a'} {text}"


def _unit_conflicts(path: YamlPath, label: str, part: NamedPart, variable: FmuVariable) -> Iterator[Conflict]:
    unit: str | None = getattr(part, "unit", None)
    if unit and variable.unit and not same_unit(unit, variable.unit):
        yield Conflict(
            (*path, "unit"),
            f"{label} unit: found '{unit}'; the FMU has '{variable.unit}'. Values are not converted: correct the unit,"
            " and bring the data in the FMU's.",
        )


def _number_conflicts(path: YamlPath, label: str, part: NamedPart, variable: FmuVariable) -> Iterator[Conflict]:
    numbers: list[tuple[str, float | None]] = []
    if isinstance(part, InputSpec):
        numbers = [("constant", part.constant)]
        yield from _kind_conflicts((*path, "constant"), f"{label} constant", part.constant, variable)
        if part.noise_std is not None and not variable.real:
            message = (
                f"{label} noise_std: found one of {kind(variable)} of the FMU, which has no values between its values;"
                " expected none: remove it."
            )
            yield Conflict((*path, "noise_std"), message)
    elif isinstance(part, CoefficientSpec):
        low, high = part.bounds
        numbers = [("initial", part.initial), ("bounds", low), ("bounds", high)]
    for key, value in numbers:
        yield from _range_conflicts((*path, key), f"{label} {key}", value, variable)


def _kind_conflicts(path: YamlPath, label: str, value: float | None, variable: FmuVariable) -> Iterator[Conflict]:
    """A measured condition is rounded; a number that somebody writes is meant, or wrong."""
    if value is not None and not variable.allows(value):
        allowed = "0 or 1" if variable.type == "Boolean" else "a whole number"
        yield Conflict(path, f"{label}: found {value:g}; the FMU's {variable.type} takes {allowed}.")


def _range_conflicts(path: YamlPath, label: str, value: float | None, variable: FmuVariable) -> Iterator[Conflict]:
    if value is not None and outside(value, variable.min, variable.max):
        allowed = bounds_text(variable.min, variable.max)
        yield Conflict(path, f"{label}: found {value:g}; the FMU allows {allowed}. Stay inside.")


def _movement_conflicts(spec: TwinSpec, variables: Variables) -> Iterator[Conflict]:
    """In transient mode measured inputs change while the model runs."""
    for index, part in enumerate(spec.inputs if spec.transient else ()):
        variable = variables.get(part.name)
        if part.constant is None and variable is not None and can_be_set(variable) and not variable.tunable:
            message = (
                f"inputs '{part.name}': found {kind(variable)} of the FMU, which cannot change while the model runs;"
                " expected, in transient mode, an input or a tunable parameter, or a constant."
            )
            yield Conflict(("inputs", index, "name"), message)


def _parameter_conflicts(spec: TwinSpec, variables: Variables) -> Iterator[Conflict]:
    taken = {
        part.name: section
        for section, parts in (("inputs", spec.inputs), ("coefficients", spec.coefficients))
        for part in parts
    }
    for name, value in spec.model.parameters.items():
        path, label = ("model", "parameters", name), f"model parameters '{name}'"
        variable = variables.get(name)
        if variable is None:
            yield Conflict(path, f"{label}: {_unknown(name, spec.name, variables, _is_parameter)}")
        elif not _is_parameter(variable):
            hint = nearest_hint(name, [other.name for other in variables.values() if _is_parameter(other)])
            message = f"{label}: found {kind(variable)} of the FMU; expected {_PARAMETER}."
            yield Conflict(path, f"{message}{hint}")
        elif name in taken:
            yield Conflict(path, f"{label}: is set twice, here and in {taken[name]}; keep one of them")
        else:
            yield from _kind_conflicts(path, label, value, variable)
            yield from _range_conflicts(path, label, value, variable)


_PARAMETER = "a parameter, or the start value of a state, with a number that may be set before initialization"


def _is_parameter(variable: FmuVariable) -> bool:
    return variable.number and variable.settable and variable.causality in {"parameter", "local", "output"}


def _plain(unit: str) -> str:
    for spelt, plain in (("*", "."), ("·", "."), ("⋅", "."), ("°", "deg"), ("Ω", "Ohm"), ("µ", "u")):
        unit = unit.replace(spelt, plain)
    spaced = re.sub(r"\s*([./^])\s*", r"\1", unit.strip())
    return re.sub(r"\s+", ".", spaced)
