"""The filter on an FMU that diverges beyond a value of its coefficient: degraded updates, told, the same every time."""

from pathlib import Path

import numpy as np

from tests.simulation.two_modes import Fault
from twin_assets.estimation import Coefficients, FilterSettings, Step, coefficient_marginals, filter_step, prior
from twin_assets.simulation import FmuModel

TRUTH = np.array([1.05, 1.5])
U = np.array([2.0])
NOISE_STD = np.array([0.02, 0.02])
HOUR_NS = 3_600_000_000_000
COEFFICIENTS = Coefficients(
    names=("a", "b"),
    initial=np.array([1.0, 1.4]),
    initial_std=np.array([0.1, 0.2]),
    drift_std_per_sqrt_hour=np.zeros(2),
    lower=np.zeros(2),
    upper=np.array([50.0, 50.0]),
)


def followed(path: Path, fault: Fault, workers: int) -> list[Step]:
    """Twelve noisy observations; the FMU diverges where a > 1.1, half a prior standard deviation from the truth."""
    settings = FilterSettings(NOISE_STD, 1e-4)
    rng = np.random.default_rng(1)
    clean = np.array([TRUTH[0] * U[0], TRUTH[0] * TRUTH[1] * U[0]])
    names = {"coefficients": ("a", "b"), "inputs": ("u",), "outputs": ("y1", "y2")}
    parameters = {"fault": fault, "threshold": 1.1}
    state, steps = prior(COEFFICIENTS), []
    with FmuModel(path, **names, parameters=parameters, workers=workers) as model:  # type: ignore[arg-type]
        for hour in range(12):
            observation = clean + NOISE_STD * rng.normal(size=2)
            steps.append(filter_step(state, hour * HOUR_NS, observation, U, model, COEFFICIENTS, settings))
            state = steps[-1].state
    return steps


def test_an_fmu_that_diverges_for_some_coefficients_is_calibrated_all_the_same(fmu: Path) -> None:
    """The first updates lose a point, the later ones none, for they have learnt; the truth is found, as without."""
    steps = followed(fmu, Fault.NOT_A_NUMBER, 1)
    failures = [len(step.failures) for step in steps]
    assert failures[0] == 1
    assert failures[-1] == 0
    (failed,) = steps[0].failures
    assert failed.coefficients["a"] > 1.1
    assert "'y1' became nan" in failed.reason
    assert all(step.dof == 2 for step in steps)
    found = coefficient_marginals(steps[-1].posterior, COEFFICIENTS)
    assert (np.abs(found.mean - TRUTH) < 3.0 * found.std).all()
    whole = coefficient_marginals(followed(fmu, Fault.NONE, 1)[-1].posterior, COEFFICIENTS)
    np.testing.assert_allclose(found.mean, whole.mean, atol=float(whole.std.max()) / 10.0)


def test_degraded_updates_are_reproducible(fmu: Path) -> None:
    """Every bit, by one worker or two, which lose their processes at other moments."""
    once, again = followed(fmu, Fault.CRASH, 1), followed(fmu, Fault.CRASH, 2)
    assert [len(step.failures) for step in once] == [len(step.failures) for step in again]
    assert [step.posterior.root.tobytes() for step in once] == [step.posterior.root.tobytes() for step in again]
