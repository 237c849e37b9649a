"""Numbers between an evaluation and an FMU: one vector of floats here, one array for each of FMI's types there.

An evaluation knows coefficients, inputs and outputs as vectors of floats. FMI takes and gives numbers of one type at
a time, with their value references, and an array (FMI 3.0) only whole. So variables are grouped once; where all are
scalar 64-bit floats, the usual case, telling or asking is one copy and one call.

A whole number, an enumeration's value and a Boolean are rounded from the float they come as (half to even; a Boolean
is true from 0.5): a measured condition may be a mean over its interval.
"""

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from twin_assets.simulation.calls import InstanceError
from twin_assets.simulation.settle import Floats
from twin_assets.simulation.variables import FmuVariable

TRUE_FROM = 0.5
Fixed = Mapping[tuple[int, int], float]
"""Values of array elements that are set together with others and stay: (reference, element) -> value."""


@dataclass(frozen=True)
class Numeric:
    """How FMI hands over numbers of one type.

    Attributes:
        suffix: of the functions, as in fmi2SetReal.
        ctype: of one number in memory.
        dtype: the same for NumPy.
    """

    suffix: str
    ctype: type[Any]
    dtype: DTypeLike


class Group:
    """Variables of one type: their references, and the memory that FMI functions read and write; made once.

    Args:
        numeric: their type.
        variables: with their positions in the whole vector.
        fixed: values of the arrays' other elements, where they are not the start values.
    """

    def __init__(self, numeric: Numeric, variables: Sequence[tuple[int, FmuVariable]], fixed: Fixed) -> None:
        self.numeric = numeric
        self._variables = [variable for _, variable in variables]
        self.columns = np.array([position for position, _ in variables], dtype=np.intp)
        first: dict[int, int] = {}
        memory: list[float] = []
        for variable in self._variables:
            if variable.reference not in first:
                first[variable.reference] = len(memory)
                memory.extend(_elements(variable, fixed))
        self.references = (ctypes.c_uint * len(first))(*first)
        self.values = np.array(memory, dtype=numeric.dtype)
        self.slots = np.array([first[v.reference] + v.element for v in self._variables], dtype=np.intp)
        self.pointer = self.values.ctypes.data_as(ctypes.POINTER(numeric.ctype))
        # Numbers are copied as they lie: no rounding, no picking.
        self.plain = self.values.dtype == np.float64 and np.array_equal(self.slots, np.arange(len(self.values)))

    def fill(self, values: Floats) -> None:
        """Write the variables' numbers into the memory, in their type; (whole vector,).

        Raises:
            InstanceError: if one is no number of that type; names the variable.
        """
        chosen = values[self.columns]
        if np.issubdtype(self.values.dtype, np.floating):
            self.values[self.slots] = chosen
        elif self.values.dtype == np.bool_ or self.numeric.suffix == "Boolean":
            self.values[self.slots] = chosen >= TRUE_FROM
        else:
            self.values[self.slots] = self._whole(chosen)

    def _whole(self, chosen: Floats) -> NDArray[Any]:
        limits = np.iinfo(self.values.dtype)
        rounded = np.rint(chosen)
        # 2.0**63 is a float, and no Int64; that of the largest Int64 is 2.0**63.
        fits = (rounded >= float(limits.min)) & (rounded < float(limits.max) + 1.0)
        if not fits.all():
            worst = int(np.flatnonzero(~fits)[0])
            variable = self._variables[worst]
            raise InstanceError(f"'{variable.name}' = {chosen[worst]:g} is no {variable.type}")
        return rounded.astype(self.values.dtype)


class Registers:
    """Variables of any types that are told or asked together.

    Args:
        types: FMI type -> how its numbers are handed over.
        variables: in the order of the vector.
        fixed: see ``Group``.
    """

    def __init__(
        self, types: Mapping[str, Numeric], variables: Sequence[FmuVariable], fixed: Fixed | None = None
    ) -> None:
        self.variables = tuple(variables)
        by_numeric: dict[Numeric, list[tuple[int, FmuVariable]]] = {}
        for position, variable in enumerate(variables):
            by_numeric.setdefault(types[variable.type], []).append((position, variable))
        self.groups = [Group(numeric, members, fixed or {}) for numeric, members in by_numeric.items()]
        self._plain = self.groups[0] if len(self.groups) == 1 and self.groups[0].plain else None

    def fill(self, values: Floats) -> None:
        """Write a vector into the groups' memory.

        Raises:
            InstanceError: see ``Group.fill``.
        """
        if self._plain is not None:
            self._plain.values[:] = values
            return
        for group in self.groups:
            group.fill(values)

    def read(self) -> Floats:
        """The vector that lies in the groups' memory, as floats of its own."""
        if self._plain is not None:
            return self._plain.values.copy()
        values = np.empty(len(self.variables))
        for group in self.groups:
            values[group.columns] = group.values[group.slots]
        return values


def fixed_elements(parameters: Sequence[tuple[FmuVariable, float]]) -> Fixed:
    """What ``parameters`` says about elements of arrays, some of which may be coefficients or inputs."""
    return {(variable.reference, variable.element): value for variable, value in parameters if variable.array}


def _elements(variable: FmuVariable, fixed: Fixed) -> Iterator[float]:
    """Start values of a variable's memory: its own, or its whole array's."""
    if variable.array is None:
        yield variable.start or 0.0
        return
    for element in range(variable.array.size):
        start = variable.array.starts[element] if variable.array.starts else 0.0
        yield fixed.get((variable.reference, element), start)
