"""What a window's observations told of the coefficients, unit by unit, and what not.

Belongs here: from the ukf_state table to the information in it. What is made of it is ``verdicts``'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from twin_assets.estimation import Coefficients, FilterState
from twin_assets.estimation.adaptive import at_work
from twin_assets.estimation.information import Untold, information, untold
from twin_assets.model import Floats
from twin_assets.spec import TwinSpec
from twin_assets.stages.settings import coefficients_of, settings_of
from twin_assets.stages.states import UnitState, posterior_of_row, start_state, state_of_row

_NS_PER_HOUR = 3_600_000_000_000


@dataclass(frozen=True, eq=False)
class Told:
    """What the observations of one unit in one window told.

    Attributes:
        observations: how many told anything.
        information: (n, n) of an average one, in prior standard deviations.
        untold: combinations of coefficients that it does not tell.
    """

    observations: int
    information: Floats
    untold: tuple[Untold, ...]

    @property
    def observations_to_tell(self) -> float:
        """How many like these tell as much as the prior does, of whatever they tell least; inf if none ever would."""
        least = float(np.linalg.eigvalsh(self.information)[0])
        return 1.0 / least if least > 0.0 else np.inf


def told_in_window(spec: TwinSpec, ukf_state: pd.DataFrame, before: Mapping[str, UnitState]) -> dict[str, Told]:
    """What was told of each unit of which anything was measured.

    Args:
        spec: coefficients, and whether what is not told is held.
        ukf_state: the window's table.
        before: states that the window started from; units that are missing started from the prior.
    """
    coefficients, hold = coefficients_of(spec), settings_of(spec).hold
    found = {}
    for unit, rows in ukf_state.groupby("unit", sort=True):
        start = start_state(str(unit), before, coefficients)
        gains = _gains(rows, start, coefficients, hold=hold)
        if gains:
            average, known = np.mean(gains, axis=0), (start.state.posterior, posterior_of_row(rows.iloc[-1]))
            found[str(unit)] = Told(len(gains), average, tuple(untold(average, len(gains), *known, coefficients)))
    return found


def _gains(rows: pd.DataFrame, start: UnitState, coefficients: Coefficients, *, hold: bool) -> list[Floats]:
    """What each row told in which anything was used."""
    found, state = [], start.state
    for (_, row), used in zip(rows.iterrows(), rows["dof"] > 0, strict=True):
        new = state_of_row(row, start.space).state
        if used:
            drifting = at_work(coefficients, state.pace)
            gain = information(state.posterior, _elapsed_h(state, new), new.posterior, drifting, hold=hold)
            found.append(gain)
        state = new
    return found


def _elapsed_h(before: FilterState, after: FilterState) -> float:
    # Before any observation there is no time to count from.
    return 0.0 if before.time_ns is None or after.time_ns is None else (after.time_ns - before.time_ns) / _NS_PER_HOUR
