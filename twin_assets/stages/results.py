"""calibrated_coefficients and virtual_sensors: posteriors in physical units, and what the calibrated model predicts."""

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from twin_assets.estimation import Marginals, coefficient_marginals
from twin_assets.model import Floats, PredictiveModel
from twin_assets.spec import TwinSpec
from twin_assets.stages.predictions import (
    BASIS,
    DIGEST_LENGTH,
    FAILED,
    HOW,
    POSTERIORS,
    STATISTICS,
    Known,
    basis_of,
    earlier,
    in_columns,
    predicted_names,
    prediction_columns,
)
from twin_assets.stages.replay import Ways
from twin_assets.stages.settings import coefficients_of, how_it_runs
from twin_assets.stages.states import posterior_of_row, states_metadata, states_of
from twin_assets.stages.tables import Progress, Table, no_progress
from twin_assets.stages.unit_predictions import PredictionJob
from twin_assets.stages.units import Stopped, each, failures_metadata
from twin_assets.stages.validity import RUNS_FAILED, VALID, WHY_NOT, joined, reasons


@dataclass(frozen=True)
class ResultTable:
    """A result table of one window.

    Attributes:
        frame: its rows.
        metadata: to be written beside them.
        kept: rows taken over from the existing table.
        computed: rows computed now.
        degraded: rows for which model runs failed, and that were predicted from what was left.
        unpredicted: times without a row, for the model could not be run there.
        stopped: units that could not be gone on with; their later rows are not there.
    """

    frame: pd.DataFrame
    metadata: Mapping[str, str]
    kept: int
    computed: int
    degraded: int
    unpredicted: int
    stopped: Mapping[str, Stopped] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _Asked:
    """What is to be predicted of one unit.

    Attributes:
        rows: of the ukf_state table, those whose inputs (in transient mode: whose recent past) are known.
        inputs: (k, p) then.
        reasons: (k,) why a prediction there does not rest on what was calibrated; "" where it does.
        digests: (k,) of the posteriors.
    """

    rows: pd.DataFrame
    inputs: Floats
    reasons: list[str]
    digests: list[str]


def coefficients_table(spec: TwinSpec, ukf_state: pd.DataFrame) -> pd.DataFrame:
    """unit, time, and for each coefficient c: ``c``, ``c_std``, ``c_lower``, ``c_upper`` (95 %), physical units."""
    coefficients = coefficients_of(spec)
    marginals = [coefficient_marginals(posterior_of_row(row), coefficients) for _, row in ukf_state.iterrows()]
    return estimates_frame(ukf_state, coefficients.names, marginals)


def estimates_frame(rows: pd.DataFrame, names: tuple[str, ...], marginals: list[Marginals]) -> pd.DataFrame:
    """Unit and time of some rows, and what is known of each name there: one of ``marginals`` a row, in their order."""
    table = [np.stack([each.mean, each.std, each.lower, each.upper], axis=1) for each in marginals]
    columns = [name + suffix for name, suffix in itertools.product(names, STATISTICS)]
    return _frame(rows, columns, np.array(table, dtype=np.float64))


def virtual_sensors_table(
    spec: TwinSpec,
    model: PredictiveModel,
    ukf_state: pd.DataFrame,
    observations: pd.DataFrame,
    *,
    existing: Table | None = None,
    previous: Mapping[str, str] | None = None,
    progress: Progress = no_progress,
) -> ResultTable:
    """Predictions of the calibrated model: a row per ukf_state row whose inputs are known.

    Where an input is unknown (in transient mode: or the recent past is), or too little of the model can be run, it says
    nothing: there is no row. Where some runs fail, the row is predicted from what is left (``predict_outputs``). The
    metadata tells of both.

    Args:
        spec: names of measurements, virtual sensors, inputs.
        model: its outputs are the measurements, then the virtual sensors.
        ukf_state: posteriors, as ``assimilate`` gives them.
        observations: of the same window; they hold the inputs.
        existing: this window's table as it was materialized before; its rows from the same posteriors are kept.
        previous: metadata of the ukf_state table that the window started from: it holds the ranges of inputs that were
            calibrated before and, in transient mode, the inputs before the window.
        progress: called after every row computed.

    Returns:
        unit, time, and for each of ``predicted_names`` x: ``x``, ``x_std``, ``x_lower``, ``x_upper`` (95 %); then for
        each the parts of its standard deviation, ``x_std_coefficients``, ``x_std_inputs``, ``x_std_discrepancy`` (NaN
        where nobody states it); then ``valid`` (bool) and ``why_not`` ("" where it is): see ``validity``.

    Raises:
        EvaluationError: if the model does not start, or if none of the units can be gone on with, as where there is
            one; names the unit and the time.
    """
    asked = _asked(spec, model, ukf_state, observations, previous)
    basis, how = basis_of(spec), how_it_runs(spec)
    known = earlier(existing, predicted_names(spec), basis, how)
    jobs = _jobs(spec, asked, known, observations, previous)
    stopped, moved, computed = dict[str, Stopped](), set[str](), 0
    for job, found in zip(jobs, each(model, jobs, progress), strict=True):
        known.predicted.update(found.predicted)
        known.failed.update(found.failed)
        computed += found.computed
        moved |= {job.unit} if found.computed else set()
        if found.stopped is not None:
            stopped[job.unit] = found.stopped
    if stopped and {*stopped} >= {*(spec.named_units or ()), *map(str, ukf_state["unit"].unique())}:
        raise next(iter(stopped.values())).error
    before = None if existing is None else existing.metadata
    failures = failures_metadata(stopped, before, lambda unit: unit not in moved)
    return replace(_result(spec, asked, known, computed, {BASIS: basis, **failures}, {HOW: how}), stopped=stopped)


