"""One model in every FMI version and interface: the same closed-form answers, and none of them depends on the past.

The tanks run in this process, as in a worker's: that is fast, and nothing of theirs crashes.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.simulation.conftest import MakeFmu
from tests.simulation.tanks import ELEMENTS, OUTPUTS, Trouble, closed_form
from twin_assets.model import Floats
from twin_assets.simulation import FmuError, FmuModel, probe_restart
from twin_assets.simulation.instance import Instance, InstanceError
from twin_assets.simulation.setup import extracted

GAINS = np.random.default_rng(5).uniform(0.2, 2.0, (5, 2))
INPUTS = ("u", "n", "on", "mode")
KINDS = tuple(product(("2.0", "3.0"), ELEMENTS))
every_kind = pytest.mark.parametrize(("version", "element"), KINDS)


def tanks(path: Path, **options: Any) -> FmuModel:  # noqa: ANN401 - FmuModel's keywords
    """The tanks with both gains as coefficients, an input of every type and all outputs with a closed form."""
    defaults: dict[str, Any] = {"coefficients": ("gain[1]", "gain[2]"), "inputs": INPUTS, "outputs": OUTPUTS}
    return FmuModel(path, **(defaults | {"workers": 1} | options))


class Loaded:
    """A model in this process, evaluated as one worker does it."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance

    def evaluate(self, rows: Floats, inputs: Floats) -> Floats:
        """The first row from the reference, the others from there."""
        anchor = self._instance.evaluate_anchor(rows[0], inputs)
        others = [self._instance.evaluate(row, inputs) for row in rows[1:]]
        return np.stack([one.outputs for one in (anchor, *others)])


@contextmanager
def loaded(model: FmuModel) -> Iterator[Loaded]:
    """Load a model's FMU into this process."""
    with tempfile.TemporaryDirectory() as folder:
        instance = Instance(extracted(model.path, model.setup, Path(folder), model.sha256))
        yield Loaded(instance)
        instance.close()


def told(u: float = 1.3, n: float = 3.0, on: float = 1.0, mode: float = 2.0) -> Floats:
    """Values of the inputs."""
    return np.array([u, n, on, mode])


@every_kind
@pytest.mark.parametrize("state", [True, False])
def test_answers_are_the_closed_form_s(make_tanks: MakeFmu, version: str, element: str, *, state: bool) -> None:
    """Arrays, integers, Booleans and enumerations go in and come out; rolled back or reset; the valve opens on time."""
    model = tanks(make_tanks(version=version, interfaces=(element,), state=state))
    assert (model.description.fmi_version, model.description.interface) == (version, ELEMENTS[element])
    assert model.restart == ("rollback" if state else "reset")
    with loaded(model) as fmu:
        for u, n, on, mode in [(1.3, 3, True, 2), (0.2, 1, False, 3), (0.1, 4, True, 1)]:
            outputs = fmu.evaluate(GAINS, told(u, n, on, mode))
            np.testing.assert_allclose(outputs, closed_form(GAINS, u, n, mode, on=on), rtol=1e-6, atol=1e-6)


@every_kind
@pytest.mark.parametrize("state", [True, False])
def test_answers_depend_on_nothing_that_ran_before(
    make_tanks: MakeFmu, version: str, element: str, *, state: bool
) -> None:
    """Bit-identical: repeated, after other rows and inputs, by another instance."""
    model = tanks(make_tanks(version=version, interfaces=(element,), state=state))
    with loaded(model) as fmu:
        once = fmu.evaluate(GAINS, told())
        fmu.evaluate(GAINS[::-1] * 1.7, told(5.0, 1.0, 0.0, 3.0))
        again = fmu.evaluate(GAINS, told())
    with loaded(model) as fmu:
        fresh = fmu.evaluate(GAINS, told())
    assert again.tobytes() == once.tobytes() == fresh.tobytes()


