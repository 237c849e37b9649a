"""The filter of a process that never rests: against a textbook filter, honest over many seeds, the same bits anyhow."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

from tests.stages.moving import EVERY_S, NOISE_STD, SPEC, START, Swing, forces, recorded, spec_of
from twin_assets.model import Floats, InputPath
from twin_assets.spec import TwinSpec
from twin_assets.stages.results import coefficients_table
from twin_assets.stages.states import states_of
from twin_assets.stages.tables import Table
from twin_assets.stages.ukf import UkfResult, assimilate

TRUTH = np.array([2.1, 3.05])
NAMES = ("mass", "stiffness")


def run(
    spec: TwinSpec, observations: pd.DataFrame, previous: UkfResult | None = None, existing: UkfResult | None = None
) -> UkfResult:
    """One window."""
    return assimilate(
        spec,
        Swing(),
        observations,
        fmu_sha256="f" * 64,
        existing=None if existing is None else Table(existing.frame, existing.metadata),
        previous=None if previous is None else previous.metadata,
    )


class Lag:
    """tau y' = gain u - y with the coefficient gain: linear in it, whatever u does; u is held."""

    coefficients = ("gain",)
    inputs = ("force",)
    outputs = ("position", "speed")
    decay = float(np.exp(-EVERY_S / 3.0))

    def evaluate(self, coefficients: Floats, inputs: Floats) -> Floats:
        """At rest."""
        return np.column_stack([coefficients[:, 0] * inputs[0], coefficients[:, 0]])

    def follow(self, coefficients: Floats, path: InputPath) -> Floats:
        """See TransientModel."""
        found = [coefficients[:, 0] * path.inputs[0, 0]]
        for force in path.inputs[:-1, 0]:
            found.append(self.decay * found[-1] + (1.0 - self.decay) * coefficients[:, 0] * force)
        levels = np.array(found)[path.read]
        return np.stack([levels.T, np.broadcast_to(coefficients, levels.T.shape)], axis=2)


def kalman(force: Floats, position: Floats, mean: float, std: float) -> tuple[Floats, Floats]:
    """The textbook filter of level and gain together (Kalman 1960); at rest in the beginning, so both are one."""
    state = np.array([mean * force[0], mean])
    spread = std**2 * np.outer([force[0], 1.0], [force[0], 1.0])
    means, variances = [], []
    for k, seen in enumerate(position):
        if k:
            step = np.array([[Lag.decay, (1.0 - Lag.decay) * force[k - 1]], [0.0, 1.0]])
            state, spread = step @ state, step @ spread @ step.T
        gain = spread[:, 0] / (spread[0, 0] + NOISE_STD**2)
        state, spread = state + gain * (seen - state[0]), spread - np.outer(gain, spread[0])
        means.append(state[1])
        variances.append(spread[1, 1])
    return np.array(means), np.array(variances)


def test_it_equals_the_kalman_filter_of_state_and_coefficient_where_that_is_exact() -> None:
    """A linear lag, its gain unknown, never at rest: the filter that estimates the level, too, says the same to 1e-9.

    Points that took over their states while the cloud shrank would be overconfident here, states made one before each
    interval would waste what was measured.
    """
    rng = np.random.default_rng(3)
    force = 2.0 + forces(80, rng)
    path = InputPath(np.arange(80.0) * EVERY_S, force[:, np.newaxis], np.arange(80), np.array([False]))
    position = Lag().follow(np.array([[1.4]]), path)[0, :, 0] + NOISE_STD * rng.normal(size=80)
    frame = recorded(TRUTH, 80, 0).assign(position=position, force=force)
    spec = spec_of(
        coefficients=[{"name": "gain", "initial": 1.0, "initial_std": 0.5}],
        inputs=[{"name": "force", "between": "hold"}],
        model={"after_gap": "settled", "memory_s": 1000.0},
    )
    result = assimilate(spec, Lag(), frame, fmu_sha256="f")
    means, variances = kalman(force, position, 1.0, 0.5)
    np.testing.assert_allclose(np.stack(result.frame["state_mean"].to_list())[:, 0], means, rtol=1e-9)
    np.testing.assert_allclose(np.stack(result.frame["state_cov"].to_list())[:, 0], variances, rtol=1e-9)
    assert set(result.frame["method"][np.arange(80) % 36 != 0]) == {"carried"}


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """A swing that was never at rest: over 150 seeds 95 % intervals of mass and stiffness hold 93 to 97 of 100 truths.

    Each truth is drawn from the prior, and nobody knows how the swing moved before the telemetry begins.
    """
    spec = spec_of()
    prior = {part["name"]: part for part in SPEC["coefficients"]}
    inside, squares = [], []
    for seed in range(150):
        rng = np.random.default_rng(1000 + seed)
        truth = np.array([prior[name]["initial"] + prior[name]["initial_std"] * rng.normal() for name in NAMES])
        result = run(spec, recorded(truth, 132, seed, lead=100))
        frame = coefficients_table(spec, result.frame.iloc[82::7])
        inside.append(
            [
                ((frame[f"{n}_lower"] <= t) & (t <= frame[f"{n}_upper"])).to_numpy()
                for n, t in zip(NAMES, truth, strict=True)
            ]
        )
        last = states_of(result.metadata)["swing"].state.posterior
        squares.append((last.mean - truth) @ np.linalg.solve(last.cov, last.mean - truth))
    coverage = np.mean(inside, axis=(0, 2))
    assert ((coverage >= 0.93) & (coverage <= 0.97)).all(), coverage
    # Chi-square of 300 degrees of freedom, 99 %.
    assert 240.66 < np.sum(squares) < 366.84


