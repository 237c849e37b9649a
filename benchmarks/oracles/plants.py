"""Plants in closed form, with what drives them and what sees them.

Belongs here: their formulas and numbers. How they are filtered is in ``consistency``.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from oracles.closed_form import ClosedForm
from twin_assets.estimation import Coefficients
from twin_assets.model import Floats


@dataclass(frozen=True, eq=False)
class Plant:
    """A model with what drives it and what sees it.

    Attributes:
        title: in words.
        model: its first outputs are measured, the others are virtual sensors.
        coefficients: prior, drift and bounds, which are the truth's as well.
        noise_std: (m,) of the measurements.
        missing: part of the measurements that is not there.
        steps: an hour apart.
        input_std: (p,) of the errors that the inputs are measured with.
    """

    title: str
    model: ClosedForm
    coefficients: Coefficients
    noise_std: Floats
    missing: float = 0.1
    steps: int = 25
    input_std: Floats = field(default_factory=lambda: np.empty(0))

    def inputs(self) -> Floats:
        """(steps, p) true ones: each swings about one with a period of its own."""
        periods = np.arange(len(self.model.inputs)) + np.pi
        return np.asarray(1.0 + 0.4 * np.sin(np.arange(self.steps)[:, np.newaxis] / periods), dtype=np.float64)


def _plant(
    title: str,
    function: Callable[[Floats], Floats],
    noise_std: tuple[float, ...],
    virtual: int,
    *,
    initial: tuple[float, ...],
    initial_std: float,
    drift: float,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> Plant:
    n, m = len(initial), len(noise_std)
    names = tuple(f"b{j + 1}" for j in range(n))
    outputs = tuple(f"y{j + 1}" for j in range(m)) + tuple(f"v{j + 1}" for j in range(virtual))
    coefficients = Coefficients(
        names,
        np.array(initial),
        np.full(n, initial_std),
        np.full(n, drift),
        np.full(n, bounds[0]),
        np.full(n, bounds[1]),
    )
    return Plant(title, ClosedForm(lambda b, _: function(b), names, outputs), coefficients, np.array(noise_std))


def _linear(b: Floats) -> Floats:
    matrix = np.array([[1.0, 0.5, 0.0], [0.0, 1.0, -1.0], [0.3, 0.0, 1.0], [1.0, 1.0, 1.0], [2.0, -1.0, 0.5]])
    return np.asarray(b @ matrix.T, dtype=np.float64)


def _saturating(b: Floats) -> Floats:
    first, second = b.T
    return np.column_stack(
        [
            2.0 * np.tanh(first / 2.0) + 0.2 * second,
            second - 0.3 * first,
            np.exp(0.2 * first) + second,
            2.0 * np.tanh((first + second) / 4.0),
            np.exp(0.3 * second),
        ]
    )


def _mixing(b: Floats) -> Floats:
    first, second, third = b.T
    return np.column_stack(
        [
            first + 0.5 * second,
            second + third,
            third - 0.5 * first,
            first + second + third,
            first * (1.0 + second),
        ]
    )


LINEAR = _plant("linear", _linear, (0.3, 0.5, 0.2), 2, initial=(0.0, 0.0, 0.0), initial_std=1.0, drift=0.2)
SATURATING = _plant("saturating", _saturating, (0.1, 0.2, 0.2), 2, initial=(0.0, 0.0), initial_std=0.5, drift=0.1)
# The ratios of the web line's bearings: prior 1 : 5 above the bound, a drift that crosses the prior within three steps.
AT_A_BOUND = _plant(
    "at a bound",
    _mixing,
    (0.06, 0.06, 0.06),
    2,
    initial=(0.1, 0.1, 0.1),
    initial_std=0.5,
    drift=0.29,
    bounds=(0.0, 5.0),
)
# A narrow range: the truth is within one step of a bound for a fifth of the time.
BETWEEN_BOUNDS = _plant(
    "between two bounds",
    _mixing,
    (0.06, 0.06, 0.06),
    2,
    initial=(0.1, 0.1, 0.1),
    initial_std=0.5,
    drift=0.1,
    bounds=(0.0, 1.0),
)
# The clamp bends over what the prior calls likely (its scale is 0.2 here), and the truth crawls within the bend: the
# Gaussian in z is at its worst. See "What it cannot know" in the README of ``twin_assets/estimation``.
CRAWLING = _plant(
    "crawling along a bound",
    _mixing,
    (0.05, 0.05, 0.05),
    2,
    initial=(0.1, 0.1, 0.1),
    initial_std=0.5,
    drift=0.05,
    bounds=(0.0, 5.0),
)


def _driven(b: Floats, inputs: Floats) -> Floats:
    """Gain and offset of a stage that is driven by two measured inputs."""
    (gain, offset), (drive, load) = b.T, inputs
    return np.column_stack(
        [
            gain * drive + offset,
            gain * drive**2 - 0.5 * load,
            offset + load,
            gain * drive * load,
            np.exp(0.5 * drive) + offset,
        ]
    )


# Of the innovations' variance the errors of the inputs are the larger part: ignored, 28 to 60 % of the intervals hold.
NOISY_INPUTS = Plant(
    "inputs with errors",
    ClosedForm(_driven, ("gain", "offset"), ("y1", "y2", "y3", "v1", "v2"), ("drive", "load")),
    Coefficients(
        ("gain", "offset"),
        np.array([1.0, 0.5]),
        np.full(2, 0.3),
        np.full(2, 0.02),
        np.full(2, -np.inf),
        np.full(2, np.inf),
    ),
    np.full(3, 0.03),
    input_std=np.array([0.05, 0.08]),
)
PLANTS = (LINEAR, SATURATING, AT_A_BOUND, BETWEEN_BOUNDS, CRAWLING, NOISY_INPUTS)
