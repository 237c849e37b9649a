"""The rows of the filter: what an observation is to it, and what it leaves in the ukf_state table.

Belongs here: from the observations table to values, from steps to the ukf_state table. What is between is ``ukf``'s.
"""

import hashlib
import json
from dataclasses import dataclass

import numpy as np
import pandas as pd

from twin_assets.estimation import Gaussian, Step
from twin_assets.model import Floats, told
from twin_assets.spec import TwinSpec
from twin_assets.stages.joint import joint_columns
from twin_assets.stages.sentences import diagnosed
from twin_assets.stages.settings import coefficients_of, estimates_noise
from twin_assets.stages.suspicions import SUSPICION, described


@dataclass(frozen=True)
class Row:
    """One observation as the filter takes it.

    Attributes:
        time_ns: its time.
        values: (m,) NaN where nothing is to be assimilated.
        reasons: (m,) why not, "" where it is.
        inputs: (p,) NaN where unknown.
    """

    time_ns: int
    values: Floats
    reasons: tuple[str, ...]
    inputs: Floats

    def digest(self, before: bytes) -> bytes:
        """The running digest after this row."""
        running = hashlib.sha256(before)
        running.update(self.time_ns.to_bytes(8, "little", signed=True))
        for array in (self.values, self.inputs):
            # NaN has many bit patterns; adding zero also makes one of both zeros.
            running.update(np.where(np.isnan(array), np.nan, array + 0.0).astype("<f8").tobytes())
        running.update("\0".join(self.reasons).encode())
        return running.digest()


def after_failures(running: bytes, how: str, posterior: Gaussian, learnt: Floats) -> bytes:
    """The running digest after a row of which model runs failed: another time another posterior may come of it.

    Args:
        running: digest after the row as an observation.
        how: how the model was run.
        posterior: what came of it.
        learnt: (2k + 4n,) what was believed of noise and drift then, as the table holds it; what is not estimated is
            not there.
    """
    digest = hashlib.sha256(running + how.encode())
    for array in (posterior.mean, posterior.root, learnt):
        digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
    return digest.digest()


def rows_of(spec: TwinSpec, observations: pd.DataFrame) -> list[Row]:
    """One unit's observations in order."""
    names = [part.name for part in spec.measurements]
    time_ns = pd.DatetimeIndex(observations["time"]).as_unit("ns").asi8
    values = observations[names].to_numpy(dtype=np.float64)
    inputs = observations[[part.name for part in spec.inputs]].to_numpy(dtype=np.float64)
    reasons = observations[[f"{name}_reason" for name in names]].to_numpy(dtype=object)
    blind = np.isnan(inputs).any(axis=1)
    # Without its inputs the model says nothing: whatever was measured then cannot be compared.
    reasons = np.where(blind[:, np.newaxis] & (reasons == ""), "input", reasons)
    values = np.where(blind[:, np.newaxis], np.nan, values)
    return [Row(int(time_ns[i]), values[i], tuple(reasons[i]), inputs[i]) for i in range(len(observations))]


def record(
    spec: TwinSpec, unit: str, row: Row, step: Step, digest: str, *, resumable: bool = False
) -> dict[str, object]:
    """What one step leaves behind, by column; where a filter may go on from this row, with all that it takes."""
    found: dict[str, object] = {
        "unit": unit,
        "time": row.time_ns,
        "state_mean": np.array(step.posterior.mean),
        "state_cov": step.posterior.cov.reshape(-1),
        "state_root": step.posterior.root.reshape(-1),
    }
    for i, part in enumerate(spec.measurements):
        found[f"{part.name}_innovation"] = step.innovation[i]
        found[f"{part.name}_innovation_std"] = step.innovation_std[i]
        found[f"{part.name}_reason"] = row.reasons[i] or step.reasons[i]
    return (
        found
        | _noise(spec, step)
        | joint_columns(step, known=bool(np.isfinite(row.inputs).all()))
        | _suspicion(spec, step, resumable=resumable or bool(step.failures))
        | _drift(spec, step)
        | {
            "nis": step.nis,
            "dof": step.dof,
            "method": step.method,
            "model_runs": step.model_runs,
            "failed_runs": len(step.failures),
            "failures": told(step.failures),
            "digest": digest,
        }
    )


