"""What measured outputs keep differing by: found where it is, and not where there is only noise."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from twin_assets.model import Floats
from twin_assets.spec import TwinSpec
from twin_assets.stages.misfit import Misfit, lasting, lasting_misfits
from twin_assets.stages.results import virtual_sensors_table
from twin_assets.stages.ukf import assimilate

ROWS, OFF = 300, 0.2
TIMES = pd.date_range("2026-01-02", periods=ROWS, freq="5min", tz="UTC").as_unit("ns")


class Twice:
    """One coefficient that two channels show alike."""

    coefficients, inputs, outputs = ("level",), (), ("left", "right")

    def evaluate(self, coefficients: Floats, inputs: Floats) -> Floats:
        """See PredictiveModel."""
        assert inputs.size == 0
        return np.hstack([coefficients, coefficients])


@pytest.fixture
def spec() -> TwinSpec:
    """Both channels with the same noise."""
    return TwinSpec.model_validate(
        {
            "name": "tank",
            "model": {"fmu": "tank.fmu"},
            "coefficients": [{"name": "level", "initial": 5, "initial_std": 1}],
            "measurements": [{"name": "left", "unit": "m", "noise_std": 0.1}, {"name": "right", "noise_std": 0.1}],
        }
    )


@pytest.fixture
def misfits(spec: TwinSpec) -> Callable[[float], list[Misfit]]:
    """(off) -> what is found of two units, of the second of which the right channel shows so much too much."""

    def find(off: float) -> list[Misfit]:
        rng, frames = np.random.default_rng(4), []
        for unit, bias in (("one", 0.0), ("two", off)):
            values = 4.0 + 0.1 * rng.normal(size=(ROWS, 2)) + [0.0, bias]
            reasons = {f"{name}_reason": "" for name in ("left", "right")}
            frames.append(
                pd.DataFrame({"unit": unit, "time": TIMES, "left": values[:, 0], "right": values[:, 1], **reasons})
            )
        observations = pd.concat(frames, ignore_index=True)
        state = assimilate(spec, Twice(), observations, fmu_sha256="f").frame
        predictions = virtual_sensors_table(spec, Twice(), state, observations).frame
        return lasting_misfits(spec, observations, state, predictions)

    return find


def test_what_two_channels_disagree_by_is_shared_between_them(misfits: Callable[[float], list[Misfit]]) -> None:
    """Of a level between two channels that are 0.2 apart, each keeps being off by half of that; of equals, none."""
    assert misfits(0.0) == []
    found = misfits(OFF)
    assert [(each.unit, each.channel) for each in found] == [("two", "left"), ("two", "right")]
    for each in found:
        assert each.std == pytest.approx(OFF / 2.0, rel=0.1)
        assert each.relative == pytest.approx(OFF / 2.0 / (4.0 + OFF / 2.0), rel=0.1)
    assert str(found[0]).startswith("two left: 0.")
    assert " m (" in str(found[0])


def test_noise_alone_is_hardly_ever_taken_for_more() -> None:
    """Of 400 white series of 72 values, a day's, less than one in a hundred."""
    rng = np.random.default_rng(0)
    assert sum(lasting(rng.normal(size=72)) > 0.0 for _ in range(400)) < 4


def test_a_slow_swing_is_found_beside_noise() -> None:
    """The root mean square of a sine beneath noise as large as it, to a tenth; gaps take nothing from it."""
    rng, k = np.random.default_rng(1), np.arange(600)
    series = np.sin(k / 30.0) + np.sqrt(0.5) * rng.normal(size=k.size)
    series[rng.random(k.size) < 0.1] = np.nan
    assert lasting(series) == pytest.approx(np.sqrt(0.5), rel=0.1)


@pytest.mark.parametrize("series", [np.empty(0), np.full(100, np.nan), np.ones(30)])
def test_too_little_tells_nothing(series: Floats) -> None:
    """No values, none known, or 29 neighbours."""
    assert lasting(series) == 0.0
