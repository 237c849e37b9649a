"""Open connections by their client's address, so that a fault can drop one without an answer.

The web framework has no word for that: an answer must be begun, and a client would take what it got for all of it.
"""

import asyncio

from uvicorn.protocols.http.auto import AutoHTTPProtocol

Client = tuple[str, int]


class Connections:
    """The connections of one server."""

    def __init__(self) -> None:
        """None is open yet."""
        self._transports: dict[Client, asyncio.Transport] = {}

    async def drop(self, client: Client) -> None:
        """Drop a client's connection: no byte more, no farewell."""
        transport = self._transports.get(client)
        if transport is not None:
            transport.abort()
            await asyncio.sleep(0)  # the server hears of it before it would answer an error

    def protocol(self) -> type[asyncio.Protocol]:
        """How the server speaks, for uvicorn: as always, and remembered here."""
        transports = self._transports

        class Remembered(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
            """HTTP, with its connection remembered."""

            def connection_made(self, transport: asyncio.Transport) -> None:
                """Remember the connection."""
                self.remembered_client: Client = transport.get_extra_info("peername")[:2]
                transports[self.remembered_client] = transport
                super().connection_made(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                """Forget the connection."""
                transports.pop(self.remembered_client, None)
                super().connection_lost(exc)

        return Remembered