def believed_noise(spec: TwinSpec, step: Step) -> Floats:
    """(2k,) mean and standard deviation of log variance, of each of k channels; NaN before its first value."""
    names = estimates_noise(spec)
    beliefs = np.full((len(names), 2), np.nan)
    if step.noise is not None:
        places = [names.index(name) for name in step.noise.channels]
        beliefs[places] = np.column_stack([step.noise.log_mean, step.noise.log_std])
    return beliefs.reshape(-1)


def _noise(spec: TwinSpec, step: Step) -> dict[str, object]:
    """What is believed of noise that is estimated: for people, and for the next step."""
    names = estimates_noise(spec)
    if step.noise is None or not names:
        return {}
    std = dict.fromkeys(names, np.nan) | dict(zip(step.noise.channels, step.noise.std.tolist(), strict=True))
    return {f"{name}_noise_std": std[name] for name in names} | {"noise": believed_noise(spec, step)}


def _suspicion(spec: TwinSpec, step: Step, *, resumable: bool) -> dict[str, object]:
    """What is thought of the sensors: for people, and for who goes on from here."""
    if not spec.filter.diagnosis:
        return {}
    exact = json.dumps(described(step.suspicion)) if resumable and step.suspicion is not None else ""
    return {"diagnosis": diagnosed(spec, step.suspicion), SUSPICION: exact}


def believed(spec: TwinSpec, step: Step) -> Floats:
    """(2k + 4n,) all that a row holds of what is estimated beside the coefficients."""
    return np.concatenate([believed_noise(spec, step) if step.noise is not None else np.empty(0), _pace(step)])


def _pace(step: Step) -> Floats:
    """(4n,) of each of n coefficients logarithm of the drift, its precision, slopes of mean and variance by it."""
    pace = step.pace
    if pace is None:
        return np.empty(0)
    return np.column_stack([pace.log_drift, pace.precision, pace.mean_slope, pace.var_slope]).reshape(-1)


def _drift(spec: TwinSpec, step: Step) -> dict[str, object]:
    """What is believed of drift that is adapted: for people, and for the next step."""
    if step.pace is None:
        return {}
    coefficients = coefficients_of(spec)
    factors = step.pace.factor(coefficients).tolist()
    readable = {f"{name}_drift_factor": value for name, value in zip(coefficients.names, factors, strict=True)}
    return readable | {"drift": _pace(step)}


def state_frame(spec: TwinSpec, records: list[dict[str, object]]) -> pd.DataFrame:
    """The ukf_state table of some rows, with its columns and their types also where there are none."""
    types = {"unit": "str", "time": "int64", "state_mean": "object", "state_cov": "object", "state_root": "object"}
    for part in spec.measurements:
        types |= {f"{part.name}_innovation": "float64", f"{part.name}_innovation_std": "float64"}
        types[f"{part.name}_reason"] = "str"
        if part.noise_std is None:
            types[f"{part.name}_noise_std"] = "float64"
    if estimates_noise(spec):
        types["noise"] = "object"
    if any(part.noise_std is not None for part in spec.inputs):
        types |= {"inputs_mean": "object", "inputs_root": "object"}
    if spec.filter.diagnosis:
        types |= {"diagnosis": "str", SUSPICION: "str"}
    if spec.filter.adaptive_drift:
        types |= {f"{part.name}_drift_factor": "float64" for part in spec.coefficients} | {"drift": "object"}
    types |= {"nis": "float64", "dof": "int64", "method": "str", "model_runs": "int64"}
    types |= {"failed_runs": "int64", "failures": "str", "digest": "str"}
    frame = pd.DataFrame({name: pd.Series([row[name] for row in records], dtype=types[name]) for name in types})
    frame["time"] = pd.to_datetime(frame["time"], utc=True, unit="ns")
    return frame


def up_to_date(ukf_state: pd.DataFrame) -> pd.DataFrame:
    """A ukf_state table with the columns that earlier versions did not write: then any failed run was an error."""
    if "failed_runs" in ukf_state:
        return ukf_state
    columns = [name for name in ukf_state.columns if name != "digest"]
    return ukf_state.assign(failed_runs=0, failures="")[[*columns, "failed_runs", "failures", "digest"]]
