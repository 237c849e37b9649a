"""Other attempts: only where they may help, exponentially later, never all at once, and not for ever."""

import pytest

from twin_assets.aws.backoff import Backoff


class PassingError(Exception):
    """What is gone at the next attempt."""


def is_passing(error: Exception) -> bool:
    """Whether it is ours."""
    return isinstance(error, PassingError)


def failing(times: int, error: Exception) -> "list[Exception | str]":
    """What a call does, one after the other."""
    return [error] * times + ["done"]


def play(steps: "list[Exception | str]", backoff: Backoff) -> str:
    """Call what fails or succeeds as it is told."""
    iterator = iter(steps)

    def step() -> str:
        found = next(iterator)
        if isinstance(found, Exception):
            raise found
        return found

    return backoff.call(step, is_passing)


def test_waits_double_up_to_a_limit() -> None:
    """The longest waits of successive attempts; each wait is a random share of it."""
    waits: list[float] = []
    backoff = Backoff(attempts=8, base_s=1.0, cap_s=10.0, sleep=waits.append, uniform=lambda: 0.5)
    assert play(failing(6, PassingError()), backoff) == "done"
    assert waits == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_the_last_error_is_told_when_it_never_passes() -> None:
    """After so many attempts, without a wait after the last."""
    waits: list[float] = []
    backoff = Backoff(attempts=3, sleep=waits.append)
    with pytest.raises(PassingError):
        play(failing(3, PassingError()), backoff)
    assert len(waits) == 2


def test_what_does_not_pass_is_not_tried_again() -> None:
    """A refusal for good is told at once."""
    waits: list[float] = []
    with pytest.raises(KeyError):
        play(failing(1, KeyError("x")), Backoff(sleep=waits.append))
    assert waits == []


def test_waits_are_never_negative_and_never_overflow() -> None:
    """After a thousand failures the wait is the longest one."""
    assert Backoff(cap_s=20.0).longest_s(1000) == 20.0
    assert Backoff(base_s=0.1).longest_s(1) == 0.1
