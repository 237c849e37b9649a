"""ukf_state: the filter over one window, every observation exactly once.

Each row carries a running digest over all that led to it: spec, FMU, the state that the window started from, every
observation so far. Rows of an earlier materialization with the digests that are due now are the rows that would be
computed again, for the model and the filter are pure; they are kept as they are, and the filter goes on after them. So
new data continues after the watermark, and late or corrected data, another spec or FMU replays what they touch, and no
more: units do not know each other, rows before the change stay.

Where runs of the model failed, the digest also covers what came of the row, and how the model is run (time-out,
isolation, when processes are replaced). So it stays as it is, whatever a second try would bring; but whoever changes
how the model is run has it tried again, and what follows from it is computed again, in later windows, too.

Units are filtered side by side where the model can be had several times (``units``). One that cannot be gone on with
(its model fails and cannot tell where, the process that works on it dies) keeps its rows up to there, and the table
says why; the others go on. The next time it goes on from where it stopped, and comes to what it would have been.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twin_assets.estimation import Gaussian
from twin_assets.model import PredictiveModel
from twin_assets.spec import TwinSpec
from twin_assets.stages.fingerprint import FINGERPRINT, fingerprint
from twin_assets.stages.settings import coefficients_of
from twin_assets.stages.states import start_state, states_metadata, states_of
from twin_assets.stages.tables import Progress, Table, no_progress
from twin_assets.stages.ukf_rows import state_frame, up_to_date
from twin_assets.stages.unit_filter import UnitJob, UnitRun
from twin_assets.stages.units import Stopped, each, failures_metadata


@dataclass(frozen=True)
class UkfResult:
    """The filter's table of one window.

    Attributes:
        frame: the ukf_state table.
        metadata: to be written beside it: the final state of every unit, exact.
        kept: rows taken over from the existing table.
        assimilated: rows computed now.
        model_runs: model evaluations of the rows computed now.
        stopped: units that could not be gone on with.
    """

    frame: pd.DataFrame
    metadata: Mapping[str, str]
    kept: int
    assimilated: int
    model_runs: int
    stopped: Mapping[str, Stopped] = field(default_factory=dict)


def assimilate(
    spec: TwinSpec,
    model: PredictiveModel,
    observations: pd.DataFrame,
    *,
    fmu_sha256: str,
    existing: Table | None = None,
    previous: Mapping[str, str] | None = None,
    fleet: Callable[[], Gaussian | None] = lambda: None,
    progress: Progress = no_progress,
) -> UkfResult:
    """Filter the observations of one window; rows that an existing table already holds are kept as they are.

    Args:
        spec: coefficients, measurements, inputs, checks.
        model: its coefficients, inputs and first outputs are named as the spec's, in order; a ``TransientModel`` in
            transient mode.
        observations: of all units, as ``observe`` gives them.
        fmu_sha256: identifies the model.
        existing: this window's table as it was materialized before.
        previous: metadata of the ukf_state table that the window starts from (``states.previous_state``); without it,
            and for units that it does not know, the filter starts from the prior.
        fleet: asked for that prior if there are such units; None is twin.yaml's own.
        progress: called after every step.

    Returns:
        unit, time, state_mean (n,), state_cov and state_root (n*n,), for each measurement ``_innovation``,
        ``_innovation_std`` and ``_reason`` ("" used, "gated", the observation's reason, "input" where an input was
        unknown, "history" where those of the recent past were, "model" where the model could not be run, or of a sensor
        that is left out "suspect: bias", "suspect: stuck", "suspect: noisy", "suspect: dead"), nis, dof, method,
        model_runs, failed_runs and failures (runs that failed twice), digest; where noise is estimated ``_noise_std``
        and noise (k, 2) of the k channels met so far, in the spec's order; where drift is adapted ``_drift_factor`` of
        each coefficient and drift (n, 4); where sensors are watched diagnosis (for people, "" where all is well) and
        suspicion (exact, "" in most rows); in the order of the observations. A window without observations hands the
        states on.

    Raises:
        EvaluationError: if the model does not start, or if none of the twin's units can be gone on with, as where it
            has one; names the unit and the time.
    """
    before, coefficients = states_of(previous), coefficients_of(spec)
    own = {str(unit): rows for unit, rows in observations.groupby("unit", sort=False)}
    newcomers = fleet() if any(unit not in before for unit in own) else None
    starts = before | {unit: start_state(unit, before, coefficients, newcomers) for unit in own}
    old = Table(state_frame(spec, []), {}) if existing is None else Table(up_to_date(existing.frame), existing.metadata)
    places = {str(unit): np.asarray(at) for unit, at in old.frame.groupby("unit", sort=False).indices.items()}
    handed_on = states_of(old.metadata)
    jobs = [
        UnitJob(
            spec,
            fmu_sha256,
            unit,
            starts[unit],
            own[unit],
            old.frame.iloc[places[unit]] if unit in places else None,
            handed_on.get(unit),
        )
        for unit in own
    ]
    runs = dict(zip(own, each(model, jobs, progress), strict=True))
    stopped = {unit: run.stopped for unit, run in runs.items() if run.stopped is not None}
    if stopped and {*stopped} >= {*(spec.named_units or ()), *starts}:
        raise next(iter(stopped.values())).error
    ends = {unit: run.end for unit, run in runs.items()}
    failures = failures_metadata(
        stopped, old.metadata, lambda unit: unit in handed_on and handed_on[unit].digest == ends[unit].digest
    )
    kept = sum(run.kept for run in runs.values())
    new = state_frame(spec, [row for run in runs.values() for row in run.records])
    return UkfResult(
        frame=_joined(old.frame, places, runs, new),
        metadata={**states_metadata(starts | ends), FINGERPRINT: fingerprint(spec, fmu_sha256), **failures},
        kept=kept,
        assimilated=len(new),
        model_runs=int(new["model_runs"].sum()),
        stopped=stopped,
    )


def _joined(
    old: pd.DataFrame, places: Mapping[str, NDArray[np.intp]], runs: Mapping[str, UnitRun], new: pd.DataFrame
) -> pd.DataFrame:
    """Unit by unit, the rows that are kept, then those that were computed."""
    stay = [places[unit][: run.kept] for unit, run in runs.items() if run.kept]
    kept = old.iloc[np.concatenate(stay)] if stay else old.iloc[:0]
    if kept.empty or new.empty:
        return (new if kept.empty else kept).reset_index(drop=True)
    counts = np.array([(run.kept, len(run.records)) for run in runs.values()])
    whose = [np.repeat(np.arange(len(runs)), counts[:, i]) for i in range(2)]
    order = np.argsort(np.concatenate(whose), kind="stable")
    return pd.concat([kept, new], ignore_index=True).iloc[order].reset_index(drop=True)
