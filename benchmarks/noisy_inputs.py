"""The demonstration line with a line speed that is measured with errors: taken for exact, and told of them.

``python benchmarks/noisy_inputs.py``: some minutes. Coverage and errors are those of the time before the slip.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd

from twin_assets.demo.accuracy import Accuracy
from twin_assets.demo.direct import calibrate_directly
from twin_assets.demo.faults import record
from twin_assets.demo.plant import EVERY, STORY, Plant, operate
from twin_assets.demo.randomness import streams
from twin_assets.simulation import FmuModel
from twin_assets.spec import TwinSpec
from twin_assets.spec_file import Twin, load_twin
from twin_assets.stages.engine import open_model

START = pd.Timestamp("2026-01-01", tz="UTC")
TWINS = Path(__file__).parent.parent / "twins"
SPEED = "web_speed_setpoint"


def recorded(twin: Twin, model: FmuModel, seed: int, error: float) -> tuple[Plant, pd.DataFrame]:
    """The demonstration of a seed, its line speed off by so much (m/s, standard deviation) in every sample."""
    plant_rng, sensors_rng = streams(seed)
    times = pd.date_range(START, START + STORY, freq=EVERY, inclusive="left")
    plant = operate(twin.spec, model, times, plant_rng)
    recording = record(twin.spec, "line_1", plant, sensors_rng)
    samples = pd.concat([recording.prompt, recording.late]).sort_values(["property", "time"], ignore_index=True)
    (source,) = (part.source for part in twin.spec.inputs if part.name == SPEED)
    speeds = samples["property"] == source
    samples.loc[speeds, "value"] += error * np.random.default_rng(seed).normal(size=int(speeds.sum()))
    return plant, samples


def told_of(spec: TwinSpec, error: float | None) -> TwinSpec:
    """The twin with a line speed that has such an error, or none."""
    inputs = tuple(part.model_copy(update={"noise_std": error}) if part.name == SPEED else part for part in spec.inputs)
    return spec.model_copy(update={"inputs": inputs})


def line(spec: TwinSpec, model: FmuModel, plant: Plant, samples: pd.DataFrame) -> str:
    """What comes of it."""
    runs, began = model.model_runs, time.perf_counter()
    tables = calibrate_directly(spec, model, samples)
    wall, truth = time.perf_counter() - began, plant.truth()
    coefficients, virtual = (
        Accuracy.of(table, truth, {part.name: part.unit or "" for part in parts}, plant.slip)
        for table, parts in (
            (tables.coefficients, spec.coefficients),
            (tables.virtual_sensors, spec.virtual_sensors),
        )
    )
    idle = (tables.ukf_state["method"] == "prediction").mean()
    return (
        f"intervals that hold: coefficients {coefficients.coverage():.1%}, virtual sensors {virtual.coverage():.1%};"
        f" error of coefficients {coefficients.rmse():.1e} N.m.s/rad; nothing assimilated in {idle:.0%} of the rows;"
        f" {model.model_runs - runs} model runs, {wall:.0f} s"
    )


def main() -> None:
    """Print a line for each seed and way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--error", type=float, default=1e-4, help="of the line speed, m/s; it runs at 1 m/s")
    parser.add_argument("--seeds", type=int, default=2, help="how many demonstrations, from seed 1")
    options = parser.parse_args()
    twin = load_twin("web_line", TWINS)
    with open_model(twin, workers=1) as model:
        for seed in range(1, options.seeds + 1):
            plant, samples = recorded(twin, model, seed, options.error)
            for error in (None, options.error):
                how = "taken for exact" if error is None else f"noise_std: {error:g}"
                print(
                    f"seed {seed}, line speed {how}: {line(told_of(twin.spec, error), model, plant, samples)}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
