"""From a twin's folder to its model: the demonstration twin, whose FMU is really run."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from twin_assets.simulation import SettleSettings
from twin_assets.spec_file import Twin, load_twin
from twin_assets.stages.engine import coefficients_of, open_model, settings_of

TWINS = Path(__file__).parents[2] / "twins"


@pytest.fixture(scope="module")
def twin() -> Twin:
    """The web-handling line."""
    return load_twin("web_line", TWINS)


def test_model_speaks_the_names_of_the_spec(twin: Twin) -> None:
    """Coefficients, inputs, measurements and then virtual sensors, in the order of twin.yaml; answers are finite."""
    spec, coefficients = twin.spec, coefficients_of(twin.spec)
    with open_model(twin, workers=1) as model:
        assert model.coefficients == coefficients.names
        assert model.inputs == tuple(part.name for part in spec.inputs)
        measured = tuple(part.name for part in spec.measurements)
        assert model.outputs[: len(measured)] == measured
        assert model.outputs[len(measured) :] == tuple(part.name for part in spec.virtual_sensors)
        inputs = np.array([1.0 if part.constant is None else part.constant for part in spec.inputs])
        answer = model.evaluate(np.vstack([coefficients.initial, coefficients.initial * 2]), inputs)
    assert answer.shape == (2, len(model.outputs))
    assert np.isfinite(answer).all()
    assert not np.array_equal(answer[0], answer[1])


def test_where_the_fmu_runs_is_the_specs(twin: Twin) -> None:
    """In threads of this process, in processes that are replaced after every batch: the same to the bit."""
    rows = np.vstack([coefficients_of(twin.spec).initial] * 3) * [[1.0], [2.0], [3.0]]
    inputs = np.array([1.0 if part.constant is None else part.constant for part in twin.spec.inputs])
    found = []
    for changes in ({}, {"isolation": "thread"}, {"recycle_after": 2}):
        spec = twin.spec.model_copy(update={"model": twin.spec.model.model_copy(update=changes)})
        with open_model(replace(twin, spec=spec), workers=1) as model:
            found.append([model.evaluate(rows, inputs).tobytes() for _ in range(2)])
    assert found[1:] == found[:1] * 2


def test_steps_are_the_specs(twin: Twin) -> None:
    """How the model settles is as twin.yaml says, and its longest step too."""
    how = {"step_s": 1.0, "max_step_s": 0.5, "max_settle_s": 900.0, "tolerance": 1e-6}
    spec = twin.spec.model_copy(update={"model": twin.spec.model.model_copy(update=how)})
    assert open_model(replace(twin, spec=spec), workers=1).setup.settle == SettleSettings(**how)


def test_settings_are_the_specs(twin: Twin) -> None:
    """Noise in the order of the measurements, the gate from the checks, bounds and drift from the coefficients."""
    settings, coefficients = settings_of(twin.spec), coefficients_of(twin.spec)
    assert settings.noise_std.tolist() == [part.noise_std for part in twin.spec.measurements]
    assert settings.gate_probability == twin.spec.checks.gate_probability
    assert coefficients.drift_std_per_sqrt_hour.tolist() == [
        part.drift_std_per_sqrt_hour for part in twin.spec.coefficients
    ]
