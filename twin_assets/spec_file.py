"""Reading ``twin.yaml``: every wrong thing at once, each with its file, its line and what would be right.

Belongs here: finding twins, from text to TwinSpec, errors with lines. What the fields mean is ``spec``'s; how a
pydantic error reads to a person is ``spec_errors``'s.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from twin_assets.errors import TwinError
from twin_assets.nearest import nearest_hint
from twin_assets.spec import TwinSpec
from twin_assets.spec_errors import explain
from twin_assets.spec_types import Conflict, YamlPath
from twin_assets.yaml_lines import Document, DocumentError, parse

TWIN_FILE = "twin.yaml"


class SpecError(TwinError):
    """What is wrong with a twin's description.

    Attributes:
        findings: one text each, ``file:line: what; found; expected; what to do``.
    """

    def __init__(self, findings: Iterable[str]) -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join(self.findings))


@dataclass(frozen=True)
class Twin:
    """A described model, and where it is described.

    Attributes:
        spec: what twin.yaml says.
        path: of twin.yaml.
        lines: path of keys and list positions (or names of list items) -> line in twin.yaml.
    """

    spec: TwinSpec
    path: Path
    lines: Mapping[YamlPath, int]

    @property
    def fmu_path(self) -> Path:
        """The FMU, beside twin.yaml unless the spec gives an absolute path."""
        return self.path.parent / self.spec.model.fmu

    def line(self, *path: str | int) -> int:
        """Line of a value, or of the nearest thing around it: ``line("coefficients", "b9", "bounds")``."""
        return _line(self.lines, path)

    def where(self, *path: str | int) -> str:
        """``file:line`` of a value, or of the nearest thing around it."""
        return f"{shown(self.path)}:{self.line(*path)}"


def load_twin(name_or_path: str | Path, twins_path: Path) -> Twin:
    """Read a twin by its name (a folder under ``twins_path``), or by the path of its folder or its twin.yaml.

    Raises:
        SpecError: listing everything that is wrong with the file, or the twins there are if there is no such twin.
    """
    path = _locate(name_or_path, twins_path)
    document = _read(path)
    conflicts = _other_name(document.data, path.parent.name)
    try:
        spec = TwinSpec.model_validate(document.data)
    except ValidationError as error:
        raise _spec_error(path, document, [*conflicts, *explain(error, document.data)]) from None
    if conflicts:
        raise _spec_error(path, document, conflicts)
    return Twin(spec, path, document.lines)


def find_twins(twins_path: Path) -> tuple[list[Twin], dict[str, str]]:
    """The twins of a folder, by name, and why the others cannot be read, by folder.

    Raises:
        SpecError: if the folder itself cannot be read.
    """
    twins, broken = [], {}
    for name in twin_names(twins_path):
        try:
            twins.append(load_twin(name, twins_path))
        except SpecError as error:
            broken[name] = str(error)
    return twins, broken


def twin_names(twins_path: Path) -> tuple[str, ...]:
    """Folders that hold a twin.yaml, sorted.

    Raises:
        SpecError: if ``twins_path`` is no folder that can be read.
    """
    try:
        return tuple(sorted(folder.name for folder in twins_path.iterdir() if (folder / TWIN_FILE).is_file()))
    except OSError as error:
        message = (
            f"{shown(twins_path)}: the folder with the twins cannot be read ({error.strerror or error}). Expected a"
            " folder with one folder a twin: go where it is, name it with --twins or TWINS_PATH, or write a first twin"
            " with 'twin new NAME --fmu F'."
        )
        raise SpecError([message]) from None


def shown(path: Path) -> str:
    """A path as people want to read it: relative to the current folder where it lies under it."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def _locate(name_or_path: str | Path, twins_path: Path) -> Path:
    text = os.fspath(name_or_path)
    if isinstance(name_or_path, str) and Path(text).name == text and not text.endswith((".yaml", ".yml", ".", "~")):
        path = twins_path / text / TWIN_FILE
        if not path.is_file():
            raise SpecError([_no_such_twin(text, twins_path)])
        return path
    path = Path(text).absolute()
    if path.is_dir():
        path /= TWIN_FILE
    if not path.is_file():
        raise SpecError([f"{shown(path)}: there is no such file; expected the path of a {TWIN_FILE} or of its folder"])
    return path


def _no_such_twin(name: str, twins_path: Path) -> str:
    names = twin_names(twins_path)
    if not names:
        return f"{shown(twins_path)}: there is no twin '{name}', nor any other; 'twin new {name} --fmu F' writes one"
    return f"{shown(twins_path)}: there is no twin '{name}'.{nearest_hint(name, names)} Twins here: {', '.join(names)}."


def _read(path: Path) -> Document:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SpecError([f"{shown(path)}: cannot be read ({error.strerror or error})"]) from None
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise SpecError([f"{shown(path)}:{line}: found bytes that are no UTF-8; save the file as UTF-8"]) from None
    try:
        document = parse(text)
    except DocumentError as error:
        raise SpecError(f"{shown(path)}:{line}: {message}" for line, message in error.findings) from None
    if not isinstance(document.data, dict):
        found = "nothing" if document.data is None else f"a {type(document.data).__name__}"
        where = f"{shown(path)}:{document.lines[()]}"
        raise SpecError([f"{where}: found {found}; expected keys and values: name, model, coefficients, …"])
    return document


def _other_name(data: Mapping[str, object], folder: str) -> list[Conflict]:
    name = data.get("name")
    if not isinstance(name, str) or name == folder:
        return []
    message = f"name: found '{name}'; expected the folder's name, '{folder}': change one of the two"
    return [Conflict(("name",), message)]


def _spec_error(path: Path, document: Document, conflicts: Iterable[Conflict]) -> SpecError:
    located = [(_line(document.lines, c.path), c.message) for c in conflicts]
    return SpecError(f"{shown(path)}:{line}: {message}" for line, message in sorted(located))


def _line(lines: Mapping[YamlPath, int], path: YamlPath) -> int:
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)
