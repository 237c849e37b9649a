"""The process that is killed: started in a process group of its own, heard, killed, started again."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE_S = 10.0  # a process that says nothing so long is killed all the same
END_S = 1800.0
LIVE = Path(__file__).with_name("soak_live.py")


@dataclass
class LiveProcess:
    """``soak_live.py``, again and again.

    Attributes:
        clock_file: its first argument.
        stop_file: its second one.
        environment: of the process.
        heard: all lines that it said, of all its lives.
        errors: where its standard error goes.
    """

    clock_file: Path
    stop_file: Path
    environment: Mapping[str, str]
    errors: Path
    heard: list[str] = field(default_factory=list)
    _process: "subprocess.Popen[str] | None" = None
    _listener: threading.Thread | None = None
    _news: threading.Condition = field(default_factory=threading.Condition)

    def start(self) -> None:
        """Start it."""
        with self.errors.open("a") as errors:
            self._process = subprocess.Popen(  # noqa: S603 - our own
                [sys.executable, str(LIVE), str(self.clock_file), str(self.stop_file)],
                env={**_others(), **self.environment},
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        self._listener = threading.Thread(target=self._listen, args=(self._process,), daemon=True)
        self._listener.start()

    def kill_and_restart(self, lines: int, seconds: float) -> str:
        """Kill it when it has said so many more lines, and so many seconds later; start it again.

        Returns:
            what it had said last in this life: the stage that it was in, or how the last run had ended.
        """
        with self._news:
            target = len(self.heard) + lines
            while len(self.heard) < target and not self._ended() and self._news.wait(PATIENCE_S):
                pass
        time.sleep(seconds)
        ended = self._ended()
        self.kill()
        last = doing(self.heard[-1] if self.heard else "")
        self.heard.append("ended" if ended else "killed")
        self.start()
        return f"{last}, where it ended by itself" if ended else last

    def kill(self) -> None:
        """Kill the process group; none is no error."""
        if self._process is None or self._listener is None:
            return
        if not self._ended():
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(END_S)
        self._listener.join(END_S)

    def wait(self) -> int:
        """Let it come to its end; its exit code."""
        if self._process is None or self._listener is None:
            raise RuntimeError("the process was never started")
        code = self._process.wait(END_S)
        self._listener.join(END_S)
        return code

    def counted(self) -> Counter[str]:
        """How often it said what, by the first word."""
        return Counter(line.partition(" ")[0] for line in self.heard)

    def _ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def _listen(self, process: "subprocess.Popen[str]") -> None:
        if process.stdout is None:
            return
        with process.stdout:
            for line in process.stdout:
                with self._news:
                    self.heard.append(line.strip())
                    self._news.notify_all()
        with self._news:
            self._news.notify_all()


def doing(line: str) -> str:
    """What a process is at that has said this."""
    word, _, rest = line.partition(" ")
    looking = {"alive": "looking for news", "ran": "after a run", "refused": "after a run", "failed": "after a failure"}
    return rest if word == "stage" else looking.get(word, "starting")


def _others() -> dict[str, str]:
    """This process' environment, without what it says of AWS and of twins."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TWIN"))}
