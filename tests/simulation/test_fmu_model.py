"""FMUs as predictive models: right answers, and the same ones whatever ran before and wherever."""

import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.simulation.conftest import MakeFmu
from tests.simulation.two_modes import SUFFIX, Fault, TwoModes
from twin_assets.model import EvaluationError, Floats, PredictiveModel
from twin_assets.simulation import FmuError, FmuModel, FmuReplacedError, SettleSettings, fmu_sha256
from twin_assets.simulation.process import WorkerProcess

U = np.array([2.0])
ROWS = np.random.default_rng(7).uniform(0.5, 2.0, (11, 2))


def two_modes(path: Path, **options: Any) -> FmuModel:  # noqa: ANN401 - FmuModel's keywords
    """The test FMU with coefficients a, b, input u and all outputs."""
    return FmuModel(path, coefficients=("a", "b"), inputs=("u",), outputs=("y1", "y2", "y3"), **options)


def closed_form(rows: Floats, inputs: Floats) -> Floats:
    """Where the outputs settle: a u, a b u, 3."""
    gain = rows[:, 0] * inputs[0]
    return np.column_stack([gain, gain * rows[:, 1], np.full(len(rows), 3.0)])


def claims(way: str) -> dict[str, Any]:
    """What the description claims, for each way that an evaluation may come back to its start."""
    ways: dict[str, dict[str, Any]] = {
        "rollback": {},
        "no state": {"state": False},
        "fixed coefficients": {"variability": "fixed"},
        "fixed step": {"varying_step": False},
    }
    return ways[way]


@pytest.mark.parametrize("way", ["rollback", "no state", "fixed coefficients", "fixed step"])
def test_settled_answers_are_the_closed_form_s(make_fmu: MakeFmu, way: str) -> None:
    """The slow mode of 16 s has ended, to 1e-6 relative, however the FMU restarts and steps."""
    with two_modes(make_fmu(**claims(way)), workers=2) as model:
        outputs = model.evaluate(ROWS, U)
    assert model.restart == ("reset" if way in {"no state", "fixed coefficients"} else "rollback")
    np.testing.assert_allclose(outputs, closed_form(ROWS, U), rtol=1e-6)


def test_it_is_a_predictive_model(fmu: Path) -> None:
    """What the estimation needs, by the Protocol's own names; the type checker holds the assignment."""
    model: PredictiveModel = two_modes(fmu)
    assert (model.coefficients, model.inputs, model.outputs) == (("a", "b"), ("u",), ("y1", "y2", "y3"))


@pytest.mark.parametrize("way", ["rollback", "fixed coefficients"])
def test_evaluations_are_pure(make_fmu: MakeFmu, way: str) -> None:
    """Bit-identical: repeated, after other batches and inputs, in another order, by one worker or three."""
    path = make_fmu(**claims(way))
    with two_modes(path, workers=1) as model:
        once = model.evaluate(ROWS, U)
        model.evaluate(ROWS[::-1] * 1.7, np.array([5.0]))
        again = model.evaluate(ROWS, U)
    order = np.array([0, *np.random.default_rng(1).permutation(np.arange(1, len(ROWS)))])
    with two_modes(path, workers=3) as model:
        shuffled = model.evaluate(ROWS[order], U)
        few = model.evaluate(ROWS[:2], U)
    assert again.tobytes() == once.tobytes()
    assert shuffled.tobytes() == once[order].tobytes()
    assert few.tobytes() == once[:2].tobytes()


@pytest.mark.parametrize("way", ["rollback", "no state", "fixed coefficients"])
def test_rows_may_have_inputs_of_their_own(make_fmu: MakeFmu, way: str) -> None:
    """One batch, the closed form of each row's input, the same bits by one worker or three."""
    inputs, path = np.linspace(1.0, 3.0, len(ROWS))[:, np.newaxis], make_fmu(**claims(way))
    found = []
    for workers in (1, 3):
        with two_modes(path, workers=workers) as model:
            found.append(model.attempt_each(ROWS, inputs).outputs)
    expected = np.vstack([closed_form(ROWS[i : i + 1], inputs[i]) for i in range(len(ROWS))])
    np.testing.assert_allclose(found[0], expected, rtol=1e-6)
    assert found[0].tobytes() == found[1].tobytes()


def test_a_row_that_fails_under_an_input_of_its_own_is_told_by_its_coefficients(fmu: Path) -> None:
    """The others answer; the failure names a and b, and nothing else."""
    rows, inputs = np.array([[1.0, 1.0], [1.5, 1.0], [0.9, 1.0]]), np.array([[1.0], [2.0], [3.0]])
    options = {"parameters": {"fault": Fault.NOT_A_NUMBER, "threshold": 1.1}, "workers": 1}
    with two_modes(fmu, **options) as model:
        found = model.attempt_each(rows, inputs)
    (failed,) = found.failures
    assert (failed.row, failed.coefficients) == (1, {"a": 1.5, "b": 1.0})
    assert np.isnan(found.outputs[1]).all()
    np.testing.assert_allclose(found.outputs[[0, 2], 0], [1.0, 2.7], rtol=1e-6)


