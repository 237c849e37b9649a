"""Work that goes on after a request was answered: one job after the other, in a thread of its own."""

import logging
from collections.abc import Callable
from queue import Queue
from threading import Thread

logger = logging.getLogger(__name__)

Job = Callable[[], None]


class Background:
    """Runs jobs in the order in which they come."""

    def __init__(self) -> None:
        """Start waiting for jobs."""
        self._queue: Queue[Job | None] = Queue()
        self._closed = False
        self._thread = Thread(target=self._run, daemon=True, name="emulator-jobs")
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Run a job when those before it have ended."""
        self._queue.put(job)

    def wait(self) -> None:
        """Wait until all jobs have ended."""
        self._queue.join()

    def close(self) -> None:
        """End the job at hand, and begin no other: the next emulator will."""
        self._closed = True
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            job = self._queue.get()
            try:
                if job is None or self._closed:
                    return
                job()
            except Exception:
                logger.exception("a job of the emulator failed")
            finally:
                self._queue.task_done()
