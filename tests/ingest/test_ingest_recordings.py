"""Good recordings: every layout and format comes out as the same samples."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from twin_assets.historian import SAMPLE_COLUMNS
from twin_assets.ingest import Recording, RecordingError, RecordingOptions, UnitChoice, read_recording
from twin_assets.ingest import tables as ingest_tables

Read = Callable[..., Recording]
WriteFile = Callable[[str, str | bytes | pd.DataFrame], Path]

WIDE = """time,Roller1_w,Roller2_w
2026-01-01T00:00:00Z,20.5,
2026-01-01T00:20:00Z,-1e-3,.25
"""
LONG = """Property,Value,Time,Quality
Roller1_w,20.5,2026-01-01T00:00:00Z,good
Roller1_w,-1e-3,2026-01-01T00:20:00Z,GOOD
Roller2_w,.25,2026-01-01T00:20:00Z,GOOD
"""
ROWS = [
    ("line_1", "Roller1_w", "2026-01-01T00:00:00+00:00", 20.5, "GOOD"),
    ("line_1", "Roller1_w", "2026-01-01T00:20:00+00:00", -1e-3, "GOOD"),
    ("line_1", "Roller2_w", "2026-01-01T00:20:00+00:00", 0.25, "GOOD"),
]


def rows(recording: Recording) -> list[tuple[object, ...]]:
    """Samples as plain tuples, times as ISO text."""
    assert tuple(recording.samples.columns) == SAMPLE_COLUMNS
    assert str(recording.samples["time"].dtype) == "datetime64[ns, UTC]"
    plain = recording.samples.assign(time=[time.isoformat() for time in recording.samples["time"]])
    return [tuple(row) for row in plain.astype(object).to_numpy().tolist()]


@pytest.mark.parametrize("text", [WIDE, LONG], ids=["wide", "long"])
@pytest.mark.parametrize(
    "change",
    [
        lambda text: text,
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace(",", ";"),
        lambda text: text.replace(",", "\t"),
        lambda text: text.replace(",", " , "),
        lambda text: text.replace("\n", "\n\n"),
        lambda text: text.rstrip("\n"),
        lambda text: text.replace("time", "Time [UTC]").replace("Time,", "Time [UTC],"),
        lambda text: text.replace("Z", "+00:00"),
        lambda text: text.replace("T00:", " 01:").replace("Z", "+01:00"),
    ],
    ids=[
        "plain",
        "bom",
        "crlf",
        "semicolons",
        "tabs",
        "spaces",
        "blank lines",
        "no last newline",
        "brackets",
        "offset",
        "berlin",
    ],
)
def test_text_in_its_usual_variations_is_the_same_recording(
    read: Read, write_file: WriteFile, text: str, change: Callable[[str], str]
) -> None:
    """Wide or long, whatever exported it: the same samples."""
    assert rows(read(write_file("a.csv", change(text)))) == ROWS


def test_gzip_is_read_whatever_it_is_called(read: Read, write_file: WriteFile) -> None:
    """The format is told by the file's first bytes."""
    packed = write_file("a.csv.gz", WIDE)
    assert rows(read(packed)) == ROWS
    assert rows(read(packed.rename(packed.with_name("a.csv")))) == ROWS


@pytest.mark.parametrize("dtype", ["float64", "float32", "string", "category", "object"])
def test_parquet_is_the_same_recording(read: Read, write_file: WriteFile, dtype: str) -> None:
    """Wide Parquet with times as times, whatever type the values have."""
    time = pd.to_datetime(["2026-01-01T00:00Z", "2026-01-01T00:20Z"])
    values = ["20.5", "-0.5"] if dtype in ("string", "category", "object") else [20.5, -0.5]
    frame = pd.DataFrame({"time": time, "Roller1_w": values}).astype({"Roller1_w": dtype})
    assert [row[3] for row in rows(read(write_file("a.parquet", frame)))] == [20.5, -0.5]


