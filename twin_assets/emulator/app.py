"""The emulator as a web application: requests in, answers and faults out; and the faults' control.

``GET /_emulator`` says what is served and which faults are on; ``PUT /_emulator/faults`` with a text such as
``throttle=10%,drop=1%`` changes them while it runs.
"""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from twin_assets.emulator.connections import Connections
from twin_assets.emulator.errors import ServiceError
from twin_assets.emulator.faults import FaultSource, Mishap, parse_faults
from twin_assets.emulator.protocol import HttpAnswer, HttpRequest
from twin_assets.emulator.service import Services, internal_error
from twin_assets.errors import TwinError

METHODS = ["GET", "POST", "PUT", "DELETE"]
JSON = "application/json"
Endpoint = Callable[[Request], Awaitable[Response]]


class Dropped(Response):
    """No answer: the connection is dropped."""

    def __init__(self, connections: Connections) -> None:
        """Nothing is dropped yet.

        Args:
            connections: of the server.
        """
        super().__init__()
        self._connections = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Drop the connection, send nothing."""
        host, port = scope["client"]
        await self._connections.drop((host, port))


def make_app(services: Services, faults: FaultSource, connections: Connections) -> Starlette:
    """The web application.

    Args:
        services: what it serves.
        faults: what goes wrong; drawn for each request.
        connections: of the server, for those that are dropped.
    """
    routes = [
        Route("/_emulator", _described(faults), methods=["GET"]),
        Route("/_emulator/faults", _set_faults(faults), methods=["PUT"]),
        Route("/{path:path}", _serve(services, faults, connections), methods=METHODS),
    ]
    anyone = Middleware(
        CORSMiddleware,
        allow_origins=["*"],
        allow_methods=METHODS,
        allow_headers=["*"],
        expose_headers=["x-amzn-errortype", "x-amzn-requestid"],
    )
    return Starlette(routes=routes, middleware=[anyone])


def _serve(services: Services, faults: FaultSource, connections: Connections) -> Endpoint:
    async def serve(request: Request) -> Response:
        told = HttpRequest(
            request.method,
            request.scope["raw_path"].decode("ascii"),
            request.query_params.multi_items(),
            request.headers,
            await request.body(),
        )
        mishap = faults.mishap()
        if mishap.delay_s:
            await asyncio.sleep(mishap.delay_s)
        answer = None
        if mishap.kind is None or mishap.carried_out:
            answer = await run_in_threadpool(services.answer, told)
        if mishap.kind == "drop":
            return Dropped(connections)
        return _response(_failed(services, told, mishap) if answer is None or mishap.kind else answer)

    return serve


def _failed(services: Services, request: HttpRequest, mishap: Mishap) -> HttpAnswer:
    """The answer to a request that a fault has hit."""
    found = services.find(request)
    if found is None:
        return services.unknown(request)
    service, _ = found
    if mishap.kind == "throttle":
        return service.protocol.write_error(ServiceError("ThrottlingException", "Rate exceeded"))
    return service.protocol.write_error(internal_error(service, "An internal error, as was asked for"))


def _response(answer: HttpAnswer) -> Response:
    headers = {"x-amzn-requestid": str(uuid.uuid4()), **answer.headers}
    return Response(answer.body, answer.status, headers, media_type=JSON)


def _described(faults: FaultSource) -> Endpoint:
    async def described(_: Request) -> Response:
        return JSONResponse({"faults": vars(faults.faults)})

    return described


def _set_faults(faults: FaultSource) -> Endpoint:
    async def set_faults(request: Request) -> Response:
        try:
            faults.faults = parse_faults((await request.body()).decode(errors="replace"))
        except TwinError as error:
            return Response(json.dumps({"message": str(error)}), 400, media_type=JSON)
        return JSONResponse({"faults": vars(faults.faults)})

    return set_faults
