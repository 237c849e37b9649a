"""One loaded FMU and its evaluation as a pure function; lives in a worker process, never in the caller's.

An evaluation starts from a place that depends on nothing that ran before. Where the FMU can keep its state and all
coefficients are tunable, an anchor (the first row of a batch) starts from the settled state of a reference, and the
other rows from the anchor's: rolled back, set, settled. Near the anchor the transient is small and a few times cheaper.
Otherwise the FMU is reset and initialized anew, with every start value set again (a reset forgets them).
"""

import ctypes
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from twin_assets.simulation.description import FmuVariable
from twin_assets.simulation.messages import SerializedState, Setup
from twin_assets.simulation.settle import Floats, Settled, SettleError, settle

STATUS = ("ok", "warning", "discard", "error", "fatal", "pending")
LOG_LINES = 12


class InstanceError(Exception):
    """The FMU refused, failed or did not settle; the text says where, ``log`` what the FMU had to say."""

    def __init__(self, reason: str, log: str = "") -> None:
        super().__init__(reason)
        self.log = log


class Instance:
    """A loaded FMU, standing where evaluations start.

    Raises:
        InstanceError: if it cannot be loaded, initialized or settled at the reference.
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._fmu = _load(setup)
        self._callbacks = _callbacks(self._log)
        self._registers = _Registers(setup)
        self._can_reset = True
        self._time = setup.start_time
        self._reference: _Place | None = None
        self._anchor: _Place | None = None
        self._instantiate()
        if setup.restart == "rollback":
            self._reference = self._reach_reference()

    def evaluate_anchor(self, coefficients: Floats, inputs: Floats) -> Settled:
        """As ``evaluate``, from the reference; ``evaluate`` starts from here then."""
        settled = self._evaluate(self._reference, coefficients, inputs)
        if self._reference is not None:
            if self._anchor is not None:
                self._call("freeFMUstate", self._anchor.state)
            self._anchor = self._here()
        return settled

    def evaluate(self, coefficients: Floats, inputs: Floats) -> Settled:
        """The settled outputs (m,) of coefficients (n,) under inputs (p,), from the anchor if there is one.

        Raises:
            InstanceError: if the FMU refuses a value, fails, or does not settle; the instance is then of no use.
        """
        return self._evaluate(self._anchor or self._reference, coefficients, inputs)

    def serialize(self) -> SerializedState:
        """The reference's settled state as bytes."""
        if self._reference is None:
            raise InstanceError("there is no state to serialize")
        return SerializedState(self._call("serializeFMUstate", self._reference.state), self._reference.time)

    def close(self) -> None:
        """Free the instance."""
        self._fmu.fmi2FreeInstance(self._fmu.component)

    def _instantiate(self) -> None:
        self._call("instantiate", callbacks=self._callbacks)

    def _evaluate(self, start: "_Place | None", coefficients: Floats, inputs: Floats) -> Settled:
        self._log.clear()
        values = np.concatenate([coefficients, inputs])
        if start is None:
            self._reset()
            self._initialize(values)
        else:
            self._call("setFMUstate", start.state)
            self._time = start.time
            self._set(values)
        return self._settle()

    def _reach_reference(self) -> "_Place | None":
        """Settle at the reference, or take over the state in which another process did.

        None where the FMU claims to keep its state, and then does not: it is reset between evaluations.
        """
        self._initialize(np.array(self._setup.reference))
        serialized = self._setup.serialized
        if serialized is not None:
            return _Place(self._call("deSerializeFMUstate", serialized.state), serialized.time)
        self._settle()
        try:
            return self._here()
        except InstanceError:
            return None

    def _here(self) -> "_Place":
        return _Place(self._call("getFMUstate"), self._time)

    def _reset(self) -> None:
        """As after instantiation; where the FMU cannot reset, by a new instance."""
        if self._can_reset:
            try:
                self._call("reset")
            except InstanceError:
                self._can_reset = False
        if not self._can_reset:
            self.close()
            self._instantiate()

    def _initialize(self, values: Floats) -> None:
        for variable, value in self._setup.parameters:
            self._set_parameter(variable, value)
        self._set(values)
        self._call("setupExperiment", tolerance=self._setup.tolerance, startTime=self._setup.start_time)
        self._call("enterInitializationMode")
        self._call("exitInitializationMode")
        self._time = self._setup.start_time

    def _set_parameter(self, variable: FmuVariable, value: float) -> None:
        number = {"Real": float, "Boolean": bool}.get(variable.type, int)(value)
        kind = {"Real": "Real", "Boolean": "Boolean"}.get(variable.type, "Integer")
        try:
            self._call(f"set{kind}", [variable.reference], [number])
        except InstanceError as error:
            raise InstanceError(
                f"the parameter '{variable.name}' = {value:g} was refused: {error}", error.log
            ) from error

    def _set(self, values: Floats) -> None:
        """Set all coefficients and inputs, (n + p,), at once; which one was refused is found out only then."""
        registers = self._registers
        registers.set_values[:] = values
        component = self._fmu.component
        try:
            self._call("fmi2SetReal", component, registers.set_references, len(values), registers.set_pointer)
        except InstanceError as error:
            raise self._refused(values, error) from error

    def _refused(self, values: Floats, error: InstanceError) -> InstanceError:
        for variable, value in zip((*self._setup.coefficients, *self._setup.inputs), values.tolist(), strict=True):
            try:
                self._call("setReal", [variable.reference], [value])
            except InstanceError as single:
                return InstanceError(f"'{variable.name}' = {value:g} was refused: {single}", single.log)
        return error

    def _settle(self) -> Settled:
        setup = self._setup
        names = [variable.name for variable in setup.outputs]
        quantum_s = None if setup.can_vary_step else setup.settle.step_s
        try:
            return settle(self._advance, names, self._registers.nominal, setup.settle, quantum_s)
        except SettleError as error:
            raise InstanceError(str(error), " ".join(self._log)) from error

    def _advance(self, seconds: float) -> Floats:
        """Simulate so much further, in equal steps of ``step_s`` where the FMU wants that; the outputs (m,) then."""
        steps = 1 if self._setup.can_vary_step else round(seconds / self._setup.settle.step_s)
        for _ in range(steps):
            # The state before this step will be restored, so the FMU must not drop it.
            self._call("doStep", self._time, seconds / steps, self._reference is None)
            self._time += seconds / steps
        registers = self._registers
        count = len(registers.get_values)
        self._call("fmi2GetReal", self._fmu.component, registers.get_references, count, registers.get_pointer)
        return registers.get_values.copy()

    def _call(self, function: str, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - FMI functions differ
        from fmpy.fmi1 import FMICallException

        try:
            return getattr(self._fmu, function)(*arguments, **options)
        except FMICallException as error:
            status = STATUS[error.status] if error.status < len(STATUS) else str(error.status)
            when = f" at {self._time:g} simulated s" if function == "doStep" else ""
            raise InstanceError(f"{error.function} answered '{status}'{when}", " ".join(self._log)) from error
        except Exception as error:
            # fmpy raises a bare Exception where instantiation returns no instance.
            if function != "instantiate":
                raise
            raise InstanceError("fmi2Instantiate gave no instance", " ".join(self._log)) from error


@dataclass(frozen=True)
class _Place:
    """A kept FMU state, and the simulated time (s) that it belongs to."""

    state: Any
    time: float


class _Registers:
    """Value references, and arrays whose memory FMI functions read and write, made once."""

    def __init__(self, setup: Setup) -> None:
        self.set_references = _references((*setup.coefficients, *setup.inputs))
        self.get_references = _references(setup.outputs)
        self.set_values: Floats = np.zeros(len(self.set_references))
        self.get_values: Floats = np.zeros(len(self.get_references))
        self.set_pointer = self.set_values.ctypes.data_as(ctypes.POINTER(ctypes.c_double))
        self.get_pointer = self.get_values.ctypes.data_as(ctypes.POINTER(ctypes.c_double))
        self.nominal: Floats = np.array([abs(variable.nominal or 1.0) for variable in setup.outputs])


def _references(variables: Sequence[FmuVariable]) -> ctypes.Array[ctypes.c_uint]:
    return (ctypes.c_uint * len(variables))(*(variable.reference for variable in variables))


def _load(setup: Setup) -> Any:  # noqa: ANN401 - fmpy is not typed
    from fmpy.fmi2 import FMU2Slave

    try:
        return FMU2Slave(
            guid=setup.guid,
            modelIdentifier=setup.model_identifier,
            unzipDirectory=str(setup.folder),
            libraryPath=str(setup.library),
            instanceName="twin",
        )
    except Exception as error:  # fmpy raises bare exceptions
        raise InstanceError(f"the binary cannot be loaded: {error}") from error


def _callbacks(log: deque[str]) -> Any:  # noqa: ANN401 - as above
    """FMI callbacks that collect what the FMU has to say, instead of printing it."""
    from fmpy import calloc, fmi2, free

    def remember(_environment: object, _name: bytes, _status: int, _category: bytes, message: bytes) -> None:
        log.append((message or b"").decode("utf-8", "replace").strip())

    callbacks = fmi2.fmi2CallbackFunctions()
    callbacks.logger = fmi2.fmi2CallbackLoggerTYPE(remember)
    callbacks.allocateMemory = fmi2.fmi2CallbackAllocateMemoryTYPE(calloc)
    callbacks.freeMemory = fmi2.fmi2CallbackFreeMemoryTYPE(free)
    # The proxy fills in the message's C varargs, which ctypes cannot pass on; it does not exist on every platform.
    proxy = getattr(fmi2, "addLoggerProxy", None)
    if proxy is not None:
        proxy(ctypes.byref(callbacks))
    return callbacks
