"""How a model gets through time: by itself (co-simulation), or by a solver outside of it (model exchange).

Belongs here: the order of FMI's calls while time passes and when values change. Solving is ``solver``'s.
"""

import math
from collections.abc import Callable
from typing import Protocol

from twin_assets.simulation.calls import InstanceError
from twin_assets.simulation.dialect import Dialect
from twin_assets.simulation.messages import Setup
from twin_assets.simulation.solver import Solver, close

# More than any model needs at one time: it runs in circles.
MOST_ITERATIONS = 1000
DEFAULT_TOLERANCE = 1e-6


class Stepping(Protocol):
    """Passes time in a model; ``time`` is the simulated time, s."""

    time: float

    def begin(self, time: float) -> None:
        """The model has just been initialized at this time."""
        ...

    def resume(self, time: float, change: Callable[[], None]) -> None:
        """The model's state of that time has just been restored; make a change to its values."""
        ...

    def advance(self, seconds: float, *, final: bool) -> None:
        """Simulate so much further; ``final``: no state of before will be restored."""
        ...

    def glide(self, seconds: float, inputs: Callable[[float], None], *, final: bool) -> bool:
        """The same while inputs change continuously, set to what they are at a simulated time; False if it cannot."""
        ...


class CoSimulation:
    """The FMU brings its solver."""

    def __init__(self, fmu: Dialect) -> None:
        self._fmu = fmu
        self.time = 0.0

    def begin(self, time: float) -> None:
        """See Stepping."""
        self.time = time

    def resume(self, time: float, change: Callable[[], None]) -> None:
        """See Stepping."""
        self.time = time
        change()

    def advance(self, seconds: float, *, final: bool) -> None:
        """See Stepping."""
        try:
            self._fmu.do_step(self.time, seconds, final=final)
        except InstanceError as error:
            raise _at(self.time, error) from error
        self.time += seconds

    def glide(self, seconds: float, inputs: Callable[[float], None], *, final: bool) -> bool:  # noqa: ARG002 - Stepping
        """See Stepping: inputs stay as they are during a step."""
        return False


class ModelExchange:
    """FMPy's CVode integrates the FMU's continuous states; at events the FMU updates its discrete ones.

    Events come at times that the model told, where an event indicator crosses zero, and where the model asks for one
    after a step of the solver. Parameters and inputs are changed at an event of their own. After every event the
    solver starts anew, so that what it computes depends on nothing that ran before.

    Args:
        fmu: the model.
        tolerance: relative, of the solver.
        wants_completed_steps: the model is to be told of every step of the solver.
    """

    def __init__(self, fmu: Dialect, tolerance: float, *, wants_completed_steps: bool) -> None:
        self._fmu = fmu
        self._tolerance = tolerance
        self._wants_completed_steps = wants_completed_steps
        self._solver: Solver | None = None
        self._next_event = math.inf
        self.time = 0.0

    def begin(self, time: float) -> None:
        """See Stepping; FMI is in event mode after initialization."""
        self.time = time
        self._leave_event()

    def resume(self, time: float, change: Callable[[], None]) -> None:
        """See Stepping; states are kept in continuous-time mode."""
        self.time = time
        self._fmu.set_time(time)
        self._fmu.enter_event_mode()
        change()
        self._leave_event()

    def advance(self, seconds: float, *, final: bool) -> None:
        """See Stepping."""
        end, events = self.time + seconds, 0
        while not close(self.time, end):
            before = self.time
            if self._pass_time(min(end, self._next_event), final=final):
                self._fmu.enter_event_mode()
                self._leave_event()
                events = events + 1 if close(before, self.time) else 0
                if events > MOST_ITERATIONS:
                    raise InstanceError(f"there is no end of events at {self.time:g} simulated s", str(self._fmu.log))
        self.time = end

    def glide(self, seconds: float, inputs: Callable[[float], None], *, final: bool) -> bool:
        """See Stepping: the solver asks for the inputs wherever it looks; no event, and no new start, is needed."""
        self._solving().lead(inputs)
        try:
            self.advance(seconds, final=final)
        finally:
            self._solving().lead(None)
        inputs(self.time)
        return True

    def _pass_time(self, due: float, *, final: bool) -> bool:
        """One step of the solver, at most until then; whether an event has to follow."""
        event = False
        if due > self.time and not close(self.time, due):
            self.time, event = self._solving().step(due)
            if self._wants_completed_steps:
                asked, ends = self._fmu.completed_step(final=final)
                self._refuse_end(ends=ends)
                event = event or asked
        return event or self._next_event <= self.time or close(self.time, self._next_event)

    def _leave_event(self) -> None:
        """Update what is discrete until nothing changes, then let time pass again."""
        for _ in range(MOST_ITERATIONS):
            update = self._fmu.update_discrete_states()
            self._refuse_end(ends=update.ends)
            if not update.again:
                break
        else:
            raise InstanceError(f"the event at {self.time:g} simulated s does not come to an end", str(self._fmu.log))
        self._next_event = update.next_time
        self._fmu.enter_continuous_time_mode()
        self._solving().restart(self.time)

    def _solving(self) -> Solver:
        """The solver; it asks the model for its states when it is made, so not before there are any."""
        if self._solver is None:
            self._solver = Solver(self._fmu, self.time, self._tolerance)
        return self._solver

    def _refuse_end(self, *, ends: bool) -> None:
        if ends:
            error = InstanceError("the FMU asks to end the simulation", str(self._fmu.log))
            raise _at(self.time, error)


def stepping_of(setup: Setup, fmu: Dialect) -> Stepping:
    """What passes time in this FMU."""
    if setup.interface == "co_simulation":
        return CoSimulation(fmu)
    # The solver's noise has to stay below what counts as settled.
    tolerance = min(setup.tolerance or DEFAULT_TOLERANCE, setup.settle.tolerance)
    return ModelExchange(fmu, tolerance, wants_completed_steps=setup.wants_completed_steps)


def _at(time: float, error: InstanceError) -> InstanceError:
    return InstanceError(f"{error} at {time:g} simulated s", error.log)
