"""What every FMI version lets an importer do, under one name each; ``fmi2`` and ``fmi3`` say it in their own words.

Belongs here: the Protocol. When which of it is done is the same for all versions: ``stepping`` knows how a model gets
through time, ``instance`` how an evaluation comes back to its start.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from twin_assets.simulation.calls import Log
from twin_assets.simulation.registers import Group, Numeric

Pointer = Any
"""A ctypes pointer to 64-bit floats."""


@dataclass(frozen=True)
class Update:
    """What a model says when its discrete states were brought up to date.

    Attributes:
        again: they have to be updated once more, at the same time.
        ends: the model asks to end the simulation.
        next_time: of the next event that is known beforehand, s; infinite if none is.
    """

    again: bool
    ends: bool
    next_time: float


class Dialect(Protocol):
    """One instance of an FMU; every method raises InstanceError if the FMU refuses or fails."""

    log: Log
    types: Mapping[str, Numeric]

    def instantiate(self) -> None:
        """Make the instance."""
        ...

    def free(self) -> None:
        """Free the instance."""
        ...

    def reset(self) -> None:
        """Bring the instance back to how it was made; it forgets all that was set."""
        ...

    def initialize(self, start_time: float, tolerance: float | None) -> None:
        """Compute the initial values from what was set."""
        ...

    def set(self, group: Group) -> None:
        """Pass on the numbers in a group's memory."""
        ...

    def get(self, group: Group) -> None:
        """Fetch numbers into a group's memory."""
        ...

    def keep(self) -> object:
        """A handle of the instance's whole state."""
        ...

    def restore(self, state: object) -> None:
        """Bring back a kept state."""
        ...

    def forget(self, state: object) -> None:
        """Free a kept state."""
        ...

    def to_bytes(self, state: object) -> bytes:
        """A kept state as bytes."""
        ...

    def from_bytes(self, state: bytes) -> object:
        """A kept state from bytes, also another process's."""
        ...

    def do_step(self, time: float, seconds: float, *, final: bool) -> None:
        """Co-simulation: simulate so much further; ``final``: no state of before this step will be restored."""
        ...

    def counts(self) -> tuple[int, int]:
        """Model exchange: how many continuous states and how many event indicators there are."""
        ...

    def set_time(self, time: float) -> None:
        """Model exchange: tell the time."""
        ...

    def set_states(self, states: Pointer, count: int) -> None:
        """Model exchange: tell the continuous states."""
        ...

    def get_states(self, states: Pointer, count: int) -> None:
        """Model exchange: ask for the continuous states."""
        ...

    def get_nominals(self, nominals: Pointer, count: int) -> None:
        """Model exchange: ask for the states' typical magnitudes."""
        ...

    def get_derivatives(self, derivatives: Pointer, count: int) -> None:
        """Model exchange: ask for the derivatives of the states."""
        ...

    def get_indicators(self, indicators: Pointer, count: int) -> None:
        """Model exchange: ask for the event indicators."""
        ...

    def enter_event_mode(self) -> None:
        """Model exchange: from now on, what is discrete may change."""
        ...

    def update_discrete_states(self) -> Update:
        """Model exchange: one iteration over what is discrete."""
        ...

    def enter_continuous_time_mode(self) -> None:
        """Model exchange: from now on, time may pass."""
        ...

    def completed_step(self, *, final: bool) -> tuple[bool, bool]:
        """Model exchange: tell of a solver's step; whether an event is to follow, and whether the simulation ends."""
        ...
