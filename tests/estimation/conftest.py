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


@dataclass(frozen=True)
class Building:
    """A room of heat capacity C behind two resistances: R1 to the weather, R2 to the ground; it is heated by a power P.

    C dT/dt = (T_out - T) / R1 + (T_ground - T) / R2 + P, from 20 degC at the beginning, has the solution

        T(t) = T_end + (20 - T_end) exp(-k t),  k = 1 / (R1 C) + 1 / (R2 C),
        T_end = (T_out / (R1 C) + T_ground / (R2 C) + P / C) / k.

    Without heating R1, R2 and C occur as R1·C and R2·C alone: f R1, f R2 and C / f give the same temperatures for any
    factor f. A known power brings in P / C by itself, and with it C. But a power that is the same all the time, like
    weather that is, leaves k and T_end to be seen, two numbers for three coefficients; two different powers leave none
    in doubt.

    Outputs: T after each of the hours, as a step of the weather would show it. Units: kW, kWh/K, K/kW, h, degC.
    """

    hours: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
    coefficients: tuple[str, ...] = ("R1", "R2", "C")
    inputs: tuple[str, ...] = ("outdoor", "ground", "power")

    @property
    def outputs(self) -> tuple[str, ...]:
        """Temperatures."""
        return tuple(f"T{hour:g}" for hour in self.hours)

    @property
    def noise_std(self) -> Floats:
        """Of the temperatures."""
        return np.full(len(self.hours), 0.05)

    def evaluate(self, coefficients: Floats, inputs: Floats) -> Floats:
        """Settled nowhere: the step response in closed form."""
        outdoor, ground, power = inputs
        r1, r2, c = coefficients.T[:, :, np.newaxis]
        rate = 1.0 / (r1 * c) + 1.0 / (r2 * c)
        end = (outdoor / (r1 * c) + ground / (r2 * c) + power / c) / rate
        return np.asarray(end + (20.0 - end) * np.exp(-rate * np.array(self.hours)), dtype=np.float64)


@pytest.fixture
def building() -> Building:
    """A room between weather and ground."""
    return Building()


@pytest.fixture
def room() -> Callable[..., Coefficients]:
    """(drift) -> R1, R2 and C as they are believed: positive, to 30 %; drift in parts of the value."""

    def make(drift: float = 0.0) -> Coefficients:
        initial, none = np.array([2.0, 5.0, 4.0]), np.zeros(3)
        return Coefficients(("R1", "R2", "C"), initial, 0.3 * initial, drift * initial, none, none + np.inf)

    return make
