"""The filter's state between windows: exact, as text beside the ukf_state table, and where the next window finds it.

Belongs here: what is handed on. How it comes about is ``ukf``'s.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from twin_assets.estimation import Coefficients, FilterState, Gaussian, prior
from twin_assets.estimation.adaptive import Pace
from twin_assets.estimation.affine import Affine
from twin_assets.estimation.noise import Noise
from twin_assets.estimation.reuse import Learnt
from twin_assets.model import Floats
from twin_assets.spec import TwinSpec
from twin_assets.stages import UKF_STATE
from twin_assets.stages.calibrated import Calibrated
from twin_assets.stages.exact import exact, floats, integers
from twin_assets.stages.history import History
from twin_assets.stages.suspicions import described, restored, suspicion_of_row
from twin_assets.store import Store
from twin_assets.windows import Window, WindowGrid

STATES = "states"
STATE_DIGEST = "state_digest"


@dataclass(frozen=True)
class UnitState:
    """A unit's state after its last observation.

    Attributes:
        state: time and posterior.
        digest: hex hash over everything that led to it.
        space: fingerprint of the state space; a state means nothing in another one.
        past: the unit's recent past, where predictions depend on it.
        calibrated: the inputs under which its observations were assimilated; None where an earlier version did not say.
        origin: the fleet's prior that it once started from; None where that was twin.yaml's own.
    """

    state: FilterState
    digest: str
    space: str
    past: History | None = None
    calibrated: Calibrated | None = None
    origin: Gaussian | None = None


def state_space(coefficients: Coefficients) -> str:
    """Fingerprint of what the state's numbers mean: names, bounds and the scale of the transform."""
    digest = hashlib.sha256(json.dumps(coefficients.names).encode())
    for array in (coefficients.lower, coefficients.upper, coefficients.initial_std):
        digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
    return digest.hexdigest()


def start_state(
    unit: str, before: Mapping[str, UnitState], coefficients: Coefficients, fleet: Gaussian | None = None
) -> UnitState:
    """What a unit starts a window from: its earlier state or, without one in this state space, the prior.

    Other coefficients or bounds make another state space: the earlier posterior says nothing there. ``fleet`` is the
    prior that the fleet has for a unit that nobody has seen yet; None is twin.yaml's own. What follows from it says so
    in its digests.
    """
    space = state_space(coefficients)
    found = before.get(unit)
    if found is not None and found.space == space:
        return found
    return UnitState(prior(coefficients), "", space) if fleet is None else _started(fleet, space)


def _started(origin: Gaussian, space: str) -> UnitState:
    digest = hashlib.sha256(json.dumps(_gaussian_described(origin)).encode()).hexdigest()
    return UnitState(FilterState(None, origin), digest, space, origin=origin)


def begun(before: Mapping[str, UnitState], after: Mapping[str, UnitState]) -> dict[str, UnitState]:
    """The states that a window was computed from, but for units that started from twin.yaml's prior.

    Those are the states handed on from before and, of units that are new in the window, the fleet's prior, which the
    states after it tell.
    """
    found = dict(before)
    for unit, state in after.items():
        new = unit not in before or before[unit].space != state.space
        if new and state.origin is not None:
            found[unit] = _started(state.origin, state.space)
    return found


def start_states(store: Store, spec: TwinSpec, window: Window) -> dict[str, UnitState]:
    """The same of a window whose ukf_state table is in the store."""
    after = store.metadata(spec.name, UKF_STATE, window.key)
    return begun(states_of(previous_state(store, spec, window)), states_of(after))


def states_metadata(states: Mapping[str, UnitState]) -> dict[str, str]:
    """Metadata of a ukf_state table: the units' states, every bit of them, and a digest."""
    text = json.dumps({unit: _described(states[unit]) for unit in sorted(states)})
    return {STATES: text, STATE_DIGEST: hashlib.sha256(text.encode()).hexdigest()}


