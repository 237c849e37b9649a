"""twin.yaml of the line: it fits its FMU, and what its comments claim about measurements is so."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from twin_assets.simulation import read_description
from twin_assets.spec import TwinSpec
from twin_assets.spec_check import check_against_fmu
from twin_assets.spec_file import load_twin

Floats = NDArray[np.float64]
Settled = Callable[..., Mapping[str, float]]

HEALTHY: dict[str, float] = {}
SLIPPING = {"b3": 0.08, "b9": 0.175}


@pytest.fixture(name="spec")
def _spec(web_line_fmu: Path) -> TwinSpec:
    twin = load_twin("web_line", web_line_fmu.parents[1])
    check_against_fmu(twin, read_description(web_line_fmu))
    return twin.spec


def test_web_line_twin_fits_its_fmu(spec: TwinSpec) -> None:
    """Names and units are the FMU's; all nine bearings are inferred, all their rollers' speeds measured."""
    rollers = ("1", "2", "3", "4", "5", "7", "8", "9", "10")
    assert [coefficient.name for coefficient in spec.coefficients] == [f"b{roller}" for roller in rollers]
    assert {f"Roller{roller}_w" for roller in rollers} <= {measurement.name for measurement in spec.measurements}


def _sensitivity(spec: TwinSpec, settled: Settled, names: list[str], state: dict[str, float]) -> Floats:
    """d(measurements)/d(coefficients and line speed) over their noise, (m, n + 1), by differences of 1e-6."""
    noise = {m.name: m.noise_std for m in spec.measurements if m.noise_std is not None}
    columns = []
    for varied in [c.name for c in spec.coefficients] + ["web_speed_setpoint"]:
        at = state.get(varied, 1.0 if varied == "web_speed_setpoint" else 1e-3)
        high, low = (settled(**(state | {varied: at + change})) for change in (1e-6, -1e-6))
        columns.append([(high[name] - low[name]) / 2e-6 / noise[name] for name in names])
    return np.array(columns).T


def _worst_std(sensitivity: Floats, speed_std: float) -> float:
    """Largest standard deviation of a coefficient from one observation, if the line speed is only known so well."""
    information = sensitivity.T @ sensitivity
    information[-1, -1] += speed_std**-2
    return float(np.sqrt(np.diag(np.linalg.inv(information))[:-1]).max())


@pytest.mark.parametrize("state", [HEALTHY, SLIPPING])
def test_web_line_measurements_tell_nine_dampings_apart(
    spec: TwinSpec, settled: Settled, state: dict[str, float]
) -> None:
    """No combination of dampings is hidden: one observation gives each to 1e-3, smallest singular value > 800."""
    names = [m.name for m in spec.measurements]
    sensitivity = _sensitivity(spec, settled, names, state)
    assert np.linalg.svd(sensitivity[:, :-1], compute_uv=False)[-1] > 800
    assert _worst_std(sensitivity, 1e-12) < 1e-3


@pytest.mark.parametrize("state", [HEALTHY, SLIPPING])
def test_web_line_load_cells_stand_a_wrong_line_speed(
    spec: TwinSpec, settled: Settled, state: dict[str, float]
) -> None:
    """A line speed off by 1e-5 costs the roller speeds alone a factor of seven, with the load cells 8 %."""
    names = [m.name for m in spec.measurements]
    speeds = [name for name in names if name.endswith("_w")]
    alone, together = (_sensitivity(spec, settled, some, state) for some in (speeds, names))
    assert _worst_std(alone, 1e-5) > 6 * _worst_std(alone, 1e-12)
    assert _worst_std(together, 1e-5) < 1.09 * _worst_std(together, 1e-12)
