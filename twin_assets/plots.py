"""Pictures of results, for the Dagster UI and for files: small multiples, one panel a quantity, grouped by unit.

Belongs here: which quantities of which tables a picture shows. How they are drawn is ``panels``' business; nothing is
read or computed that the tables do not say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from io import BytesIO
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twin_assets import panels
from twin_assets.panels import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, VERMILION, Curve, Entry, Sheet
from twin_assets.spec import MeasurementSpec, TwinSpec
from twin_assets.spec_names import HELD
from twin_assets.stages.validity import invalid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 110
STRIP_SIGMAS = 4.0  # how far the strips of what is left reach
SMALL = 1e-3  # below this, numbers are told as powers of ten
# How a value that was not used is drawn, by the reason that the tables give.
REASONS = {
    "gated": Entry("gated by the filter", VERMILION, marker="X"),
    "stuck": Entry("stuck", PURPLE, marker="s"),
    "quality": Entry("bad quality", ORANGE, marker="D"),
    "range": Entry("out of range", GREEN, marker="^"),
    "missing": Entry("missing", GREY, marker="|"),
    "suspect": Entry("a suspect's", GREEN, marker="v"),
    "model": Entry("without an answer of the model", INK, marker="x"),
}
PUBLISHED = Entry("published", ORANGE, line="-")
ESTIMATE = (Entry("estimate", BLUE, line="-"), Entry("95 % interval", BLUE, filled=True))
SMOOTHED = (
    Entry("smoothed", BLUE, line="-"),
    Entry("95 % interval", BLUE, filled=True),
    Entry("at the time", ORANGE, line="-"),
    Entry("95 % interval", ORANGE, filled=True),
)
INVALID = Entry("not valid (why_not)", GREY, filled=True)
PREDICTED = (
    Entry("measured", INK, marker="."),
    Entry("predicted", BLUE, line="-"),
    Entry("95 % interval", BLUE, filled=True),
)


def coefficients_figure(
    spec: TwinSpec, coefficients: pd.DataFrame, truth: pd.DataFrame | None = None, *, unit: str | None = None
) -> Figure:
    """Coefficients over time with their 95 % band and limit, and what was published of them, where it was held.

    Args:
        spec: the twin.
        coefficients: table ``calibrated_coefficients``.
        truth: ``time`` and one column a coefficient (``unit`` if several), drawn dashed; where it is known.
        unit: which machine; the first one without it.
    """
    curves = _coefficient_curves(spec)
    frame, title = _of_unit(spec, coefficients, unit)
    return _estimates(f"{title}: calibrated coefficients", curves, frame, truth, _sheet(curves, 3, 1.25))


def smoothed_figure(
    spec: TwinSpec, smoothed: pd.DataFrame, coefficients: pd.DataFrame, *, unit: str | None = None
) -> Figure:
    """Coefficients as they are known afterwards, before what was known of them at the time.

    Args:
        spec: the twin.
        smoothed: table ``smoothed_coefficients``.
        coefficients: table ``calibrated_coefficients`` of the same windows.
        unit: which machine; the first one without it.
    """
    curves = _coefficient_curves(spec)
    frame, title = _of_unit(spec, smoothed, unit)
    then = _same_unit(coefficients, frame)
    title = f"{title}: coefficients, smoothed backwards"
    return _estimates(title, curves, frame, None, _sheet(curves, 3, 1.25), then)


def virtual_sensors_figure(
    spec: TwinSpec, virtual_sensors: pd.DataFrame, truth: pd.DataFrame | None = None, *, unit: str | None = None
) -> Figure:
    """Virtual sensors over time with their 95 % band and alarm thresholds, grouped by unit of measure.

    Args:
        spec: the twin.
        virtual_sensors: table ``virtual_sensors``.
        truth: ``time`` and one column a virtual sensor, drawn dashed; where it is known.
        unit: which machine; the first one without it.
    """
    curves = []
    for sensor in spec.virtual_sensors:
        alarm = {} if sensor.alarm is None else {"low": sensor.alarm.low, "high": sensor.alarm.high}
        thresholds = tuple((f"{side} alarm", value) for side, value in alarm.items() if value is not None)
        curves.append(Curve(sensor.name, sensor.unit or "", thresholds))
    frame, title = _of_unit(spec, virtual_sensors, unit)
    return _estimates(f"{title}: virtual sensors", curves, frame, truth, _sheet(curves, 4, 0.95, title_lines=2))


def measured_predicted_figure(
    spec: TwinSpec,
    observations: pd.DataFrame,
    virtual_sensors: pd.DataFrame,
    ukf_state: pd.DataFrame | None = None,
    *,
    unit: str | None = None,
) -> Figure:
    """Measurements beside what the calibrated model predicts for them; what was not used is marked by its reason.

    Args:
        spec: the twin.
        observations: table ``observations``.
        virtual_sensors: table ``virtual_sensors`` with the ``<measurement>_predicted`` columns.
        ukf_state: table ``ukf_state``, whose reasons add what the filter gated.
        unit: which machine; the first one without it.
    """
    frame, title = _of_unit(spec, observations, unit)
    predicted = _same_unit(virtual_sensors, frame)
    later = None if ukf_state is None else _same_unit(ukf_state, frame).drop_duplicates("time").set_index("time")
    curves = [Curve(m.name, m.unit or "") for m in spec.measurements]
    sheet = _sheet(curves, 3, 1.7)
    figure = sheet.figure(
        f"{title}: measured and predicted", f"{_span(frame)}; below each: measured minus predicted, in noise_std"
    )
    by_name = {m.name: m for m in spec.measurements}
    seen: set[str] = set()
    flagged = invalid(predicted)
    for curve, panel in zip(_grouped(curves, sheet.columns), sheet.panels(figure), strict=True):
        reasons = _reasons(frame, later, curve.name)
        noise_std = _noise_std(by_name[curve.name], frame, later)
        _measured_panel(panel, by_name[curve.name].name, noise_std, frame, predicted, reasons)
        panels.shade(panel, predicted, flagged, GREY)
        seen |= set(np.unique(reasons))
    marked = [INVALID] if flagged.any() else []
    sheet.legend(figure, [*PREDICTED, *marked, *(entry for reason, entry in REASONS.items() if reason in seen)])
    return figure


def png(figure: Figure) -> bytes:
    """The figure as PNG; equal figures give equal bytes (no time stamp, no version in it)."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def _coefficient_curves(spec: TwinSpec) -> list[Curve]:
    return [Curve(c.name, c.unit or "", () if c.limit is None else (("limit", c.limit),)) for c in spec.coefficients]


