"""Verdicts: what must hold before results are published; each with its numbers and a sentence for people.

Each unit is judged by itself, and one that is refused takes no other with it (``refusals``). Numbers and sentence are
of the worst.

A window without observations passes all of them but freshness: there is nothing to refuse, and the verdict says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from twin_assets.estimation.information import Untold
from twin_assets.spec import CoefficientSpec, TwinSpec
from twin_assets.stages.identifiability import told_in_window
from twin_assets.stages.predictions import unstated
from twin_assets.stages.states import UnitState
from twin_assets.stages.validity import VALID, WHY_NOT
from twin_assets.windows import Window

NOTHING = "No observations in this window: nothing to refuse."
# How near to a bound an interval counts as squeezed onto it, as a part of the range between the bounds.
SQUEEZED = 0.01
# A bound within so many prior standard deviations of the initial value is one where the coefficient may live.
REACH_OF_PRIOR = 2.0
# Of units, and of what is wrong with them, so many are told.
TOLD = 5


@dataclass(frozen=True)
class Verdict:
    """One check's answer.

    Attributes:
        name: the check.
        passed: whether it holds.
        description: for people: what was found, what was expected, what to do.
        metadata: the numbers.
        severity: whether a failure refuses publication (error) or only tells (warning).
        holds_from: when a failed check will hold by itself; None if only other data or another twin.yaml make it hold.
        units: whose results a failure refuses; the whole window's if empty.
    """

    name: str
    passed: bool
    description: str
    metadata: Mapping[str, float | int | str] = field(default_factory=dict)
    severity: Literal["error", "warning"] = "error"
    holds_from: pd.Timestamp | None = None
    units: tuple[str, ...] = ()

    @property
    def refuses(self) -> bool:
        """Whether nothing may be published of some units, or of any."""
        return not self.passed and self.severity == "error"


def innovation_consistency(spec: TwinSpec, ukf_state: pd.DataFrame) -> Verdict:
    """Whether innovations are as large as they claim to be.

    When the filter is right, the NIS of a step is chi-square with as many degrees of freedom as channels were used, and
    steps are independent; so the sum over a window is chi-square with the sum of them (Bar-Shalom, Li and Kirubarajan
    2001, 5.4.2). A sum beyond the quantile of ``checks.consistency_probability`` (shared among the units) refuses; one
    below the opposite quantile warns: intervals are then wider than they need to be, which misleads nobody.
    """
    name = "innovation_consistency"
    sums = ukf_state.groupby("unit", sort=True)[["nis", "dof"]].sum()
    sums = sums[sums["dof"] > 0]
    if sums.empty:
        return Verdict(name, passed=True, description=NOTHING)
    chance = spec.checks.consistency_probability / len(sums)
    upper, lower = _quantile(sums["dof"], chance), _quantile(sums["dof"], 1.0 - chance)
    ratio = sums["nis"] / upper
    worst = str(ratio.idxmax())
    numbers: dict[str, float | int | str] = {
        "unit": worst,
        "nis_sum": float(sums["nis"][worst]),
        "dof_sum": int(sums["dof"][worst]),
        "nis_per_dof": float(sums["nis"][worst] / sums["dof"][worst]),
        "upper_limit": float(upper[worst]),
        "lower_limit": float(lower[worst]),
    }
    found = (
        f"{worst}: normalised innovations squared sum to {numbers['nis_sum']:.4g} over {numbers['dof_sum']} values;"
        f" between {numbers['lower_limit']:.4g} and {numbers['upper_limit']:.4g} expected."
    )
    if (ratio > 1.0).any():
        advice = (
            " The measurements disagree with the model by more than noise_std and drift allow: look at the innovations"
            " for the channel that does; raise its noise_std or the drift, or mend the model or the sensor."
        )
        units = refused_ones(ratio > 1.0)
        found += also(units, worst)
        return Verdict(name, passed=False, description=found + advice, metadata=numbers, units=units)
    if (sums["nis"] < lower).any():
        advice = (
            " Innovations are smaller than noise_std, drift and prior allow for: intervals are wider than they need be."
        )
        return Verdict(name, passed=False, description=found + advice, metadata=numbers, severity="warning")
    return Verdict(name, passed=True, description=found, metadata=numbers)


def off_bounds(spec: TwinSpec, coefficients: pd.DataFrame) -> Verdict:
    """Whether no coefficient is squeezed onto a bound where it does not belong.

    Squeezed: at the end of the window the whole 95 % interval lies within 1 % of the range (without an opposite bound,
    of the prior standard deviation) from the bound, so the measurements ask for a value beyond it. A bound that the
    prior itself reaches (within two ``initial_std`` of ``initial``) is a place to live, as zero is for a healthy
    bearing's damping, and is no reason to refuse.
    """
    name = "off_bounds"
    if coefficients.empty:
        return Verdict(name, passed=True, description=NOTHING)
    last = coefficients.groupby("unit", sort=True).tail(1)
    squeezed = [
        (str(row["unit"]), f"{row['unit']}: {part.name} = {row[part.name]:.4g} at its {side} bound {bound:g}")
        for _, row in last.iterrows()
        for part in spec.coefficients
        for side, bound in _squeezing(part, float(row[f"{part.name}_lower"]), float(row[f"{part.name}_upper"]))
    ]
    numbers: dict[str, float | int | str] = {"squeezed": len(squeezed)}
    if not squeezed:
        found = f"All {len(spec.coefficients)} coefficients are free to move, or at a bound that their prior reaches."
        return Verdict(name, passed=True, description=found, metadata=numbers)
    advice = (
        " The measurements ask for values beyond: widen 'bounds' if they are physical, otherwise look for a fault that"
        " the model does not know."
    )
    units = tuple(dict.fromkeys(unit for unit, _ in squeezed))
    more = f"; and {len(squeezed) - TOLD} more" if len(squeezed) > TOLD else ""
    found = f"{'; '.join(told for _, told in squeezed[:TOLD])}{more}.{advice}"
    return Verdict(name, passed=False, description=found, metadata=numbers, units=units)


def freshness(
    spec: TwinSpec, window: Window, observations: pd.DataFrame, now: pd.Timestamp, units: Sequence[str] = ()
) -> Verdict:
    """Whether the newest observation of each unit in a live window (one that holds ``now``) is young enough.

    Off without ``checks.max_age``. In a window without observations the newest one is older than its start. A window
    that is no longer live need not be fresh: the refusal ends with the window.

    Args:
        spec: says how young.
        window: whose observations they are.
        observations: of all units.
        now: the run's start.
        units: that there are, whether there is anything of them or not.
    """
    name = "freshness"
    max_age = spec.checks.max_age
    if max_age is None or now not in window:
        return Verdict(name, passed=True, description="Not asked for: no live window, or no checks.max_age.")
    if spec.transient:  # rows that only say how the inputs moved are no measurements
        measured = observations[[f"{part.name}_reason" for part in spec.measurements]] != "missing"
        observations = observations[measured.any(axis=1)]
    newest = dict.fromkeys(units or (() if len(observations) else ("",)), window.start)
    seen = {str(unit): time for unit, time in observations.groupby("unit")["time"].max().items()}
    newest |= seen
    oldest = min(newest, key=lambda unit: newest[unit])
    age_s = (now - newest[oldest]).total_seconds()
    numbers: dict[str, float | int | str] = {"age_s": age_s, "max_age_s": max_age.total_seconds()}
    since = "the newest observation is of" if oldest in seen else "nothing since the window's start,"
    whose = f"{oldest}: " if len(newest) > 1 else ""
    found = f"{whose}{since} {newest[oldest]}, {age_s:.0f} s ago; at most {max_age.total_seconds():.0f} s expected."
    stale = tuple(unit for unit, time in newest.items() if now - time > max_age)
    if not stale:
        return Verdict(name, passed=True, description=found, metadata=numbers)
    found += f"{also(stale, oldest)} Look at what feeds the historian."
    refused = () if stale == ("",) else stale
    return Verdict(name, passed=False, description=found, metadata=numbers, holds_from=window.end, units=refused)


def finite(coefficients: pd.DataFrame, virtual_sensors: pd.DataFrame) -> Verdict:
    """Whether every number to be published is one, and its uncertainty; a discrepancy that nobody states is none."""
    name = "finite"
    lost = {
        column: frame["unit"][~np.isfinite(frame[column].to_numpy(dtype=np.float64))]
        for frame in (coefficients, virtual_sensors)
        for column in frame.columns.difference(["unit", "time", VALID, WHY_NOT, *unstated(frame)], sort=False)
    }
    counts = {column: len(rows) for column, rows in lost.items()}
    bad = {column: count for column, count in counts.items() if count}
    numbers: dict[str, float | int | str] = {"not_finite": sum(bad.values())}
    if bad:
        told = ", ".join(f"{column} ({count})" for column, count in bad.items())
        units = tuple(sorted({str(unit) for rows in lost.values() for unit in rows}))
        found = (
            f"Values that are no finite numbers: {told}, of {listed(units)}. Check the model's answer at these times."
        )
        return Verdict(name, passed=False, description=found, metadata=numbers, units=units)
    if coefficients.empty and virtual_sensors.empty:
        return Verdict(name, passed=True, description=NOTHING, metadata=numbers)
    return Verdict(name, passed=True, description="All results are finite numbers.", metadata=numbers)


def measured_enough(spec: TwinSpec, ukf_state: pd.DataFrame) -> Verdict:
    """Whether the gate did not throw away more than ``checks.max_gated_fraction`` of a unit's measured values."""
    name = "measured_enough"
    reasons = ukf_state[[f"{part.name}_reason" for part in spec.measurements]]
    counts = pd.DataFrame({"used": (reasons == "").sum(axis=1), "gated": (reasons == "gated").sum(axis=1)})
    sums = counts.groupby(ukf_state["unit"], sort=True).sum()
    sums = sums[sums.sum(axis=1) > 0]
    if sums.empty:
        return Verdict(name, passed=True, description=NOTHING)
    fraction = sums["gated"] / sums.sum(axis=1)
    worst, limit = str(fraction.idxmax()), spec.checks.max_gated_fraction
    gated, share = int(sums["gated"][worst]), float(fraction[worst])
    numbers: dict[str, float | int | str] = {"unit": worst, "gated": gated, "gated_fraction": share}
    found = f"{worst}: {gated} measured values ({share:.1%}) were gated; at most {limit:.0%} expected."
    if share <= limit:
        return Verdict(name, passed=True, description=found, metadata=numbers)
    units = refused_ones(fraction > limit)
    advice = " What was measured is not what the model can explain: a changed machine, a broken sensor, a wrong model."
    return Verdict(name, passed=False, description=found + also(units, worst) + advice, metadata=numbers, units=units)


