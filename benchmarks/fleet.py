"""A fleet: what one update of every unit takes, on how many cores, with how much memory; and what Dagster adds.

``python benchmarks/fleet.py``: the demonstration's line, one first update of 1, 10 and 100 units (``--units 1000``: of
a thousand), in one process and side by side; then what Dagster's UI asks for, answered from an instance that holds so
many windows (``--windows 10000``).

CPU time is that of all processes of the run, from the kernel (Linux), so a busy machine changes it little; wall time
is what a clock showed, whatever else the machine had to do.
"""

import argparse
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from replay import days
from twin_assets.models import LazyModel, Models
from twin_assets.simulation.fmu_model import usable_cores
from twin_assets.spec import TwinSpec
from twin_assets.spec_file import Twin, load_twin
from twin_assets.stages.engine import open_model
from twin_assets.stages.ukf import assimilate
from ui_queries import dagster_overhead

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
MB = 1e6 / os.sysconf("SC_PAGE_SIZE")
WARM_UP = ("warm_1", "warm_2", "warm_3", "warm_4")


def tree() -> Iterator[tuple[float, float]]:
    """CPU seconds and megabytes of this process and of all that it started, and those did."""
    parents = dict[int, int]()
    found = dict[int, tuple[float, float]]()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        pid = int(folder.name)
        parents[pid] = int(fields[1])
        # Its own, and that of its children that have ended.
        found[pid] = (sum(map(int, fields[11:15])) / TICKS_PER_S, int(fields[21]) / MB)
    for pid in found:
        above = pid
        while above not in (os.getpid(), 0):
            above = parents.get(above, 0)
        if above:
            yield found[pid]


def used() -> tuple[float, float, float]:
    """CPU seconds and megabytes of the whole run, and megabytes of this process."""
    cpu, memory = (sum(part) for part in zip(*tree(), strict=True))
    own = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[21]) / MB
    return cpu, memory, own


@contextmanager
def warm(twin: Twin, cores: int) -> Iterator[LazyModel]:
    """The model on so many cores, its processes started."""
    with Models(open_model, cores, side_by_side=True) as models:
        model = models.of(twin)
        assimilate(twin.spec, model, observed(twin.spec, model, WARM_UP), fmu_sha256=model.sha256)
        yield model


def observed(spec: TwinSpec, model: LazyModel, units: tuple[str, ...]) -> pd.DataFrame:
    """One observation of every unit, with noise of its own."""
    day = next(days(spec, model, units, 1))
    return day.groupby("unit", sort=False).head(1).reset_index(drop=True)


def one_update_each(twin: Twin, counts: list[int]) -> None:
    """The table of fleets."""
    cores = usable_cores()
    print(
        "| units | cores | wall, s | CPU, s | CPU ms an update | of one unit's | run's memory, MB | this process, MB |"
    )
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    alone = 0.0
    for on in dict.fromkeys((1, cores)):
        with warm(twin, on) as model:
            for count in counts:
                # One update is over too soon to be timed: as many fleets of one as give a hundred, or one fleet.
                fleets = max(1, 100 // count) if count < 10 else 1
                tables = [
                    observed(twin.spec, model, tuple(f"line_{fleet}_{number}" for number in range(count)))
                    for fleet in range(fleets)
                ]
                cpu, _, _ = used()
                began = time.perf_counter()
                for table in tables:
                    assimilate(twin.spec, model, table, fmu_sha256=model.sha256)
                wall, (after, memory, own) = time.perf_counter() - began, used()
                each = 1e3 * (after - cpu) / (fleets * count)
                alone = alone or each
                print(
                    f"| {count} | {on} | {wall / fleets:.2f} | {(after - cpu) / fleets:.2f} | {each:.1f} |"
                    f" {each / alone:.0%} | {memory:.0f} | {own:.0f} |",
                    flush=True,
                )


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--twins", type=Path, default=Path("twins"), help="folder with the twin web_line")
    parser.add_argument("--units", type=int, default=100, help="the most")
    parser.add_argument("--windows", type=int, default=1000, help="the most; 0: do without Dagster")
    options = parser.parse_args()
    twin = load_twin("web_line", options.twins.absolute())
    one_update_each(twin, [count for count in (1, 2, 10, 100, 1000) if count <= options.units])
    if options.windows:
        dagster_overhead(twin, [count for count in (100, 1000, 10_000) if count <= options.windows])


if __name__ == "__main__":
    main()