def states_of(metadata: Mapping[str, str] | None) -> dict[str, UnitState]:
    """The states that a ukf_state table hands on; none without a table."""
    found: dict[str, dict[str, Any]] = json.loads((metadata or {}).get(STATES, "{}"))
    return {unit: _restored(state) for unit, state in found.items()}


def watermark(metadata: Mapping[str, str]) -> pd.Timestamp | None:
    """Time of the newest observation that a ukf_state table's states hold; None before any observation."""
    times = [state.state.time_ns for state in states_of(metadata).values() if state.state.time_ns is not None]
    return pd.Timestamp(max(times), unit="ns", tz="UTC") if times else None


def previous_key(store: Store, spec: TwinSpec, window: Window) -> str | None:
    """The window whose final states a window starts from: the newest one before it that has a ukf_state table.

    That is the window before, but for gaps: windows that were never materialized, before a first backfill or after a
    change of the twin's windows. A table that reaches into the window (one of longer windows, from before such a
    change) is passed over.
    """
    before = WindowGrid.of(spec).previous(window)
    # The window before is the rule; the folder is listed only where it is missing.
    if before is not None and _ends_before(store.metadata(spec.name, UKF_STATE, before.key), window):
        return before.key
    earlier = (key for key in reversed(store.keys(spec.name, UKF_STATE)) if key < window.key)
    return next((key for key in earlier if _ends_before(store.metadata(spec.name, UKF_STATE, key), window)), None)


def _ends_before(metadata: Mapping[str, str] | None, window: Window) -> bool:
    if metadata is None:
        return False
    reached = watermark(metadata)
    return reached is None or reached < window.start


def previous_state(store: Store, spec: TwinSpec, window: Window) -> Mapping[str, str] | None:
    """Metadata of the ukf_state table that a window starts from (see ``previous_key``); None if there is none."""
    key = previous_key(store, spec, window)
    return None if key is None else store.metadata(spec.name, UKF_STATE, key)


def state_of_row(row: "pd.Series[Any]", space: str, estimated: tuple[str, ...] = ()) -> UnitState:
    """The state after a row of the ukf_state table, with the noise of the channels that it is estimated of.

    What is thought of the sensors only some rows hold (``ukf_rows.resumable``).
    """
    time_ns = pd.Timestamp(str(row["time"])).as_unit("ns").value
    noise = _noise_of_row(row, estimated) if estimated else None
    suspicion, pace = suspicion_of_row(row), pace_of_row(row)
    state = FilterState(time_ns, posterior_of_row(row), noise=noise, suspicion=suspicion, pace=pace)
    return UnitState(state, str(row["digest"]), space)


def noise_of_row(row: "pd.Series[Any]") -> Floats:
    """(2k,) what a row says of k channels' noise; (0,) where none was estimated."""
    return np.asarray(row.get("noise", ()), dtype=np.float64)


def learnt_of_row(row: "pd.Series[Any]") -> Floats:
    """(2k + 4n,) what a row says of noise and drift; what was not estimated is not there."""
    return np.concatenate([noise_of_row(row), np.asarray(row.get("drift", ()), dtype=np.float64)])


def pace_of_row(row: "pd.Series[Any]") -> Pace | None:
    """What was believed of n coefficients' drift after a row, to the bit; None where it was not adapted."""
    if "drift" not in row:
        return None
    return Pace(*np.asarray(row["drift"], dtype=np.float64).reshape(-1, 4).T)


def _noise_of_row(row: "pd.Series[Any]", names: tuple[str, ...]) -> Noise:
    """What was believed of noise after a row, to the bit; of the channels that had been measured by then."""
    beliefs = noise_of_row(row).reshape(len(names), 2)
    met = np.isfinite(beliefs[:, 0])
    return Noise(tuple(name for name, known in zip(names, met, strict=True) if known), *beliefs[met].T)


def posterior_of_row(row: "pd.Series[Any]") -> Gaussian:
    """The posterior of a row of the ukf_state table, in the state space; to the bit, where the table has roots."""
    mean = np.asarray(row["state_mean"], dtype=np.float64)
    if "state_root" not in row:
        return Gaussian(mean, np.asarray(row["state_cov"], dtype=np.float64).reshape(mean.size, mean.size))
    return Gaussian.of_root(mean, np.asarray(row["state_root"], dtype=np.float64).reshape(mean.size, mean.size))