def _estimates(
    title: str,
    curves: Sequence[Curve],
    frame: pd.DataFrame,
    truth: pd.DataFrame | None,
    sheet: Sheet,
    then: pd.DataFrame | None = None,
) -> Figure:
    """A figure of estimates with their bands, thresholds and, if given, the truth, or what was known at the time."""
    figure = sheet.figure(title, _span(frame))
    known = None if truth is None else _same_unit(truth, frame)
    shown = frame if then is None else pd.concat([then, frame])
    extents = {curve.name: panels.extent(shown, curve.name) for curve in curves}
    widest: dict[str, float] = {}
    flagged = invalid(frame)
    for curve in curves:
        low, high = extents[curve.name]
        widest[curve.unit] = max(widest.get(curve.unit, 0.0), high - low)
    for curve, panel in zip(_grouped(curves, sheet.columns), sheet.panels(figure), strict=True):
        if then is not None:
            panels.draw_band(panel, then, curve.name, ORANGE)
        panels.draw_band(panel, frame, curve.name)
        panels.shade(panel, frame, flagged, GREY)
        if curve.name + HELD in frame:
            panels.draw_steps(panel, frame, curve.name + HELD, PUBLISHED.color)
        if known is not None and curve.name in known.columns:
            panel.plot(panels.times_of(known), known[curve.name], color=INK, linewidth=1.0, linestyle=panels.DASHED)
        panels.frame_panel(panel, extents[curve.name], widest[curve.unit])
        rises = not frame.empty and bool(frame[curve.name].iloc[-1] > frame[curve.name].iloc[0])
        panels.draw_thresholds(panel, curve, rises=rises)
        panels.entitle(panel, curve.name, _latest(frame, curve), sheet.title_lines)
    entries = list(ESTIMATE if then is None else SMOOTHED)
    if flagged.any():
        entries.append(INVALID)
    if any(curve.name + HELD in frame for curve in curves):
        entries.append(PUBLISHED)
    if known is not None:
        entries.append(Entry("truth", INK, line=panels.DASHED))
    if any(curve.thresholds for curve in curves):
        entries.append(Entry(_threshold_label(curves), VERMILION, line=panels.DOTTED))
    sheet.legend(figure, entries)
    return figure


def _threshold_label(curves: Sequence[Curve]) -> str:
    """What the thresholds of a figure are called: limit or alarm."""
    labels = {label.split()[-1] for curve in curves for label, _ in curve.thresholds}
    return " or ".join(sorted(labels))


def _measured_panel(
    panel: Axes,
    name: str,
    noise_std: float | NDArray[np.float64],
    frame: pd.DataFrame,
    predicted: pd.DataFrame,
    reasons: NDArray[np.str_],
) -> None:
    """Draw one measurement and its prediction; below, what is left between them in noise_std, and what was not used."""
    strip = panels.split(panel)
    panels.draw_band(panel, predicted, f"{name}_predicted")
    times, values = panels.times_of(frame), frame[name].to_numpy(dtype=float)
    # What met no answer of the model is a good value all the same.
    good, used = (np.isin(reasons, told) & ~np.isnan(values) for told in (["", "model"], [""]))
    panel.plot(times[good], values[good], ".", color=INK, markersize=2.6, alpha=0.75, zorder=2.5)
    low, high = panels.extent(predicted, f"{name}_predicted")
    panels.frame_panel(panel, (min([low, *values[good]]), max([high, *values[good]])))
    by_time = predicted.drop_duplicates("time").set_index("time")[f"{name}_predicted"]
    rest = (values - by_time.reindex(frame["time"]).to_numpy(dtype=float)) / noise_std
    # What has no trusted value stands on the lower edge; what lies beyond the strip, at the edge that it left by.
    heights = np.clip(np.where(np.isnan(rest), -STRIP_SIGMAS, rest), -STRIP_SIGMAS, STRIP_SIGMAS)
    strip.plot(times[used], heights[used], ".", color=INK, markersize=2.0, alpha=0.75)
    for reason, entry in REASONS.items():
        hit = reasons == reason
        strip.plot(times[hit], heights[hit], entry.marker, color=entry.color, markersize=4.0, zorder=3, clip_on=False)
    strip.set_ylim(-STRIP_SIGMAS - 1, STRIP_SIGMAS + 1)
    strip.set_yticks([-3, 0, 3])
    rejected = int(np.isin(reasons, [reason for reason in REASONS if reason not in {"missing", "model"}]).sum())
    panels.entitle(panel, name, f"{rejected} of {len(frame)} rejected" if rejected else "")


