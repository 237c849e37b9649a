"""Truth against estimate: how good, how honest, what was noticed.

Belongs here: pure comparisons of tables. Every number is about what the store holds; nothing is recomputed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from twin_assets.demo.accuracy import Accuracy, Comparison, WorstError
from twin_assets.demo.plant import SLIP_M_PER_S, SLIPPING
from twin_assets.spec import TwinSpec

SLIP_UNIT = "m/s"


@dataclass(frozen=True)
class Rejected:
    """Values of one channel with one reason: as injected, as noticed, and in common."""

    channel: str
    reason: str
    injected: int
    noticed: int
    common: int


@dataclass(frozen=True)
class Slip:
    """When the worn roller began to slip, in truth and as the twin saw it first; None: it did not."""

    sensor: str
    true: pd.Timestamp | None
    seen: pd.Timestamp | None


@dataclass(frozen=True)
class Assessment:
    """All comparisons of one demonstration.

    Attributes:
        coefficients: one each, in the spec's order.
        virtual_sensors: one each, in the spec's order.
        coverage_95: part of the coefficients' intervals that hold the truth, over all times before the slip.
        coverage_95_after_slip: the same after it; None if nothing slipped.
        virtual_sensor_coverage_95: part of the virtual sensors' intervals that hold the truth, before the slip.
        coefficient_rmse: over all coefficients before the slip.
        virtual_sensor_rmse: before the slip, per unit of measure.
        worst: the worst error of a virtual sensor, over all times.
        slip: when it began.
        rejected: what was not used and why, against what was injected.
        updates: filter updates in the tables.
        model_runs: model evaluations of these updates.
    """

    coefficients: tuple[Comparison, ...]
    virtual_sensors: tuple[Comparison, ...]
    coverage_95: float
    coverage_95_after_slip: float | None
    virtual_sensor_coverage_95: float
    coefficient_rmse: float
    virtual_sensor_rmse: Mapping[str, float]
    worst: WorstError
    slip: Slip
    rejected: tuple[Rejected, ...]
    updates: int
    model_runs: int


@dataclass(frozen=True)
class Tables:
    """What the twin says, as the store holds it: stage tables of one machine over all windows."""

    observations: pd.DataFrame
    ukf_state: pd.DataFrame
    coefficients: pd.DataFrame
    virtual_sensors: pd.DataFrame


def assess(spec: TwinSpec, tables: Tables, truth: pd.DataFrame, injected: pd.DataFrame) -> Assessment:
    """Hold the tables against the truth.

    Args:
        spec: the twin.
        tables: of one machine.
        truth: ``time``, coefficients and outputs, at the plant's times.
        injected: ``time`` and ``<measurement>_reason``.
    """
    slip = _slip(tables.virtual_sensors, truth)
    coefficients = Accuracy.of(tables.coefficients, truth, {c.name: c.unit or "" for c in spec.coefficients}, slip.true)
    sensors = Accuracy.of(
        tables.virtual_sensors, truth, {v.name: v.unit or "" for v in spec.virtual_sensors}, slip.true
    )
    return Assessment(
        coefficients=coefficients.comparisons(),
        virtual_sensors=sensors.comparisons(),
        coverage_95=coefficients.coverage(),
        coverage_95_after_slip=coefficients.coverage_after_slip(),
        virtual_sensor_coverage_95=sensors.coverage(),
        coefficient_rmse=coefficients.rmse(),
        virtual_sensor_rmse=sensors.rmse_by_unit(),
        # While nothing slips, slip velocities are micro-slip: a millionth beside another is no error to speak of.
        worst=sensors.worst({SLIP_UNIT: SLIP_M_PER_S}),
        slip=slip,
        rejected=_rejected(spec, tables, injected),
        updates=len(tables.ukf_state),
        model_runs=int(tables.ukf_state["model_runs"].sum()),
    )


def _slip(virtual_sensors: pd.DataFrame, truth: pd.DataFrame) -> Slip:
    """The first times at which the worn roller's slip velocity is one, in truth and as estimated."""

    def first(table: pd.DataFrame) -> pd.Timestamp | None:
        times = table.loc[table[SLIPPING].abs() > SLIP_M_PER_S, "time"]
        return None if times.empty else times.min()

    return Slip(SLIPPING, first(truth), first(virtual_sensors))


def _rejected(spec: TwinSpec, tables: Tables, injected: pd.DataFrame) -> tuple[Rejected, ...]:
    """What was not used, per channel and reason: the filter's reason, which keeps the observation's."""
    noticed, done = tables.ukf_state.set_index("time"), injected.set_index("time")
    found = []
    for measurement in spec.measurements:
        column = f"{measurement.name}_reason"
        said, did = noticed[column].reindex(done.index).fillna("missing"), done[column]
        found += [
            Rejected(
                measurement.name,
                reason,
                injected=int((did == reason).sum()),
                noticed=int((said == reason).sum()),
                common=int(((did == reason) & (said == reason)).sum()),
            )
            for reason in sorted({*said, *did} - {""})
        ]
    return tuple(found)
