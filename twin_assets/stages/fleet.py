"""fleet: each unit of a window beside all others, coefficient by coefficient, the one least like them first.

A unit is held against what the others predict of it, its own uncertainty and theirs included (``estimation.fleet``). It
is an outlier where a good fleet of that size would show one like it, in any unit and coefficient, with no more than
``fleet.outlier_probability``. Outliers are told and stop nothing: a worn bearing is what the twin is there to find.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from twin_assets.estimation import Coefficients, Gaussian, coefficient_marginals
from twin_assets.estimation.fleet import Scores, scores, unbroken
from twin_assets.model import Floats
from twin_assets.shards import parts_of
from twin_assets.spec import TwinSpec
from twin_assets.stages import FLEET, UKF_STATE
from twin_assets.stages.lineage import is_current
from twin_assets.stages.newcomers import members_of
from twin_assets.stages.settings import coefficients_of
from twin_assets.stages.states import UnitState, states_of
from twin_assets.stages.verdicts import Verdict
from twin_assets.store import Store
from twin_assets.windows import Window, WindowGrid

OUTLIERS = "outliers"
OUTLIERS_TOLD = 20


def states_after(store: Store, spec: TwinSpec, window: Window) -> dict[str, UnitState]:
    """The states of all units, of all shards, at the end of a window."""
    found: dict[str, UnitState] = {}
    for part in parts_of(spec):
        found |= states_of(store.metadata(part.name, UKF_STATE, window.key))
    return found


def fleet_table(spec: TwinSpec, states: Mapping[str, UnitState], window: Window) -> pd.DataFrame:
    """Every unit that was observed in a window, against all others as they are known at its end.

    Args:
        spec: coefficients, and when a unit is an outlier.
        states: at the end of the window; those of units that were not observed in it are among the others.
        window: which one.

    Returns:
        A row for each unit and coefficient: unit, time (its newest observation), coefficient, estimate, std, lower,
        upper (95 %, physical units), fleet_mean, fleet_std, fleet_lower, fleet_upper (what the others say of it and the
        95 % interval of that, physical units; NaN where fewer than three of them tell the coefficient), score
        (deviation in standard deviations, in the state space; NaN where nothing can be said), probability (of one as
        large in a unit like the others), rank (of the unit, 1 the least like the others), outlier (bool);
        by rank, then in the spec's order.
    """
    coefficients = coefficients_of(spec)
    units, members = members_of(states, coefficients)
    found = scores(members, unbroken(members))
    observed = [i for i, unit in enumerate(units) if _in_window(states[unit], window)]
    worst, furthest = found.unit_probability, np.nan_to_num(np.abs(found.score)).max(axis=1, initial=0.0)
    ranked = sorted(observed, key=lambda i: (worst[i], -furthest[i], units[i]))
    judged = max(int(np.isfinite(found.score[observed]).sum()), 1)
    outlier = found.probability * judged < spec.fleet.outlier_probability
    rows = [
        {**row, "rank": rank, "outlier": bool(outlier[i, j])}
        for rank, i in enumerate(ranked, start=1)
        for j, row in enumerate(_rows(units[i], states[units[i]], found, i, coefficients))
    ]
    return pd.DataFrame(rows, columns=list(TYPES)).astype(TYPES)


TYPES: dict[str, Any] = {
    "unit": "str",
    "time": "datetime64[ns, UTC]",
    "coefficient": "str",
    **dict.fromkeys(
        (
            *("estimate", "std", "lower", "upper"),
            *("fleet_mean", "fleet_std", "fleet_lower", "fleet_upper"),
            *("score", "probability"),
        ),
        "float64",
    ),
    "rank": "int64",
    "outlier": "bool",
}


def stale_windows(store: Store, spec: TwinSpec, newest: int | None = None) -> list[Window]:
    """Windows of a divided twin whose comparison is not of the shards' newest states: from the first to the last one.

    Args:
        store: the shards' tables and the whole's.
        spec: the whole twin.
        newest: how many of the newest windows are looked at; all without it.
    """
    grid = WindowGrid.of(spec)
    keys = sorted({key for part in parts_of(spec) for key in store.keys(part.name, UKF_STATE)})
    windows = grid.known(keys[-newest:] if newest else keys)
    stale = [window for window in windows if not is_current(store, spec, FLEET, window)]
    return grid.between(stale[0].start, stale[-1].end) if stale else []


def outliers(frame: pd.DataFrame) -> Verdict:
    """Which units are unlike the others, for people; it refuses nothing."""
    if frame.empty:
        return Verdict(OUTLIERS, passed=True, description="No unit was observed in this window.", severity="warning")
    found = frame[frame["outlier"]]
    counts: dict[str, float | int | str] = {"units": frame["unit"].nunique(), OUTLIERS: found["unit"].nunique()}
    if found.empty:
        said = "No unit is unlike the others." if frame["score"].notna().any() else "Too few units to tell."
        return Verdict(OUTLIERS, passed=True, description=said, metadata=counts, severity="warning")
    told = [
        f"'{row['unit']}' has {row['coefficient']} {row['estimate']:.3g} ± {row['std']:.2g}, the others"
        f" {row['fleet_mean']:.3g} ± {row['fleet_std']:.2g}"
        for _, row in found.head(OUTLIERS_TOLD).iterrows()
    ]
    more = f"; and {len(found) - len(told)} more" if len(found) > len(told) else ""
    said = f"{counts[OUTLIERS]} of {counts['units']} units unlike the others: {'; '.join(told)}{more}."
    return Verdict(OUTLIERS, passed=False, description=said, metadata=counts, severity="warning")


def _in_window(state: UnitState, window: Window) -> bool:
    return state.state.time_ns is not None and state.state.time_ns >= window.start.value


def _rows(unit: str, state: UnitState, found: Scores, i: int, coefficients: Coefficients) -> list[dict[str, object]]:
    own, others = coefficient_marginals(state.state.posterior, coefficients), _others(found, i, coefficients)
    time = pd.Timestamp(state.state.time_ns or 0, unit="ns", tz="UTC")
    return [
        {
            "unit": unit,
            "time": time,
            "coefficient": name,
            "estimate": own.mean[j],
            "std": own.std[j],
            "lower": own.lower[j],
            "upper": own.upper[j],
            "fleet_mean": others[0, j],
            "fleet_std": others[1, j],
            "fleet_lower": others[2, j],
            "fleet_upper": others[3, j],
            "score": found.score[i, j],
            "probability": found.probability[i, j],
        }
        for j, name in enumerate(coefficients.names)
    ]


def _others(found: Scores, i: int, coefficients: Coefficients) -> Floats:
    """(4, n) mean, standard deviation, 95 % interval of what the others say of a unit, physical; NaN where nothing."""
    known = np.isfinite(found.mean[i])
    mean, std = np.where(known, found.mean[i], 0.0), np.where(known, found.std[i], 1.0)
    told = coefficient_marginals(Gaussian(mean, np.diag(std**2)), coefficients)
    return np.where(known, [told.mean, told.std, told.lower, told.upper], np.nan)