@pytest.mark.parametrize(("version", "element"), [("2.0", "ModelExchange"), ("3.0", "CoSimulation")])
def test_states_restart_exactly_every_way(make_tanks: MakeFmu, version: str, element: str) -> None:
    """In real workers, and from bytes in another process; the solver outside begins anew."""
    report = probe_restart(tanks(make_tanks(version=version, interfaces=(element,))))
    assert [report.rollback.status, report.reset.status, report.serialize.status] == ["exact"] * 3


@every_kind
def test_a_real_of_any_size_can_be_calibrated(make_tanks: MakeFmu, version: str, element: str) -> None:
    """``trim`` is a 32-bit float in FMI 3.0: right to its precision."""
    path = make_tanks(version=version, interfaces=(element,))
    with loaded(tanks(path, coefficients=("trim",), outputs=("level[1]",))) as fmu:
        outputs = fmu.evaluate(np.array([[1.25], [0.7]]), told())
    np.testing.assert_allclose(outputs[:, 0], np.array([1.25, 0.7]) * (1.3 * 3 + 2), rtol=1e-6)


@every_kind
def test_fixed_parameters_are_calibrated_from_a_reset(make_tanks: MakeFmu, version: str, element: str) -> None:
    """They may be set before initialization only."""
    path = make_tanks(version=version, interfaces=(element,), variability="fixed")
    model = tanks(path)
    assert model.restart == "reset"
    with loaded(model) as fmu:
        outputs = fmu.evaluate(GAINS, told())
    np.testing.assert_allclose(outputs, closed_form(GAINS, 1.3, 3, 2, on=True), rtol=1e-6, atol=1e-6)


@every_kind
def test_the_rest_of_an_array_keeps_its_values(make_tanks: MakeFmu, version: str, element: str) -> None:
    """One element is a coefficient; another is set by parameters, or keeps its start value."""
    path = make_tanks(version=version, interfaces=(element,))
    for others, expected in (({}, 1.0), ({"gain[2]": 0.25, "tau[2]": 2.0}, 0.25)):
        with loaded(tanks(path, coefficients=("gain[1]",), parameters=others)) as fmu:
            outputs = fmu.evaluate(GAINS[:, :1], told())
        gains = np.column_stack([GAINS[:, 0], np.full(len(GAINS), expected)])
        np.testing.assert_allclose(outputs, closed_form(gains, 1.3, 3, 2, on=True), rtol=1e-6, atol=1e-6)


@every_kind
def test_what_is_whole_is_rounded(make_tanks: MakeFmu, version: str, element: str) -> None:
    """A measured condition may be the mean over an interval: 2.9 pumps are 3, on is from a half."""
    with loaded(tanks(make_tanks(version=version, interfaces=(element,)))) as fmu:
        near = fmu.evaluate(GAINS, told(1.3, 2.9, 0.51, 2.2))
        off = fmu.evaluate(GAINS, told(on=0.49))
    np.testing.assert_allclose(near, closed_form(GAINS, 1.3, 3, 2, on=True), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(off, closed_form(GAINS, 1.3, 3, 2, on=False), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("version", "values", "message"),
    [
        ("2.0", told(n=3e9), "'n' = 3e+09 is no Integer"),
        ("3.0", told(n=128.0), "'n' = 128 is no Int8"),
        ("3.0", told(n=np.nan), "'n' = nan is no Int8"),
        ("2.0", told(mode=4.0), "'mode' = 4 was refused: fmi2SetInteger answered 'error'"),
        ("3.0", told(mode=4.0), "'mode' = 4 was refused: fmi3SetInt64 answered 'error'"),
    ],
)
def test_a_value_that_the_type_does_not_have_is_an_error(
    make_tanks: MakeFmu, version: str, values: Floats, message: str
) -> None:
    """It is never cut to what fits: the variable and its value are named."""
    with loaded(tanks(make_tanks(version=version))) as fmu, pytest.raises(InstanceError) as caught:
        fmu.evaluate(GAINS, values)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["n", "on", "mode", "fault", "count"])
