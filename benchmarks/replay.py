"""A year's replay: does it take as long in the end as in the beginning, and as little memory?

``python benchmarks/replay.py``: the demonstration's line, 72 observations a day, day by day through the filter as a
backfill goes, each from the state that the day before handed on; one worker. Then several machines for three days.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from twin_assets.demo.direct import NO_FMU
from twin_assets.model import Floats, PredictiveModel
from twin_assets.simulation.worker import resident_mb
from twin_assets.spec import TwinSpec
from twin_assets.spec_file import load_twin
from twin_assets.stages.engine import open_model
from twin_assets.stages.ukf import assimilate

START, A_DAY, EVERY = pd.Timestamp("2026-01-01", tz="UTC"), 72, pd.Timedelta(minutes=20)
DAYS_TOLD = 30
# Healthy bearings, and two that wear through the year, not as far as to slip.
HEALTHY, WORN = 2e-3, {"b3": 0.05, "b9": 0.1}


def days(spec: TwinSpec, model: PredictiveModel, units: tuple[str, ...], count: int) -> Iterator[pd.DataFrame]:
    """Observations of each day, seed 1."""
    rng = np.random.default_rng(1)
    names = [part.name for part in spec.measurements]
    noise_std = np.array([part.noise_std for part in spec.measurements])
    inputs = np.array([1.0 if part.constant is None else part.constant for part in spec.inputs])
    for day in range(count):
        truth = np.full((A_DAY, len(model.coefficients)), HEALTHY)
        for name, worn in WORN.items():
            truth[:, model.coefficients.index(name)] += worn * (day + np.arange(A_DAY) / A_DAY) / count
        outputs = model.evaluate(truth, inputs)[:, : len(names)]
        times = pd.date_range(START + day * A_DAY * EVERY, periods=A_DAY, freq=EVERY)
        yield pd.concat(
            [_frame(spec, unit, times, outputs + noise_std * rng.normal(size=outputs.shape), inputs) for unit in units],
            ignore_index=True,
        )


def _frame(spec: TwinSpec, unit: str, times: pd.DatetimeIndex, values: Floats, inputs: Floats) -> pd.DataFrame:
    frame = pd.DataFrame({"unit": unit, "time": times})
    for column, part in zip(values.T, spec.measurements, strict=True):
        frame[part.name], frame[f"{part.name}_reason"] = column, ""
    for value, condition in zip(inputs, spec.inputs, strict=True):
        frame[condition.name] = value
    return frame


def replay(spec: TwinSpec, model: PredictiveModel, count: int) -> None:
    """Day after day, and what every month took."""
    print("| after | updates | ms an update | model runs an update | memory, MB |")
    print("| --- | ---: | ---: | ---: | ---: |")
    previous, updates, runs, seconds = None, 0, 0, 0.0
    for day, observations in enumerate(days(spec, model, ("line_1",), count), start=1):
        began = time.perf_counter()
        found = assimilate(spec, model, observations, fmu_sha256=NO_FMU, previous=previous)
        seconds += time.perf_counter() - began
        previous = found.metadata
        updates, runs = updates + len(found.frame), runs + found.model_runs
        if day % DAYS_TOLD == 0 or day == count:
            print(
                f"| day {day} | {updates} | {1e3 * seconds / updates:.1f} | {runs / updates:.1f} |"
                f" {resident_mb() or float('nan'):.0f} |",
                flush=True,
            )
            updates, runs, seconds = 0, 0, 0.0


def machines(spec: TwinSpec, model: PredictiveModel, most: int) -> None:
    """Three days of one machine, of two, of four, and so on."""
    print("\n| machines | updates | s | ms an update |")
    print("| ---: | ---: | ---: | ---: |")
    count = 1
    while count <= most:
        units = tuple(f"line_{number}" for number in range(1, count + 1))
        observations = pd.concat(days(spec, model, units, 3), ignore_index=True)
        began = time.perf_counter()
        found = assimilate(spec, model, observations, fmu_sha256=NO_FMU)
        seconds = time.perf_counter() - began
        print(f"| {count} | {len(found.frame)} | {seconds:.1f} | {1e3 * seconds / len(found.frame):.1f} |", flush=True)
        count *= 2


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--twins", type=Path, default=Path("twins"), help="folder with the twin web_line")
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--machines", type=int, default=8, help="the most")
    options = parser.parse_args()
    twin = load_twin("web_line", options.twins.absolute())
    with open_model(twin, workers=1) as model:
        replay(twin.spec, model, options.days)
        machines(twin.spec, model, options.machines)


if __name__ == "__main__":
    main()
