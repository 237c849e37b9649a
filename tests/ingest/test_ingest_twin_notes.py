"""What a recording means for a twin is said, and its results stay apart from what was recorded."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from twin_assets.ingest import Recording, drop_published, notes
from twin_assets.spec import TwinSpec

Read = Callable[..., Recording]
WriteFile = Callable[[str, str | bytes | pd.DataFrame], Path]


@pytest.fixture(name="spec")
def _spec() -> TwinSpec:
    return TwinSpec.model_validate(
        {
            "name": "line",
            "model": {"fmu": "line.fmu"},
            "start": "2026-01-01",
            "inputs": [{"name": "speed"}, {"name": "load", "constant": 1.0}],
            "coefficients": [{"name": "b1", "initial": 0.1, "initial_std": 0.1}],
            "measurements": [{"name": "Roller1_w", "noise_std": 0.1}],
            "virtual_sensors": [{"name": "tension", "property": "S1_Tension_N"}],
        }
    )


def test_a_complete_recording_needs_no_words(read: Read, write_file: WriteFile, spec: TwinSpec) -> None:
    """Measurements and measured inputs are there, after the twin's start: nothing to say."""
    recording = read(write_file("a.csv", "time,speed,Roller1_w,other\n2026-01-01T00:00Z,1,2,3\n"))
    assert drop_published(recording, spec).properties == recording.properties
    assert notes(recording, spec) == []


def test_results_are_not_mixed_with_what_was_recorded(read: Read, write_file: WriteFile, spec: TwinSpec) -> None:
    """Columns under whose names the twin publishes are left out, and the way to keep them is said."""
    header = "time,speed,Roller1_w,b1,S1_Tension_N,S1_Tension_N_lower,Roller1_w_predicted,tension\n"
    recording = drop_published(read(write_file("a.csv", header + "2026-01-01T00:00Z,1,2,3,4,5,6,7\n")), spec)
    assert recording.properties == ("Roller1_w", "speed", "tension")
    (note,) = notes(recording, spec)
    assert note.startswith("Left out 'Roller1_w_predicted', 'S1_Tension_N', 'S1_Tension_N_lower', 'b1': the twin pub")
    assert "another `property` in twin.yaml" in note


def test_what_the_twin_misses_is_told_with_the_nearest_name(read: Read, write_file: WriteFile, spec: TwinSpec) -> None:
    """A property by another name is the usual reason."""
    found = notes(read(write_file("a.csv", "time,speed,roller_1_w,note\n2026-01-01T00:00Z,1,2,ok\n")), spec)
    assert found[0] == "Left out 'note': holds no numbers."
    assert found[1].startswith("The twin reads 'Roller1_w', which is not in this recording. Nearest: 'roller_1_w'.")
    assert len(found) == 2


def test_samples_before_the_first_window_are_told(read: Read, write_file: WriteFile, spec: TwinSpec) -> None:
    """They are kept, but no window would ever read them: the date to set is said."""
    path = write_file("a.csv", "time,speed,Roller1_w\n2025-12-30T00:00Z,1,2\n2026-01-01T00:00Z,1,2\n")
    (note,) = notes(read(path), spec)
    assert note.startswith("2 samples lie before the twin's first window, 2026-01-01.")
    assert "`start: 2025-12-30`" in note


def test_many_names_are_shortened(read: Read, write_file: WriteFile, spec: TwinSpec) -> None:
    """Fifty columns left out are one line."""
    names = [f"note{number}" for number in range(8)]
    text = f"time,speed,Roller1_w,{','.join(names)}\n2026-01-01T00:00Z,1,2{',x' * 8}\n"
    assert notes(read(write_file("a.csv", text)), spec)[0].endswith("'note4', 'note5' and 2 more: holds no numbers.")


def test_a_recorded_constant_is_told(read: Read, write_file: WriteFile, spec: TwinSpec) -> None:
    """A column that the twin holds constant is kept but not read: the way to use it is said."""
    (note,) = notes(read(write_file("a.csv", "time,speed,Roller1_w,load\n2026-01-01T00:00Z,1,2,3\n")), spec)
    assert note.startswith("The recording holds 'load', which twin.yaml gives as constant 1:")
    assert "`property: load`" in note
