"""Both services behind one address: from a request over HTTP to an operation's handler and back.

Belongs here: choosing service and operation, and turning what goes wrong into answers. It knows no web framework.
"""

import logging
from dataclasses import dataclass
from functools import partial

from twin_assets.emulator import sitewise, twinmaker
from twin_assets.emulator.background import Background
from twin_assets.emulator.context import Context, Handlers
from twin_assets.emulator.documents import Store
from twin_assets.emulator.errors import ServiceError
from twin_assets.emulator.faults import FaultSource
from twin_assets.emulator.protocol import DEFAULT_REGION, Call, HttpAnswer, HttpRequest, ServiceProtocol
from twin_assets.emulator.quotas import Throttle
from twin_assets.emulator.sitewise import bulk_jobs
from twin_assets.historian.rows import Clock

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Service:
    """One service: how it speaks, and what it does."""

    protocol: ServiceProtocol
    handlers: Handlers


class Services:
    """SiteWise and TwinMaker."""

    def __init__(
        self, store: Store, clock: Clock, faults: FaultSource, throttle: Throttle, background: Background
    ) -> None:
        """Read both services' models.

        Args:
            store: everything that the services keep.
            clock: the emulator's.
            faults: drawn for single entries.
            throttle: asked for each request to SiteWise, and for single entries.
            background: runs what goes on after an answer; jobs that have not ended are submitted to it.
        """
        self._store, self._clock, self._faults = store, clock, faults
        self._throttle, self._background = throttle, background
        self._services = {
            "iotsitewise": Service(ServiceProtocol("iotsitewise", sitewise.LENGTHS), sitewise.HANDLERS),
            "iottwinmaker": Service(ServiceProtocol("iottwinmaker", twinmaker.LENGTHS), twinmaker.HANDLERS),
        }
        for job in bulk_jobs.unfinished(store):
            background.submit(partial(bulk_jobs.run, self._context("iotsitewise", DEFAULT_REGION), job))

    def find(self, request: HttpRequest) -> tuple[Service, Call] | None:
        """The service and operation that a request asks for.

        Paths of the two services overlap; the signature says whose the request is. Without one, the service is the
        first that serves the operation.
        """
        named, _ = request.signed_for
        services = [self._services[named]] if named in self._services else list(self._services.values())
        calls = [(service, call) for service in services if (call := service.protocol.find(request)) is not None]
        served = [(service, call) for service, call in calls if call.operation.name in service.handlers]
        return next(iter(served or calls), None)

    def answer(self, request: HttpRequest) -> HttpAnswer:
        """Carry out a request; whatever goes wrong is an answer as well."""
        found = self.find(request)
        if found is None:
            return self.unknown(request)
        service, call = found
        try:
            return self._answered(service, call, request)
        except ServiceError as error:
            return service.protocol.write_error(error)
        except Exception:
            logger.exception("%s failed in the emulator", call.operation.name)
            return service.protocol.write_error(internal_error(service, "The emulator failed; its log says where"))

    def _answered(self, service: Service, call: Call, request: HttpRequest) -> HttpAnswer:
        handler = service.handlers.get(call.operation.name)
        if handler is None:
            raise ServiceError(
                "NotServedException",
                f"{call.operation.name} of {service.protocol.service} is not served by the emulator; it serves"
                f" {', '.join(sorted(service.handlers))}",
            )
        name = service.protocol.service
        if name == "iotsitewise" and not self._throttle.admits(call.operation.name):
            raise ServiceError("ThrottlingException", "Rate exceeded")
        members = service.protocol.read(call, request)
        _, region = request.signed_for
        context = self._context(name, region)
        return service.protocol.write(call.operation, handler(context, members))

    def _context(self, service: str, region: str) -> Context:
        return Context(self._store, self._clock, self._faults, self._throttle, self._background, service, region)

    def unknown(self, request: HttpRequest) -> HttpAnswer:
        """The answer to a request that is no operation of either service."""
        message = f"{request.method} {request.path} is no operation of IoT SiteWise or IoT TwinMaker"
        return self._services["iotsitewise"].protocol.write_error(ServiceError("UnknownOperationException", message))


def internal_error(service: Service, message: str) -> ServiceError:
    """A service's error 500, by its own name."""
    sitewise_own = service.protocol.service == "iotsitewise"
    return ServiceError("InternalFailureException" if sitewise_own else "InternalServerException", message)
