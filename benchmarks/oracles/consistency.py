"""How often a filter is right about itself, over many seeds of a plant.

If prior, drift and noise are what the filter believes, its normalised errors squared follow chi-square laws
(Bar-Shalom, Li and Kirubarajan 2001, 5.4), and its 95 % intervals hold the truth in 95 of 100 cases. Nothing is tuned
here: the truth starts from the prior, walks by the drift and is reflected at its bounds.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from oracles.plants import Plant
from twin_assets.estimation import (
    FilterSettings,
    Gaussian,
    coefficient_marginals,
    filter_step,
    predict_outputs,
    prior,
    smoothed,
)
from twin_assets.estimation.bounds import to_physical, to_state
from twin_assets.model import Floats

HOUR_NS = 3_600_000_000_000
# Outliers are not the subject; a good observation is refused once in a billion.
_GATE = 1e-9


@dataclass(frozen=True, eq=False)
class Intervals:
    """95 % intervals of q quantities at each of s steps, beside the truth.

    Attributes:
        truth: (s, q).
        lower: (s, q).
        upper: (s, q).
    """

    truth: Floats
    lower: Floats
    upper: Floats

    @property
    def held(self) -> NDArray[np.bool_]:
        """(s, q) whether the interval held the truth."""
        return (self.lower <= self.truth) & (self.truth <= self.upper)


@dataclass(frozen=True, eq=False)
class Run:
    """What one seed gave at each of s steps.

    Attributes:
        nees: (s,) normalised estimation error squared of the n states.
        nis: (s,) normalised innovation squared.
        dof: (s,) of the NIS: measurements used.
        gated: (s,) measurements refused.
        coefficients: of n.
        virtual: of the virtual sensors.
        nees_smoothed: (s,) as ``nees``, of the smoothed states.
        smoothed: of n coefficients, by all observations.
        narrowed: (s, n) standard deviations of the smoothed states as parts of the filter's.
        noise_std: (m,) as given or, at the last step, as estimated.
    """

    nees: Floats
    nis: Floats
    dof: NDArray[np.intp]
    gated: NDArray[np.intp]
    coefficients: Intervals
    virtual: Intervals
    nees_smoothed: Floats
    smoothed: Intervals
    narrowed: Floats
    noise_std: Floats


@dataclass(frozen=True, eq=False)
class Consistency:
    """Many seeds of one plant.

    Attributes:
        n: coefficients.
        runs: one a seed.
    """

    n: int
    runs: tuple[Run, ...]

    def nees(self) -> Floats:
        """(s,) average over the seeds, per coefficient: 1 where the filter is right about its covariance."""
        return np.asarray(np.mean([run.nees for run in self.runs], axis=0) / self.n, dtype=np.float64)

    def nees_smoothed(self) -> Floats:
        """(s,) the same of the smoothed states."""
        return np.asarray(np.mean([run.nees_smoothed for run in self.runs], axis=0) / self.n, dtype=np.float64)

    def nees_bounds(self, part: float) -> tuple[float, float]:
        """Between which one step's average lies with this probability: over independent seeds it is chi-square."""
        return _bounds(self.n * len(self.runs), part)

    def nis(self) -> float:
        """Average over all steps and seeds, per measurement."""
        return float(sum(run.nis.sum() for run in self.runs) / self.measurements)

    def nis_bounds(self, part: float) -> tuple[float, float]:
        """Between which it lies with this probability: a consistent filter's innovations are independent."""
        return _bounds(self.measurements, part)

    @property
    def measurements(self) -> int:
        """How many were used."""
        return int(sum(run.dof.sum() for run in self.runs))

    @property
    def gated(self) -> int:
        """How many were refused."""
        return int(sum(run.gated.sum() for run in self.runs))

    def coverage(self) -> Floats:
        """(n,) part of each coefficient's intervals that held the truth."""
        return np.asarray(np.mean([run.coefficients.held for run in self.runs], axis=(0, 1)), dtype=np.float64)

    def coverage_smoothed(self) -> Floats:
        """(n,) part of each coefficient's smoothed intervals."""
        return np.asarray(np.mean([run.smoothed.held for run in self.runs], axis=(0, 1)), dtype=np.float64)

    def coverage_virtual(self) -> Floats:
        """(v,) part of each virtual sensor's."""
        return np.asarray(np.mean([run.virtual.held for run in self.runs], axis=(0, 1)), dtype=np.float64)


