"""Calling the C functions of a loaded FMU: every status is looked at, and what the FMU has to say is kept.

Belongs here: what both FMI versions share about a call. The functions themselves are ``fmi2``'s and ``fmi3``'s.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

STATUS = ("ok", "warning", "discard", "error", "fatal", "pending")
WARNING = STATUS.index("warning")
LOG_LINES = 12
# fmpy changes the working folder while it loads a binary, and two threads would not find back.
_LOADING = threading.Lock()


class InstanceError(Exception):
    """The FMU refused, failed or did not settle; the text says where, ``log`` what the FMU had to say."""

    def __init__(self, reason: str, log: str = "") -> None:
        super().__init__(reason)
        self.log = log


class Log:
    """The last lines that the FMU said through FMI's callback, instead of printing them."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=LOG_LINES)

    def __str__(self) -> str:
        return " ".join(self._lines)

    def add(self, message: bytes | None) -> None:
        """Keep a line."""
        self._lines.append((message or b"").decode("utf-8", "replace").strip())

    def clear(self) -> None:
        """Forget all lines: they belong to an evaluation before this one."""
        self._lines.clear()


class Calls:
    """The C functions of an FMU, by name; fmpy has given them their types.

    Args:
        library: fmpy's ``dll`` of the FMU.
        log: where the FMU's words are kept.
    """

    def __init__(self, library: Any, log: Log) -> None:  # noqa: ANN401 - fmpy is not typed
        self._library = library
        self.log = log

    def __call__(self, function: str, *arguments: object) -> None:
        """Call a function that answers with a status.

        Raises:
            InstanceError: if the status is worse than a warning.
        """
        status = getattr(self._library, function)(*arguments)
        if status > WARNING:
            raise self.error(f"{function} answered '{STATUS[status] if status < len(STATUS) else status}'")

    def error(self, reason: str) -> InstanceError:
        """An error with what the FMU has said."""
        return InstanceError(reason, str(self.log))


def loaded(load: Callable[..., Any], **arguments: object) -> Any:  # noqa: ANN401 - fmpy is not typed
    """An FMU's binary, loaded by one of fmpy's classes.

    Raises:
        InstanceError: if it cannot be loaded; says why.
    """
    try:
        with _LOADING:
            return load(instanceName="twin", **arguments)
    except Exception as error:  # fmpy raises bare exceptions
        raise InstanceError(f"the binary cannot be loaded: {error}") from error
