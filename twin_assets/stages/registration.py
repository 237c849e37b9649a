"""How a twin's FMU can restart: found out once, when a run first meets it, and kept.

Belongs here: what decides whether it has to be found out again. Finding out is ``simulation.probe``'s.
"""

import hashlib
import json
import platform

import pandas as pd

from twin_assets.simulation import probe_restart
from twin_assets.spec_file import Twin
from twin_assets.stages.engine import open_model
from twin_assets.store import Store

REGISTRATION, RESTART = "registration", "restart"
_BASIS, _CHOICE = "basis", "choice"


def restart_choice(twin: Twin, store: Store, sha256: str) -> str:
    """What was chosen, for people; tried in processes of its own, for some FMUs crash where they claim they can.

    It is tried again with another FMU, on another platform, and where twin.yaml says something else of the model, its
    inputs or its coefficients.

    Args:
        twin: in transient mode.
        store: where it is kept.
        sha256: of the FMU, hex.

    Raises:
        FmuError: if the FMU cannot be used.
    """
    spec = twin.spec
    told = [part.model_dump(mode="json") for part in (spec.model, *spec.inputs)]
    prior = [[part.name, part.initial] for part in spec.coefficients]
    parts = [sha256, platform.system(), platform.machine(), told, prior]
    basis = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    found = store.metadata(spec.name, REGISTRATION, RESTART)
    if found is not None and found.get(_BASIS) == basis:
        return found[_CHOICE]
    choice = probe_restart(open_model(twin, workers=1)).choice
    store.write(spec.name, REGISTRATION, RESTART, pd.DataFrame(), {_BASIS: basis, _CHOICE: choice})
    return choice