def test_long_parquet_with_categories(read: Read, write_file: WriteFile) -> None:
    """Dictionary-encoded names, and a value that is missing."""
    time = pd.to_datetime(["2026-01-01T00:00Z"] * 2)
    frame = pd.DataFrame({"time": time, "property": pd.Categorical(["a", "b"]), "value": [1.0, None]})
    assert [row[1:2] + row[3:] for row in rows(read(write_file("a.parquet", frame)))] == [("a", 1.0, "GOOD")]


def test_a_time_index_of_parquet_is_found_by_its_type(read: Read, write_file: WriteFile) -> None:
    """Pandas stores an index without a name under a name of its own."""
    index = pd.to_datetime(["2026-01-01T00:00Z", "2026-01-01T00:20Z"])
    recording = read(write_file("a.parquet", pd.DataFrame({"Roller1_w": [1, 2]}, index=index)))
    assert recording.properties == ("Roller1_w",)
    assert len(recording.samples) == 2


def test_whole_numbers_and_switches_are_values(read: Read, write_file: WriteFile) -> None:
    """Integers beyond what a float holds exactly are rounded, true is 1."""
    frame = pd.DataFrame({"time": pd.to_datetime(["2026-01-01T00:00Z"]), "count": [2**60 + 1], "on": [True]})
    assert [row[3] for row in rows(read(write_file("a.parquet", frame)))] == [float(2**60), 1.0]


@pytest.mark.parametrize("cell", ["", " ", "nan", "NaN", "NA", "null", "None", "#N/A"])
def test_a_cell_that_means_nothing_is_no_sample(read: Read, write_file: WriteFile, cell: str) -> None:
    """Nothing measured is nothing stored; zero is a value."""
    text = f"time,a\n2026-01-01T00:00Z,{cell}\n2026-01-01T00:20Z,0\n"
    assert [row[3] for row in rows(read(write_file("a.csv", text)))] == [0.0]


def test_rows_of_empty_cells_are_passed_over(read: Read, write_file: WriteFile) -> None:
    """Spreadsheets append them."""
    assert rows(read(write_file("a.csv", WIDE + ",,\n , ,\n"))) == ROWS


def test_columns_without_numbers_are_left_out_and_told(read: Read, write_file: WriteFile) -> None:
    """A comment column, an empty one and a nameless index do not keep the rest out."""
    text = ",time,a,comment,empty\n0,2026-01-01T00:00Z,1,started,\n1,2026-01-01T00:20Z,2,,\n"
    recording = read(write_file("a.csv", text))
    assert recording.properties == ("a",)
    assert recording.skipped == {"": "has no name", "comment": "holds no numbers", "empty": "is empty"}


def test_columns_of_other_types_are_left_out_and_told(read: Read, write_file: WriteFile) -> None:
    """A second column of times in Parquet is no measurement."""
    time = pd.to_datetime(["2026-01-01T00:00Z"])
    recording = read(write_file("a.parquet", pd.DataFrame({"time": time, "stored": time, "a": [1.0]})))
    assert recording.skipped == {"stored": "holds no numbers"}


def test_several_files_are_one_recording(read: Read, write_file: WriteFile) -> None:
    """Files may overlap, repeat each other, come in any order, and differ in format."""
    later = write_file("b.csv", "time,Roller3_w,Roller1_w\n2026-01-01T00:20Z,7,-0.001\n")
    recording = read(later, write_file("a.csv", WIDE), write_file("c.csv.gz", LONG))
    assert recording.properties == ("Roller1_w", "Roller2_w", "Roller3_w")
    assert len(recording.samples) == 4
    assert recording.repeated == 4


