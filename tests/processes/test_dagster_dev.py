"""``dagster dev`` as `make dev` starts it: webserver, daemon, code location; a run launched over GraphQL succeeds."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
Pair = Any  # conftest's, which cannot be imported

LOADED = """{ workspaceOrError { ... on Workspace { locationEntries {
  name loadStatus locationOrLoadError { __typename ... on PythonError { message } } } } } }"""
DAEMONS = "{ instance { daemonHealth { allDaemonStatuses { daemonType healthy required } } } }"
INSTIGATORS = """{ repositoryOrError(repositorySelector:
    {repositoryLocationName: "twins", repositoryName: "__repository__"}) {
  ... on Repository { sensors { name sensorState { status } } jobs { name } } } }"""
LAUNCH = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message stack }
  ... on RunConfigValidationInvalid { errors { message } } } }"""
STATUS = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
PARTITIONS = """query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
  assetPartitionStatuses { ... on TimePartitionStatuses { ranges { status startKey endKey } } } } } }"""


class Server:
    """A running ``dagster dev``."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, query: str, **variables: object) -> Any:  # noqa: ANN401 - JSON
        """Answer to a GraphQL query."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(  # noqa: S310 - this machine, http
            f"{self.url}/graphql", data=body, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
            found = json.load(answer)
        assert "errors" not in found, found
        return found["data"]


def wait_for(what: str, holds: Callable[[], bool], seconds: float = 180) -> None:
    """Look until something holds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if holds():
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            pass
        time.sleep(0.5)
    pytest.fail(f"waited {seconds} s in vain for: {what}")


@pytest.fixture
def server(pair: Pair, tmp_path: Path) -> Iterator[Server]:
    """``dagster dev`` on the pair's home; its whole process group is ended."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["dagster", "dev", "-w", str(ROOT / "workspace.yaml"), "-h", "127.0.0.1", "-p", str(port)]
    log = tmp_path / "dev.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command, env=pair.environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield Server(f"http://127.0.0.1:{port}")
    finally:
        end(process)
    assert "Traceback" not in log.read_text()


def end(process: "subprocess.Popen[bytes]") -> None:
    """Ask a process group to end, and make it."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def test_dagster_dev_runs_a_twin(server: Server, pair: Pair) -> None:
    """The code location loads, the daemons are healthy, and a launched run goes from telemetry to the historian."""
    wait_for("the code location", lambda: _is_loaded(server))
    (repository,) = server.ask(INSTIGATORS).values()
    assert "pair_live" in {job["name"] for job in repository["jobs"]}
    assert [(s["name"], s["sensorState"]["status"]) for s in repository["sensors"]] == [
        ("pair_new_telemetry", "RUNNING")
    ]
    launched = server.ask(LAUNCH, params=_parameters())["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    run_id = launched["run"]["runId"]
    wait_for("the end of the run", lambda: _status(server, run_id) in {"SUCCESS", "FAILURE", "CANCELED"})
    assert _status(server, run_id) == "SUCCESS"
    assert len(pair.published()) == 24 * 3 * (2 + 1 + 2)
    found = server.ask(PARTITIONS, key={"path": ["pair", "published"]})["assetNodeOrError"]["assetPartitionStatuses"]
    assert {"status": "MATERIALIZED", "startKey": "2026-01-01", "endKey": "2026-01-02"} in found["ranges"]
    wait_for("the daemons", lambda: _daemons_are_healthy(server))


def _is_loaded(server: Server) -> bool:
    (entry,) = server.ask(LOADED)["workspaceOrError"]["locationEntries"]
    if entry["locationOrLoadError"] is None:
        return False
    assert entry["locationOrLoadError"]["__typename"] == "RepositoryLocation", entry
    return bool(entry["loadStatus"] == "LOADED")


def _status(server: Server, run_id: str) -> str:
    return str(server.ask(STATUS, id=run_id)["runOrError"]["status"])


def _daemons_are_healthy(server: Server) -> bool:
    daemons = server.ask(DAEMONS)["instance"]["daemonHealth"]["allDaemonStatuses"]
    return {"SCHEDULER", "SENSOR"} <= {each["daemonType"] for each in daemons if each["healthy"]}


def _parameters() -> dict[str, object]:
    """A run of the live job over two windows, as the UI launches it."""
    tags = {"start": "2026-01-01", "end": "2026-01-02"}
    return {
        "selector": {
            "repositoryLocationName": "twins",
            "repositoryName": "__repository__",
            "jobName": "pair_live",
        },
        "runConfigData": {},
        "mode": "default",
        "executionMetadata": {
            "tags": [{"key": f"dagster/asset_partition_range_{name}", "value": value} for name, value in tags.items()]
        },
    }
