"""Workers never outlive their parent, however it ends."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tests.simulation.two_modes import Fault

SCRIPT = """
import signal, threading, time
from pathlib import Path
import numpy as np
from twin_assets.simulation import FmuModel
names = dict(coefficients=("a",), inputs=("u",), outputs=("y1",), reference={{"a": 0.5}})
parameters = {{"fault": {fault}, "threshold": 1.0}}
with FmuModel(Path({fmu!r}), **names, parameters=parameters, workers=2) as model:
    model.evaluate(np.array([[0.6], [0.7], [0.8], [0.9]]), np.array([2.0]))
    print(*(worker.pid for worker in model._pool.workers), model._folder, flush=True)
    model.evaluate(np.array([[a] for a in {rows}]), np.array([2.0]))
    time.sleep(60)
"""
IDLE, HANGING = "[0.6]", "[0.6, 3.0, 3.0, 3.0, 3.0]"


def alive(pid: int) -> bool:
    """Whether a process exists that is no zombie."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("rows", [IDLE, HANGING])
def test_workers_die_with_their_parent(fmu: Path, tmp_path: Path, how: signal.Signals, rows: str) -> None:
    """Killed or interrupted, with idle workers or in the midst of an FMU that hangs: no process, no folder is left."""
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT.format(fmu=str(fmu), fault=int(Fault.HANG), rows=rows)))
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        *pids, folder = parent.stdout.readline().split()
        time.sleep(0.3)  # into the second evaluation
        parent.send_signal(how)
        parent.wait(30)
    deadline = time.monotonic() + 30
    while any(alive(int(pid)) for pid in pids) or Path(folder).exists():
        assert time.monotonic() < deadline, "a worker or the extracted FMU outlived the parent"
        time.sleep(0.05)
