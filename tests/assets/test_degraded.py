"""A model that fails here and there: what a run tells of it in Dagster, and what it publishes."""

from collections.abc import Callable
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from twin_assets.checks import MODEL_ANSWERS
from twin_assets.model import Attempt, FailedRow, Floats
from twin_assets.stages import CALIBRATED_COEFFICIENTS, REFUSED, UKF_STATE, VIRTUAL_SENSORS

DAYS = ("2026-01-01", "2026-01-02", "2026-01-03")
Line = Any  # conftest's, which cannot be imported


@pytest.fixture
def fragile(make_line: Callable[..., Line], record: Callable[[str, str], pd.DataFrame]) -> Line:
    """Three days; the model tears for the largest b9 of a batch at a speed of 1, and for all at 2, as on day two."""
    line = make_line()
    samples = record("2026-01-01", "2026-01-04")
    fast = (samples["property"] == "line_speed") & (samples["time"].dt.day == 2)
    line.write(samples.assign(value=samples["value"] + fast))
    line.model.attempt = tearing(line.model)
    return line


def tearing(model: Any) -> Callable[[Floats, Floats], Attempt]:  # noqa: ANN401 - conftest's, which cannot be imported
    """What makes a TolerantModel of the line's."""

    def attempt(coefficients: Floats, inputs: Floats) -> Attempt:
        outputs = model.evaluate(coefficients, inputs)
        if inputs[0] == 2.0:
            bad, outputs[:] = [0], np.nan
        else:
            bad = (np.flatnonzero(coefficients[1:, 1] > max(0.05, coefficients[0, 1])) + 1).tolist()
            outputs[bad] = np.nan
        rows = [FailedRow(i, dict(zip(model.coefficients, coefficients[i].tolist(), strict=True)), "tore") for i in bad]
        return Attempt(outputs, tuple(rows))

    return attempt


def test_what_failed_is_told_and_a_day_without_any_answer_is_refused(fragile: Line) -> None:
    """Days one and three go on with what is left, and are published; the check tells at which coefficients it tore."""
    result = fragile.materialize(DAYS[0], DAYS[-1])
    failed = [event.step_key for event in result.all_events if event.is_step_failure]
    assert (result.success, failed) == (False, ["line__published"])
    assert fragile.store.keys("line", REFUSED) == (DAYS[1],)
    (check,) = (found for found in result.get_asset_check_evaluations() if found.check_name == MODEL_ANSWERS)
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    first, second, third = check.description.split("\n")
    assert first.startswith(f"{DAYS[0]}: The model failed in ")
    assert second.startswith(f"{DAYS[1]}: Nothing that was measured of line met an answer of the model.")
    assert third.startswith(f"{DAYS[2]}: The model failed in ")
    verdicts = [record.data["verdict"] for record in check.metadata["verdicts"].records]
    assert verdicts == ["warning", "refused", "warning"]
    assert "b3=" in check.metadata["failures"].value
    shown = shown_of(result, UKF_STATE)
    assert shown[DAYS[1]]["unanswered_updates"].value == 12
    assert shown[DAYS[1]]["degraded_updates"].value == 0
    assert shown[DAYS[0]]["degraded_updates"].value > 0
    assert shown[DAYS[0]]["unanswered_updates"].value == 0
    predictions = shown_of(result, VIRTUAL_SENSORS)
    assert [predictions[day]["not_predicted"].value for day in DAYS] == [0, 12, 0]
    coefficients = fragile.store.read("line", CALIBRATED_COEFFICIENTS, DAYS[2])
    assert coefficients["b9_lower"].iloc[-1] < 0.05 < coefficients["b9_upper"].iloc[-1]


def shown_of(result: dg.ExecuteInProcessResult, stage: str) -> dict[str | None, Any]:
    """Window -> a stage's metadata."""
    return {
        event.partition: event.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.materialization.asset_key == dg.AssetKey(["line", stage])
    }
