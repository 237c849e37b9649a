"""The verdict on the model itself: could it be run wherever it was asked?

Belongs here: what is said of failed runs, to people. What the filter and the predictions made of them is in their
tables; the other verdicts are in ``verdicts``.
"""

import textwrap
from collections.abc import Mapping, Sequence

import pandas as pd

from twin_assets.estimation.suspects import SUSPECT
from twin_assets.model import FAILURES_TOLD, REASON_LENGTH
from twin_assets.spec import TwinSpec
from twin_assets.stages.ukf_rows import up_to_date
from twin_assets.stages.verdicts import NOTHING, TOLD, Verdict, listed

ADVICE = (
    "Where the model is not meant for these values, narrow the coefficients' bounds or the inputs' valid_range;"
    " where it only takes too long, raise model.timeout_s."
)


def model_answers(
    spec: TwinSpec,
    ukf_state: pd.DataFrame,
    failed_predictions: Sequence[str],
    stopped: Mapping[str, str] | None = None,
) -> Verdict:
    """Whether the model could be run wherever the filter and the predictions asked.

    Where it could not, a warning tells at which values: updates went on with what was left, or waited for the next
    observation. But where of all that was measured of a unit nothing met an answer, its results are what was believed
    before and drift, for a whole window, and are refused: whoever reads them would take them for a calibration. So are
    those of a unit that could not be gone on with: they end in the midst of what was measured.

    Args:
        spec: the measurements.
        ukf_state: the window's table.
        failed_predictions: what failed for its predictions (``results.failed_predictions``).
        stopped: why units could not be gone on with, by unit (``units.failed_units``).
    """
    name, stopped = "model_answers", stopped or {}
    if ukf_state.empty and not stopped:
        return Verdict(name, passed=True, description=NOTHING)
    table = up_to_date(ukf_state)
    reasons = table[[f"{part.name}_reason" for part in spec.measurements]]
    failed, lost = table["failed_runs"] > 0, (reasons == "model").any(axis=1)
    numbers: dict[str, float | int | str] = {
        "failed_runs": int(table["failed_runs"].sum()),
        "degraded": int((failed & ~lost).sum()),
        "not_assimilated": int(lost.sum()),
        "failed_predictions": len(failed_predictions),
    }
    if stopped:
        numbers["stopped_units"] = len(stopped)
    told = [
        f"{unit} at {time}: {why}" for unit, time, why in table.loc[failed, ["unit", "time", "failures"]].to_numpy()
    ]
    told += failed_predictions
    if not told and not stopped:
        found = "The model could be run wherever it was asked."
        return Verdict(name, passed=True, description=found, metadata=numbers)
    more = f"; and {len(told) - FAILURES_TOLD} more" if len(told) > FAILURES_TOLD else ""
    numbers["failures"] = "; ".join(told[:FAILURES_TOLD]) + more
    found = (
        f"The model failed in {int(failed.sum())} of {len(table)} updates: {numbers['degraded']} went on with what was"
        f" left of it, {numbers['not_assimilated']} assimilated nothing; and for {len(failed_predictions)} predictions."
        f" {numbers['failures']}. {ADVICE}"
    )
    if not told:
        found = ADVICE
    silent = _silent(table["unit"], reasons)
    if silent:
        found = f"Nothing that was measured of {listed(silent)} met an answer of the model. {found}"
    if stopped:
        why = "; ".join(textwrap.shorten(each, REASON_LENGTH, placeholder=" …") for each in [*stopped.values()][:TOLD])
        more = f"; and {len(stopped) - TOLD} more" if len(stopped) > TOLD else ""
        found = f"Could not be gone on with, and is tried again: {why}{more}. {found}"
    units = tuple(dict.fromkeys([*silent, *sorted(stopped)]))
    if not units:
        return Verdict(name, passed=False, description=found, metadata=numbers, severity="warning")
    return Verdict(name, passed=False, description=found, metadata=numbers, units=units)


def _silent(units: "pd.Series[str]", reasons: pd.DataFrame) -> list[str]:
    """Units of which something was measured, and nothing met an answer."""
    lost, met = (reasons == "model").any(axis=1), reasons.isin(["", "gated", *SUSPECT.values()]).any(axis=1)
    found = pd.DataFrame({"lost": lost, "met": met}).groupby(units, sort=True).any()
    return [str(unit) for unit in found.index[found["lost"] & ~found["met"]]]
