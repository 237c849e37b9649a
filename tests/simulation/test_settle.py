"""Settling, on systems whose end is known in closed form."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from twin_assets.simulation.settle import Floats, SettleError, SettleSettings, settle

SETTINGS = SettleSettings()
END = 20.0


def decaying(
    *modes: tuple[float, float], ripple: Callable[[float], float] = lambda _: 0.0
) -> Callable[[float], Floats]:
    """A model with outputs (moving, constant): END plus amplitude * exp(-t / time constant) for each mode."""
    time = 0.0

    def advance(seconds: float) -> Floats:
        nonlocal time
        time += seconds
        moving = END + sum(amplitude * np.exp(-time / constant) for amplitude, constant in modes) + ripple(time)
        return np.array([moving, 5.0])

    return advance


def settled(advance: Callable[[float], Floats], settings: SettleSettings = SETTINGS) -> tuple[Floats, float, int]:
    """Outputs, simulated time and steps."""
    answer = settle(advance, ("moving", "constant"), np.ones(2), settings)
    return answer.outputs, answer.simulated_s, answer.steps


@pytest.mark.parametrize(
    "modes",
    [
        pytest.param([], id="nothing moves"),
        pytest.param([(1.0, 0.1)], id="fast"),
        pytest.param([(1.0, 16.0)], id="slow dancer"),
        pytest.param([(1.0, 0.1), (1e-3, 16.0)], id="a fast mode hides a slow one"),
        pytest.param([(1.0, 0.5), (0.1, 5.0), (-0.1, 50.0)], id="three modes"),
        pytest.param([(1.0, 16.0), (-1.0, 12.0)], id="two like modes against each other: it starts flat"),
        pytest.param([(-15.0, 60.0)], id="from far below"),
    ],
)
def test_settled_answers_are_the_closed_form_s_end(modes: list[tuple[float, float]]) -> None:
    """Whatever the modes, the answer is the end, to the tolerance; a constant output stays exactly what it is."""
    outputs, _, _ = settled(decaying(*modes))
    assert outputs[0] == pytest.approx(END, rel=1e-7)
    assert outputs[1] == 5.0


def test_a_single_slow_mode_ends_exactly() -> None:
    """The rest of a single mode is known exactly, so adding it leaves nothing but rounding."""
    loose = SettleSettings(tolerance=1e-3)
    outputs, _, _ = settled(decaying((1.0, 16.0)), loose)
    assert outputs[0] == pytest.approx(END, rel=1e-13)


def test_a_fixed_number_of_equal_steps_extrapolates_as_aitken_does() -> None:
    """Where steps do not grow, a single mode ends exactly, too."""
    equal = SettleSettings(step_s=2.0, max_settle_s=60.0, tolerance=9e-3)
    assert equal.longest_step_s == 2.0
    outputs, _, _ = settled(decaying((1.0, 16.0)), equal)
    assert outputs[0] == pytest.approx(END, rel=1e-13)


def test_the_naive_rule_would_stop_early() -> None:
    """Steps of a slow mode are small long before its end: the rest is 7.5 times the last change of 2 s."""
    advance = decaying((1e-2, 16.0))
    before, after = advance(50.0)[0], advance(2.0)[0]
    assert abs(after - before) < 1e-4
    assert abs(after - END) > 3e-4
    outputs, simulated_s, _ = settled(decaying((1e-2, 16.0)))
    assert simulated_s > 100.0
    assert outputs[0] == pytest.approx(END, rel=1e-9)


def test_doubling_steps_are_few() -> None:
    """250 simulated seconds take eight steps and one to confirm, not 125."""
    _, simulated_s, steps = settled(decaying((1.0, 16.0)))
    assert simulated_s > 200.0
    assert steps <= 10


@example([(3.1875, 54.8125), (-1.828125, 59.0)], 1.76171875)  # a turning point in the middle of a step
@given(
    st.lists(st.tuples(st.floats(-5, 5), st.floats(0.05, 60.0)), max_size=4),
    st.floats(0.5, 4.0),
)
def test_any_few_modes_settle_within_a_few_tolerances(modes: list[tuple[float, float]], step_s: float) -> None:
    """Random amplitudes and time constants up to a minute end right, to ten tolerances."""
    outputs, _, _ = settled(decaying(*modes), SettleSettings(step_s=step_s))
    assert outputs[0] == pytest.approx(END, rel=1e-6)


@pytest.mark.parametrize("period_s", [13.0, 2.0, 7.3])
def test_a_damped_oscillation_settles(period_s: float) -> None:
    """An oscillation that dies out ends at its mean, also if its period is the step's."""
    outputs, _, _ = settled(decaying(ripple=lambda t: np.sin(2 * np.pi * t / period_s) * np.exp(-t / 20.0)))
    assert outputs[0] == pytest.approx(END, rel=1e-7)


