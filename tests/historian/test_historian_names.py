"""What every historian promises of names: any text that people write, exactly; what no store could hold is refused."""

from collections.abc import Callable

import pandas as pd
import pytest

from twin_assets.historian import Historian

Samples = Callable[..., pd.DataFrame]

LONG_AGO, LATER = pd.Timestamp("1700-01-01", tz="UTC"), pd.Timestamp("2026-02-01", tz="UTC")
NAMES = (
    "Roller1_w",
    "Roller1%w",
    "Roller1*w",
    "roller1_w",
    "Roller1_w ",
    'it\'s "quoted"; DROP TABLE samples; --',
    "%s %(name)s :name ? {x} \\ \\x00",
    "Zugkraft_äöüß",
    "张力",
    "e\u0301",  # e and an accent
    "\u00e9",  # the same to look at, another text
    "𝜔 🏭",
    "NULL",
)


@pytest.mark.parametrize("column", ["unit", "property"])
def test_names_are_any_text(historian: Historian, samples: Samples, column: str) -> None:
    """Quotes, wildcards, other alphabets, upper and lower case: each name is its own, and no pattern for others."""
    for number, name in enumerate(NAMES):
        historian.write(samples("2026-01-01", value=float(number), **{column: name}))
    for number, name in enumerate(NAMES):
        asked = ((name,), ("Roller1_w",)) if column == "unit" else (("line_1",), (name,))
        found = historian.read(*asked, LONG_AGO, LATER)
        assert found[[column, "value"]].to_numpy().tolist() == [[name, float(number)]]
        assert len(historian.arrivals(*asked).buckets) == 1
    listed = historian.units() if column == "unit" else historian.properties("line_1")
    assert listed == tuple(sorted(NAMES))


@pytest.mark.parametrize("column", ["unit", "property"])
@pytest.mark.parametrize("letter", ["a", "ß", "张", "🏭"])
def test_names_have_up_to_256_characters(historian: Historian, samples: Samples, column: str, letter: str) -> None:
    """However many bytes a character takes; one more is refused, and says so."""
    # Not one letter repeated, which a database could press into a few bytes.
    longest = "".join(chr(ord(letter) + (number * 7) % 20) for number in range(256))
    other = "property" if column == "unit" else "unit"
    report = historian.write(samples("2026-01-01", **{column: longest, other: longest}))
    assert report.written == 1
    assert historian.properties(longest) == (longest,)
    report = historian.write(samples("2026-01-01", **{column: longest + letter}))
    assert report.rejected["reason"].tolist() == [f"the {column} has more than 256 characters"]


@pytest.mark.parametrize("column", ["unit", "property"])
@pytest.mark.parametrize("wrong", ["a\x00b", "a\nb", "\x7f"])
def test_control_characters_are_refused(historian: Historian, samples: Samples, column: str, wrong: str) -> None:
    """No name that only some stores could hold: the row comes back, the one beside it is taken."""
    frame = samples("2026-01-01", "2026-01-02", **{column: [wrong, "fine"]})
    report = historian.write(frame)
    assert report.written == 1
    assert report.rejected["reason"].tolist() == [f"the {column} holds a control character"]


@pytest.mark.parametrize("wrong", ["a\x00b", "x" * 5000, "\ud800"])
def test_asking_for_what_cannot_be_there_is_no_error(historian: Historian, samples: Samples, wrong: str) -> None:
    """Nothing was measured under such a name: as under any other that is not known."""
    historian.write(samples("2026-01-01"))
    assert historian.properties(wrong) == ()
    for units, properties in (((wrong,), ("Roller1_w",)), (("line_1",), (wrong,))):
        assert historian.read(units, properties, LONG_AGO, LATER).empty
        assert historian.latest(units, properties).empty
        assert historian.arrivals(units, properties).buckets.empty
        assert historian.replace(units, properties, LONG_AGO, LATER, samples()).withdrawn == 0
