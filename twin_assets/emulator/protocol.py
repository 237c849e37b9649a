"""Rest-json as botocore's service models describe it: which operation a request asks for, what it says, how to answer.

Belongs here: reading and checking requests, checking and writing answers. What the operations do is in the handlers.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from typing import Any
from urllib.parse import unquote

import botocore.session
from botocore.model import ListShape, OperationModel, ServiceModel, Shape, StructureShape

from twin_assets.emulator.constraints import Constraints, refusal
from twin_assets.emulator.errors import ServiceError

Document = dict[str, Any]  # a structure as JSON has it

PLACEHOLDER = re.compile(r"\{(\w+)\}")
SCOPE = re.compile(r"Credential=[^/]*/\d{8}/([^/]+)/([^/]+)/aws4_request")
DEFAULT_REGION = "eu-central-1"
INVALID = ("InvalidRequestException", "ValidationException")

# What the modelled exceptions do not cover: https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html
STATUS = {"SerializationException": 400, "UnknownOperationException": 404, "NotServedException": 501}


@dataclass(frozen=True)
class HttpRequest:
    """What came in.

    Attributes:
        method: GET, POST, …
        path: as it was sent, still quoted.
        query: pairs in their order.
        headers: with lower-case names.
        body: as it was sent.
    """

    method: str
    path: str
    query: Sequence[tuple[str, str]]
    headers: Mapping[str, str]
    body: bytes

    @property
    def signed_for(self) -> tuple[str | None, str]:
        """Service, where the signature names one, and region. The signature itself is not checked."""
        found = SCOPE.search(self.headers.get("authorization", ""))
        return (found.group(2), found.group(1)) if found else (None, DEFAULT_REGION)


@dataclass(frozen=True)
class HttpAnswer:
    """What goes out."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Call:
    """An operation that a request asks for, and the values in its path."""

    operation: OperationModel
    path_values: dict[str, str]


class ServiceProtocol:
    """One service's requests and answers."""

    def __init__(self, service: str, lengths: dict[str, int]) -> None:
        """Read the service's model, which comes with botocore.

        Args:
            service: ``iotsitewise`` or ``iottwinmaker``.
            lengths: as for Constraints.
        """
        self.service = service
        self.model = _service_model(service)
        self._constraints = Constraints(lengths)

    @cached_property
    def _routes(self) -> list[tuple[str, re.Pattern[str], OperationModel]]:
        """Method, path and operation, those with the fewest placeholders first: they are the more particular."""
        operations = [self.model.operation_model(name) for name in self.model.operation_names]
        operations.sort(key=lambda operation: len(PLACEHOLDER.findall(operation.http["requestUri"])))
        return [(each.http["method"], _path_pattern(each.http["requestUri"]), each) for each in operations]

    def find(self, request: HttpRequest) -> Call | None:
        """The operation that a request asks for, if this service has one."""
        for method, pattern, operation in self._routes:
            if method == request.method and (found := pattern.fullmatch(request.path)):
                return Call(operation, {name: unquote(text) for name, text in found.groupdict().items()})
        return None

    def read(self, call: Call, request: HttpRequest) -> Document:
        """The members of a request, timestamps as seconds since 1970-01-01 UTC.

        Raises:
            ServiceError: if the request is not what the model says.
        """
        shape = call.operation.input_shape
        if shape is None:
            return {}
        findings: list[str] = []
        members = _json_object(request.body) | _located(shape, call, request)
        checked = self._constraints.of(shape)(members, "", findings)
        if findings or not isinstance(checked, dict):
            raise ServiceError(self._invalid, refusal(findings))
        return checked

    def write(self, operation: OperationModel, answer: Document) -> HttpAnswer:
        """An answer, checked against the model.

        Raises:
            ValueError: if a handler answers what the model does not allow: a mistake of ours.
        """
        status = int(operation.http.get("responseCode", 200))
        shape = operation.output_shape
        if shape is None:
            return HttpAnswer(status, {}, b"")
        findings: list[str] = []
        self._constraints.of(shape)(answer, "", findings)
        if unknown := set(answer) - set(shape.members):
            findings.append(f"{operation.name} answers nothing called {', '.join(sorted(unknown))}")
        if findings:
            raise ValueError(refusal(findings))
        body = {name: value for name, value in answer.items() if value is not None}
        return HttpAnswer(status, {}, json.dumps(body, allow_nan=False, separators=(",", ":")).encode())

    def write_error(self, error: ServiceError) -> HttpAnswer:
        """An error as the model declares it: the code in a header, the rest in the body."""
        shapes = {shape.name: shape for shape in self.model.error_shapes}
        code = self._invalid if error.code in INVALID else error.code  # what both services' handlers share
        shape = shapes.get(code)
        status = shape.metadata["error"]["httpStatusCode"] if shape is not None else STATUS.get(code, 400)
        body = {"__type": code, "message": error.message, **error.members}
        return HttpAnswer(status, {"x-amzn-errortype": code}, json.dumps(body).encode())

    @property
    def _invalid(self) -> str:
        """How the service calls a request that is not valid."""
        return "InvalidRequestException" if self.service == "iotsitewise" else "ValidationException"


