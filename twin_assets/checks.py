"""Asset checks: what must hold before anything is published.

The verdicts are pure functions (``stages.verdicts``); here they meet Dagster. Two gates, one judge:

* The **blocking checks** stand between the results and ``published``. One step judges every window of the run and tells
  each check's verdict, with the windows that it refuses and why. If *every* window is refused the failed checks have
  severity ERROR, which keeps ``published`` from starting. If only some are, their severity is WARN, for an ERROR would
  keep the good windows from the historian as well; the checks show as failed all the same.
* ``published`` itself asks the same judge for every window, publishes those that pass, and fails naming the others. So
  a run that covers good windows and bad ones publishes the good ones and shows as failed; and ``published``
  materialized by hand, without the checks, refuses what the checks refuse.

**A unit's trouble is its own.** Where a check refuses only some units of a window, the others' results are published.
The check fails, with severity WARN, and names them; the window is materialized, with their number; the run succeeds,
for it did all that could be done, and in a fleet somebody's sensor is always broken: a run that fails is one that left
a window without results. `twin run` tells of both, and ends with exit code 1.

What is refused is remembered in the store (stage ``refused``) with its verdicts, so that it is not tried again until
its data or the checks change; or until the window is over, where all that refused it was that it is live and stale.
What it had published before it was refused is withdrawn from the historian.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import dagster as dg
import pandas as pd

from twin_assets.errors import TwinError
from twin_assets.historian import Historian
from twin_assets.resources import Workbench, mended_by_users
from twin_assets.spec import TwinSpec
from twin_assets.spec_file import Twin
from twin_assets.stages import (
    CALIBRATED_COEFFICIENTS,
    OBSERVATIONS,
    TELEMETRY,
    UKF_STATE,
    VIRTUAL_SENSORS,
)
from twin_assets.stages.answers import model_answers
from twin_assets.stages.diagnosis import diagnosis
from twin_assets.stages.predictions import failed_predictions
from twin_assets.stages.publish import refuse_window
from twin_assets.stages.refusals import Refusal
from twin_assets.stages.states import start_states
from twin_assets.stages.telemetry import read_units
from twin_assets.stages.units import failed_units
from twin_assets.stages.verdicts import (
    Verdict,
    finite,
    freshness,
    identifiability,
    innovation_consistency,
    measured_enough,
    off_bounds,
)
from twin_assets.store import Store
from twin_assets.windows import Window, WindowGrid

INNOVATION_CONSISTENCY = "innovation_consistency"
MEASURED_ENOUGH = "measured_enough"
OFF_BOUNDS = "off_bounds"
IDENTIFIABILITY = "identifiability"
FRESHNESS = "freshness"
FINITE = "finite"
MODEL_ANSWERS = "model_answers"
DIAGNOSIS = "diagnosis"

CHECKS: Mapping[str, tuple[str, str]] = {
    INNOVATION_CONSISTENCY: (CALIBRATED_COEFFICIENTS, "Innovations are as large as the filter claims them to be."),
    MEASURED_ENOUGH: (CALIBRATED_COEFFICIENTS, "The gate did not throw away too much of what was measured."),
    OFF_BOUNDS: (CALIBRATED_COEFFICIENTS, "No coefficient is squeezed onto a bound where it does not belong."),
    IDENTIFIABILITY: (CALIBRATED_COEFFICIENTS, "What was measured tells the coefficients apart; if not, that is told."),
    FRESHNESS: (CALIBRATED_COEFFICIENTS, "The newest observation of the live window is young enough."),
    FINITE: (VIRTUAL_SENSORS, "Every number to be published is one."),
    MODEL_ANSWERS: (CALIBRATED_COEFFICIENTS, "The model could be run wherever it was asked; if not, that is told."),
    DIAGNOSIS: (CALIBRATED_COEFFICIENTS, "Sensors, plant and model agree; if not, what explains it best is told."),
}
"""Check -> the asset that it is about, and what it says. None is on ``ukf_state``: what a check is on must not proceed,
and refused results are computed and shown all the same."""

REFUSED_VERDICT = "refused"
UNITS_REFUSED_VERDICT = "units refused"

JUDGED_BY_HAND = 31
"""So many of the newest windows are judged when the checks are started by hand, without windows."""


class Judgement(NamedTuple):
    """What is thought of one window.

    Attributes:
        verdicts: in the order of ``CHECKS``.
        refusal: whose results are not published for them.
    """

    verdicts: list[Verdict]
    refusal: Refusal


def judge(store: Store, spec: TwinSpec, window: Window, now: pd.Timestamp) -> Judgement:
    """Judge one window.

    Raises:
        TwinError: if one of its tables was never made.
    """
    observations, ukf_state, coefficients, virtual_sensors = (
        _table(store, spec, stage, window)
        for stage in (OBSERVATIONS, UKF_STATE, CALIBRATED_COEFFICIENTS, VIRTUAL_SENSORS)
    )
    filtered, predicted = (store.metadata(spec.name, stage, window.key) for stage in (UKF_STATE, VIRTUAL_SENSORS))
    stopped = failed_units(predicted) | failed_units(filtered)
    verdicts = [
        innovation_consistency(spec, ukf_state),
        measured_enough(spec, ukf_state),
        off_bounds(spec, coefficients),
        identifiability(spec, ukf_state, start_states(store, spec, window)),
        freshness(spec, window, observations, now, read_units(store.metadata(spec.name, TELEMETRY, window.key))),
        finite(coefficients, virtual_sensors),
        model_answers(spec, ukf_state, failed_predictions(predicted), stopped),
        diagnosis(spec, ukf_state),
    ]
    return Judgement(verdicts, Refusal.of(verdicts, coefficients, virtual_sensors))


def refuse(
    context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext,
    bench: Workbench,
    historian: Historian,
    spec: TwinSpec,
    window: Window,
    verdicts: Sequence[Verdict],
) -> None:
    """Keep a refusal, withdraw what the window had published, and log how much that was."""
    withdrawn = refuse_window(historian, bench.store, spec, window, verdicts)
    if withdrawn:
        context.log.warning("window %s: %d samples that it had published were withdrawn", window.key, withdrawn)


def build_checks(twin: Twin) -> dg.AssetChecksDefinition:
    """The blocking checks of a twin: one step, which judges each window of the run once."""
    spec = twin.spec
    specs = [
        dg.AssetCheckSpec(name, asset=dg.AssetKey([spec.name, stage]), description=description, blocking=True)
        for name, (stage, description) in CHECKS.items()
    ]

    @dg.multi_asset_check(name=f"{spec.name}__checks", specs=specs, can_subset=True)
    def checks(
        context: dg.AssetCheckExecutionContext,
        bench: dg.ResourceParam[Workbench],
        historian: dg.ResourceParam[Historian],
    ) -> Iterator[dg.AssetCheckResult]:
        with mended_by_users():
            bench.turns.take(spec.name)
            judged = {
                window.key: judge(bench.store, spec, window, bench.now) for window in _judged(context, spec, bench)
            }
            for key, (verdicts, refusal) in judged.items():
                if refusal.whole:
                    refuse(context, bench, historian, spec, WindowGrid.of(spec).parse(key), verdicts)
        all_refused = bool(judged) and all(refusal.whole for _, refusal in judged.values())
        selected = {key.name for key in context.op_execution_context.selected_asset_check_keys}
        for name in CHECKS:
            if name in selected:
                yield check_result(spec, name, judged, all_refused=all_refused)

    return checks


def check_result(
    spec: TwinSpec, name: str, judged: Mapping[str, Judgement], *, all_refused: bool
) -> dg.AssetCheckResult:
    """One check's verdict on all windows, by their keys."""
    verdicts = {key: next(one for one in found.verdicts if one.name == name) for key, found in judged.items()}
    whole = {key for key, found in judged.items() if found.refusal.whole}
    failed = {key: verdict for key, verdict in verdicts.items() if not verdict.passed}
    blocking = all_refused and any(verdict.refuses for verdict in failed.values())
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey([spec.name, CHECKS[name][0]]),
        check_name=name,
        passed=not failed,
        severity=dg.AssetCheckSeverity.ERROR if blocking else dg.AssetCheckSeverity.WARN,
        description=_told(failed, len(verdicts)),
        metadata=_numbers(verdicts) | {"verdicts": dg.MetadataValue.table(_records(verdicts, whole), _SCHEMA)},
    )


