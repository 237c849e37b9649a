"""Faults: what was injected is what the stages find, and the ledger says so."""

import numpy as np
import pandas as pd
import pytest

from twin_assets.demo.direct import calibrate_directly
from twin_assets.demo.faults import LATE, SCRIPT, Recording, record
from twin_assets.demo.plant import Plant, operate
from twin_assets.demo.randomness import streams
from twin_assets.historian import SAMPLE_COLUMNS
from twin_assets.model import PredictiveModel
from twin_assets.spec import TwinSpec


@pytest.fixture
def plant(line: PredictiveModel, spec: TwinSpec, times: pd.DatetimeIndex) -> Plant:
    """Three days of the small line."""
    return operate(spec, line, times, streams(1)[0])


@pytest.fixture
def recording(plant: Plant, spec: TwinSpec) -> Recording:
    """What the historian gets of it."""
    return record(spec, "line_1", plant, streams(1)[1])


def test_a_recording_is_deterministic(plant: Plant, spec: TwinSpec, recording: Recording) -> None:
    """The same seed gives the same samples and the same faults."""
    again = record(spec, "line_1", plant, streams(1)[1])
    for name in ("prompt", "late", "injected"):
        pd.testing.assert_frame_equal(getattr(recording, name), getattr(again, name), check_exact=True)


def test_each_fault_has_a_channel_of_its_own(recording: Recording) -> None:
    """Dead, stuck, outliers, bad quality and out of range all occur, each on one channel; dropouts on any."""
    reasons = recording.injected.drop(columns="time")
    for fault in SCRIPT:
        if fault.reason != "missing":
            assert (reasons == fault.reason).any().sum() == 1
    assert (reasons == "missing").sum().max() > 20


def test_what_was_missing_has_no_sample_and_what_was_bad_says_so(recording: Recording, spec: TwinSpec) -> None:
    """The ledger agrees with the samples: no sample where it says missing, quality BAD where it says quality."""
    samples = pd.concat([recording.prompt, recording.late])
    assert tuple(samples.columns) == SAMPLE_COLUMNS
    for part in spec.measurements:
        reasons = recording.injected.set_index("time")[f"{part.name}_reason"]
        own = samples[samples["property"] == part.source].set_index("time")
        assert set(own.index) == set(reasons.index[reasons != "missing"])
        assert set(own.index[own["quality"] == "BAD"]) == set(reasons.index[reasons == "quality"])


def test_the_late_block_is_whole_and_apart(recording: Recording, times: pd.DatetimeIndex) -> None:
    """In the late block's time nothing arrives promptly, and nothing else is late."""
    block = times[int(LATE[0] * 216) : int(LATE[1] * 216)]
    assert set(recording.late["time"]) <= set(block)
    assert not recording.prompt["time"].isin(block).any()
    assert (recording.late["property"] == "line_speed").sum() == len(block)


def test_the_stages_notice_what_was_injected(
    recording: Recording, plant: Plant, line: PredictiveModel, spec: TwinSpec
) -> None:
    """Every injected reason comes out of the real stages as that reason; stuck needs its two hours to be known."""
    samples = pd.concat([recording.prompt, recording.late])
    state = calibrate_directly(spec, line, samples, virtual_sensors=False).ukf_state.set_index("time")
    assert plant.slip is not None
    false_alarms = 0
    for part in spec.measurements:
        said = state[: plant.slip][f"{part.name}_reason"]
        did = recording.injected.set_index("time")[f"{part.name}_reason"].loc[said.index]
        for fault in ("missing", "gated", "quality", "range"):
            assert (said[did == fault] == fault).all()
        stuck = said[did == "stuck"]
        assert (stuck[6:] == "stuck").all()
        false_alarms += int((said[did == ""] != "").sum())
    # The gate lets one good observation in 10,000 go; the line had 200 of them.
    assert false_alarms <= 1


@pytest.mark.parametrize(("count", "sticks"), [(12, False), (14, False), (15, False), (22, True), (36, True)])
def test_a_short_recording_has_faults_too(
    line: PredictiveModel, spec: TwinSpec, times: pd.DatetimeIndex, count: int, sticks: bool
) -> None:
    """Something arrives late and each fault is there, the stuck sensor if so long that it can be noticed."""
    plant = operate(spec, line, times[:count], streams(1)[0])
    recording = record(spec, "line_1", plant, streams(1)[1])
    assert len(recording.late)
    injected = set(recording.injected.drop(columns="time").to_numpy().ravel())
    assert injected == {"", *(fault.reason for fault in SCRIPT if sticks or fault.reason != "stuck")}
    samples = pd.concat([recording.prompt, recording.late])
    state = calibrate_directly(spec, line, samples, virtual_sensors=False).ukf_state
    assert (state[[f"{part.name}_reason" for part in spec.measurements]] == "stuck").to_numpy().any() == sticks


def test_noise_is_as_the_spec_says(recording: Recording, plant: Plant, spec: TwinSpec) -> None:
    """Untouched samples scatter about the truth with the spec's noise_std (within 25 % over 150 and more samples)."""
    samples = pd.concat([recording.prompt, recording.late])
    for part in spec.measurements:
        good = recording.injected.set_index("time")[f"{part.name}_reason"] == ""
        own = samples[samples["property"] == part.source].set_index("time")["value"]
        errors = (own - plant.outputs[part.name])[good[good].index]
        assert np.std(errors) == pytest.approx(part.noise_std, rel=0.25)
