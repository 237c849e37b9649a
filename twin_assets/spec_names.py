"""Names that may not collide: properties in the historian and columns of tables.

Results are published as properties of their own and kept in wide tables, so a name that two things claim would make one
overwrite the other in silence, or let a prediction come back as a measurement.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from twin_assets.spec_types import Conflict, YamlPath

PUBLISHED_SUFFIXES = ("", "_lower", "_upper")
PREDICTED = "_predicted"
HELD, UPDATED = "_published", "_updated"
"""Of a coefficient: the value that is held for publication, and whether a row changed it."""

_STATISTICS = ("", "_std", "_lower", "_upper")
_PREDICTED = (*_STATISTICS, "_std_coefficients", "_std_inputs", "_std_discrepancy")
_COLUMNS: Mapping[str, tuple[tuple[str, ...], Mapping[str, tuple[str, ...]]]] = {
    "observations": (("unit", "time"), {"measurements": ("", "_reason"), "inputs": ("", "_reason")}),
    "ukf_state": (
        (
            *("unit", "time", "state_mean", "state_cov", "state_root", "nis", "dof", "method", "model_runs"),
            *("noise", "drift", "inputs_mean", "inputs_root", "diagnosis", "suspicion"),
            *("failed_runs", "failures", "digest"),
        ),
        {
            "measurements": ("_innovation", "_innovation_std", "_reason", "_noise_std"),
            "coefficients": ("_drift_factor",),
        },
    ),
    "calibrated_coefficients": (("unit", "time"), {"coefficients": (*_STATISTICS, HELD, UPDATED)}),
    "smoothed_coefficients": (("unit", "time", "based_on_until"), {"coefficients": _STATISTICS}),
    "virtual_sensors": (
        ("unit", "time", "valid", "why_not"),
        {"virtual_sensors": _PREDICTED, "measurements": tuple(PREDICTED + suffix for suffix in _PREDICTED)},
    ),
}
"""Table -> columns of its own, and for each section the suffixes that its names are given."""


class Named(Protocol):
    """A section about one variable of the model."""

    @property
    def name(self) -> str:
        """The model's variable."""
        ...


class Sourced(Named, Protocol):
    """A section with a property in the historian."""

    @property
    def source(self) -> str:
        """The property in the historian."""
        ...


@dataclass(frozen=True)
class Claim:
    """Something that wants a name for itself."""

    name: str
    path: YamlPath
    owner: str


@dataclass(frozen=True)
class Result(Claim):
    """A result's claim to its property in the historian.

    Attributes:
        column: of the table that holds it.
    """

    column: str


def published(
    coefficients: Iterable[Named], virtual: Iterable[Sourced], measured: Iterable[Sourced]
) -> Iterator[Result]:
    """What is published from which column, under which property: nothing else says so.

    Coefficients keep their names, virtual sensors have their source's, measurements their source's with ``_predicted``;
    each also with ``_lower`` and ``_upper``.
    """
    for index, part in enumerate(coefficients):
        path = ("coefficients", index, "name")
        yield from _with_interval(part.name, part.name, path, f"the published coefficient '{part.name}'")
    for index, sensor in enumerate(virtual):
        owner = f"the published virtual sensor '{sensor.name}'"
        yield from _with_interval(sensor.source, sensor.name, ("virtual_sensors", index), owner)
    for index, channel in enumerate(measured):
        owner = f"the published prediction of measurement '{channel.name}'"
        stems = (channel.source + PREDICTED, channel.name + PREDICTED)
        yield from _with_interval(*stems, ("measurements", index), owner)


def _with_interval(name: str, column: str, path: YamlPath, owner: str) -> Iterator[Result]:
    for suffix in PUBLISHED_SUFFIXES:
        yield Result(name + suffix, path, owner, column + suffix)


def property_conflicts(sources: Iterable[Claim], results: Iterable[Result]) -> Iterator[Conflict]:
    """Properties that two things would use; results never go onto what is measured."""
    yield from _collisions([*sources, *results], "property", "give one of them another `property` or name")


def column_conflicts(sections: Mapping[str, tuple[Named, ...]]) -> Iterator[Conflict]:
    """Variables whose columns would coincide in one of the tables."""
    for table, (own, suffixes) in _COLUMNS.items():
        claims = [Claim(column, (), "the table's own") for column in own]
        claims += [
            Claim(part.name + suffix, (section, index, "name"), f"from {section} '{part.name}'")
            for section, endings in suffixes.items()
            for index, part in enumerate(sections[section])
            for suffix in endings
        ]
        yield from _collisions(claims, f"column of the table {table}", "no variable may be named so")


def name_conflicts(sections: Mapping[str, tuple[Named, ...]]) -> Iterator[Conflict]:
    """Variables that are named twice, in one section or in two."""
    seen: dict[str, str] = {}
    for section, parts in sections.items():
        for index, part in enumerate(parts):
            if part.name in seen:
                message = f"'{part.name}' is named twice: in {seen[part.name]} and in {section}; keep one of them"
                yield Conflict((section, index, "name"), message)
            seen.setdefault(part.name, section)


def _collisions(claims: Iterable[Claim], kind: str, advice: str) -> Iterator[Conflict]:
    first: dict[str, Claim] = {}
    told: set[tuple[str, str]] = set()
    for claim in claims:
        other = first.setdefault(claim.name, claim)
        if other is claim or (other.owner, claim.owner) in told:
            continue
        told.add((other.owner, claim.owner))
        yield Conflict(claim.path, f"{kind} '{claim.name}' would be {other.owner} and also {claim.owner}; {advice}")
