"""A PostgreSQL server of one's own: what the tests and the benchmark of the historian run against.

Debian's binaries (or those on the PATH), a data folder that is thrown away, a free port of 127.0.0.1, no socket file.
The server ends with the process that started it, also when that one is killed.
"""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

SUPERUSER, PASSWORD = "postgres", "s3cr3t-of-the-tests"
START_S = 60.0
# PostgreSQL refuses to run as root; these users are on every Debian, the second on every Unix.
UNPRIVILEGED = ("postgres", "nobody")
DISPOSABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "60",
    "lc_messages": "C",
}
# The server goes when its standard input ends: however its parent ended, the pipe is closed.
UNTIL_PARENT_ENDS = '"$@" & server=$!; cat >/dev/null; kill -INT $server 2>/dev/null; wait $server'


class NoPostgresError(Exception):
    """There is no PostgreSQL on this machine, or it does not start; says where and why."""


@dataclass(frozen=True)
class PostgresServer:
    """A running server.

    Attributes:
        port: of 127.0.0.1.
    """

    port: int

    def url(self, database: str = "postgres", user: str = SUPERUSER, password: str = PASSWORD) -> str:
        """SQLAlchemy's URL of a database."""
        return f"postgresql+psycopg://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def execute(self, *statements: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run statements as the superuser, each by itself; the rows of the last one."""
        import psycopg  # noqa: PLC0415 - where there is no server, there need be no driver

        rows: list[tuple[object, ...]] = []
        with psycopg.connect(self.url(database).replace("+psycopg", ""), autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
                rows = cursor.fetchall() if cursor.description else []
        return rows

    @contextmanager
    def schema(self, name: str) -> Iterator[str]:
        """An empty schema of the first database, dropped afterwards; yields a URL whose tables are in it.

        Made in a hundredth of the time of a database.
        """
        self.execute(f'CREATE SCHEMA "{name}"')
        try:
            yield f"{self.url()}?options=-csearch_path%3D{name}"
        finally:
            self.execute(f'DROP SCHEMA "{name}" CASCADE')

    @contextmanager
    def database(self, name: str) -> Iterator[str]:
        """An empty database, dropped afterwards; yields its URL."""
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        try:
            yield self.url(name)
        finally:
            self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def binaries() -> Path:
    """The folder with initdb and postgres: the newest of Debian's, or that of the PATH.

    Raises:
        NoPostgresError: if there is none.
    """
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name), reverse=True)
    on_path = shutil.which("postgres")
    for folder in (*debian, *([Path(on_path).resolve().parent] if on_path else [])):
        if (folder / "initdb").is_file() and (folder / "postgres").is_file():
            return folder
    raise NoPostgresError("no PostgreSQL server under /usr/lib/postgresql nor on the PATH (Debian: postgresql)")


@contextmanager
def postgres_server(*, durable: bool = False) -> Iterator[PostgresServer]:
    """A new server.

    Args:
        durable: whether it waits for the disk; what is thrown away need not.

    Raises:
        NoPostgresError: if there is none on this machine, or it does not start.
    """
    folder = binaries()
    root = Path(tempfile.mkdtemp(prefix="twin-postgres-"))
    try:
        account = _owner_of(root)
        _initialise(folder, root, account)
        port = _free_port()
        settings = SETTINGS | ({} if durable else DISPOSABLE)
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [str(folder / "postgres"), "-D", str(root / "data"), "-p", str(port), *options]
        with (root / "server.log").open("wb") as log:
            server = _start(["/bin/sh", "-c", UNTIL_PARENT_ENDS, "sh", *command], root, account, log)
            try:
                _await(port, root / "server.log")
                yield PostgresServer(port)
            finally:
                if server.stdin is not None:
                    server.stdin.close()
                server.wait(START_S)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _owner_of(root: Path) -> pwd.struct_passwd | None:
    """Whom the server runs as, who is given the folder; None: as who we are."""
    if os.getuid() != 0:
        return None
    known = {account.pw_name: account for account in pwd.getpwall()}
    account = next(known[name] for name in UNPRIVILEGED if name in known)
    os.chown(root, account.pw_uid, account.pw_gid)
    return account


def _start(
    command: list[str], root: Path, account: pwd.struct_passwd | None, log: IO[bytes]
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603 - the server's own commands
        command,
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        cwd=root,
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},  # nothing of a developer's PGHOST and PGOPTIONS
        user=account and account.pw_uid,
        group=account and account.pw_gid,
        extra_groups=account and [],
    )


def _initialise(folder: Path, root: Path, account: pwd.struct_passwd | None) -> None:
    password = root / "password"
    password.write_text(PASSWORD)
    password.chmod(0o644)
    rules = ["--auth=scram-sha-256", f"--pwfile={password}", "--encoding=UTF8", "--locale=C", "--no-sync"]
    command = [str(folder / "initdb"), f"--pgdata={root / 'data'}", f"--username={SUPERUSER}", *rules]
    with (root / "initdb.log").open("wb") as log:
        code = _start(command, root, account, log).wait(START_S)
    if code:
        raise NoPostgresError(f"initdb failed: {(root / 'initdb.log').read_text()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await(port: int, log: Path) -> None:
    """Until the server says that it is ready; its first answer is for somebody else where the port was taken."""
    deadline = time.monotonic() + START_S
    while "ready to accept connections" not in (said := log.read_text(errors="replace")):
        if time.monotonic() > deadline or "database system is shut down" in said or "FATAL" in said:
            raise NoPostgresError(f"PostgreSQL did not start on port {port}: {said}")
        time.sleep(0.02)
