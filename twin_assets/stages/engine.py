"""From a twin's description to what computes it: coefficients, filter settings, the model, the units."""

from twin_assets.estimation import Coefficients, FilterSettings
from twin_assets.historian.base import Historian
from twin_assets.simulation import FmuModel
from twin_assets.spec import TwinSpec
from twin_assets.spec_file import Twin


def coefficients_of(spec: TwinSpec) -> Coefficients:
    """The spec's coefficients as arrays (n,)."""
    raise NotImplementedError


def settings_of(spec: TwinSpec) -> FilterSettings:
    """Measurement noise and gate."""
    raise NotImplementedError


def open_model(twin: Twin, workers: int | None = None) -> FmuModel:
    """The twin's FMU as a predictive model; a context manager. ``workers``: processes, one per core if None."""
    raise NotImplementedError


def resolve_units(spec: TwinSpec, historian: Historian) -> tuple[str, ...]:
    """The units: as listed, one named like the twin if none is, or those in the historian with a measured property."""
    raise NotImplementedError