def identifiability(spec: TwinSpec, ukf_state: pd.DataFrame, before: Mapping[str, UnitState]) -> Verdict:
    """Whether the window's observations told all coefficients apart, where they were made; a failure only warns.

    What is not told has an interval as wide as drift and prior make it, which misleads nobody; but whoever reads the
    value should know. With ``identifiability: hold`` what never was told is held, as was asked for; what had been told
    and no longer is (a machine run in another way, a sensor that is gone) is told all the same.
    """
    name = "identifiability"
    told = told_in_window(spec, ukf_state, before)
    if not told:
        return Verdict(name, passed=True, description=NOTHING)
    worst = max(told, key=lambda unit: (len(told[unit].untold), told[unit].observations_to_tell))
    lacking = [(unit, each) for unit, found in told.items() for each in found.untold]
    numbers: dict[str, float | int | str] = {"unit": worst, "not_told": len(lacking)}
    if np.isfinite(told[worst].observations_to_tell):
        numbers["observations_to_tell"] = told[worst].observations_to_tell
    if not lacking:
        found = f"What was measured tells all {len(spec.coefficients)} coefficients apart."
        return Verdict(name, passed=True, description=found, metadata=numbers)
    hold = spec.identifiability == "hold"
    found = f"{'; '.join(_lacking(unit, each, hold=hold) for unit, each in lacking)}."
    if hold and not any(each.known for _, each in lacking):
        return Verdict(name, passed=True, description=found, metadata=numbers)
    advice = (
        " The estimates of these coefficients rest on their prior and drift: look at the operating point and the"
        " channels of this window, calibrate fewer coefficients, measure more"
        f"{'' if hold else ', or hold what is not told (identifiability: hold)'}."
    )
    return Verdict(name, passed=False, description=found + advice, metadata=numbers, severity="warning")


