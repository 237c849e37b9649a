"""Which table was made from which: how a crash between two stages, or late data in an earlier window, is noticed.

Every table carries, as metadata ``made_from``, the versions of the tables that it was computed from, and a digest of
what twin.yaml says about its stage. A table for which either is another one now is stale. Versions are digests of
content, so a table that was made again with the same rows makes nothing stale. What decides about ``ukf_state``, the
FMU among it, is its own ``fingerprint``.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping

from twin_assets.shards import parts_of
from twin_assets.spec import TwinSpec
from twin_assets.stages import (
    CALIBRATED_COEFFICIENTS,
    FLEET,
    OBSERVATIONS,
    PUBLISHED,
    REFUSED,
    SMOOTHED_COEFFICIENTS,
    TELEMETRY,
    UKF_STATE,
    VIRTUAL_SENSORS,
)
from twin_assets.stages.newcomers import FLEET_PRIOR, fleet_prior
from twin_assets.stages.newcomers import described as prior_described
from twin_assets.stages.observations import telemetry_windows
from twin_assets.stages.states import STATE_DIGEST, previous_key
from twin_assets.store import CONTENT, Store
from twin_assets.windows import Window, WindowGrid

MADE_FROM = "made_from"
DESCRIPTION = "twin.yaml"
SAME_WINDOW_SOURCES = {
    TELEMETRY: (),
    OBSERVATIONS: (),
    UKF_STATE: (OBSERVATIONS,),
    CALIBRATED_COEFFICIENTS: (UKF_STATE,),
    VIRTUAL_SENSORS: (UKF_STATE, OBSERVATIONS),
    PUBLISHED: (CALIBRATED_COEFFICIENTS, VIRTUAL_SENSORS),
    REFUSED: (CALIBRATED_COEFFICIENTS, VIRTUAL_SENSORS),
    SMOOTHED_COEFFICIENTS: (UKF_STATE,),
    FLEET: (),
}


def made_from(store: Store, spec: TwinSpec, stage: str, window: Window) -> Mapping[str, str]:
    """Metadata to write beside a table of ``stage``: ``{"made_from": versions of its sources as they are now}``.

    Usage: ``store.write(twin, stage, key, frame, {**metadata, **made_from(store, spec, stage, window)})``.
    """
    sources = {
        f"{source}/{key}": version
        for source, key in _sources(store, spec, stage, window)
        if (version := _version(store, spec.name, source, key)) is not None
    }
    if stage == FLEET:
        sources |= {
            f"{part.name}/{UKF_STATE}/{window.key}": version
            for part in parts_of(spec)
            if (version := _version(store, part.name, UKF_STATE, window.key)) is not None
        }
    return {MADE_FROM: json.dumps({**sources, DESCRIPTION: described(spec, stage)}, sort_keys=True)}


def is_current(store: Store, spec: TwinSpec, stage: str, window: Window) -> bool:
    """Whether the table is there and was made from its sources as they are now."""
    found = store.metadata(spec.name, stage, window.key)
    if found is None or found.get(MADE_FROM) != made_from(store, spec, stage, window)[MADE_FROM]:
        return False
    # Where units started from what other shards had found, that must be what they have found now.
    return FLEET_PRIOR not in found or found[FLEET_PRIOR] == prior_described(fleet_prior(store, spec, window))


def described(spec: TwinSpec, stage: str) -> str:
    """Digest of what twin.yaml says about a stage beside what its sources and its fingerprint tell; "" for nothing."""
    texts = {"unit", "description"}
    parts: dict[str, list[object]] = {
        OBSERVATIONS: [
            spec.align.model_dump(mode="json"),
            [part.model_dump(mode="json", exclude={*texts, "between", "noise_std"}) for part in spec.inputs],
            [part.model_dump(mode="json", exclude={*texts, "noise_std", "resolution"}) for part in spec.measurements],
        ],
        VIRTUAL_SENSORS: [
            # Where nothing is stated the name is all: tables of before there was anything to state stay current.
            part.name if part.discrepancy_std is None else [part.name, part.discrepancy_std]
            for part in spec.virtual_sensors
        ],
        FLEET: [spec.fleet.outlier_probability],
        PUBLISHED: [
            spec.checks.model_dump(mode="json"),
            [[part.name, part.source] for part in (*spec.measurements, *spec.virtual_sensors)],
        ],
    }
    if spec.learns_from_fleet:
        parts[UKF_STATE] = ["units that come later start from what the fleet says"]
    if spec.publish.hold:
        parts[CALIBRATED_COEFFICIENTS] = [spec.publish.model_dump(mode="json")]
    if spec.transient:
        parts[OBSERVATIONS] = [*parts[OBSERVATIONS], "inputs make observations, too"]
    about = parts.get(PUBLISHED if stage == REFUSED else stage)
    return "" if about is None else hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _sources(store: Store, spec: TwinSpec, stage: str, window: Window) -> Iterator[tuple[str, str]]:
    for source in SAME_WINDOW_SOURCES[stage]:
        yield source, window.key
    if stage == OBSERVATIONS:
        for earlier in telemetry_windows(spec, WindowGrid.of(spec), window):
            yield TELEMETRY, earlier.key
    if (stage == UKF_STATE or (stage == CALIBRATED_COEFFICIENTS and spec.publish.hold)) and (
        key := previous_key(store, spec, window)
    ) is not None:
        yield stage, key


def _version(store: Store, twin: str, stage: str, key: str) -> str | None:
    """Digest of the rows and, where a table hands on a state, of that (there is one also without rows)."""
    found = store.metadata(twin, stage, key)
    return None if found is None else found[CONTENT] + found.get(STATE_DIGEST, "")