def _described(unit: UnitState) -> dict[str, object]:
    numbers = _gaussian_described(unit.state.posterior)
    found: dict[str, object] = {"time_ns": unit.state.time_ns, **numbers, "digest": unit.digest, "space": unit.space}
    if unit.origin is not None:
        found["origin"] = _gaussian_described(unit.origin)
    if unit.past is not None:
        past = {"names": list(unit.past.names), "time_ns": exact(unit.past.time_ns, "<i8")}
        found["past"] = {**past, "inputs": exact(unit.past.inputs)}
    if unit.calibrated is not None:
        found["calibrated"] = unit.calibrated.ranges
    noise, learnt, pace = unit.state.noise, unit.state.learnt, unit.state.pace
    if noise is not None:
        beliefs = {"log_mean": exact(noise.log_mean), "log_std": exact(noise.log_std)}
        readable = dict(zip(noise.channels, noise.std.tolist(), strict=True))
        found |= {"noise": {"channels": list(noise.channels), **beliefs, "std": readable}}
    if unit.state.suspicion is not None:
        found["suspicion"] = described(unit.state.suspicion)
    if pace is not None:
        found["pace"] = {name: exact(array) for name, array in vars(pace).items()}
    return found if learnt is None else found | {"learnt": _learnt_described(learnt)}


def _restored(found: Mapping[str, Any]) -> UnitState:
    posterior = _gaussian_restored(found)
    origin = _gaussian_restored(found["origin"]) if "origin" in found else None
    learnt = _learnt_restored(found["learnt"]) if "learnt" in found else None
    noise = _noise_restored(found["noise"]) if "noise" in found else None
    pace = Pace(**{name: floats(text) for name, text in found["pace"].items()}) if "pace" in found else None
    past = _past_restored(found["past"]) if "past" in found else None
    calibrated = Calibrated.of(found["calibrated"]) if "calibrated" in found else None
    suspicion = restored(found["suspicion"]) if "suspicion" in found else None
    state = FilterState(found["time_ns"], posterior, learnt, noise, suspicion, pace)
    return UnitState(state, found["digest"], found["space"], past, calibrated, origin)


def _gaussian_described(gaussian: Gaussian) -> dict[str, str]:
    return {"mean": exact(gaussian.mean), "root": exact(gaussian.root)}


def _gaussian_restored(found: Mapping[str, Any]) -> Gaussian:
    mean = floats(found["mean"])
    matrix = floats(found.get("root") or found["cov"]).reshape(mean.size, mean.size)
    # Tables of earlier versions hold covariances.
    return Gaussian.of_root(mean, matrix) if "root" in found else Gaussian(mean, matrix)


def _past_restored(found: Mapping[str, Any]) -> History:
    time_ns = integers(found["time_ns"])
    return History(tuple(found["names"]), time_ns, floats(found["inputs"]).reshape(time_ns.size, -1))


def _noise_restored(found: Mapping[str, Any]) -> Noise:
    return Noise(tuple(found["channels"]), floats(found["log_mean"]), floats(found["log_std"]))


def _learnt_described(learnt: Learnt) -> dict[str, object]:
    arrays = {"inputs": learnt.inputs, "first_inputs": learnt.first_inputs, "width": learnt.width, **vars(learnt.model)}
    return {"turn": learnt.turn, **{name: exact(array) for name, array in arrays.items()}}


def _learnt_restored(found: Mapping[str, Any]) -> Learnt:
    center, value = floats(found["center"]), floats(found["value"])
    slope, rest = floats(found["slope"]).reshape(-1, center.size), floats(found["rest"]).reshape(-1, value.size)
    model = Affine(center, value, slope, rest)
    inputs, first_inputs, width = (floats(found[name]) for name in ("inputs", "first_inputs", "width"))
    return Learnt(inputs, first_inputs, width, model, int(found["turn"]))
