"""The emulator as a server: on the loopback, in a thread of this process."""

import socket
import threading
from pathlib import Path
from typing import Self

import uvicorn
from sqlalchemy import URL

from twin_assets.emulator import schema
from twin_assets.emulator.app import make_app
from twin_assets.emulator.background import Background
from twin_assets.emulator.connections import Connections
from twin_assets.emulator.documents import Store
from twin_assets.emulator.faults import FaultSource, parse_faults
from twin_assets.emulator.quotas import Throttle, parse_quotas
from twin_assets.emulator.service import Services
from twin_assets.errors import TwinError
from twin_assets.historian import SqlHistorian
from twin_assets.historian.rows import Clock, utc_now
from twin_assets.historian.sql import database_of

HOST = "127.0.0.1"
BUSY_TIMEOUT_S = 60.0
FILE = "sitewise.sqlite"  # in a folder of data


class Emulator:
    """IoT SiteWise and IoT TwinMaker over HTTP on the loopback. A context manager; what it holds is in a database."""

    def __init__(
        self,
        data: str | Path | URL,
        *,
        port: int = 0,
        faults: str = "",
        seed: int = 1,
        quotas: str = "off",
        clock: Clock = utc_now,
    ) -> None:
        """Nothing is opened yet.

        Args:
            data: a folder, which is made where it is not there, or the URL of a database as SqlHistorian takes it.
            port: 0 for any that is free.
            faults: as ``parse_faults`` reads them.
            seed: of the faults.
            quotas: as ``parse_quotas`` reads them.
            clock: decides which times are too early and too late.

        Raises:
            TwinError: if the faults or the quotas cannot be read.
        """
        self._data, self._port, self._clock = data, port, clock
        self._faults = FaultSource(parse_faults(faults), seed)
        self._throttle = Throttle(parse_quotas(quotas))
        self._opened: _Opened | None = None

    @property
    def url(self) -> str:
        """Where it listens.

        Raises:
            RuntimeError: before it was entered.
        """
        return f"http://{HOST}:{self._running.port}"

    @property
    def name(self) -> str:
        """Where it keeps what it holds, for people; without a password."""
        return self._running.name

    def wait(self) -> None:
        """Wait until somebody interrupts."""
        self._running.wait()

    def set_faults(self, text: str) -> None:
        """Change the faults while it runs; raises as the constructor."""
        self._faults.faults = parse_faults(text)

    def wait_for_jobs(self) -> None:
        """Wait until the bulk imports that were asked for have ended."""
        self._running.background.wait()

    def __enter__(self) -> Self:
        """Open the database, listen, and answer from a thread.

        Raises:
            TwinError: if the port is taken or the database cannot be opened.
        """
        listening = _listen(self._port)
        try:
            self._opened = _Opened(listening, self._database_url(), self._clock, self._faults, self._throttle)
        except BaseException:
            listening.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Answer what is asked at the moment, and stop."""
        opened, self._opened = self._running, None
        opened.close()

    @property
    def _running(self) -> "_Opened":
        if self._opened is None:
            raise RuntimeError("the emulator is not running: enter it with 'with'")
        return self._opened

    def _database_url(self) -> str | URL:
        if isinstance(self._data, URL) or "://" in str(self._data):
            return self._data if isinstance(self._data, URL) else str(self._data)
        folder = Path(self._data)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TwinError(
                f"{folder}: the emulator cannot keep its data there ({error.strerror}). Expected a folder that you may"
                " write to: choose one with --data."
            ) from error
        return URL.create("sqlite", database=str(folder / FILE))


class _Opened:
    """A server that runs, and what it has opened."""

    def __init__(
        self, listening: socket.socket, url: str | URL, clock: Clock, faults: FaultSource, throttle: Throttle
    ) -> None:
        self.port = int(listening.getsockname()[1])
        self._listening = listening
        SqlHistorian(
            url, clock=clock
        ).close()  # makes its tables where there are none, and refuses what is no historian
        self._database = database_of(url, BUSY_TIMEOUT_S)
        with self._database.explained(), self._database.creation() as connection:
            schema.metadata.create_all(connection)
        self.background = Background()
        services = Services(Store(self._database), clock, faults, throttle, self.background)
        # A connection that is closed while a client begins to write to it is an error that no service would show.
        connections = Connections()
        config = uvicorn.Config(
            make_app(services, faults, connections),
            http=connections.protocol(),
            log_level="critical",
            lifespan="off",
            timeout_keep_alive=600,
            access_log=False,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listening],), daemon=True, name="emulator")
        self._thread.start()

    @property
    def name(self) -> str:
        """The database's name."""
        return self._database.name

    def wait(self) -> None:
        """Wait for the server's thread, and hear of an interrupt meanwhile."""
        while self._thread.is_alive():
            self._thread.join(timeout=0.5)

    def close(self) -> None:
        """Stop the server, close what is open."""
        self._server.should_exit = True
        self._thread.join()
        self._listening.close()
        self.background.close()
        self._database.engine.dispose()


def _listen(port: int) -> socket.socket:
    """A socket that listens: clients may connect before the first request is answered.

    Raises:
        TwinError: if the port is taken.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise TwinError(
            f"{HOST}:{port}: the emulator cannot listen there ({error.strerror}). Another program has the port; choose"
            " another one with --port, or 0 for any that is free."
        ) from error
    return listening
