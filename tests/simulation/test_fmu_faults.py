"""FMUs that fail: tried once more in a fresh process, then reported with the coefficients; the caller lives on."""

import os
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.simulation.two_modes import Fault
from twin_assets.model import EvaluationError
from twin_assets.simulation import FmuModel

U = np.array([2.0])
GOOD = np.column_stack([np.linspace(0.5, 0.9, 7), np.full(7, 1.5)])
BAD_ROW = np.array([3.0, 1.5])


def faulty(path: Path, fault: Fault, **options: Any) -> FmuModel:  # noqa: ANN401 - FmuModel's keywords
    """The test FMU that fails where a > 1; its reference (a = 0.5) does not."""
    return FmuModel(
        path,
        coefficients=("a", "b"),
        inputs=("u",),
        outputs=("y1", "y2", "y3"),
        parameters={"fault": fault, "threshold": 1.0},
        reference={"a": 0.5},
        **({"workers": 1} | options),
    )


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault.ERROR, r"fmi2DoStep answered 'error' at .* The FMU says: no convergence at t = [0-9.]+ in doStep"),
        (Fault.DISCARD, "fmi2DoStep answered 'discard'"),
        (Fault.NOT_A_NUMBER, "'y1' became nan.*a smaller max_step_s may help"),
        (Fault.LIMIT_CYCLE, "'y2' goes round with a period of about"),
        (Fault.REFUSE, "'a' = 3 was refused: fmi2SetReal answered 'error'.*a = 3 is too much for me"),
        (Fault.CRASH, r"the process died \(signal SIGABRT\).*bearing seized"),
    ],
)
def test_a_failing_evaluation_is_reported_with_its_values(fmu: Path, fault: Fault, message: str) -> None:
    """What failed, what the FMU said, and at which coefficients and inputs."""
    rows = np.insert(GOOD, 4, BAD_ROW, axis=0)
    with (
        faulty(fmu, fault) as model,
        pytest.raises(EvaluationError, match=rf"(?s)also not on a second try.*{message}") as caught,
    ):
        model.evaluate(rows, U)
    assert caught.value.coefficients == {"a": 3.0, "b": 1.5}
    assert "a=3, b=1.5; inputs: u=2" in str(caught.value)


def test_a_failing_first_row_is_reported_with_its_values(fmu: Path) -> None:
    """The row from which all others start fails in every worker; the error is that row's, and the model lives on."""
    with faulty(fmu, Fault.CRASH, workers=2) as model:
        with pytest.raises(EvaluationError, match=r"the process died \(signal SIGABRT\)") as caught:
            model.evaluate(np.vstack([BAD_ROW, GOOD]), U)
        outputs = model.evaluate(GOOD, U)
    assert caught.value.coefficients == {"a": 3.0, "b": 1.5}
    np.testing.assert_allclose(outputs[:, 0], GOOD[:, 0] * 2.0, rtol=1e-6)


def test_a_hanging_evaluation_is_stopped(fmu: Path) -> None:
    """An FMU that never returns costs its time-out twice, and then is an error."""
    with faulty(fmu, Fault.HANG, timeout_s=0.5) as model:
        with pytest.raises(EvaluationError, match=r"no answer within 0\.5 s.*a=3"):
            model.evaluate(np.vstack([GOOD, BAD_ROW]), U)
        np.testing.assert_allclose(model.evaluate(GOOD, U)[:, 0], GOOD[:, 0] * 2.0, rtol=1e-6)


def test_a_long_batch_is_no_hanging_evaluation(fmu: Path) -> None:
    """The time-out counts from the last row that was done: twenty rows may take longer than what one of them may."""
    rows = np.column_stack([np.linspace(2.0, 3.0, 20), np.full(20, 1.5)])
    with faulty(fmu, Fault.SLOW_STEPS, timeout_s=1.5) as model:
        outputs = model.evaluate(rows, U)
    assert model.model_seconds > 1.5
    np.testing.assert_allclose(outputs[:, 0], rows[:, 0] * 2.0, rtol=1e-6)


def test_an_interrupted_batch_ends_the_processes(fmu: Path) -> None:
    """Ctrl-C while an FMU hangs: the error is Ctrl-C's, and what is asked afterwards gets no stale answer."""
    with faulty(fmu, Fault.HANG) as model:
        model.evaluate(GOOD, U)
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            model.evaluate(np.vstack([GOOD, BAD_ROW]), U)
        with pytest.raises(RuntimeError, match="open the model anew"):
            model.evaluate(GOOD, U)


@pytest.mark.parametrize("row", [0, 3, 7])
def test_a_passing_failure_is_survived_and_changes_nothing(
    fmu: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: int
) -> None:
    """One crash: the row is tried again in a fresh process, the rest follows, and every bit is as without the crash."""
    rows = np.insert(GOOD, row, BAD_ROW, axis=0)
    marker = tmp_path / "crashed"
    monkeypatch.setenv("TWO_MODES_MARKER", str(marker))
    with faulty(fmu, Fault.CRASH_ONCE) as model:
        survived = model.evaluate(rows, U)
        assert model.model_runs == len(rows) + 1
        assert marker.exists()
        undisturbed = model.evaluate(rows, U)
    assert survived.tobytes() == undisturbed.tobytes()
    np.testing.assert_allclose(survived[:, 0], rows[:, 0] * 2.0, rtol=1e-6)


def test_of_several_failing_rows_the_first_is_reported(fmu: Path) -> None:
    """Whichever worker fails first: errors do not depend on timing more than they must."""
    rows = np.vstack([GOOD[:1], [[5.0, 1.0]], [[6.0, 1.0]]])
    with faulty(fmu, Fault.ERROR, workers=1) as model, pytest.raises(EvaluationError, match="a=5, b=1"):
        model.evaluate(rows, U)


def test_what_an_fmu_prints_stays_off_the_terminal(fmu: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Output of a talkative FMU, buffered or not, never reaches the caller's."""
    with faulty(fmu, Fault.CHATTY, workers=2) as model:
        model.evaluate(np.vstack([GOOD, BAD_ROW]), U)
    assert capfd.readouterr() == ("", "")


def test_a_fault_at_the_reference_is_told_as_such(fmu: Path) -> None:
    """A crash before the first evaluation names the reference."""
    parameters = {"fault": Fault.CRASH, "threshold": 0.0}
    with (
        FmuModel(fmu, coefficients=("a",), inputs=("u",), outputs=("y1",), parameters=parameters, workers=1) as model,
        pytest.raises(EvaluationError, match=r"reference state: the process died \(signal SIGABRT\)"),
    ):
        model.evaluate(np.array([[1.0]]), U)


def test_a_refused_parameter_is_named(fmu: Path) -> None:
    """``parameters`` that the FMU does not take."""
    with (
        FmuModel(
            fmu, coefficients=("a",), inputs=("u",), outputs=("y1",), parameters={"fault": -1}, workers=1
        ) as model,
        pytest.raises(EvaluationError, match="the parameter 'fault' = -1 was refused: fmi2SetInteger answered 'error'"),
    ):
        model.evaluate(np.array([[1.0]]), U)
