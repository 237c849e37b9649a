"""What verdicts come to: whose results of a window are published, whose are not, and why.

One unit's trouble is its own: the others are published. A window is refused as a whole where no unit is left of which
there is anything to publish.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from twin_assets.stages.verdicts import Verdict

JUDGE_AGAIN = "judge_again"
"""Metadata of a refusal: from when on (ISO time, UTC) the window is to be judged again, though nothing has changed."""


@dataclass(frozen=True)
class Refusal:
    """Whose results are refused.

    Attributes:
        why: for people; empty if nothing is refused.
        whole: whether nothing of the window may be published.
        units: whose results may not be, where others' may.
    """

    why: str
    whole: bool
    units: tuple[str, ...]

    @classmethod
    def of(cls, verdicts: Sequence[Verdict], *results: pd.DataFrame) -> "Refusal":
        """What verdicts on a window come to, for tables of results."""
        refusing = [verdict for verdict in verdicts if verdict.refuses]
        why = " ".join(f"{verdict.name}: {verdict.description}" for verdict in refusing)
        units = {unit for verdict in refusing for unit in verdict.units}
        left = {str(unit) for frame in results for unit in frame["unit"].unique()} - units
        whole = bool(refusing) and (not left or any(not verdict.units for verdict in refusing))
        return cls(why, whole, () if whole else tuple(sorted(units)))


def waiting_units(verdicts: Iterable[Verdict]) -> dict[str, pd.Timestamp]:
    """Units that time alone refuses, and when it no longer will; under "" the whole window.

    What was published of them while it was fresh is as true as it was.
    """
    until, otherwise = dict[str, pd.Timestamp](), set[str]()
    for verdict in verdicts:
        for unit in (verdict.units or ("",)) if verdict.refuses else ():
            if verdict.holds_from is None:
                otherwise.add(unit)
            else:
                until[unit] = max(verdict.holds_from, until.get(unit, verdict.holds_from))
    return {} if "" in otherwise else {unit: time for unit, time in until.items() if unit not in otherwise}


def verdict_table(verdicts: Iterable[Verdict]) -> pd.DataFrame:
    """name, passed, severity, description, units (JSON): kept under the stage REFUSED when not all is published."""
    rows = list(verdicts)
    return pd.DataFrame(
        {
            "name": pd.Series([verdict.name for verdict in rows], dtype="str"),
            "passed": pd.Series([verdict.passed for verdict in rows], dtype="bool"),
            "severity": pd.Series([verdict.severity for verdict in rows], dtype="str"),
            "description": pd.Series([verdict.description for verdict in rows], dtype="str"),
            "units": pd.Series([json.dumps(verdict.units) for verdict in rows], dtype="str"),
        }
    )


def judged_again(waiting: Mapping[str, pd.Timestamp]) -> dict[str, str]:
    """Metadata of a refusal: when nothing but what time cannot mend refuses any longer; empty if it mends nothing."""
    return {JUDGE_AGAIN: max(waiting.values()).isoformat()} if waiting else {}