@lru_cache
def _service_model(service: str) -> ServiceModel:
    return botocore.session.Session().get_service_model(service)


def _path_pattern(uri: str) -> re.Pattern[str]:
    """Of a path with placeholders; with or without a slash at its end, which clients treat differently."""
    parts = PLACEHOLDER.split(uri.rstrip("/"))
    literals, names = parts[::2], parts[1::2]
    pattern = re.escape(literals[0])
    for name, literal in zip(names, literals[1:], strict=True):
        pattern += f"(?P<{name}>[^/]+){re.escape(literal)}"
    return re.compile(pattern + "/?")


def _json_object(body: bytes) -> Document:
    if not body.strip():
        return {}
    try:
        parsed = json.loads(body, parse_constant=_no_constant)
        json.dumps(parsed, ensure_ascii=False).encode()  # halves of characters, which no store holds
    except ValueError as error:
        raise ServiceError("SerializationException", f"the body is no JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise ServiceError("SerializationException", "the body is JSON, but no object")
    return parsed


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no number of JSON")


def _located(shape: StructureShape, call: Call, request: HttpRequest) -> Document:
    """The members that do not stand in the body, under the names that they have where they stand."""
    found: Document = {}
    for name, member in shape.members.items():
        location = member.serialization.get("location")
        wire = member.serialization.get("name", name)
        if location == "uri":
            texts = [call.path_values[wire]]
        elif location == "querystring":
            texts = [text for key, text in request.query if key == wire]
        elif location == "header":
            texts = [text for key, text in request.headers.items() if key == str(wire).lower()]
        else:
            continue
        if texts:
            found[wire] = (
                [_from_text(member.member, text) for text in texts]
                if _is_list(member)
                else _from_text(member, texts[0])
            )
    return found


def _is_list(shape: Shape) -> bool:
    return isinstance(shape, ListShape)


def _from_text(shape: Shape, text: str) -> object:
    """What a text in a path, query or header says; as it is where it is not of its type, for the check to refuse."""
    readers = {
        "boolean": lambda: {"true": True, "false": False}[text.lower()],
        "integer": lambda: int(text),
        "long": lambda: int(text),
        "double": lambda: float(text),
        "float": lambda: float(text),
        "timestamp": lambda: _seconds(text),
    }
    try:
        return readers.get(shape.type_name, lambda: text)()
    except (ValueError, KeyError, OverflowError):
        return text


def _seconds(text: str) -> float:
    """Seconds since 1970-01-01 UTC of a time as ISO 8601 has it."""
    try:
        seconds = float(text)
    except ValueError:
        time = datetime.fromisoformat(text)
    else:
        if math.isfinite(seconds):
            return seconds
        raise ValueError(f"{text} is no time")
    time = time.replace(tzinfo=UTC) if time.tzinfo is None else time
    return (time - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