def _told(failed: Mapping[str, Verdict], windows: int) -> str:
    if not windows:
        return "There is no result to judge yet."
    if not failed:
        return f"Holds in {'the window' if windows == 1 else f'all {windows} windows'}."
    return "\n".join(f"{key}: {verdict.description}" for key, verdict in failed.items())


_SCHEMA = dg.TableSchema(
    [dg.TableColumn("window"), dg.TableColumn("verdict"), dg.TableColumn("units"), dg.TableColumn("why")],
)


def _records(verdicts: Mapping[str, Verdict], whole: Collection[str]) -> list[dg.TableRecord]:
    return [
        dg.TableRecord(
            {
                "window": key,
                "verdict": _word(verdict, whole=key in whole),
                "units": ", ".join(verdict.units),
                "why": verdict.description,
            }
        )
        for key, verdict in verdicts.items()
    ]


def _word(verdict: Verdict, *, whole: bool) -> str:
    if verdict.refuses:
        return REFUSED_VERDICT if whole else UNITS_REFUSED_VERDICT
    return "holds" if verdict.passed else "warning"


def _numbers(verdicts: Mapping[str, Verdict]) -> dict[str, dg.MetadataValue | float | int | str]:
    """The newest window's numbers, for charts."""
    newest = verdicts[max(verdicts)].metadata if verdicts else {}
    return {"windows": len(verdicts), **newest}


def _judged(context: dg.AssetCheckExecutionContext, spec: TwinSpec, bench: Workbench) -> list[Window]:
    """The run's windows; the newest ones with results if the checks were started without windows."""
    grid = WindowGrid.of(spec)
    if context.has_partition_key or context.has_partition_key_range:
        return [grid.parse(key) for key in sorted(context.partition_keys)]
    return grid.known(bench.store.keys(spec.name, VIRTUAL_SENSORS)[-JUDGED_BY_HAND:])


def _table(store: Store, spec: TwinSpec, stage: str, window: Window) -> pd.DataFrame:
    found = store.read(spec.name, stage, window.key)
    if found is None:
        raise TwinError(
            f"window {window.key} of twin '{spec.name}' has no table '{stage}' yet, so there is nothing to judge or"
            f" publish. Materialize '{spec.name}/{stage}' for this window first."
        )
    return found
