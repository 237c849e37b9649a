"""Kinds of values in ``twin.yaml`` (numbers, durations, crons, bounds) and how several conflicts are told at once.

Belongs here: what one value may be. Which values a section has is ``spec``'s; names that collide are ``spec_names``'s.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from croniter import CroniterBadDateError, croniter
from pydantic import AfterValidator, BeforeValidator, Field

YamlPath = tuple[str | int, ...]
"""Where in a file: keys of mappings and positions in lists, from the top."""

WINDOWS = ("hourly", "daily", "weekly")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.,()\[\]-]{0,127}")
_TWIN_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_NUMBER_WITH_UNIT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*")
_BOUND_COUNT = 2


@dataclass(frozen=True)
class Conflict:
    """Values that are fine alone and do not fit together.

    Attributes:
        path: the value to change, relative to the section that found the conflict.
        message: what was found, what is expected, what to do.
    """

    path: YamlPath
    message: str


class ConflictsError(ValueError):
    """Conflicts among the values of one section; all of them, so that they can be mended in one go."""

    def __init__(self, conflicts: Iterable[Conflict]) -> None:
        self.conflicts = tuple(conflicts)
        super().__init__("; ".join(conflict.message for conflict in self.conflicts))


def bounds_text(low: float | None, high: float | None) -> str:
    """``[0, null]``, as twin.yaml writes bounds."""
    return f"[{', '.join('null' if bound is None else f'{bound:g}' for bound in (low, high))}]"


def outside(value: float, low: float | None, high: float | None) -> bool:
    """Whether a value lies beyond a bound; None is no bound."""
    return (low is not None and value < low) or (high is not None and value > high)


def refuse_if(conflicts: Iterable[Conflict]) -> None:
    """Raise ConflictsError if there are any."""
    found = tuple(conflicts)
    if found:
        raise ConflictsError(found)


def variable_name(value: str) -> str:
    """The name itself.

    Raises:
        ValueError: if twin.yaml, tables and historians may not use it.
    """
    if not _NAME.fullmatch(value):
        raise ValueError(
            f"found '{value}'; expected at most 128 letters, digits and _ . , ( ) [ ] -, the first a letter or _"
        )
    return value


def twin_name(value: str) -> str:
    """The name itself.

    Raises:
        ValueError: if no twin may have it: it is a folder, an asset key and a part of file names.
    """
    if not _TWIN_NAME.fullmatch(value):
        raise ValueError(f"found '{value}'; expected at most 64 of a-z, 0-9 and _, the first a letter")
    return value


def _number(value: object) -> object:
    # pydantic would take true for 1.0.
    if isinstance(value, bool):
        raise ValueError(f"found {str(value).lower()}; expected a number")  # noqa: TRY004 - pydantic reports ValueErrors
    return value


def _cron(value: str) -> str:
    # croniter also takes six fields (seconds) and dates that never come, such as 30 February; no scheduler runs those.
    well_formed = (len(value.split()) == 5 or value.startswith("@")) and croniter.is_valid(value)  # noqa: PLR2004
    if not well_formed:
        raise ValueError(f"found '{value}', which is no cron; expected five fields, for example '*/20 * * * *'")
    try:
        croniter(value, datetime(2000, 1, 1, tzinfo=UTC)).get_next()
    except CroniterBadDateError:
        raise ValueError(f"found '{value}', which no date ever meets; expected a cron that does") from None
    return value


def _window(value: str) -> str:
    try:
        return value if value in WINDOWS else _cron(value)
    except ValueError:
        raise ValueError(
            f"found '{value}'; expected {', '.join(WINDOWS)} or a cron of five fields that some date meets"
        ) from None


def _duration(value: object) -> object:
    if isinstance(value, timedelta):
        return value
    text = str(value)
    seconds = sum(float(number) * _UNITS.get(unit, float("nan")) for number, unit in _NUMBER_WITH_UNIT.findall(text))
    if not (seconds > 0 and _NUMBER_WITH_UNIT.sub("", text) == ""):
        raise ValueError(
            f"found '{text}'; expected a duration above zero, numbers with units, for example 20min, 30s or 1h 30min"
            f" (units: {', '.join(_UNITS)})"
        )
    try:
        return timedelta(seconds=seconds)
    except OverflowError:
        raise ValueError(f"found '{text}'; expected a duration below a million years") from None


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError(f"found {value}; expected a duration above zero")
    return value


def _pair(value: object) -> object:
    if not isinstance(value, list | tuple) or len(value) != _BOUND_COUNT:
        raise ValueError(f"found {value!r}; expected [lower, upper], with null where there is no limit")
    return value


def ordered(bounds: tuple[float | None, float | None]) -> tuple[float | None, float | None]:
    """The bounds themselves.

    Raises:
        ValueError: if the lower one is not below the upper one.
    """
    low, high = bounds
    if low is not None and high is not None and low >= high:
        raise ValueError(f"found [{low:g}, {high:g}], which are crossed; the lower one must be below the upper one")
    return bounds


Name = Annotated[str, AfterValidator(variable_name)]
TwinName = Annotated[str, AfterValidator(twin_name)]
Text = Annotated[str, Field(min_length=1, max_length=256)]
Number = Annotated[float, BeforeValidator(_number)]
Cron = Annotated[str, AfterValidator(_cron)]
WindowName = Annotated[str, AfterValidator(_window)]
Duration = Annotated[timedelta, BeforeValidator(_duration), AfterValidator(_positive)]
Bounds = Annotated[tuple[Number | None, Number | None], BeforeValidator(_pair), AfterValidator(ordered)]
