"""What a window has published follows what its results are now, whatever is killed in between."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest

from twin_assets.errors import TwinError
from twin_assets.historian import SqlHistorian
from twin_assets.spec import TwinSpec
from twin_assets.stages import CALIBRATED_COEFFICIENTS, PUBLISHED, REFUSED, VIRTUAL_SENSORS
from twin_assets.stages.lineage import is_current
from twin_assets.stages.publish import publish_window, published_properties, published_samples, refuse_window
from twin_assets.stages.verdicts import Verdict
from twin_assets.store import Store
from twin_assets.windows import Window

Verb = Literal["publish", "refuse"]
MakeSpec = Callable[..., TwinSpec]

BAD = Verdict("finite", passed=False, description="no number")
FIRST, SECOND, THIRD = (("10:00", "10:20"), 1.0), (("10:20", "10:40"), 2.0), (("10:40",), 3.0)
Results = tuple[tuple[str, ...], float]


class KilledError(Exception):
    """The process ends here."""


@dataclass
class Desk:
    """A historian and a store with one window's results in it."""

    historian: SqlHistorian
    store: Store
    spec: TwinSpec
    day: Window

    def compute(self, results: Results) -> None:
        """Make result tables with some times, all numbers the same."""
        times, value = results
        index = pd.DatetimeIndex([f"2026-01-02 {time}Z" for time in times]).as_unit("ns")
        for stage, stems in (
            (CALIBRATED_COEFFICIENTS, ("wear", "leak")),
            (VIRTUAL_SENSORS, ("torque", "flow_predicted", "pressure_predicted")),
        ):
            columns = [stem + suffix for stem in stems for suffix in ("", "_std", "_lower", "_upper")]
            numbers = pd.DataFrame(value, columns=columns, index=range(len(index)))
            frame = pd.concat([pd.DataFrame({"unit": "pump", "time": index}), numbers], axis=1)
            self.store.write("pump", stage, self.day.key, frame, {})

    def settle(self, verb: Verb, verdict: Verdict = BAD) -> int:
        """Publish the results, or refuse them; how many samples were withdrawn."""
        if verb == "refuse":
            return refuse_window(self.historian, self.store, self.spec, self.day, [verdict])
        tables = [self.store.read("pump", stage, self.day.key) for stage in (CALIBRATED_COEFFICIENTS, VIRTUAL_SENSORS)]
        samples = published_samples(self.spec, *(table for table in tables if table is not None))
        return publish_window(self.historian, self.store, self.spec, self.day, samples).withdrawn

    @property
    def settled(self) -> bool:
        """Whether the window counts as published or refused, as ``live`` asks."""
        return any(is_current(self.store, self.spec, stage, self.day) for stage in (PUBLISHED, REFUSED))

    @property
    def records(self) -> tuple[int, int]:
        """How many windows are noted as published, and as refused."""
        published, refused = (len(self.store.keys("pump", stage)) for stage in (PUBLISHED, REFUSED))
        return published, refused

    def published(self) -> dict[str, float]:
        """Time -> the value that every published property has there."""
        names = tuple(published_properties(self.spec).values())
        found = self.historian.read(("pump",), names, pd.Timestamp("2026-01-01", tz="UTC"), self.day.end)
        by_time = found.groupby(found["time"].dt.strftime("%H:%M"))["value"]
        assert all(len(values) == len(names) and values.min() == values.max() for _, values in by_time)
        return {str(time): float(values.iloc[0]) for time, values in by_time}


@pytest.fixture
def make_desk(tmp_path: Path, spec: TwinSpec, day: Window) -> Iterator[Callable[[str], Desk]]:
    """Desks with a historian and a store of their own."""
    opened = []

    def make(name: str) -> Desk:
        (tmp_path / name).mkdir()
        opened.append(SqlHistorian.sqlite(tmp_path / name / "historian.sqlite"))
        return Desk(opened[-1], Store(tmp_path / name / "store"), spec, day)

    yield make
    for historian in opened:
        historian.close()


@pytest.fixture
def desk(make_desk: Callable[[str], Desk]) -> Desk:
    """One desk."""
    return make_desk("desk")


