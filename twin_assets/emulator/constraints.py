"""What a service's model says of a value: type, required members, lengths, patterns, enumerations, ranges.

botocore's own validator lets most of it pass, for the services check it themselves; so does this one, for requests and
for answers. A shape is compiled once to a function: a page of history holds 20,000 values.

Findings are worded as the services word them: "Value 'x' at 'entries.1.member.entryId' failed to satisfy constraint:
Member must …".
"""

import math
import re
from collections.abc import Callable

from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape

# (value as JSON has it, where it is, the findings to add to) -> the value, unknown members left out.
Check = Callable[[object, str, list[str]], object]

WHOLE_NUMBERS = {"integer": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1)}
NOT_FINITE = ("NaN", "Infinity", "-Infinity")  # JSON has no words for them; these are Smithy's


class Constraints:
    """Checks for the shapes of one service, each compiled when it is first asked for."""

    def __init__(self, lengths: dict[str, int]) -> None:
        """Nothing is compiled yet.

        Args:
            lengths: shape of a list to how many members the service takes where its model does not say, but its
                documentation does.
        """
        self._lengths = lengths
        self._checks: dict[tuple[str, str], Check] = {}

    def of(self, shape: Shape) -> Check:
        """The check of a shape."""
        # Members of one shape may carry constraints of their own, so the name alone is no key.
        key = (shape.name, repr(sorted(shape.metadata.items(), key=str)))
        if key not in self._checks:
            # A shape may hold itself: what it refers to meanwhile is looked up when it is called.
            self._checks[key] = self._later(key)
            self._checks[key] = self._compiled(shape)
        return self._checks[key]

    def _later(self, key: tuple[str, str]) -> Check:
        def check(value: object, where: str, findings: list[str]) -> object:
            return self._checks[key](value, where, findings)

        return check

    def _compiled(self, shape: Shape) -> Check:
        if isinstance(shape, StructureShape):
            return _anything if shape.is_document_type else self._structure(shape)
        if isinstance(shape, ListShape):
            return self._list(shape)
        if isinstance(shape, MapShape):
            return self._map(shape)
        if isinstance(shape, StringShape):
            return _string(shape)
        if shape.type_name in WHOLE_NUMBERS:
            return _whole_number(shape)
        return {"boolean": _boolean, "blob": _text}.get(shape.type_name) or _number(shape)

    def _structure(self, shape: StructureShape) -> Check:
        members = {name: (member, self.of(member)) for name, member in shape.members.items()}
        names = {_wire_name(name, member): (name, check) for name, (member, check) in members.items()}
        required = [(name, _wire_name(name, members[name][0])) for name in shape.required_members]

        def check(value: object, where: str, findings: list[str]) -> object:
            if not isinstance(value, dict):
                return _wrong_type(value, where, "a structure", findings)
            prefix = f"{where}." if where else ""
            findings.extend(_missing(prefix + name) for name, wire in required if value.get(wire) is None)
            checked = {}
            for wire, given in value.items():
                if given is not None and wire in names:
                    name, member = names[wire]
                    checked[name] = member(given, prefix + name, findings)
            return checked

        return check

    def _list(self, shape: ListShape) -> Check:
        member = self.of(shape.member)
        bounds = _length_bounds(shape, self._lengths.get(shape.name))

        def check(value: object, where: str, findings: list[str]) -> object:
            if not isinstance(value, list):
                return _wrong_type(value, where, "a list", findings)
            _check_range(len(value), value, where, "length", bounds, findings)
            return [member(each, f"{where}.{number}.member", findings) for number, each in enumerate(value, 1)]

        return check

    def _map(self, shape: MapShape) -> Check:
        key_check, value_check = self.of(shape.key), self.of(shape.value)
        bounds = _length_bounds(shape, self._lengths.get(shape.name))

        def check(value: object, where: str, findings: list[str]) -> object:
            if not isinstance(value, dict):
                return _wrong_type(value, where, "a map", findings)
            _check_range(len(value), value, where, "length", bounds, findings)
            for key in value:
                key_check(key, f"{where}.key", findings)
            return {key: value_check(each, f"{where}.{key}.member", findings) for key, each in value.items()}

        return check