def _lacking(unit: str, lacking: Untold, *, hold: bool) -> str:
    one = len(lacking.combination.weights) == 1
    what = str(lacking.combination) if one else f"{', '.join(lacking.combination.weights)} apart"
    along = "" if one else f" (along {lacking.combination})"
    if lacking.known:
        return f"{unit}: what was measured no longer tells {what}{along}"
    return f"{unit}: what was measured does not tell {what}{along}{', which is held' if hold else ''}"


def refused_ones(failed: "pd.Series[bool]") -> tuple[str, ...]:
    """The units that fail, of all that are judged."""
    return tuple(map(str, failed.index[failed]))


def listed(units: Sequence[str]) -> str:
    """Names for people: the first few, and how many there are besides."""
    more = f" and {len(units) - TOLD} more" if len(units) > TOLD else ""
    return ", ".join(units[:TOLD]) + more


def also(units: Sequence[str], told: str) -> str:
    """A sentence on the units that fail beside the one that was told of; empty without any."""
    others = [unit for unit in units if unit != told]
    return f" The same holds of {listed(others)}." if others else ""


def _quantile(dof: "pd.Series[int]", chance: float) -> "pd.Series[float]":
    """The value that chi-square exceeds with a chance, for each unit's degrees of freedom."""
    from scipy.special import chdtri

    return pd.Series(chdtri(dof.to_numpy(), chance), index=dof.index)


def _squeezing(part: CoefficientSpec, lower: float, upper: float) -> list[tuple[str, float]]:
    """The bounds that an interval is squeezed onto without belonging there."""
    low, high = part.bounds
    near = SQUEEZED * (high - low if low is not None and high is not None else part.initial_std)
    reach = REACH_OF_PRIOR * part.initial_std
    found = []
    if low is not None and upper <= low + near and part.initial - low > reach:
        found.append(("lower", low))
    if high is not None and lower >= high - near and high - part.initial > reach:
        found.append(("upper", high))
    return found
