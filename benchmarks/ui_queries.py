"""What Dagster's UI asks for, answered by a real webserver from an instance that holds many windows."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from twin_assets.home import Home
from twin_assets.running import instance_of
from twin_assets.spec_file import Twin, load_twin
from twin_assets.stages import UKF_STATE
from twin_assets.windows import WindowGrid

KEY = '{path: ["web_line", "ukf_state"]}'
NODE = f"assetNodeOrError(assetKey: {KEY})"
RANGES = "... on TimePartitionStatuses { ranges { status startKey endKey } }"
QUERIES: Mapping[str, str] = {
    "asset: status of its windows": f"{{{NODE} {{... on AssetNode {{assetPartitionStatuses {{{RANGES}}}}}}}}}",
    "asset: counts of windows": f"{{{NODE} {{... on AssetNode {{partitionStats {{numMaterialized numFailed}}}}}}}}",
    "asset: names of windows": f"{{{NODE} {{... on AssetNode {{partitionKeys}}}}}}",
    "asset: last 100 events": f"{{{NODE} {{... on AssetNode {{assetMaterializations(limit: 100) {{partition"
    " metadataEntries {label ... on FloatMetadataEntry {floatValue}}}}}}",
    "graph: newest of every asset": "{assetNodes {assetKey {path} assetMaterializations(limit: 1) {timestamp}}}",
}
STARTED_WITHIN_S = 180.0
REPEATS = 5


def dagster_overhead(twin: Twin, counts: list[int]) -> None:
    """The table of windows."""
    print("\n| windows | event, ms | " + " | ".join(f"{name}, ms" for name in QUERIES) + " |")
    print("| ---: | ---: | " + "---: | " * len(QUERIES))
    for count in counts:
        # A folder in memory: how fast this machine's disk is does not count.
        memory = Path("/dev/shm")  # noqa: S108 - a folder of its own is made there
        with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
            home, hourly = _home(twin, Path(folder), count)
            written = _materialized(home, hourly, count)
            with _webserver(home, hourly) as url:
                times = [_asked(url, query) for query in QUERIES.values()]
            print(
                f"| {count} | {1e3 * written:.1f} | " + " | ".join(f"{1e3 * one:.0f}" for one in times) + " |",
                flush=True,
            )


def _home(twin: Twin, folder: Path, windows: int) -> tuple[Home, Twin]:
    """A home, and the twin with windows of an hour, so many of them up to now."""
    source, name = twin.path.parent, twin.spec.name
    target = folder / "twins" / name
    target.mkdir(parents=True)
    shutil.copy2(twin.fmu_path, target)
    days = -(-windows // 24) + 1
    since = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 86_400 * days))
    lines = (source / "twin.yaml").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith(("start:", "window:", "schedule:"))]
    (target / "twin.yaml").write_text("\n".join([*kept, f"start: {since}", "window: hourly", ""]), encoding="utf-8")
    home = Home(folder / "home")
    home.prepare()
    return home, load_twin(name, folder / "twins")


def _materialized(home: Home, twin: Twin, windows: int) -> float:
    """Tell of so many materializations, with as many numbers as the filter's; seconds that one took."""
    grid = WindowGrid.of(twin.spec)
    first = grid.first
    keys = [window.key for window in grid.between(first.start, first.start + windows * (first.end - first.start))]
    numbers = {f"number_{i}": float(i) for i in range(20)}
    with instance_of(home) as instance:
        began = time.perf_counter()
        for key in keys:
            event = dg.AssetMaterialization([twin.spec.name, UKF_STATE], partition=key, metadata=numbers)
            instance.report_runless_asset_event(event)
        return (time.perf_counter() - began) / windows


@contextmanager
def _webserver(home: Home, twin: Twin) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(home.dagster_path),
        "TWIN_HOME": str(home.root),
        "TWINS_PATH": str(twin.path.parents[1]),
        "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path),
    }
    command = [sys.executable, "-m", "dagster_webserver", "-h", "127.0.0.1", "-p", str(port)]
    command += ["-m", "twin_assets.definitions", "--log-level", "error"]
    with (home.root / "webserver.log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)  # noqa: S603 - this program's own
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(url, server, home.root / "webserver.log")
        yield url
    finally:
        server.terminate()
        server.wait(30)


def _wait_for(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + STARTED_WITHIN_S
    while time.monotonic() < until and server.poll() is None:
        try:
            _ask(url, QUERIES["asset: counts of windows"])
        except (OSError, RuntimeError, urllib.error.URLError):
            time.sleep(0.5)
        else:
            return
    raise RuntimeError(f"Dagster's webserver does not answer: {log.read_text(errors='replace')[-2000:]}")


def _asked(url: str, query: str) -> float:
    """Seconds until it is answered: the median of some times."""
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        _ask(url, query)
        times.append(time.perf_counter() - began)
    return sorted(times)[REPEATS // 2]


def _ask(url: str, query: str) -> object:
    body = json.dumps({"query": query}).encode()
    request = urllib.request.Request(f"{url}/graphql", body, {"Content-Type": "application/json"})  # noqa: S310 - http
    with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310 - as above
        found = json.load(answer)
    if found.get("errors") or "NotFound" in json.dumps(found)[:300]:
        raise RuntimeError(str(found)[:500])
    return found
