"""Killed at any moment and run again equals never killed: a real process, SIGKILL, every stage and random moments."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from twin_assets.running import instance_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

STAGES = ("telemetry", "observations", "ukf_state", "calibrated_coefficients", "virtual_sensors", "published")
HOMES, KILLS = 2, 5
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
    if stage == os.environ.get("HALT_IN"):
        time.sleep(240)
summary = run_windows(twin, home, windows, tell, pictures=False)
print("done", summary.success, flush=True)
"""
Pair = Any  # conftest's, which cannot be imported


@dataclass(frozen=True)
class Undisturbed:
    """What a run comes to that nobody kills.

    Attributes:
        pair: the home before any run.
        steps: how many are told.
        tables: the store's bytes.
        published: the historian's samples.
    """

    pair: Pair
    steps: int
    tables: dict[str, bytes]
    published: pd.DataFrame


@pytest.fixture(scope="module")
def undisturbed(served_pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """One run to the end."""
    pair = copied(served_pair, tmp_path_factory.mktemp("undisturbed") / "pair")
    steps = finish(pair)
    return Undisturbed(served_pair, steps, pair.tables(), pair.published())


@pytest.fixture
def fresh(undisturbed: Undisturbed, tmp_path: Path) -> Callable[[], Pair]:
    """Homes of their own, before any run."""
    numbers = iter(range(100))
    return lambda: copied(undisturbed.pair, tmp_path / f"killed{next(numbers)}")


def started(pair: Pair, **told: str) -> "subprocess.Popen[str]":
    """A process group of its own that runs two windows."""
    return subprocess.Popen(
        [sys.executable, "-c", RUN],
        env={**pair.environment, **told},
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


def kill_in(pair: Pair, stage: str) -> None:
    """Start a run that halts at its first step in a stage, and kill it there."""
    with started(pair, HALT_IN=stage) as process:
        assert process.stdout is not None
        assert stage in (line.strip() for line in process.stdout)
        os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL


def finish(pair: Pair) -> int:
    """Run to the end; the steps that were told."""
    with started(pair) as process:
        output, _ = process.communicate(timeout=240)
    assert output.endswith("done True\n")
    return len(output.splitlines())


def holds(pair: Pair, undisturbed: Undisturbed) -> None:
    """The store's bytes and the historian's published samples are those of a run that nobody disturbed."""
    assert pair.tables() == undisturbed.tables
    pd.testing.assert_frame_equal(pair.published(), undisturbed.published)
    with instance_of(pair.home) as instance:
        assert not instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))


def made(pair: Pair) -> set[str]:
    """Stages that have any table."""
    return {name.split("/")[1] for name in pair.tables()}


def test_nobody_disturbed(undisturbed: Undisturbed) -> None:
    """What killed runs are held against is whole: every stage has its tables, every result is published."""
    assert {name.split("/")[1] for name in undisturbed.tables} == set(STAGES)
    assert len(undisturbed.published) == 24 * 3 * (2 + 1 + 2)


def test_killed_in_every_stage_equals_never_killed(fresh: Callable[[], Pair], undisturbed: Undisturbed) -> None:
    """Six kills, one in the midst of each stage, each in the run that was to mend the one before; then to the end."""
    pair = fresh()
    for number, stage in enumerate(STAGES):
        kill_in(pair, stage)
        # It came so far, and no further.
        assert set(STAGES[:number]) <= made(pair) <= set(STAGES[: number + 1])
    finish(pair)
    holds(pair, undisturbed)


def test_killed_at_random_moments_equals_never_killed(fresh: Callable[[], Pair], undisturbed: Undisturbed) -> None:
    """Two homes, each killed five times, every time in the run that was to mend the last; then run to the end."""
    moments = random.Random(20260101)  # noqa: S311 - moments, no secrets
    reached = []
    for _ in range(HOMES):
        pair = fresh()
        reached += [kill(pair, moments.randrange(undisturbed.steps), moments.uniform(0.0, 0.3)) for _ in range(KILLS)]
        finish(pair)
        holds(pair, undisturbed)
    # Otherwise nothing was shown: moments are to be chosen anew.
    assert len(set(reached) - {"end"}) >= KILLS // 2, reached


def copied(pair: Pair, root: Path) -> Pair:
    """The same home, elsewhere."""
    shutil.copytree(pair.root, root)
    return type(pair)(root)
