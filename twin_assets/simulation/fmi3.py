"""FMI 3.0: the words of its C functions, both interfaces; see ``dialect``.

Co-simulation is used without event mode and without early return: what happens inside a step is the FMU's affair.
"""

import ctypes
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from twin_assets.simulation.calls import Calls, Log, loaded
from twin_assets.simulation.dialect import Pointer, Update
from twin_assets.simulation.messages import Setup
from twin_assets.simulation.registers import Group, Numeric

_WHOLE = ("Int8", "UInt8", "Int16", "UInt16", "Int32", "UInt32", "Int64", "UInt64")


class Fmi3:
    """An FMU of FMI 3.0.

    Raises:
        InstanceError: if the binary cannot be loaded.
    """

    types: Mapping[str, Numeric] = {
        "Float64": Numeric("Float64", ctypes.c_double, np.float64),
        "Float32": Numeric("Float32", ctypes.c_float, np.float32),
        **{name: Numeric(name, getattr(ctypes, f"c_{name.lower()}"), np.dtype(name.lower())) for name in _WHOLE},
        "Enumeration": Numeric("Int64", ctypes.c_int64, np.dtype("int64")),
        "Boolean": Numeric("Boolean", ctypes.c_bool, np.bool_),
    }

    def __init__(self, setup: Setup) -> None:
        from fmpy.fmi3 import FMU3Model, FMU3Slave

        self.log = Log()
        self._co_simulation = setup.interface == "co_simulation"
        # fmpy finds the library by itself: FMI 3.0 has one folder for each platform.
        self._fmu = loaded(
            FMU3Slave if self._co_simulation else FMU3Model,
            guid=setup.guid,
            modelIdentifier=setup.model_identifier,
            unzipDirectory=str(setup.folder),
        )
        self._call = Calls(self._fmu.dll, self.log)
        self._instance: Any = None

    def instantiate(self) -> None:
        """See Dialect."""

        def remember(_environment: object, _status: int, _category: bytes, message: bytes) -> None:
            self.log.add(message)

        try:
            self._fmu.instantiate(logMessage=remember)
        except Exception as error:  # fmpy raises a bare Exception where there is no instance
            name = "CoSimulation" if self._co_simulation else "ModelExchange"
            raise self._call.error(f"fmi3Instantiate{name} gave no instance") from error
        self._instance = self._fmu.component

    def free(self) -> None:
        """See Dialect."""
        self._fmu.dll.fmi3FreeInstance(self._instance)

    def reset(self) -> None:
        """See Dialect."""
        self._call("fmi3Reset", self._instance)

    def initialize(self, start_time: float, tolerance: float | None) -> None:
        """See Dialect."""
        known = tolerance is not None
        arguments = (known, tolerance or 0.0, start_time, False, 0.0)
        self._call("fmi3EnterInitializationMode", self._instance, *arguments)
        self._call("fmi3ExitInitializationMode", self._instance)

    def set(self, group: Group) -> None:
        """See Dialect."""
        self._hand_over("fmi3Set", group)

    def get(self, group: Group) -> None:
        """See Dialect."""
        self._hand_over("fmi3Get", group)

    def _hand_over(self, prefix: str, group: Group) -> None:
        counts = len(group.references), len(group.values)
        references, values = group.references, group.pointer
        self._call(prefix + group.numeric.suffix, self._instance, references, counts[0], values, counts[1])

    def keep(self) -> object:
        """See Dialect."""
        state = ctypes.c_void_p()
        self._call("fmi3GetFMUState", self._instance, ctypes.byref(state))
        return state

    def restore(self, state: object) -> None:
        """See Dialect."""
        self._call("fmi3SetFMUState", self._instance, state)

    def forget(self, state: Any) -> None:  # noqa: ANN401 - a ctypes handle
        """See Dialect."""
        self._call("fmi3FreeFMUState", self._instance, ctypes.byref(state))

    def to_bytes(self, state: object) -> bytes:
        """See Dialect."""
        size = ctypes.c_size_t()
        self._call("fmi3SerializedFMUStateSize", self._instance, state, ctypes.byref(size))
        memory = (ctypes.c_uint8 * size.value)()
        self._call("fmi3SerializeFMUState", self._instance, state, memory, size)
        return bytes(memory)

    def from_bytes(self, state: bytes) -> object:
        """See Dialect."""
        handle = ctypes.c_void_p()
        memory = (ctypes.c_uint8 * len(state)).from_buffer_copy(state)
        self._call("fmi3DeserializeFMUState", self._instance, memory, len(state), ctypes.byref(handle))
        return handle

    def do_step(self, time: float, seconds: float, *, final: bool) -> None:
        """See Dialect."""
        event, ends, early, reached = ctypes.c_bool(), ctypes.c_bool(), ctypes.c_bool(), ctypes.c_double()
        told = (ctypes.byref(event), ctypes.byref(ends), ctypes.byref(early), ctypes.byref(reached))
        self._call("fmi3DoStep", self._instance, time, seconds, final, *told)
        if ends.value:
            raise self._call.error("the FMU asks to end the simulation")
        if early.value:
            raise self._call.error(f"fmi3DoStep returned at {reached.value:g} simulated s, early without being allowed")

    def counts(self) -> tuple[int, int]:
        """See Dialect."""
        states, indicators = ctypes.c_size_t(), ctypes.c_size_t()
        self._call("fmi3GetNumberOfContinuousStates", self._instance, ctypes.byref(states))
        self._call("fmi3GetNumberOfEventIndicators", self._instance, ctypes.byref(indicators))
        return states.value, indicators.value

    def set_time(self, time: float) -> None:
        """See Dialect."""
        self._call("fmi3SetTime", self._instance, time)

    def set_states(self, states: Pointer, count: int) -> None:
        """See Dialect."""
        self._call("fmi3SetContinuousStates", self._instance, states, count)

    def get_states(self, states: Pointer, count: int) -> None:
        """See Dialect."""
        self._call("fmi3GetContinuousStates", self._instance, states, count)

    def get_nominals(self, nominals: Pointer, count: int) -> None:
        """See Dialect."""
        self._call("fmi3GetNominalsOfContinuousStates", self._instance, nominals, count)

    def get_derivatives(self, derivatives: Pointer, count: int) -> None:
        """See Dialect."""
        self._call("fmi3GetContinuousStateDerivatives", self._instance, derivatives, count)

    def get_indicators(self, indicators: Pointer, count: int) -> None:
        """See Dialect."""
        self._call("fmi3GetEventIndicators", self._instance, indicators, count)

    def enter_event_mode(self) -> None:
        """See Dialect."""
        self._call("fmi3EnterEventMode", self._instance)

    def update_discrete_states(self) -> Update:
        """See Dialect."""
        again, ends, nominals, states, known = (ctypes.c_bool() for _ in range(5))
        next_time = ctypes.c_double()
        told = (ctypes.byref(one) for one in (again, ends, nominals, states, known, next_time))
        self._call("fmi3UpdateDiscreteStates", self._instance, *told)
        return Update(again.value, ends.value, next_time.value if known.value else math.inf)

    def enter_continuous_time_mode(self) -> None:
        """See Dialect."""
        self._call("fmi3EnterContinuousTimeMode", self._instance)

    def completed_step(self, *, final: bool) -> tuple[bool, bool]:
        """See Dialect."""
        event, ends = ctypes.c_bool(), ctypes.c_bool()
        self._call("fmi3CompletedIntegratorStep", self._instance, final, ctypes.byref(event), ctypes.byref(ends))
        return event.value, ends.value
