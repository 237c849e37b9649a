"""Calibration side by side on one core: the reference's procedure, ours with all sigma points, ours with slopes reused.

``python benchmarks/calibration.py``: the demonstration's plant and recording; the first of the three takes minutes for
it. The same observations, FMU and core for all; accuracy against the truth before and after the roller slips.
"""

import argparse
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from reference_filter import ReferenceFilter
from twin_assets.demo.faults import record
from twin_assets.demo.plant import EVERY, STORY, operate
from twin_assets.demo.randomness import streams
from twin_assets.estimation import coefficient_marginals, filter_step, prior
from twin_assets.model import Floats
from twin_assets.simulation.fmu_model import usable_cores
from twin_assets.spec_file import Twin, load_twin
from twin_assets.stages.engine import coefficients_of, open_model, settings_of
from twin_assets.stages.observations import observe
from twin_assets.windows import Window

START = pd.Timestamp("2026-01-01", tz="UTC")


@dataclass(frozen=True)
class Task:
    """What all of them are given.

    Attributes:
        twin: whose FMU and settings.
        time_ns: (k,) of the observations.
        observations: (k, m) NaN where nothing was measured.
        inputs: (k, p).
        truth: (k, n).
        slip: the observation from which a roller slips.
    """

    twin: Twin
    time_ns: np.ndarray
    observations: Floats
    inputs: Floats
    truth: Floats
    slip: int

    def thinned(self, every: int) -> "Task":
        """Every so many observations."""
        pick = slice(None, None, every)
        slip = -(-self.slip // every)
        return Task(self.twin, self.time_ns[pick], self.observations[pick], self.inputs[pick], self.truth[pick], slip)


@dataclass(frozen=True)
class Result:
    """What one of them did: estimates (k, n), whether intervals held (k, n) or None, seconds, runs, the model's own."""

    estimates: Floats
    held: np.ndarray | None
    seconds: float
    runs: int
    model_seconds: float


def task(twin: Twin, seed: int) -> Task:
    """The demonstration's recording as observations."""
    plant_rng, fault_rng = streams(seed)
    times = pd.date_range(START, START + STORY, freq=EVERY, inclusive="left")
    with open_model(twin) as model:
        plant = operate(twin.spec, model, times, plant_rng)
    recording = record(twin.spec, "line_1", plant, fault_rng)
    samples = pd.concat([recording.prompt, recording.late])
    window = Window("all", START, START + STORY + pd.Timedelta(days=1))
    seen = observe(twin.spec, ("line_1",), window, samples, window.end).frame
    spec = twin.spec
    known = seen[[part.name for part in spec.inputs]].notna().all(axis=1)
    seen = seen[known]
    truth = plant.truth().set_index("time").loc[seen["time"], [part.name for part in spec.coefficients]]
    slip = int((seen["time"] < plant.slip).sum()) if plant.slip is not None else len(seen)
    return Task(
        twin,
        pd.DatetimeIndex(seen["time"]).as_unit("ns").asi8,
        seen[[part.name for part in spec.measurements]].to_numpy(dtype=np.float64),
        seen[[part.name for part in spec.inputs]].to_numpy(dtype=np.float64),
        truth.to_numpy(dtype=np.float64),
        slip,
    )


def ours(given: Task, *, reuse: bool) -> Result:
    """This project's filter, one worker."""
    coefficients = coefficients_of(given.twin.spec)
    settings = replace(settings_of(given.twin.spec), reuse=reuse)
    with open_model(given.twin, workers=1) as model:
        state = prior(coefficients)
        # Starting the worker and SciPy are a run's affair.
        filter_step(state, 0, given.observations[0], given.inputs[0], model, coefficients, settings)
        runs, inside, began = model.model_runs, model.model_seconds, time.perf_counter()
        estimates, held = [], []
        for time_ns, observation, inputs, truth in zip(
            given.time_ns, given.observations, given.inputs, given.truth, strict=True
        ):
            step = filter_step(state, int(time_ns), observation, inputs, model, coefficients, settings)
            state = step.state
            found = coefficient_marginals(state.posterior, coefficients)
            estimates.append(found.mean)
            held.append((found.lower <= truth) & (truth <= found.upper))
        seconds = time.perf_counter() - began
        return Result(
            np.array(estimates), np.array(held), seconds, model.model_runs - runs, model.model_seconds - inside
        )


def reference(given: Task) -> Result:
    """The reference's procedure."""
    them, before, estimates = ReferenceFilter(given.twin), None, []
    began = time.perf_counter()
    for time_ns, observation, inputs in zip(given.time_ns, given.observations, given.inputs, strict=True):
        elapsed_h = 0.0 if before is None else (int(time_ns) - before) / 3.6e12
        estimates.append(them.update(elapsed_h, observation, inputs))
        before = int(time_ns)
    seconds = time.perf_counter() - began
    return Result(np.array(estimates), None, seconds, them.model.runs, seconds)


def row(title: str, given: Task, found: Result, base: Result) -> str:
    """A row of the table."""
    updates, slip = len(given.time_ns), given.slip
    error = np.abs(found.estimates - given.truth)
    rms = [float(np.sqrt((part**2).mean())) if part.size else float("nan") for part in (error[:slip], error[slip:])]
    held = "" if found.held is None else f"{found.held.mean():.1%}"
    speed = (base.seconds / len(base.estimates)) / (found.seconds / updates)
    return (
        f"| {title} | {1e3 * found.seconds / updates:.1f} | {found.runs / updates:.1f} | {speed:.0f} |"
        f" {rms[0]:.1e} | {rms[1]:.1e} | {error.max():.1e} | {held} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--twins", type=Path, default=Path("twins"), help="folder with the twin web_line")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=int, default=1, help="observations of which one is taken; 8 takes a minute")
    options = parser.parse_args()
    twin = load_twin("web_line", options.twins.absolute())
    given = task(twin, options.seed).thinned(options.every)
    print(f"One worker on a machine of {usable_cores()} of {os.cpu_count()} cores; {len(given.time_ns)} updates")
    print("| | ms an update | model runs | times faster | rms error | after slip | largest | 95 % intervals held |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    base = reference(given)
    print(row("reference's procedure", given, base, base), flush=True)
    for title, reuse in (("all sigma points", False), ("slopes reused", True)):
        print(row(title, given, ours(given, reuse=reuse), base), flush=True)


if __name__ == "__main__":
    main()
