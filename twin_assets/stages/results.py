"""calibrated_coefficients and virtual_sensors: posteriors in physical units, and what the calibrated model predicts."""

import hashlib
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from twin_assets.estimation import Marginals, UnpredictableError, coefficient_marginals, predict_outputs
from twin_assets.model import FailedRow, Floats, PredictiveModel, told
from twin_assets.spec import TwinSpec
from twin_assets.spec_names import PREDICTED
from twin_assets.stages.replay import Ways
from twin_assets.stages.settings import coefficients_of, how_it_runs
from twin_assets.stages.states import posterior_of_row
from twin_assets.stages.tables import Progress, Table, located, no_progress

BASIS = "basis"
POSTERIORS = "posteriors"
FAILED = "failed"
"""Metadata: posterior -> unit, time, coefficients and reasons of model runs that failed for its prediction, as JSON."""
HOW = "how_it_ran"
# Of a posterior's digest: what tells two rows of one window apart (64 bits) without doubling the file.
DIGEST_LENGTH = 16


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
    """

    frame: pd.DataFrame
    metadata: Mapping[str, str]
    kept: int
    computed: int
    degraded: int
    unpredicted: int


def coefficients_table(spec: TwinSpec, ukf_state: pd.DataFrame) -> pd.DataFrame:
    """unit, time, and for each coefficient c: ``c``, ``c_std``, ``c_lower``, ``c_upper`` (95 %), physical units."""
    coefficients = coefficients_of(spec)
    marginals = [coefficient_marginals(posterior_of_row(row), coefficients) for _, row in ukf_state.iterrows()]
    return estimates_frame(ukf_state, coefficients.names, marginals)


def estimates_frame(rows: pd.DataFrame, names: tuple[str, ...], marginals: list[Marginals]) -> pd.DataFrame:
    """Unit and time of some rows, and what is known of each name there: one of ``marginals`` a row, in their order."""
    return _frame(rows, names, _stacked(marginals, len(names)))


def predicted_names(spec: TwinSpec) -> tuple[str, ...]:
    """Quantities of the virtual_sensors table: the virtual sensors, then ``<measurement>_predicted``."""
    virtual = tuple(part.name for part in spec.virtual_sensors)
    return virtual + tuple(part.name + PREDICTED for part in spec.measurements)


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
        previous: metadata of the ukf_state table that the window started from: in transient mode it holds the inputs
            before the window.
        progress: called after every row computed.

    Returns:
        unit, time, and for each of ``predicted_names`` x: ``x``, ``x_std``, ``x_lower``, ``x_upper`` (95 %).

    Raises:
        EvaluationError: if the model does not start, or cannot tell where it fails; names the unit and the time.
    """
    inputs = _inputs(spec, ukf_state, observations)
    ways = Ways(spec, model, observations, previous) if spec.transient else None
    finite = np.isfinite(inputs).all(axis=1)
    known = np.flatnonzero(finite if ways is None else finite & ways.known(ukf_state))
    rows, inputs = ukf_state.iloc[known], inputs[known]
    digests = [digest[:DIGEST_LENGTH] for digest in rows["digest"]]
    basis, how = _basis(spec), how_it_runs(spec)
    earlier, failed = _earlier(existing, basis, how)
    new = [i for i, digest in enumerate(digests) if digest not in earlier and digest not in failed]
    for done, i in enumerate(new, start=1):
        row = rows.iloc[i]
        prediction, failures = _predicted(spec, model if ways is None else ways.to(row), row, inputs[i])
        if prediction is not None:
            earlier[digests[i]] = prediction
        if failures:
            failed[digests[i]] = f"{row['unit']} at {row['time']}: {told(failures)}"
        progress(done, len(new))
    said = [i for i, digest in enumerate(digests) if digest in earlier]
    still = {digest: failed[digest] for digest in digests if digest in failed}
    metadata = {BASIS: basis, POSTERIORS: "".join(digests[i] for i in said)}
    if still:
        metadata |= {FAILED: json.dumps(still), HOW: how}
    values = np.array([earlier[digests[i]] for i in said]).reshape(len(said), len(predicted_names(spec)), 4)
    missing = len(rows) - len(said)
    return ResultTable(
        frame=_frame(rows.iloc[said], predicted_names(spec), values),
        metadata=metadata,
        kept=len(rows) - len(new),
        computed=len(new),
        degraded=len(still) - missing,
        unpredicted=missing,
    )


