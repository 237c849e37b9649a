"""Numbers and times as much of Europe writes them: read where they can mean one thing only, refused otherwise."""

from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from twin_assets.ingest import Recording, RecordingError, TimeOptions
from twin_assets.ingest import tables as ingest_tables

Read = Callable[..., Recording]
WriteFile = Callable[[str, str | bytes | pd.DataFrame], Path]

T0, T1 = "2026-01-01T00:00Z", "2026-01-01T00:20Z"


def values(recording: Recording) -> list[float]:
    """Values by property and time."""
    return [float(value) for value in recording.samples["value"]]


def test_a_european_export_is_read(read: Read, write_file: WriteFile) -> None:
    """Semicolons, decimal commas, blanks and points between thousands, day first, a byte order mark, CRLF."""
    text = (
        "\ufeffZeit;Drehzahl [rad/s];Kraft [N];Zähler\r\n"
        "31.01.2026 13:45:00,500;20,5;1\u00a0234,25;7\r\n"
        "31.01.2026 14:05;-1,5E-03;12.345,0;1 234 567\r\n"
        "01.02.2026 00:00;;\u202f1\u202f234,5;,25\r\n"
    )
    berlin = TimeOptions(timezone=ZoneInfo("Europe/Berlin"))
    recording = read(write_file("a.csv", text), times=berlin, time_column="Zeit")
    assert values(recording) == [20.5, -1.5e-3, 1234.25, 12345.0, 1234.5, 7.0, 1234567.0, 0.25]
    assert recording.samples["time"].iloc[0] == pd.Timestamp("2026-01-31T12:45:00.5Z")
    assert recording.samples["time"].iloc[-1] == pd.Timestamp("2026-01-31T23:00Z")
    assert [told.split("a.csv")[1] for told in recording.decimals] == [":2 has '20,5', which is 20.5."]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_wide_and_long_have_the_same_commas(read: Read, write_file: WriteFile, delimiter: str) -> None:
    """Whatever parts the columns, as long as it is no comma; whole numbers are the same in both styles."""
    wide = f"time,a\n{T0},1\n{T1},1.5\n".replace(",", delimiter).replace(".", ",")
    long = f"time,property,value\n{T0},a,1\n{T1},a,1.5\n".replace(",", delimiter).replace(".", ",")
    for text in (wide, long):
        assert values(read(write_file("a.csv", text))) == [1.0, 1.5]


def test_times_may_count_with_commas_too(read: Read, write_file: WriteFile) -> None:
    """A numeric time column is exact as ever."""
    start = pd.Timestamp("2026-01-01", tz="UTC")
    path = write_file("a.csv", "time_s;a\n0,076000001;1\n1,5;2,5\n")
    times = read(path, times=TimeOptions(start=start)).samples["time"]
    assert [time.value - start.value for time in times] == [76_000_001, 1_500_000_000]


def test_points_are_read_as_ever_and_nothing_is_said(read: Read, write_file: WriteFile) -> None:
    """Semicolons alone make no decimal comma."""
    recording = read(write_file("a.csv", f"time;a\n{T0};1.5\n{T1};2\n"))
    assert values(recording) == [1.5, 2.0]
    assert recording.decimals == ()


def test_three_decimals_are_decimals_where_the_comma_is_free(read: Read, write_file: WriteFile) -> None:
    """After a semicolon 20,512 is 20.512; after a tab it is, if another number shows what commas mean."""
    assert values(read(write_file("a.csv", f"time;a\n{T0};20,512\n"))) == [20.512]
    assert values(read(write_file("b.csv", f"time\ta\n{T0}\t20,512\n{T1}\t0,125\n"))) == [20.512, 0.125]


