"""The live twin that the soak test kills: looks for news, runs their windows, looks again, until it is told to stop.

What the daemon does with the sensor, in one process. Says on standard output what it comes to. Arguments: the file of
the clock, and a file that is there once it is to end as soon as nothing is new.
"""

import os
import sys
import time
from pathlib import Path

from soak_line import NAME, SharedClock, open_line
from twin_assets.errors import TwinError
from twin_assets.historian import open_historian
from twin_assets.home import Home, home_from, twins_path_from
from twin_assets.running import run_windows
from twin_assets.simulation import fmu_sha256
from twin_assets.spec_file import Twin, load_twin
from twin_assets.stages.live import new_windows
from twin_assets.store import Store
from twin_assets.windows import Window, WindowGrid

IDLE_S = 0.2


def main(clock_file: str, stop_file: str) -> None:
    """Live."""
    clock, stop = SharedClock(Path(clock_file)), Path(stop_file)
    twin, home = load_twin(NAME, twins_path_from(os.environ)), home_from(os.environ)
    home.prepare()
    say("alive")
    while True:
        # Looked at before the news are, so that all that came before it is seen.
        over = stop.exists()
        try:
            windows = news(twin, home, clock)
            if windows:
                run(twin, home, windows, clock)
        except TwinError as error:
            say(f"failed {' '.join(str(error).split())}")
            if over:  # the faults are over, too
                sys.exit(1)
            continue
        if not windows:
            if over:
                say("over")
                return
            time.sleep(IDLE_S)


def news(twin: Twin, home: Home, clock: SharedClock) -> list[Window]:
    """Windows with anything new."""
    with open_historian(home, clock=clock) as historian:
        arguments = (Store(home.store_path), twin.spec, WindowGrid.of(twin.spec), clock(), fmu_sha256(twin.fmu_path))
        return new_windows(historian, *arguments)


def run(twin: Twin, home: Home, windows: list[Window], clock: SharedClock) -> None:
    """Through Dagster, as the command line does."""
    told = ""

    def tell(stage: str, done: int, total: int) -> None:  # noqa: ARG001 - Progress' signature
        nonlocal told
        if stage != told:
            told = stage
            say(f"stage {stage}")

    summary = run_windows(twin, home, windows, tell, clock=clock, opener=open_line, pictures=False)
    for key, why in summary.refused.items():
        say(f"refused {key}: {' '.join(why.split())}")
    say(f"ran {' '.join(summary.windows)}")


def say(text: str) -> None:
    """To whoever started this."""
    print(text, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
