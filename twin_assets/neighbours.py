"""Twins beside each other: what one publishes may not be what another one publishes or measures for the same unit.

Belongs here: comparing described twins, from their files alone. What a single twin may say is ``spec``'s.

Units that twin.yaml names are compared by name. A twin that discovers its units has every unit for which the historian
holds one of its measurements: so it is certain to share the units of a twin that reads, or publishes, one of these.
Otherwise the two are taken for machines of different kinds, and the names that they have in common are only told:
whether one unit will ever be both, data decides.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

from twin_assets.shards import parts_of
from twin_assets.spec import TwinSpec
from twin_assets.spec_file import SpecError, Twin, find_twins, load_twin
from twin_assets.spec_names import Claim

NAMES_TOLD = 3


@dataclass(frozen=True)
class _Meeting:
    """What two twins claim alike.

    Attributes:
        verbs: what the first and the second do with the names.
        claims: the first twin's and the second's claim to each name.
        harm: what would come of it.
        advice: what to do, beside other units.
    """

    verbs: tuple[str, str]
    claims: list[tuple[Claim, Claim]]
    harm: str
    advice: str


BOTH_PUBLISH = "one would overwrite the other"
COMES_BACK = "a prediction would come back as a measurement"
OTHER_NAME = (
    "give the result another name: a virtual sensor's is its `property`, a coefficient's its variable in the FMU, a"
    " prediction's follows that of the measurement"
)


@dataclass(frozen=True)
class _Shared:
    """Units that two twins have in common.

    Attributes:
        units: which, for people.
        certain: whether they have; otherwise it depends on what will be recorded.
    """

    units: str
    certain: bool


def clashes(twins: Iterable[Twin]) -> dict[str, tuple[str, ...]]:
    """Twins that cannot be side by side: one publishes what another one publishes or measures for a unit of both.

    Returns:
        twin's name -> its findings, one text for each other twin and kind of clash: where, what, with whom, what to do.
        Both of a pair are in it; twins without a finding are not.
    """
    found: dict[str, tuple[str, ...]] = {}
    for one, other in permutations(twins, 2):
        if told := tuple(text for text, certain in _findings(one, other) if certain):
            found[one.spec.name] = (*found.get(one.spec.name, ()), *told)
    return found


def beside_others(twin: Twin, twins_path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What one twin is told beside all others of a folder: its clashes, and what may become one, depending on the data.

    Twins that cannot be read clash with nobody; one of the same name is this one, wherever its file is.
    """
    there = find_twins(twins_path)[0] if twins_path.is_dir() else []
    others = [other for other in there if other.spec.name != twin.spec.name]
    found = [finding for other in others for finding in _findings(twin, other)]
    clashing, possible = (tuple(text for text, certain in found if certain == wanted) for wanted in (True, False))
    return clashing, possible


def load_undisputed(name_or_path: str | Path, twins_path: Path) -> Twin:
    """A twin, as ``load_twin`` reads it, that may publish: it clashes with no other twin of the folder.

    Raises:
        SpecError: as ``load_twin``, or listing its clashes.
    """
    twin = load_twin(name_or_path, twins_path)
    clashing, _ = beside_others(twin, twins_path)
    if clashing:
        raise SpecError(clashing)
    return twin


def _findings(one: Twin, other: Twin) -> Iterator[tuple[str, bool]]:
    """What the first twin is told about the second, and whether it is certain to come so."""
    for name in sorted(_names(one.spec) & _names(other.spec)):
        told = (
            f"{one.where('name')}: '{name}' is the name of twin '{one.spec.name}', or of one of its shards, and of twin"
            f" '{other.spec.name}' ({other.where('name')}), or of one of its: their tables would be the same files."
            " Give one of them another `name`."
        )
        yield told, True
    shared = _shared(one.spec, other.spec)
    if shared is None:
        return
    for meeting in _meetings(one.spec, other.spec):
        if meeting.claims:
            yield _told(one, other, shared.units, meeting), shared.certain


def _names(spec: TwinSpec) -> set[str]:
    """Under which its tables are kept."""
    return {spec.name, *(part.name for part in parts_of(spec))}


def _meetings(one: TwinSpec, other: TwinSpec) -> Iterator[_Meeting]:
    yield _Meeting(("would publish", "publishes, too"), _alike(one.results, other.results), BOTH_PUBLISH, OTHER_NAME)
    yield _Meeting(("would publish", "measures"), _alike(one.results, other.sources), COMES_BACK, OTHER_NAME)
    measured = "give what is measured, or what is published, another name (`property`)"
    yield _Meeting(("measures", "publishes"), _alike(one.sources, other.results), COMES_BACK, measured)


def _alike(one: Iterable[Claim], other: Iterable[Claim]) -> list[tuple[Claim, Claim]]:
    by_name = {claim.name: claim for claim in other}
    return [(claim, by_name[claim.name]) for claim in one if claim.name in by_name]


def _shared(one: TwinSpec, other: TwinSpec) -> _Shared | None:
    if one.named_units is not None and other.named_units is not None:
        common = sorted({*one.named_units} & {*other.named_units})
        return _Shared(f"unit{'s' * (len(common) > 1)} {_listed(common)}", certain=True) if common else None
    if _discovers(one, other) or _discovers(other, one):
        finder = one if one.named_units is None else other
        return _Shared(f"units that '{finder.name}' discovers", certain=True)
    return _Shared("any unit for which measurements of both are recorded", certain=False)


def _discovers(one: TwinSpec, other: TwinSpec) -> bool:
    """Whether the first finds its own measurements where the second reads and writes."""
    if one.named_units is not None:
        return False
    there = {claim.name for claim in (*other.sources, *other.results)}
    return any(part.source in there for part in one.measurements)


def _told(one: Twin, other: Twin, units: str, meeting: _Meeting) -> str:
    mine, theirs = meeting.claims[0]
    names = _listed([f"'{claim.name}'" for claim, _ in meeting.claims])
    does, also = meeting.verbs
    return (
        f"{one.where(*mine.path)}: twin '{one.spec.name}' {does} {names} of {units}, which twin '{other.spec.name}'"
        f" ({other.where(*theirs.path)}) {also}: {meeting.harm}. Let the two have different `units`, or"
        f" {meeting.advice}."
    )


def _listed(names: list[str]) -> str:
    more = len(names) - NAMES_TOLD
    return ", ".join(names[:NAMES_TOLD]) + (f" and {more} more" if more > 0 else "")
