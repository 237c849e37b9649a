"""One run at a time works on a twin, and a killed one is not waited for."""

import subprocess
import sys
from pathlib import Path

import pytest

from twin_assets.errors import TwinError
from twin_assets.turns import Turns, is_taken

HOLD = """
import sys, time
from pathlib import Path
from twin_assets.turns import Turns
with Turns(Path(sys.argv[1]), print) as turns:
    turns.take("line")
    print("taken", flush=True)
    time.sleep(60)
"""


def test_a_turn_is_given_back(tmp_path: Path) -> None:
    """Taken while the run lasts, and free after it; other twins are not concerned."""
    assert not is_taken(tmp_path, "line")
    with Turns(tmp_path, print) as turns:
        turns.take("line")
        turns.take("line")
        assert is_taken(tmp_path, "line")
        assert not is_taken(tmp_path, "pump")
    assert not is_taken(tmp_path, "line")


def test_another_process_waits_and_says_so(tmp_path: Path) -> None:
    """A turn that another process has is waited for; when patience ends, the message says what to do."""
    told: list[str] = []
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "taken\n"
            assert is_taken(tmp_path, "line")
            with (
                Turns(tmp_path, told.append, patience_s=0.1) as turns,
                pytest.raises(TwinError, match=r"another run has been at work for 0 s.*line\.lock"),
            ):
                turns.take("line")
            assert told == ["Another run of twin 'line' is at work; this one waits for its turn."]
        finally:
            other.kill()
    assert not is_taken(tmp_path, "line")
    with Turns(tmp_path, told.append) as turns:
        turns.take("line")


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """A file where the folder should be is a message, not a traceback."""
    (tmp_path / "turns").write_text("")
    with Turns(tmp_path / "turns", print) as turns, pytest.raises(TwinError, match="the lock cannot be taken"):
        turns.take("line")
