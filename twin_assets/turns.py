"""Turns: at most one run at a time works on a twin's tables.

Tables are atomic and every result is a pure function of what it was made from, so two runs at once would corrupt
nothing; but each would do the other's work again, and lineage would be taken from tables that change underneath. The
lock is the operating system's: it ends with the process that held it, also when that was killed, and nobody has to
clean up. Dagster's own pools do not: the place of a killed run stays taken.
"""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout

from twin_assets.errors import TwinError

PATIENCE_S = 3600.0


class Turns:
    """The turns that one run has taken; a context manager that gives them back.

    Args:
        folder: where the lock files are, one a twin.
        say: told when the run has to wait.
        patience_s: how long it waits.
    """

    def __init__(self, folder: Path, say: Callable[[str], None], patience_s: float = PATIENCE_S) -> None:
        self._folder, self._say, self._patience_s = folder, say, patience_s
        self._taken: set[str] = set()
        self._stack = ExitStack()

    def take(self, twin: str) -> None:
        """Wait for this twin's turn and keep it until the run ends; taking it again does nothing.

        Raises:
            TwinError: if another run keeps it for longer than the patience lasts, or the file cannot be made.
        """
        if twin in self._taken:
            return
        lock = _lock(self._folder, twin)
        try:
            try:
                self._stack.enter_context(lock.acquire(timeout=0))
            except Timeout:
                self._say(f"Another run of twin '{twin}' is at work; this one waits for its turn.")
                self._stack.enter_context(lock.acquire(timeout=self._patience_s))
        except Timeout:
            raise TwinError(
                f"twin '{twin}': another run has been at work for {self._patience_s:.0f} s, and this one gave up"
                f" waiting for {lock.lock_file}. Look for it among the runs in Dagster, or end its process; then run"
                " again."
            ) from None
        except OSError as error:
            raise TwinError(
                f"{lock.lock_file}: the lock cannot be taken ({error.strerror or error}). Expected a home that you may"
                " write to."
            ) from error
        self._taken.add(twin)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._taken.clear()
        self._stack.close()


def is_taken(folder: Path, twin: str) -> bool:
    """Whether a run is at work on the twin now."""
    if not _path(folder, twin).exists():
        return False
    try:
        with _lock(folder, twin).acquire(timeout=0):
            return False
    except Timeout:
        return True


def _path(folder: Path, twin: str) -> Path:
    return folder / f"{twin}.lock"


def _lock(folder: Path, twin: str) -> FileLock:
    return FileLock(_path(folder, twin))
