"""Runs from the command line: through Dagster, on the home's instance, quietly."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from twin_assets.errors import TwinError
from twin_assets.home import Home
from twin_assets.progress import silent
from twin_assets.running import PROCESS_TAG, REPOSITORY_TAG, RunError, RunSummary, instance_of, run_windows

DAYS = ("2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04")
Line = Any  # conftest's, which cannot be imported
Record = Callable[[str, str], pd.DataFrame]


def run(line: Line, first: str, last: str, progress: Any = silent) -> RunSummary:  # noqa: ANN401 - a Progress
    """Run some windows as the command line does."""
    windows = line.grid.between(line.grid.parse(first).start, line.grid.parse(last).end)
    return run_windows(
        line.twin, line.home, windows, progress, clock=lambda: line.now, opener=line.opener, pictures=False
    )


def test_a_run_is_seen_in_dagster(line: Line) -> None:
    """It is a run of the twin's job in the code location that workspace.yaml names, with its events."""
    summary = run(line, DAYS[0], DAYS[-1])
    assert (summary.success, summary.windows, dict(summary.refused)) == (True, DAYS, {})
    with instance_of(line.home) as instance:
        (found,) = instance.get_runs(dg.RunsFilter(job_name="line_live"))
        assert (found.run_id, found.status) == (summary.run_id, dg.DagsterRunStatus.SUCCESS)
        assert found.tags[REPOSITORY_TAG] == "__repository__@twins"
        assert found.tags["dagster/asset_partition_range_end"] == DAYS[-1]
        assert found.tags["twin"] == "line"
        published = instance.get_materialized_partitions(dg.AssetKey(["line", "published"]))
    assert published == set(DAYS)


def test_a_run_is_quiet(line: Line, capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing of Dagster's log reaches the terminal, neither does a warning."""
    run(line, DAYS[0], DAYS[0])
    assert capfd.readouterr() == ("", "")


def test_progress_is_told_stage_by_stage(line: Line) -> None:
    """Every stage goes from its first window to its last, in the order of the flow, and never back."""
    told: list[tuple[str, float]] = []
    run(line, DAYS[0], DAYS[1], lambda stage, done, total: told.append((stage, done / total)))
    stages = list(dict.fromkeys(stage for stage, _ in told))
    assert stages == [
        "telemetry",
        "observations",
        "ukf_state",
        "calibrated_coefficients",
        "virtual_sensors",
        "published",
    ]
    for stage in stages:
        parts = [part for name, part in told if name == stage]
        assert parts == sorted(parts)
        assert parts[-1] == 1.0
    assert len([part for name, part in told if name == "ukf_state"]) >= 24


def test_now_is_when_the_run_started(make_line: Callable[..., Line]) -> None:
    """Without another clock an observation is complete if its time was over when the run started."""
    line = make_line({"every: 2h": "every: 24h"})
    line.now = pd.Timestamp.now("UTC")
    today = line.now.floor("D")
    soon = pd.DataFrame(
        {
            "unit": "line",
            "property": ["line_speed", "Roller3_w"],
            "time": today.as_unit("ns"),
            "value": [1.0, 19.9],
            "quality": "GOOD",
        }
    )
    line.write(soon)
    windows = [line.grid.containing(today)]
    assert run_windows(line.twin, line.home, windows, opener=line.opener, pictures=False).success
    assert line.store.read("line", "observations", windows[0].key).empty
    assert line.store.metadata("line", "observations", windows[0].key)["open_until"]


def test_refused_windows_are_named(line: Line, record: Record) -> None:
    """A refusal is no error: the summary says which windows, and why; the others are published."""
    bad = record(DAYS[1], DAYS[2])
    rollers = bad["property"].str.startswith("Roller")
    sign = bad["time"].dt.hour.map(lambda hour: 1.0 if hour % 4 else -1.0) * rollers
    line.write(bad.assign(value=bad["value"] + sign * bad["property"].map(lambda name: 0.1 if "3" in name else -0.1)))
    summary = run(line, DAYS[0], DAYS[2])
    assert not summary.success
    assert list(summary.refused) == [DAYS[1]]
    assert "measured_enough: line: " in summary.refused[DAYS[1]]
    only = run(line, DAYS[1], DAYS[1])
    assert list(only.refused) == [DAYS[1]]


def test_what_users_can_mend_is_told(line: Line) -> None:
    """A model that fails is one message: unit, time, the model's own words, and the run to look at."""
    line.model.fails_at_speed = 0.0
    with pytest.raises(RunError, match=r"^line at 2026-01-01 00:00:00\+00:00: the web broke\nIn Dagster this is run "):
        run(line, DAYS[0], DAYS[0])


def test_a_historian_that_cannot_be_opened_is_told(line: Line) -> None:
    """Also what goes wrong before the first step."""
    line.home.historian_path.unlink()
    line.home.historian_path.mkdir()
    with pytest.raises(RunError, match=r"historian\.sqlite: it cannot be opened"):
        run(line, DAYS[0], DAYS[0])


def test_a_programming_error_keeps_its_traceback(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is nobody's fault but ours is told with where it happened."""

    def broken(*_: object) -> None:
        raise KeyError("oops")

    monkeypatch.setattr(line.model, "evaluate", broken)
    with pytest.raises(RuntimeError, match=r"(?s)run .* failed:.*KeyError.*in broken"):
        run(line, DAYS[0], DAYS[0])


def test_an_interrupt_stays_one(line: Line) -> None:
    """Ctrl-C in the middle ends the run at once, as Ctrl-C; the next run goes on from there, to the same end."""

    def interrupt(stage: str, done: int, total: int) -> None:
        if stage == "ukf_state" and done > total / 2:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(line, DAYS[0], DAYS[-1], interrupt)
    with instance_of(line.home) as instance:
        assert [found.status for found in instance.get_runs()] == [dg.DagsterRunStatus.FAILURE]
    assert run(line, DAYS[0], DAYS[-1]).success


def test_no_windows_is_a_programming_error(line: Line) -> None:
    """The caller knows whether there is anything to do."""
    with pytest.raises(ValueError, match="at least one window"):
        run_windows(line.twin, line.home, [])


def test_a_killed_run_is_not_busy_for_ever(line: Line) -> None:
    """A run whose process is gone is marked as failed by the next one; one of a living process is left alone."""
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    job = line.definitions().resolve_job_def("line_live")
    processes = {"gone": gone.pid, "alive": os.getpid()}
    with instance_of(line.home) as instance:
        runs = {
            name: instance.create_run_for_job(
                job, status=dg.DagsterRunStatus.STARTED, tags={PROCESS_TAG: f"{socket.gethostname()}:{process}"}
            ).run_id
            for name, process in processes.items()
        }
    run(line, DAYS[0], DAYS[0])
    with instance_of(line.home) as instance:
        found = {name: instance.get_run_by_id(run_id) for name, run_id in runs.items()}
    assert found["gone"] is not None
    assert found["alive"] is not None
    assert found["gone"].status == dg.DagsterRunStatus.FAILURE
    assert found["alive"].status == dg.DagsterRunStatus.STARTED


def test_a_home_that_cannot_be_written_is_told(line: Line, tmp_path: Path) -> None:
    """Before anything is started."""
    (tmp_path / "file").write_text("")
    with pytest.raises(TwinError, match="the home cannot be written"):
        run_windows(line.twin, Home(tmp_path / "file" / "home"), [line.grid.first])