def test_points_are_carried_on_most_of_the_time() -> None:
    """Once the coefficients are known a little, one draw lasts from one new start to the next."""
    model = Swing()
    result = assimilate(spec_of(), model, recorded(TRUTH, 300, 1, lead=100), fmu_sha256="f")
    assert set(result.frame["position_reason"]) == {"history", ""}
    assert (result.frame["position_reason"] == "history").sum() == 80
    assert (result.frame["method"] == "carried").sum() >= 200
    assert model.model_runs == result.model_runs
    assert model.intervals <= 40 * len(result.frame)


@pytest.mark.parametrize("cut", [1, 80, 81, 107, 108, 120, 149])
def test_wherever_a_run_is_cut_the_bytes_are_the_same(cut: int) -> None:
    """New observations continue a window to the byte, also where points were being carried on."""
    observations = recorded(TRUTH, 150, 2, lead=100)
    whole = run(spec_of(), observations)
    first = run(spec_of(), observations.iloc[:cut])
    second = run(spec_of(), observations, existing=first)
    pd.testing.assert_frame_equal(second.frame, whole.frame, check_exact=True)
    assert second.metadata == whole.metadata
    assert (second.kept, second.assimilated) == (cut, 150 - cut)
    assert run(spec_of(), observations, existing=whole).model_runs == 0


def test_a_window_goes_on_from_the_recent_past_of_the_one_before() -> None:
    """Nothing is waited for again, and the coefficients come out as if there were one window."""
    observations = recorded(TRUTH, 240, 4, lead=100)
    whole = run(spec_of(), observations)
    first = run(spec_of(), observations.iloc[:120])
    empty = run(spec_of(), observations.iloc[:0], previous=first)
    second = run(spec_of(), observations.iloc[120:], previous=empty)
    assert set(second.frame["position_reason"]) == {""}
    one, other = (coefficients_table(spec_of(), result.frame).iloc[-1] for result in (whole, second))
    for name in NAMES:
        assert abs(one[name] - other[name]) < 0.05 * one[f"{name}_std"]


def test_what_is_handed_on_is_bounded_by_the_memory() -> None:
    """Of any window, however long, the inputs of one memory and one interval; to the bit."""
    observations = recorded(TRUTH, 200, 5)
    past = states_of(run(spec_of(), observations).metadata)["swing"].past
    assert past is not None
    assert past.time_ns.size == 81
    assert past.inputs[:, 0].tobytes() == observations["force"].to_numpy()[-81:].tobytes()


def test_a_gap_in_the_inputs_is_waited_out_and_said() -> None:
    """After a minute without telemetry nothing is compared for one memory; what is learnt then is right."""
    observations = recorded(TRUTH, 500, 6, lead=100)
    late = observations["time"] >= START + pd.Timedelta("100s")
    kept = observations[~(late & (observations["time"] < START + pd.Timedelta("160s")))]
    result = run(spec_of(), kept)
    reasons = result.frame["position_reason"].to_numpy()
    assert (reasons[:80] == "history").all()
    assert (reasons[80:200] == "").all()
    assert (reasons[200:280] == "history").all()
    assert (reasons[280:] == "").all()
    last = coefficients_table(spec_of(), result.frame).iloc[-1]
    assert all(last[f"{n}_lower"] < t < last[f"{n}_upper"] for n, t in zip(NAMES, TRUTH, strict=True))


def test_a_process_that_begins_at_rest_is_compared_from_the_first_observation() -> None:
    """after_gap: settled loses nothing where it is true, and is told of where it is not: innovations are too large."""
    settled = spec_of(model={"after_gap": "settled"})
    assert set(run(settled, recorded(TRUTH, 60, 7)).frame["position_reason"]) == {""}
    wrong = run(settled, recorded(TRUTH, 60, 7, lead=100)).frame
    assert (wrong["position_reason"] == "gated").sum() + (wrong["nis"] > 10.0).sum() > 5


def test_an_outlier_is_gated_and_points_are_drawn_anew() -> None:
    """What surprises is judged by a full look at the model, never by carried points."""
    observations = recorded(TRUTH, 140, 8, lead=100)
    observations["position"] += np.where(np.arange(140) == 120, 1.0, 0.0)
    frame = run(spec_of(), observations).frame
    assert frame["position_reason"][120] == "gated"
    assert frame["method"][120] == "prediction"
    assert (frame["position_reason"].iloc[80:] == "gated").sum() == 1


def test_inputs_that_were_never_measured_together_are_not_compared() -> None:
    """Without its input an observation is left out, and the past is bridged over it."""
    observations = recorded(TRUTH, 140, 9, lead=100)
    observations["force"] = observations["force"].where(np.arange(140) != 100)
    frame = run(spec_of(), observations).frame
    assert frame["position_reason"][100] == "input"
    assert set(frame["position_reason"].iloc[101:]) == {""}


def test_what_decides_about_the_past_is_in_the_fingerprint() -> None:
    """Another memory, another way between the values, another step: all is computed anew; descriptions are not."""
    base: Mapping[str, object] = {}
    observations = recorded(TRUTH, 90, 10)
    done = run(spec_of(**base), observations)
    held = [{**SPEC["inputs"][0], "between": "hold"}]
    for changed in (spec_of(model={"memory_s": 41.0}), spec_of(inputs=held), spec_of(model={"follow_step_s": 0.1})):
        assert run(changed, observations, existing=done).kept == 0
    assert run(spec_of(title="Swing"), observations, existing=done).kept == 90
