"""What the demonstration twin's tests share: its files, its build script, and its settled answers by name."""

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from twin_assets.simulation import FmuModel, SettleSettings, read_description

ROOT = Path(__file__).resolve().parents[2]
BEARINGS = ("b1", "b2", "b3", "b4", "b5", "b7", "b8", "b9", "b10")
SET_POINTS = {
    "web_speed_setpoint": 1.0,
    "tension_1_setpoint": 100.0,
    "tension_2_setpoint": 150.0,
    "rewind_tension_setpoint": 100.0,
}
Settled = Callable[..., Mapping[str, float]]


@pytest.fixture(scope="session", name="web_line_fmu")
def _web_line_fmu() -> Path:
    """The committed FMU."""
    return ROOT / "twins" / "web_line" / "web_line.fmu"


@pytest.fixture(scope="session", name="build_script")
def _build_script() -> ModuleType:
    """twins/web_line/model/build.py as a module."""
    spec = importlib.util.spec_from_file_location("web_line_build", ROOT / "twins" / "web_line" / "model" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session", name="settled")
def _settled(web_line_fmu: Path) -> Iterator[Settled]:
    """A function from dampings and set points by name to all settled outputs by name; what is not named is healthy."""
    outputs = tuple(v.name for v in read_description(web_line_fmu).variables if v.causality == "output")
    settings = SettleSettings(step_s=2.0, max_settle_s=4800.0, tolerance=1e-11)
    with FmuModel(
        web_line_fmu, coefficients=BEARINGS, inputs=tuple(SET_POINTS), outputs=outputs, settle=settings, workers=1
    ) as model:

        def evaluate(healthy: float = 1e-3, **values: float) -> Mapping[str, float]:
            coefficients = np.array([[values.get(name, healthy) for name in BEARINGS]])
            inputs = np.array([values.get(name, start) for name, start in SET_POINTS.items()])
            return dict(zip(outputs, model.evaluate(coefficients, inputs)[0].tolist(), strict=True))

        yield evaluate
