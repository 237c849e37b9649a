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
        description = read_description(twin.fmu_path)
    except FmuError as error:
        raise SpecError([f"{twin.where('model', 'fmu')}: {error}"]) from error
    check_against_fmu(twin, description)
    return description


def check_against_fmu(twin: Twin, description: FmuDescription) -> None:
    """Refuse a twin.yaml that its FMU does not fit.

    Raises:
        SpecError: listing every finding with its line, in the order of the lines.
    """
    variables = {variable.name: variable for variable in description.variables}
    conflicts = [*_section_conflicts(twin.spec, variables), *_parameter_conflicts(twin.spec, variables)]
    if conflicts:
        conflicts.sort(key=lambda conflict: twin.line(*conflict.path))
        raise SpecError(f"{twin.where(*conflict.path)}: {conflict.message}" for conflict in conflicts)


def can_be_set(variable: FmuVariable) -> bool:
    """Whether the filter may infer it or a condition be told by it: a real parameter or input that may be set.

    Parameters of variability ``fixed`` are among them: they are set before initialization, which costs a cold start.
    """
    return (
        variable.type == "Real"
        and variable.causality in {"input", "parameter"}
        and (variable.settable or variable.tunable)
    )


def can_be_read(variable: FmuVariable) -> bool:
    """Whether it may be a measurement or a virtual sensor: real and computed by the model, so also a local variable."""
    changes = variable.variability in {"continuous", "discrete"}
    return variable.type == "Real" and variable.causality in {"output", "local"} and changes


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
    _Role("inputs", can_be_set, "a real input, or a real parameter that may be set"),
    _Role("coefficients", can_be_set, "a real parameter that may be set (causality parameter, tunable or fixed)"),
    _Role("measurements", can_be_read, "a real output, or a real local variable"),
    _Role("virtual_sensors", can_be_read, "a real output, or a real local variable"),
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
    if not candidates:
        return f"{found} The FMU has none: export it with one."
    return f"{found}{nearest_hint(variable.name, candidates)}"


def kind(variable: FmuVariable) -> str:
    """``a tunable parameter``, ``a continuous output``, ``an integer input``: with its article."""
    words = [variable.variability, variable.causality]
    if variable.type != "Real":
        words.insert(0, variable.type.lower())
    text = " ".join(words)
    return f"{'an' if text[0] in 'aeiou' else 'a'} {text}"


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
    elif isinstance(part, CoefficientSpec):
        low, high = part.bounds
        numbers = [("initial", part.initial), ("bounds", low), ("bounds", high)]
    for key, value in numbers:
        yield from _range_conflicts((*path, key), f"{label} {key}", value, variable)


def _range_conflicts(path: YamlPath, label: str, value: float | None, variable: FmuVariable) -> Iterator[Conflict]:
    if value is not None and outside(value, variable.min, variable.max):
        allowed = bounds_text(variable.min, variable.max)
        yield Conflict(path, f"{label}: found {value:g}; the FMU allows {allowed}. Stay inside.")


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
            message = f"{label}: found {kind(variable)} of the FMU; expected a parameter with a number that may be set."
            yield Conflict(path, f"{message}{hint}")
        elif name in taken:
            yield Conflict(path, f"{label}: is set twice, here and in {taken[name]}; keep one of them")
        else:
            yield from _range_conflicts(path, label, value, variable)


def _is_parameter(variable: FmuVariable) -> bool:
    return variable.causality == "parameter" and variable.settable and variable.type != "String"


def _plain(unit: str) -> str:
    for spelt, plain in (("*", "."), ("·", "."), ("⋅", "."), ("°", "deg"), ("Ω", "Ohm"), ("µ", "u")):
        unit = unit.replace(spelt, plain)
    spaced = re.sub(r"\s*([./^])\s*", r"\1", unit.strip())
    return re.sub(r"\s+", ".", spaced)
