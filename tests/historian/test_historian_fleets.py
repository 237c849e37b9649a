"""What every historian promises a fleet: any number of names in one call, and answers as for one machine."""

from collections.abc import Callable
from functools import partial

import pandas as pd

from twin_assets.historian import Historian

Samples = Callable[..., pd.DataFrame]

LONG_AGO, NOW = pd.Timestamp("1700-01-01", tz="UTC"), pd.Timestamp("2026-02-01T00:00:00Z")
# More than PostgreSQL (65,535) and SQLite (32,766) take as parameters of one question.
MANY = tuple(f"unit {number}" for number in range(70_000))


def test_any_number_of_names_may_be_asked_for(historian: Historian, samples: Samples) -> None:
    """Of all that are known and unknown, every question answers for those that hold anything."""
    historian.write(samples("2026-01-01", unit=MANY[-1]))
    historian.write(samples("2026-01-01", property=MANY[-2]))
    for units, properties in ((MANY, ("Roller1_w",)), (("line_1",), MANY)):
        assert len(historian.read(units, properties, LONG_AGO, NOW)) == 1
        assert len(historian.latest(units, properties)) == 1
        assert historian.arrivals(units, properties).buckets["samples"].tolist() == [1]


def test_a_fleet_comes_back_as_its_machines_do(historian: Historian, samples: Samples) -> None:
    """Many units in one call: the same frame as unit for unit, one under the other, whatever order they came in."""
    times = ["2026-01-02", "2026-01-01", "2026-01-01T00:00:00.000000001"]
    for unit in ("b", "a 2", "é", "a 10", "'", 'quoted "', "[1]"):
        for name in ("y", "x"):
            frames = [samples(*times, unit=unit, property=name, quality=quality) for quality in ("BAD", "GOOD")]
            historian.write(pd.concat(frames).assign(value=float(len(unit))))
    units, properties = historian.units(), ("x", "y")
    assert len(units) == 7
    for ask in (partial(historian.read, start=LONG_AGO, end=NOW), historian.latest):
        one_by_one = pd.concat([ask((unit,), properties) for unit in units], ignore_index=True)
        pd.testing.assert_frame_equal(ask(units, properties), one_by_one, check_exact=True)
    assert historian.latest(units, properties)["quality"].unique().tolist() == ["GOOD"]