def _noise_std(
    measurement: MeasurementSpec, frame: pd.DataFrame, later: pd.DataFrame | None
) -> float | NDArray[np.float64]:
    """Noise of every observation as the filter estimated it, where it is not given; NaN where that is not known."""
    if measurement.noise_std is not None:
        return measurement.noise_std
    column = f"{measurement.name}_noise_std"
    if later is None or column not in later:
        return np.nan
    return np.asarray(later[column].reindex(frame["time"]), dtype=np.float64)


def _reasons(frame: pd.DataFrame, later: pd.DataFrame | None, name: str) -> NDArray[np.str_]:
    """Reason of every observation: the filter's where it has one (``later``, by time), else the observation's own."""
    column = f"{name}_reason"
    own = frame[column].fillna("").to_numpy(dtype=np.str_)
    if later is None:
        return own
    # Why a suspect is one, "suspect: bias", is said elsewhere.
    found = later[column].reindex(frame["time"]).str.partition(":")[0]
    return np.where(found.notna().to_numpy(), found.fillna("").to_numpy(dtype=np.str_), own)


def _of_unit(spec: TwinSpec, table: pd.DataFrame, unit: str | None) -> tuple[pd.DataFrame, str]:
    """Rows of one machine by time, and the title that says which."""
    units = sorted(table["unit"].unique())
    chosen = unit or (units[0] if units else "")
    which = f", {chosen}" if chosen else ""
    more = f" (one of {len(units)} units)" if len(units) > 1 else ""
    return table[table["unit"] == chosen].sort_values("time"), f"{spec.label}{which}{more}"


def _same_unit(table: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of another table that belong to the machine of ``frame``, by time."""
    if "unit" in table.columns:
        table = table[table["unit"].isin(frame["unit"].unique())]
    return table.sort_values("time")


def _latest(frame: pd.DataFrame, curve: Curve) -> str:
    """The newest estimate with its interval, with the digits that the interval's width warrants."""
    if frame.empty:
        return "nothing yet"
    value, low, high = (float(frame[column].iloc[-1]) for column in _columns(curve.name))
    if not np.isfinite(high - low):
        return "not finite"
    largest = max(abs(low), abs(high))
    if 0 < largest < SMALL:
        return f"{value:.1e} {_pretty(curve.unit)} ({low:.1e} … {high:.1e})"
    most = 5 - int(np.floor(np.log10(largest))) if largest > 0 else 3
    digits = max(min(1 - int(np.floor(np.log10(high - low))), most), 0) if high > low else max(most, 0)
    return f"{value:.{digits}f} {_pretty(curve.unit)} ({low:.{digits}f} … {high:.{digits}f})"


def _columns(name: str) -> tuple[str, str, str]:
    return name, f"{name}_lower", f"{name}_upper"


def _pretty(unit: str) -> str:
    return unit.replace(".", "·")


def _sheet(curves: Sequence[Curve], columns: int, panel_in: float, title_lines: int = 1) -> Sheet:
    """A block of panels for each unit of measure that fills a row; the others share one."""
    ordered = _grouped(curves, columns)
    counts = Counter(curve.unit for curve in curves)
    blocks = groupby(ordered, key=lambda curve: curve.unit if counts[curve.unit] >= columns else None)
    groups = []
    for _, block in blocks:
        members = list(block)
        units = dict.fromkeys(_pretty(curve.unit) for curve in members if curve.unit)
        groups.append((", ".join(units), len(members)))
    return Sheet(tuple(groups), columns, panel_in, title_lines)


def _grouped(curves: Sequence[Curve], columns: int) -> list[Curve]:
    """Curves of one unit of measure side by side; units in the order in which they come, those that are few last."""
    counts = Counter(curve.unit for curve in curves)
    order = list(counts)
    return sorted(curves, key=lambda curve: (counts[curve.unit] < columns, order.index(curve.unit)))


def _span(frame: pd.DataFrame) -> str:
    """The times that a figure covers."""
    if frame.empty:
        return "no observations yet"
    first, last = frame["time"].iloc[0], frame["time"].iloc[-1]
    return f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC, {len(frame)} times"
