"""YAML with line numbers, and without the surprises of YAML 1.1.

PyYAML resolves plain scalars by YAML 1.1: ``1e-3`` is text, ``on`` is true, ``10:30`` is 630, ``010`` is 8. Here they
are resolved by YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#103-core-schema), which is what people expect of
them; dates stay text. Keys named twice, which PyYAML lets the last one win, are refused.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from twin_assets.spec_types import YamlPath


@dataclass(frozen=True)
class Document:
    """What a file says, and where.

    Attributes:
        data: plain dicts, lists and scalars.
        lines: path -> line (from 1). An item of a list is also found by its ``name``: ``("coefficients", "b9")``.
    """

    data: Any
    lines: Mapping[YamlPath, int]


class DocumentError(ValueError):
    """The text is no YAML that can be used.

    Attributes:
        findings: (line, message) of each thing wrong.
    """

    def __init__(self, findings: list[tuple[int, str]]) -> None:
        super().__init__("; ".join(f"line {line}: {message}" for line, message in findings))
        self.findings = findings


class _CoreLoader(yaml.SafeLoader):
    """SafeLoader with the scalars of YAML 1.2's core schema (and YAML 1.1's merge key, which repeated parts need)."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own attribute, replaced as a whole

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: ANN401, FBT002 - PyYAML's signature
        """Build a value; with a wrong explicit tag (``!!int abc``) PyYAML fails without naming the place."""
        try:
            return super().construct_object(node, deep=deep)
        except (AttributeError, KeyError, ValueError) as error:
            problem = f"found {node.value!r}, which is no {node.tag.rpartition(':')[2]}"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from error


_RESOLVERS = (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+."),
    ("merge", r"<<", "<"),
)
for _kind, _pattern, _first in _RESOLVERS:
    _firsts = [character if character != "\0" else "" for character in _first]
    _CoreLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(rf"^(?:{_pattern})$"), _firsts)
# SafeLoader's own constructor reads a leading zero as octal and a colon as base sixty.
_CoreLoader.add_constructor("tag:yaml.org,2002:int", lambda _loader, node: int(node.value))


def parse(text: str) -> Document:
    """Read one YAML document.

    Raises:
        DocumentError: for a syntax error, an unknown tag, more than one document, a key named twice.
    """
    try:
        return _read(_CoreLoader(text))
    except RecursionError:
        raise DocumentError([(1, "no usable YAML: nested too deeply")]) from None
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error) from error
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise DocumentError([(line, f"found the character {error.character!r}, which YAML does not allow")]) from error


def _read(loader: _CoreLoader) -> Document:
    node = loader.get_single_node()
    if node is None:
        return Document(None, {(): 1})
    entries = list(_walk(node, (), ()))
    twice = [(line, f"key '{path[-1]}' is given twice; keep one") for path, line, again in entries if again]
    if twice:
        raise DocumentError(twice)
    return Document(loader.construct_document(node), {path: line for path, line, _ in entries})


def _walk(node: yaml.Node, path: YamlPath, above: tuple[yaml.Node, ...]) -> Iterator[tuple[YamlPath, int, bool]]:
    """(path, line, whether the key was there before) of everything under a node."""
    if not above:
        yield path, node.start_mark.line + 1, False
    if node in above:
        mark = node.start_mark
        raise DocumentError([(mark.line + 1, "found an anchor that contains itself; write the values out")])
    if isinstance(node, yaml.MappingNode):
        yield from _walk_mapping(node, path, (*above, node))
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            keys: tuple[str | int, ...] = (index, *_names(item))
            for key in keys:
                yield (*path, key), item.start_mark.line + 1, False
                yield from _walk(item, (*path, key), (*above, node))


def _walk_mapping(
    node: yaml.MappingNode, path: YamlPath, above: tuple[yaml.Node, ...]
) -> Iterator[tuple[YamlPath, int, bool]]:
    seen: set[str] = set()
    for key, value in node.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else str(key.start_mark)
        yield (*path, name), key.start_mark.line + 1, name in seen
        seen.add(name)
        yield from _walk(value, (*path, name), above)


def _names(item: yaml.Node) -> Iterator[str]:
    """The item's ``name``, if it is a mapping that has one."""
    if isinstance(item, yaml.MappingNode):
        for key, value in item.value:
            if key.value == "name" and isinstance(value, yaml.ScalarNode):
                yield value.value
                return


def _syntax_error(error: yaml.MarkedYAMLError) -> DocumentError:
    mark = error.problem_mark or error.context_mark
    said = " ".join(part for part in (error.context, error.problem) if part)
    hint = " (YAML indents by spaces, not tabs)" if "\\t" in said else ""
    return DocumentError([(mark.line + 1 if mark else 1, f"no valid YAML: {said}{hint}")])
