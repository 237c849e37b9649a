"""The recent past: how far back a path begins, where it breaks, what is handed on."""

from dataclasses import replace

import numpy as np
import pytest

from twin_assets.model import Floats
from twin_assets.stages.history import History, Memory
from twin_assets.stages.transient import with_history
from twin_assets.stages.ukf_rows import Row

SECOND = 1_000_000_000
MEMORY = Memory(span_ns=10 * SECOND, bridge_ns=4 * SECOND, waits=True, linear=np.array([True]))
NOTHING = History(("u",), np.array([], dtype=np.int64), np.empty((0, 1)))


def row(second: float, value: float = 1.0, told: float = 2.0) -> Row:
    """An observation."""
    return Row(
        round(second * SECOND), np.array([value]), ("",) if np.isfinite(value) else ("missing",), np.array([told])
    )


def seen(*seconds: float) -> History:
    """Inputs that are their own times."""
    return NOTHING.with_rows([row(second, told=second) for second in seconds])


def test_a_path_begins_at_the_last_time_that_is_far_enough_back() -> None:
    """At least as long as the memory, by no more than one interval."""
    history = seen(*range(0, 40, 3))
    first, covered = history.beginning(history.place(30 * SECOND), MEMORY)
    assert (history.time_ns[first] / SECOND, covered) == (18, True)
    path = history.path(first, [history.place(30 * SECOND), history.place(36 * SECOND)], MEMORY)
    np.testing.assert_array_equal(path.times_s, [0, 3, 6, 9, 12, 15, 18])
    np.testing.assert_array_equal(path.inputs[:, 0], [18, 21, 24, 27, 30, 33, 36])
    np.testing.assert_array_equal(path.read, [4, 6])


@pytest.mark.parametrize(("second", "begins", "whole"), [(0, 0, False), (9, 0, False), (12, 0, True), (20, 20, False)])
def test_the_past_does_not_reach_over_a_gap(second: int, begins: int, whole: bool) -> None:
    """Nor before the first known input; up to there it is broken until it is as long as the memory."""
    history = seen(0, 3, 6, 9, 12, 20, 23)
    first, covered = history.beginning(history.place(second * SECOND), MEMORY)
    assert (history.time_ns[first] / SECOND, covered) == (begins, whole)


def test_unknown_inputs_are_bridged_or_break_the_past() -> None:
    """A row without its input is left out; it is a gap where the time between its neighbours is too long."""
    rows = [row(second, told=np.nan if second in {2, 13, 14, 15, 16} else 1.0) for second in range(28)]
    reasons = [each.reasons[0] for each in with_history(rows, NOTHING, MEMORY)]
    assert reasons[:10] == ["history"] * 2 + [""] + ["history"] * 7
    assert reasons[10:17] == [""] * 7
    assert reasons[17:27] == ["history"] * 10
    assert reasons[27:] == [""]


def test_what_is_handed_on_is_enough_and_no_more() -> None:
    """Whatever comes later finds the same beginnings from the recent past alone, also over windows without rows."""
    seconds = [*range(0, 30, 2), *range(40, 70, 3)]
    whole = seen(*seconds)
    for cut in range(1, len(seconds)):
        recent = seen(*seconds[:cut]).recent(MEMORY).recent(MEMORY)
        assert recent.time_ns[-1] - recent.time_ns[min(1, len(recent.time_ns) - 1)] < MEMORY.span_ns
        rest = recent.with_rows([row(second, told=second) for second in seconds[cut:]])
        for second in seconds[cut:]:
            (one, covered), (other, same) = (
                each.beginning(each.place(second * SECOND), MEMORY) for each in (whole, rest)
            )
            assert covered == same
            assert not covered or whole.time_ns[one] == rest.time_ns[other]


def test_a_settled_start_compares_from_the_first_observation() -> None:
    """With after_gap: settled nothing is withheld."""
    rows = [row(0), row(1, value=np.nan)]
    assert with_history(rows, NOTHING, replace(MEMORY, waits=False)) == rows


def test_the_past_of_other_inputs_says_nothing() -> None:
    """What was handed on about other inputs is not taken over."""
    past = seen(1, 2, 3)
    assert History.before(("u",), past) is past
    assert History.before(("v",), past).time_ns.size == 0
    assert History.before(("u",), None).inputs.shape == (0, 1)


def values(history: History) -> Floats:
    """The inputs."""
    return history.inputs[:, 0]


def test_known_inputs_of_unmeasured_observations_count() -> None:
    """An observation that only says how the inputs moved belongs to the past."""
    rows = [row(second, value=np.nan if second < 20 else 1.0, told=second) for second in range(0, 30, 2)]
    assert [each.reasons[0] for each in with_history(rows, NOTHING, MEMORY)] == ["missing"] * 10 + [""] * 5
    assert values(NOTHING.with_rows(rows)).tolist() == list(range(0, 30, 2))
