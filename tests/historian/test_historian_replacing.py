"""What every historian promises of replacing a range: the new samples and no others, or nothing at all."""

from collections.abc import Callable

import pandas as pd
import pytest

from twin_assets.historian import Historian

Samples = Callable[..., pd.DataFrame]
Everything = Callable[[Historian], pd.DataFrame]

UNITS = ("line_1",)
PROPERTIES = ("Roller1_w",)
DAY = (pd.Timestamp("2026-01-01T00:00Z"), pd.Timestamp("2026-01-02T00:00Z"))


def values(rows: pd.DataFrame) -> dict[tuple[str, str, str], float]:
    """Value of each sample by unit, property and time."""
    keys = zip(rows["unit"], rows["property"], rows["time"].dt.strftime("%dT%H:%M"), strict=True)
    return dict(zip(keys, rows["value"], strict=True))


def test_what_is_not_written_again_is_withdrawn(historian: Historian, samples: Samples, everything: Everything) -> None:
    """The range holds the new samples and no others; it is half-open, and what lies outside of it stays."""
    historian.write(samples("2025-12-31T23:59", "2026-01-01T00:00", "2026-01-01T10:00", "2026-01-02T00:00"))
    new = samples("2026-01-01T10:00", "2026-01-01T11:00", value=2.0)
    report = historian.replace(UNITS, PROPERTIES, *DAY, new)
    assert (report.written, report.withdrawn, len(report.rejected)) == (2, 1, 0)
    assert everything(historian)["time"].dt.strftime("%dT%H:%M").tolist() == [
        "31T23:59",
        "01T10:00",
        "01T11:00",
        "02T00:00",
    ]
    assert everything(historian)["value"].tolist() == [1.0, 2.0, 2.0, 1.0]


def test_only_what_was_named_is_withdrawn(historian: Historian, samples: Samples, everything: Everything) -> None:
    """Other units and other properties keep their samples; names that nothing is known of are no error."""
    for unit, name in (("line_1", "b9"), ("line_1", "Roller9_w"), ("line_2", "b9"), ("line_2", "Roller9_w")):
        historian.write(samples("2026-01-01T10:00", unit=unit, property=name))
    report = historian.replace(("line_1", "unknown"), ("b9", "unknown"), *DAY, samples())
    assert report.withdrawn == 1
    assert set(values(everything(historian))) == {
        ("line_1", "Roller9_w", "01T10:00"),
        ("line_2", "b9", "01T10:00"),
        ("line_2", "Roller9_w", "01T10:00"),
    }


def test_every_quality_is_withdrawn(historian: Historian, samples: Samples, everything: Everything) -> None:
    """A time that is written again as GOOD keeps no BAD sample beside it."""
    historian.write(samples(*["2026-01-01"] * 3, quality=["GOOD", "UNCERTAIN", "BAD"]))
    assert historian.replace(UNITS, PROPERTIES, *DAY, samples("2026-01-01")).withdrawn == 2
    assert everything(historian)["quality"].tolist() == ["GOOD"]


def test_what_was_withdrawn_is_known_nowhere(historian: Historian, samples: Samples) -> None:
    """After its last sample a property is gone, and so is its unit; the newest sample is the newest that is left."""
    historian.write(samples("2025-12-31", "2026-01-01T10:00"))
    historian.write(samples("2026-01-01T10:00", property="b9"))
    historian.write(samples("2026-01-01T10:00", property="b9", unit="line_2"))
    historian.replace(("line_1", "line_2"), ("Roller1_w", "b9"), *DAY, samples())
    assert historian.units() == ("line_1",)
    assert historian.properties("line_1") == ("Roller1_w",)
    assert historian.properties("line_2") == ()
    latest = historian.latest(("line_1", "line_2"), ("Roller1_w", "b9"))
    assert latest["time"].tolist() == [pd.Timestamp("2025-12-31", tz="UTC")]


def test_withdrawn_samples_can_be_written_again(historian: Historian, samples: Samples, everything: Everything) -> None:
    """They come back as if they had never been there, and arrive."""
    historian.write(samples("2026-01-01T10:00"))
    historian.replace(UNITS, PROPERTIES, *DAY, samples())
    cursor = historian.arrivals(UNITS, PROPERTIES).cursor
    assert historian.replace(UNITS, PROPERTIES, *DAY, samples("2026-01-01T10:00")).written == 1
    assert historian.arrivals(UNITS, PROPERTIES).cursor > cursor
    assert len(everything(historian)) == 1


