"""What pictures are made of: sheets of small panels, bands, thresholds, one legend.

Belongs here: how things are drawn. Which quantities a picture shows is ``plots``' business. matplotlib is imported when
a figure is made, and no ``pyplot`` state exists: figures may be made in threads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

# Okabe & Ito's palette (2008): told apart by people with any kind of colour vision, and in grey by its lightness.
BLUE, ORANGE, GREEN, VERMILION, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7"
INK, GREY = "#222222", "#7A7A7A"
LineStyle = Literal["-", "none"] | tuple[int, tuple[int, int]]
DASHED, DOTTED = (0, (4, 2)), (0, (2, 2))

WIDTH_IN = 11.0
MARGIN_LEFT_IN, MARGIN_RIGHT_IN, GAP_X_IN = 0.62, 0.18, 0.62
HEADER_IN, HEADING_IN, TITLE_LINE_IN, AXIS_IN, FOOTER_IN = 1.0, 0.24, 0.17, 0.32, 0.10
# Ticks at years, months, days, hours, minutes, seconds; and those at which the next larger one begins.
DATES = ["%Y", "%b", "%d %b", "%H:%M", "%H:%M", "%H:%M:%S"]
DATES_AT_ZERO = ["", "%Y", "%d %b", "%d %b", "%H:%M", "%H:%M"]
# A quantity that hardly moves is drawn as the flat line it is: its axis spans at least this part of its group's widest.
FLAT_FRACTION = 0.05
# A threshold farther from the curve than this many of its spans is told in words instead of squeezing the curve flat.
THRESHOLD_REACH = 0.75


@dataclass(frozen=True)
class Curve:
    """One panel: a quantity with its band and its thresholds (label, value)."""

    name: str
    unit: str
    thresholds: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Entry:
    """One line of the legend: a line style, a marker, or a filled patch."""

    label: str
    color: str
    line: LineStyle = "none"
    marker: str = ""
    filled: bool = False


@dataclass(frozen=True)
class Sheet:
    """Where the panels of a figure lie: groups with a heading each, rows of ``columns`` panels under it."""

    groups: tuple[tuple[str, int], ...]
    columns: int
    panel_in: float
    title_lines: int = 1

    @property
    def height_in(self) -> float:
        """Height of the whole figure in inches."""
        return HEADER_IN + FOOTER_IN + sum(self._group_in(heading, count) for heading, count in self.groups)

    def figure(self, title: str, subtitle: str) -> Figure:
        """An empty figure of the sheet's size with its heading."""
        from matplotlib.figure import Figure

        height = self.height_in
        figure = Figure(figsize=(WIDTH_IN, height), facecolor="white")
        figure.text(0.15 / WIDTH_IN, (height - 0.28) / height, title, fontsize=13, weight="bold", color=INK)
        figure.text(0.15 / WIDTH_IN, (height - 0.52) / height, subtitle, fontsize=9, color=GREY)
        return figure

    def panels(self, figure: Figure) -> Iterator[Axes]:
        """Add the panels, in order; only the lowest of a column within a group says the times."""
        width = (WIDTH_IN - MARGIN_LEFT_IN - MARGIN_RIGHT_IN - (self.columns - 1) * GAP_X_IN) / self.columns
        total, top = self.height_in, self.height_in - HEADER_IN
        for heading, count in self.groups:
            if heading:
                figure.text(0.15 / WIDTH_IN, (top - 0.17) / total, heading, fontsize=9, weight="bold", color=GREY)
                top -= HEADING_IN
            for index in range(count):
                row, column = divmod(index, self.columns)
                left = MARGIN_LEFT_IN + column * (width + GAP_X_IN)
                bottom = top - (row + 1) * self._row_in
                panel = figure.add_axes((left / WIDTH_IN, bottom / total, width / WIDTH_IN, self.panel_in / total))
                _dress(panel, says_times=index + self.columns >= count)
                yield panel
            top -= self._rows(count) * self._row_in + AXIS_IN

    def legend(self, figure: Figure, entries: Sequence[Entry]) -> None:
        """One legend for the whole figure, below its heading."""
        figure.legend(
            handles=[_handle(entry) for entry in entries],
            loc="upper left",
            bbox_to_anchor=(0.15 / WIDTH_IN, (self.height_in - 0.64) / self.height_in),
            ncols=len(entries),
            frameon=False,
            borderpad=0,
            borderaxespad=0,
            fontsize=8,
            handlelength=1.8,
            columnspacing=1.4,
        )

    @property
    def _row_in(self) -> float:
        return self.panel_in + TITLE_LINE_IN * self.title_lines + 0.11

    def _rows(self, count: int) -> int:
        return -(-count // self.columns)

    def _group_in(self, heading: str, count: int) -> float:
        return HEADING_IN * bool(heading) + self._rows(count) * self._row_in + AXIS_IN


def split(panel: Axes) -> Axes:
    """Cut a strip off the lower part of a panel; the panel keeps the rest, the strip says the times."""
    left, bottom, width, height = panel.get_position().bounds
    strip = panel.figure.add_axes((left, bottom, width, 0.24 * height), sharex=panel)
    panel.set_position((left, bottom + 0.32 * height, width, 0.68 * height))
    says_times = bool(panel.xaxis.get_tick_params()["labelbottom"])
    _dress(strip, says_times=says_times)
    panel.tick_params(labelbottom=False)
    strip.tick_params(axis="y", labelsize=6.5)
    return strip


def times_of(frame: pd.DataFrame) -> NDArray[np.datetime64]:
    """Times for an axis: matplotlib reads a naive datetime64 as UTC."""
    times: NDArray[np.datetime64] = frame["time"].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()
    return times


def draw_band(panel: Axes, frame: pd.DataFrame, name: str, color: str = BLUE) -> None:
    """Draw an estimate and its 95 % interval."""
    times = times_of(frame)
    panel.fill_between(times, frame[f"{name}_lower"], frame[f"{name}_upper"], color=color, alpha=0.22, linewidth=0)
    panel.plot(times, frame[name], color=color, linewidth=1.3)


def shade(panel: Axes, frame: pd.DataFrame, marked: NDArray[np.bool_], color: str) -> None:
    """Lay stretches of marked rows (k,) in the shade: each from its first row to the row after its last."""
    times = times_of(frame)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(int))).reshape(-1, 2)
    for first, end in edges.tolist():
        # The last row of all reaches as far as the one before it did.
        until = times[end] if end < len(times) else times[-1] + (times[-1] - times[-2] if len(times) > 1 else 0)
        # However short: the edge is what is seen of a single row.
        panel.axvspan(times[first], until, color=color, alpha=0.22, linewidth=2.0, zorder=0)


