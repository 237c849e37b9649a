"""What people see of a table: readable, charted, and never what JSON cannot say."""

import io

import numpy as np
import pandas as pd
from PIL import Image

from twin_assets.assets.metadata import (
    markdown_table,
    newest_estimates,
    newest_values,
    numbers,
    preview,
    smaller_png,
    table_metadata,
)
from twin_assets.assets.virtual_sensors import validity_share


def estimates(*units: str) -> pd.DataFrame:
    """Three estimates of one coefficient for each unit."""
    times = pd.date_range("2026-01-01", periods=3, freq="h", tz="UTC").as_unit("ns")
    columns = {"wear": [0.1, 0.2, 0.3], "wear_std": 0.01, "wear_lower": 0.05, "wear_upper": 0.4, "wear_reason": ""}
    return pd.concat([pd.DataFrame({"unit": unit, "time": times, **columns}) for unit in units], ignore_index=True)


def test_a_preview_shows_what_people_read() -> None:
    """Times, values and units; neither intervals nor bookkeeping; the last rows."""
    lines = preview(estimates("pump")).splitlines()
    assert lines[0] == "| unit | time | wear |"
    assert lines[-1] == "| pump | 2026-01-01 02:00:00 | 0.3 |"


def test_an_empty_table_has_a_count() -> None:
    """Nothing else can be said of it."""
    assert table_metadata(estimates("pump").iloc[:0]) == {"dagster/partition_row_count": 0}


def test_newest_values_are_named_by_unit_where_there_are_several() -> None:
    """One machine needs no prefix."""
    assert newest_values(estimates("pump"), ["wear"]) == {"wear": 0.3}
    assert newest_values(estimates("east", "west"), ["wear"]) == {"east/wear": 0.3, "west/wear": 0.3}


def test_newest_estimates_have_their_interval() -> None:
    """A row for each unit and name, with its unit of measure."""
    rows = newest_estimates(estimates("east", "west"), ["wear"], {"wear": "mm"}).splitlines()
    assert rows[2:] == [f"| {unit} | wear | mm | 0.3 | 0.01 | 0.05 | 0.4 |" for unit in ("east", "west")]


def test_what_is_no_number_is_not_charted() -> None:
    """JSON has no NaN."""
    assert numbers({"a": 1, "b": np.nan, "c": np.inf}) == {"a": 1.0}


def test_a_bar_does_not_break_a_table() -> None:
    """Markdown's separator is escaped."""
    assert markdown_table(["a"], [["x|y"]]).endswith("| x\\|y |")


def test_a_smaller_picture_looks_the_same() -> None:
    """With a palette a picture of few colours keeps its size in pixels and its colours."""
    source = io.BytesIO()
    Image.fromarray(np.tile(np.array([[[255, 0, 0], [0, 114, 178]]], dtype=np.uint8), (50, 50, 1))).save(source, "png")
    with Image.open(io.BytesIO(smaller_png(source.getvalue()))) as image:
        assert image.size == (100, 50)
        assert {color for _, color in image.convert("RGB").getcolors() or ()} == {(255, 0, 0), (0, 114, 178)}


def test_few_marks_keep_their_colours() -> None:
    """Among all the greys of letters' edges, marks of a few pixels are not taken for one another."""
    marks = [(213, 94, 0), (230, 159, 0), (204, 121, 167), (0, 158, 115), (0, 114, 178)]
    picture = Image.new("RGB", (256, 100))
    for x in range(256):
        picture.paste((x, x, x), (x, 0, x + 1, 100))
    for number, mark in enumerate(marks):
        picture.paste(mark, (10 * number, 10, 10 * number + 4, 14))
    source = io.BytesIO()
    picture.save(source, "png")
    with Image.open(io.BytesIO(smaller_png(source.getvalue()))) as image:
        found = image.convert("RGB")
    for number, mark in enumerate(marks):
        shown = found.getpixel((10 * number + 1, 11))
        assert isinstance(shown, tuple)
        assert max(abs(one - other) for one, other in zip(shown, mark, strict=True)) < 16


def test_the_share_of_what_is_not_valid_is_charted_with_the_newest_reason() -> None:
    """No rows, nothing to say; all valid, a share of zero and no reason."""
    table = estimates("pump").assign(valid=[True, False, False], why_not=["", "speed = 9", "speed = 8"])
    assert validity_share(table) == {"invalid_share": 2 / 3, "invalid_because": "speed = 8"}
    assert validity_share(table[:1]) == {"invalid_share": 0.0}
    assert validity_share(table[:0]) == {}


def test_a_fleet_shows_some_of_its_units() -> None:
    """A thousand units make no thousand numbers an event; how many are not shown is said."""
    units = [f"line_{number:04}" for number in range(1_000)]
    frame = pd.DataFrame({"unit": units, "b9": 1.0, "b9_std": 0.1, "b9_lower": 0.8, "b9_upper": 1.2})
    assert list(newest_values(frame, ["b9"])) == [f"{unit}/b9" for unit in units[:20]]
    told = newest_estimates(frame, ["b9"], {})
    assert told.count("| line_") == 20
    assert told.endswith("And 980 more units, in the table.")
