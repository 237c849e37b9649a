"""ukf_state: the filter, every observation exactly once; each window starts from the final state of the one before."""

from collections.abc import Mapping

import dagster as dg
import numpy as np
import pandas as pd

from twin_assets.assets.fmu import FMU
from twin_assets.assets.metadata import numbers, stopped_units
from twin_assets.assets.windowed import ITSELF_BEFORE, Made, Steps, Tables, windowed_asset
from twin_assets.estimation import Gaussian
from twin_assets.estimation.suspects import SUSPECT
from twin_assets.models import Models
from twin_assets.resources import Workbench
from twin_assets.simulation import REPLAY
from twin_assets.spec import TwinSpec
from twin_assets.spec_file import Twin
from twin_assets.stages import OBSERVATIONS, UKF_STATE
from twin_assets.stages.history import NO_HISTORY
from twin_assets.stages.identifiability import told_in_window
from twin_assets.stages.newcomers import FLEET_PRIOR, described, fleet_prior, rests_on_others
from twin_assets.stages.settings import estimates_noise
from twin_assets.stages.states import UnitState, begun, previous_state, states_of, watermark
from twin_assets.stages.tables import load
from twin_assets.stages.ukf import UkfResult, assimilate
from twin_assets.windows import Window


def ukf_state_asset(twin: Twin) -> dg.AssetsDefinition:
    """Posterior, innovations and NIS of every step."""
    spec = twin.spec

    @windowed_asset(
        twin,
        UKF_STATE,
        deps=[
            dg.AssetKey([spec.name, FMU]),
            dg.AssetKey([spec.name, OBSERVATIONS]),
            dg.AssetDep([spec.name, UKF_STATE], partition_mapping=ITSELF_BEFORE),
        ],
        kinds=frozenset({"numpy", "parquet"}),
        description="Unscented Kalman filter over the FMU: posterior, innovations and NIS of every step. Goes on after"
        " its watermark; late or corrected data is replayed from where it belongs.",
        columns=columns(spec),
    )
    def ukf_state(
        context: dg.AssetExecutionContext,
        bench: dg.ResourceParam[Workbench],
        models: dg.ResourceParam[Models],
    ) -> dg.MaterializeResult[None]:
        tables = Tables(twin, UKF_STATE, bench)
        model = models.of(twin)

        def make(window: Window, steps: Steps) -> Made:
            before_s, previous = model.model_seconds, previous_state(bench.store, spec, window)
            asked: list[str] = []

            def fleet() -> Gaussian | None:
                found = fleet_prior(bench.store, spec, window)
                asked.append(described(found))
                return found

            result = assimilate(
                spec,
                model,
                tables.read(OBSERVATIONS, window),
                fmu_sha256=model.sha256,
                existing=load(bench.store, spec.name, UKF_STATE, window.key),
                previous=previous,
                fleet=fleet,
                progress=steps,
            )
            shown = shown_of(spec, result) | {"model_seconds": model.model_seconds - before_s}
            before, after = states_of(previous), states_of(result.metadata)
            shown |= told_of(spec, result, begun(before, after)) | new_of(before, after)
            beside = {FLEET_PRIOR: asked[0]} if asked and rests_on_others(spec) else {}
            return Made(result.frame, {**result.metadata, **beside}, shown)

        return tables.make(context, make)

    return ukf_state


def shown_of(spec: TwinSpec, result: UkfResult) -> dict[str, object]:
    """The filter's health in numbers."""
    frame, reached = result.frame, watermark(result.metadata)
    reasons = frame[[f"{part.name}_reason" for part in spec.measurements]].to_numpy(dtype=object)
    gated, used = int((reasons == "gated").sum()), int((reasons == "").sum())
    dof = float(frame["dof"].sum())
    found: dict[str, object] = {
        "assimilated_now": result.assimilated,
        "kept": result.kept,
        "model_runs": result.model_runs,
        "reused_updates": int((frame["method"] == "reused").sum()),
        "iterated_updates": int((frame["method"] == "iterated").sum()),
        "failed_runs": int(frame["failed_runs"].sum()),
        "degraded_updates": int(((frame["failed_runs"] > 0) & (reasons != "model").all(axis=1)).sum()),
        "unanswered_updates": int((reasons == "model").any(axis=1).sum()),
        "gated": gated,
        "suspect": int(np.isin(reasons, list(SUSPECT.values())).sum()),
    }
    found |= numbers({"gated_fraction": gated / max(gated + used, 1)})
    found |= numbers({"nis_per_dof": float(frame["nis"].sum()) / dof}) if dof else {}
    if spec.transient:
        found["restart"] = REPLAY
        found["without_history"] = int((reasons == NO_HISTORY).sum())
        found["carried_updates"] = int((frame["method"] == "carried").sum())
    found |= stopped_units(result.stopped)
    return found | _noise_found(spec, frame) | _drift_found(spec, frame) | _watermark(reached)


