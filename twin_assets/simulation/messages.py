"""What the process of a model and its worker processes say to each other: plain values, pickled through pipes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from twin_assets.model import InputPath
from twin_assets.simulation.description import FmuVariable, Interface
from twin_assets.simulation.settle import Floats, SettleSettings

Restart = Literal["rollback", "reset"]


@dataclass(frozen=True)
class Setup:
    """All that a worker has to know of an FMU, said once.

    Attributes:
        folder: where the FMU is extracted.
        library: its binary.
        model_identifier: from the model description.
        guid: from the model description.
        coefficients: the n inferred variables.
        inputs: the p operating conditions.
        outputs: the m predicted variables.
        parameters: other variables, set before every initialization.
        reference: (n + p,) coefficients and inputs of the reference state.
        settle: how to settle.
        start_time: of the simulation, s.
        tolerance: of the FMU's solver, None for its own choice.
        can_vary_step: whether communication steps may differ.
        restart: what stands between two evaluations.
        serialized: state to start from instead of the reference's own settled state.
        fmi_version: "2.0" or "3.0".
        interface: what the FMU is run by.
        continuous_states: of a model that is to be integrated (FMI 2.0; later ones are asked).
        event_indicators: of such a model.
        wants_completed_steps: such a model is to be told of every step of the solver.
        follow_step_s: longest communication step along a path, simulated seconds.
        most_reads: how often along a path the outputs may be asked for.
    """

    folder: Path
    library: Path
    model_identifier: str
    guid: str
    coefficients: tuple[FmuVariable, ...]
    inputs: tuple[FmuVariable, ...]
    outputs: tuple[FmuVariable, ...]
    parameters: tuple[tuple[FmuVariable, float], ...]
    reference: tuple[float, ...]
    settle: SettleSettings
    start_time: float
    tolerance: float | None
    can_vary_step: bool
    restart: Restart
    serialized: "SerializedState | None" = None
    fmi_version: str = "2.0"
    interface: Interface = "co_simulation"
    continuous_states: int = 0
    event_indicators: int = 0
    wants_completed_steps: bool = False
    follow_step_s: float = 1.0
    most_reads: int = 1

    @property
    def answer_size(self) -> int:
        """How many numbers one answer has at most: all outputs, as often as they may be asked for."""
        return len(self.outputs) * self.most_reads

    def named(self, coefficients: Floats) -> Mapping[str, float]:
        """Coefficient values (n,) with their names."""
        names = (variable.name for variable in self.coefficients)
        return dict(zip(names, coefficients.tolist(), strict=True))


@dataclass(frozen=True)
class SerializedState:
    """An FMU's state as bytes, and the simulated time (s) that it belongs to."""

    state: bytes
    time: float


@dataclass(frozen=True)
class Hello:
    """To a worker, first: what it has to know, the file of the board that it answers on, whose process it serves."""

    setup: Setup
    board: Path
    parent: int


@dataclass(frozen=True)
class Batch:
    """To a worker: evaluate rows (k, n) under inputs (p,), write each answer to the board, then say ``Done``.

    If ``anchored``, the first row starts from the reference, and those that follow, also in later batches, from there.
    With a ``path``, whose first inputs are then ``inputs``, a row's answer is what it says along that.
    """

    rows: Floats
    inputs: Floats
    anchored: bool = False
    path: InputPath | None = None


@dataclass(frozen=True)
class Serialize:
    """To a worker: answer with the reference's settled state as ``SerializedState``."""


@dataclass(frozen=True)
class Stop:
    """To a worker: free the FMU and end."""


@dataclass(frozen=True)
class Ready:
    """From a worker: the FMU is loaded and stands where evaluations start.

    Attributes:
        resident_mb: memory that the worker takes, megabytes; None where nobody tells.
    """

    resident_mb: float | None


@dataclass(frozen=True)
class Done:
    """From a worker: all rows of a batch are on the board; its memory is as in ``Ready``."""

    resident_mb: float | None


@dataclass(frozen=True)
class Failure:
    """From a worker, or about one: why there is no answer. ``log`` holds what the FMU said."""

    reason: str
    log: str = ""

    def __str__(self) -> str:
        return f"{self.reason}. The FMU says: {self.log}" if self.log else self.reason
