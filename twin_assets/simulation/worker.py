"""The process that runs an FMU for its parent: ``python -m twin_assets.simulation.worker``.

Standard input and output carry messages, the board the answers; what the FMU prints goes to standard error, a file of
the parent's. Imports nothing of the parent's program (``multiprocessing`` would import its main module, for example
Dagster's).
"""

import ctypes
import os
import pickle
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Protocol

from twin_assets.simulation.board import Board
from twin_assets.simulation.instance import Instance, InstanceError
from twin_assets.simulation.messages import Batch, Done, Failure, Hello, Ready, Serialize
from twin_assets.simulation.settle import Floats

ORPHAN_GRACE_S = 1.0


def main() -> None:
    """Load the FMU that the first message describes and answer the messages that follow, until one says stop."""
    # Ctrl-C in a terminal reaches the whole process group; ending the workers is the parent's business.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, answers = take_pipes()
    hello: Hello = pickle.load(requests)  # noqa: S301 - from the parent's own pipe
    threading.Thread(target=outlived, args=(hello.parent, hello.setup.folder), daemon=True).start()
    try:
        instance = Instance(hello.setup)
        _say(answers, Ready(resident_mb()))
        _serve(instance, Board(hello.board, hello.setup.answer_size), requests, answers)
    except InstanceError as error:
        _flush_c()
        _say(answers, Failure(str(error), error.log))
    except (EOFError, OSError, pickle.UnpicklingError):  # the parent was killed, perhaps while it wrote
        shutil.rmtree(hello.setup.folder, ignore_errors=True)


def _serve(instance: Instance, board: Board, requests: IO[bytes], answers: IO[bytes]) -> None:
    while True:
        match pickle.load(requests):  # noqa: S301 - as above
            case Batch() as batch:
                for outputs, seconds in evaluations(instance, batch, board, before_each=_forget_output):
                    board.write(outputs, seconds)
                _say(answers, Done(resident_mb()))
            case Serialize():
                _say(answers, instance.serialize())
            case _:
                instance.close()
                return


class Parts(Protocol):
    """Where an answer goes that comes in parts."""

    def begin(self) -> None:
        """The next answer begins."""
        ...

    def part(self, outputs: Floats) -> None:
        """Its next outputs (m,)."""
        ...


def evaluations(
    instance: Instance, batch: Batch, parts: Parts, before_each: Callable[[], None] = lambda: None
) -> Iterator[tuple[Floats, float]]:
    """The answer to each row of a batch, and the wall time that it took.

    Outputs (m,), or along a path (t, m) one after the other; NaN where an answer has room for more.
    """
    for index, row in enumerate(batch.rows):
        before_each()
        evaluate = instance.evaluate_anchor if batch.anchored and index == 0 else instance.evaluate
        begun = time.perf_counter()
        outputs = evaluate(row, batch.inputs).outputs
        if batch.path is not None:
            parts.begin()
            outputs = instance.follow(batch.path, parts.part).ravel()
        yield instance.filled(outputs), time.perf_counter() - begun


def resident_mb() -> float | None:
    """Memory that this process takes, in megabytes: now (Linux), at its most (macOS), None where nobody tells."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return _peak_mb()
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _peak_mb() -> float | None:
    try:
        import resource  # noqa: PLC0415 - there is none on Windows
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1.0 if sys.platform == "darwin" else 1e3) / 1e6


def take_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Standard input and output for us alone; what the FMU prints goes where errors go."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, answers


def outlived(parent: int, folder: Path | None = None) -> None:
    """Wait until the parent is gone: then end, FMU or not, and take the folder away that was the parent's.

    Windows tells nobody: there an FMU that hangs outlives its parent, another ends with its evaluation.
    """
    if os.name != "posix":
        return
    while os.getppid() == parent:
        time.sleep(ORPHAN_GRACE_S)
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(ORPHAN_GRACE_S)
    os._exit(1)


def _say(answers: IO[bytes], message: object) -> None:
    pickle.dump(message, answers, protocol=pickle.HIGHEST_PROTOCOL)
    answers.flush()


def _forget_output() -> None:
    """Keep the file of printed text short: only the failing evaluation's is of interest."""
    if os.lseek(1, 0, os.SEEK_CUR) > 0:
        os.ftruncate(1, 0)
        os.lseek(1, 0, os.SEEK_SET)


def _flush_c() -> None:
    """Write out what the FMU printed through C's buffered streams."""
    if os.name == "posix":
        ctypes.CDLL(None).fflush(None)


if __name__ == "__main__":
    main()
