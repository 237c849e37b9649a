"""Estimates of several quantities beside their truth: errors, and how often the intervals held.

Belongs here: the arithmetic of comparing. What is compared is ``summary``'s business.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twin_assets.model import Floats


@dataclass(frozen=True)
class Comparison:
    """One quantity: what was true and what the twin said.

    Attributes:
        name: the quantity.
        unit: its physical unit.
        time: of the values below: the last one before the slip.
        truth: what it was.
        estimate: what the twin said.
        lower: lower end of its 95 % interval.
        upper: upper end of its 95 % interval.
        held: whether the interval held the truth then.
        held_share: part of all times before the slip at which it did.
        rmse: root mean square error before the slip.
        rmse_after_slip: the same after it; None if nothing slipped.
    """

    name: str
    unit: str
    time: pd.Timestamp
    truth: float
    estimate: float
    lower: float
    upper: float
    held: bool
    held_share: float
    rmse: float
    rmse_after_slip: float | None


@dataclass(frozen=True)
class WorstError:
    """The largest error of a virtual sensor, relative to the scale of its unit of measure.

    Attributes:
        name: the virtual sensor.
        unit: its physical unit.
        time: when.
        truth: what it was.
        estimate: what the twin said.
        error: estimate minus truth.
        stds: the error in standard deviations that the twin gave; None if it gave none.
    """

    name: str
    unit: str
    time: pd.Timestamp
    truth: float
    estimate: float
    error: float
    stds: float | None


@dataclass(frozen=True, eq=False)
class Accuracy:
    """Estimates and truth of q quantities at k times.

    Attributes:
        units: name to physical unit, in the order of the columns.
        times: (k,) UTC.
        truth: (k, q).
        estimate: (k, q).
        std: (k, q) as the twin gave it.
        lower: (k, q) of the 95 % interval.
        upper: (k, q) of the 95 % interval.
        before: (k,) whether nothing slips yet.
    """

    units: Mapping[str, str]
    times: pd.DatetimeIndex
    truth: Floats
    estimate: Floats
    std: Floats
    lower: Floats
    upper: Floats
    before: NDArray[np.bool_]

    @classmethod
    def of(
        cls, table: pd.DataFrame, truth: pd.DataFrame, units: Mapping[str, str], slip: pd.Timestamp | None
    ) -> "Accuracy":
        """Join a result table with the truth on time.

        Args:
            table: ``time``, and for each name ``<name>``, ``_std``, ``_lower``, ``_upper``; of one machine.
            truth: ``time`` and one column a name; every time of the table is in it.
            units: name to physical unit of the quantities to compare.
            slip: when the slip began; None if it did not.
        """
        table = table.sort_values("time")
        times = pd.DatetimeIndex(table["time"])
        true = truth.set_index("time").loc[times, list(units)].to_numpy(dtype=float)
        estimate, std, lower, upper = (
            table[[f"{name}{suffix}" for name in units]].to_numpy(dtype=float)
            for suffix in ("", "_std", "_lower", "_upper")
        )
        before = np.ones(len(times), dtype=bool) if slip is None else np.asarray(times < slip)
        return cls(units, times, true, estimate, std, lower, upper, before)

    @property
    def error(self) -> Floats:
        """(k, q) estimate minus truth."""
        return self.estimate - self.truth

    @property
    def held(self) -> NDArray[np.bool_]:
        """(k, q) whether the interval holds the truth."""
        return (self.lower <= self.truth) & (self.truth <= self.upper)

    def coverage(self) -> float:
        """Part of the intervals that hold the truth, before the slip."""
        return float(self.held[self.before].mean())

    def coverage_after_slip(self) -> float | None:
        """Part of the intervals that hold the truth, after the slip; None if nothing slipped."""
        return None if self.before.all() else float(self.held[~self.before].mean())

    def rmse(self) -> float:
        """Root mean square error before the slip, over all quantities (of one unit of measure)."""
        return _rms(self.error[self.before])

    def rmse_by_unit(self) -> dict[str, float]:
        """Root mean square error before the slip, of the quantities of each unit of measure."""
        return {unit: _rms(self.error[self.before][:, self._of(unit)]) for unit in dict.fromkeys(self.units.values())}

    def comparisons(self) -> tuple[Comparison, ...]:
        """One comparison a quantity."""
        last = int(np.flatnonzero(self.before)[-1])
        return tuple(self._comparison(column, name, last) for column, name in enumerate(self.units))

    def worst(self, least: Mapping[str, float] | None = None) -> WorstError:
        """The largest error, relative to the scale of its unit of measure; over all times.

        Args:
            least: by unit of measure, what its scale is at least. A scale is the largest truth of the unit: where all
                are next to nothing, an error that nobody would notice is large beside them.
        """
        scale = np.array([np.abs(self.truth[:, self._of(unit)]).max() for unit in self.units.values()])
        scale = np.maximum(scale, [(least or {}).get(unit, 0.0) for unit in self.units.values()])
        row, column = divmod(int(np.argmax(np.abs(self.error) / scale)), len(self.units))
        name = list(self.units)[column]
        error, std = float(self.error[row, column]), float(self.std[row, column])
        return WorstError(
            name=name,
            unit=self.units[name],
            time=self.times[row],
            truth=float(self.truth[row, column]),
            estimate=float(self.estimate[row, column]),
            error=error,
            stds=abs(error) / std if std > 0 else None,
        )

    def _of(self, unit: str) -> NDArray[np.bool_]:
        """(q,) which quantities are measured in this unit."""
        return np.array([own == unit for own in self.units.values()])

    def _comparison(self, column: int, name: str, last: int) -> Comparison:
        error = self.error[:, column]
        return Comparison(
            name=name,
            unit=self.units[name],
            time=self.times[last],
            truth=float(self.truth[last, column]),
            estimate=float(self.estimate[last, column]),
            lower=float(self.lower[last, column]),
            upper=float(self.upper[last, column]),
            held=bool(self.held[last, column]),
            held_share=float(self.held[self.before, column].mean()),
            rmse=_rms(error[self.before]),
            rmse_after_slip=None if self.before.all() else _rms(error[~self.before]),
        )


def _rms(errors: Floats) -> float:
    return float(np.sqrt((errors**2).mean()))