def test_every_block_of_a_file_is_read_alike(
    read: Read, write_file: WriteFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read in blocks of a few lines, the values are the same, and a point far below is still found."""
    monkeypatch.setattr(ingest_tables, "BLOCK_BYTES", 64)
    lines = [f"2026-01-01T00:{minute:02d}:00Z;{minute},25" for minute in range(60)]
    text = "\n".join(["time;a", *lines])
    np.testing.assert_array_equal(values(read(write_file("a.csv", text))), np.arange(60) + 0.25)
    with pytest.raises(RecordingError, match=r"b\.csv:42: column 'a': found '40\.25', where .*b\.csv:2: .*has '0,25'"):
        read(write_file("b.csv", text.replace("40,25", "40.25")))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f'time,a\n{T0},"1,5"\n', r"a\.csv:2: column 'a': found '1,5'; expected a decimal point.*';' between the col"),
        (f'time,a,b\n{T0},"1,5",2\n', r"a\.csv:2: column 'a': found '1,5'; expected a decimal point"),
        (f'time,property,value\n{T0},a,"1,5"\n', r"a\.csv:2: column 'value': found '1,5'; expected a decimal point"),
        (f'time,a\n{T0},"1,234.5"\n', r"a\.csv:2: column 'a': found '1,234\.5'; expected .* nothing between thousands"),
        (
            f"time;a\n{T0};1,234.5\n",
            r"a\.csv:2: column 'a': found '1,234\.5'.* nothing between thousands\. Export it so",
        ),
        (
            f"time;a\n{T0};1,5\n{T1};2.5\n",
            r"a\.csv:3: column 'a': found '2\.5', where .*a\.csv:2: column 'a' has '1,5'",
        ),
        (f"time;a;b\n{T0};1,5;2.5\n", r"a\.csv:2: column 'b': found '2\.5'.* column 'a' has '1,5'.*one decimal sign"),
        (f"time\ta\n{T0}\t1,234\n", r"a\.csv:2: column 'a': found '1,234', which may be 1\.234 or 1234; expected"),
        (f"time;a\n{T0};1,5\n{T1};1,5 bar\n", r"a\.csv:3: column 'a': found '1,5 bar'; expected a number"),
        (f"time,a\n{T0},1,5\n", r"a\.csv:2: found 3 cells; expected 2.*commas are decimal signs too.*';'"),
        (
            f"sep=;\ntime;a\n{T0};1,5\n",
            r"a\.csv:1: found sep=;, .*expected the names of the columns\. Remove this line",
        ),
        ("Zeit;a\n31.01.2026 13:45;1,5\n", r"found no time column among 'Zeit', 'a'.*--time-column"),
        (
            "time;a\n31.13.2026 13:45;1,5\n",
            r"a\.csv:2: column 'time': found '31\.13\.2026 13:45'; expected an ISO 8601",
        ),
    ],
)
def test_what_may_mean_two_things_is_refused(read: Read, write_file: WriteFile, text: str, message: str) -> None:
    """File, line, what was found, and how to export it instead."""
    with pytest.raises(RecordingError, match=message):
        read(write_file("a.csv", text))


def test_text_of_parquet_with_commas_is_refused(read: Read, write_file: WriteFile) -> None:
    """A column of text that holds numbers with commas is not left out as one that holds none."""
    frame = pd.DataFrame({"time": pd.to_datetime([T0, T1]), "a": ["1,5", "2,5"], "b": [1.0, 2.0]})
    with pytest.raises(RecordingError, match=r"a\.parquet: row 1: column 'a': found '1,5'.*\(2 such cells"):
        read(write_file("a.parquet", frame))


def test_a_column_of_words_is_still_left_out(read: Read, write_file: WriteFile) -> None:
    """Words with commas among them are no numbers."""
    recording = read(write_file("a.csv", f'time,a,comment\n{T0},1,"1,5"\n{T1},2,"rolls 1,5"\n'))
    assert recording.skipped == {"comment": "holds no numbers"}


def test_a_european_file_in_another_encoding_is_refused(read: Read, write_file: WriteFile) -> None:
    """Excel's plain CSV is not UTF-8; the message says what to do."""
    with pytest.raises(RecordingError, match="save the file as UTF-8"):
        read(write_file("a.csv", f"time;Öldruck\n{T0};1,5\n".encode("cp1252")))
