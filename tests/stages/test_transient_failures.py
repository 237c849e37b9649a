"""A process that never rests, and a model of it that cannot be run everywhere: updates go on, or wait, and say so."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from tests.stages.moving import Swing, recorded, spec_of
from twin_assets.model import Attempt, FailedRow, Floats, InputPath
from twin_assets.stages.answers import model_answers
from twin_assets.stages.fingerprint import BLOCK
from twin_assets.stages.predictions import failed_predictions
from twin_assets.stages.results import coefficients_table, virtual_sensors_table
from twin_assets.stages.tables import Table
from twin_assets.stages.ukf import UkfResult, assimilate

TRUTH = np.array([2.1, 3.05])
NAMES = ("mass", "stiffness")
Fails = Callable[[Floats, Floats], np.ndarray]


class FragileSwing(Swing):
    """The swing, but from where on ``fails`` says of coefficients (k, n) and the forces (q,) of a path: (k, q)."""

    def __init__(self, fails: Fails) -> None:
        super().__init__()
        self.fails = fails

    def attempt_follow(self, coefficients: Floats, path: InputPath) -> Attempt:
        """See TolerantTransientModel."""
        outputs = self.follow(coefficients, path)
        broken = np.logical_or.accumulate(self.fails(coefficients, path.inputs[:, 0]), axis=1)[:, path.read]
        broken |= broken[:1]
        outputs[broken] = np.nan
        told = [0] if broken[0].any() else []
        told += [row for row in np.flatnonzero(broken[:, -1]).tolist() if row and (not told or not broken[0, -1])]
        return Attempt(outputs, tuple(self._failed(row, coefficients[row]) for row in told))

    def _failed(self, row: int, values: Floats) -> FailedRow:
        return FailedRow(row, dict(zip(NAMES, values.tolist(), strict=True)), "the spring broke")


def never(coefficients: Floats, force: Floats) -> np.ndarray:
    """Nowhere."""
    return np.zeros((len(coefficients), len(force)), dtype=bool)


def heaviest(coefficients: Floats, force: Floats) -> np.ndarray:
    """One sigma point of five, and what is beyond it."""
    return np.repeat(coefficients[:, :1] > coefficients[0, 0] + 1e-9, len(force), axis=1)


def pulled(coefficients: Floats, force: Floats) -> np.ndarray:
    """Everything, once the force pulls that hard."""
    return np.repeat(force[np.newaxis] < -3.5, len(coefficients), axis=0)


def soft_when_pulled(coefficients: Floats, force: Floats) -> np.ndarray:
    """The softest springs, once the force pulls hard."""
    soft = coefficients[:, 1:] < coefficients[0, 1] - 1e-9
    return np.asarray(soft & (force[np.newaxis] < -2.5))


def run(fails: Fails, observations: pd.DataFrame, before: UkfResult | None = None) -> UkfResult:
    """The filter's table."""
    existing = Table(before.frame, before.metadata) if before else None
    return assimilate(spec_of(), FragileSwing(fails), observations, fmu_sha256="f", existing=existing)


def test_updates_go_on_without_a_point_that_fails() -> None:
    """The table says at which values and why; what is learnt is what a whole model teaches, nearly."""
    observations = recorded(TRUTH, 180, 11, lead=100)
    whole, broken = run(never, observations), run(heaviest, observations)
    compared = whole.frame["position_reason"] == ""
    assert compared.sum() == 100
    assert (broken.frame["position_reason"][compared] == "").all()
    assert (broken.frame["failed_runs"][compared] > 0).all()
    assert (broken.frame["failed_runs"][~compared] == 0).all()
    assert broken.frame["failures"][compared].str.match(r"mass=2\.[0-9]+, stiffness=[0-9.]+: the spring broke").all()
    assert (broken.frame["method"] == "carried").sum() > 50
    one, other = (coefficients_table(spec_of(), result.frame).iloc[-1] for result in (whole, broken))
    for name, truth in zip(NAMES, TRUTH, strict=True):
        assert abs(one[name] - other[name]) < 0.2 * one[f"{name}_std"]
        assert other[f"{name}_lower"] < truth < other[f"{name}_upper"]
    verdict = model_answers(spec_of(), broken.frame, [])
    assert (verdict.severity, verdict.metadata["degraded"]) == ("warning", 100)


def test_where_nothing_can_be_run_time_passes_and_nothing_else() -> None:
    """As long as the recent past holds what the model does not bear; after that all is well again."""
    observations = recorded(TRUTH, 260, 11, lead=100)
    hard = np.flatnonzero(observations["force"] < -3.5)
    frame = run(pulled, observations).frame
    lost = (frame["position_reason"] == "model").to_numpy()
    due = np.array([i >= 80 and ((hard >= i - 80) & (hard <= i)).any() for i in range(260)])
    assert 0 < lost.sum() < 180
    np.testing.assert_array_equal(lost, due)
    assert (frame["method"][lost] == "prediction").all()
    assert (frame["failed_runs"][lost] > 0).all()
    last = coefficients_table(spec_of(), frame).iloc[-1]
    assert all(last[f"{n}_lower"] < t < last[f"{n}_upper"] for n, t in zip(NAMES, TRUTH, strict=True))


@pytest.mark.parametrize("fails", [heaviest, soft_when_pulled, pulled])
@pytest.mark.parametrize("cut", [99, BLOCK * 3, 131])
def test_wherever_a_run_is_cut_the_bytes_are_the_same(fails: Fails, cut: int) -> None:
    """What fails later, ahead of an observation, changes nothing of what is made of it."""
    observations = recorded(TRUTH, 150, 11, lead=100)
    whole = run(fails, observations)
    assert (whole.frame["failed_runs"] > 0).any()
    first = run(fails, observations.iloc[:cut])
    second = run(fails, observations, first)
    pd.testing.assert_frame_equal(first.frame, whole.frame.iloc[:cut], check_exact=True)
    pd.testing.assert_frame_equal(second.frame, whole.frame, check_exact=True)
    assert second.metadata == whole.metadata
    assert run(fails, observations, whole).model_runs == 0


def test_virtual_sensors_are_predicted_from_what_is_left_or_not_at_all() -> None:
    """Both are told; and a row before a failure is what it is without it."""
    observations = recorded(TRUTH, 150, 11, lead=100)
    states = run(never, observations).frame
    tables = {
        fails: virtual_sensors_table(spec_of(), FragileSwing(fails), states, observations)
        for fails in (never, heaviest, pulled)
    }
    whole, degraded, partly = (tables[fails].frame for fails in (never, heaviest, pulled))
    assert (tables[heaviest].degraded, tables[heaviest].unpredicted) == (70, 0)
    assert (np.abs(whole["speed"] - degraded["speed"]) / whole["speed_std"].rolling(12, 1).max()).max() < 0.3
    hard = np.flatnonzero(observations["force"] < -3.5)
    first = observations["time"].iloc[hard[hard >= 80][0]]
    assert 0 < tables[pulled].unpredicted < 70
    assert partly["time"].max() < first
    pd.testing.assert_frame_equal(partly, whole.iloc[: len(partly)], check_exact=True)
    told = failed_predictions(tables[pulled].metadata)
    assert len(told) == tables[pulled].unpredicted
    assert "the spring broke" in told[0]
