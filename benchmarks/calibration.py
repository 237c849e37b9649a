"""Calibration side by side on one core: the reference's procedure, ours with all sigma points, ours with slopes reused.

``python benchmarks/calibration.py``: the demonstration's plant and recording; the first of the three takes minutes for
it. The same observations, FMU and core for all; accuracy against the truth before and after the roller slips. What is
spent beyond the FMU's own ``doStep``: the evaluations of each filter are made once more, in one process, with a clock
about every call of it; its share of them is taken of the time that workers took. With two workers, how much more is
done in the same time, and how much would be if only the model took time.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd

from reference_filter import ReferenceFilter
from twin_assets.demo.faults import record
from twin_assets.demo.plant import EVERY, STORY, operate
from twin_assets.demo.randomness import streams
from twin_assets.estimation import coefficient_marginals, filter_step, prior
from twin_assets.model import Attempt, Floats
from twin_assets.simulation.calls import Calls
from twin_assets.simulation.fmu_model import FmuModel, usable_cores
from twin_assets.simulation.instance import Instance
from twin_assets.simulation.isolation import Isolation
from twin_assets.simulation.setup import extracted
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
        return self._picked(slice(None, None, every), -(-self.slip // every))

    def first(self, count: int) -> "Task":
        """So many observations."""
        return self._picked(slice(count), min(self.slip, count))

    def _picked(self, pick: slice, slip: int) -> "Task":
        return Task(self.twin, self.time_ns[pick], self.observations[pick], self.inputs[pick], self.truth[pick], slip)


@dataclass(frozen=True)
class Result:
    """What one of them did.

    Attributes:
        estimates: (k, n).
        held: (k, n) whether intervals held, if there are any.
        seconds: of wall time.
        runs: of the model.
        step_seconds: of that in ``doStep``, if it was looked for.
    """

    estimates: Floats
    held: np.ndarray | None
    seconds: float
    runs: int
    step_seconds: float | None = None


@dataclass
class Recorder:
    """A model that remembers what it was asked."""

    model: FmuModel
    asked: list[tuple[Floats, Floats]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.coefficients, self.inputs, self.outputs = self.model.coefficients, self.model.inputs, self.model.outputs

    def attempt(self, coefficients: Floats, inputs: Floats) -> Attempt:
        """See TolerantModel."""
        self.asked.append((coefficients, inputs))
        return self.model.attempt(coefficients, inputs)

    def evaluate(self, coefficients: Floats, inputs: Floats) -> Floats:
        """See PredictiveModel."""
        return self.model.evaluate(coefficients, inputs)


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


def ours(given: Task, *, reuse: bool, workers: int = 1, isolation: Isolation = "process") -> Result:
    """This project's filter."""
    spec = given.twin.spec
    coefficients = coefficients_of(spec)
    settings = replace(settings_of(spec), reuse=reuse)
    isolated = spec.model_copy(update={"model": spec.model.model_copy(update={"isolation": isolation})})
    with open_model(replace(given.twin, spec=isolated), workers=workers) as fmu:
        model, state = Recorder(fmu), prior(coefficients)
        # Starting the worker and SciPy are a run's affair.
        filter_step(state, 0, given.observations[0], given.inputs[0], model, coefficients, settings)
        model.asked.clear()
        runs, inside, began = fmu.model_runs, fmu.model_seconds, time.perf_counter()
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
        share = in_do_step(fmu, model.asked)
        return Result(
            np.array(estimates), np.array(held), seconds, fmu.model_runs - runs, share * (fmu.model_seconds - inside)
        )


def in_do_step(model: FmuModel, asked: list[tuple[Floats, Floats]]) -> float:
    """The part of the time of evaluations that the FMU's own doStep takes."""
    inside = 0.0
    call: Callable[..., None] = Calls.__call__

    def timed(calls: Calls, function: str, *arguments: object) -> None:
        nonlocal inside
        began = time.perf_counter()
        call(calls, function, *arguments)
        if function == "fmi2DoStep":
            inside += time.perf_counter() - began

    with tempfile.TemporaryDirectory() as folder:
        instance = Instance(extracted(model.path, model.setup, Path(folder), model.sha256))
        with patch.object(Calls, "__call__", timed):
            began = time.perf_counter()
            for rows, inputs in asked:
                instance.evaluate_anchor(rows[0], inputs)
                for row in rows[1:]:
                    instance.evaluate(row, inputs)
            whole = time.perf_counter() - began
        instance.close()
    return inside / whole


def reference(given: Task) -> Result:
    """The reference's procedure."""
    them, before, estimates = ReferenceFilter(given.twin), None, []
    began = time.perf_counter()
    for time_ns, observation, inputs in zip(given.time_ns, given.observations, given.inputs, strict=True):
        elapsed_h = 0.0 if before is None else (int(time_ns) - before) / 3.6e12
        estimates.append(them.update(elapsed_h, observation, inputs))
        before = int(time_ns)
    seconds = time.perf_counter() - began
    return Result(np.array(estimates), None, seconds, them.model.runs)


def row(title: str, given: Task, found: Result, base: Result) -> str:
    """A row of the table."""
    updates, slip = len(given.time_ns), given.slip
    error = np.abs(found.estimates - given.truth)
    rms = [float(np.sqrt((part**2).mean())) if part.size else float("nan") for part in (error[:slip], error[slip:])]
    held = "" if found.held is None else f"{found.held.mean():.1%}"
    beyond = "" if found.step_seconds is None else f"{found.seconds / found.step_seconds - 1.0:.0%}"
    speed = (base.seconds / len(base.estimates)) / (found.seconds / updates)
    return (
        f"| {title} | {1e3 * found.seconds / updates:.1f} | {found.runs / updates:.1f} | {speed:.0f} |"
        f" {rms[0]:.1e} | {rms[1]:.1e} | {error.max():.1e} | {held} | {beyond} |"
    )


def two_workers(title: str, given: Task, *, reuse: bool) -> str:
    """How many times the throughput of one worker two have, measured in turn."""
    one, two = (min(ours(given, reuse=reuse, workers=workers).seconds for _ in range(2)) for workers in (1, 2))
    return f"Two workers, {title}: {one / two:.2f} times the throughput of one"


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
    titles = ("", "ms an update", "model runs", "times faster", "rms error", "after slip", "largest")
    print(f"| {' | '.join((*titles, '95 % intervals held', 'beyond doStep'))} |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    base = reference(given)
    print(row("reference's procedure", given, base, base), flush=True)
    for title, reuse in (("all sigma points", False), ("slopes reused", True)):
        print(row(title, given, ours(given, reuse=reuse), base), flush=True)
    print(row("the same, FMU in a thread", given, ours(given, reuse=True, isolation="thread"), base), flush=True)
    for title, reuse in (("all sigma points", False), ("slopes reused", True)):
        print(two_workers(title, given, reuse=reuse), flush=True)


if __name__ == "__main__":
    main()
