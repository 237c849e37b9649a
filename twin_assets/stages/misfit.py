"""By how much measured outputs keep differing from what the calibrated model says of them.

Where model, noise and drift are right, what is left after an update is white: each observation's rest knows nothing of
the one before (the filter's innovations are white, Kailath 1968, and the rest is a linear map of each). What stays from
one observation to the next is none of the noise: the model leaves something out (Kennedy and O'Hagan 2001, model
inadequacy), or a sensor is off; the data cannot tell which. Its variance is the covariance of neighbouring rests.

It is no part of any interval: what coefficients have taken up of it does not show, and of outputs that nobody measures
it says nothing. It is told, so that whoever states a ``discrepancy_std`` has something to go by.

Belongs here: from the tables of a window to that number.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from twin_assets.model import Floats
from twin_assets.spec import TwinSpec
from twin_assets.spec_names import PREDICTED

# Fewer neighbours tell nothing. Of white rests, one channel in 700 shows a covariance of so many standard errors.
_FEWEST, _STANDARD_ERRORS = 30, 3.0


@dataclass(frozen=True)
class Misfit:
    """What one channel keeps being off by.

    Attributes:
        unit: machine.
        channel: name of the measurement.
        std: of what stays from one observation to the next, the channel's unit.
        relative: the same as a part of what the model says on average; inf where that is 0.
        measure: the channel's unit.
    """

    unit: str
    channel: str
    std: float
    relative: float
    measure: str

    def __str__(self) -> str:
        """``pump flow: 0.12 m3/s (1.3 %)``."""
        measure = f" {self.measure}" if self.measure else ""
        return f"{self.unit} {self.channel}: {self.std:.2g}{measure} ({100 * self.relative:.2g} %)"


def lasting_misfits(
    spec: TwinSpec, observations: pd.DataFrame, ukf_state: pd.DataFrame, predictions: pd.DataFrame
) -> list[Misfit]:
    """The channels of a window that keep being off by something, unit by unit.

    Args:
        spec: names and units of the measurements.
        observations: what was measured.
        ukf_state: whether it was used.
        predictions: the virtual_sensors table, with ``<measurement>_predicted``.
    """
    keys = ["unit", "time"]
    reasons = ukf_state[[*keys, *(f"{part.name}_reason" for part in spec.measurements)]]
    said = predictions[[*keys, *(part.name + PREDICTED for part in spec.measurements)]]
    measured = observations[[*keys, *(part.name for part in spec.measurements)]]
    joined = measured.merge(reasons, on=keys).merge(said, on=keys)
    found = []
    for unit, rows in joined.groupby("unit", sort=True):
        for part in spec.measurements:
            predicted = rows[part.name + PREDICTED].to_numpy(dtype=np.float64)
            rest = np.where(rows[f"{part.name}_reason"] == "", rows[part.name] - predicted, np.nan)
            std = lasting(rest)
            if std > 0.0:
                size = float(np.nanmean(np.abs(predicted)))
                relative = std / size if size > 0.0 else np.inf
                found.append(Misfit(str(unit), part.name, std, relative, part.unit or ""))
    return found


def lasting(rest: Floats) -> float:
    """Standard deviation of what stays from one to the next in a series (k,), NaN where missing; 0 where nothing does.

    So is what cannot be told from chance.
    """
    products = rest[1:] * rest[:-1]
    products = products[np.isfinite(products)]
    if products.size < _FEWEST:
        return 0.0
    covariance = float(products.mean())
    chance = float(np.nanmean(rest**2)) / np.sqrt(products.size)
    return float(np.sqrt(covariance)) if covariance > _STANDARD_ERRORS * chance else 0.0
