"""calibrated_coefficients and virtual_sensors: posteriors in physical units, and what the calibrated model predicts."""

import hashlib
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from twin_assets.estimation import Marginals, coefficient_marginals, predict_outputs
from twin_assets.model import Floats, PredictiveModel
from twin_assets.spec import TwinSpec
from twin_assets.spec_names import PREDICTED
from twin_assets.stages.settings import coefficients_of
from twin_assets.stages.states import posterior_of_row
from twin_assets.stages.tables import Progress, Table, located, no_progress

BASIS = "basis"
POSTERIORS = "posteriors"
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
    """

    frame: pd.DataFrame
    metadata: Mapping[str, str]
    kept: int
    computed: int


def coefficients_table(spec: TwinSpec, ukf_state: pd.DataFrame) -> pd.DataFrame:
    """unit, time, and for each coefficient c: ``c``, ``c_std``, ``c_lower``, ``c_upper`` (95 %), physical units."""
    coefficients = coefficients_of(spec)
    marginals = [coefficient_marginals(posterior_of_row(row), coefficients) for _, row in ukf_state.iterrows()]
    return _frame(ukf_state, coefficients.names, _stacked(marginals, len(coefficients.names)))


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
    progress: Progress = no_progress,
) -> ResultTable:
    """Predictions of the calibrated model: a row per ukf_state row whose inputs are known.

    Where an input is unknown the model says nothing: there is no row.

    Args:
        spec: names of measurements, virtual sensors, inputs.
        model: its outputs are the measurements, then the virtual sensors.
        ukf_state: posteriors, as ``assimilate`` gives them.
        observations: of the same window; they hold the inputs.
        existing: this window's table as it was materialized before; its rows from the same posteriors are kept.
        progress: called after every row computed.

    Returns:
        unit, time, and for each of ``predicted_names`` x: ``x``, ``x_std``, ``x_lower``, ``x_upper`` (95 %).

    Raises:
        EvaluationError: if the model fails; names the unit and the time.
    """
    inputs = _inputs(spec, ukf_state, observations)
    known = np.flatnonzero(np.isfinite(inputs).all(axis=1))
    rows, inputs = ukf_state.iloc[known], inputs[known]
    digests = [digest[:DIGEST_LENGTH] for digest in rows["digest"]]
    basis = _basis(spec)
    earlier = _earlier(existing, basis)
    new = [i for i, digest in enumerate(digests) if digest not in earlier]
    values = np.full((len(rows), len(predicted_names(spec)), 4), np.nan)
    for i, digest in enumerate(digests):
        values[i] = earlier.get(digest, np.nan)
    for done, i in enumerate(new, start=1):
        values[i] = _predicted(spec, model, rows.iloc[i], inputs[i])
        progress(done, len(new))
    metadata = {BASIS: basis, POSTERIORS: "".join(digests)}
    return ResultTable(_frame(rows, predicted_names(spec), values), metadata, len(rows) - len(new), len(new))


def _predicted(spec: TwinSpec, model: PredictiveModel, row: "pd.Series[Any]", inputs: Floats) -> Floats:
    """(q, 4) mean, std, lower, upper of the quantities of ``predicted_names``."""
    with located(str(row["unit"]), pd.Timestamp(str(row["time"])).value):
        marginals = predict_outputs(posterior_of_row(row), inputs, model, coefficients_of(spec))
    table = _stacked([marginals], len(model.outputs))[0]
    m = len(spec.measurements)
    return np.concatenate([table[m:], table[:m]])


def _inputs(spec: TwinSpec, ukf_state: pd.DataFrame, observations: pd.DataFrame) -> Floats:
    """(rows, p) inputs of each posterior; NaN where unknown."""
    names = [part.name for part in spec.inputs]
    told = observations[["unit", "time", *names]]
    joined = ukf_state[["unit", "time"]].merge(told, on=["unit", "time"], how="left", validate="one_to_one")
    return joined[names].to_numpy(dtype=np.float64)


def _basis(spec: TwinSpec) -> str:
    """Fingerprint of what decides about a prediction beside the posterior, whose digest covers model and inputs."""
    return hashlib.sha256(json.dumps(predicted_names(spec)).encode()).hexdigest()


def _earlier(existing: Table | None, basis: str) -> dict[str, Floats]:
    """(q, 4) predictions of an existing table by the posterior that they came from."""
    if existing is None or existing.metadata.get(BASIS) != basis or existing.frame.empty:
        return {}
    text = existing.metadata[POSTERIORS]
    digests = [text[i : i + DIGEST_LENGTH] for i in range(0, len(text), DIGEST_LENGTH)]
    values = existing.frame.drop(columns=["unit", "time"]).to_numpy(dtype=np.float64)
    return dict(zip(digests, values.reshape(len(digests), -1, 4), strict=True))


def _stacked(marginals: list[Marginals], size: int) -> Floats:
    """(rows, q, 4): mean, std, lower, upper."""
    table = [np.stack([each.mean, each.std, each.lower, each.upper], axis=1) for each in marginals]
    return np.array(table, dtype=np.float64).reshape(len(marginals), size, 4)


def _frame(rows: pd.DataFrame, names: tuple[str, ...], values: Floats) -> pd.DataFrame:
    """Unit and time of some rows beside four columns for each name."""
    columns = [name + suffix for name, suffix in itertools.product(names, ("", "_std", "_lower", "_upper"))]
    numbers = pd.DataFrame(values.reshape(len(rows), len(columns)), columns=columns, index=rows.index)
    return pd.concat([rows[["unit", "time"]], numbers], axis=1).reset_index(drop=True)
