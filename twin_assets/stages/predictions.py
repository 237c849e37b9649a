"""What the calibrated model predicts at each posterior: computed once, and kept while nothing else would come of it.

Belongs here: the predictions of single rows, and which of them an existing table already holds. Their table is
``results``' business.
"""

import hashlib
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from twin_assets.estimation import Coefficients, Predictions, UnpredictableError, predict_outputs
from twin_assets.model import FailedRow, Floats, PredictiveModel
from twin_assets.spec import TwinSpec
from twin_assets.spec_names import PREDICTED
from twin_assets.stages.joint import joint_of_row
from twin_assets.stages.replay import READS
from twin_assets.stages.settings import coefficients_of, settings_of
from twin_assets.stages.states import posterior_of_row
from twin_assets.stages.tables import Table, located

BASIS = "basis"
POSTERIORS = "posteriors"
FAILED = "failed"
"""Metadata: posterior -> unit, time, coefficients and reasons of model runs that failed for its prediction, as JSON."""
HOW = "how_it_ran"
# Of a posterior's digest: what tells two rows of one window apart (64 bits) without doubling the file.
DIGEST_LENGTH = 16

STATISTICS = ("", "_std", "_lower", "_upper")
"""Suffixes of the columns of an estimate."""
PARTS = ("_std_coefficients", "_std_inputs", "_std_discrepancy")
"""Suffixes of the parts of its standard deviation: see ``estimation.Predictions``."""


@dataclass(frozen=True)
class Known:
    """Predictions by the digest of the posterior that they were made from.

    Attributes:
        predicted: (q, 7) of the quantities of ``predicted_names``: ``STATISTICS``, then ``PARTS``.
        failed: where model runs failed, for people; those that are not predicted could not be.
    """

    predicted: dict[str, Floats]
    failed: dict[str, str]


def predicted_names(spec: TwinSpec) -> tuple[str, ...]:
    """Quantities of the virtual_sensors table: the virtual sensors, then ``<measurement>_predicted``."""
    virtual = tuple(part.name for part in spec.virtual_sensors)
    return virtual + tuple(part.name + PREDICTED for part in spec.measurements)


def prediction_columns(names: tuple[str, ...]) -> list[str]:
    """The columns of quantities: all estimates, then all parts."""
    return [name + suffix for suffixes in (STATISTICS, PARTS) for name, suffix in itertools.product(names, suffixes)]


def parts_of(frame: pd.DataFrame) -> list[str]:
    """The columns of parts that a table of predictions has."""
    stems = (name for name in frame.columns if f"{name}{PARTS[0]}" in frame)
    return [stem + part for stem in stems for part in PARTS]


def unstated(frame: pd.DataFrame) -> list[str]:
    """The columns of parts that may be stated or not."""
    return [name for name in parts_of(frame) if name.endswith(PARTS[-1])]


def in_columns(predicted: list[Floats]) -> Floats:
    """(rows, 7 q) values (q, 7) of each row, in the order of ``prediction_columns``."""
    count = len(STATISTICS)
    rows = [np.concatenate([each[:, :count].ravel(), each[:, count:].ravel()]) for each in predicted]
    return np.array(rows, dtype=np.float64)


def basis_of(spec: TwinSpec) -> str:
    """Fingerprint of what decides about a prediction beside the posterior, whose digest covers model and inputs."""
    said: list[object] = ["parts", predicted_names(spec), [part.discrepancy_std for part in spec.virtual_sensors]]
    said += [READS] if spec.transient else []
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def earlier(existing: Table | None, names: tuple[str, ...], basis: str, how: str) -> Known:
    """What an existing table says.

    A model that is run as before would fail there again; run in another way it may not.

    Args:
        existing: the window's table as it was.
        names: of the quantities.
        basis: as ``basis_of`` says it; what rests on another one is of no use.
        how: hex hash of how the model is run.
    """
    if existing is None or existing.metadata.get(BASIS) != basis:
        return Known({}, {})
    text = existing.metadata[POSTERIORS]
    digests = [text[i : i + DIGEST_LENGTH] for i in range(0, len(text), DIGEST_LENGTH)]
    frame, q, count = existing.frame, len(names), len(digests)
    estimates, parts = (
        frame[[name + suffix for name, suffix in itertools.product(names, suffixes)]]
        .to_numpy(dtype=np.float64)
        .reshape(count, q, len(suffixes))
        for suffixes in (STATISTICS, PARTS)
    )
    values = dict(zip(digests, np.concatenate([estimates, parts], axis=2), strict=True))
    failed: dict[str, str] = json.loads(existing.metadata.get(FAILED, "{}"))
    if existing.metadata.get(HOW, how) == how:
        return Known(values, failed)
    return Known({digest: found for digest, found in values.items() if digest not in failed}, {})


def failed_predictions(metadata: Mapping[str, str] | None) -> tuple[str, ...]:
    """Where model runs failed for a window's predictions, for people: unit, time, coefficients, reasons."""
    return tuple(json.loads((metadata or {}).get(FAILED, "{}")).values())


class Predictor:
    """Predicts rows of the ukf_state table.

    Args:
        spec: names of measurements and virtual sensors, what inputs are off by and by how much the plant differs.
    """

    def __init__(self, spec: TwinSpec) -> None:
        self._coefficients: Coefficients = coefficients_of(spec)
        self._input_std = settings_of(spec).input_std
        self._measured = len(spec.measurements)
        # Of what is measured nobody states it: that is for data to say (``misfit``).
        stated = [part.discrepancy_std for part in spec.virtual_sensors]
        self._discrepancy = np.array([*[None] * self._measured, *stated], dtype=np.float64)

    def __call__(
        self, model: PredictiveModel, row: "pd.Series[Any]", inputs: Floats
    ) -> tuple[Floats | None, tuple[FailedRow, ...]]:
        """(q, 7) values as in ``Known``, or None where too little of the model can be run; and what failed.

        Raises:
            EvaluationError: if the model does not start, or cannot tell where it fails; names the unit and the time.
        """
        believed = joint_of_row(row, posterior_of_row(row))
        with located(str(row["unit"]), pd.Timestamp(str(row["time"])).value):
            try:
                found = predict_outputs(believed, inputs, model, self._coefficients, self._input_std)
            except UnpredictableError as error:
                return None, error.failures
        table = _stacked(found.differing(self._discrepancy))
        return np.concatenate([table[self._measured :], table[: self._measured]]), found.failures


def _stacked(found: Predictions) -> Floats:
    """(m, 7) of the model's outputs."""
    estimates = (found.mean, found.std, found.lower, found.upper)
    parts = (found.std_coefficients, found.std_inputs, found.std_discrepancy)
    return np.stack([*estimates, *parts], axis=1)
