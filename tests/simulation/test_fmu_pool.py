"""A pool that outlives its FMUs: what fails is told, the rest answered, what leaks replaced; and threads do as well."""

import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.simulation.conftest import MakeFmu
from tests.simulation.tanks import OUTPUTS
from tests.simulation.two_modes import Fault
from twin_assets.model import EvaluationError, TolerantModel
from twin_assets.simulation import FmuError, FmuModel
from twin_assets.simulation.process import WorkerProcess

U = np.array([2.0])
GOOD = np.column_stack([np.linspace(0.5, 0.9, 7), np.full(7, 1.5)])
BAD = np.array([[3.0, 1.5], [4.0, 1.5]])


def model_of(path: Path, fault: Fault = Fault.NONE, threshold: float = 1.0, **options: Any) -> FmuModel:  # noqa: ANN401
    """The test FMU that fails where a > 1; its reference (a = 0.5) does not."""
    return FmuModel(
        path,
        coefficients=("a", "b"),
        inputs=("u",),
        outputs=("y1", "y2", "y3"),
        parameters={"fault": fault, "threshold": threshold},
        reference={"a": 0.5},
        **({"workers": 1} | options),
    )


def pids(model: FmuModel) -> list[int]:
    """Processes of an open model."""
    assert model._pool is not None
    return [worker.pid for worker in model._pool.workers if isinstance(worker, WorkerProcess)]


@pytest.mark.parametrize(("fault", "workers"), [(Fault.CRASH, 1), (Fault.NOT_A_NUMBER, 2), (Fault.ERROR, 2)])
def test_rows_that_fail_are_told_and_the_others_answered(fmu: Path, fault: Fault, workers: int) -> None:
    """Two of nine rows fail twice: NaN there, with coefficients and reasons; every bit of the rest as without them."""
    rows = np.insert(GOOD, [3, 6], BAD, axis=0)
    with model_of(fmu, fault, workers=workers) as model:
        assert isinstance(model, TolerantModel)
        attempt = model.attempt(rows, U)
        undisturbed = model.evaluate(GOOD, U)
    assert [(failed.row, dict(failed.coefficients)) for failed in attempt.failures] == [
        (3, {"a": 3.0, "b": 1.5}),
        (7, {"a": 4.0, "b": 1.5}),
    ]
    told = {Fault.CRASH: "signal SIGABRT", Fault.NOT_A_NUMBER: "'y1' became nan", Fault.ERROR: "no convergence"}
    assert all(told[fault] in failed.reason for failed in attempt.failures)
    assert str(attempt.failures[0]).startswith("a=3, b=1.5: ")
    assert np.isnan(attempt.outputs[[3, 7]]).all()
    assert np.delete(attempt.outputs, [3, 7], axis=0).tobytes() == undisturbed.tobytes()
    assert model.model_runs == len(rows) + 2 + len(GOOD)


@pytest.mark.parametrize("claims", [{}, {"state": False}])
def test_without_row_0_there_is_nothing(make_fmu: MakeFmu, claims: dict[str, bool]) -> None:
    """It is what the others start from, or are compared with: it is told, and nothing else is tried."""
    with model_of(make_fmu(**claims), Fault.ERROR) as model:
        attempt = model.attempt(np.vstack([BAD[:1], GOOD]), U)
        again = model.attempt(GOOD, U)
    assert [failed.row for failed in attempt.failures] == [0]
    assert np.isnan(attempt.outputs).all()
    assert np.isfinite(again.outputs).all()
    assert again.failures == ()


def test_an_fmu_that_does_not_start_is_an_error_all_the_same(fmu: Path) -> None:
    """There is no row to blame."""
    with model_of(fmu, Fault.CRASH, threshold=0.0) as model, pytest.raises(EvaluationError, match="reference state"):
        model.attempt(GOOD, U)