def test_replacing_by_the_same_is_no_arrival(historian: Historian, samples: Samples) -> None:
    """What is there already stays; whoever publishes the same again is no news."""
    frame = samples("2026-01-01T00:00", "2026-01-01T10:00")
    historian.write(frame)
    before = historian.arrivals(UNITS, PROPERTIES)
    report = historian.replace(UNITS, PROPERTIES, *DAY, frame)
    assert (report.written, report.withdrawn) == (2, 0)
    after = historian.arrivals(UNITS, PROPERTIES)
    assert after.cursor == before.cursor
    pd.testing.assert_frame_equal(after.buckets, before.buckets)


def test_a_withdrawal_arrives_in_its_hour(historian: Historian, samples: Samples) -> None:
    """Who follows the cursor learns of it; the hours that were left alone do not show."""
    historian.write(samples("2025-12-31T23:30", "2025-12-31T22:30", "2026-01-01T00:30", "2026-01-01T05:00"))
    cursor = historian.arrivals(UNITS, PROPERTIES).cursor
    start, end = pd.Timestamp("2025-12-31T23:00Z"), pd.Timestamp("2026-01-01T05:00Z")
    historian.replace(UNITS, PROPERTIES, start, end, samples("2026-01-01T00:30"))
    arrivals = historian.arrivals(UNITS, PROPERTIES, since=cursor)
    assert arrivals.buckets["start"].tolist() == [start]
    assert arrivals.buckets["samples"].tolist() == [1]
    assert arrivals.cursor > cursor


def test_a_withdrawal_before_1970_arrives_in_its_hour(sql_historian: Historian, samples: Samples) -> None:
    """In SQL, whose division would round such hours upwards."""
    sql_historian.write(samples("1969-12-31T23:30", "1969-12-31T22:30"))
    cursor = sql_historian.arrivals(UNITS, PROPERTIES).cursor
    start, end = pd.Timestamp("1969-12-31T23:00Z"), pd.Timestamp("1970-01-01T00:00Z")
    assert sql_historian.replace(UNITS, PROPERTIES, start, end, samples()).withdrawn == 1
    assert sql_historian.arrivals(UNITS, PROPERTIES, since=cursor).buckets["start"].tolist() == [start]


def test_nothing_in_the_place_of_nothing_is_nothing(historian: Historian, samples: Samples) -> None:
    """A range that holds nothing is withdrawn without a trace."""
    historian.write(samples("2026-01-03"))
    before = historian.arrivals(UNITS, PROPERTIES)
    assert historian.replace(UNITS, PROPERTIES, *DAY, samples()).withdrawn == 0
    assert historian.replace(UNITS, ("b9",), *DAY, samples()).withdrawn == 0
    assert historian.arrivals(UNITS, PROPERTIES).cursor == before.cursor
    assert historian.properties("line_1") == PROPERTIES
    historian.write(samples("2026-01-04"))
    assert historian.arrivals(UNITS, PROPERTIES).cursor == before.cursor + 1


def test_where_a_row_is_rejected_nothing_is_replaced(
    historian: Historian, samples: Samples, everything: Everything
) -> None:
    """It comes back with its reason, as from a write; neither is anything withdrawn nor anything else stored."""
    historian.write(samples("2026-01-01T00:00", "2026-01-01T10:00"))
    before = everything(historian)
    new = samples("2026-01-01T10:00", "2026-01-01T11:00", value=[float("nan"), 3.0])
    report = historian.replace(UNITS, PROPERTIES, *DAY, new)
    assert (report.written, report.withdrawn) == (0, 0)
    assert "no finite number" in report.rejected["reason"].iloc[0]
    pd.testing.assert_frame_equal(everything(historian), before)


@pytest.mark.parametrize(
    "wrong",
    [{"unit": "line_2"}, {"property": "b9"}, {"time": [DAY[1]]}, {"time": [DAY[0] - pd.Timedelta(1, "ns")]}],
)
def test_samples_outside_are_refused(
    historian: Historian, samples: Samples, wrong: dict[str, object], everything: Everything
) -> None:
    """What another call would not withdraw again is a mistake of the caller's, and nothing is changed."""
    historian.write(samples("2026-01-01T10:00"))
    new = samples("2026-01-01T11:00", **wrong)
    with pytest.raises(ValueError, match="lies outside of what is replaced"):
        historian.replace(UNITS, PROPERTIES, *DAY, new)
    assert list(values(everything(historian))) == [("line_1", "Roller1_w", "01T10:00")]
