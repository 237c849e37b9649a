"""From a twin's description to what computes it: coefficients, filter settings, the model, the units."""

from twin_assets.simulation import FmuModel, SettleSettings
from twin_assets.spec_file import Twin
from twin_assets.stages.fingerprint import BLOCK
from twin_assets.stages.replay import READS
from twin_assets.stages.settings import coefficients_of, settings_of
from twin_assets.stages.telemetry import resolve_units

__all__ = ["coefficients_of", "open_model", "resolve_units", "settings_of"]


def open_model(twin: Twin, workers: int | None = None) -> FmuModel:
    """The twin's FMU as a predictive model; a context manager.

    Its outputs are the measurements, then the virtual sensors. What it settles from is the spec's own prior and its
    constant inputs; measured inputs start as the FMU does.

    Args:
        twin: its spec and where its FMU is.
        workers: processes (or threads: ``model.isolation``); one per core if None.
    """
    spec = twin.spec
    reference = {part.name: part.initial for part in spec.coefficients}
    return FmuModel(
        twin.fmu_path,
        coefficients=tuple(part.name for part in spec.coefficients),
        inputs=tuple(part.name for part in spec.inputs),
        outputs=tuple(part.name for part in (*spec.measurements, *spec.virtual_sensors)),
        parameters=spec.model.parameters,
        reference=reference | {part.name: part.constant for part in spec.inputs if part.constant is not None},
        settle=SettleSettings(spec.model.step_s, spec.model.max_settle_s, spec.model.tolerance, spec.model.max_step_s),
        workers=workers,
        timeout_s=spec.model.timeout_s,
        isolation=spec.model.isolation,
        recycle_after=spec.model.recycle_after,
        recycle_above_mb=spec.model.recycle_above_mb,
        interface=spec.model.interface,
        follow_step_s=spec.model.follow_step_s,
        most_reads=max(BLOCK, READS) if spec.transient else 1,
    )
