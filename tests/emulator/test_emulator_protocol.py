"""How the emulator speaks: routing, errors, browsers, and that it checks by the services' own models."""

import base64
import json
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.session
import pytest

from emulator_clients import NOW_S, Client
from twin_assets.emulator import Emulator
from twin_assets.emulator.constraints import Constraints
from twin_assets.emulator.protocol import ServiceProtocol

SERVICES = ("iotsitewise", "iottwinmaker")


def ask(
    emulator: Emulator, method: str, path: str, body: object = None, **headers: str
) -> tuple[int, dict[str, str], Any]:
    """A request as any program may send it; status, headers and what the body says."""
    connection = HTTPConnection(urlsplit(emulator.url).netloc)
    try:
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, sent, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        told = answer.read()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, found, json.loads(told) if found.get("content-type") == "application/json" else told
    finally:
        connection.close()


def signed_for(service: str) -> str:
    """The head of a signature for a service, which is all that is read of it."""
    return f"AWS4-HMAC-SHA256 Credential=none/20260201/eu-central-1/{service}/aws4_request, Signature=0"


@pytest.mark.parametrize("service", SERVICES)
def test_every_operation_of_both_models_can_be_found_and_checked(service: str) -> None:
    """Also those with shapes that hold themselves, and patterns that Python does not know."""
    protocol = ServiceProtocol(service, {})
    constraints = Constraints({})
    model = botocore.session.Session().get_service_model(service)
    for name in model.operation_names:
        operation = model.operation_model(name)
        for shape in (operation.input_shape, operation.output_shape):
            if shape is not None:
                assert isinstance(constraints.of(shape)([], "", []), list)
    assert len(protocol._routes) == len(model.operation_names)


def test_a_path_of_both_services_belongs_to_the_one_that_it_is_signed_for(emulator: Emulator) -> None:
    """SiteWise has workspaces too, which are not served: not mixed up with TwinMaker's, which are."""
    status, _, body = ask(emulator, "GET", "/workspaces/line", authorization=signed_for("iottwinmaker"))
    assert (status, body["__type"]) == (404, "ResourceNotFoundException")
    status, _, body = ask(emulator, "GET", "/workspaces/line", authorization=signed_for("iotsitewise"))
    assert (status, body["__type"]) == (501, "NotServedException")
    status, _, body = ask(emulator, "GET", "/workspaces/line")
    assert (status, body["__type"]) == (404, "ResourceNotFoundException")


def test_what_is_not_served_is_said_plainly(emulator: Emulator) -> None:
    """Its name, and what is served; a path that is no operation is another matter."""
    status, headers, body = ask(emulator, "GET", "/portals", authorization=signed_for("iotsitewise"))
    assert (status, headers["x-amzn-errortype"]) == (501, "NotServedException")
    assert "ListPortals of iotsitewise is not served" in body["message"]
    assert "BatchPutAssetPropertyValue" in body["message"]
    status, _, body = ask(emulator, "GET", "/nowhere")
    assert (status, body["__type"]) == (404, "UnknownOperationException")


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b'"text"', b'{"a": NaN}', b'{"a": "\\ud800"}'])
def test_a_body_that_is_no_json_object_is_a_serialization_exception(emulator: Emulator, body: bytes) -> None:
    """400, as rest-json has it, not a failure."""
    status, _, found = ask(emulator, "POST", "/properties", body, authorization=signed_for("iotsitewise"))
    assert (status, found["__type"]) == (400, "SerializationException")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            {"entryId": 1},
            "Value '1' at 'entries.1.member.entryId' failed to satisfy constraint: Member must be a string",
        ),
        ({}, "Value null at 'entries.1.member.entryId' failed to satisfy constraint: Member must not be null"),
        ({"entryId": "a", "propertyValues": {}}, "Member must be a list"),
        ({"entryId": "a", "propertyValues": [{"quality": "FINE"}]}, "enum value set: [GOOD, BAD, UNCERTAIN]"),
        ({"entryId": "a", "propertyValues": [{"value": {"doubleValue": True}}]}, "Member must be a number"),
        ({"entryId": "a", "propertyValues": [{"value": {"integerValue": 1.5}}]}, "Member must be a whole number"),
        ({"entryId": "a", "propertyValues": [{"value": {"integerValue": 2**31}}]}, "less than or equal to 2147483647"),
        (
            {"entryId": "a", "propertyValues": [{"timestamp": {"timeInSeconds": 1, "offsetInNanos": 10**9}}]},
            "less than or equal to 999999999",
        ),
    ],
)
def test_requests_that_no_sdk_would_send_are_refused_in_the_services_words(
    emulator: Emulator, entry: dict[str, Any], said: str
) -> None:
    """InvalidRequestException that names the member, its value and the constraint."""
    body = {"entries": [entry]}
    status, headers, found = ask(emulator, "POST", "/properties", body, authorization=signed_for("iotsitewise"))
    assert (status, headers["x-amzn-errortype"]) == (400, "InvalidRequestException")
    assert said in found["message"]


