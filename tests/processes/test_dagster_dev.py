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

BACKFILL = """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message stack } } }"""
BACKFILL_STATUS = """query($id: String!) { partitionBackfillOrError(backfillId: $id) {
  ... on PartitionBackfill { status runs { tags { key value } } } } }"""
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}


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


def wait_for(what: str, holds: Callable[[], bool], seconds: float = 300) -> None:
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


@pytest.fixture(scope="module")
def server(served_pair: Pair) -> Iterator[Server]:
    """``dagster dev`` on the pair's home; its whole process group is ended."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["dagster", "dev", "-w", str(ROOT / "workspace.yaml"), "-h", "127.0.0.1", "-p", str(port)]
    log = served_pair.root / "dev.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command, env=served_pair.environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        started = Server(f"http://127.0.0.1:{port}")
        wait_for("the code location", lambda: _is_loaded(started))
        yield started
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


def test_the_code_location_loads(server: Server) -> None:
    """Webserver and daemons answer; the twin's job is there, and its sensor is on."""
    (repository,) = server.ask(INSTIGATORS).values()
    assert "pair_live" in {job["name"] for job in repository["jobs"]}
    sensors = [(sensor["name"], sensor["sensorState"]["status"]) for sensor in repository["sensors"]]
    assert sensors == [("pair_new_telemetry", "RUNNING")]
    wait_for("the daemons", lambda: _daemons_are_healthy(server))


@pytest.mark.parametrize("configuration", [{}, {"execution": {"config": {"multiprocess": {}}}}])
def test_a_launched_run_succeeds(server: Server, served_pair: Pair, configuration: dict[str, object]) -> None:
    """From telemetry to the historian, in one process or with a process a step; each window is materialized."""
    launched = server.ask(LAUNCH, params=_parameters(configuration))["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    run_id = launched["run"]["runId"]
    wait_for("the end of the run", lambda: _status(server, run_id) in ENDED)
    assert _status(server, run_id) == "SUCCESS"
    assert len(served_pair.published()) == 24 * 3 * (2 + 1 + 2)
    assert _materialized(server) == [("2026-01-01", "2026-01-02")]


def test_a_backfill_from_the_ui_succeeds(server: Server, served_pair: Pair) -> None:
    """All assets over two windows, as the UI's 'Materialize all' asks the daemon for; a stage has them in one run.

    The daemon goes on to the third window, whose observations look back into the second one's telemetry.
    """
    stages = (
        "fmu",
        "telemetry",
        "observations",
        "ukf_state",
        "calibrated_coefficients",
        "virtual_sensors",
        "published",
    )
    launched = server.ask(
        BACKFILL,
        params={
            "assetSelection": [{"path": ["pair", stage]} for stage in stages],
            "partitionNames": ["2026-01-01", "2026-01-02"],
        },
    )["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched
    backfill = launched["backfillId"]
    wait_for("the end of the backfill", lambda: _backfill(server, backfill)[0] != "REQUESTED")
    status, ranges = _backfill(server, backfill)
    assert status == "COMPLETED_SUCCESS"
    assert ranges == {(None, None), ("2026-01-01", "2026-01-02"), ("2026-01-01", "2026-01-03")}
    assert len(served_pair.published()) == 24 * 3 * (2 + 1 + 2)


def _backfill(server: Server, backfill: str) -> tuple[str, set[tuple[str | None, str | None]]]:
    """Status, and the ranges of the runs."""
    found = server.ask(BACKFILL_STATUS, id=backfill)["partitionBackfillOrError"]
    tags = [{tag["key"]: tag["value"] for tag in run["tags"]} for run in found["runs"]]
    prefix = "dagster/asset_partition_range_"
    return str(found["status"]), {(each.get(prefix + "start"), each.get(prefix + "end")) for each in tags}


def _materialized(server: Server) -> list[tuple[str, str]]:
    """Ranges of windows that were published."""
    found = server.ask(PARTITIONS, key={"path": ["pair", "published"]})["assetNodeOrError"]["assetPartitionStatuses"]
    return [(span["startKey"], span["endKey"]) for span in found["ranges"] if span["status"] == "MATERIALIZED"]


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


def _parameters(configuration: dict[str, object]) -> dict[str, object]:
    """A run of the live job over two windows, as the UI launches it."""
    tags = {"start": "2026-01-01", "end": "2026-01-02"}
    return {
        "selector": {
            "repositoryLocationName": "twins",
            "repositoryName": "__repository__",
            "jobName": "pair_live",
        },
        "runConfigData": configuration,
        "mode": "default",
        "executionMetadata": {
            "tags": [{"key": f"dagster/asset_partition_range_{name}", "value": value} for name, value in tags.items()]
        },
    }
