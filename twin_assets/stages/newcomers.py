"""The fleet's prior: what the units seen so far say of one that nobody has seen yet.

It is a function of the filter's states at the end of the window before, of all shards, and of nothing else: whoever
replays a window finds the same, whatever has arrived for later ones.
"""

import hashlib
from collections.abc import Mapping

import numpy as np

from twin_assets.estimation import Coefficients, Gaussian
from twin_assets.estimation.bounds import prior
from twin_assets.estimation.fleet import Members, predict_another, predictive, unbroken
from twin_assets.shards import ShardSpec, parts_of
from twin_assets.spec import TwinSpec
from twin_assets.stages.settings import coefficients_of
from twin_assets.stages.states import UnitState, previous_state, state_space, states_of
from twin_assets.store import Store
from twin_assets.windows import Window

FLEET_PRIOR = "fleet_prior"
"""Metadata of a shard's table in which units started: digest of what the fleet said of them."""


def members_of(states: Mapping[str, UnitState], coefficients: Coefficients) -> tuple[tuple[str, ...], Members]:
    """Units with a posterior in this state space, sorted, and what their own data say of the coefficients."""
    space, own = state_space(coefficients), prior(coefficients)
    units = tuple(sorted(unit for unit, each in states.items() if each.space == space))
    found = [states[unit] for unit in units]
    posteriors = [each.state.posterior for each in found]
    starts = [each.origin or own for each in found]
    shape = (len(units), len(coefficients.names))
    mean, std, start_mean, start_std = (
        np.array([getattr(each, name) for each in gaussians], dtype=np.float64).reshape(shape)
        for gaussians in (posteriors, starts)
        for name in ("mean", "std")
    )
    return units, Members.of(mean, std**2, start_mean, start_std**2)


def prior_of(states: Mapping[str, UnitState], coefficients: Coefficients) -> Gaussian | None:
    """What units of these states say of another one; None where too few tell any coefficient."""
    _, members = members_of(states, coefficients)
    kept = unbroken(members)
    found = predict_another(members, kept[:, np.newaxis] & members.told)
    return predictive(found, prior(coefficients)) if found.spread.known.any() else None


def states_before(store: Store, spec: TwinSpec, window: Window) -> dict[str, UnitState]:
    """The states of all units of the whole twin that a window starts from."""
    found: dict[str, UnitState] = {}
    for part in parts_of(spec):
        found |= states_of(previous_state(store, part, window))
    return found


def fleet_prior(store: Store, spec: TwinSpec, window: Window) -> Gaussian | None:
    """What a unit starts from that is new in a window; None for twin.yaml's own prior."""
    if not spec.learns_from_fleet:
        return None
    return prior_of(states_before(store, spec, window), coefficients_of(spec))


def described(gaussian: Gaussian | None) -> str:
    """Digest of a prior; "" of twin.yaml's own."""
    if gaussian is None:
        return ""
    return hashlib.sha256(gaussian.mean.astype("<f8").tobytes() + gaussian.root.astype("<f8").tobytes()).hexdigest()


def rests_on_others(spec: TwinSpec) -> bool:
    """Whether new units depend on tables of other shards, which no lineage within the shard tells of."""
    return isinstance(spec, ShardSpec) and spec.learns_from_fleet