@pytest.fixture
def killed_before(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Ends the process before the n-th of the steps that leave something behind; a second call lets all of them be."""

    def arm(steps: int) -> None:
        left = iter([*[False] * steps, True, *[False] * 99])
        for owner, name in ((Store, "remove"), (Store, "write"), (SqlHistorian, "write"), (SqlHistorian, "replace")):
            original = getattr(owner, name)

            def mortal(*arguments: object, original: Callable[..., object] = original) -> object:
                if next(left):
                    raise KilledError
                return original(*arguments)

            monkeypatch.setattr(owner, name, mortal)

    return arm


def test_other_times_take_the_place_of_the_first(desk: Desk) -> None:
    """Samples at times that no longer exist are gone, and it is told how many; again, nothing is."""
    desk.compute(FIRST)
    assert desk.settle("publish") == 0
    desk.compute(SECOND)
    assert desk.settle("publish") == 15
    assert desk.published() == {"10:20": 2.0, "10:40": 2.0}
    assert desk.settle("publish") == 0


def test_a_refusal_withdraws_what_was_published(desk: Desk) -> None:
    """Nothing of the window stays, nor does the note that it was published; published again, the refusal is gone."""
    desk.compute(FIRST)
    desk.settle("publish")
    assert desk.records == (1, 0)
    desk.compute(SECOND)
    assert desk.settle("refuse") == 30
    assert desk.published() == {}
    assert desk.records == (0, 1)
    desk.compute(FIRST)
    desk.settle("publish")
    assert desk.published() == {"10:00": 1.0, "10:20": 1.0}
    assert desk.records == (1, 0)


def test_nobody_elses_samples_are_withdrawn(desk: Desk) -> None:
    """Measurements, other windows and other units keep what they have."""
    others = pd.DataFrame(
        [
            ("pump", "flow_meter", "2026-01-02 10:00Z"),
            ("pump", "drive_speed", "2026-01-02 10:00Z"),
            ("pump", "wear", "2026-01-01 23:59Z"),
            ("pump", "wear", "2026-01-03 00:00Z"),
            ("other", "wear", "2026-01-02 10:00Z"),
            ("pump", "renamed_since", "2026-01-02 10:00Z"),
        ],
        columns=["unit", "property", "time"],
    ).assign(value=7.0, quality="GOOD")
    others["time"] = pd.to_datetime(others["time"]).astype("datetime64[ns, UTC]")
    desk.historian.write(others)
    desk.compute(FIRST)
    desk.settle("publish")
    desk.settle("refuse")
    left = desk.historian.read(
        ("other", "pump"),
        tuple(others["property"]),
        pd.Timestamp("2026-01-01", tz="UTC"),
        pd.Timestamp("2026-02-01", tz="UTC"),
    )
    assert sorted(zip(left["unit"], left["property"], left["time"], strict=True)) == sorted(
        zip(others["unit"], others["property"], others["time"], strict=True)
    )


def test_what_was_published_while_fresh_stays(desk: Desk) -> None:
    """Staleness speaks against going on, not against what was found: the same results stay, other ones do not."""
    stale = Verdict("freshness", passed=False, description="silence", holds_from=desk.day.end)
    desk.compute(FIRST)
    desk.settle("publish")
    assert desk.settle("refuse", stale) == 0
    assert desk.published() == {"10:00": 1.0, "10:20": 1.0}
    assert desk.records == (1, 1)
    desk.compute(SECOND)
    assert desk.settle("refuse", stale) == 30
    assert desk.published() == {}
    assert desk.records == (0, 1)


@pytest.mark.parametrize("steps", range(5))
@pytest.mark.parametrize("now", ["publish", "refuse"])
@pytest.mark.parametrize("before", ["publish", "refuse", None])
def test_killed_anywhere_and_run_again(
    desk: Desk,
    make_desk: Callable[[str], Desk],
    killed_before: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
    before: Verb | None,
    now: Verb,
    steps: int,
) -> None:
    """Killed before any step, the window is not taken for settled; run again, it ends as if nobody had been killed."""
    if before is not None:
        desk.compute(FIRST)
        desk.settle(before)
    desk.compute(SECOND)
    killed_before(steps)
    try:
        desk.settle(now)
    except KilledError:
        assert not desk.settled
    else:
        assert steps >= 2, "it always takes two steps that leave something behind"
    monkeypatch.undo()
    desk.settle(now)
    assert desk.settled
    clean = make_desk("clean")
    clean.compute(SECOND)
    clean.settle(now)
    assert desk.published() == clean.published()
    assert desk.records == clean.records


@pytest.mark.parametrize("steps", range(3))
def test_published_unnoticed_and_refused_then(desk: Desk, killed_before: Callable[[int], None], steps: int) -> None:
    """What a killed run had published without noting it is withdrawn, too, when the window is refused after all."""
    desk.compute(FIRST)
    killed_before(steps)
    with pytest.raises(KilledError):
        desk.settle("publish")
    desk.compute(THIRD)
    desk.settle("refuse")
    assert desk.published() == {}
    assert desk.records == (0, 1)


@pytest.mark.parametrize("steps", range(3))
def test_the_same_results_judged_otherwise(desk: Desk, killed_before: Callable[[int], None], steps: int) -> None:
    """Results as they were, refused by a check that had passed them: killed anywhere, the refusal is made up for."""
    desk.compute(FIRST)
    desk.settle("publish")
    killed_before(steps)
    with pytest.raises(KilledError):
        desk.settle("refuse")
    if steps:
        assert not desk.settled
    desk.settle("refuse")
    assert desk.published() == {}
    assert desk.records == (0, 1)


def test_what_was_never_published_costs_nothing(desk: Desk) -> None:
    """Refusing it writes nothing to the historian."""
    desk.compute(FIRST)
    properties = tuple(published_properties(desk.spec).values())
    assert desk.settle("refuse") == 0
    assert desk.historian.units() == ()
    assert desk.historian.arrivals(("pump",), properties).cursor == 0
    one = published_samples(desk.spec, *(_one(stems) for stems in (("wear", "leak"), ("torque",))))
    desk.historian.write(one)
    assert desk.historian.arrivals(("pump",), properties).cursor == 1


def test_discovered_units_are_replaced(desk: Desk, make_spec: MakeSpec) -> None:
    """Units that the historian names, by what they measure, are the ones whose results are replaced."""
    desk.spec = make_spec(units="discovered")
    measured = pd.DataFrame(
        {"unit": ["pump"], "property": ["flow_meter"], "time": [desk.day.start], "value": 1.0, "quality": "GOOD"}
    )
    desk.historian.write(measured)
    for results, times in ((FIRST, ["10:00", "10:20"]), (SECOND, ["10:20", "10:40"])):
        desk.compute(results)
        desk.settle("publish")
        assert list(desk.published()) == times
    desk.settle("refuse")
    assert desk.published() == {}


def _one(stems: tuple[str, ...]) -> pd.DataFrame:
    """A result table with one row."""
    columns = [stem + suffix for stem in stems for suffix in ("", "_std", "_lower", "_upper")]
    time = pd.DatetimeIndex(["2026-01-02 10:00Z"]).as_unit("ns")
    return pd.DataFrame({"unit": ["pump"], "time": time, **dict.fromkeys(columns, np.float64(1.0))})


def test_what_nobody_published_is_never_withdrawn(desk: Desk) -> None:
    """Measured under what is a result's name by now: neither refusing nor publishing a window takes a sample away."""
    name = next(iter(published_properties(desk.spec).values()))
    times = pd.date_range(desk.day.start, periods=20, freq="7min")
    measured = pd.DataFrame({"unit": "pump", "property": name, "time": times.as_unit("ns"), "value": 7.0})
    desk.historian.write(measured.assign(quality="GOOD"))
    desk.compute(FIRST)
    assert desk.settle("refuse") == 0
    desk.settle("publish")
    found = desk.historian.read(("pump",), (name,), desk.day.start, desk.day.end)
    assert set(times) - set(found["time"]) == set()


def test_what_the_historian_rejects_changes_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that was set back: the window's published samples stay, it counts as unsettled, and is made up for."""
    desk.compute(FIRST)
    desk.settle("publish")
    before, clock = desk.published(), desk.historian._clock
    monkeypatch.setattr(desk.historian, "_clock", lambda: desk.day.start - pd.Timedelta(days=1))
    desk.compute(SECOND)
    with pytest.raises(TwinError, match="did not take"):
        desk.settle("publish")
    assert desk.published() == before
    assert not desk.settled
    monkeypatch.setattr(desk.historian, "_clock", clock)
    desk.settle("publish")
    assert desk.settled
    assert desk.published() != before


def test_what_turns_valid_takes_the_place_of_what_was_uncertain(desk: Desk) -> None:
    """Each time has one sample a property, of the quality that its row has now: none of before stays beside it."""
    desk.compute(FIRST)
    for valid, quality in ((False, "UNCERTAIN"), (True, "GOOD")):
        table = desk.store.read("pump", VIRTUAL_SENSORS, desk.day.key)
        assert table is not None
        flagged = table.assign(valid=valid, why_not="" if valid else "speed = 9")
        desk.store.write("pump", VIRTUAL_SENSORS, desk.day.key, flagged, {})
        desk.settle("publish")
        assert desk.published() == {"10:00": 1.0, "10:20": 1.0}
        found = desk.historian.read(("pump",), ("shaft_torque", "wear"), desk.day.start, desk.day.end)
        assert set(found["quality"][found["property"] == "shaft_torque"]) == {quality}
        assert set(found["quality"][found["property"] == "wear"]) == {"GOOD"}