def draw_steps(panel: Axes, frame: pd.DataFrame, column: str, color: str) -> None:
    """Draw a value that stays until it is changed."""
    panel.plot(times_of(frame), frame[column], color=color, linewidth=1.0, drawstyle="steps-post")


def extent(frame: pd.DataFrame, name: str) -> tuple[float, float]:
    """Lowest and highest of an estimate and its band; (0, 1) where nothing is finite."""
    values = frame[[name, f"{name}_lower", f"{name}_upper"]].to_numpy(dtype=float)
    values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)


def frame_panel(panel: Axes, shown: tuple[float, float], widest: float = 0.0) -> None:
    """Set the vertical range: what is shown with some air, never narrower than a flat line deserves."""
    low, high = shown
    least = max(FLAT_FRACTION * widest, 1e-9 * max(abs(low), abs(high)), 1e-12)
    lacking = max(0.0, least - (high - low))
    # What is never negative is not given room below zero.
    below = min(lacking / 2, low) if low >= 0 else lacking / 2
    air = 0.08 * max(high - low, least)
    panel.set_ylim(low - below - air, high + (lacking - below) + air)


def draw_thresholds(panel: Axes, curve: Curve, *, rises: bool) -> None:
    """Draw thresholds that are near; say those that are far, at the edge that they lie beyond, clear of the curve."""
    bottom, top = panel.get_ylim()
    reach = THRESHOLD_REACH * (top - bottom)
    for label, value in curve.thresholds:
        if bottom - reach <= value <= top + reach:
            low, high = panel.get_ylim()
            panel.set_ylim(min(low, value - 0.1 * reach), max(high, value + 0.1 * reach))
            panel.axhline(value, color=VERMILION, linewidth=1.1, linestyle=DOTTED)
            continue
        above = value > top
        arrow, height, vertical = ("↑", 0.97, "top") if above else ("↓", 0.04, "bottom")
        side, horizontal = (0.01, "left") if rises == above else (0.99, "right")
        panel.text(
            side,
            height,
            f"{arrow} {label} {value:g}",
            transform=panel.transAxes,
            ha=horizontal,
            va=vertical,
            fontsize=7,
            color=VERMILION,
        )


def entitle(panel: Axes, name: str, note: str, lines: int = 1) -> None:
    """Say what a panel shows and what is to be known about it: beside it, or below it where names are long."""
    above = 4 + (lines - 1) * TITLE_LINE_IN * 72
    panel.set_title(name, loc="left", fontsize=8.5, weight="bold", color=INK, pad=above)
    panel.annotate(
        note,
        (1.0 if lines == 1 else 0.0, 1.0),
        xytext=(0, 4),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="right" if lines == 1 else "left",
        fontsize=7.5,
        color="#555555",
    )


def _dress(panel: Axes, *, says_times: bool) -> None:
    """What every panel looks like."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        panel.spines[side].set_color("#BBBBBB")
    panel.grid(visible=True, color="#EBEBEB", linewidth=0.7)
    panel.set_axisbelow(True)
    panel.tick_params(labelsize=7.5, length=2.5, color="#BBBBBB", labelcolor="#444444", labelbottom=says_times)
    locator = AutoDateLocator(tz="UTC", minticks=2, maxticks=5)  # type: ignore[no-untyped-call] # so in matplotlib
    panel.xaxis.set_major_locator(locator)
    formatter = ConciseDateFormatter(  # type: ignore[no-untyped-call] # as above
        locator, tz="UTC", show_offset=False, formats=DATES, zero_formats=DATES_AT_ZERO
    )
    panel.xaxis.set_major_formatter(formatter)
    panel.yaxis.set_major_locator(MaxNLocator(nbins=4))
    # Whole values: an offset ("+2e1") above the axis would hide what the numbers are.
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.8g}"))


def _handle(entry: Entry) -> Line2D | Patch:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    if entry.filled:
        return Patch(color=entry.color, alpha=0.22, linewidth=0, label=entry.label)
    return Line2D(
        [],
        [],
        color=entry.color,
        linestyle=entry.line,
        marker=entry.marker,
        linewidth=1.3,
        markersize=5,
        label=entry.label,
    )
