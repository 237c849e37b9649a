"""What never comes to rest is recognized before patience is used up; what does so slowly is not taken for it."""

import re
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin_assets.simulation.settle import Floats, Settled, SettleError, SettleSettings, settle

SETTINGS = SettleSettings()
PATIENCE = SETTINGS.max_settle_s
END = 20.0


class Model:
    """Outputs that are given functions of time, (m,); counts what it is asked for."""

    def __init__(self, *outputs: Callable[[float], float]) -> None:
        self.outputs = outputs
        self.time = 0.0
        self.steps = 0

    def advance(self, seconds: float) -> Floats:
        """As ``settle`` asks for it."""
        self.time += seconds
        self.steps += 1
        return np.array([output(self.time) for output in self.outputs])

    def settle(self, settings: SettleSettings = SETTINGS, quantum_s: float | None = None) -> Settled:
        """Its settled answer."""
        names = [f"y{number}" for number in range(len(self.outputs))]
        return settle(self.advance, names, np.ones(len(names)), settings, quantum_s)


def modes(*pairs: tuple[float, float]) -> Callable[[float], float]:
    """END plus amplitude * exp(-t / time constant) for each pair."""
    return lambda t: END + sum(amplitude * np.exp(-t / constant) for amplitude, constant in pairs)


def ringing(period_s: float, constant_s: float = np.inf, amplitude: float = 1.0) -> Callable[[float], float]:
    """END plus an oscillation that dies out with that time constant."""
    return lambda t: END + amplitude * np.sin(2.0 * np.pi * t / period_s) * np.exp(-t / constant_s)


@pytest.mark.parametrize("rate", [1e-4, 0.3, -1e-2, -5.0])
@pytest.mark.parametrize("slow", [[], [(1.0, 16.0)], [(3.0, 0.1), (-1.0, 30.0)]])
def test_a_drift_is_told_by_its_rate_in_a_third_of_the_patience(rate: float, slow: list[tuple[float, float]]) -> None:
    """Rising or falling, alone or behind a transient; the error gives the rate as it is, and few steps were made."""
    model = Model(lambda t: modes(*slow)(t) + rate * t)
    with pytest.raises(SettleError, match=rf"'y0' drifts by {rate:.3g} per s".replace("+", r"\+")):
        model.settle()
    assert model.time < PATIENCE / 3
    assert model.steps <= 20


def test_any_output_that_drifts_is_found_beside_one_that_settles() -> None:
    """The one that drifts is named, not the one that moves fastest."""
    model = Model(modes((100.0, 200.0)), lambda t: 1e-3 * t)
    with pytest.raises(SettleError, match=r"'y1' drifts by 0\.001 per s"):
        model.settle()


@pytest.mark.parametrize("period_s", [0.05, 0.3, 1.0, 2.0, 3.7, 7.3, 16.0, 64.0, 100.0])
def test_a_cycle_is_told_by_its_period_and_amplitude(period_s: float) -> None:
    """From a fortieth to fifty times the first step, at whatever phase the steps meet it."""
    model = Model(ringing(period_s, amplitude=0.01))
    with pytest.raises(SettleError, match="'y0' goes round with a period") as caught:
        model.settle()
    found = re.search(r"about (\S+) s and an amplitude of (\S+),", str(caught.value))
    assert found is not None
    period, amplitude = (float(number) for number in found.groups())
    assert period == pytest.approx(period_s, rel=0.02)
    assert amplitude == pytest.approx(0.01, rel=0.1)
    assert model.time < PATIENCE
    assert model.steps < 1300


def test_a_relaxation_oscillation_is_a_cycle_too() -> None:
    """It need not be a sine: Van der Pol's waveform, nearly, by a saturated one."""
    model = Model(lambda t: END + np.tanh(5.0 * np.sin(2.0 * np.pi * t / 9.0)))
    with pytest.raises(SettleError, match=r"period of about (8\.99|9|9\.01) s"):
        model.settle()


def test_a_cycle_behind_a_slow_transient_is_found() -> None:
    """The transient is over when the cycle is looked for."""
    model = Model(lambda t: modes((5.0, 60.0))(t) + 0.5 * np.sin(2.0 * np.pi * t / 5.0))
    with pytest.raises(SettleError, match="period of about 5 s"):
        model.settle()


def test_an_fmu_of_fixed_steps_is_sampled_by_its_steps() -> None:
    """No other times are asked for; the period is found where it is many of them."""
    asked: list[float] = []
    model = Model(ringing(30.0))

    def advance(seconds: float) -> Floats:
        asked.append(seconds)
        return model.advance(seconds)

    with pytest.raises(SettleError, match="period of about 30 s"):
        settle(advance, ["y0"], np.ones(1), SETTINGS, quantum_s=2.0)
    assert {seconds % 2.0 for seconds in asked} == {0.0}


