"""Shards: a twin of many units divided into twins of fewer, each with tables, runs, sensor and schedule of its own.

A unit belongs to a shard by a hash of its name, so that it stays there whoever comes and goes. To every stage a shard
is a twin like any other, with the units that it holds. What looks at all units asks for all parts: the comparison of
the fleet, and the prior of new units.
"""

import hashlib
from dataclasses import replace

from pydantic import Field

from twin_assets.spec import DISCOVERED, TwinSpec
from twin_assets.spec_file import Twin


class ShardSpec(TwinSpec):
    """One part of a twin; never read from a file. ``shards`` and ``units`` are the whole's."""

    whole: str = Field(description="the twin that it is a part of")
    number: int = Field(description="which part, from 1 to shards")

    @property
    def named_units(self) -> tuple[str, ...] | None:
        """Those of the whole's named units that are here, perhaps none; None if they are discovered."""
        named = TwinSpec.named_units.fget(self.model_copy(update={"name": self.whole}))  # type: ignore[attr-defined]
        return None if named is None else tuple(unit for unit in named if self.holds(unit))

    @property
    def several_units(self) -> bool:
        """Whether the whole may have more than one; then a record is kept, also of one that is alone here."""
        return self.units == DISCOVERED or len(self.units) > 1

    @property
    def shows_fleet(self) -> bool:
        """The whole does."""
        return False

    @property
    def label(self) -> str:
        """Title for people."""
        return f"{self.title or self.whole}, shard {self.tag}"

    @property
    def tag(self) -> str:
        """Which part of how many, as runs are tagged."""
        return f"{self.number}/{self.shards}"

    def holds(self, unit: str) -> bool:
        """Whether a unit is one of this shard's."""
        return int.from_bytes(hashlib.sha256(unit.encode()).digest()[:8]) % self.shards == self.number - 1


def parts_of(spec: TwinSpec) -> tuple[TwinSpec, ...]:
    """All parts of the twin that a spec, or one of its shards, is of; the spec itself where it is not divided."""
    if spec.shards == 1:
        return (spec,)
    whole = spec.whole if isinstance(spec, ShardSpec) else spec.name
    return tuple(_part(spec, whole, number) for number in range(1, spec.shards + 1))


def shards_of(twin: Twin) -> tuple[Twin, ...]:
    """The twins that are run in a twin's place; itself where it is not divided, or a shard already."""
    return tuple(replace(twin, spec=part) for part in parts_of(twin.spec)) if is_divided(twin.spec) else (twin,)


def is_divided(spec: TwinSpec) -> bool:
    """Whether it is a whole that has shards."""
    return spec.shards > 1 and not isinstance(spec, ShardSpec)


def whole_name(spec: TwinSpec) -> str:
    """The name of the twin, also of one of its shards."""
    return spec.whole if isinstance(spec, ShardSpec) else spec.name


def _part(spec: TwinSpec, whole: str, number: int) -> ShardSpec:
    # The whole was validated; its parts say the same.
    fields = {name: getattr(spec, name) for name in TwinSpec.model_fields}
    fields["name"] = f"{whole}__{number}_of_{spec.shards}"
    return ShardSpec.model_construct(**fields, whole=whole, number=number)
