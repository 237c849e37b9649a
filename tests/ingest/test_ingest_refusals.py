"""Bad recordings: refused with file, line, what was found and what was expected."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from twin_assets.ingest import Recording, RecordingError, UnitChoice

Read = Callable[..., Recording]
WriteFile = Callable[[str, str | bytes | pd.DataFrame], Path]

GOOD_LINE = "2026-01-01T00:00Z,1\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"a\.csv: found no header"),
        ("\n\n", r"a\.csv: found no header"),
        ("time,a\n", r"a\.csv: found no samples; expected numbers below the header"),
        ("time,a\n2026-01-01T00:00Z,inf\n", r"found no samples.*Column 'a' holds no numbers"),
        ("time\n1\n", r"found one column, 'time'; expected a time and values"),
        ("stamp,a\n" + GOOD_LINE, r"found no time column among 'stamp', 'a'.*--time-column"),
        ("time,date,a\n1,2,3\n", r"found more than one time column, 'time', 'date'.*--time-column"),
        ("time,a,a\n" + GOOD_LINE, r"a\.csv:1: found more than one column 'a'"),
        ("time,a\n" + GOOD_LINE + "2026-01-01T00:20Z,1,2\n", r"a\.csv:3: found 3 cells; expected 2"),
        ("time,a\n" + GOOD_LINE + "2026-01-01T00:20Z,ERR\n", r"a\.csv:3: column 'a': found 'ERR'; expected a number"),
        ("time,a\n" + GOOD_LINE + "2026-01-01T00:20Z,1e999\n", r"a\.csv:3: column 'a': found '1e999'"),
        ("time,a\n" + GOOD_LINE + "2026-01-01T00:20Z,x\n2026-01-01T00:40Z,y\n", r"found 'x'.*\(2 such cells"),
        (
            "time,a\n2026-01-01T00:20Z,1\n2026-01-01T00:00Z,2\n",
            r"a\.csv:3: found 'a' at 2026-01-01T00:00:00Z, below 2026-01-01T00:20:00Z of .*a\.csv:2.*--sort",
        ),
        (
            "time,a\n" + GOOD_LINE + "\n2026-01-01T00:00Z,2\n",
            r"a\.csv:4: found 2\.0 for 'a' at 2026-01-01T00:00:00Z, where .*a\.csv:2 has 1\.0",
        ),
        ("time,a\n2026-02-01T00:11Z,1\n", r"a\.csv:2: found the time 2026-02-01T00:11:00Z, which lies in the future"),
        ("time,property,value\n2026-01-01T00:00Z,a,x\n", r"a\.csv:2: column 'value': found 'x'; expected a number"),
        ("time,property,value\n2026-01-01T00:00Z,,1\n", r"a\.csv:2: column 'property': found an empty cell"),
        ("time,property,value,quality\n2026-01-01T00:00Z,a,1,ok\n", r"a\.csv:2: column 'quality': found 'ok'.*GOOD"),
        ("time,unit,a\n2026-01-01T00:00Z,line_9,1\n", r"a\.csv:2: column 'unit': found 'line_9'.*line_1.*--unit"),
    ],
)
def test_a_bad_file_is_refused(read: Read, write_file: WriteFile, text: str, message: str) -> None:
    """What, where, found, expected."""
    with pytest.raises(RecordingError, match=message):
        read(write_file("a.csv", text))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PAR1 and then nothing", r"cannot be read .*expected a CSV or Parquet file"),
        (b"PK\x03\x04 a spreadsheet", r"found an archive or a spreadsheet; expected CSV or Parquet"),
        (gzip.compress(("time,a\n" + GOOD_LINE * 1).encode())[:-9], r"the gzip file is damaged"),
        (b"\x1f\x8b no gzip", r"the gzip file is damaged"),
        (b"time,a\n2026-01-01T00:00Z,1\xff\n", r"save the file as UTF-8"),
        ("time,a\n".encode("utf-16"), r"save the file as UTF-8"),
    ],
    ids=["parquet", "zip", "cut gzip", "no gzip", "latin", "utf-16"],
)
def test_a_damaged_file_is_refused(read: Read, write_file: WriteFile, content: bytes, message: str) -> None:
    """Whatever is wrong with the bytes: one sentence, no traceback of a library."""
    with pytest.raises(RecordingError, match=message):
        read(write_file("a", content))


def test_a_missing_file_and_a_folder_are_refused(read: Read, tmp_path: Path) -> None:
    """What is not there, and what is no file."""
    with pytest.raises(RecordingError, match=r"nowhere\.csv: cannot be read \(No such file"):
        read(tmp_path / "nowhere.csv")
    with pytest.raises(RecordingError, match=r"cannot be read \(Is a directory\)"):
        read(tmp_path)


def test_rows_of_parquet_are_named(read: Read, write_file: WriteFile) -> None:
    """Parquet has no lines; rows are counted from 1."""
    time = pd.to_datetime(["2026-01-01T00:00Z", "2026-01-01T00:20Z"])
    frame = pd.DataFrame({"time": time, "a": [1.0, float("inf")]})
    with pytest.raises(RecordingError, match=r"a\.parquet: row 2: column 'a': found 'inf'"):
        read(write_file("a.parquet", frame))


def test_two_values_of_one_time_in_two_files_are_refused(read: Read, write_file: WriteFile) -> None:
    """Both places are named, for only the user knows which is right."""
    one, two = write_file("one.csv", "time,a\n" + GOOD_LINE), write_file("two.csv", "time,a\n2026-01-01T00:00Z,3\n")
    with pytest.raises(RecordingError, match=r"two\.csv:2: found 3\.0 .* where .*one\.csv:2 has 1\.0"):
        read(one, two)


def test_a_misspelt_time_column_is_answered_with_the_nearest(read: Read, write_file: WriteFile) -> None:
    """The file's columns are listed as well."""
    with pytest.raises(RecordingError, match=r"found no column 'Zeid'\. Nearest: 'Zeit'. Its columns: 'Zeit', 'a'"):
        read(write_file("a.csv", "Zeit,a\n" + GOOD_LINE), time_column="Zeid")


def test_a_long_layout_needs_its_columns(read: Read, write_file: WriteFile) -> None:
    """What was found is listed, the names that are expected are said."""
    with pytest.raises(RecordingError, match=r"found the columns 'time', 'a'; expected 'property' and 'value'"):
        read(write_file("a.csv", "time,a\n" + GOOD_LINE), layout="long")


def test_several_units_need_a_word(read: Read, write_file: WriteFile) -> None:
    """Without a unit column, a twin of two machines asks which; a discovered one asks for any name."""
    path = write_file("a.csv", "time,a\n" + GOOD_LINE)
    with pytest.raises(RecordingError, match=r"--unit NAME of line_1, line_2\."):
        read(path, units=UnitChoice(None, ("line_1", "line_2")))
    with pytest.raises(RecordingError, match=r"--unit NAME\."):
        read(path, units=UnitChoice(None, None))
