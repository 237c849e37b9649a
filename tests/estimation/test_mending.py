"""What is made up for sigma points that failed: the parabola through what answered on their axis, or nothing."""

import numpy as np
import pytest

from twin_assets.estimation.mending import mended
from twin_assets.model import Floats

CENTER = np.array([2.0, -1.0])
# Two axes, not at right angles; along the second one the points are not equally far away.
POINTS = CENTER + np.array([[0.0, 0.0], [1.0, 0.5], [0.1, -0.2], [-1.0, -0.5], [-0.4, 0.8]])


def bent(points: Floats) -> Floats:
    """Two quadratic outputs."""
    x, y = points.T
    return np.column_stack([1.0 + 3.0 * x - y + x**2 - 2.0 * y**2 + x * y, 5.0 * x * y - 1e3])


class Counting:
    """The quadratic model with failing places; counts what it is asked."""

    def __init__(self, *failing: tuple[float, float]) -> None:
        self.failing, self.rows = np.array(failing).reshape(-1, 2), 0

    def __call__(self, points: Floats) -> Floats:
        """Run it."""
        self.rows += len(points)
        near = np.linalg.norm(points[:, np.newaxis] - self.failing, axis=2) < 1e-9
        return np.where(near.any(axis=1, keepdims=True), np.nan, bent(points))


def halfway(row: int) -> tuple[float, float]:
    """From the center to a point."""
    x, y = (POINTS[0] + POINTS[row]) / 2.0
    return float(x), float(y)


def test_what_is_whole_costs_nothing() -> None:
    """The same outputs, and no further run."""
    model = Counting()
    outputs = model(POINTS)
    assert mended(POINTS, outputs, model) is outputs
    assert model.rows == len(POINTS)


@pytest.mark.parametrize(
    ("lost", "further"),
    [
        pytest.param([1], [], id="one"),
        pytest.param([4], [], id="the farther one"),
        pytest.param([2], [], id="the nearer one"),
        pytest.param([1, 3], [], id="both of an axis"),
        pytest.param([1, 2, 3, 4], [], id="all but the center"),
        pytest.param([1], [1], id="one, and the one halfway"),
        pytest.param([2], [4], id="one, and one halfway on the other side"),
    ],
)
def test_quadratic_outputs_come_out_as_if_nothing_had_failed(lost: list[int], further: list[int]) -> None:
    """To rounding; the center and two points of each axis that lost any are run, no more."""
    model = Counting(*(tuple(POINTS[row]) for row in lost), *(halfway(row) for row in further))
    outputs = model(POINTS)
    before = model.rows
    found = mended(POINTS, outputs, model)
    assert found is not None
    np.testing.assert_allclose(found, bent(POINTS), rtol=1e-12)
    assert model.rows - before == 1 + 2 * len({(row - 1) % 2 for row in lost})


@pytest.mark.parametrize(
    ("lost", "further", "rows"),
    [
        pytest.param([0], [], 0, id="without the center no run is made"),
        pytest.param([2], [2, 4], 3, id="the opposite point alone is left of an axis"),
        pytest.param([1, 3], [1], 3, id="one point is left of an axis"),
        pytest.param([1, 3], [1, 3], 3, id="none is left of an axis"),
        pytest.param([4], [4], 3, id="four times as far as what is left"),
    ],
)
def test_where_too_little_is_left_nothing_is_made_up(lost: list[int], further: list[int], rows: int) -> None:
    """None, rather than a slope that nobody saw."""
    model = Counting(*(tuple(POINTS[row]) for row in lost), *(halfway(row) for row in further))
    outputs = model(POINTS)
    before = model.rows
    assert mended(POINTS, outputs, model) is None
    assert model.rows - before == rows
