"""The verdict on sensors, plant and model: did they agree, and if not, what explains it best.

Belongs here: what a window's table says, to people; the other verdicts are in ``verdicts``.
"""

from collections.abc import Iterator

import pandas as pd

from twin_assets.estimation.suspects import SUSPECT
from twin_assets.spec import TwinSpec
from twin_assets.stages.verdicts import NOTHING, Verdict

# Of the sentences of a window so many are told.
_TOLD = 5


def diagnosis(spec: TwinSpec, ukf_state: pd.DataFrame) -> Verdict:
    """Whether sensors, plant and model agreed all through the window; if not, what explains it best. It only warns.

    What was left out misleads nobody any longer; coefficients that move faster than their drift are news of the plant,
    which other verdicts judge.

    Args:
        spec: names and units.
        ukf_state: the window's table; of one without diagnosis nothing is said.
    """
    name = "diagnosis"
    if not spec.filter.diagnosis or "diagnosis" not in ukf_state:
        return Verdict(name, passed=True, description="Not asked for (filter.diagnosis).")
    if ukf_state.empty:
        return Verdict(name, passed=True, description=NOTHING)
    reasons = ukf_state[[f"{part.name}_reason" for part in spec.measurements]]
    left_out = int(reasons.isin(set(SUSPECT.values())).to_numpy().sum())
    told = ukf_state[ukf_state["diagnosis"] != ""]
    numbers: dict[str, float | int | str] = {"left_out": left_out, "observations_with_a_diagnosis": len(told)}
    if told.empty:
        found = "Nothing speaks against the sensors, the plant or the model."
        return Verdict(name, passed=True, description=found, metadata=numbers)
    said = list(_episodes(ukf_state))
    more = f" And {len(said) - _TOLD} more: column diagnosis of ukf_state." if len(said) > _TOLD else ""
    found = f"{' '.join(said[:_TOLD])}{more}"
    if not left_out and told["diagnosis"].str.contains("has moved faster").all():
        return Verdict(name, passed=True, description=found, metadata=numbers)
    advice = f" {left_out} measured values were left out for it: look at these sensors." if left_out else ""
    return Verdict(name, passed=False, description=found + advice, metadata=numbers, severity="warning")


def _episodes(ukf_state: pd.DataFrame) -> Iterator[str]:
    """Unit by unit, the last word of each stretch of rows that begin alike; silence ends a stretch."""
    for unit, rows in ukf_state.groupby("unit", sort=True):
        key = rows["diagnosis"].str.split(" since ").str[0]
        stretches = (key != key.shift()).cumsum()
        for _, part in rows[key != ""].groupby(stretches[key != ""], sort=True):
            first, last = part["time"].iloc[0], part["time"].iloc[-1]
            end = f"{last:%H:%M}" if first.date() == last.date() else f"{last:%Y-%m-%d %H:%M}"
            yield f"{unit}, {first:%Y-%m-%d %H:%M} to {end}: {part['diagnosis'].iloc[-1]}."
