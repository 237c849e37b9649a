"""Several processes that do units' jobs side by side, each with a model of its own.

A process that dies costs the unit that it was at, and no other: the job is begun once more in a fresh process; where
that dies, too, the unit is given up where the nearer of both tries ended (``Job.given_up``).

Belongs here: the parent's side. The processes are ``team_member``'s; what a job is says ``stages.units``.
"""

import os
import pickle
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, TypeVar

from twin_assets.errors import TwinError
from twin_assets.model import PredictiveModel
from twin_assets.simulation.isolation import STOP_GRACE_S
from twin_assets.simulation.process import OUTPUT_TAIL_BYTES, child_environment, exit_text
from twin_assets.stages.units import Job
from twin_assets.team_messages import Done, Opening, Raised, Told

MEMBER = "twin_assets.team_member"
# Jobs are handed over several at a time, so that what they share (the spec) passes once: parts of a member's share.
SHARE, MOST_AT_A_TIME = 8, 32

T = TypeVar("T")


class MemberLostError(Exception):
    """A member died at a job; says how."""


class Member:
    """One process; started when it is first asked."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        self._lock = threading.Lock()
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Process id; None where there is none."""
        return None if self._process is None else self._process.pid

    def ask(self, jobs: Sequence[Job[Any]]) -> None:
        """Let it do jobs, one after the other.

        Raises:
            RuntimeError: if it was ended.
        """
        with self._lock:
            if self._closed:
                raise RuntimeError("the team was ended; open the models anew")
            if self._process is None:
                self._start()
        self._send(list(jobs))

    def answer(self, tell: Callable[[int, int], None]) -> Done:
        """Wait for the next job's result.

        Raises:
            MemberLostError: if it dies.
            TwinError: if the job raised what people can mend.
            RuntimeError: if it raised anything else.
        """
        while True:
            try:
                message = pickle.load(_pipe(self._running.stdout))  # noqa: S301 - from our own child's pipe
            except (EOFError, OSError, pickle.UnpicklingError, ValueError):
                raise MemberLostError(self._buried()) from None
            match message:
                case Told():
                    tell(message.done, message.total)
                case Raised():
                    self._buried()
                    raise (TwinError if message.for_people else RuntimeError)(message.message)
                case Done():
                    return message

    def end(self, *, now: bool) -> None:
        """End it: what waits for work frees its FMU and ends; ``now``: whatever it is at."""
        with self._lock:
            self._closed = True
            if self._process is None:
                return
            if now:
                self._process.kill()
            else:
                _close(self._process.stdin)

    def release(self) -> None:
        """Wait for the end, a moment only, and free what led to it."""
        if self._process is not None:
            self._buried()

    @property
    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            raise RuntimeError("the member was not asked for anything")
        return self._process

    def _start(self) -> None:
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it is buried
        # As with the processes that run FMUs: no shell, nothing of the user's, no module of the current folder.
        command = [sys.executable, "-P", "-m", MEMBER]
        self._process = subprocess.Popen(  # noqa: S603 - as above
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._output, env=child_environment()
        )
        self._send(self._opening)

    def _send(self, message: object) -> None:
        """Pass a message on; to a dead process in vain, which whoever waits for it is told."""
        try:
            pickle.dump(message, _pipe(self._running.stdin), protocol=pickle.HIGHEST_PROTOCOL)
            _pipe(self._running.stdin).flush()
        except (OSError, ValueError):
            return

    def _buried(self) -> str:
        """Make sure that the process is gone; how it died, and what it printed last."""
        process = self._running
        _close(process.stdin)
        try:
            process.wait(STOP_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _close(process.stdout)
        printed = ""
        if self._output is not None:
            size = self._output.seek(0, os.SEEK_END)
            self._output.seek(max(0, size - OUTPUT_TAIL_BYTES))
            printed = " ".join(self._output.read().decode("utf-8", "replace").split())
            self._output.close()
        with self._lock:
            self._process = self._output = None
        return f"{exit_text(process.returncode)}{': ' if printed else ''}{printed}"


@dataclass(frozen=True)
class _Event:
    """What a thread tells the one that computes: a job got on, is done, or nothing can be gone on with."""

    number: int
    told: Told | None = None
    done: Done | None = None
    error: BaseException | None = None


class Team:
    """Processes that do jobs; those that are needed are started with the first jobs, and kept for the next.

    Args:
        opening: how each has its model.
        size: how many at the most.

    Attributes:
        workers: of each one's model.
    """

    def __init__(self, opening: Opening, size: int) -> None:
        self.workers = opening.workers
        self._members = [Member(opening) for _ in range(size)]

    @property
    def pids(self) -> tuple[int, ...]:
        """Of the processes that there are now."""
        return tuple(pid for member in self._members if (pid := member.pid) is not None)

    def each(
        self, jobs: Sequence[Job[T]], tell: Callable[[int, int, int], None], unopened: PredictiveModel
    ) -> Iterator[Done]:
        """Results of jobs in their order; what is told is told in this thread.

        If it is interrupted (Ctrl-C), the team is ended.

        Args:
            jobs: at least one.
            tell: (number of the job, done, total).
            unopened: names the model to a job that is given up without a run.

        Raises:
            TwinError: if the model does not start or was replaced.
        """
        events: queue.SimpleQueue[_Event] = queue.SimpleQueue()
        members = self._members[: len(jobs)]
        waiting, lock = iter(_portions(len(jobs), len(members))), threading.Lock()

        def work(member: Member) -> None:
            while True:
                with lock:
                    portion = next(waiting, None)
                if portion is None:
                    return
                try:
                    _Portion(member, jobs, portion, events, unopened).work()
                except BaseException as error:  # noqa: BLE001 - it is raised where somebody listens
                    events.put(_Event(portion.start, error=error))
                    return

        threads = [threading.Thread(target=work, args=(each,), name="unit-team", daemon=True) for each in members]
        try:
            for thread in threads:
                thread.start()
            yield from _in_order(events, len(jobs), tell)
        except BaseException:
            self.close(now=True)
            raise
        for thread in threads:
            thread.join()

    def close(self, *, now: bool = False) -> None:
        """End all processes; ``now``: whatever they are at."""
        for member in self._members:
            member.end(now=now)
        for member in self._members:
            member.release()


@dataclass
class _Portion:
    """Jobs that one member is handed at a time."""

    member: Member
    jobs: Sequence[Job[Any]]
    numbers: range
    events: "queue.SimpleQueue[_Event]"
    unopened: PredictiveModel

    def work(self) -> None:
        """Have all of them done; one that a member dies of is tried once more, and then given up."""
        left = list(self.numbers)
        while left:
            self.member.ask([self.jobs[number] for number in left])
            while left:
                try:
                    done, reached = self._answer(left[0]), -1
                except _DiedError as died:
                    done, reached = self._again(left[0], died), 0
                self.events.put(_Event(left.pop(0), done=done))
                if reached == 0:
                    break

    def _answer(self, number: int) -> Done:
        """What comes of a job that the member is at."""
        reached = 0

        def tell(done: int, total: int) -> None:
            nonlocal reached
            reached = done
            self.events.put(_Event(number, told=Told(done, total)))

        try:
            return self.member.answer(tell)
        except MemberLostError as lost:
            raise _DiedError(reached, str(lost)) from lost

    def _again(self, number: int, first: "_DiedError") -> Done:
        job = self.jobs[number]
        try:
            return self._alone(number, job)
        except _DiedError as second:
            why = f"the process that worked on it died ({second.how}), also on a second try in a fresh one"
            reached = min(first.reached, second.reached)
        try:
            return self._alone(number, job.given_up(reached, why))
        except _DiedError:
            return Done(job.given_up(0, why).run(self.unopened, lambda *_: None), 0, 0.0)

    def _alone(self, number: int, job: Job[Any]) -> Done:
        self.member.ask([job])
        return self._answer(number)


class _DiedError(Exception):
    """A member died at a job, after some of its steps."""

    def __init__(self, reached: int, how: str) -> None:
        super().__init__(how)
        self.reached, self.how = reached, how


def _portions(jobs: int, members: int) -> Iterator[range]:
    """Numbers of jobs in order: many at a time, and few towards the end, so that nobody waits long for the last."""
    first = 0
    while first < jobs:
        size = min(MOST_AT_A_TIME, -(-(jobs - first) // (SHARE * members)))
        yield range(first, first + size)
        first += size


def _in_order(events: "queue.SimpleQueue[_Event]", jobs: int, tell: Callable[[int, int, int], None]) -> Iterator[Done]:
    """Results as their turn comes."""
    found = dict[int, Done]()
    for number in range(jobs):
        while number not in found:
            event = events.get()
            if event.error is not None:
                raise event.error
            if event.told is not None:
                tell(event.number, event.told.done, event.told.total)
            elif event.done is not None:
                found[event.number] = event.done
        yield found.pop(number)


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise RuntimeError("the member was started without pipes")
    return pipe


def _close(pipe: IO[bytes] | None) -> None:
    try:
        _pipe(pipe).close()
    except OSError:  # what was still to be written to a dead process
        return
