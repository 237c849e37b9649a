"""The FMU keeps the FMI 2.0 contract: modes, states, refusals. Driven through FMPy's plain bindings."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

OpenLine = Callable[..., "Line"]
OUTPUTS = ("S4_Tension_N", "S9_Tension_N", "Roller3_w", "Roller9_w", "Roller9_summary_SlipVelocity", "deg", "Nm")


class Line:
    """One instance of the FMU, with variables by name and what it logged."""

    def __init__(self, fmu: Path, folder: str) -> None:
        from fmpy import read_model_description
        from fmpy.fmi1 import FMICallException
        from fmpy.fmi2 import FMU2Slave, defaultCallbacks, fmi2CallbackFunctions, fmi2CallbackLoggerTYPE

        description = read_model_description(fmu)
        self.refused = FMICallException
        self.log: list[str] = []
        self._callbacks = fmi2CallbackFunctions()
        self._callbacks.logger = fmi2CallbackLoggerTYPE(lambda *a: self.log.append(a[4].decode()))
        self._callbacks.allocateMemory = defaultCallbacks.allocateMemory
        self._callbacks.freeMemory = defaultCallbacks.freeMemory
        self.references = {v.name: v.valueReference for v in description.modelVariables}
        self.fmu = FMU2Slave(
            guid=description.guid, unzipDirectory=folder, modelIdentifier="web_line", instanceName="line"
        )
        self.fmu.instantiate(callbacks=self._callbacks)
        self.time = 0.0

    def start(self, tolerance: float | None = None, **values: float) -> None:
        """From instantiated to stepping."""
        self.set(**values)
        self.fmu.setupExperiment(tolerance=tolerance)
        self.fmu.enterInitializationMode()
        self.fmu.exitInitializationMode()

    def set(self, **values: float) -> None:
        """Set variables at once."""
        self.fmu.setReal([self.references[name] for name in values], list(values.values()))

    def get(self, *names: str) -> list[float]:
        """Values of variables."""
        values: list[float] = self.fmu.getReal([self.references[name] for name in names])
        return values

    def step(self, count: int = 1, step_s: float = 2.0) -> list[float]:
        """Simulate further; the outputs then."""
        for _ in range(count):
            self.fmu.doStep(self.time, step_s)
            self.time += step_s
        return self.get(*OUTPUTS)


@pytest.fixture(name="open_line")
def _open_line(web_line_fmu: Path, tmp_path: Path) -> Iterator[OpenLine]:
    from fmpy import extract

    folder = extract(str(web_line_fmu), unzipdir=str(tmp_path / "fmu"))
    lines: list[Line] = []

    def make(*, started: bool = True, **values: float) -> Line:
        lines.append(Line(web_line_fmu, str(folder)))
        if started:
            lines[-1].start(**values)
        return lines[-1]

    yield make
    for line in lines:
        line.fmu.fmi2FreeInstance(line.fmu.component)


def test_web_line_fmu_is_valid(web_line_fmu: Path) -> None:
    """FMPy's validation finds nothing."""
    from fmpy.validation import validate_fmu

    assert validate_fmu(str(web_line_fmu)) == []


def test_web_line_starts_settled(open_line: OpenLine) -> None:
    """The start is the line at rest for its start values: 400 s later nothing has moved beyond rounding."""
    line = open_line(b3=0.1, b9=0.15)
    before = line.get(*OUTPUTS)
    assert line.step(200) == pytest.approx(before, rel=1e-9, abs=1e-9)


def test_web_line_settles_where_it_would_start(open_line: OpenLine) -> None:
    """A damping changed on the way ends, transient over, where a fresh start with it begins; also into slip."""
    for changed in ({"b9": 0.1}, {"b9": 0.2}, {"b3": 0.05, "web_speed_setpoint": 1.2}):
        line = open_line()
        line.set(**changed)
        assert line.step(300) == pytest.approx(open_line(**changed).get(*OUTPUTS), rel=1e-8, abs=1e-9)


