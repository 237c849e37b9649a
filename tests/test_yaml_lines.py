"""YAML with lines: scalars as people expect them, and errors that name their place."""

import pytest

from twin_assets.yaml_lines import DocumentError, parse


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        (".5", 0.5),
        ("-.5e-3", -0.5e-3),
        ("1.", 1.0),
        ("-3", -3),
        ("010", 10),
        ("true", True),
        ("yes", "yes"),
        ("on", "on"),
        ("10:30", "10:30"),
        ("2026-01-31", "2026-01-31"),
        ("1_000", "1_000"),
        ("~", None),
        ("", None),
        ("'12'", "12"),
        (".inf", float("inf")),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    """No octal, no base sixty, no booleans but true and false; exponents need no point."""
    found = parse(f"a: {text}").data["a"]
    assert found == value
    assert type(found) is type(value)


def test_lines_are_those_of_the_file() -> None:
    """Keys by their own line, list items by position and by name."""
    lines = parse("a:\n  b: 1\n\nc:\n  - name: x\n    y: 2\n  - 3\n").lines
    assert (lines["a",], lines["a", "b"], lines["c", 0, "y"], lines["c", "x", "y"], lines["c", 1]) == (1, 2, 6, 6, 7)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: [1", 2, "no valid YAML"),
        ("a: 1\na: 2", 2, "key 'a' is given twice"),
        ("a: 1\n---\nb: 2", 2, "another document"),
        ("a: 1\nb: !!python/name:os.system x", 2, "no valid YAML"),
        ("a: 1\nb: !!int abc", 2, "'abc', which is no int"),
        ("a: 1\nb: !!bool 3", 2, "'3', which is no bool"),
        ("a: 1\nb: \x07", 2, "character 7"),
        ("a: 1\nb: &x [*x]", 2, "an anchor that contains itself"),
        ("a: 1\n? [1]\n: 2", 2, "unhashable key"),
        ("a: *x", 1, "undefined alias"),
        ("\ta: 1", 1, "not tabs"),
        ("[" * 5000, 1, "nested too deeply"),
    ],
)
def test_what_is_no_yaml_is_refused_with_its_line(text: str, line: int, message: str) -> None:
    """Syntax, doubled keys, several documents, unsafe or wrong tags, loops: never a traceback of PyYAML's."""
    with pytest.raises(DocumentError) as caught:
        parse(text)
    assert [found for found, _ in caught.value.findings] == [line]
    assert message in str(caught.value)
