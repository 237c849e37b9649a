"""Plants in closed form: what the filter is tried on."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from twin_assets.estimation import Coefficients, FilterSettings
from twin_assets.model import Floats

HOUR_NS = 3_600_000_000_000


@dataclass(frozen=True)
class ClosedForm:
    """A model whose outputs are a function of the coefficients (k, n) -> (k, m); inputs are ignored."""

    function: Callable[[Floats], Floats]
    coefficients: tuple[str, ...]
    outputs: tuple[str, ...]
    inputs: tuple[str, ...] = ()

    def evaluate(self, coefficients: Floats, inputs: Floats) -> Floats:
        """Evaluate all rows."""
        assert coefficients.ndim == 2
        assert inputs.shape == (len(self.inputs),)
        return self.function(coefficients)


MakeModel = Callable[[Callable[[Floats], Floats], int, int], ClosedForm]
MakeCoefficients = Callable[..., Coefficients]


def _model(function: Callable[[Floats], Floats], n: int, m: int) -> ClosedForm:
    return ClosedForm(function, tuple(f"b{i}" for i in range(n)), tuple(f"y{i}" for i in range(m)))


def _coefficients(
    n: int,
    *,
    initial: float | list[float] = 0.0,
    initial_std: float = 1.0,
    drift: float = 0.0,
    lower: float = -np.inf,
    upper: float = np.inf,
) -> Coefficients:
    return Coefficients(
        names=tuple(f"b{i}" for i in range(n)),
        initial=np.broadcast_to(np.asarray(initial, dtype=float), (n,)),
        initial_std=np.full(n, initial_std),
        drift_std_per_sqrt_hour=np.full(n, drift),
        lower=np.full(n, lower),
        upper=np.full(n, upper),
    )


@pytest.fixture
def make_model() -> MakeModel:
    """(function, n, m) -> a model with coefficients b0… and outputs y0…."""
    return _model


@pytest.fixture
def make_coefficients() -> MakeCoefficients:
    """(n, *, initial, initial_std, drift, lower, upper) -> coefficients b0…, alike."""
    return _coefficients


@dataclass(frozen=True)
class Line:
    """Idle rollers in a row: bearings of damping b brake, and one that brakes too much slips on its web.

    Tension steps b w / R at every roller until the grip's limit; from there the roller falls behind. Outputs: the
    speeds (rad/s), the tensions after the rollers (N), the slip velocities (m/s).
    """

    rollers: int = 3
    inputs: tuple[str, ...] = ("speed",)
    radius_m: float = 0.05
    stiffness_n: float = 2.7e5
    grip: float = 0.5

    @property
    def coefficients(self) -> tuple[str, ...]:
        """Dampings."""
        return tuple(f"b{i}" for i in range(self.rollers))

    @property
    def outputs(self) -> tuple[str, ...]:
        """Speeds, tensions, slip velocities."""
        return tuple(f"{name}{i}" for name in ("w", "t", "slip") for i in range(self.rollers))

    @property
    def noise_std(self) -> Floats:
        """Of the speeds and tensions."""
        return np.repeat([1e-3, 0.2], self.rollers)

    def evaluate(self, coefficients: Floats, inputs: Floats) -> Floats:
        """Settled answers in closed form."""
        tension = np.full(len(coefficients), 100.0)
        speeds, tensions, slips = [], [], []
        for damping in coefficients.T:
            web = inputs[0] * (1.0 + (tension - 100.0) / self.stiffness_n)
            most = self.grip * tension
            drag = damping * web / self.radius_m**2
            speed = web / self.radius_m / np.maximum(drag / most, 1.0)
            tension = tension + np.minimum(drag, most)
            speeds.append(speed)
            tensions.append(tension)
            slips.append(web - speed * self.radius_m)
        return np.column_stack(speeds + tensions + slips)


@pytest.fixture
def nine_rollers() -> Line:
    """Nine rollers, as on the web line; slip begins at b = 0.125."""
    return Line(rollers=9)


@pytest.fixture
def line() -> Line:
    """Three rollers, speeds and tensions measured; slip begins at b = 0.125."""
    return Line()


@pytest.fixture
def line_settings(line: Line) -> FilterSettings:
    """The noise of the line's measurements."""
    return FilterSettings(line.noise_std, gate_probability=1e-4)


@pytest.fixture
def bearings() -> Coefficients:
    """Three bearings, healthy at first."""
    return _coefficients(3, initial=1e-3, initial_std=5e-3, drift=5e-3, lower=0.0, upper=0.5)
