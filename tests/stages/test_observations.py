"""Observations: which samples make one, which are not trusted and why, and that none is lost or used twice."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from twin_assets.spec import TwinSpec
from twin_assets.stages.observations import observe, telemetry_windows
from twin_assets.windows import Window, WindowGrid

Samples = Callable[..., pd.DataFrame]
MakeSpec = Callable[..., TwinSpec]
NIGHT = pd.Timestamp("2026-01-03", tz="UTC")


def at(text: str) -> pd.Timestamp:
    """A time of the day under test."""
    return pd.Timestamp(f"2026-01-02 {text}", tz="UTC")


def reasons(frame: pd.DataFrame, name: str) -> list[str]:
    """Reasons of a channel, in order."""
    return [str(reason) for reason in frame[f"{name}_reason"]]


def test_value_is_the_mean_of_the_good_samples_in_the_cell(spec: TwinSpec, day: Window, samples: Samples) -> None:
    """The cell is [t, t + every), labelled t; bad samples do not count."""
    telemetry = samples("flow_meter", ("10:00", 1), ("10:19:59.999999999", 3), ("10:20", 50), ("10:10", 9, "BAD"))
    frame = observe(spec, ("pump",), day, telemetry, NIGHT).frame
    assert frame["time"].tolist() == [at("10:00"), at("10:20")]
    assert frame["flow"].tolist() == [2.0, 50.0]
    assert reasons(frame, "flow") == ["", ""]
    assert frame["time"].dtype == "datetime64[ns, UTC]"


def test_columns_are_those_of_the_contract(spec: TwinSpec, day: Window, samples: Samples) -> None:
    """Also without a single sample or unit, and with the same types."""
    expected = ["unit", "time", "flow", "flow_reason", "pressure", "pressure_reason"]
    expected += ["speed", "speed_reason", "head", "head_reason"]
    filled = observe(spec, ("pump",), day, samples("pressure", ("10:00", 1)), NIGHT).frame
    empty = observe(spec, ("pump",), day, pd.DataFrame(), NIGHT).frame
    assert list(filled.columns) == expected
    assert len(filled) == 1
    pd.testing.assert_series_equal(filled.dtypes, empty.dtypes)
    pd.testing.assert_frame_equal(empty, observe(spec, (), day, samples("pressure", ("10:00", 1)), NIGHT).frame)


def test_observation_waits_until_it_is_complete(spec: TwinSpec, day: Window, samples: Samples) -> None:
    """A cell is given when its end is not after now, and until then the metadata says when it will be."""
    telemetry = samples("pressure", ("10:00", 1), ("10:20", 2))
    early = observe(spec, ("pump",), day, telemetry, at("10:39:59"))
    assert early.frame["time"].tolist() == [at("10:00")]
    assert early.metadata == {"open_until": at("10:40").isoformat()}
    due = observe(spec, ("pump",), day, telemetry, at("10:40"))
    assert due.frame["time"].tolist() == [at("10:00"), at("10:20")]
    assert due.metadata == {}


def test_good_quality_wins_at_one_time(spec: TwinSpec, day: Window, samples: Samples) -> None:
    """Of one time with several qualities only the good sample counts, whatever their order."""
    rows = [("10:00", 7, "BAD"), ("10:00", 4, "GOOD"), ("10:00", 5, "UNCERTAIN")]
    for order in (rows, rows[::-1]):
        frame = observe(spec, ("pump",), day, samples("pressure", *order), NIGHT).frame
        assert frame["pressure"].tolist() == [4.0]


@pytest.mark.parametrize("quality", ["BAD", "UNCERTAIN"])
def test_what_is_not_good_is_told(spec: TwinSpec, day: Window, samples: Samples, quality: str) -> None:
    """Another quality, and a good quality on what is no finite number, are the reason "quality"."""
    telemetry = samples("pressure", ("10:00", 1, quality), ("10:20", np.nan), ("10:40", np.inf))
    frame = observe(spec, ("pump",), day, telemetry, NIGHT).frame
    assert frame["pressure"].isna().all()
    assert reasons(frame, "pressure") == ["quality"] * 3
    assert reasons(frame, "flow") == ["missing"] * 3


def test_out_of_range_is_told(spec: TwinSpec, day: Window, samples: Samples) -> None:
    """The limits themselves are inside; out of range is told before bad quality, and neither spoils a good sample."""
    telemetry = samples(
        "flow_meter",
        ("10:00", 0),
        ("10:20", 100),
        ("10:40", -0.01),
        ("11:00", 101),
        ("11:01", 5, "BAD"),
        ("11:20", 101),
        ("11:21", 50),
    )
    frame = observe(spec, ("pump",), day, telemetry, NIGHT).frame
    assert reasons(frame, "flow") == ["", "", "range", "range", ""]
    assert frame["flow"].tolist()[4] == 50.0


def test_stuck_counts_from_the_moment_it_has_lasted(spec: TwinSpec, day: Window, samples: Samples) -> None:
    """stuck_after is 2 h: samples before that stay, samples from then on are stuck, a change ends it."""
    rows = [(f"{hour:02}:{minute:02}", 3.25) for hour in (10, 11, 12) for minute in (0, 20, 40)]
    telemetry = samples("pressure", *rows, ("13:00", 3.26), ("13:20", 3.25))
    frame = observe(spec, ("pump",), day, telemetry, NIGHT).frame
    assert reasons(frame, "pressure") == [""] * 6 + ["stuck"] * 3 + [""] * 2


def test_stuck_looks_back_into_the_window_before(
    spec: TwinSpec, grid: WindowGrid, day: Window, samples: Samples
) -> None:
    """A sensor that froze yesterday evening is stuck from midnight on; the rows are today's alone."""
    assert [window.key for window in telemetry_windows(spec, grid, day)] == ["2026-01-01", "2026-01-02"]
    telemetry = samples("pressure", ("2026-01-01 22:00", 3), ("2026-01-01 23:00", 3), ("00:00", 3), ("00:20", 4))
    frame = observe(spec, ("pump",), day, telemetry, NIGHT).frame
    assert frame["time"].tolist() == [at("00:00"), at("00:20")]
    assert reasons(frame, "pressure") == ["stuck", ""]


