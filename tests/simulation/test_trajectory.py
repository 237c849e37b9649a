"""Following a model while its inputs move: closed forms, in every FMI version and interface, from any worker."""

import math
from typing import Any

import numpy as np
import pytest

from tests.simulation.conftest import MakeFmu
from tests.simulation.test_fmu_interfaces import KINDS
from twin_assets.model import EvaluationError, Floats, InputPath
from twin_assets.simulation import FmuModel, SettleSettings
from twin_assets.simulation.trajectory import walk

GAINS = np.array([[0.7, 1.1], [1.3, 0.4], [0.2, 1.9]])
TAUS = np.array([0.5, 8.0])
STEP_S = 1.0 / 32.0


class Integrator:
    """y' = u, exactly; remembers how it was led."""

    def __init__(self) -> None:
        self.inputs, self.value = np.zeros(1), 0.0
        self.steps: list[float] = []

    def stand(self, inputs: Floats) -> None:
        """Set u."""
        self.inputs = inputs

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.value += seconds * float(self.inputs[0])
        self.steps.append(seconds)

    def read(self) -> Floats:
        """State and input."""
        return np.array([self.value, self.inputs[0]])

    def walk(self, path: InputPath, longest_s: float, *, fixed: bool = False) -> Floats:
        """Along a path, from zero."""
        self.inputs = path.inputs[0]
        return walk(path, longest_s, self.stand, self.advance, self.read, fixed=fixed)


def path_of(times: list[float], values: list[float], *, linear: bool, read: list[int] | None = None) -> InputPath:
    """One input along some times; read at all of them, unless told where."""
    places = np.array(range(len(times)) if read is None else read, dtype=np.intp)
    return InputPath(np.array(times), np.array(values)[:, np.newaxis], places, np.array([linear]))


def test_a_held_input_is_integrated_as_it_stood() -> None:
    """Each value counts until the next is due; at a time that is read, the input has its value of that time."""
    found = Integrator().walk(path_of([0, 2, 5], [1.0, 10.0, 100.0], linear=False), 0.7)
    np.testing.assert_allclose(found, [[0, 1], [2, 10], [32, 100]], rtol=1e-14)


def test_a_linear_input_is_integrated_exactly() -> None:
    """The mean over each step is told, so trapezoids come out whole, however many steps they take."""
    found = Integrator().walk(path_of([0, 2, 5], [1.0, 10.0, 100.0], linear=True), 0.7)
    np.testing.assert_allclose(found, [[0, 1], [11, 10], [176, 100]], rtol=1e-14)


def test_steps_are_no_longer_than_allowed_and_equal_between_times() -> None:
    """Two seconds in steps of at most 0.7 are three; what rounding alone makes longer is not cut."""
    model = Integrator()
    model.walk(path_of([0, 2, 2.7 + 1e-13], [0.0, 0.0, 0.0], linear=False), 0.7)
    np.testing.assert_allclose(model.steps, [2 / 3] * 3 + [0.7], rtol=1e-12)


def test_fixed_steps_never_drift_from_the_times() -> None:
    """Where all steps have to be equal, the model is never further from a time than half a step."""
    model, times = Integrator(), np.cumsum([0.0, *[0.33] * 30])
    found = model.walk(path_of(times.tolist(), [1.0] * 31, linear=False), 0.1, fixed=True)
    assert set(model.steps) == {0.1}
    assert np.abs(found[:, 0] - times).max() <= 0.05 + 1e-12


def test_only_what_is_asked_for_is_read() -> None:
    """The outputs of the places that are named, in order; what comes after them changes no bit of them."""
    times, values = [0.0, 1.0, 2.5, 3.0], [1.0, 3.0, -2.0, 0.5]
    every = Integrator().walk(path_of(times, values, linear=True), 0.3)
    some = Integrator().walk(path_of(times, values, linear=True, read=[1, 2]), 0.3)
    short = Integrator().walk(path_of(times[:3], values[:3], linear=True, read=[1, 2]), 0.3)
    assert some.tobytes() == every[[1, 2]].tobytes() == short.tobytes()