def _bounds(dof: int, part: float) -> tuple[float, float]:
    from scipy.special import chdtri

    # chdtri takes the probability to exceed.
    return float(chdtri(dof, (1.0 + part) / 2.0) / dof), float(chdtri(dof, (1.0 - part) / 2.0) / dof)


def consistency(
    plant: Plant, seeds: Iterable[int], *, noise_given: bool = True, errors_known: bool = True
) -> Consistency:
    """Play all seeds, with the measurements' noise given or to be estimated, the inputs' errors known or ignored."""
    runs = tuple(play(plant, seed, noise_given=noise_given, errors_known=errors_known) for seed in seeds)
    return Consistency(len(plant.coefficients.names), runs)


@cache
def played(plant: Plant, seeds: int) -> Consistency:
    """The first seeds, once for all who ask."""
    return consistency(plant, range(seeds))


def walk(plant: Plant, rng: np.random.Generator) -> Floats:
    """(s, n) true coefficients: drawn from the prior, then a random walk that the bounds reflect."""
    coefficients = plant.coefficients
    start = prior(coefficients).posterior
    truth = [to_physical(start.mean + start.std * rng.normal(size=start.mean.size), coefficients)]
    for _ in range(plant.steps - 1):
        moved = truth[-1] + coefficients.drift_std_per_sqrt_hour * rng.normal(size=start.mean.size)
        moved = np.where(moved < coefficients.lower, 2.0 * coefficients.lower - moved, moved)
        truth.append(np.where(moved > coefficients.upper, 2.0 * coefficients.upper - moved, moved))
    return np.array(truth)


def play(plant: Plant, seed: int, *, noise_given: bool = True, errors_known: bool = True, reuse: bool = False) -> Run:
    """One life of the plant, filtered by all sigma points or by slopes that are reused.

    Errors of its inputs are known by their standard deviation, or ignored.
    """
    rng = np.random.default_rng(seed)
    truth = walk(plant, rng)
    m = plant.noise_std.size
    inputs = plant.inputs()
    outputs = np.vstack([plant.model.evaluate(*each) for each in zip(truth[:, np.newaxis], inputs, strict=True)])
    observations = outputs[:, :m] + plant.noise_std * rng.normal(size=(plant.steps, m))
    observations[rng.random(observations.shape) < plant.missing] = np.nan
    seen = inputs + plant.input_std * rng.normal(size=inputs.shape)
    errors = plant.input_std if errors_known else None
    noise_std = plant.noise_std if noise_given else np.full(m, np.nan)
    settings = FilterSettings(noise_std, _GATE, reuse=reuse, input_std=errors)
    state, steps, said = prior(plant.coefficients), [], []
    for k, (observation, condition) in enumerate(zip(observations, seen, strict=True)):
        step = filter_step(state, k * HOUR_NS, observation, condition, plant.model, plant.coefficients, settings)
        state = step.state
        steps.append(step)
        believed = step.joint or step.posterior
        said.append(predict_outputs(believed, condition, plant.model, plant.coefficients, errors))
    known = [step.posterior for step in steps]
    later = smoothed([step.time_ns for step in steps], known, plant.coefficients)
    return Run(
        nees=_nees(known, truth, plant),
        nis=np.array([step.nis for step in steps]),
        dof=np.array([step.dof for step in steps]),
        gated=np.array([step.reasons.count("gated") for step in steps]),
        coefficients=_intervals(known, truth, plant),
        virtual=Intervals(
            outputs[:, m:], np.array([one.lower[m:] for one in said]), np.array([one.upper[m:] for one in said])
        ),
        nees_smoothed=_nees(later, truth, plant),
        smoothed=_intervals(later, truth, plant),
        narrowed=np.array([after.std / before.std for after, before in zip(later, known, strict=True)]),
        noise_std=plant.noise_std if state.noise is None else state.noise.std,
    )


def _intervals(believed: list[Gaussian], truth: Floats, plant: Plant) -> Intervals:
    found = [coefficient_marginals(state, plant.coefficients) for state in believed]
    return Intervals(truth, np.array([one.lower for one in found]), np.array([one.upper for one in found]))


def _nees(believed: list[Gaussian], truth: Floats, plant: Plant) -> Floats:
    errors = to_state(truth, plant.coefficients) - np.array([state.mean for state in believed])
    return np.array([e @ np.linalg.solve(state.cov, e) for e, state in zip(errors, believed, strict=True)])