def _asked(
    spec: TwinSpec,
    model: PredictiveModel,
    ukf_state: pd.DataFrame,
    observations: pd.DataFrame,
    previous: Mapping[str, str] | None,
) -> _Asked:
    inputs = _inputs(spec, ukf_state, observations)
    finite = np.isfinite(inputs).all(axis=1)
    if spec.transient:
        finite &= Ways(spec, model, observations, previous).known(ukf_state)
    known = np.flatnonzero(finite)
    rows = ukf_state.iloc[known]
    return _Asked(
        rows=rows,
        inputs=inputs[known],
        reasons=reasons(spec, ukf_state, inputs, states_of(previous))[known].tolist(),
        digests=[digest[:DIGEST_LENGTH] for digest in rows["digest"]],
    )


def _jobs(
    spec: TwinSpec, asked: _Asked, known: Known, observations: pd.DataFrame, previous: Mapping[str, str] | None
) -> list[PredictionJob]:
    """One for every unit of which something is to be predicted."""
    new = np.array(
        [digest not in known.predicted and digest not in known.failed for digest in asked.digests], dtype=bool
    )
    own = {str(unit): rows for unit, rows in observations.groupby("unit")} if spec.transient and new.any() else {}
    states = states_of(previous) if own else {}
    jobs = []
    for name, places in asked.rows.groupby("unit", sort=False).indices.items():
        unit, due = str(name), np.asarray(places)
        if not new[due].any():
            continue
        if not spec.transient:
            due = due[new[due]]
        jobs.append(
            PredictionJob(
                spec,
                unit,
                asked.rows.iloc[due],
                asked.inputs[due],
                np.flatnonzero(new[due]).tolist(),
                own.get(unit),
                states_metadata({unit: states[unit]}) if unit in states else None,
            )
        )
    return jobs


def _result(
    spec: TwinSpec, asked: _Asked, known: Known, computed: int, metadata: dict[str, str], how: dict[str, str]
) -> ResultTable:
    """The rows of which something is known, and what is told beside them."""
    digests, names = asked.digests, predicted_names(spec)
    said = [i for i, digest in enumerate(digests) if digest in known.predicted]
    still = {digest: known.failed[digest] for digest in digests if digest in known.failed}
    metadata |= {POSTERIORS: "".join(digests[i] for i in said)}
    if still:
        metadata |= {FAILED: json.dumps(still)} | how
    why = [joined(asked.reasons[i], RUNS_FAILED if digests[i] in still else "") for i in said]
    values = in_columns([known.predicted[digests[i]] for i in said])
    frame = _frame(asked.rows.iloc[said], prediction_columns(names), values)
    frame[VALID] = pd.Series([not reason for reason in why], dtype="bool")
    frame[WHY_NOT] = pd.Series(why, dtype="str")
    untried = sum(digest not in known.predicted and digest not in known.failed for digest in digests)
    missing = len(digests) - len(said) - untried
    return ResultTable(
        frame=frame,
        metadata=metadata,
        kept=len(digests) - computed - untried,
        computed=computed,
        degraded=len(still) - missing,
        unpredicted=missing,
    )


def _inputs(spec: TwinSpec, ukf_state: pd.DataFrame, observations: pd.DataFrame) -> Floats:
    """(rows, p) inputs of each posterior; NaN where unknown."""
    names = [part.name for part in spec.inputs]
    told = observations[["unit", "time", *names]]
    joined = ukf_state[["unit", "time"]].merge(told, on=["unit", "time"], how="left", validate="one_to_one")
    return joined[names].to_numpy(dtype=np.float64)


def _frame(rows: pd.DataFrame, columns: list[str], values: Floats) -> pd.DataFrame:
    """Unit and time of some rows beside columns of numbers."""
    numbers = pd.DataFrame(values.reshape(len(rows), len(columns)), columns=columns, index=rows.index)
    return pd.concat([rows[["unit", "time"]], numbers], axis=1).reset_index(drop=True)