def test_what_has_no_values_in_between_cannot_be_calibrated(make_tanks: MakeFmu, name: str) -> None:
    """The reason is said."""
    message = "cannot be set" if name == "count" else "no values between its values: the filter cannot move it"
    with pytest.raises(FmuError, match=message):
        tanks(make_tanks(version="3.0"), coefficients=(name,))


@pytest.mark.parametrize(
    ("version", "trouble", "message"),
    [
        ("2.0", Trouble.BAD_DERIVATIVE, r"fmi2GetDerivatives answered 'error' after .* simulated s"),
        ("3.0", Trouble.BAD_DERIVATIVE, r"fmi3GetContinuousStateDerivatives answered 'error' after .* simulated s"),
        ("2.0", Trouble.ENDLESS_ITERATION, r"the event at .* simulated s does not come to an end"),
        ("3.0", Trouble.ENDLESS_EVENTS, r"there is no end of events at .* simulated s"),
        ("2.0", Trouble.ENDS, r"the FMU asks to end the simulation at .* simulated s"),
        ("3.0", Trouble.STEP_ENDS, r"the FMU asks to end the simulation at .* simulated s"),
    ],
)
def test_a_model_that_fails_while_it_is_integrated_is_reported(
    make_tanks: MakeFmu, version: str, trouble: Trouble, message: str
) -> None:
    """An exception cannot pass through the solver's C, and yet the cause arrives, with what the FMU says."""
    path = make_tanks(version=version, interfaces=("ModelExchange",))
    with (
        loaded(tanks(path, parameters={"fault": trouble})) as fmu,
        pytest.raises(InstanceError, match=message) as caught,
    ):
        fmu.evaluate(np.array([[1.0, 1.0], [11.0, 1.0]]), told())
    assert ("the valve jams" in caught.value.log) is (trouble == Trouble.BAD_DERIVATIVE)


def test_a_model_that_the_solver_gives_up_on_is_reported(make_tanks: MakeFmu) -> None:
    """A time constant of zero: the solver finds no step, and says why."""
    path = make_tanks(interfaces=("ModelExchange",))
    model = tanks(path, parameters={"tau[1]": 0.0})
    with pytest.raises(InstanceError, match=r"CVode gave up after .* simulated s: .+"):
        Instance(extracted(path, model.setup, path.parent, model.sha256))


def test_a_co_simulation_that_ends_itself_is_reported(make_tanks: MakeFmu) -> None:
    """FMI 3.0 lets an FMU ask for it with every step."""
    with (
        loaded(tanks(make_tanks(version="3.0"), parameters={"fault": Trouble.ENDS})) as fmu,
        pytest.raises(InstanceError, match=r"the FMU asks to end the simulation at .* simulated s"),
    ):
        fmu.evaluate(np.array([[11.0, 1.0]]), told())


@every_kind
def test_a_step_event_reaches_the_model(make_tanks: MakeFmu, version: str, element: str) -> None:
    """``latched`` is set where the model sees a completed step of the solver above one half, and stays."""
    path = make_tanks(version=version, interfaces=(element,))
    with loaded(tanks(path, outputs=("latched",), reference={"on": 0.0})) as fmu:
        outputs = [fmu.evaluate(GAINS[:1], told(on=on))[0, 0] for on in (0.0, 1.0)]
    assert outputs == [0.0, 1.0]


@pytest.mark.parametrize("element", ELEMENTS)
def test_an_fmi3_binary_that_gives_no_instance_is_an_error(make_tanks: MakeFmu, element: str) -> None:
    """For example for want of a licence."""
    path = make_tanks(version="3.0", interfaces=(element,), guid="none")
    with pytest.raises(InstanceError, match=rf"fmi3Instantiate{element} gave no instance"), loaded(tanks(path)):
        pass