def test_web_line_has_the_dancers_slow_mode(open_line: OpenLine) -> None:
    """What is left of a transient after 40 s decays with the dancer's 2 a / K = 16 s (a little less, by its spring)."""
    line = open_line()
    line.set(b3=0.1)
    angles = [line.step(1, 20.0)[OUTPUTS.index("deg")] for _ in range(5)]
    ratio = (angles[4] - angles[3]) / (angles[3] - angles[2])
    assert ratio == pytest.approx(2.718281828 ** (-20 / 16), rel=0.03)


def test_web_line_transients_follow_the_tolerance(open_line: OpenLine) -> None:
    """In the middle of a transient the default tolerance of 1e-5 is within 1e-4 of one that is far tighter."""
    ends = []
    for tolerance in (None, 1e-9):
        line = open_line(started=False)
        line.start(tolerance=tolerance)
        line.set(b3=0.1, b9=0.1)
        ends.append(line.step(3, 0.7))
    assert ends[0] == pytest.approx(ends[1], rel=1e-4, abs=1e-6)


def test_web_line_state_rolls_back_to_the_last_bit(open_line: OpenLine) -> None:
    """What follows from a state depends on it alone, integration step size included, whatever happened in between."""
    line = open_line()
    line.set(b9=0.12)
    line.step(2)
    state, time = line.fmu.getFMUstate(), line.time
    expected = line.step(5)
    line.set(b9=0.3, b1=0.2)
    line.step(7, 11.0)
    line.fmu.setFMUstate(state)
    line.time = time
    assert line.get("b9", "b1") == [0.12, 1e-3]
    assert line.step(5) == expected
    line.fmu.freeFMUstate(state)


CONTINUE_ELSEWHERE = """
import sys
from fmpy import read_model_description
from fmpy.fmi2 import FMU2Slave
fmu, folder, saved, *references = sys.argv[1:]
guid = read_model_description(fmu).guid
line = FMU2Slave(guid=guid, unzipDirectory=folder, modelIdentifier="web_line", instanceName="elsewhere")
line.instantiate()
line.setFMUstate(line.deSerializeFMUstate(open(saved, "rb").read()))
for step in range(5):
    line.doStep(4.0 + 2.0 * step, 2.0)
print(*(value.hex() for value in line.getReal([int(reference) for reference in references])))
"""


def test_web_line_state_continues_in_another_process(open_line: OpenLine, web_line_fmu: Path, tmp_path: Path) -> None:
    """A serialized state goes on in a process that never initialized the model, to the last bit."""
    line = open_line()
    line.set(b9=0.12)
    line.step(2)
    saved = tmp_path / "state"
    saved.write_bytes(line.fmu.serializeFMUstate(line.fmu.getFMUstate()))
    arguments = [str(web_line_fmu), line.fmu.unzipDirectory, str(saved)]
    arguments += [str(line.references[name]) for name in OUTPUTS]
    command = [sys.executable, "-c", CONTINUE_ELSEWHERE, *arguments]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert [float.fromhex(value) for value in printed.split()] == line.step(5)


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-1], lambda b: b[:200] + bytes([b[200] ^ 1]) + b[201:], lambda b: b"x" * len(b)]
)
def test_web_line_refuses_a_damaged_state(open_line: OpenLine, damage: Callable[[bytes], bytes]) -> None:
    """A truncated, flipped or foreign serialized state is an error that says so, not a crash."""
    line = open_line()
    data = line.fmu.serializeFMUstate(line.fmu.getFMUstate())
    with pytest.raises(line.refused):
        line.fmu.deSerializeFMUstate(damage(data))
    assert "state" in line.log[-1]


