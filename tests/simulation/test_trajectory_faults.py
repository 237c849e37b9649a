"""An FMU that fails on its way along a path: what it said before counts, and the others go on."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.simulation.conftest import MakeFmu
from tests.simulation.two_modes import Fault
from twin_assets.model import InputPath, attempt_follow
from twin_assets.simulation import FmuModel

# Where the input a exceeds a row's threshold, its FMU fails.
ROWS = np.array([[9.0, 0.0], [2.5, 0.0], [9.0, 1.0], [0.1, 0.0], [1.5, 0.5]])
PATH = InputPath(
    np.arange(5.0), np.array([[1.0], [1.0], [2.0], [3.0], [1.0]]), np.array([0, 1, 2, 3, 4]), np.array([False])
)
# The value that a row is the first not to bear counts from the time at which it is told.
KNOWN = (5, 4, 5, 0, 3)


def faulty(path: Path, fault: Fault, **options: Any) -> FmuModel:  # noqa: ANN401 - FmuModel's keywords
    """The test FMU with a as its moving input."""
    return FmuModel(
        path,
        coefficients=("threshold", "b"),
        inputs=("a",),
        outputs=("y1", "y3"),
        parameters={"fault": fault},
        reference={"threshold": 9.0},
        follow_step_s=0.5,
        most_reads=5,
        **({"workers": 1} | options),
    )


@pytest.mark.parametrize(
    ("fault", "reason", "options"),
    [
        (Fault.ERROR, "no convergence", {}),
        (Fault.ERROR, "no convergence", {"isolation": "thread"}),
        (Fault.NOT_A_NUMBER, "'y1' became nan", {"workers": 2}),
        (Fault.CRASH, "bearing seized", {"workers": 2}),
        (Fault.HANG, r"no answer within 1 s", {"timeout_s": 1.0}),
    ],
)
def test_what_was_said_before_a_failure_counts(
    make_fmu: MakeFmu, fault: Fault, reason: str, options: dict[str, Any]
) -> None:
    """Whether it answers so, dies or hangs; row by row as without any failure, and NaN from where it failed on."""
    fmu = make_fmu()
    with faulty(fmu, Fault.NONE) as model:
        whole = model.follow(ROWS, PATH)
    with faulty(fmu, fault, **options) as model:
        found = attempt_follow(model, ROWS, PATH)
    for row, known in enumerate(KNOWN):
        assert found.outputs[row, :known].tobytes() == whole[row, :known].tobytes()
        assert np.isnan(found.outputs[row, known:]).all()
    assert [failed.row for failed in found.failures] == [1, 3, 4]
    assert all(reason in failed.reason for failed in found.failures)
    assert found.failures[0].coefficients == {"threshold": 2.5, "b": 0.0}


def test_where_the_first_row_fails_the_others_are_followed_as_far(make_fmu: MakeFmu) -> None:
    """They may depend on it; what was known of all of them before is known."""
    order = [4, 0, 1, 3]
    with faulty(make_fmu(), Fault.ERROR) as model:
        found = model.attempt_follow(ROWS[order], PATH)
        nothing = model.attempt_follow(ROWS[[3, 0]], PATH)
    assert [int(np.isfinite(row).all(axis=1).sum()) for row in found.outputs] == [3, 3, 3, 0]
    assert [failed.row for failed in found.failures] == [0, 3]
    assert np.isnan(nothing.outputs).all()
    assert [failed.row for failed in nothing.failures] == [0]