def failed_predictions(metadata: Mapping[str, str] | None) -> tuple[str, ...]:
    """Where model runs failed for a window's predictions, for people: unit, time, coefficients, reasons."""
    return tuple(json.loads((metadata or {}).get(FAILED, "{}")).values())


def _predicted(
    spec: TwinSpec, model: PredictiveModel, row: "pd.Series[Any]", inputs: Floats
) -> tuple[Floats | None, tuple[FailedRow, ...]]:
    """(q, 4) mean, std, lower, upper of the quantities of ``predicted_names``, or None; and what failed."""
    with located(str(row["unit"]), pd.Timestamp(str(row["time"])).value):
        try:
            marginals = predict_outputs(posterior_of_row(row), inputs, model, coefficients_of(spec))
        except UnpredictableError as error:
            return None, error.failures
    table = _stacked([marginals], len(model.outputs))[0]
    m = len(spec.measurements)
    return np.concatenate([table[m:], table[:m]]), marginals.failures


def _inputs(spec: TwinSpec, ukf_state: pd.DataFrame, observations: pd.DataFrame) -> Floats:
    """(rows, p) inputs of each posterior; NaN where unknown."""
    names = [part.name for part in spec.inputs]
    told = observations[["unit", "time", *names]]
    joined = ukf_state[["unit", "time"]].merge(told, on=["unit", "time"], how="left", validate="one_to_one")
    return joined[names].to_numpy(dtype=np.float64)


def _basis(spec: TwinSpec) -> str:
    """Fingerprint of what decides about a prediction beside the posterior, whose digest covers model and inputs."""
    return hashlib.sha256(json.dumps(predicted_names(spec)).encode()).hexdigest()


def _earlier(existing: Table | None, basis: str, how: str) -> tuple[dict[str, Floats], dict[str, str]]:
    """What an existing table says, by the posterior: (q, 4) predictions, and what failed.

    A model that is run as before would fail there again; run in another way it may not.
    """
    if existing is None or existing.metadata.get(BASIS) != basis:
        return {}, {}
    text = existing.metadata[POSTERIORS]
    digests = [text[i : i + DIGEST_LENGTH] for i in range(0, len(text), DIGEST_LENGTH)]
    values = existing.frame.drop(columns=["unit", "time"]).to_numpy(dtype=np.float64)
    predictions = dict(zip(digests, values.reshape(len(digests), -1, 4), strict=True)) if digests else {}
    failed: dict[str, str] = json.loads(existing.metadata.get(FAILED, "{}"))
    if existing.metadata.get(HOW, how) == how:
        return predictions, failed
    return {digest: found for digest, found in predictions.items() if digest not in failed}, {}


def _stacked(marginals: list[Marginals], size: int) -> Floats:
    """(rows, q, 4): mean, std, lower, upper."""
    table = [np.stack([each.mean, each.std, each.lower, each.upper], axis=1) for each in marginals]
    return np.array(table, dtype=np.float64).reshape(len(marginals), size, 4)


def _frame(rows: pd.DataFrame, names: tuple[str, ...], values: Floats) -> pd.DataFrame:
    """Unit and time of some rows beside four columns for each name."""
    columns = [name + suffix for name, suffix in itertools.product(names, ("", "_std", "_lower", "_upper"))]
    numbers = pd.DataFrame(values.reshape(len(rows), len(columns)), columns=columns, index=rows.index)
    return pd.concat([rows[["unit", "time"]], numbers], axis=1).reset_index(drop=True)