def tanks(path: Any, **options: Any) -> FmuModel:  # noqa: ANN401 - FmuModel's arguments
    """The tanks: levels that follow u n + mode with a delay each; short communication steps."""
    return FmuModel(
        path,
        coefficients=("gain[1]", "gain[2]"),
        inputs=("u", "n"),
        outputs=("level[1]", "level[2]", "flow[1,2]"),
        settle=SettleSettings(tolerance=1e-9),
        most_reads=8,
        **({"workers": 1, "follow_step_s": STEP_S} | options),
    )


TIMES = np.array([0.0, 1.0, 2.5, 4.0, 4.5])
MOVES = np.array([[1.0, 2.0], [2.0, 2.0], [0.5, 3.0], [0.5, 3.0], [1.5, 1.0]])


def moving(read: list[int], count: int = 5) -> InputPath:
    """Input u goes straight from value to value, the whole number n holds."""
    return InputPath(TIMES[:count], MOVES[:count], np.array(read, dtype=np.intp), np.array([True, False]))


def levels(gains: Floats) -> Floats:
    """(5, 2) levels at ``TIMES``: drive a + s t over each interval, from rest under the first inputs."""
    level = gains * (MOVES[0, 0] * MOVES[0, 1] + 1.0)
    found = [level]
    for i, span in enumerate(np.diff(TIMES)):
        first = gains * (MOVES[i, 0] * MOVES[i, 1] + 1.0)
        slope = gains * (MOVES[i + 1, 0] - MOVES[i, 0]) * MOVES[i, 1] / span
        # level' = (first + slope t - level) / tau
        level = first + slope * (span - TAUS) + (level - first + slope * TAUS) * np.exp(-span / TAUS)
        found.append(level)
    return np.array(found)


@pytest.mark.parametrize(("version", "element"), KINDS)
def test_an_fmu_follows_its_inputs(make_tanks: MakeFmu, version: str, element: str) -> None:
    """Levels are those of the closed form, to the second order of the step; the same bits every time it is asked."""
    path = make_tanks(version=version, interfaces=(element,))
    with tanks(path) as model:
        found, again = model.follow(GAINS, moving([0, 2, 4])), model.follow(GAINS, moving([0, 2, 4]))
        shorter = model.follow(GAINS, moving([2], 3))
    expected = np.array([levels(gains)[[0, 2, 4]] for gains in GAINS])
    # The error of a step is its square, in parts of tau, so the quicker tank's is the larger.
    np.testing.assert_allclose(found[:, :, 0], expected[:, :, 0], atol=1e-3)
    np.testing.assert_allclose(found[:, :, 1], expected[:, :, 1], atol=1e-5)
    np.testing.assert_allclose(found[:, :, 2], GAINS[:, :1] * found[:, :, 1], rtol=1e-12)
    assert found.tobytes() == again.tobytes()
    assert shorter.tobytes() == np.ascontiguousarray(found[:, 1:2]).tobytes()


@pytest.mark.parametrize("version", ["2.0", "3.0"])
def test_by_model_exchange_inputs_move_as_they_do_however_long_a_step_may_be(make_tanks: MakeFmu, version: str) -> None:
    """The solver asks for a continuous input whenever it looks, so levels are exact; the whole number n still jumps."""
    path = make_tanks(version=version, interfaces=("ModelExchange",))
    with tanks(path, follow_step_s=60.0) as model:
        found = model.follow(GAINS, moving([0, 1, 2, 3, 4]))
        one, two = model.follow(GAINS, moving([2], 3)), model.follow(GAINS[[0, 2]], moving([0, 2, 4]))
    np.testing.assert_allclose(found[:, :, :2], [levels(gains) for gains in GAINS], rtol=1e-6)
    assert one.tobytes() == np.ascontiguousarray(found[:, 2:3]).tobytes()
    assert two.tobytes() == np.ascontiguousarray(found[[0, 2]][:, [0, 2, 4]]).tobytes()


