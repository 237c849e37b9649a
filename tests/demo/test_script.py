"""Which demonstration a home holds: the same again is fine, another one is refused."""

from pathlib import Path

import pandas as pd
import pytest

from twin_assets.demo.script import SCRIPT_FILE, Script, Wish, agree, demo_folder
from twin_assets.errors import TwinError
from twin_assets.home import Home

NOW = pd.Timestamp("2026-03-05T13:37", tz="UTC")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty home."""
    return Home(tmp_path)


def _agree(home: Home, wish: Wish | None = None, fmu: str = "f" * 64, now: pd.Timestamp = NOW) -> Script:
    return agree(wish or Wish(), "web_line", fmu, home, now)


def test_by_default_three_days_end_at_the_last_midnight(home: Home) -> None:
    """216 times, the last one 20 minutes before midnight (UTC): dashboards are current and every window is over."""
    script = _agree(home)
    assert (script.seed, script.days, len(script.times)) == (1, 3.0, 216)
    assert script.end == pd.Timestamp("2026-03-05", tz="UTC")


@pytest.mark.parametrize("days", [0.2, 0.3, 1 / 6, 1.0, 1.01])
def test_any_number_of_days_ends_at_the_last_midnight(home: Home, days: float) -> None:
    """Days that are no whole number of samples begin on the grid all the same, at most a sample earlier."""
    script = _agree(home, Wish(days=days))
    assert script.end == pd.Timestamp("2026-03-05", tz="UTC")
    assert script.times[0] == script.times[0].floor("20min")
    assert pd.Timedelta(0) <= script.end - pd.Timedelta(days=days) - script.times[0] < pd.Timedelta(minutes=20)


def test_a_day_is_no_days(home: Home) -> None:
    """How long it lasts, in the singular and in the plural."""
    assert [_agree(home, Wish(days=days)).lasts for days in (0.5, 1.0, 2.0)] == ["0.5 days", "1 day", "2 days"]


def test_the_home_keeps_its_demonstration(home: Home) -> None:
    """Tomorrow, without options, the demonstration that is there is meant, not a new one beside it."""
    held = _agree(home, Wish(seed=7, days=1.5))
    held.write(demo_folder(home))
    assert _agree(home, now=NOW + pd.Timedelta(days=1)) == held
    assert _agree(home, Wish(seed=7)) == held


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (Wish(seed=2), "seed 1, not 2"),
        (Wish(days=2.0), "days 3.0, not 2.0"),
        (Wish(start=NOW.floor("D") - pd.Timedelta(days=9)), "start 2026-03-02"),
    ],
)
def test_another_demonstration_is_refused(home: Home, wish: Wish, said: str) -> None:
    """Other parameters than the home's: the message says which, and what to do."""
    _agree(home).write(demo_folder(home))
    with pytest.raises(TwinError) as refused:
        _agree(home, wish)
    assert said in str(refused.value)
    assert "choose another home with --home" in str(refused.value)


def test_another_model_is_another_demonstration(home: Home) -> None:
    """A rebuilt FMU has another truth: it is not mixed with the old one."""
    _agree(home).write(demo_folder(home))
    with pytest.raises(TwinError, match="fmu ffffffffffff…, not eeeeeeeeeeee…"):
        _agree(home, fmu="e" * 64)


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (Wish(days=0.1), "too short"),
        (Wish(start=NOW.floor("D")), "still to come"),
        (Wish(start=pd.Timestamp("2026-01-01T00:07", tz="UTC")), "expected a full hour"),
    ],
)
def test_a_period_that_makes_no_sense_is_refused(home: Home, wish: Wish, said: str) -> None:
    """Too short, in the future, or off the grid."""
    with pytest.raises(TwinError, match=said):
        _agree(home, wish)


def test_a_damaged_script_is_said_so(home: Home) -> None:
    """A file that is none of ours is an error that names it."""
    demo_folder(home).mkdir()
    (demo_folder(home) / SCRIPT_FILE).write_text("{")
    with pytest.raises(TwinError, match=SCRIPT_FILE):
        _agree(home)
