"""Whether a prediction rests on what was calibrated, and if not, why: a flag and its reason for each row.

Three things are well defined, and nothing else is asked:

- an input lies outside of the range in which the unit's observations were assimilated so far (the observation's own
  included: where measurements met the model, it was calibrated);
- nothing has been assimilated yet, or so long ago that drift has undone it: every coefficient is known no better than
  by its prior. Coefficients that the measurements cannot tell apart are the check ``identifiability``'s; what they
  leave open is in the prediction's standard deviation;
- runs of the model failed, and the prediction was made from what was left.

Belongs here: the judgement. The ranges are ``calibrated``'s.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twin_assets.model import Floats
from twin_assets.spec import InputSpec, TwinSpec
from twin_assets.stages.calibrated import Calibrated
from twin_assets.stages.settings import coefficients_of
from twin_assets.stages.states import UnitState

VALID, WHY_NOT = "valid", "why_not"
NOT_CALIBRATED = "no coefficient is known better than by its prior"
RUNS_FAILED = "runs of the model failed"
# Of the width of a range: so much beyond it is no other operating condition. Rounding counts for nothing either.
_MARGIN, _ROUNDING = 0.05, 1e-9
# In prior standard deviations: known better than by the prior is what has less than four fifths of its variance.
_AS_WIDE = 0.9


def reasons(
    spec: TwinSpec, ukf_state: pd.DataFrame, inputs: Floats, before: Mapping[str, UnitState]
) -> NDArray[np.object_]:
    """(k,) why a prediction at each of k posteriors does not rest on what was calibrated; "" where it does.

    Args:
        spec: names and units of the p inputs.
        ukf_state: the window's table, every unit's rows in order.
        inputs: (k, p) of its rows.
        before: states that the window started from.
    """
    found = np.full(len(ukf_state), "", dtype=object)
    names = tuple(part.name for part in spec.inputs)
    used = ukf_state["dof"].to_numpy() > 0
    for unit, indices in ukf_state.groupby("unit", sort=False).indices.items():
        places = np.asarray(indices)
        handed_on = before[str(unit)].calibrated if str(unit) in before else None
        ranges = Calibrated.before(names, handed_on).through(inputs[places], used[places])
        for place, low, high in zip(places.tolist(), *ranges, strict=True):
            found[place] = "; ".join(_outside(spec.inputs, inputs[place], low, high))
    for place in np.flatnonzero(_as_at_first(spec, ukf_state)).tolist():
        found[place] = joined(NOT_CALIBRATED, found[place])
    return found


def joined(*told: str) -> str:
    """Reasons in one line."""
    return "; ".join(reason for reason in told if reason)


def invalid(predictions: pd.DataFrame) -> NDArray[np.bool_]:
    """(k,) which rows are flagged; none of a table that is older than the flag."""
    if VALID not in predictions:
        return np.zeros(len(predictions), dtype=bool)
    return np.asarray(predictions[VALID].eq(other=False), dtype=bool)


def _outside(parts: tuple[InputSpec, ...], values: Floats, low: Floats, high: Floats) -> list[str]:
    """Which of p inputs lie outside of their ranges; one that has no range yet lies nowhere."""
    met = low <= high
    width, size = np.where(met, high, 0.0) - np.where(met, low, 0.0), np.maximum(np.abs(low), np.abs(high))
    margin = _MARGIN * width + _ROUNDING * np.where(met, size, 0.0)
    beyond = met & ((values < low - margin) | (values > high + margin))
    return [
        f"{part.name} = {values[i]:.6g}{f' {part.unit}' if part.unit else ''}, calibrated {low[i]:.6g} to {high[i]:.6g}"
        for i, part in enumerate(parts)
        if beyond[i]
    ]


def _as_at_first(spec: TwinSpec, ukf_state: pd.DataFrame) -> NDArray[np.bool_]:
    """(k,) where every coefficient's state is as wide as its prior."""
    if ukf_state.empty:
        return np.zeros(0, dtype=bool)
    coefficients = coefficients_of(spec)
    n = len(coefficients.names)
    variances = np.array([np.asarray(cov).reshape(n, n).diagonal() for cov in ukf_state["state_cov"]])
    wide = np.sqrt(variances) >= _AS_WIDE * coefficients.initial_std
    return np.asarray(wide.all(axis=1), dtype=bool)