def refusal(findings: list[str]) -> str:
    """Findings as one message."""
    return f"{len(findings)} validation error{'s' * (len(findings) > 1)} detected: {'; '.join(findings)}"


def _wire_name(name: str, member: Shape) -> str:
    return str(member.serialization.get("name", name))


def _string(shape: StringShape) -> Check:
    bounds = _length_bounds(shape)
    choices = shape.enum
    pattern = _pattern(shape)
    text = shape.metadata.get("pattern", "")

    def check(value: object, where: str, findings: list[str]) -> object:
        if not isinstance(value, str):
            return _wrong_type(value, where, "a string", findings)
        if choices and value not in choices:
            findings.append(_failed(value, where, f"Member must satisfy enum value set: [{', '.join(choices)}]"))
        _check_range(len(value), value, where, "length", bounds, findings)
        if pattern is not None and not pattern.fullmatch(value):
            findings.append(_failed(value, where, f"Member must satisfy regular expression pattern: {text}"))
        return value

    return check


def _pattern(shape: StringShape) -> re.Pattern[str] | None:
    """The pattern of a string; those that only Java's regular expressions understand are passed over."""
    try:
        return re.compile(shape.metadata["pattern"])
    except (KeyError, re.error):
        return None


def _whole_number(shape: Shape) -> Check:
    smallest, largest = WHOLE_NUMBERS[shape.type_name]
    bounds = (shape.metadata.get("min", smallest), shape.metadata.get("max", largest))

    def check(value: object, where: str, findings: list[str]) -> object:
        if isinstance(value, bool) or not isinstance(value, int):
            return _wrong_type(value, where, "a whole number", findings)
        _check_range(value, value, where, "value", bounds, findings)
        return value

    return check


def _number(shape: Shape) -> Check:
    """A double, float or timestamp (seconds since 1970-01-01 UTC)."""
    bounds = (shape.metadata.get("min", -math.inf), shape.metadata.get("max", math.inf))
    words = () if shape.type_name == "timestamp" else NOT_FINITE

    def check(value: object, where: str, findings: list[str]) -> object:
        if isinstance(value, str) and value in words:
            return float(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return _wrong_type(value, where, "a number", findings)
        _check_range(value, value, where, "value", bounds, findings)
        return value

    return check


def _boolean(value: object, where: str, findings: list[str]) -> object:
    return value if isinstance(value, bool) else _wrong_type(value, where, "true or false", findings)


def _text(value: object, where: str, findings: list[str]) -> object:
    return value if isinstance(value, str) else _wrong_type(value, where, "a string", findings)


def _anything(value: object, _where: str, _findings: list[str]) -> object:
    return value


def _length_bounds(shape: Shape, documented: int | None = None) -> tuple[float, float]:
    return shape.metadata.get("min", 0), shape.metadata.get("max", math.inf if documented is None else documented)


def _check_range(
    measure: float, value: object, where: str, what: str, bounds: tuple[float, float], findings: list[str]
) -> None:
    smallest, largest = bounds
    if measure < smallest:
        findings.append(_failed(value, where, f"Member must have {what} greater than or equal to {smallest}"))
    if measure > largest:
        findings.append(_failed(value, where, f"Member must have {what} less than or equal to {largest}"))


def _wrong_type(value: object, where: str, expected: str, findings: list[str]) -> object:
    findings.append(_failed(value, where, f"Member must be {expected}"))
    return value


def _missing(where: str) -> str:
    return f"Value null at '{where}' failed to satisfy constraint: Member must not be null"


def _failed(value: object, where: str, constraint: str) -> str:
    shown = str(value)
    shown = shown if len(shown) <= 200 else f"{shown[:200]}…"  # noqa: PLR2004 - as much as a reader needs
    return f"Value '{shown}' at '{where}' failed to satisfy constraint: {constraint}"