def test_bad_samples_do_not_end_a_stuck_stretch(spec: TwinSpec, day: Window, samples: Samples) -> None:
    """A bad sample in between says nothing about whether the sensor moves."""
    telemetry = samples("pressure", ("10:00", 3), ("11:00", 9, "BAD"), ("12:00", 3))
    frame = observe(spec, ("pump",), day, telemetry, NIGHT).frame
    assert reasons(frame, "pressure") == ["", "quality", "stuck"]


def test_nothing_is_stuck_without_the_setting(spec: TwinSpec, day: Window, samples: Samples) -> None:
    """The flow meter has no stuck_after: it may stand still."""
    frame = observe(spec, ("pump",), day, samples("flow_meter", ("01:00", 3), ("23:00", 3)), NIGHT).frame
    assert reasons(frame, "flow") == ["", ""]


def test_later_samples_do_not_change_earlier_verdicts(spec: TwinSpec, day: Window, recorded: Samples) -> None:
    """Causal: the rows until noon are the same whether the afternoon is known or not."""
    telemetry = recorded("2026-01-01", "2026-01-03")
    telemetry.loc[telemetry["property"] == "pressure", "value"] = 3.0
    whole = observe(spec, ("pump",), day, telemetry, NIGHT).frame
    until = observe(spec, ("pump",), day, telemetry[telemetry["time"] < at("12:00")], at("12:00")).frame
    pd.testing.assert_frame_equal(until, whole.iloc[: len(until)])
    assert len(until) == 36


def test_input_is_held_until_it_is_too_old(spec: TwinSpec, day: Window, samples: Samples) -> None:
    """Mean in the cell; else the last good value, which holds for 1 h; else NaN and why."""
    telemetry = pd.concat(
        [
            samples("pressure", *((time, 1) for time in ("00:00", "10:00", "10:20", "11:10", "11:21", "12:40"))),
            samples("drive_speed", ("10:00", 8), ("10:10", 10), ("12:41", 7, "BAD")),
        ]
    )
    frame = observe(spec, ("pump",), day, telemetry, NIGHT).frame
    assert frame["time"].dt.strftime("%H:%M").tolist() == ["00:00", "10:00", "10:20", "11:00", "11:20", "12:40"]
    np.testing.assert_array_equal(frame["speed"], [np.nan, 9, 10, 10, np.nan, np.nan])
    assert reasons(frame, "speed") == ["missing", "", "", "", "missing", "quality"]
    assert frame["head"].tolist() == [2.0] * 6
    assert reasons(frame, "head") == [""] * 6


def test_input_is_held_across_midnight(spec: TwinSpec, day: Window, samples: Samples) -> None:
    """Yesterday's last setpoint is today's first."""
    telemetry = pd.concat([samples("pressure", ("00:00", 1)), samples("drive_speed", ("2026-01-01 23:30", 8))])
    assert observe(spec, ("pump",), day, telemetry, NIGHT).frame["speed"].tolist() == [8.0]


def test_units_do_not_mix(spec: TwinSpec, day: Window, samples: Samples) -> None:
    """Each unit has its own rows, in the order asked for; units that were not asked for have none."""
    telemetry = pd.concat(
        [samples("pressure", ("10:00", 1), unit=unit) for unit in ("a", "b", "c")]
        + [samples("drive_speed", ("10:00", 8), unit="a")]
    )
    frame = observe(spec, ("b", "a"), day, telemetry, NIGHT).frame
    assert frame["unit"].tolist() == ["b", "a"]
    np.testing.assert_array_equal(frame["speed"], [np.nan, 8.0])


def test_operating_conditions_alone_are_no_observation(spec: TwinSpec, day: Window, samples: Samples) -> None:
    """Without any measured sample there is nothing to compare, hence no row; a bad one makes a row."""
    assert observe(spec, ("pump",), day, samples("drive_speed", ("10:00", 8)), NIGHT).frame.empty
    assert len(observe(spec, ("pump",), day, samples("pressure", ("10:00", 8, "BAD")), NIGHT).frame) == 1