def test_web_line_reset_is_a_new_instance(open_line: OpenLine) -> None:
    """After reset, values, time and step size are those of a fresh instance: what follows is the same to the bit."""
    line, fresh = open_line(b9=0.2, span_length=2.0), open_line()
    line.step(3)
    line.fmu.reset()
    line.time = 0.0
    line.start()
    for each in (line, fresh):
        each.set(b3=0.05)
    assert line.step(4) == fresh.step(4)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"b3": -1e-6}, "b3 = -1e-06 is out of its range [0, 0.5]"),
        ({"b3": 0.6}, "b3 = 0.6 is out of its range"),
        ({"b3": float("nan")}, "b3 = nan is out of its range"),
        ({"web_speed_setpoint": float("inf")}, "web_speed_setpoint = inf is out of its range"),
        ({"b1": 0.01, "tension_2_setpoint": 0.0}, "tension_2_setpoint = 0 is out of its range"),
        ({"roller_radius": 0.06}, "roller_radius is fixed: set it before the end of initialization"),
        ({"Roller3_w": 20.0}, "an output cannot be set"),
    ],
)
def test_web_line_refuses_absurd_values(open_line: OpenLine, values: dict[str, float], reason: str) -> None:
    """What cannot be is an error with name, value and range, and leaves the instance as it was, all or nothing."""
    line = open_line()
    before = line.get("b1", "b3", *OUTPUTS)
    with pytest.raises(line.refused):
        line.set(**values)
    assert reason in line.log[-1]
    assert line.get("b1", "b3", *OUTPUTS) == before


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda line: line.fmu.getReal([99999]), "no such variable with value reference 99999"),
        (lambda line: line.fmu.setReal([99999], [1.0]), "no such variable with value reference 99999"),
        (lambda line: line.fmu.getInteger([0]), "no such variable"),
        (lambda line: line.fmu.setBoolean([0], [True]), "no such variable"),
        (lambda line: line.fmu.getString([0]), "no such variable"),
        (lambda line: line.fmu.doStep(0.0, 0.0), "step size greater than zero"),
        (lambda line: line.fmu.doStep(0.0, -1.0), "step size greater than zero"),
        (lambda line: line.fmu.doStep(float("nan"), 1.0), "finite time"),
        (lambda line: line.fmu.enterInitializationMode(), "not allowed while the model is in mode 'stepping'"),
        (lambda line: line.fmu.setupExperiment(), "not allowed while the model is in mode 'stepping'"),
        (lambda line: line.fmu.cancelStep(), "not offered by this model"),
    ],
)
def test_web_line_refuses_wrong_calls(open_line: OpenLine, call: Callable[[Line], Any], reason: str) -> None:
    """Unknown references and types, impossible steps and calls in the wrong mode answer with an error and a reason."""
    line = open_line()
    with pytest.raises(line.refused):
        call(line)
    assert reason in line.log[-1]
    line.step()


def test_web_line_does_not_step_before_initialization_or_after_the_end(open_line: OpenLine) -> None:
    """fmi2DoStep belongs to the stepping mode alone."""
    line = open_line(started=False)
    with pytest.raises(line.refused):
        line.step()
    assert "mode 'instantiated'" in line.log[-1]
    line.start()
    line.fmu.terminate()
    with pytest.raises(line.refused):
        line.step()
    assert "mode 'terminated'" in line.log[-1]


def test_web_line_refuses_a_slack_web(open_line: OpenLine) -> None:
    """A controller so sharp that the line swings until the web is slack ends in an error, not in numbers."""
    line = open_line(nip_gain=1e-3, nip_reset_time=0.1)
    line.set(tension_2_setpoint=300.0)
    with pytest.raises(line.refused):
        line.step(50)
    assert "slack in span" in line.log[-1]


def test_web_line_is_instantiated_for_its_own_description_only(open_line: OpenLine) -> None:
    """Another GUID gives no instance: a description and a binary of different models would misread each other."""
    line = open_line()
    line.fmu.guid = "{00000000-0000-0000-0000-000000000000}"
    component = line.fmu.component
    with pytest.raises(Exception, match="instantiate"):
        line.fmu.instantiate(callbacks=line._callbacks)
    line.fmu.component = component
    assert "GUID" in line.log[-1]
