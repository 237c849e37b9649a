"""The procedure that self-calibrating twins are known by, written anew from its description: what we are held against.

Its state is coefficients and measurements together, so an update takes 2(n+m)+1 runs of the model; every run extracts
the FMU anew and starts cold; the model counts as settled when, over the last looks, nothing moved by more than a small
part a step. Process noise is left out of the predicted measurements' covariance, sigma points come from the root of the
covariance's absolute values, and coefficients are clipped at their bounds after the update.
"""

import shutil
import tempfile
from dataclasses import dataclass

import numpy as np

from twin_assets.model import Floats
from twin_assets.spec import TwinSpec
from twin_assets.spec_file import Twin
from twin_assets.stages.settings import coefficients_of, settings_of

STEP_S, LONGEST_S = 1.0, 600.0
LOOKS, MOVED = 10, 1e-6
SMALL = 1e-9


@dataclass
class ColdModel:
    """A model of which every run is extracted, instantiated and settled from cold; counts its runs."""

    twin: Twin
    runs: int = 0

    def run(self, coefficients: Floats, inputs: Floats) -> Floats:
        """(m,) measurements of coefficients (n,) under inputs (p,)."""
        import fmpy
        from fmpy.fmi2 import FMU2Slave

        self.runs += 1
        spec, folder = self.twin.spec, tempfile.mkdtemp()
        try:
            description = fmpy.read_model_description(self.twin.fmu_path)
            fmpy.extract(self.twin.fmu_path, folder)
            references = {variable.name: variable.valueReference for variable in description.modelVariables}
            fmu = FMU2Slave(
                guid=description.guid,
                unzipDirectory=folder,
                modelIdentifier=description.coSimulation.modelIdentifier,
                instanceName="cold",
            )
            fmu.instantiate()
            told = [references[part.name] for part in (*spec.coefficients, *spec.inputs)]
            fmu.setReal(told, [*coefficients.tolist(), *inputs.tolist()])
            fmu.setupExperiment(startTime=0.0)
            fmu.enterInitializationMode()
            fmu.exitInitializationMode()
            looks = _settled(fmu, [references[part.name] for part in spec.measurements])
            fmu.terminate()
            fmu.freeInstance()
        finally:
            shutil.rmtree(folder)
        return looks


def _settled(fmu: object, wanted: list[int]) -> Floats:
    time_s, looks = 0.0, []
    while time_s < LONGEST_S:
        fmu.doStep(time_s, STEP_S)  # type: ignore[attr-defined]
        time_s += STEP_S
        looks.append(np.array(fmu.getReal(wanted)))  # type: ignore[attr-defined]
        if len(looks) > LOOKS:
            recent = np.array(looks[-LOOKS - 1 :])
            if (np.abs(np.diff(recent, axis=0)) <= MOVED * np.abs(recent[1:])).all():
                break
    return np.asarray(looks[-1])


class ReferenceFilter:
    """The filter of that procedure.

    Attributes:
        mean: (n + m,) coefficients, then measurements.
        cov: (n + m, n + m).
        model: its runs.
    """

    def __init__(self, twin: Twin) -> None:
        spec: TwinSpec = twin.spec
        self.coefficients = coefficients_of(spec)
        self.noise_std = settings_of(spec).noise_std
        n, m = len(spec.coefficients), len(spec.measurements)
        self.n = n
        self.mean = np.concatenate([self.coefficients.initial, np.zeros(m)])
        self.cov = np.diag(np.concatenate([self.coefficients.initial_std**2, self.noise_std**2]))
        self.model = ColdModel(twin)

    def update(self, elapsed_h: float, observation: Floats, inputs: Floats) -> Floats:
        """Assimilate an observation (m,); (n,) coefficients afterwards."""
        size, n = self.mean.size, self.n
        root = np.linalg.cholesky(np.abs(self.cov) + SMALL**2 * np.eye(size)) * np.sign(self.cov)
        ways = np.sqrt(size) * root.T
        points = np.vstack([self.mean, self.mean + ways, self.mean - ways])
        inside = np.clip(points[:, :n], self.coefficients.lower, self.coefficients.upper)
        outputs = np.array([self.model.run(one, inputs) for one in inside])
        weights = np.full(len(points), 0.5 / size)
        weights[0] = 0.0
        predicted = weights @ outputs
        deviations, apart = inside - self.mean[:n], outputs - predicted
        seen = np.isfinite(observation)
        # Without the process noise, which is added only afterwards.
        innovation = apart[:, seen].T @ (weights[:, None] * apart[:, seen]) + np.diag(self.noise_std[seen] ** 2)
        cross = deviations.T @ (weights[:, None] * apart[:, seen])
        gain = np.linalg.solve(innovation, cross.T).T
        drift = self.coefficients.drift_std_per_sqrt_hour**2 * elapsed_h
        prior = deviations.T @ (weights[:, None] * deviations) + np.diag(drift)
        moved = self.mean[:n] + gain @ (observation - predicted)[seen]
        self.mean[:n] = np.clip(moved, self.coefficients.lower, self.coefficients.upper)
        self.mean[n:] = predicted
        self.cov[:n, :n] = prior - gain @ innovation @ gain.T
        return self.mean[:n].copy()
