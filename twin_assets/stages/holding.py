"""What is published of a coefficient: the value that was published before, until there is evidence that it is wrong.

``calibrated_coefficients`` has the filter's estimate of every observation; beside it, in columns of their own, stand
the value that is held for people and dashboards, and the rows that brought news of it (``estimation.cusum``). What is
held goes on from window to window: the table of each says, exactly, what the next one starts from. It is a function of
the filter's tables alone: late data that change them change what was held since, a resumed window is the same bytes.

Belongs here: from the filter's rows to what is held. How it comes to the historian is ``publish``'s.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from twin_assets.estimation import Coefficients, FilterState
from twin_assets.estimation.cusum import Held, Watch, watched
from twin_assets.estimation.filter import expected_at
from twin_assets.model import Floats
from twin_assets.spec import TwinSpec
from twin_assets.spec_names import HELD, UPDATED
from twin_assets.stages import CALIBRATED_COEFFICIENTS
from twin_assets.stages.results import coefficients_table
from twin_assets.stages.settings import coefficients_of
from twin_assets.stages.states import (
    STATE_DIGEST,
    UnitState,
    previous_key,
    start_state,
    start_states,
    state_of_row,
    state_space,
)
from twin_assets.stages.tables import Table
from twin_assets.store import Store
from twin_assets.windows import Window

HOLDS = "holds"
"""Metadata: what is held of every unit after its last row, every bit of it, as JSON."""


@dataclass(frozen=True, eq=False)
class Told:
    """What people were told of a unit's coefficients.

    Attributes:
        held: in the state space.
        told: (n,) the same in physical units.
        space: fingerprint of the state space; elsewhere the numbers mean nothing.
    """

    held: Held
    told: Floats
    space: str


def held_table(store: Store, spec: TwinSpec, window: Window, ukf_state: pd.DataFrame) -> Table:
    """The ``calibrated_coefficients`` table of a window: every estimate and, unless all are news, what is held.

    Args:
        store: holds the filter's and this table of the window that the filter started this one from.
        spec: says whether anything is held.
        window: whose table it is.
        ukf_state: its posteriors, as ``assimilate`` gives them.
    """
    estimates = coefficients_table(spec, ukf_state)
    if not spec.publish.hold:
        return Table(estimates, {})
    before, key = start_states(store, spec, window), previous_key(store, spec, window)
    previous = None if key is None else store.metadata(spec.name, CALIBRATED_COEFFICIENTS, key)
    return with_held(spec, estimates, ukf_state, before, previous)


def with_held(
    spec: TwinSpec,
    estimates: pd.DataFrame,
    ukf_state: pd.DataFrame,
    before: Mapping[str, UnitState],
    previous: Mapping[str, str] | None,
) -> Table:
    """The coefficients' table with what is published of each.

    Args:
        spec: says when a held value is given up.
        estimates: as ``coefficients_table`` gives them.
        ukf_state: the posteriors that they are of, row by row.
        before: the filter's states before the window.
        previous: metadata of the coefficients' table before; without it, and for units that it does not know or knows
            in another state space, the first estimate is news.

    Returns:
        With, for each coefficient c, ``c_published`` and ``c_updated`` (bool, whether the row brought news) at the end.
        Metadata: what the next window goes on from.
    """
    coefficients, told = coefficients_of(spec), told_of(previous)
    names, space = coefficients.names, state_space(coefficients)
    watch = Watch(spec.publish.hold_shift, spec.publish.hold_threshold)
    means = estimates[list(names)].to_numpy(dtype=np.float64)
    values, news = np.empty_like(means), np.zeros(means.shape, dtype=bool)
    for name, indices in ukf_state.groupby("unit", sort=False).indices.items():
        unit, places = str(name), np.asarray(indices)
        known = told.get(unit)
        start = known if known is not None and known.space == space else None
        state = start_state(unit, before, coefficients).state
        # As the filter does: what was found about drift before is of no use where it is given now.
        state = state if spec.filter.adaptive_drift else replace(state, pace=None)
        steps = _followed(start, state, ukf_state.iloc[places], means[places], watch, coefficients)
        for place, (told[unit], new) in zip(places, steps, strict=True):
            values[place], news[place] = told[unit].told, new
    columns: dict[str, Any] = {}
    for j, name in enumerate(names):
        columns |= {name + HELD: values[:, j], name + UPDATED: news[:, j]}
    return Table(pd.concat([estimates, pd.DataFrame(columns, index=estimates.index)], axis=1), _described(told))


def _followed(
    told: Told | None, state: FilterState, rows: pd.DataFrame, means: Floats, watch: Watch, coefficients: Coefficients
) -> Iterator[tuple[Told, np.ndarray]]:
    """What is told after each of one unit's rows, and (n,) bool, of which coefficients that is news."""
    space = state_space(coefficients)
    times_ns = pd.DatetimeIndex(rows["time"]).as_unit("ns").asi8.tolist()
    for time_ns, mean, (_, row) in zip(times_ns, means, rows.iterrows(), strict=True):
        after = state_of_row(row, space).state
        if told is None:
            told, news = Told(Held.of(after.posterior), mean, space), np.ones(mean.size, dtype=bool)
        else:
            prior = expected_at(state, time_ns, coefficients)
            held, news = watched(told.held, prior, after.posterior, watch)
            told = Told(held, np.where(news, mean, told.told), space)
        state = after
        yield told, news


def as_published(spec: TwinSpec, coefficients: pd.DataFrame) -> pd.DataFrame:
    """The table with what is held in the place of each estimate, and its interval around both.

    A held value may lie outside the interval of the newest estimate for a while: until it has been refuted it is not
    known whether it or the estimate is off. The interval that is published takes in both. Tables from before there was
    anything held are left as they are, as are those of a twin that publishes every estimate.
    """
    names = [part.name for part in spec.coefficients]
    if not spec.publish.hold or not {name + HELD for name in names} <= {*coefficients.columns}:
        return coefficients
    found: dict[str, Any] = {}
    for name in names:
        held = coefficients[name + HELD]
        found |= {
            name: held,
            f"{name}_lower": np.minimum(coefficients[f"{name}_lower"], held),
            f"{name}_upper": np.maximum(coefficients[f"{name}_upper"], held),
        }
    return coefficients.assign(**found)


def told_of(metadata: Mapping[str, str] | None) -> dict[str, Told]:
    """What a coefficients' table hands on, by unit; nothing without one, or from before there was anything held."""
    found: dict[str, dict[str, Any]] = json.loads((metadata or {}).get(HOLDS, "{}"))
    return {unit: _restored(each) for unit, each in found.items()}


def _described(told: Mapping[str, Told]) -> dict[str, str]:
    units: dict[str, dict[str, object]] = {}
    for unit in sorted(told):
        one = told[unit]
        arrays = {"state": one.held.state, "rise": one.held.rise, "fall": one.held.fall, "values": one.told}
        # JSON has as many digits of a double as tell it from all others.
        units[unit] = {name: array.tolist() for name, array in arrays.items()} | {"space": one.space}
    text = json.dumps(units)
    return {HOLDS: text, STATE_DIGEST: hashlib.sha256(text.encode()).hexdigest()}


def _restored(found: Mapping[str, Any]) -> Told:
    held = Held(*(np.array(found[name]) for name in ("state", "rise", "fall")))
    return Told(held, np.array(found["values"]), found["space"])
