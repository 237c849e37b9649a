"""An FMU that is replaced while a run is at work: nothing is recorded under a hash that did not compute it."""

from collections.abc import Callable
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from twin_assets.simulation import fmu_sha256
from twin_assets.stages import CALIBRATED_COEFFICIENTS, OBSERVATIONS, TELEMETRY, UKF_STATE, VIRTUAL_SENSORS
from twin_assets.stages.fingerprint import FINGERPRINT, fingerprint

DAYS = ("2026-01-01", "2026-01-02", "2026-01-03")
Line = Any  # conftest's, which cannot be imported
Record = Callable[[str, str], pd.DataFrame]


@pytest.fixture
def line(own_fmu: Line, record: Record) -> Line:
    """Three days of telemetry, an FMU of its own, nothing materialized."""
    own_fmu.write(record(DAYS[0], "2026-01-04"))
    return own_fmu


def made_by(line: Line) -> list[str]:
    """What the filter's tables say they were computed by, of every day that has one."""
    keys = line.store.keys("line", UKF_STATE)
    return [line.store.metadata("line", UKF_STATE, key)[FINGERPRINT] for key in keys]


def due(line: Line) -> str:
    """What the FMU that is there now stands for."""
    return fingerprint(line.twin.spec, fmu_sha256(line.twin.fmu_path))


def told(result: dg.ExecuteInProcessResult) -> str:
    """What people are told of the first step that failed."""
    failure = next(event for event in result.all_events if event.is_step_failure)
    assert failure.step_failure_data.user_failure_data is not None
    return str(failure.step_failure_data.user_failure_data.description)


def test_a_run_goes_on_with_what_it_has_loaded(line: Line) -> None:
    """Replaced on the second day, the whole run is of the old one and says so; then all of it is to do again."""
    before, evaluate = due(line), line.model.evaluate
    replaced_after: list[int] = []

    def replacing(*arguments: Any) -> Any:  # noqa: ANN401 - of the model
        if line.store.keys("line", UKF_STATE) == DAYS[:1] and not replaced_after:
            replaced_after.append(line.model.model_runs)
            line.replace_fmu("second")
        return evaluate(*arguments)

    line.model.evaluate = replacing
    assert line.materialize(DAYS[0], DAYS[-1]).success
    assert replaced_after
    assert made_by(line) == [before] * 3
    assert due(line) != before
    assert line.pending() == list(DAYS)
    assert line.materialize(DAYS[0], DAYS[-1]).success
    assert made_by(line) == [due(line)] * 3
    assert line.pending() == []


def test_what_is_loaded_must_be_what_the_run_began_with(line: Line) -> None:
    """Replaced after the run asked for it and before it is loaded: the run ends with both hashes, the next works."""
    before, opener = fmu_sha256(line.twin.fmu_path), line.opener

    def replacing(*arguments: Any) -> Any:  # noqa: ANN401 - of an opener
        line.replace_fmu("second")
        return opener(*arguments)

    line.opener = replacing
    result = line.materialize(DAYS[0], DAYS[-1])
    assert not result.success
    assert "line.fmu: the FMU was replaced in between" in told(result)
    assert before[:12] in told(result)
    assert fmu_sha256(line.twin.fmu_path)[:12] in told(result)
    assert made_by(line) == []
    line.opener = opener
    assert line.materialize(DAYS[0], DAYS[-1]).success
    assert made_by(line) == [due(line)] * 3


def test_predictions_are_of_the_filters_model(line: Line) -> None:
    """In a process of its own, or by hand, virtual_sensors never predicts with another FMU than the filter ran.

    What was predicted before is kept all the same.
    """
    assert line.materialize(DAYS[0], DAYS[0]).success
    stages = (TELEMETRY, OBSERVATIONS, UKF_STATE, CALIBRATED_COEFFICIENTS)
    assert line.materialize(DAYS[1], DAYS[1], *stages, checks=False).success
    line.replace_fmu("second")
    assert line.materialize(DAYS[0], DAYS[0], VIRTUAL_SENSORS, checks=False).success
    result = line.materialize(DAYS[1], DAYS[1], VIRTUAL_SENSORS, checks=False)
    assert not result.success
    assert f"window {DAYS[1]} of twin 'line': 'ukf_state' was computed with another FMU" in told(result)
    assert "Materialize 'line/ukf_state' for this window first" in told(result)
    assert line.store.keys("line", VIRTUAL_SENSORS) == DAYS[:1]
    assert line.materialize(DAYS[0], DAYS[1]).success
    assert line.store.keys("line", VIRTUAL_SENSORS) == DAYS[:2]
