"""What a twin needs of an asset model and does not find there, said before a run fails."""

from collections.abc import Iterator, Sequence

from twin_assets.aws.tqv import NUMBERS
from twin_assets.historian.sitewise_check import Known
from twin_assets.historian.sitewise_names import Names


def lacking(
    where: str, names: Names, units: Sequence[str] | None, read: Sequence[str], written: Sequence[str]
) -> Iterator[str]:
    """What keeps a twin from being read and written, for people; nothing if all is there.

    Args:
        where: the historian, for people.
        names: what is there.
        units: of the twin; None: every asset of the model.
        read: properties that it reads.
        written: properties that it writes.
    """
    assets = names.units()
    known = names.series(units or assets, [*read, *written])
    if units is None and not assets:
        yield f"{where}: the asset model has no assets: they are the twin's units."
    for unit in units or ():
        if unit not in assets:
            found = ", ".join(sorted(assets)) or "none"
            yield (
                f"{where}: there is no asset '{unit}' of the model; found {found}."
                " twin provision NAME --to sitewise makes it."
            )
    properties = names.properties()
    aliased = {name for _, name in known}
    for name in dict.fromkeys([*read, *written]):
        if name not in properties and name not in aliased:
            yield (
                f"{where}: the asset model has no property '{name}', and no asset has that alias."
                " twin provision NAME --to sitewise makes it."
            )
    yield from _unfit(where, known, written)


def _unfit(where: str, known: Known, written: Sequence[str]) -> Iterator[str]:
    told = set()
    for (_, name), (series, writable) in known.items():
        if name in told:
            continue
        told.add(name)
        if series.data_type not in NUMBERS:
            yield f"{where}: property '{name}' holds {series.data_type}; expected DOUBLE, INTEGER or BOOLEAN."
        elif name in written and (not writable or series.data_type != "DOUBLE"):
            what = series.data_type if writable else "computed by IoT SiteWise"
            yield f"{where}: property '{name}' is {what}; expected a measurement of type DOUBLE for a result."
