"""How long a model remembers where it began: measured against the decay that its equations have."""

import numpy as np
import pytest

from tests.stages.moving import DAMPING, Swing, spec_of
from twin_assets.model import Floats, InputPath
from twin_assets.stages.forgetting import EXPECTED, Forgetting, forgetting
from twin_assets.stages.settings import coefficients_of

PRIOR = coefficients_of(spec_of())
# The heaviest sigma point decays most slowly, as exp(-d t / 2 m).
SLOWEST_S = 2.0 * (2.3 + np.sqrt(3.0) * 0.3) / DAMPING


def measured(memory_s: float, points: Floats | None = None, model: Swing | None = None) -> Forgetting | None:
    """Of the swing, whose force was seen between -1 and 2."""
    seen = np.array([[0.5], [-1.0], [2.0]]) if points is None else points
    return forgetting(model or Swing(), PRIOR, seen, np.array([True]), memory_s, 1e-9)


def test_what_is_left_is_what_the_slowest_time_constant_leaves() -> None:
    """Also of an oscillation, which passes through zero: its envelope counts."""
    for memory_s in (2.0 * SLOWEST_S, 5.0 * SLOWEST_S, 10.0 * SLOWEST_S):
        found = measured(memory_s)
        assert found is not None
        expected = np.exp(-memory_s / SLOWEST_S)
        assert 0.3 * expected < found.left < 2.0 * expected
        assert found.enough == (found.left <= EXPECTED)


@pytest.mark.parametrize("constants", [3.0, 5.0, 12.0])
def test_how_long_it_takes_is_told_also_where_the_memory_is_too_short(constants: float) -> None:
    """About seven of the slowest time constants, whatever memory was asked about."""
    found = measured(constants * SLOWEST_S)
    assert found is not None
    assert found.needed_s == pytest.approx(-np.log(EXPECTED) * SLOWEST_S, rel=0.2)


def test_an_input_that_was_seen_at_one_value_moves_a_little() -> None:
    """Before any telemetry, and for a force of zero."""
    for value in (0.0, 3.0):
        found = measured(5.0 * SLOWEST_S, np.array([[value]]))
        assert found is not None
        assert 0.3 * np.exp(-5.0) < found.left < 2.0 * np.exp(-5.0)


class Tank(Swing):
    """What flows in stays: levels only ever add up."""

    def follow(self, coefficients: Floats, path: InputPath) -> Floats:
        """It begins where its first input says."""
        flown = np.concatenate([[0.0], np.cumsum(np.diff(path.times_s) * path.inputs[:-1, 0])])
        level = path.inputs[0, 0] + flown[path.read]
        return np.repeat(np.column_stack([level, level])[np.newaxis], len(coefficients), axis=0)


class Deaf(Swing):
    """Its outputs do not depend on where it begins."""

    def follow(self, coefficients: Floats, path: InputPath) -> Floats:
        """Constant."""
        return np.ones((len(coefficients), path.read.size, 2))


def test_what_never_dies_out_and_what_never_shows_is_told_as_such() -> None:
    """No memory is long enough for the one; of the other nothing can be said."""
    found = measured(100.0, model=Tank())
    assert found is not None
    assert (found.needed_s, found.enough) == (None, False)
    assert found.left == pytest.approx(1.0, abs=0.2)
    assert measured(100.0, model=Deaf()) is None
