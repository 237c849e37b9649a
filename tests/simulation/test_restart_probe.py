"""Finding out how an FMU restarts: what it claims is tried, in processes that may crash."""

from pathlib import Path

import numpy as np
import pytest

from tests.simulation.conftest import MakeFmu
from tests.simulation.two_modes import Fault
from twin_assets.simulation import FmuModel, RestartOutcome, RestartReport, probe_restart


def probed(path: Path, fault: Fault = Fault.NONE) -> RestartReport:
    """The report on the test FMU."""
    return probe_restart(
        FmuModel(path, coefficients=("a", "b"), inputs=("u",), outputs=("y1", "y2", "y3"), parameters={"fault": fault})
    )


def test_an_fmu_that_restarts_every_way(fmu: Path) -> None:
    """All three ways give every bit again."""
    report = probed(fmu)
    assert [report.rollback.status, report.reset.status, report.serialize.status] == ["exact"] * 3
    assert report.used == "rollback"
    assert report.reproducible


def test_an_fmu_without_states(make_fmu: MakeFmu) -> None:
    """What is not claimed is not tried; a reset does."""
    report = probed(make_fmu(state=False))
    assert [report.rollback.status, report.reset.status] == ["not offered", "exact"]
    assert report.serialize.status == "not offered"
    assert report.used == "reset"
    assert report.reproducible


def test_a_state_that_crashes_elsewhere_is_found_out(fmu: Path) -> None:
    """The claim to serialize is tried in another process, which may die of it."""
    report = probed(fmu, Fault.CRASH_ON_RESTORE)
    assert report.rollback.status == "exact"
    assert report.serialize.status == "fails"
    assert "SIGABRT" in report.serialize.detail


def test_a_poisoned_state_is_found_out_and_harms_no_run(fmu: Path) -> None:
    """Bytes that come back as something else: the probe says so; evaluations do not rely on them."""
    report = probed(fmu, Fault.POISONED)
    assert (report.rollback.status, report.serialize.status) == ("exact", "fails")
    assert "'y2' became nan" in report.serialize.detail
    names = {"coefficients": ("a",), "inputs": ("u",), "outputs": ("y2",), "parameters": {"fault": Fault.POISONED}}
    with FmuModel(fmu, **names, workers=1) as model:  # type: ignore[arg-type]
        np.testing.assert_allclose(model.evaluate(np.array([[3.0]]), np.array([2.0])), [[6.0]], rtol=1e-6)


def test_an_fmu_that_remembers_is_found_out(fmu: Path) -> None:
    """Outputs that depend on what ran before make the twin not reproducible; the report says by how much."""
    report = probed(fmu, Fault.LEAKY)
    assert report.rollback.status == "inexact"
    assert "outputs differ by up to" in report.rollback.detail
    assert not report.reproducible


def test_the_detour_stays_within_the_bounds(fmu: Path) -> None:
    """A reference at its upper bound (and one at zero) is left downwards (upwards)."""
    names = {"coefficients": ("a", "b"), "inputs": ("u",), "outputs": ("y1", "y2", "y3")}
    report = probe_restart(FmuModel(fmu, **names, reference={"a": 0.0, "b": 50.0}))  # type: ignore[arg-type]
    assert report.rollback.status == "exact"


def test_a_model_that_is_to_be_followed_is_led_through_the_same_inputs_twice(make_fmu: MakeFmu) -> None:
    """In two processes, to the same bits: then a run goes on after another by replaying the recent past."""
    settings = {"coefficients": ("a", "b"), "inputs": ("u",), "outputs": ("y1", "y2"), "workers": 1}
    with FmuModel(make_fmu(), **settings, most_reads=4) as model:  # type: ignore[arg-type]
        report = probe_restart(model)
    assert report.replay == RestartOutcome("exact")
    assert report.across_runs == "replay of the recent past"
    with FmuModel(make_fmu(), **settings) as model:  # type: ignore[arg-type]
        assert probe_restart(model).across_runs is None


@pytest.mark.parametrize("fault", [Fault.POISONED, Fault.CRASH_ON_RESTORE])
def test_a_run_goes_on_by_replay_whatever_its_state_is_worth(make_fmu: MakeFmu, fault: Fault) -> None:
    """A state that is poison is told as such, and nothing depends on it; one that is good is told not to be needed."""
    settings = {"coefficients": ("a", "b"), "inputs": ("u",), "outputs": ("y1", "y2"), "workers": 1, "most_reads": 4}
    tried = "each run rolls back to a settled state (tried: rollback exact, reset exact, state in another process"
    for parameters, status, unused in (({"fault": fault}, "fails", ""), ({}, "exact", ", also where a state would do")):
        report = probe_restart(FmuModel(make_fmu(), **settings, parameters=parameters))  # type: ignore[arg-type]
        expected = f"{tried} {status}); a run goes on after another by replay of the recent past (exact){unused}"
        assert report.choice == expected