def test_a_reset_forgets_and_start_values_are_set_again(make_fmu: MakeFmu) -> None:
    """Parameters other than the coefficients survive every reset: the input's gain stays that of the slow mode set."""
    path = make_fmu(state=False)
    with two_modes(path, parameters={"slow": 4.0, "fast": 0.5}, workers=1) as model:
        quick = [model.evaluate(ROWS, U) for _ in range(2)]
    assert quick[0].tobytes() == quick[1].tobytes()
    np.testing.assert_allclose(quick[0], closed_form(ROWS, U), rtol=1e-6)
    with two_modes(path, workers=1) as model:
        assert model.evaluate(ROWS, U).tobytes() != quick[0].tobytes()


def test_an_fmu_that_cannot_reset_is_instantiated_anew(make_fmu: MakeFmu) -> None:
    """A refused reset costs time, not the answer."""
    with two_modes(make_fmu(state=False), parameters={"fault": Fault.NO_RESET}, workers=1) as model:
        outputs = [model.evaluate(ROWS, U) for _ in range(2)]
    np.testing.assert_allclose(outputs[0], closed_form(ROWS, U), rtol=1e-6)
    assert outputs[0].tobytes() == outputs[1].tobytes()


def test_an_fmu_that_claims_a_state_and_has_none_is_reset(make_fmu: MakeFmu) -> None:
    """A claim that does not hold costs time, not the answer."""
    with two_modes(make_fmu(), parameters={"fault": Fault.NO_STATE}, workers=1) as model:
        np.testing.assert_allclose(model.evaluate(ROWS, U), closed_form(ROWS, U), rtol=1e-6)


def test_the_reference_is_where_evaluations_start(fmu: Path) -> None:
    """Evaluating the reference itself leaves nothing to settle: the answer is exact."""
    with two_modes(fmu, reference={"a": 2.0, "b": 3.0, "u": 2.0}, workers=1) as model:
        outputs = model.evaluate(np.array([[2.0, 3.0]]), U)
    np.testing.assert_allclose(outputs, [[4.0, 12.0, 3.0]], rtol=1e-12)


def test_runs_and_their_time_are_counted(fmu: Path) -> None:
    """Benchmarks compare wall time with the time inside the workers."""
    with two_modes(fmu, workers=1) as model:
        model.evaluate(ROWS, U)
        model.evaluate(ROWS[:1], U)
    assert model.model_runs == len(ROWS) + 1
    assert 0.0 < model.model_seconds < 60.0


def test_no_rows_no_answers(fmu: Path) -> None:
    """An empty batch has an empty answer of the right shape."""
    with two_modes(fmu, workers=1) as model:
        assert model.evaluate(np.empty((0, 2)), U).shape == (0, 3)


def test_without_inputs(fmu: Path) -> None:
    """A model may have no operating conditions."""
    with FmuModel(fmu, coefficients=("a",), inputs=(), outputs=("y1",), workers=1) as model:
        np.testing.assert_allclose(model.evaluate(np.array([[4.0]]), np.empty(0)), [[4.0]])


def test_wrong_shapes_and_a_closed_model_are_programming_errors(fmu: Path) -> None:
    """They keep their traceback."""
    model = two_modes(fmu, workers=1)
    with pytest.raises(RuntimeError, match="not open"):
        model.evaluate(ROWS, U)
    with model, pytest.raises(ValueError, match=r"\(k, 2\) and \(1,\) are expected"):
        model.evaluate(ROWS[:, :1], U)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"coefficients": ("A1",)}, "no variable 'A1'"),
        ({"coefficients": ("y1",)}, "coefficient 'y1' cannot be set: it is a continuous output"),
        ({"coefficients": ("fault",)}, "coefficient 'fault' is of type Integer, which has no values between"),
        ({"inputs": ("label",)}, "input 'label' is of type String"),
        ({"outputs": ("label",)}, "output 'label' is of type String"),
        ({"parameters": {"y1": 1.0}}, "parameter 'y1' cannot be set"),
        ({"parameters": {"label": 1.0}}, "parameter 'label' cannot be set"),
    ],
)
def test_what_cannot_be_set_or_read_is_refused_before_anything_runs(
    fmu: Path, options: dict[str, Any], message: str
) -> None:
    """Names and types are judged when the model is made."""
    names: dict[str, Any] = {"coefficients": ("a",), "inputs": ("u",), "outputs": ("y1",)}
    with pytest.raises(FmuError, match=message):
        FmuModel(fmu, **(names | options))


