"""Running FMUs: the only importers of fmpy."""

from twin_assets.simulation.description import (
    FmuDescription,
    FmuVariable,
    Interface,
    fmu_sha256,
    nearest,
    read_description,
)
from twin_assets.simulation.errors import FmuError, FmuReplacedError
from twin_assets.simulation.fmu_model import FmuModel
from twin_assets.simulation.probe import REPLAY, RestartOutcome, RestartReport, probe_restart
from twin_assets.simulation.settle import SettleSettings

__all__ = [
    "REPLAY",
    "FmuDescription",
    "FmuError",
    "FmuModel",
    "FmuReplacedError",
    "FmuVariable",
    "Interface",
    "RestartOutcome",
    "RestartReport",
    "SettleSettings",
    "fmu_sha256",
    "nearest",
    "probe_restart",
    "read_description",
]
