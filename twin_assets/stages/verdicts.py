"""Verdicts: what must hold before results are published; each with its numbers and a sentence for people."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

from twin_assets.spec import TwinSpec
from twin_assets.windows import Window


@dataclass(frozen=True)
class Verdict:
    """One check's answer.

    Attributes:
        name: the check.
        passed: whether it holds.
        description: for people: what was found, what was expected, what to do.
        metadata: the numbers.
        severity: whether a failure refuses publication (error) or only tells (warning).
    """

    name: str
    passed: bool
    description: str
    metadata: Mapping[str, float | int | str] = field(default_factory=dict)
    severity: Literal["error", "warning"] = "error"

    @property
    def refuses(self) -> bool:
        """Whether nothing may be published."""
        return not self.passed and self.severity == "error"


def innovation_consistency(spec: TwinSpec, ukf_state: pd.DataFrame) -> Verdict:
    """Whether innovations are as large as they claim to be: a unit's sum of NIS against chi-square."""
    raise NotImplementedError


def off_bounds(spec: TwinSpec, coefficients: pd.DataFrame) -> Verdict:
    """Whether no coefficient is squeezed onto a bound where it does not belong."""
    raise NotImplementedError


def freshness(spec: TwinSpec, window: Window, observations: pd.DataFrame, now: pd.Timestamp) -> Verdict:
    """Whether the newest observation of a live window is young enough."""
    raise NotImplementedError


def finite(coefficients: pd.DataFrame, virtual_sensors: pd.DataFrame) -> Verdict:
    """Whether every number to be published is one."""
    raise NotImplementedError


def measured_enough(spec: TwinSpec, ukf_state: pd.DataFrame) -> Verdict:
    """Whether the gate did not throw away too much of what was measured."""
    raise NotImplementedError


def verdict_table(verdicts: list[Verdict]) -> pd.DataFrame:
    """name, passed, severity, description: to be kept under the stage REFUSED when a window is not published."""
    raise NotImplementedError