FOREIGN = ({"entry": "z"}, {"after": 5}, {"after": ["a", 0]}, {"after": [2**64, 0]}, {"failed": [1]}, {"entry": None})


@pytest.mark.parametrize("token", FOREIGN)
def test_tokens_that_somebody_made_up_are_refused(emulator: Emulator, token: dict[str, object]) -> None:
    """Also those that look like ours: 400, not a failure."""
    entry = {"entryId": "a", "propertyAlias": "/a"}
    body = {"entries": [entry], "nextToken": base64.b64encode(json.dumps(token).encode()).decode()}
    ask_for = ("/properties/batch/history", body)
    status, _, found = ask(emulator, "POST", *ask_for, authorization=signed_for("iotsitewise"))
    assert (status, found["__type"]) == (400, "InvalidRequestException")


@pytest.mark.parametrize(("end", "status"), [("9999-12-31T00:00:00Z", 200), ("9" * 30, 200), ("nan", 400), ("x", 400)])
def test_times_that_no_store_holds_are_times_all_the_same(emulator: Emulator, end: str, status: int) -> None:
    """A range may end after the last nanosecond that a database can hold; what is no time is refused."""
    value = {"value": {"doubleValue": 1.0}, "timestamp": {"timeInSeconds": NOW_S}}
    entry = {"entryId": "a", "propertyAlias": "/a", "propertyValues": [value]}
    signed = {"authorization": signed_for("iotsitewise")}
    ask(emulator, "POST", "/properties", {"entries": [entry]}, **signed)
    found, _, body = ask(emulator, "GET", f"/properties/history?propertyAlias=/a&endDate={end}", **signed)
    assert (found, len(body.get("assetPropertyValueHistory", []))) == (status, 1 if status == 200 else 0)


def test_any_host_and_an_unknown_member_are_taken(emulator: Emulator) -> None:
    """Clients that put ``data.`` before the host reach it, where their system finds the name; newer ones say more."""
    value = {"value": {"doubleValue": 1.0}, "timestamp": {"timeInSeconds": NOW_S}}
    entry = {"entryId": "a", "propertyAlias": "/a", "propertyValues": [value], "newer": 1}
    status, _, body = ask(emulator, "POST", "/properties", {"entries": [entry]}, host="data.localhost:1")
    assert (status, body) == (200, {"errorEntries": []})


def test_browsers_may_ask(emulator: Emulator) -> None:
    """The preflight allows the SDK's headers, and answers and errors can be read from any origin."""
    status, headers, _ = ask(
        emulator,
        "OPTIONS",
        "/properties/batch/history",
        origin="http://localhost:5173",
        access_control_request_method="POST",
        access_control_request_headers="authorization,x-amz-date,amz-sdk-invocation-id",
    )
    assert status == 200
    assert "authorization" in headers["access-control-allow-headers"]
    status, headers, _ = ask(emulator, "GET", "/assets", origin="http://localhost:5173")
    assert status == 400
    assert headers["access-control-allow-origin"] == "*"
    assert "x-amzn-errortype" in headers["access-control-expose-headers"]


def test_an_alias_may_hold_any_character_that_a_url_must_quote(sitewise: Client) -> None:
    """Slashes, spaces, percent signs and umlauts travel in the query."""
    alias = "/Linie 1/100%/Größe?a=b&c+d"
    value = {"value": {"doubleValue": 1.0}, "timestamp": {"timeInSeconds": NOW_S}}
    entry = {"entryId": "a", "propertyAlias": alias, "propertyValues": [value]}
    assert sitewise.batch_put_asset_property_value(entries=[entry])["errorEntries"] == []
    assert sitewise.describe_time_series(alias=alias)["alias"] == alias
    assert sitewise.get_asset_property_value(propertyAlias=alias)["propertyValue"]["value"] == {"doubleValue": 1.0}


def test_boto3_needs_the_environment_alone(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``twin emulator`` tells it: the endpoints, and no host prefixes."""
    told = {
        "ENDPOINT_URL_IOTSITEWISE": emulator.url,
        "ENDPOINT_URL_IOTTWINMAKER": emulator.url,
        "DISABLE_HOST_PREFIX_INJECTION": "true",
        "DEFAULT_REGION": "eu-central-1",
        "ACCESS_KEY_ID": "none",
        "SECRET_ACCESS_KEY": "none",
    }
    for name, text in told.items():
        monkeypatch.setenv(f"AWS_{name}", text)
    session = boto3.Session()
    value = {"value": {"doubleValue": 1.0}, "timestamp": {"timeInSeconds": NOW_S}}
    entry = {"entryId": "a", "propertyAlias": "/a", "propertyValues": [value]}
    assert session.client("iotsitewise").batch_put_asset_property_value(entries=[entry])["errorEntries"] == []
    assert session.client("iottwinmaker").list_workspaces()["workspaceSummaries"] == []
