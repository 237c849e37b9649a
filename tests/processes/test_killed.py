"""Killed at any moment and run again equals never killed: a real process, SIGKILL, ten random moments."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from twin_assets.running import instance_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

HOMES, KILLS = 5, 2
RUN = """
import os, time
from pathlib import Path
from twin_assets.home import home_from, twins_path_from
from twin_assets.running import run_windows
from twin_assets.spec_file import load_twin
from twin_assets.windows import WindowGrid
twin, home = load_twin("pair", twins_path_from(os.environ)), home_from(os.environ)
grid = WindowGrid.of(twin.spec)
windows = [grid.parse("2026-01-01"), grid.parse("2026-01-02")]
def tell(stage, done, total):
    print(stage, flush=True)
summary = run_windows(twin, home, windows, tell, pictures=False)
print("done", summary.success, flush=True)
"""
Pair = Any  # conftest's, which cannot be imported


def started(pair: Pair) -> "subprocess.Popen[str]":
    """A process group of its own that runs two windows."""
    return subprocess.Popen(
        [sys.executable, "-c", RUN],
        env=pair.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def kill(pair: Pair, steps: int, seconds: float) -> str:
    """Start a run and kill it some steps and seconds later; the stage that it had come to."""
    with started(pair) as process:
        assert process.stdout is not None
        stage = "start"
        for line, _ in zip(process.stdout, range(steps), strict=False):
            stage = line.strip()
        time.sleep(seconds)
        if process.poll() is not None:
            return "end"
        os.killpg(process.pid, signal.SIGKILL)
        return stage


def finish(pair: Pair) -> int:
    """Run to the end; the steps that were told."""
    with started(pair) as process:
        output, _ = process.communicate(timeout=240)
    assert output.endswith("done True\n")
    return len(output.splitlines())


def test_killed_and_run_again_equals_never_killed(pair: Pair, tmp_path: Path) -> None:
    """The store's bytes and the historian's published samples are those of a run that nobody disturbed.

    Five homes, each killed twice, the second time in the run that was to mend the first; then run to the end.
    """
    undisturbed = copied(pair, tmp_path / "undisturbed")
    steps = finish(undisturbed)
    tables, published = undisturbed.tables(), undisturbed.published()
    assert {name.split("/")[1] for name in tables} == {
        "telemetry",
        "observations",
        "ukf_state",
        "calibrated_coefficients",
        "virtual_sensors",
        "published",
    }
    assert len(published) == 24 * 3 * (2 + 1 + 2)
    moments = random.Random(20260101)  # noqa: S311 - moments, no secrets
    reached = []
    for number in range(HOMES):
        killed = copied(pair, tmp_path / f"killed{number}")
        reached += [kill(killed, moments.randrange(steps), moments.uniform(0.0, 0.3)) for _ in range(KILLS)]
        finish(killed)
        assert killed.tables() == tables
        pd.testing.assert_frame_equal(killed.published(), published)
        with instance_of(killed.home) as instance:
            assert not instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    # Otherwise nothing was shown: moments are to be chosen anew.
    assert len(set(reached) - {"end"}) >= HOMES // 2, reached


def copied(pair: Pair, root: Path) -> Pair:
    """The same home, elsewhere."""
    shutil.copytree(pair.root, root)
    return type(pair)(root)
