"""FMPy's CVode (SUNDIALS) on an FMU's continuous states: one step at a time, never beyond what is due.

Hindmarsh, Brown, Grant, Lee, Serban, Shumaker, Woodward (2005), *SUNDIALS: suite of nonlinear and
differential/algebraic equation solvers*: backward differentiation formulas of variable order and step, with a search
for roots of the event indicators.

Belongs here: what FMPy's own loop leaves out. It steps past an event's time and interpolates back, tells the model of
communication points alone and not of the solver's steps, and goes on with what is left in memory where an FMU's
function fails inside the solver.
"""

import ctypes
import math
import sys
from collections.abc import Callable
from typing import Any

from twin_assets.simulation.calls import InstanceError
from twin_assets.simulation.dialect import Dialect, Pointer

ONE_STEP = 2
ROOT_FOUND = 2
UNRECOVERABLE = -1
ROUNDINGS = 16.0


def close(one: float, other: float) -> bool:
    """Whether two times are one: no solver can step between them."""
    return math.isclose(one, other, rel_tol=ROUNDINGS * sys.float_info.epsilon)


class Solver:
    """CVode on one model; a restart forgets all that was, so that what follows is the same to the bit.

    Args:
        fmu: the model, in continuous-time mode.
        time: where it stands, s.
        tolerance: relative; absolute is this times the states' nominal values.
    """

    def __init__(self, fmu: Dialect, time: float, tolerance: float) -> None:
        self._fmu = fmu
        self._states, indicators = fmu.counts()
        self._inputs = _Inputs()
        self._cvode = _cvode_class()(
            nx=self._states,
            nz=indicators,
            get_x=fmu.get_states,
            set_x=fmu.set_states,
            get_dx=fmu.get_derivatives,
            get_z=fmu.get_indicators,
            get_nominals=self._positive_nominals,
            set_time=fmu.set_time,
            input=self._inputs,
            startTime=time,
            relativeTolerance=tolerance,
        )
        self._step, self._set_stop_time = _functions()

    def restart(self, time: float) -> None:
        """Begin anew from the model's states at this time."""
        self._cvode.reset(time)

    def lead(self, inputs: Callable[[float], None] | None) -> None:
        """From now on inputs are set to what they are at a time (s), wherever it looks at the model; None: not."""
        self._inputs.apply = inputs or _nothing

    def step(self, end: float) -> tuple[float, bool]:
        """One step of the solver's own length, at most to the end; the model stands there then.

        Returns:
            The time reached, s, and whether an event indicator crosses zero there.

        Raises:
            InstanceError: if the model fails, or CVode gives up.
        """
        cvode, reached = self._cvode, ctypes.c_double()
        cvode.failure = None
        self._set_stop_time(cvode.cvode_mem, end)
        flag = self._step(cvode.cvode_mem, end, cvode.x, ctypes.byref(reached), ONE_STEP)
        if flag < 0:
            raise self._given_up(reached.value)
        self._fmu.set_time(reached.value)
        if self._states:
            self._fmu.set_states(cvode.px, self._states)
        self._inputs.apply(reached.value)
        return reached.value, flag == ROOT_FOUND

    def _given_up(self, time: float) -> InstanceError:
        failure: InstanceError | None = self._cvode.failure
        if failure is not None:
            return InstanceError(f"{failure} after {time:g} simulated s", failure.log)
        _, _, _, message = self._cvode.error_info or (0, "", "", "for no reason that it names")
        return InstanceError(f"CVode gave up after {time:g} simulated s: {message}", str(self._fmu.log))

    def _positive_nominals(self, nominals: Pointer, count: int) -> None:
        """Nominal values, of which some exporters leave zeros: the absolute tolerance would be zero."""
        self._fmu.get_nominals(nominals, count)
        for index in range(count):
            nominals[index] = abs(nominals[index]) or 1.0


class _Inputs:
    """What sets inputs that change with time, between events; ``apply`` is fmpy's name for it."""

    def __init__(self) -> None:
        self.apply: Callable[[float], None] = _nothing


def _nothing(_time: float) -> None:
    """They stay as they are."""


def _cvode_class() -> Any:  # noqa: ANN401 - fmpy is not typed
    from fmpy.sundials import CVodeSolver

    class Cvode(CVodeSolver):  # type: ignore[misc]  # fmpy is not typed
        """fmpy's CVode, which hears of it when the model fails: an exception cannot pass through C."""

        failure: InstanceError | None = None

        def f(self, t: float, y: object, ydot: object, user_data: object) -> int:
            """Right-hand side."""
            return self._heard(self._led, t, y, ydot, user_data)

        def g(self, t: float, y: object, gout: object, user_data: object) -> int:
            """Root function."""
            return self._heard(super().g, t, y, gout, user_data)

        def _led(self, t: float, y: object, ydot: object, user_data: object) -> int:
            self.input.apply(t)
            return int(super().f(t, y, ydot, user_data))

        def _heard(self, function: Any, *arguments: object) -> int:  # noqa: ANN401 - as above
            try:
                return int(function(*arguments))
            except InstanceError as error:
                self.failure = error
                return UNRECOVERABLE

    return Cvode


def _functions() -> tuple[Any, Any]:
    """CVode, and CVodeSetStopTime, which fmpy does not wrap."""
    from fmpy.sundials import CVode
    from fmpy.sundials.libraries import sundials_cvode

    set_stop_time = sundials_cvode.CVodeSetStopTime
    set_stop_time.argtypes = [ctypes.c_void_p, ctypes.c_double]
    set_stop_time.restype = ctypes.c_int
    return CVode, set_stop_time
