"""What is wrong with a home's Dagster instance, in words that help: its dagster.yaml, and the databases of its runs.

Dagster's own errors are stack traces that print the whole schema; here they become one message with file and line.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import dagster as dg
import yaml
from dagster._config.errors import EvaluationError  # nothing public says where a configuration is wrong
from dagster._core.errors import DagsterInvalidConfigError
from dagster_shared.check import CheckError
from sqlalchemy.exc import DBAPIError

from twin_assets.errors import TwinError
from twin_assets.home import Home
from twin_assets.spec_types import YamlPath
from twin_assets.yaml_lines import Document, DocumentError, parse

CONFIG_FILE = "dagster.yaml"
# Dagster prints what it expects as a type; that of a whole instance has 5,000 characters.
LONGEST_EXPECTATION = 120


@contextmanager
def explained_config(home: Home) -> Iterator[None]:
    """While the instance is opened: say what is wrong with dagster.yaml.

    Raises:
        TwinError: in place of what Dagster and PyYAML raise about it.
    """
    try:
        yield
    except (dg.DagsterError, yaml.YAMLError, CheckError, ImportError, UnicodeDecodeError) as error:
        path = home.dagster_path / CONFIG_FILE
        findings = "\n".join(f"{place}: {message}" for place, message in _findings(path, error))
        raise TwinError(
            f"{findings}\nDagster cannot open this home with it. Mend the file, or delete it: it is written anew with"
            " what a home needs."
        ) from error


@contextmanager
def explained_storage(home: Home) -> Iterator[None]:
    """While the instance is used: say what is wrong with the databases in which it keeps runs and events.

    Raises:
        TwinError: in place of SQLAlchemy's error.
    """
    try:
        yield
    except DBAPIError as error:
        damaged = sorted(path for path in home.dagster_path.rglob("*.db") if not _is_sound(path))
        if damaged:
            raise TwinError(
                f"{', '.join(map(str, damaged))}: Dagster's record of runs is damaged ({error.orig}). Move it away and"
                " run again: past runs are then no longer shown, all results stay."
            ) from error
        raise TwinError(
            f"{home.dagster_path}: Dagster cannot keep its record of runs ({error.orig}). Expected storage that can be"
            f" written: the folder's, or what {CONFIG_FILE} in it names. Mend it and run again."
        ) from error


def _findings(path: Path, error: Exception) -> list[tuple[str, str]]:
    """(file and line, what was found) of each thing wrong."""
    try:
        document = parse(path.read_text())
    except DocumentError as unreadable:
        return [(f"{path}:{line}", message) for line, message in unreadable.findings]
    except (OSError, UnicodeDecodeError) as unreadable:
        return [(str(path), f"cannot be read as text ({unreadable})")]
    if not isinstance(document.data, dict):
        return [(f"{path}:1", f"found '{str(document.data)[:LONGEST_EXPECTATION]}'; expected keys with values")]
    if isinstance(error, DagsterInvalidConfigError) and error.errors:
        return [(f"{path}:{_line(document, _path(one))}", _said(one)) for one in error.errors]
    return [(str(path), str(error).splitlines()[0].removeprefix("Failure condition: "))]


def _line(document: Document, path: YamlPath) -> int:
    """The line of a key, or of the nearest one around it."""
    return next(document.lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in document.lines)


def _path(error: EvaluationError) -> YamlPath:
    """Where in the file an error is: keys from the outermost on."""
    keys = [getattr(entry, "field_name", getattr(entry, "list_index", None)) for entry in error.stack.entries]
    names = [getattr(error.error_data, "field_name", None), *getattr(error.error_data, "field_names", ())[:1]]
    return tuple(key for key in (*keys, *names) if key is not None)


def _said(error: EvaluationError) -> str:
    """Dagster's sentence, without a schema that nobody can read, and without the stack of an error within."""
    message = " ".join(error.message.partition("\n\nStack Trace:")[0].split())
    found, _, expected = re.sub(r"[\w.]+Error: ", "", message).partition(" Expected: ")
    return f"{found} Expected: {expected}" if expected and len(expected) <= LONGEST_EXPECTATION else found


def _is_sound(path: Path) -> bool:
    """Whether SQLite can read all of a file."""
    try:
        with closing(sqlite3.connect(path)) as connection:
            return bool(connection.execute("PRAGMA quick_check").fetchone() == ("ok",))
    except sqlite3.OperationalError:  # locked, not allowed: no damage
        return True
    except sqlite3.DatabaseError:
        return False