def _noise_found(spec: TwinSpec, frame: pd.DataFrame) -> dict[str, object]:
    """Noise that was estimated, at the end of the window, for every unit."""
    if frame.empty:
        return {}
    last = frame.groupby("unit", sort=False).last()
    found = [
        f"{unit} {name}: {last.loc[unit, f'{name}_noise_std']:.3g}"
        for unit in last.index
        for name in estimates_noise(spec)
        if pd.notna(last.loc[unit, f"{name}_noise_std"])
    ]
    return {"estimated_noise_std": "; ".join(found)} if found else {}


def _drift_found(spec: TwinSpec, frame: pd.DataFrame) -> dict[str, object]:
    """The factors on the drift at the end of the window, for every unit."""
    if frame.empty or not spec.filter.adaptive_drift:
        return {}
    last = frame.groupby("unit", sort=False).last()
    found = [
        f"{unit} {part.name}: {last.loc[unit, f'{part.name}_drift_factor']:.3g}"
        for unit in last.index
        for part in spec.coefficients
    ]
    return {"drift_factors": "; ".join(found)}


def told_of(spec: TwinSpec, result: UkfResult, before: Mapping[str, UnitState]) -> dict[str, object]:
    """What the window's observations told least: how many tell as much as the prior does; and what they do not tell."""
    told = told_in_window(spec, result.frame, before)
    lacking = [f"{unit}: {each.combination}" for unit, found in told.items() for each in found.untold]
    found: dict[str, object] = {"not_told": "; ".join(lacking)} if lacking else {}
    most = max((each.observations_to_tell for each in told.values()), default=np.inf)
    return found | numbers({"observations_to_tell": most})


def new_of(before: Mapping[str, UnitState], after: Mapping[str, UnitState]) -> dict[str, object]:
    """Units that started in the window, and what they started from."""
    new = [unit for unit in after if unit not in before]
    of_fleet = [unit for unit in new if after[unit].origin is not None]
    found: dict[str, object] = {"new_units": ", ".join(new)} if new else {}
    return found | ({"started_from_fleet": ", ".join(of_fleet)} if of_fleet else {})


def _watermark(reached: pd.Timestamp | None) -> dict[str, object]:
    return {} if reached is None else {"watermark": dg.MetadataValue.timestamp(reached.timestamp())}


def columns(spec: TwinSpec) -> list[tuple[str, str, str]]:
    """The table's columns."""
    found = [
        ("unit", "string", "machine"),
        ("time", "timestamp", "UTC, nanoseconds"),
        ("state_mean", "list<double>", "posterior mean of the n coefficients, in the filter's unbounded space"),
        ("state_cov", "list<double>", "posterior covariance, n x n by rows"),
        ("state_root", "list<double>", "its root, with root root^T = covariance: what the next step goes on from"),
    ]
    for part in spec.measurements:
        found += [
            (f"{part.name}_innovation", "double", "measured minus predicted"),
            (f"{part.name}_innovation_std", "double", "what the filter expected of it"),
            (f"{part.name}_reason", "string", "empty if used, or why not; suspect: left out by the diagnosis"),
        ]
        if part.noise_std is None:
            found.append((f"{part.name}_noise_std", "double", "measurement noise, estimated so far"))
    if estimates_noise(spec):
        found.append(("noise", "list<double>", "mean and standard deviation of the logarithm of its variance"))
    if any(part.noise_std is not None for part in spec.inputs):
        found.append(("inputs_mean", "list<double>", "what the inputs that have errors were believed to be"))
        found.append(("inputs_root", "list<double>", "their rows of the covariance's root, the states' before them"))
    if spec.filter.diagnosis:
        found += [
            ("diagnosis", "string", "what explains the recent innovations best; empty where all is well"),
            ("suspicion", "string", "all that it is concluded from, exact; where a filter may go on from this row"),
        ]
    if spec.filter.adaptive_drift:
        found += [
            (f"{part.name}_drift_factor", "double", "drift that the next step works with, over the one in twin.yaml")
            for part in spec.coefficients
        ]
        found.append(("drift", "list<double>", "logarithm of each drift, its precision, slopes of mean and variance"))
    return [
        *found,
        ("nis", "double", "normalised innovation squared"),
        ("dof", "int", "measurements used"),
        (
            "method",
            "string",
            "ukf, reused (slopes found before), carried (points drawn before), iterated or prediction",
        ),
        ("model_runs", "int", "evaluations of the model"),
        (
            "failed_runs",
            "int",
            "how many of them failed twice: the update, if there is one, did without them and is degraded",
        ),
        ("failures", "string", "coefficients and reasons of those that failed"),
        ("digest", "string", "running hash over all that led to this row"),
    ]
