"""Whether the demonstration's intervals are honest: how often they hold the truth, over many seeds.

``python benchmarks/demo_honesty.py --seeds 20``: plant and filter of each seed, the stages as they are, no Dagster.
"""

import argparse
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from twin_assets.demo.accuracy import Accuracy
from twin_assets.demo.direct import calibrate_directly
from twin_assets.demo.faults import record
from twin_assets.demo.plant import EVERY, STORY, operate
from twin_assets.demo.randomness import streams
from twin_assets.model import Floats
from twin_assets.simulation.fmu_model import usable_cores
from twin_assets.spec_file import Twin, load_twin
from twin_assets.stages.engine import open_model

START = pd.Timestamp("2026-01-01", tz="UTC")


@dataclass(frozen=True)
class Outcome:
    """One seed: how often each coefficient's interval held before the slip, and over all after it; errors; seconds."""

    seed: int
    held: Floats
    after_slip: float
    rmse: float
    seconds: float


def play(twin: Twin, seed: int) -> Outcome:
    """Plant and calibration of one seed, on one core."""
    began = time.perf_counter()
    plant_rng, fault_rng = streams(seed)
    times = pd.date_range(START, START + STORY, freq=EVERY, inclusive="left")
    with open_model(twin, workers=1) as model:
        plant = operate(twin.spec, model, times, plant_rng)
        recording = record(twin.spec, "line_1", plant, fault_rng)
        samples = pd.concat([recording.prompt, recording.late])
        tables = calibrate_directly(twin.spec, model, samples, virtual_sensors=False)
    units = {part.name: part.unit or "" for part in twin.spec.coefficients}
    accuracy = Accuracy.of(tables.coefficients, plant.truth(), units, plant.slip)
    held = np.asarray(accuracy.held[accuracy.before].mean(axis=0))
    after = accuracy.coverage_after_slip()
    return Outcome(seed, held, float("nan") if after is None else after, accuracy.rmse(), time.perf_counter() - began)


def line(title: str, held: Floats, after_slip: float, rmse: float) -> str:
    """One row of the table."""
    shares = " ".join(f"{value:5.3f}" for value in held)
    return f"{title} {held.mean():5.3f}  {shares}       {after_slip:5.3f} {rmse:.1e}"


def main() -> None:
    """Play all seeds and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="how many, from 1")
    parser.add_argument("--twins", type=Path, default=Path("twins"), help="folder with the twin web_line")
    options = parser.parse_args()
    twin = load_twin("web_line", options.twins.absolute())
    names = [part.name for part in twin.spec.coefficients]
    print(f"{usable_cores()} of {os.cpu_count()} cores; part of the 95 % intervals that hold the truth before the slip")
    print("seed   all  " + " ".join(f"{name:>5}" for name in names) + "  after slip    RMSE  seconds")
    outcomes = []
    with ProcessPoolExecutor(usable_cores()) as pool:
        for one in pool.map(partial(play, twin), range(1, options.seeds + 1)):
            outcomes.append(one)
            print(line(f"{one.seed:4d}", one.held, one.after_slip, one.rmse) + f" {one.seconds:8.1f}", flush=True)
    each = np.array([one.held for one in outcomes])
    after, rmse = np.nanmean([one.after_slip for one in outcomes]), np.mean([one.rmse for one in outcomes])
    print(line("mean", each.mean(axis=0), float(after), float(rmse)))
    per_seed = each.mean(axis=1)
    print(f"Over {len(outcomes)} seeds: {each.mean():.4f}; single seeds {per_seed.min():.4f} to {per_seed.max():.4f}.")


if __name__ == "__main__":
    main()
