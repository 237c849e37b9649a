"""The record of units: which there are, since when, and what became of them.

A table ``units/record`` of a twin, or a shard, a row each time a unit's state changed: it appeared (``active``), fell
``silent`` (no sample for ``fleet.silent_after``), was ``gone`` (the historian no longer has it, or it holds no
measurement), came back (``active``). Rows are only ever added. The sensor keeps it, and so does every run, so that it
does not depend on a daemon; looking twice at the same adds nothing.

It is told and decides nothing: results are made from samples. The tables of past windows stay as they are when a unit
goes, and a unit that comes back goes on from its last state.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from twin_assets.historian.base import Historian
from twin_assets.spec import TwinSpec
from twin_assets.stages.telemetry import channel_properties, resolve_units
from twin_assets.store import Store

UNITS = "units"
RECORD = "record"
ACTIVE, SILENT, GONE = "active", "silent", "gone"
TYPES: dict[str, Any] = {
    "unit": "str",
    "state": "str",
    "since": "datetime64[ns, UTC]",
    "noticed": "datetime64[ns, UTC]",
    "first_sample": "datetime64[ns, UTC]",
    "last_sample": "datetime64[ns, UTC]",
}


def follow_units(historian: Historian, store: Store, spec: TwinSpec, now: pd.Timestamp) -> pd.DataFrame:
    """Look which units there are, note what has changed, and return the whole record.

    The record is of the units that the spec holds (a shard keeps one of its own).

    Two who look at the same time may each write what they found; what one of them loses is found again at the next
    look, a little later.

    Returns:
        unit, state, since (when it became so: the hour of the first sample of a unit that appeared or is no longer
        gone, the newest sample of one that is no longer silent, ``silent_after`` after it of one that fell silent, the
        time of noticing of one that is gone), noticed (when somebody looked), first_sample (the beginning of the hour
        that holds it), last_sample (the newest one when it was noticed); in the order of noticing, then by unit.
    """
    units = resolve_units(spec, historian)
    latest = historian.latest(units, channel_properties(spec)) if units else None
    newest = () if latest is None or latest.empty else latest.groupby("unit")["time"].max().items()
    last = {str(unit): pd.Timestamp(time) for unit, time in newest}
    before = store.read(spec.name, UNITS, RECORD)
    record = before if before is not None else pd.DataFrame(columns=list(TYPES)).astype(TYPES)
    there = current(record).set_index("unit")["state"]
    first = {unit: _first_sample(historian, spec, unit) for unit in last if there.get(unit, GONE) == GONE}
    new = changes(record, first, last, now, pd.Timedelta(spec.fleet.silent_after))
    if not new.empty:
        record = pd.concat([record, new], ignore_index=True) if len(record) else new
        store.write(spec.name, UNITS, RECORD, record, {})
    return record


def _first_sample(historian: Historian, spec: TwinSpec, unit: str) -> pd.Timestamp:
    return pd.Timestamp(historian.arrivals((unit,), channel_properties(spec)).buckets["start"].min())


def changes(
    record: pd.DataFrame,
    first: Mapping[str, pd.Timestamp],
    last: Mapping[str, pd.Timestamp],
    now: pd.Timestamp,
    silent_after: pd.Timedelta,
) -> pd.DataFrame:
    """What is to be added to a record: a row for each unit whose state is another one now.

    Args:
        record: as ``follow_units`` returns it.
        first: hour of the first sample that the historian has of each unit that appears, or is there again.
        last: newest sample of each unit that the historian has.
        now: when it is looked.
        silent_after: how long a unit may say nothing.
    """
    known = {row["unit"]: row for row in record.to_dict("records")}
    rows = []
    for unit in sorted({*known, *last}):
        then, newest = known.get(unit), last.get(unit)
        state = GONE if newest is None else SILENT if now - newest > silent_after else ACTIVE
        if then is not None and then["state"] == state:
            continue
        began = first[unit] if then is None else then["first_sample"]
        seen = newest if newest is not None else known[unit]["last_sample"]
        since = {GONE: now, SILENT: seen + silent_after, ACTIVE: first.get(unit, seen)}[state]
        rows.append(
            {"unit": unit, "state": state, "since": since, "noticed": now, "first_sample": began, "last_sample": seen}
        )
    return pd.DataFrame(rows, columns=list(TYPES)).astype(TYPES)


def lost(record: pd.DataFrame) -> dict[str, pd.Timestamp]:
    """Units of which the historian has lost samples, and until when: those gone, and those back without a past."""
    found: dict[str, pd.Timestamp] = {}
    was_gone: set[str] = set()
    for row in record.to_dict("records"):
        if row["state"] == GONE:
            found[row["unit"]] = pd.Timestamp.max.tz_localize("UTC")
            was_gone.add(row["unit"])
        elif row["unit"] in was_gone:
            found[row["unit"]] = row["since"]
            was_gone.discard(row["unit"])
    return found


def current(record: pd.DataFrame) -> pd.DataFrame:
    """The newest row of each unit, by unit."""
    return record.drop_duplicates("unit", keep="last").sort_values("unit", ignore_index=True)
