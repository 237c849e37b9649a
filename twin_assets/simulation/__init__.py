"""Running FMUs: the only importers of fmpy."""

from twin_assets.simulation.description import FmuDescription, FmuVariable, fmu_sha256, nearest, read_description
from twin_assets.simulation.errors import FmuError

__all__ = ["FmuDescription", "FmuError", "FmuVariable", "fmu_sha256", "nearest", "read_description"]
