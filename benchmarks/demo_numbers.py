"""The demonstration's numbers: a settled evaluation, an update and what it costs beyond the model, start-up times.

``python benchmarks/demo_numbers.py``; what is counted as the model's own is the time inside its worker processes.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from twin_assets.demo.direct import NO_FMU
from twin_assets.demo.faults import record
from twin_assets.demo.plant import EVERY, STORY, operate
from twin_assets.demo.randomness import streams
from twin_assets.simulation.fmu_model import usable_cores
from twin_assets.spec import FilterSpec
from twin_assets.spec_file import Twin, load_twin
from twin_assets.stages.engine import open_model
from twin_assets.stages.observations import observe
from twin_assets.stages.ukf import assimilate
from twin_assets.windows import Window

START = pd.Timestamp("2026-01-01", tz="UTC")
REPEATS = 200


def evaluation(twin: Twin) -> None:
    """A settled evaluation from a nearby settled state, one worker, healthy and with a worn bearing."""
    with open_model(twin, workers=1) as model:
        for worn in (1e-3, 0.1, 0.165):
            points = np.full((REPEATS + 1, len(model.coefficients)), 1e-3)
            points[:, model.coefficients.index("b9")] = worn
            # As far apart as the filter's sigma points are.
            points[1:] += np.abs(np.random.default_rng(1).normal(0.0, 1e-3, size=points[1:].shape))
            inputs = np.array([one.constant or 1.0 for one in twin.spec.inputs])
            model.evaluate(points[:1], inputs)
            before = model.model_seconds
            model.evaluate(points, inputs)
            milliseconds = 1e3 * (model.model_seconds - before) / len(points)
            print(f"settled evaluation, b9 = {worn:<5g}: {milliseconds:6.2f} ms of one core")


def updates(twin: Twin, observations: pd.DataFrame, workers: int, *, reuse: bool) -> None:
    """All updates of the demonstration with so many workers, and what they cost beyond the model's own time."""
    spec = twin.spec.model_copy(update={"filter": FilterSpec(reuse=reuse)})
    with open_model(twin, workers=workers) as model:
        # Starting workers, settling the reference and importing SciPy are a run's affair, not an update's.
        assimilate(spec, model, observations.iloc[:3], fmu_sha256=NO_FMU)
        runs, inside = model.model_runs, model.model_seconds
        began = time.perf_counter()
        state = assimilate(spec, model, observations, fmu_sha256=NO_FMU).frame
        wall = time.perf_counter() - began
        runs, inside = model.model_runs - runs, model.model_seconds - inside
    ideal, how = inside / workers, "slopes reused" if reuse else "all sigma points"
    print(
        f"{len(state)} updates, {how}, {workers} workers: {wall:6.1f} s, {1e3 * wall / len(state):5.0f} ms and"
        f" {runs / len(state):4.1f} model runs an update; beyond the model's own {ideal:5.1f} s:"
        f" {(wall - ideal) / ideal:5.1%}"
    )


def demonstration(twin: Twin) -> pd.DataFrame:
    """All observations of the demonstration with seed 1."""
    plant_rng, sensors_rng = streams(1)
    times = pd.date_range(START, START + STORY, freq=EVERY, inclusive="left")
    with open_model(twin) as model:
        plant = operate(twin.spec, model, times, plant_rng)
    recording = record(twin.spec, "line_1", plant, sensors_rng)
    samples = pd.concat([recording.prompt, recording.late])
    window = Window("all", START, START + STORY + pd.Timedelta(days=1))
    return observe(twin.spec, ("line_1",), window, samples, window.end).frame


def seconds(title: str, command: Sequence[str]) -> None:
    """Wall time of a command: the best of three, for the disk's cache is not what is measured."""
    took = []
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - this project's own commands
        took.append(time.perf_counter() - began)
    print(f"{title}: {min(took):.2f} s (of {', '.join(f'{one:.2f}' for one in took)})")


def main() -> None:
    """Print all numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--twins", type=Path, default=Path("twins"), help="folder with the twin web_line")
    twin = load_twin("web_line", parser.parse_args().twins.absolute())
    print(f"{usable_cores()} of {os.cpu_count()} cores")
    evaluation(twin)
    observations = demonstration(twin)
    for workers in sorted({1, usable_cores()}):
        for reuse in (False, True):
            updates(twin, observations, workers, reuse=reuse)
    seconds("python -c 'import twin_assets'", [sys.executable, "-c", "import twin_assets"])
    seconds("twin --help", [sys.executable, "-m", "twin_assets", "--help"])
    dagster = str(Path(sys.executable).with_name("dagster"))
    seconds("dagster definitions validate", [dagster, "definitions", "validate", "-w", "workspace.yaml"])


if __name__ == "__main__":
    main()