@pytest.mark.parametrize("period_s", [1.0, 2.0, 4.0, 64.0, 3.7])
def test_a_limit_cycle_is_refused_though_its_period_divides_the_steps(period_s: float) -> None:
    """A lasting oscillation is no settled answer, not even one that every step of the walk meets at the same phase."""
    with pytest.raises(SettleError, match=r"'moving' goes round"):
        settled(decaying(ripple=lambda t: 0.01 * np.sin(2 * np.pi * t / period_s)))


def test_solver_noise_is_averaged() -> None:
    """Trendless noise of a few tolerances on many outputs keeps none of them from settling."""
    noise, count, time = np.random.default_rng(1), 30, 0.0

    def advance(seconds: float) -> Floats:
        nonlocal time
        time += seconds
        return np.asarray(1.0 + np.exp(-time / 5.0) + 3e-7 * noise.uniform(-1, 1, count))

    answer = settle(advance, [f"y{index}" for index in range(count)], np.ones(count), SETTINGS)
    assert np.abs(answer.outputs - 1.0).max() < 6e-7
    assert answer.simulated_s < SETTINGS.max_settle_s / 2


def test_too_much_noise_is_refused() -> None:
    """Noise of many tolerances is no settled answer; the error says by how much the output moves."""
    noise = np.random.default_rng(1)
    with pytest.raises(SettleError, match=r"'moving' still moved by up to 0\.0.*solver's noise"):
        settled(decaying(ripple=lambda _: 1e-2 * noise.uniform(-1, 1)))


def test_a_mode_slower_than_patience_is_refused_with_its_time_constant() -> None:
    """What would settle later is an error that says how slow it is and what to raise, not a wrong answer."""
    with pytest.raises(SettleError, match=r"'moving'.*time constant about 4e\+03 s.*raise max_settle_s"):
        settled(decaying((1.0, 4000.0)))


def test_too_little_time_says_so() -> None:
    """Patience for less than two steps is an error about patience."""
    with pytest.raises(SettleError, match="too few steps"):
        settled(decaying(), SettleSettings(step_s=2.0, max_settle_s=1.0))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_outputs_that_are_not_finite_are_refused(bad: float) -> None:
    """NaN and infinity are errors that name the output."""
    with pytest.raises(SettleError, match="'moving' became"):
        settled(decaying(ripple=lambda t: bad if t > 5.0 else 0.0))


def test_small_outputs_count_by_their_nominal() -> None:
    """An output near zero settles relative to its nominal, not to itself."""
    tiny = settle(lambda _: np.array([0.0]), ("slip",), np.array([1e-3]), SETTINGS)
    assert tiny.outputs.tolist() == [0.0]
    time = 0.0

    def creeping(seconds: float) -> Floats:
        nonlocal time
        time += seconds
        return np.array([1e-6 * np.exp(-time / 16.0)])

    precise = settle(creeping, ("slip",), np.array([1e-6]), SETTINGS)
    assert abs(precise.outputs[0]) < 1e-13
