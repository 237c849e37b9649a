"""The picture of a fleet: every unit's coefficients beside what the others say, the one least like them on top.

Belongs here: how the table ``fleet`` of one window is drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from twin_assets.panels import BLUE, GREY, INK, VERMILION
from twin_assets.spec import TwinSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

UNITS_DRAWN = 24
PANELS_ACROSS = 3
ROW_IN, PANEL_EXTRA_IN, WIDTH_IN, HEADER_IN = 0.2, 0.75, 11.0, 0.75


def fleet_figure(spec: TwinSpec, frame: pd.DataFrame) -> Figure:
    """One panel a coefficient, one line a unit: its 95 % interval over that in which the others would have it.

    Of large fleets the units least like the others are drawn.

    Args:
        spec: the twin.
        frame: table ``fleet`` of a window, not empty.
    """
    from matplotlib.figure import Figure

    count = frame["unit"].nunique()
    shown = frame[frame["rank"] <= UNITS_DRAWN]
    units = list(shown.drop_duplicates("unit")["unit"])
    names = [part.name for part in spec.coefficients]
    across = min(PANELS_ACROSS, len(names))
    down = -(-len(names) // across)
    height = HEADER_IN + down * (len(units) * ROW_IN + PANEL_EXTRA_IN)
    figure = Figure(figsize=(WIDTH_IN, height), layout="constrained")
    axes = figure.subplots(down, across, squeeze=False, sharey=True).ravel()
    for axis, part in zip(axes, spec.coefficients, strict=False):
        _panel(axis, shown[shown["coefficient"] == part.name], f"{part.name} [{part.unit}]" if part.unit else part.name)
    for axis in axes[len(names) :]:
        axis.set_visible(False)
    for axis in axes[::across]:
        axis.set_yticks(range(len(units)), units, fontsize=7)
        axis.set_ylim(len(units) - 0.5, -0.5)
    of = f"the {len(units)} of {count} units least like the others" if count > len(units) else f"{count} units"
    figure.suptitle(
        f"{spec.label}: {of}, {frame['time'].max():%Y-%m-%d %H:%M} UTC\n"
        "grey: where the others would have it (95 %); point and line: estimate, 95 %; red: outlier",
        fontsize=9,
        color=INK,
    )
    return figure


def _panel(axis: Axes, rows: pd.DataFrame, title: str) -> None:
    places = np.arange(len(rows))
    lower, upper = rows["fleet_lower"].to_numpy(), rows["fleet_upper"].to_numpy()
    known = np.isfinite(lower)
    axis.barh(places[known], (upper - lower)[known], left=lower[known], height=0.8, color=GREY, alpha=0.25)
    for odd, color in ((False, BLUE), (True, VERMILION)):
        part = rows["outlier"].to_numpy() == odd
        axis.hlines(places[part], rows["lower"].to_numpy()[part], rows["upper"].to_numpy()[part], color=color, lw=1.2)
        axis.plot(rows["estimate"].to_numpy()[part], places[part], "o", color=color, ms=3.5)
    axis.set_title(title, fontsize=8, loc="left", color=INK)
    axis.tick_params(labelsize=7)
    axis.tick_params(axis="y", length=0)
    axis.grid(visible=True, axis="x", color="#E5E5E5", lw=0.6)
    axis.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
