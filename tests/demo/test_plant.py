"""The plant: what its hidden coefficients do, and that chance has one source."""

import numpy as np
import pandas as pd
import pytest

from twin_assets.demo.plant import HEALTHY, SLIP_AT, SLIP_M_PER_S, SLIPPING, hidden_coefficients, operate, slip_onset
from twin_assets.demo.randomness import streams
from twin_assets.errors import TwinError
from twin_assets.model import PredictiveModel
from twin_assets.spec import TwinSpec


def test_a_seed_decides_about_everything(line: PredictiveModel, spec: TwinSpec, times: pd.DatetimeIndex) -> None:
    """The same seed gives the same plant to the last bit, another seed another one."""
    first, again, other = (operate(spec, line, times, streams(seed)[0]) for seed in (4, 4, 5))
    pd.testing.assert_frame_equal(first.truth(), again.truth(), check_exact=True)
    assert not np.allclose(first.coefficients, other.coefficients)


@pytest.mark.parametrize("seed", range(5))
def test_bearings_wear_as_the_story_says(
    line: PredictiveModel, spec: TwinSpec, times: pd.DatetimeIndex, seed: int
) -> None:
    """Healthy dampings stay positive and small; one wears to about 0.06; one until its roller slips near the end."""
    plant = operate(spec, line, times, streams(seed)[0])
    healthy, moderate, worn = (plant.coefficients[name] for name in ("b1", "b3", "b9"))
    assert healthy.min() > 0
    assert healthy.max() < 10 * HEALTHY[1]
    assert moderate.iloc[-1] == pytest.approx(0.06, abs=0.01)
    assert worn.iloc[-1] > 0.17
    assert plant.slip is not None
    part = (plant.slip - times[0]) / (times[-1] - times[0])
    assert part == pytest.approx(SLIP_AT, abs=0.03)
    assert (plant.outputs[SLIPPING][: plant.slip].iloc[:-1].abs() <= SLIP_M_PER_S).all()


def test_the_outputs_are_the_models_answer(line: PredictiveModel, spec: TwinSpec, times: pd.DatetimeIndex) -> None:
    """Every row is the model at that time's coefficients and operating conditions, the fast shift included."""
    plant = operate(spec, line, times, streams(1)[0])
    assert sorted(plant.inputs["web_speed_setpoint"].unique()) == [1.0, 1.1]
    for row in (0, 100, 215):
        expected = line.evaluate(plant.coefficients.to_numpy()[[row]], plant.inputs.to_numpy()[row])
        np.testing.assert_array_equal(plant.outputs.to_numpy()[row], expected[0])


def test_the_onset_of_slip_is_found_by_the_model(line: PredictiveModel) -> None:
    """The search finds the damping at which the roller begins to slip, to a thousandth of the range."""
    assert slip_onset(line, np.array([1.0])) == pytest.approx(0.17 + SLIP_M_PER_S, abs=3e-4)


def test_a_shorter_demonstration_shows_the_beginning(times: pd.DatetimeIndex) -> None:
    """Half a day wears as the first half day of three: rates do not depend on how long one looks."""
    names = ("b1", "b3", "b9")
    whole = hidden_coefficients(names, times, 0.17, np.random.default_rng(1))
    short = hidden_coefficients(names, times[:36], 0.17, np.random.default_rng(1))
    growth_whole, growth_short = (frame["b9"].iloc[35] - frame["b9"].iloc[0] for frame in (whole, short))
    assert growth_short == pytest.approx(growth_whole, abs=5e-3)
    assert short["b9"].max() < 0.05


def test_a_twin_that_the_story_does_not_fit_is_refused(line: PredictiveModel, times: pd.DatetimeIndex) -> None:
    """Another twin: the message names what it lacks and what to do instead."""
    pump = TwinSpec.model_validate(
        {
            "name": "pump",
            "model": {"fmu": "pump.fmu"},
            "coefficients": [{"name": "ua", "initial": 1, "initial_std": 1}],
            "measurements": [{"name": "t_out", "noise_std": 1}],
        }
    )
    with pytest.raises(TwinError, match=r"'pump'.*lacks Roller9_summary_SlipVelocity, b3, b9.*twin ingest"):
        operate(pump, line, times, np.random.default_rng(1))


def test_a_model_that_never_slips_is_said_so() -> None:
    """The story needs a roller that slips; a model in which none does is refused, not searched for ever."""

    class NoSlip:
        coefficients = ("b9",)
        inputs = ()
        outputs = (SLIPPING,)

        def evaluate(self, coefficients: np.ndarray, inputs: np.ndarray) -> np.ndarray:
            return np.zeros((len(coefficients), 1 + inputs.size))

    with pytest.raises(TwinError, match=r"does not slip up to b9 = 0\.25"):
        slip_onset(NoSlip(), np.array([]))
