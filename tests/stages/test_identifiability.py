"""What a window told of the coefficients: seen in the filter's table, judged, and only ever a warning."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from twin_assets.model import PredictiveModel
from twin_assets.spec import TwinSpec
from twin_assets.stages.fingerprint import fingerprint
from twin_assets.stages.identifiability import told_in_window
from twin_assets.stages.observations import observe
from twin_assets.stages.states import states_of
from twin_assets.stages.ukf import UkfResult, assimilate
from twin_assets.stages.verdicts import identifiability
from twin_assets.windows import WindowGrid

Recorded = Callable[..., pd.DataFrame]
MakeSpec = Callable[..., TwinSpec]
NO_FLOW = [{"name": "flow", "noise_std": 1e6}, {"name": "pressure", "noise_std": 0.1}]
DAYS = ("2026-01-01", "2026-01-02")


def without(telemetry: pd.DataFrame, name: str, since: str) -> pd.DataFrame:
    """Telemetry in which a sensor has fallen silent."""
    return telemetry[(telemetry["property"] != name) | (telemetry["time"] < pd.Timestamp(since, tz="UTC"))]


def day(
    spec: TwinSpec, model: PredictiveModel, telemetry: pd.DataFrame, key: str, before: UkfResult | None = None
) -> UkfResult:
    """The filter's table of a day."""
    window = WindowGrid.of(spec).parse(key)
    units = tuple(telemetry["unit"].unique())
    observations = observe(spec, units, window, telemetry, pd.Timestamp("2026-02-01", tz="UTC")).frame
    return assimilate(spec, model, observations, fmu_sha256="f", previous=before.metadata if before else None)


@pytest.mark.parametrize("choice", ["report", "hold"])
def test_a_window_that_tells_everything_passes(
    make_spec: MakeSpec, model: PredictiveModel, recorded: Recorded, choice: str
) -> None:
    """Flow tells the wear, pressure the leak; and how many observations tell as much as the prior is a number."""
    spec = make_spec(identifiability=choice)
    result = day(spec, model, recorded("2026-01-01", "2026-01-02"), DAYS[0])
    verdict = identifiability(spec, result.frame, {})
    assert verdict.passed
    assert verdict.description == "What was measured tells all 2 coefficients apart."
    # Pressure changes by 5 noises over the leak's prior: 1 / 5.5² observations do.
    assert verdict.metadata["observations_to_tell"] == pytest.approx(1 / 5.5**2, rel=0.1)


@pytest.mark.parametrize("choice", ["report", "hold"])
def test_a_sensor_that_is_gone_is_told_by_what_it_told(
    make_spec: MakeSpec, model: PredictiveModel, recorded: Recorded, choice: str
) -> None:
    """The day after the pressure gauge fell silent nothing tells the leak any more, which was known: it warns."""
    spec = make_spec(identifiability=choice)
    telemetry = without(recorded("2026-01-01", "2026-01-03"), "pressure", DAYS[1])
    first = day(spec, model, telemetry, DAYS[0])
    second = day(spec, model, telemetry, DAYS[1], first)
    verdict = identifiability(spec, second.frame, states_of(first.metadata))
    assert (verdict.passed, verdict.refuses, verdict.metadata["not_told"]) == (False, False, 1)
    assert verdict.description.startswith("pump: what was measured no longer tells leak.")
    assert identifiability(spec, first.frame, {}).passed


@pytest.mark.parametrize("choice", ["report", "hold"])
def test_what_never_was_told_warns_unless_it_is_held(
    make_spec: MakeSpec, model: PredictiveModel, recorded: Recorded, choice: str
) -> None:
    """Pressure alone sees a product of wear and leak, a curved one: what it hides turns as the wear grows."""
    telemetry = without(recorded("2026-01-01", "2026-01-02"), "flow_meter", "2026-01-01")
    spec = make_spec(identifiability=choice, measurements=NO_FLOW)
    result = day(spec, model, telemetry, DAYS[0])
    verdict = identifiability(spec, result.frame, {})
    assert verdict.passed == (choice == "hold")
    assert verdict.description.startswith("pump: what was measured does not tell wear, leak apart (along wear - ")
    assert ("which is held" in verdict.description) == (choice == "hold")
    assert ("identifiability: hold" in verdict.description) == (choice == "report")


def test_each_unit_is_told_for_itself(spec: TwinSpec, model: PredictiveModel, recorded: Recorded) -> None:
    """One machine's gauge is gone, the other's is not; where nothing was measured nothing is said."""
    gone = without(recorded("2026-01-01", "2026-01-02", unit="east"), "pressure", "2026-01-01")
    whole = recorded("2026-01-01", "2026-01-02", unit="west")
    result = day(spec, model, pd.concat([gone, whole]), DAYS[0])
    told = told_in_window(spec, result.frame, {})
    assert {unit: len(found.untold) for unit, found in told.items()} == {"east": 1, "west": 0}
    assert (told["east"].observations, told["west"].observations) == (72, 72)
    assert told["east"].observations_to_tell > 1e4
    assert np.linalg.eigvalsh(told["west"].information)[0] > 1.0
    assert told_in_window(spec, result.frame.iloc[:0], {}) == {}
    silent = identifiability(spec, result.frame.assign(dof=0), {})
    assert (silent.passed, silent.description.startswith("No observations")) == (True, True)


def test_only_a_choice_replays(spec: TwinSpec, make_spec: MakeSpec) -> None:
    """To report is the default, and leaves the fingerprint as it has always been; to hold computes anew."""
    assert fingerprint(make_spec(identifiability="report"), "f") == fingerprint(spec, "f")
    assert fingerprint(make_spec(identifiability="hold"), "f") != fingerprint(spec, "f")


def test_held_through_the_stage(make_spec: MakeSpec, model: PredictiveModel, recorded: Recorded) -> None:
    """Nothing measures the leak's effect: by itself its variance drifts away, held it is the prior's at every row."""
    telemetry = without(recorded("2026-01-01", "2026-01-02"), "pressure", "2026-01-01")
    flow = [{"name": "flow", "property": "flow_meter", "noise_std": 0.05}]
    variances = {}
    for choice in ("report", "hold"):
        spec = make_spec(identifiability=choice, measurements=flow, virtual_sensors=[{"name": "pressure"}])
        variances[choice] = [cov[3] for cov in day(spec, model, telemetry, DAYS[0]).frame["state_cov"]]
    np.testing.assert_allclose(variances["hold"], 0.25, rtol=1e-9)
    assert variances["report"][-1] == pytest.approx(0.25 + 0.01**2 * 71 / 3)
