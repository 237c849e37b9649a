"""One loaded FMU and its evaluation as a pure function; lives in a worker process, never in the caller's.

An evaluation starts from a place that depends on nothing that ran before. Where the FMU can keep its state and all
coefficients are tunable, an anchor (the first row of a batch) starts from the settled state of a reference, and the
other rows from the anchor's: rolled back, set, settled. Near the anchor the transient is small and a few times cheaper.
Otherwise the FMU is reset and initialized anew, with every start value set again (a reset forgets them).

Nothing here depends on the FMI version or interface: the words are a ``dialect``'s, passing time is ``stepping``'s.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from twin_assets.model import InputPath
from twin_assets.simulation.calls import InstanceError
from twin_assets.simulation.dialect import Dialect
from twin_assets.simulation.fmi2 import Fmi2
from twin_assets.simulation.fmi3 import Fmi3
from twin_assets.simulation.messages import SerializedState, Setup
from twin_assets.simulation.registers import Fixed, Registers, fixed_elements
from twin_assets.simulation.settle import Floats, Settled, SettleError, settle
from twin_assets.simulation.stepping import stepping_of
from twin_assets.simulation.trajectory import walk
from twin_assets.simulation.variables import FmuVariable

__all__ = ["Instance", "InstanceError"]


class Instance:
    """A loaded FMU, standing where evaluations start.

    Raises:
        InstanceError: if it cannot be loaded, initialized or settled at the reference.
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._fmu: Dialect = Fmi2(setup) if setup.fmi_version == "2.0" else Fmi3(setup)
        self._stepping = stepping_of(setup, self._fmu)
        self._fixed = fixed_elements(setup.parameters)
        self._parameters = self._registers([variable for variable, _ in setup.parameters])
        self._changing = self._registers((*setup.coefficients, *setup.inputs), self._fixed)
        self._outputs = self._registers(setup.outputs)
        self._moving = [i for i, variable in enumerate(setup.inputs) if variable.tunable]
        self._told = self._registers([setup.inputs[i] for i in self._moving], self._fixed)
        self._names = [variable.name for variable in setup.outputs]
        self._nominal: Floats = np.array([abs(variable.nominal or 1.0) for variable in setup.outputs])
        self._can_reset = True
        self._reference: _Place | None = None
        self._anchor: _Place | None = None
        self._fmu.instantiate()
        if setup.restart == "rollback":
            self._reference = self._reach_reference()

    def evaluate_anchor(self, coefficients: Floats, inputs: Floats) -> Settled:
        """As ``evaluate``, from the reference; ``evaluate`` starts from here then."""
        settled = self._evaluate(self._reference, coefficients, inputs)
        if self._reference is not None:
            if self._anchor is not None:
                self._fmu.forget(self._anchor.state)
            self._anchor = self._here()
        return settled

    def evaluate(self, coefficients: Floats, inputs: Floats) -> Settled:
        """The settled outputs (m,) of coefficients (n,) under inputs (p,), from the anchor if there is one.

        Raises:
            InstanceError: if the FMU refuses a value, fails, or does not settle; the instance is then of no use.
        """
        return self._evaluate(self._anchor or self._reference, coefficients, inputs)

    def follow(self, path: InputPath, tell: Callable[[Floats], None]) -> Floats:
        """(t, m) outputs along a path, on from where an evaluation under its first inputs has just ended.

        Args:
            path: of the inputs.
            tell: is told the outputs (m,) of each time as soon as they are known, so also before a failure.

        Raises:
            InstanceError: if the FMU refuses a value or fails, or an output is not finite.
        """
        setup = self._setup
        longest, fixed = setup.follow_step_s, not setup.can_vary_step
        if fixed:
            longest = setup.settle.step_s / setup.settle.sub_steps(setup.settle.step_s, can_vary_step=False)
            apart = float(np.median(np.diff(path.times_s)))
            if apart < longest / 2.0:
                raise InstanceError(
                    f"this FMU wants equal communication steps, which are {longest:g} s; observations and inputs are"
                    f" {apart:g} s apart. Expected model.follow_step_s no longer than that"
                )
        due = iter(path.times_s[path.read].tolist())

        def read() -> Floats:
            outputs, after_s = self._read(), next(due)
            for output in np.flatnonzero(~np.isfinite(outputs))[:1].tolist():
                message = f"'{self._names[output]}' became {outputs[output]} after {after_s:g} s of the recent past"
                raise InstanceError(message, str(self._fmu.log))
            tell(outputs)
            return outputs

        # Whatever the solver still knows of settling is forgotten.
        self._stand(path.inputs[0])
        return walk(path, longest, self._stand, self._pass, read, fixed=fixed, glide=self._gliding())

    def filled(self, outputs: Floats) -> Floats:
        """An answer with as many numbers as all answers have; NaN where there are no more outputs."""
        missing = self._setup.answer_size - outputs.size
        return np.concatenate([outputs, np.full(missing, np.nan)]) if missing else outputs

    def serialize(self) -> SerializedState:
        """The reference's settled state as bytes."""
        if self._reference is None:
            raise InstanceError("there is no state to serialize")
        return SerializedState(self._fmu.to_bytes(self._reference.state), self._reference.time)

    def close(self) -> None:
        """Free the instance."""
        self._fmu.free()

    def _registers(self, variables: Sequence[FmuVariable], fixed: Fixed | None = None) -> Registers:
        return Registers(self._fmu.types, variables, fixed)

    def _evaluate(self, start: "_Place | None", coefficients: Floats, inputs: Floats) -> Settled:
        self._fmu.log.clear()
        values = np.concatenate([coefficients, inputs])
        if start is None:
            self._reset()
            self._initialize(values)
        else:
            self._fmu.restore(start.state)
            self._stepping.resume(start.time, partial(self._set, values))
        return self._settle()

    def _reach_reference(self) -> "_Place | None":
        """Settle at the reference, or take over the state in which another process did.

        None where the FMU claims to keep its state, and then does not: it is reset between evaluations.
        """
        self._initialize(np.array(self._setup.reference))
        serialized = self._setup.serialized
        if serialized is not None:
            return _Place(self._fmu.from_bytes(serialized.state), serialized.time)
        self._settle()
        try:
            return self._here()
        except InstanceError:
            return None

    def _here(self) -> "_Place":
        return _Place(self._fmu.keep(), self._stepping.time)

    def _reset(self) -> None:
        """As after instantiation; where the FMU cannot reset, by a new instance."""
        if self._can_reset:
            try:
                self._fmu.reset()
            except InstanceError:
                self._can_reset = False
        if not self._can_reset:
            self._fmu.free()
            self._fmu.instantiate()

    def _initialize(self, values: Floats) -> None:
        setup = self._setup
        self._tell(self._parameters, np.array([value for _, value in setup.parameters]), "the parameter ")
        self._set(values)
        self._fmu.initialize(setup.start_time, setup.tolerance)
        self._stepping.begin(setup.start_time)

    def _set(self, values: Floats) -> None:
        """Set all coefficients and inputs, (n + p,)."""
        self._tell(self._changing, values)

    def _tell(self, registers: Registers, values: Floats, what: str = "") -> None:
        """Set variables together, by one call a type; which one was refused is found out only then."""
        registers.fill(values)
        try:
            for group in registers.groups:
                self._fmu.set(group)
        except InstanceError as error:
            raise self._refused(registers, values, what, error) from error

    def _refused(self, registers: Registers, values: Floats, what: str, error: InstanceError) -> InstanceError:
        for variable, value in zip(registers.variables, values.tolist(), strict=True):
            single = self._registers([variable], self._fixed)
            try:
                single.fill(np.array([value]))
                self._fmu.set(single.groups[0])
            except InstanceError as alone:
                return InstanceError(f"{what}'{variable.name}' = {value:g} was refused: {alone}", alone.log)
        return error

    def _settle(self) -> Settled:
        settings = self._setup.settle
        quantum_s = None if self._setup.can_vary_step else settings.step_s
        try:
            return settle(self._advance, self._names, self._nominal, settings, quantum_s)
        except SettleError as error:
            raise InstanceError(str(error), str(self._fmu.log)) from error

    def _advance(self, seconds: float) -> Floats:
        """Simulate so much further, in equal steps that the FMU bears; the outputs (m,) then."""
        steps = self._setup.settle.sub_steps(seconds, can_vary_step=self._setup.can_vary_step)
        for _ in range(steps):
            self._pass(seconds / steps)
        return self._read()

    def _pass(self, seconds: float) -> None:
        """Simulate so much further, in one communication step."""
        # The state before this step will be restored, so the FMU must not drop it.
        self._stepping.advance(seconds, final=self._reference is None)

    def _stand(self, inputs: Floats) -> None:
        """Set the inputs (p,) that may change while the FMU runs, where it stands."""
        values = inputs[self._moving]
        self._stepping.resume(self._stepping.time, partial(self._tell, self._told, values))

    def _gliding(self) -> Callable[[Floats, Floats, float], bool]:
        """What lets inputs (p,) go straight to others in so many seconds, where FMI lets all that change do so."""
        inputs = self._setup.inputs
        able = np.array([i.real and i.causality == "input" and i.variability == "continuous" for i in inputs])
        registers = self._registers([each for each, yes in zip(inputs, able, strict=True) if yes], self._fixed)

        def glide(before: Floats, after: Floats, seconds: float) -> bool:
            if (before != after)[~able].any():
                return False
            begin, first, rate = self._stepping.time, before[able], (after - before)[able] / seconds

            def tell(time: float) -> None:
                registers.fill(first + rate * (time - begin))
                for group in registers.groups:
                    self._fmu.set(group)

            return self._stepping.glide(seconds, tell, final=self._reference is None)

        return glide

    def _read(self) -> Floats:
        """(m,) outputs as they are."""
        for group in self._outputs.groups:
            self._fmu.get(group)
        return self._outputs.read()


@dataclass(frozen=True)
class _Place:
    """A kept FMU state, and the simulated time (s) that it belongs to."""

    state: object
    time: float
