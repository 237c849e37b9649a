"""pydantic's errors about ``twin.yaml`` in words for people: what, found, expected, what to do."""

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from twin_assets.nearest import nearest_names
from twin_assets.spec import Part, TwinSpec
from twin_assets.spec_types import Conflict, ConflictsError, YamlPath

_EXPECTED = {
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number (null, or no key at all, where there is no limit)",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text (in quotes if it looks like a number)",
    "string_too_short": "some text",
    "tuple_type": "a list, one entry with a dash each",
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
    "dict_type": "keys and values",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "{ge:g} or more",
    "less_than": "less than {lt:g}",
    "less_than_equal": "{le:g} or less",
    "too_short": "at least one entry",
    "date_from_datetime_parsing": "a date such as 2026-01-31",
    "date_from_datetime_inexact": "a date such as 2026-01-31",
    "date_parsing": "a date such as 2026-01-31",
    "date_type": "a date such as 2026-01-31",
}
"""pydantic's error type -> what would be right, filled from the error's context."""

_LONGEST_SHOWN = 60


def explain(error: ValidationError, data: Any) -> list[Conflict]:  # noqa: ANN401 - whatever the YAML file held
    """All errors of a file, each with its path from the top; a misspelt key is not told again as a missing one."""
    details = error.errors(include_url=False)
    unknown = {detail["loc"]: _nearest_key(detail["loc"]) for detail in details if detail["type"] == "extra_forbidden"}
    misspelt = {(*path[:-1], near) for path, near in unknown.items() if near is not None}
    return [
        conflict
        for detail in details
        if not (detail["type"] == "missing" and detail["loc"] in misspelt)
        # Where every entry of a list is wrong, pydantic adds that the list is too short.
        and not (detail["type"] == "too_short" and detail["input"])
        for conflict in _conflicts(detail, data)
    ]


def _conflicts(detail: ErrorDetails, data: Any) -> Iterator[Conflict]:  # noqa: ANN401 - whatever the YAML file held
    path = detail["loc"]
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, ConflictsError):
        for conflict in cause.conflicts:
            full = (*path, *conflict.path)
            yield Conflict(full, _labelled(full, conflict.message, data))
    elif detail["type"] == "extra_forbidden":
        yield Conflict(path, _labelled(path[:-1], _unknown_key(path), data))
    elif detail["type"] == "missing":
        yield Conflict(path, _labelled(path[:-1], f"'{path[-1]}' is missing; expected {_meaning(path)}", data))
    elif isinstance(cause, Exception):
        yield Conflict(path, _labelled(path, str(cause), data))
    else:
        yield Conflict(path, _labelled(path, _found_expected(detail), data))


def _found_expected(detail: ErrorDetails) -> str:
    found = detail["input"]
    template = _EXPECTED.get(detail["type"])
    expected = (
        template.format(**detail.get("ctx", {})) if template else detail["msg"].removeprefix("Input should be ").lower()
    )
    meaning = _meaning(detail["loc"])
    return f"found {_brief(found)}; expected {expected}" + (f": {meaning}" if meaning else "")


def _brief(value: object) -> str:
    if value is None:
        return "nothing"
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"


def _labelled(path: YamlPath, message: str, data: Any) -> str:  # noqa: ANN401 - whatever the YAML file held
    """The message behind the section, the item's name and the key that it is about."""
    words: list[str] = []
    for key in path:
        data = _child(data, key)
        if isinstance(key, str):
            words.append(key)
        else:
            name = _child(data, "name")
            words.append(f"'{name}'" if isinstance(name, str) else f"entry {key + 1}")
    return f"{' '.join(words)}: {message}" if words else message


def _child(data: Any, key: str | int) -> Any:  # noqa: ANN401 - whatever the YAML file held
    try:
        return data[key]
    except (KeyError, IndexError, TypeError):
        return None


def _unknown_key(path: YamlPath) -> str:
    near = _nearest_key(path)
    keys = ", ".join(_keys(_part_at(path[:-1])))
    if near is not None:
        return f"unknown key '{path[-1]}'. Nearest: '{near}'. Rename it; keys here: {keys}"
    return f"unknown key '{path[-1]}'; remove it, keys here: {keys}"


def _nearest_key(path: YamlPath) -> str | None:
    near = nearest_names(str(path[-1]), _keys(_part_at(path[:-1])), count=1)
    return near[0] if near else None


def _keys(part: type[Part]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in part.model_fields.items()}


def _part_at(path: YamlPath) -> type[Part]:
    part: type[Part] = TwinSpec
    for key in path:
        if isinstance(key, str) and (field := _keys(part).get(key)) is not None:
            part = _part_of(field.annotation) or part
    return part


def _part_of(annotation: Any) -> type[Part] | None:  # noqa: ANN401 - any annotation
    """The section's class in ``Part``, ``Part | None`` or ``tuple[Part, ...]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation if issubclass(annotation, Part) else None
    return next((part for argument in get_args(annotation) if (part := _part_of(argument))), None)


def _meaning(path: YamlPath) -> str:
    """The description of the field that a path leads to or into."""
    while path and not isinstance(path[-1], str):
        path = path[:-1]
    field = _keys(_part_at(path[:-1])).get(str(path[-1])) if path else None
    return (field.description or "") if field else ""
