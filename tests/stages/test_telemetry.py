"""Telemetry: the window's samples of the twin's channels, with a cursor that depends on that window alone."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from twin_assets.historian import SqlHistorian
from twin_assets.spec import TwinSpec
from twin_assets.stages.telemetry import channel_properties, read_telemetry, resolve_units
from twin_assets.windows import Window

Samples = Callable[..., pd.DataFrame]


@pytest.fixture
def historian(tmp_path: Path) -> Iterator[SqlHistorian]:
    """An empty historian."""
    with SqlHistorian.sqlite(tmp_path / "historian.sqlite") as opened:
        yield opened


def test_channels_are_what_is_measured(spec: TwinSpec) -> None:
    """Sources of measurements and measured inputs; constants and virtual sensors are not read."""
    assert channel_properties(spec) == ("drive_speed", "flow_meter", "pressure")


def test_window_is_read_half_open(spec: TwinSpec, day: Window, historian: SqlHistorian, samples: Samples) -> None:
    """The sample at the window's end, other properties and other units stay out."""
    historian.write(samples("pressure", ("2026-01-01 23:59:59", 0), ("00:00", 1), ("23:59", 2), ("2026-01-03", 3)))
    historian.write(samples("shaft_torque", ("10:00", 9)))
    historian.write(samples("pressure", ("10:00", 9), unit="other"))
    assert read_telemetry(historian, spec, ("pump",), day).frame["value"].tolist() == [1.0, 2.0]


def test_cursor_is_of_the_window_alone(spec: TwinSpec, day: Window, historian: SqlHistorian, samples: Samples) -> None:
    """Arrivals elsewhere leave it, so that the same samples always make the same table; arrivals here raise it."""
    assert read_telemetry(historian, spec, ("pump",), day).cursor == 0
    historian.write(samples("pressure", ("10:00", 1)))
    first = read_telemetry(historian, spec, ("pump",), day)
    assert first.metadata["cursor"] == str(first.cursor) != "0"
    historian.write(samples("pressure", ("2026-01-05 10:00", 1)))
    historian.write(samples("shaft_torque", ("10:00", 1)))
    assert read_telemetry(historian, spec, ("pump",), day).metadata == first.metadata
    historian.write(samples("pressure", ("10:01", 1)))
    assert read_telemetry(historian, spec, ("pump",), day).cursor > first.cursor


def test_arrivals_asked_for_earlier_give_an_earlier_cursor(
    spec: TwinSpec, day: Window, historian: SqlHistorian, samples: Samples
) -> None:
    """What arrives in between is read, and counted as new once more: never the other way round."""
    historian.write(samples("pressure", ("10:00", 1)))
    arrivals = historian.arrivals(("pump",), channel_properties(spec))
    historian.write(samples("pressure", ("10:01", 1)))
    early = read_telemetry(historian, spec, ("pump",), day, arrivals)
    assert len(early.frame) == 2
    assert early.cursor < read_telemetry(historian, spec, ("pump",), day).cursor


def test_units_are_listed_named_or_discovered(
    make_spec: Callable[..., TwinSpec], historian: SqlHistorian, samples: Samples
) -> None:
    """As listed; one named like the twin; or those that hold something measured (an input alone does not count)."""
    for unit, name in (("b", "pressure"), ("a", "flow_meter"), ("c", "drive_speed")):
        historian.write(samples(name, ("10:00", 1), unit=unit))
    assert resolve_units(make_spec(units=["p2", "p1"]), historian) == ("p2", "p1")
    assert resolve_units(make_spec(), historian) == ("pump",)
    assert resolve_units(make_spec(units="discovered"), historian) == ("a", "b")
