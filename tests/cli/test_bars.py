"""Progress: people see it, pipes and --quiet do not."""

import io

import pytest

from twin_assets.cli.bars import stage_bars
from twin_assets.progress import PARTS_PER_WINDOW, silent, within_window


class Terminal(io.StringIO):
    """A standard error that says it is a terminal."""

    def isatty(self) -> bool:
        """It says so."""
        return True


def test_a_terminal_sees_each_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar for every stage that was told of, with its windows."""
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with stage_bars(quiet=False) as progress:
        within_window(progress, "ukf_state", 0, 3)(72, 72)
        within_window(progress, "ukf_state", 1, 3)(36, 72)
        progress("virtual_sensors", 3 * PARTS_PER_WINDOW, 3 * PARTS_PER_WINDOW)
    drawn = terminal.getvalue()
    assert "ukf state" in drawn
    assert "50 %" in drawn
    assert "1 of 3 windows" in drawn
    assert "virtual sensors" in drawn


def test_a_pipe_sees_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Where standard error is no terminal, nothing is drawn."""
    with stage_bars(quiet=False) as progress:
        assert progress is silent
    assert capsys.readouterr().err == ""


def test_quiet_is_quiet_on_a_terminal_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """--quiet draws nothing anywhere."""
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with stage_bars(quiet=True) as progress:
        progress("telemetry", 1, 1)
    assert terminal.getvalue() == ""
