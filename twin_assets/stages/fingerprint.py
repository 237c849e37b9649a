"""What decides about a posterior but the data: spec, FMU and this library's algorithm, as one hash.

Belongs here: what is to be raised where the filter computes something else from the same arguments.
"""

import hashlib
import json

from twin_assets.spec import TwinSpec

FINGERPRINT = "fingerprint"
"""Metadata of a table: what it was computed by, as ``fingerprint`` says it."""

ALGORITHM = "7"
"""To be raised when the filter computes something else from the same arguments: everything is then replayed."""

FOLLOWED = "2"
"""The same of models that are followed through time: what their inputs do in between."""

BLOCK = 36
"""After so many rows of a window nothing is taken over from the rows before but the posterior."""


def fingerprint(spec: TwinSpec, fmu_sha256: str) -> str:
    """Hex hash of all but the data that decides about a posterior: spec, FMU, this library's algorithm.

    What only people see (descriptions, limits), and what merely chooses when something runs, does not count.
    """
    parts: dict[str, object] = {
        # Nothing is said where a field has no value: fields that come to be leave the states of before valid.
        "model": spec.model.model_dump(mode="json", exclude={"fmu", *spec.model.HOW_IT_RUNS}, exclude_none=True),
        "inputs": [
            part.model_dump(mode="json", include={"name", "constant"})
            | part.model_dump(mode="json", include={"noise_std"}, exclude_none=True)
            for part in spec.inputs
        ],
        "coefficients": [
            part.model_dump(mode="json", exclude={"description", "limit", "unit"}) for part in spec.coefficients
        ],
        "measurements": [
            part.model_dump(mode="json", include={"name", "noise_std", "resolution"}, exclude_none=True)
            for part in spec.measurements
        ],
        "gate_probability": spec.checks.gate_probability,
        # A field that came later is left out where it has its default, as below.
        "filter": spec.filter.model_dump(
            mode="json", exclude=set() if spec.filter.adaptive_drift else {"adaptive_drift"}
        ),
        "fmu": fmu_sha256,
        "algorithm": ALGORITHM,
        "block": BLOCK,
    }
    if spec.filter.diagnosis:
        # A dead sensor reads an end of its range.
        parts["ranges"] = [part.valid_range for part in spec.measurements]
    # The default is left out: what was computed before there was a choice stays as it is.
    if spec.identifiability != "report":
        parts["identifiability"] = spec.identifiability
    if spec.transient:
        parts["moving"] = [[part.between, part.max_age.total_seconds()] for part in spec.inputs]
        parts["followed"] = FOLLOWED
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