@pytest.mark.parametrize(("every", "window"), [("7min", "daily"), ("45min", "hourly"), ("20min", "10 * * * *")])
def test_no_sample_is_lost_or_used_twice(make_spec: MakeSpec, samples: Samples, every: str, window: str) -> None:
    """Where the grid of observations does not meet the windows' boundaries, cells are cut there."""
    spec = make_spec(align={"every": every}, window=window)
    grid = WindowGrid.of(spec)
    minutes = pd.date_range("2026-01-02 20:00", "2026-01-03 04:00", freq="min", inclusive="left")
    telemetry = samples("flow_meter", *((str(time), number / 10) for number, time in enumerate(minutes)))
    seen, labels = 0.0, []
    for each in grid.between(minutes[0].tz_localize("UTC"), minutes[-1].tz_localize("UTC")):
        frame = observe(spec, ("pump",), each, telemetry, NIGHT + pd.Timedelta("1D")).frame
        assert ((frame["time"] >= each.start) & (frame["time"] < each.end)).all()
        ends = np.minimum((frame["time"] + pd.Timedelta(every)).dt.floor(every), pd.Series(each.end, index=frame.index))
        inside = [
            telemetry["value"][(telemetry["time"] >= s) & (telemetry["time"] < e)]
            for s, e in zip(frame["time"], ends, strict=True)
        ]
        np.testing.assert_allclose(frame["flow"], [part.mean() for part in inside], rtol=1e-12)
        seen += sum(len(part) for part in inside)
        labels += frame["time"].tolist()
    assert seen == len(minutes)
    assert labels == sorted(set(labels))


def test_times_within_the_tolerance_are_one_observation(make_spec: MakeSpec, day: Window, samples: Samples) -> None:
    """Without a grid: groups begin at a sample and span at most the tolerance (1 s), so they cannot chain."""
    spec = make_spec(align={"tolerance": "1s"})
    telemetry = pd.concat(
        [
            samples("flow_meter", ("10:00:00", 1), ("10:00:01.6", 5)),
            samples("pressure", ("10:00:00.8", 2), ("10:00:01", 4)),
            samples("drive_speed", ("10:00:00.5", 8)),
        ]
    )
    frame = observe(spec, ("pump",), day, telemetry, NIGHT).frame
    assert frame["time"].tolist() == [at("10:00"), at("10:00:01.6")]
    assert frame["flow"].tolist() == [1.0, 5.0]
    np.testing.assert_array_equal(frame["pressure"], [3.0, np.nan])
    assert frame["speed"].tolist() == [8.0, 8.0]


def test_a_group_waits_for_its_tolerance(make_spec: MakeSpec, day: Window, samples: Samples) -> None:
    """Another channel's sample may still come; after the tolerance, or the window, none can."""
    spec = make_spec(align={"tolerance": "10s"})
    telemetry = samples("pressure", ("10:00:00", 1), ("23:59:55", 2))
    assert observe(spec, ("pump",), day, telemetry, at("10:00:10")).frame.empty
    assert len(observe(spec, ("pump",), day, telemetry, at("10:00:10.000000001")).frame) == 1
    assert len(observe(spec, ("pump",), day, telemetry, NIGHT).frame) == 2


def test_a_day_of_seconds_is_observed(make_spec: MakeSpec, day: Window) -> None:
    """1.2 million samples of 14 channels become 1,440 rows of exact means."""
    names = [f"m{i}" for i in range(14)]
    spec = make_spec(
        measurements=[{"name": name, "noise_std": 1, "stuck_after": "1h"} for name in names], align={"every": "1min"}
    )
    times = pd.date_range(day.start, day.end, freq="s", inclusive="left").as_unit("ns")
    values = np.arange(len(times)) % 60
    telemetry = pd.concat(
        [
            pd.DataFrame({"unit": "pump", "property": n, "time": times, "value": values, "quality": "GOOD"})
            for n in names
        ]
    )
    frame = observe(spec, ("pump",), day, telemetry, NIGHT).frame
    assert frame[names].shape == (1440, 14)
    assert (frame[names] == 29.5).all(axis=None)


def test_in_transient_mode_inputs_make_observations_too(
    make_spec: Callable[..., TwinSpec], recorded: Callable[..., pd.DataFrame]
) -> None:
    """How the speed moved is known also where no meter said anything; in steady state nobody needs to know."""
    telemetry = recorded("2026-01-01T00:00", "2026-01-01T02:00")
    late = telemetry["time"] >= pd.Timestamp("2026-01-01T01:00", tz="UTC")
    telemetry = telemetry[(telemetry["property"] == "drive_speed") | late]
    counts = {}
    for mode in ({}, {"mode": "transient", "memory_s": 3600}):
        spec = make_spec(model={"fmu": "pump.fmu", **mode})
        window = WindowGrid.of(spec).parse("2026-01-01")
        frame = observe(spec, ("pump",), window, telemetry, window.end).frame
        counts[len(mode)] = (len(frame), int(frame["flow"].notna().sum()), int(frame["speed"].notna().sum()))
    assert counts == {0: (3, 3, 3), 2: (6, 3, 6)}
