"""FMI 2.0: the words of its C functions, both interfaces; see ``dialect``."""

import ctypes
import math
import threading
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from twin_assets.simulation.calls import Calls, Log, loaded
from twin_assets.simulation.dialect import Pointer, Update
from twin_assets.simulation.messages import Setup
from twin_assets.simulation.registers import Group, Numeric

_REAL = Numeric("Real", ctypes.c_double, np.float64)
_INTEGER = Numeric("Integer", ctypes.c_int, np.intc)
_BOOLEAN = Numeric("Boolean", ctypes.c_int, np.intc)

# Each thread's FMU keeps what it says in a log of its own.
_SPEAKING = threading.local()


class Fmi2:
    """An FMU of FMI 2.0.

    Raises:
        InstanceError: if the binary cannot be loaded.
    """

    types: Mapping[str, Numeric] = {
        "Real": _REAL,
        "Integer": _INTEGER,
        "Enumeration": _INTEGER,
        "Boolean": _BOOLEAN,
    }

    def __init__(self, setup: Setup) -> None:
        from fmpy.fmi2 import FMU2Model, FMU2Slave

        self.log = Log()
        self._setup = setup
        self._fmu = loaded(
            FMU2Slave if setup.interface == "co_simulation" else FMU2Model,
            guid=setup.guid,
            modelIdentifier=setup.model_identifier,
            unzipDirectory=str(setup.folder),
            libraryPath=str(setup.library),
        )
        self._call = Calls(self._fmu.dll, self.log)
        self._callbacks = _callbacks()
        # An instance is made and used in one thread.
        _SPEAKING.log = self.log
        self._component: Any = None

    def instantiate(self) -> None:
        """See Dialect."""
        try:
            self._fmu.instantiate(callbacks=self._callbacks)
        except Exception as error:  # fmpy raises a bare Exception where there is no instance
            raise self._call.error("fmi2Instantiate gave no instance") from error
        self._component = self._fmu.component

    def free(self) -> None:
        """See Dialect."""
        self._fmu.dll.fmi2FreeInstance(self._component)

    def reset(self) -> None:
        """See Dialect."""
        self._call("fmi2Reset", self._component)

    def initialize(self, start_time: float, tolerance: float | None) -> None:
        """See Dialect."""
        known = tolerance is not None
        self._call("fmi2SetupExperiment", self._component, known, tolerance or 0.0, start_time, False, 0.0)  # noqa: FBT003 - C
        self._call("fmi2EnterInitializationMode", self._component)
        self._call("fmi2ExitInitializationMode", self._component)

    def set(self, group: Group) -> None:
        """See Dialect."""
        function = "fmi2Set" + group.numeric.suffix
        self._call(function, self._component, group.references, len(group.references), group.pointer)

    def get(self, group: Group) -> None:
        """See Dialect."""
        function = "fmi2Get" + group.numeric.suffix
        self._call(function, self._component, group.references, len(group.references), group.pointer)

    def keep(self) -> object:
        """See Dialect."""
        state = ctypes.c_void_p()
        self._call("fmi2GetFMUstate", self._component, ctypes.byref(state))
        return state

    def restore(self, state: object) -> None:
        """See Dialect."""
        self._call("fmi2SetFMUstate", self._component, state)

    def forget(self, state: Any) -> None:  # noqa: ANN401 - a ctypes handle
        """See Dialect."""
        self._call("fmi2FreeFMUstate", self._component, ctypes.byref(state))

    def to_bytes(self, state: object) -> bytes:
        """See Dialect."""
        size = ctypes.c_size_t()
        self._call("fmi2SerializedFMUstateSize", self._component, state, ctypes.byref(size))
        memory = ctypes.create_string_buffer(size.value)
        self._call("fmi2SerializeFMUstate", self._component, state, memory, size)
        return memory.raw

    def from_bytes(self, state: bytes) -> object:
        """See Dialect."""
        handle = ctypes.c_void_p()
        memory = ctypes.create_string_buffer(state, len(state))
        self._call("fmi2DeSerializeFMUstate", self._component, memory, len(state), ctypes.byref(handle))
        return handle

    def do_step(self, time: float, seconds: float, *, final: bool) -> None:
        """See Dialect."""
        self._call("fmi2DoStep", self._component, time, seconds, final)

    def counts(self) -> tuple[int, int]:
        """See Dialect."""
        return self._setup.continuous_states, self._setup.event_indicators

    def set_time(self, time: float) -> None:
        """See Dialect."""
        self._call("fmi2SetTime", self._component, time)

    def set_states(self, states: Pointer, count: int) -> None:
        """See Dialect."""
        self._call("fmi2SetContinuousStates", self._component, states, count)

    def get_states(self, states: Pointer, count: int) -> None:
        """See Dialect."""
        self._call("fmi2GetContinuousStates", self._component, states, count)

    def get_nominals(self, nominals: Pointer, count: int) -> None:
        """See Dialect."""
        self._call("fmi2GetNominalsOfContinuousStates", self._component, nominals, count)

    def get_derivatives(self, derivatives: Pointer, count: int) -> None:
        """See Dialect."""
        self._call("fmi2GetDerivatives", self._component, derivatives, count)

    def get_indicators(self, indicators: Pointer, count: int) -> None:
        """See Dialect."""
        self._call("fmi2GetEventIndicators", self._component, indicators, count)

    def enter_event_mode(self) -> None:
        """See Dialect."""
        self._call("fmi2EnterEventMode", self._component)

    def update_discrete_states(self) -> Update:
        """See Dialect."""
        from fmpy.fmi2 import fmi2EventInfo

        told = fmi2EventInfo()
        self._call("fmi2NewDiscreteStates", self._component, ctypes.byref(told))
        next_time = told.nextEventTime if told.nextEventTimeDefined else math.inf
        return Update(bool(told.newDiscreteStatesNeeded), bool(told.terminateSimulation), next_time)

    def enter_continuous_time_mode(self) -> None:
        """See Dialect."""
        self._call("fmi2EnterContinuousTimeMode", self._component)

    def completed_step(self, *, final: bool) -> tuple[bool, bool]:
        """See Dialect."""
        event, ends = ctypes.c_int(), ctypes.c_int()
        told = (ctypes.byref(event), ctypes.byref(ends))
        self._call("fmi2CompletedIntegratorStep", self._component, final, *told)
        return bool(event.value), bool(ends.value)


@cache
def _callbacks() -> Any:  # noqa: ANN401 - fmpy is not typed
    """FMI callbacks that collect what the FMU has to say, instead of printing it: one set for all FMUs of a process.

    FMPy's proxy keeps a single pointer to the logger. With a logger for each FMU, one in another thread would call
    that of an FMU that is gone, and take the process with it; so the logger lives as long, and looks up who speaks.
    """
    from fmpy import calloc, fmi2, free

    def remember(_environment: object, _name: bytes, _status: int, _category: bytes, message: bytes) -> None:
        log: Log | None = getattr(_SPEAKING, "log", None)
        if log is not None:
            log.add(message)

    callbacks = fmi2.fmi2CallbackFunctions()
    callbacks.logger = fmi2.fmi2CallbackLoggerTYPE(remember)
    callbacks.allocateMemory = fmi2.fmi2CallbackAllocateMemoryTYPE(calloc)
    callbacks.freeMemory = fmi2.fmi2CallbackFreeMemoryTYPE(free)
    # The proxy fills in the message's C varargs, which ctypes cannot pass on; it does not exist on every platform.
    proxy = getattr(fmi2, "addLoggerProxy", None)
    if proxy is not None:
        proxy(ctypes.byref(callbacks))
    return callbacks