def test_a_damaged_binary_is_refused_when_it_is_extracted(fmu: Path, tmp_path: Path) -> None:
    """The table of contents is whole, the binary is not: nothing is left behind."""
    damaged = bytearray(fmu.read_bytes())
    at = damaged.index(b"\x7fELF") + 2000
    damaged[at : at + 100] = bytes(100)
    path = tmp_path / "damaged.fmu"
    path.write_bytes(damaged)
    before = extracted_folders()
    with pytest.raises(FmuError, match=r"cannot be extracted.*Bad CRC"), two_modes(path):
        pass
    assert extracted_folders() == before


@pytest.mark.parametrize("way", ["renamed", "written over"])
def test_what_is_loaded_is_what_was_described(fmu: Path, tmp_path: Path, way: str) -> None:
    """A file that is replaced between reading its description and loading it is refused, whichever way it was done.

    Its successor is then loaded under its own hash; what an open model was extracted from does not change any more.
    """
    path, other = tmp_path / "model.fmu", tmp_path / "other.fmu"
    shutil.copy(fmu, path)
    model = two_modes(path)
    assert model.sha256 == fmu_sha256(fmu)
    shutil.copy(fmu, other)
    with zipfile.ZipFile(other, "a") as archive:
        archive.writestr("resources/note.txt", "another build")
    if way == "renamed":
        other.rename(path)
    else:
        shutil.copyfile(other, path)
    before = extracted_folders()
    with pytest.raises(FmuReplacedError, match="was replaced in between") as caught, model:
        pass
    assert fmu_sha256(fmu)[:12] in str(caught.value)
    assert fmu_sha256(path)[:12] in str(caught.value)
    assert extracted_folders() == before
    with two_modes(path, workers=1) as loaded:
        path.unlink()
        assert loaded.sha256 != model.sha256
        assert np.isfinite(loaded.evaluate(ROWS, U)).all()


def test_a_library_that_cannot_be_loaded_is_an_error_with_the_reason(make_fmu: MakeFmu) -> None:
    """What the loader says is in the message."""
    path = make_fmu()
    bad = path.with_name("text.so")
    bad.write_text("no library")
    TwoModes().write(path, bad.rename(bad.with_name(f"two_modes{SUFFIX}")))
    with two_modes(path, workers=1) as model, pytest.raises(EvaluationError, match="cannot be loaded"):
        model.evaluate(ROWS, U)


def test_a_refused_instance_is_an_error(make_fmu: MakeFmu) -> None:
    """An FMU may decline, for example for want of a licence."""
    path = make_fmu(guid="none")
    with two_modes(path, workers=1) as model, pytest.raises(EvaluationError, match="fmi2Instantiate gave no instance"):
        model.evaluate(ROWS, U)


def test_a_reference_that_does_not_settle_is_an_error_about_the_reference(fmu: Path) -> None:
    """Its values are named; the model can be asked again, and answers the same."""
    settings = SettleSettings(max_settle_s=20.0)
    with two_modes(fmu, reference={"a": 2.5, "u": 1.0}, settle=settings, workers=1) as model:
        for _ in range(2):
            with pytest.raises(EvaluationError, match=r"reference state: not settled.*a=2\.5.*u=1") as caught:
                model.evaluate(ROWS, U)
    assert caught.value.coefficients == {"a": 2.5, "b": 1.0}


def extracted_folders() -> set[str]:
    """Folders of extracted FMUs that exist now."""
    return {path.name for path in Path(tempfile.gettempdir()).glob("twin-fmu-*")}


def test_nothing_is_left_behind(fmu: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Afterwards there is neither a folder nor a process."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with two_modes(fmu, workers=2) as model:
        model.evaluate(ROWS, U)
        assert len(extracted_folders()) == 1
        assert model._pool is not None
        pids = [worker.pid for worker in model._pool.workers if isinstance(worker, WorkerProcess)]
        assert len(pids) == 2
    assert extracted_folders() == set()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_script_without_main_guard_works(fmu: Path, tmp_path: Path) -> None:
    """Workers do not import the caller's program, so it needs no ``if __name__ == '__main__'``; nothing is printed."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(f"""
        from pathlib import Path
        import numpy as np
        from twin_assets.simulation import FmuModel
        names = dict(coefficients=("a",), inputs=("u",), outputs=("y1",), parameters={{"fault": 9, "threshold": 0}})
        with FmuModel(Path({str(fmu)!r}), **names, workers=2) as model:
            print(model.evaluate(np.array([[2.0], [3.0], [4.0]]), np.array([2.0]))[:, 0].round(6).tolist())
        """)
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == "[4.0, 6.0, 8.0]\n"
    assert done.stderr == ""
