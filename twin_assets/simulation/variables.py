"""One variable of an FMU of any FMI version: its kind, its numbers, and its place in an array.

An array of FMI 3.0 is so many variables, one for each element, named as Modelica writes them: ``name[i]`` and
``name[i,j]``, counted from 1. FMI hands an array over whole, the last index running fastest (as in C).

Belongs here: from fmpy's objects to frozen values. What the FMU as a whole says is ``description``'s.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from twin_assets.simulation.errors import FmuError

REALS = frozenset({"Real", "Float64", "Float32"})
WHOLES = frozenset({"Integer", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64"})
NUMBERS = REALS | WHOLES | {"Boolean", "Enumeration"}
# An element is a variable with a name of its own; nobody picks one by name out of more than these.
MOST_ELEMENTS = 20_000


@dataclass(frozen=True)
class FmuArray:
    """The array of FMI 3.0 that variables are elements of; one object for all of them.

    Attributes:
        shape: sizes of its dimensions, at the start values of the structural parameters.
        starts: start values of all elements, the last index running fastest; empty if the FMU names none.
    """

    shape: tuple[int, ...]
    starts: tuple[float, ...]

    @property
    def size(self) -> int:
        """How many elements it has."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class FmuVariable:
    """One variable of the FMU; an element where the FMU has an array.

    Attributes:
        name: as the FMU writes it; an array's element with its place behind it, counted from 1.
        reference: FMI value reference; elements share their array's.
        type: as FMI writes it: "Real", "Integer", "Boolean", "String", "Enumeration"; of FMI 3.0 "Float64", "Int32", …
        causality: "parameter", "input", "output", "local", …
        variability: "fixed", "tunable", "continuous", …
        unit: physical unit, None if the FMU names none.
        start: start value (Boolean as 0 or 1); None for what is no number and for variables without one.
        min: smallest allowed value, None if there is no such bound.
        max: largest allowed value, None if there is no such bound.
        nominal: typical magnitude, None if the FMU names none.
        description: for people, may be empty.
        settable: may be set before initialization.
        tunable: may be set while the model runs: an input, or a parameter of variability "tunable".
        array: what it is an element of; None if it stands alone.
        element: its place in the array, from 0, the last index running fastest.
    """

    name: str
    reference: int
    type: str
    causality: str
    variability: str
    unit: str | None
    start: float | None
    min: float | None
    max: float | None
    nominal: float | None
    description: str
    settable: bool
    tunable: bool
    array: FmuArray | None = None
    element: int = 0

    @property
    def real(self) -> bool:
        """Whether its values are real numbers, which alone can be calibrated."""
        return self.type in REALS

    @property
    def number(self) -> bool:
        """Whether its values are numbers: real or whole, Boolean (0 or 1) or an enumeration's."""
        return self.type in NUMBERS

    def allows(self, value: float) -> bool:
        """Whether the type has this value: any for a real, 0 or 1 for a Boolean, else whole numbers."""
        if self.type == "Boolean":
            return value in {0.0, 1.0}
        return self.real or float(value).is_integer()


def variables_of(path: Path, variable: Any) -> Iterator[FmuVariable]:  # noqa: ANN401 - fmpy is not typed
    """What fmpy read as one variable: itself, or an array's elements in FMI's order.

    Raises:
        FmuError: if a number of the description is none, or an array has another number of start values than elements.
    """
    if not variable.shape:
        yield _variable(path, variable, variable.name, variable.type, _start(path, variable))
        return
    size = math.prod(variable.shape)
    if size > MOST_ELEMENTS:
        yield _variable(path, variable, variable.name, f"{variable.type}[{size}]", None)
        return
    array = FmuArray(tuple(variable.shape), _starts(path, variable, size))
    for element, place in enumerate(product(*(range(1, length + 1) for length in array.shape))):
        name = f"{variable.name}[{','.join(map(str, place))}]"
        start = array.starts[element] if array.starts else None
        yield _variable(path, variable, name, variable.type, start, array, element)


def number_of(path: Path, where: str, text: str | None) -> float | None:
    """A number of modelDescription.xml, Boolean as 0 or 1; None if it is not there.

    Raises:
        FmuError: if it is no number.
    """
    if text is None:
        return None
    if text in {"true", "false"}:
        return float(text == "true")
    try:
        return float(text)
    except ValueError as error:
        raise FmuError(f"{path}: modelDescription.xml: '{text}' of {where} is no number.") from error


def _variable(
    path: Path,
    variable: Any,  # noqa: ANN401 - fmpy is not typed
    name: str,
    kind: str,
    start: float | None,
    array: FmuArray | None = None,
    element: int = 0,
) -> FmuVariable:
    declared = variable.declaredType

    def attribute(key: str) -> Any:  # noqa: ANN401 - as above
        own = getattr(variable, key)
        return getattr(declared, key) if own is None and declared is not None else own

    def number(key: str) -> float | None:
        return number_of(path, variable.name, attribute(key)) if variable.type in NUMBERS else None

    parameter = variable.causality == "parameter"
    return FmuVariable(
        name=name,
        reference=variable.valueReference,
        type=kind,
        causality=variable.causality,
        variability=variable.variability,
        unit=attribute("unit"),
        start=start,
        min=number("min"),
        max=number("max"),
        nominal=number("nominal"),
        description=variable.description or "",
        settable=variable.variability != "constant" and variable.initial in {"exact", "approx"},
        tunable=variable.causality == "input" or (parameter and variable.variability == "tunable"),
        array=array,
        element=element,
    )


def _start(path: Path, variable: Any) -> float | None:  # noqa: ANN401 - fmpy is not typed
    return number_of(path, variable.name, variable.start) if variable.type in NUMBERS else None


def _starts(path: Path, variable: Any, size: int) -> tuple[float, ...]:  # noqa: ANN401 - fmpy is not typed
    """Start values of all elements; a single one is that of every element."""
    if variable.start is None or variable.type not in NUMBERS:
        return ()
    texts = variable.start.split()
    if len(texts) not in {1, size}:
        raise FmuError(
            f"{path}: modelDescription.xml: the array {variable.name} has {size} elements and {len(texts)} start"
            " values; expected as many, or one for all. Mend or export the FMU again."
        )
    numbers = [number_of(path, variable.name, text) or 0.0 for text in texts]
    return tuple(numbers if len(numbers) == size else numbers * size)
