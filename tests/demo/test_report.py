"""What people read, where a demonstration did not go as it usually does."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from twin_assets.demo.accuracy import Comparison, WorstError
from twin_assets.demo.play import Demonstration, Pass, Publication
from twin_assets.demo.report import as_json, show
from twin_assets.demo.script import Script
from twin_assets.demo.summary import Assessment, Rejected, Slip
from twin_assets.spec import TwinSpec

TIME = pd.Timestamp("2026-01-01T11:40", tz="UTC")


@pytest.fixture
def demo() -> Demonstration:
    """Nothing slips, one window was refused, one interval does not hold, nothing had to be computed again."""
    comparison = Comparison("b1", "N.m.s/rad", TIME, 0.002, 0.005, 0.004, 0.006, held=False, held_share=0.9, rmse=1e-3,
                            rmse_after_slip=None)  # fmt: skip
    assessment = Assessment(
        coefficients=(comparison,),
        virtual_sensors=(),
        coverage_95=0.9,
        coverage_95_after_slip=None,
        virtual_sensor_coverage_95=0.8,
        coefficient_rmse=1e-3,
        virtual_sensor_rmse={"N": 0.1},
        worst=WorstError("S2", "N", TIME, 100.0, 101.0, 1.0, None),
        slip=Slip("Roller9_summary_SlipVelocity", None, None),
        rejected=(Rejected("w1", "missing", 40, 40, 40), Rejected("w3", "missing", 1, 1, 1)),
        updates=36,
        model_runs=684,
    )
    return Demonstration(
        script=Script("web_line", 1, 0.5, "2026-01-01T00:00:00+00:00", "f" * 64),
        unit="line_1",
        assessment=assessment,
        passes=(Pass("r1", ("2026-01-01",), 9.0, 4.0), Pass(None, (), 0.0, 0.0)),
        publications=(Publication("2026-01-01", False, {"finite": "refused"}, {"finite": "NaN found"}),),  # noqa: FBT003 - a value, in place
        files={"coefficients": Path("home/demo/coefficients.png")},
        seconds=12.0,
    )


def _words(demo: Demonstration, spec: TwinSpec) -> str:
    """The summary, as words with single blanks between them."""
    sink = io.StringIO()
    show(demo, spec, Console(file=sink, width=150))
    return " ".join(sink.getvalue().split())


def test_people_read_what_went_wrong(demo: Demonstration, spec: TwinSpec) -> None:
    """A refused window with its reason, an interval that does not hold, a slip that never came."""
    words = _words(demo, spec)
    for said in (
        "Coefficients at the end",
        "0.0040 … 0.0060 no 90.0%",
        "w1 missing 40 40 40",
        "1 channel missing (single) 1 1 1",
        "2026-01-01 no 0 of 1 passed, finite refused",
        "finite refused: NaN found",
        "Slip none in 0.5 days, and none is seen (roller 9 slips after 2.8 days: --days 3)",
        "36 updates, 684 model runs, 4 s",
        "computed again: nothing",
        "home/demo/coefficients.png",
    ):
        assert said in words


@pytest.mark.parametrize(
    ("true", "seen", "days", "said"),
    [
        (TIME, TIME, 3.0, "roller 9 slips from 2026-01-01 11:40, seen from 2026-01-01 11:40"),
        (TIME, None, 3.0, "roller 9 slips from 2026-01-01 11:40, which the twin does not see"),
        (None, TIME, 1.0, "none in 1 day, but roller 9 is seen to slip from 2026-01-01 11:40 (roller 9 slips after"),
        (None, None, 3.0, "none in 3 days, and none is seen Calibration"),
    ],
)
def test_a_slip_is_told_as_it_was(
    demo: Demonstration,
    spec: TwinSpec,
    true: pd.Timestamp | None,
    seen: pd.Timestamp | None,
    days: float,
    said: str,
) -> None:
    """Whether there was one, and whether the twin saw it: four sentences, none of them about 'never'."""
    slip = Slip("Roller9_summary_SlipVelocity", true, seen)
    changed = replace(demo, script=replace(demo.script, days=days), assessment=replace(demo.assessment, slip=slip))
    assert said in _words(changed, spec)


def test_one_window_is_no_windows(demo: Demonstration, spec: TwinSpec) -> None:
    """What late data made the twin compute again, in the singular and in the plural."""
    for windows, said in (("2026-01-01",), "window 2026-01-01, in 8 s"), (("a", "b"), "windows a, b, in 8 s"):
        changed = replace(demo, passes=(demo.passes[0], Pass("r2", windows, 8.0, 1.0)))
        assert f"computed again: {said}" in _words(changed, spec)


def test_machines_read_the_same(demo: Demonstration) -> None:
    """The JSON has every number, no NaN, times in ISO 8601."""
    plain = json.loads(json.dumps(as_json(demo), allow_nan=False))
    assert plain["coverage_95"] == 0.9
    assert plain["coefficients"][0]["time"] == "2026-01-01T11:40:00+00:00"
    assert plain["slip"]["true"] is None
    assert plain["publications"][0]["remarks"] == {"finite": "NaN found"}
    assert plain["calibration_seconds"] == 4.0
    assert plain["files"] == {"coefficients": "home/demo/coefficients.png"}