@pytest.mark.parametrize(
    ("fault", "limit"),
    [
        pytest.param(Fault.NONE, {"recycle_after": 10}, id="by evaluations"),
        pytest.param(
            Fault.GROWING,
            {"recycle_above_mb": 20.0},
            id="by memory",
            marks=pytest.mark.skipif(sys.platform == "win32", reason="nobody tells there"),
        ),
    ],
)
def test_a_worn_process_is_replaced_and_changes_nothing(fmu: Path, fault: Fault, limit: dict[str, float]) -> None:
    """Between batches, once it has done or grown too much; the fresh one gives every bit again."""
    with model_of(fmu, fault, threshold=0.0, **limit) as model:
        first, before = model.evaluate(GOOD[:2], U), pids(model)
        seen, found = set(before), []
        for _ in range(5):
            found.append(model.evaluate(GOOD, U).tobytes())
            seen.update(pids(model))
        again = model.evaluate(GOOD[:2], U)
    with model_of(fmu, fault, threshold=0.0) as unlimited:
        expected = unlimited.evaluate(GOOD, U).tobytes()
        assert unlimited.evaluate(GOOD, U).tobytes() == expected
        lasting = pids(unlimited)
        unlimited.evaluate(GOOD, U)
        assert pids(unlimited) == lasting
    assert len(seen) > 2
    assert set(found) == {expected}
    assert again.tobytes() == first.tobytes()


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("claims", [{}, {"state": False}])
def test_threads_give_what_processes_give(make_fmu: MakeFmu, claims: dict[str, bool], workers: int) -> None:
    """To the bit, batch after batch; afterwards no thread of an FMU is left."""
    path = make_fmu(**claims)
    rows = np.random.default_rng(7).uniform(0.5, 2.0, (11, 2))
    with model_of(path) as model:
        expected = [model.evaluate(rows, U).tobytes(), model.evaluate(rows[::-1], U).tobytes()]
    with model_of(path, isolation="thread", workers=workers) as model:
        assert pids(model) == []
        found = [model.evaluate(rows, U).tobytes(), model.evaluate(rows[::-1], U).tobytes()]
    assert found == expected
    assert "fmu" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize(("version", "element"), [("2.0", "ModelExchange"), ("3.0", "CoSimulation")])
def test_threads_run_other_fmus_as_well(make_tanks: MakeFmu, version: str, element: str) -> None:
    """Two at a time, one integrated by a solver that calls back into Python: as a process by itself."""
    path = make_tanks(version=version, interfaces=(element,))
    names: dict[str, Any] = {"coefficients": ("gain[1]", "gain[2]"), "inputs": ("u",), "outputs": OUTPUTS}
    gains = np.random.default_rng(5).uniform(0.2, 2.0, (9, 2))
    with FmuModel(path, **names, workers=1) as model:
        expected = model.evaluate(gains, U)
    with FmuModel(path, **names, workers=2, isolation="thread") as model:
        assert model.evaluate(gains, U).tobytes() == expected.tobytes()


def test_threads_do_not_share_what_the_fmu_keeps(fmu: Path) -> None:
    """This FMU counts in a static variable how often it was told anything, and adds that to an output.

    Three workers that shared one count would give other numbers than a process each.
    """
    rows = GOOD[:2]
    with model_of(fmu, Fault.LEAKY) as model:
        expected = model.evaluate(rows, U)
    for _ in range(2):
        with model_of(fmu, Fault.LEAKY, isolation="thread") as model:
            assert model.evaluate(rows, U).tobytes() == expected.tobytes()


def test_a_failing_thread_is_told_as_a_process_is(fmu: Path) -> None:
    """Errors, with the second try in a fresh thread; the model lives on."""
    rows = np.insert(GOOD, 4, BAD[0], axis=0)
    with model_of(fmu, Fault.ERROR, isolation="thread", workers=2) as model:
        with pytest.raises(EvaluationError, match=r"second try in a fresh thread: fmi2DoStep.*no convergence.*a=3"):
            model.evaluate(rows, U)
        attempt = model.attempt(rows, U)
        assert [failed.row for failed in attempt.failures] == [4]
        assert np.delete(attempt.outputs, 4, axis=0).tobytes() == model.evaluate(GOOD, U).tobytes()


def test_a_hanging_thread_is_given_up(fmu: Path) -> None:
    """Nobody can stop it; the error says so and what can."""
    with model_of(fmu, Fault.HANG, isolation="thread", timeout_s=0.3) as model:
        with pytest.raises(EvaluationError, match=r"no answer within 0\.3 s.*isolation: process can.*a=3"):
            model.evaluate(np.vstack([GOOD, BAD[:1]]), U)
        np.testing.assert_allclose(model.evaluate(GOOD, U)[:, 0], GOOD[:, 0] * 2.0, rtol=1e-6)


def test_an_fmu_for_one_instance_per_process_is_refused_for_several_threads(make_fmu: MakeFmu) -> None:
    """Its description says so; one worker, or processes, are no problem."""
    path = make_fmu(once_per_process=True)
    with pytest.raises(FmuError, match=r"only once per process, and 2 workers.*isolation: process"):
        model_of(path, isolation="thread", workers=2)
    with model_of(path, isolation="thread") as one, model_of(path, workers=2) as two:
        assert one.evaluate(GOOD, U).tobytes() == two.evaluate(GOOD, U).tobytes()
