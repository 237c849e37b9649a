"""Faults on request: each is what a client of the real service would see, and as often as was asked for."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from emulator_clients import Client, Clock, at, connect
from twin_assets.emulator import Emulator
from twin_assets.emulator.faults import Faults, FaultSource, parse_faults
from twin_assets.errors import TwinError

ALIAS = "/line/speed"
WithFaults = Callable[[str], Emulator]


@pytest.fixture(name="faulty")
def _faulty(tmp_path: Path, clock: Clock) -> Iterator[WithFaults]:
    """Starts an emulator with faults."""
    running: list[Emulator] = []

    def start(faults: str) -> Emulator:
        emulator = Emulator(tmp_path, clock=clock, faults=faults)
        running.append(emulator.__enter__())
        return emulator

    yield start
    for emulator in running:
        emulator.__exit__()


def put(sitewise: Client, *values: float) -> list[dict[str, Any]]:
    """Put one entry for each value."""
    entries = [
        {
            "entryId": str(number),
            "propertyAlias": ALIAS,
            "propertyValues": [{"value": {"doubleValue": value}, "timestamp": at(-number)}],
        }
        for number, value in enumerate(values)
    ]
    return list(sitewise.batch_put_asset_property_value(entries=entries)["errorEntries"])


def test_throttling_is_a_modelled_exception(faulty: WithFaults) -> None:
    """ThrottlingException, status 429, and nothing was carried out."""
    emulator = faulty("throttle=100%")
    sitewise = connect("iotsitewise", emulator.url)
    with pytest.raises(sitewise.exceptions.ThrottlingException) as caught:
        put(sitewise, 1.0)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    emulator.set_faults("")
    assert sitewise.list_time_series()["TimeSeriesSummaries"] == []


def test_an_internal_error_is_each_services_own(faulty: WithFaults) -> None:
    """Status 500, by the names that the two models have for it."""
    emulator = faulty("error=100%")
    sitewise = connect("iotsitewise", emulator.url)
    twinmaker = connect("iottwinmaker", emulator.url)
    with pytest.raises(sitewise.exceptions.InternalFailureException):
        sitewise.list_time_series()
    with pytest.raises(twinmaker.exceptions.InternalServerException):
        twinmaker.list_workspaces()


def test_dropped_connections_are_errors_of_the_connection(faulty: WithFaults) -> None:
    """No answer at all; some of the requests were carried out all the same, some not."""
    emulator = faulty("drop=100%")
    sitewise = connect("iotsitewise", emulator.url)
    for number in range(8):
        with pytest.raises(ConnectionClosedError):
            sitewise.create_asset_model(assetModelName=f"model {number}")
    emulator.set_faults("")
    assert 0 < len(sitewise.list_asset_models()["assetModelSummaries"]) < 8


def test_a_request_that_is_sent_again_creates_nothing_again(faulty: WithFaults) -> None:
    """boto3 sends the same client token with each try: one model, whichever of them was heard."""
    emulator = faulty("drop=40%,error=20%")
    sitewise = connect("iotsitewise", emulator.url, retries={"total_max_attempts": 10, "mode": "standard"})
    made = [sitewise.create_asset_model(assetModelName=f"model {number}")["assetModelId"] for number in range(3)]
    emulator.set_faults("")
    assert [each["id"] for each in sitewise.list_asset_models()["assetModelSummaries"]] == made


def test_partial_errors_are_throttled_entries_that_were_not_kept(faulty: WithFaults) -> None:
    """The others were; so a client that sends the failed ones again loses nothing and doubles nothing."""
    emulator = faulty("partial=50%")
    sitewise = connect("iotsitewise", emulator.url)
    failed = {int(each["entryId"]) for each in put(sitewise, *range(10))}
    assert 0 < len(failed) < 10
    emulator.set_faults("")
    found = sitewise.get_asset_property_value_history(propertyAlias=ALIAS)["assetPropertyValueHistory"]
    assert {each["value"]["doubleValue"] for each in found} == set(range(10)) - failed


def test_faults_are_changed_while_it_runs(emulator: Emulator, sitewise: Client) -> None:
    """With a request, for tests and demonstrations in other processes."""
    request = Request(f"{emulator.url}/_emulator/faults", b"throttle=100%", method="PUT")  # noqa: S310 - the loopback
    with urlopen(request) as answer:  # noqa: S310 - the loopback
        assert json.load(answer)["faults"]["throttle"] == 1.0
    with pytest.raises(ClientError, match="Rate exceeded"):
        sitewise.list_time_series()


def test_faults_come_as_often_as_was_asked_for_and_the_same_again() -> None:
    """Shares within four standard deviations of 4000 draws, and a seed's draws are always the same."""
    faults = Faults(throttle=0.1, error=0.05, drop=0.01, slow_s=0.2)
    first, second = (FaultSource(faults, 7) for _ in range(2))
    drawn = [first.mishap() for _ in range(4000)]
    assert drawn == [second.mishap() for _ in range(4000)]
    for kind, share in {"throttle": 0.1, "error": 0.05, "drop": 0.01, None: 0.84}.items():
        found = sum(each.kind == kind for each in drawn) / 4000
        assert abs(found - share) < 4 * (share * (1 - share) / 4000) ** 0.5
    assert all(0 <= each.delay_s <= 0.4 for each in drawn)
    assert not any(each.carried_out for each in drawn if each.kind == "throttle")


def test_faults_are_read_as_people_write_them() -> None:
    """Per cent, milliseconds or seconds, spaces or none."""
    assert parse_faults("throttle=10%, error=5%,partial=0.5%,slow=200ms,drop=1%") == Faults(0.1, 0.05, 0.005, 0.01, 0.2)
    assert parse_faults("slow=2s") == Faults(slow_s=2.0)
    assert parse_faults("") == Faults()


@pytest.mark.parametrize("text", ["throtle=1%", "throttle=10", "throttle=101%", "slow=10%", "slow", "drop=-1%"])
def test_what_is_no_fault_is_said_plainly(text: str) -> None:
    """With what would be right."""
    with pytest.raises(TwinError, match="throttle=10%,error=5%"):
        parse_faults(text)