@pytest.mark.parametrize(
    "output",
    [
        pytest.param(modes((1.0, PATIENCE / 25)), id="a slow mode"),
        pytest.param(modes((1e-3, PATIENCE / 10)), id="a slow mode, a tenth of the patience"),
        pytest.param(modes((1.0, 0.1), (1e-3, 16.0)), id="a dancer: a fast mode hides a slow one"),
        pytest.param(modes((1.0, 140.0), (-1.0, 100.0)), id="two slow modes against each other"),
        pytest.param(lambda t: modes((1.0, 140.0))(max(0.0, t - 25.0)), id="dead time"),
        pytest.param(ringing(7.3, 140.0), id="a damped oscillation"),
        pytest.param(ringing(64.0, 140.0), id="a damped oscillation, its period half a step"),
        pytest.param(lambda t: min(END, 5.0 + 0.03 * t), id="a tank that fills at a constant rate to its brim"),
        pytest.param(
            lambda t: END + max(0.0, 1.0 - t / 2500.0) * np.sin(2 * np.pi * t / 11.0), id="dry friction: dies linearly"
        ),
    ],
)
def test_what_settles_slowly_is_waited_for(output: Callable[[float], float]) -> None:
    """Neither a drift nor a cycle, but the closed form's end."""
    assert Model(output).settle().outputs[0] == pytest.approx(END, rel=1e-6)


@pytest.mark.parametrize("amplitude", [1.0, -0.1])
@pytest.mark.parametrize("tenths", [1, 2, 3, 5, 10])
def test_a_mode_too_slow_for_the_patience_is_said_to_creep(amplitude: float, tenths: int) -> None:
    """From a tenth of the patience to all of it: the remedy is more patience, and no drift is claimed."""
    with pytest.raises(SettleError, match="it creeps"):
        Model(modes((amplitude, tenths * PATIENCE / 10))).settle()


@pytest.mark.parametrize("tenths", [1, 3, 5])
def test_an_oscillation_that_dies_out_too_slowly_is_no_cycle(tenths: int) -> None:
    """It would settle with more patience, so no amplitude for ever is claimed."""
    with pytest.raises(SettleError, match="not settled after"):
        Model(ringing(7.3, tenths * PATIENCE / 10)).settle()


@given(
    st.lists(st.tuples(st.floats(-5, 5), st.floats(0.05, PATIENCE)), max_size=4),
    st.floats(0.5, 4.0),
    st.floats(0.1, 200.0),
    st.floats(1.0, PATIENCE / 3),
)
def test_no_sum_of_modes_and_damped_oscillation_is_taken_for_endless(
    pairs: list[tuple[float, float]], step_s: float, period_s: float, constant_s: float
) -> None:
    """Whatever ends is settled, or patience is too short for it; never is it said to drift or to go round."""
    model = Model(lambda t: modes(*pairs)(t) + ringing(period_s, constant_s)(t))
    try:
        model.settle(SettleSettings(step_s=step_s))
    except SettleError as error:
        assert str(error).startswith("not settled after")  # noqa: PT017 - most examples settle


def test_a_ramp_by_half_after_a_long_hold_is_not_settled() -> None:
    """A test that averages over all of the history passes it; here only what moves now counts."""
    held = Model(modes((1.0, 60.0)), lambda t: END * (1.0 + 0.5 * max(0.0, t - 400.0) / (PATIENCE - 400.0)))
    with pytest.raises(SettleError, match=r"'y1' drifts by 0\.00313 per s"):
        held.settle()
    ends = Model(modes((1.0, 60.0)), lambda t: END * (1.0 + 0.5 * min(1.0, max(0.0, t - 400.0) / 600.0)))
    assert ends.settle().outputs[1] == pytest.approx(1.5 * END, rel=1e-7)


@pytest.mark.parametrize("noise", [0.0, 2e-6])
def test_a_thousand_settled_samples_are_settled(noise: float) -> None:
    """A test that is never sure misses them; equal steps of a thousandth of the patience, still or with some noise."""
    random = np.random.default_rng(5)
    model = Model(lambda _: END + noise * random.uniform(-1, 1))
    for _ in range(1000):
        model.advance(3.6)
    settings = SettleSettings(step_s=3.6, max_settle_s=PATIENCE)
    answer = model.settle(settings)
    assert answer.outputs[0] == pytest.approx(END, rel=2e-7)
    assert answer.simulated_s < PATIENCE / 2


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_falling_ramp_is_as_unsettled_as_a_rising_one(sign: float) -> None:
    """A one-sided test calls the falling one steady."""
    with pytest.raises(SettleError, match=r"drifts by -?0\.01 per s"):
        Model(lambda t: END + sign * 0.01 * t).settle()


@pytest.mark.parametrize(
    ("factor", "what"), [(-3.0, "runs away"), (100.0, "runs away"), (4.0, "grows faster and faster")]
)
def test_what_diverges_in_long_steps_is_told_to_take_smaller_ones(factor: float, what: str) -> None:
    """An explicit solver beyond its limit multiplies its error at every step, until it is infinite or beyond sense."""
    model = Model(lambda _: float(np.clip(factor**model.steps, -1e300, 1e300)))
    with pytest.raises(SettleError, match=f"'y0'.* {what}.*a smaller max_step_s may help"):
        model.settle()


@pytest.mark.parametrize(
    ("max_step_s", "can_vary_step", "seconds", "steps"),
    [
        (None, True, 128.0, 1),
        (None, False, 128.0, 64),
        (1e-3, True, 128.0, 128_000),
        (0.3, True, 1.0, 4),
        (500.0, True, 128.0, 1),
        (0.5, False, 6.0, 12),
        (1.5, False, 6.0, 6),
    ],
)
def test_steps_are_cut_into_equal_ones_below_the_limit(
    max_step_s: float | None, can_vary_step: bool, seconds: float, steps: int
) -> None:
    """As many as are needed; where steps must not vary, each step of step_s is cut alike."""
    settings = SettleSettings(max_step_s=max_step_s)
    assert settings.sub_steps(seconds, can_vary_step=can_vary_step) == steps