@pytest.mark.parametrize("options", [{"workers": 2}, {"isolation": "thread"}, {"workers": 3, "isolation": "thread"}])
def test_whoever_follows_says_the_same(make_tanks: MakeFmu, options: dict[str, Any]) -> None:
    """Two workers or one, processes or threads: the same bits; and a settled answer in between is what it was."""
    path = make_tanks()
    with tanks(path) as model:
        expected, settled = model.follow(GAINS, moving([1, 3])), model.evaluate(GAINS, MOVES[1])
    with tanks(path, **options) as model:
        assert model.follow(GAINS, moving([1, 3])).tobytes() == expected.tobytes()
        assert model.evaluate(GAINS, MOVES[1]).tobytes() == settled.tobytes()
        assert model.follow(GAINS, moving([1, 3])).tobytes() == expected.tobytes()


def test_an_fmu_that_keeps_no_state_follows_too(make_tanks: MakeFmu) -> None:
    """Fixed coefficients, no state: every row begins with a reset and a cold start, and ends where the others do."""
    with tanks(make_tanks(state=False, variability="fixed")) as model:
        assert model.restart == "reset"
        found = model.follow(GAINS, moving([0, 2, 4]))
    np.testing.assert_allclose(found[:, :, 1], [levels(gains)[[0, 2, 4], 1] for gains in GAINS], atol=1e-5)


def test_what_cannot_be_followed_says_where(make_tanks: MakeFmu) -> None:
    """An input that the FMU refuses on the way is named with its value; more reads than fit are the caller's error."""
    with tanks(make_tanks()) as model:
        too_many = InputPath(np.arange(9.0), np.ones((9, 2)), np.arange(9), np.array([True, False]))
        with pytest.raises(ValueError, match=r"9 reads along a path were asked for; at most 8"):
            model.follow(GAINS, too_many)
        bad = InputPath(np.arange(2.0), np.array([[1.0, 2.0], [math.nan, 2.0]]), np.array([1]), np.array([True, False]))
        with pytest.raises(EvaluationError, match=r"level\[1\]' became nan after 1 s of the recent past"):
            model.follow(GAINS, bad)


def test_an_fmu_that_wants_equal_steps_gets_them_as_short_as_is_asked(make_fmu: MakeFmu) -> None:
    """Also while it settles; the answers are those of an FMU that bears any step. Too long ones are refused."""
    names = {"coefficients": ("a",), "inputs": ("u",), "outputs": ("y1",), "workers": 1, "most_reads": 4}
    path = InputPath(np.arange(0.0, 2.0, 0.5), np.array([[1.0], [2.0], [0.0], [3.0]]), np.arange(4), np.array([True]))
    with FmuModel(make_fmu(), **names, follow_step_s=0.125) as model:  # type: ignore[arg-type]
        expected = model.follow(np.array([[1.0]]), path)
        assert model.equal_step_s is None
    with FmuModel(make_fmu(varying_step=False), **names, follow_step_s=0.15) as model:  # type: ignore[arg-type]
        assert model.equal_step_s == 2.0 / 14.0
    with FmuModel(make_fmu(varying_step=False), **names, follow_step_s=0.125) as model:  # type: ignore[arg-type]
        np.testing.assert_allclose(model.follow(np.array([[1.0]]), path), expected, rtol=1e-9, atol=1e-9)
    with (
        FmuModel(make_fmu(varying_step=False), **names) as model,  # type: ignore[arg-type]
        pytest.raises(EvaluationError, match=r"equal communication steps, which are 2 s.*Expected model.follow_step_s"),
    ):
        model.follow(np.array([[1.0]]), path)