def test_a_unit_column_says_which_machine(read: Read, write_file: WriteFile) -> None:
    """One file with two machines, in either layout; the same times and properties do not collide."""
    units = UnitChoice(None, ("line_1", "line_2"))
    wide = "Unit,time,a\nline_1,2026-01-01T00:00Z,1\nline_2,2026-01-01T00:00Z,2\n"
    long = "unit,time,property,value\nline_1,2026-01-01T00:00Z,a,1\nline_2,2026-01-01T00:00Z,a,2\n"
    for text in (wide, long):
        recording = read(write_file("a.csv", text), units=units)
        assert recording.units == ("line_1", "line_2")
        assert [row[0::3] for row in rows(recording)] == [("line_1", 1.0), ("line_2", 2.0)]


def test_a_unit_that_is_said_counts_more_than_a_column(read: Read, write_file: WriteFile) -> None:
    """A column 'unit' may hold rad/s: with --unit it is left alone."""
    text = "time,property,value,unit\n2026-01-01T00:00Z,a,1,rad/s\n"
    assert read(write_file("a.csv", text), units=UnitChoice("line_1", ("line_1",))).units == ("line_1",)
    wide = "time,a,unit\n2026-01-01T00:00Z,1,rad/s\n"
    assert read(write_file("b.csv", wide), units=UnitChoice("x", None)).properties == ("a",)


def test_qualities_of_one_time_coexist(read: Read, write_file: WriteFile) -> None:
    """Another quality is another sample, as in the historian."""
    text = "time,property,value,quality\n2026-01-01T00:00Z,a,1,BAD\n2026-01-01T00:00Z,a,2,uncertain\n"
    assert [row[3:] for row in rows(read(write_file("a.csv", text)))] == [(2.0, "UNCERTAIN"), (1.0, "BAD")]


def test_a_layout_that_is_said_is_kept(read: Read, write_file: WriteFile) -> None:
    """Columns that look like a long recording can be properties of a wide one."""
    recording = read(write_file("a.csv", "time,value,name\n2026-01-01T00:00Z,1,2\n"), layout="wide")
    assert recording.properties == ("name", "value")


def test_sorting_is_done_where_it_is_asked_for(read: Read, write_file: WriteFile) -> None:
    """With --sort, times in any order are the same recording."""
    header, *lines = WIDE.splitlines()
    assert rows(read(write_file("a.csv", "\n".join([header, *reversed(lines)])), sort=True)) == ROWS


def test_each_property_of_a_long_recording_has_its_own_order(read: Read, write_file: WriteFile) -> None:
    """Property by property, or time by time: both are in order."""
    by_time = [LONG.splitlines()[0], *sorted(LONG.splitlines()[1:], key=lambda line: line.split(",")[2])]
    assert rows(read(write_file("a.csv", "\n".join(by_time)))) == ROWS


def test_files_larger_than_a_block_keep_their_line_numbers(
    read: Read, write_file: WriteFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read in blocks of a few lines, the recording and the line of a wrong cell are the same."""
    monkeypatch.setattr(ingest_tables, "BLOCK_BYTES", 64)
    lines = [f"2026-01-01T00:{minute:02d}:00Z,{minute}" for minute in range(60)]
    text = "\n".join(["time,a", *lines])
    assert len(read(write_file("a.csv", text)).samples) == 60
    with pytest.raises(RecordingError, match=r"b\.csv:42: column 'a': found 'x'"):
        read(write_file("b.csv", text.replace("00:40:00Z,40", "00:40:00Z,x")))


def test_progress_tells_the_bytes_of_all_files(write_file: WriteFile) -> None:
    """It rises to the size of all files, Parquet among them."""
    frame = pd.DataFrame({"time": pd.to_datetime(["2026-01-01T00:40Z"]), "a": [1.0]})
    paths = [write_file("a.csv", WIDE), write_file("b.parquet", frame)]
    told: list[int] = []
    now = pd.Timestamp("2026-02-01", tz="UTC")
    read_recording(paths, UnitChoice("line_1", None), RecordingOptions(), now, told.append)
    assert told == sorted(told)
    assert told[-1] == sum(path.stat().st_size for path in paths)
