"""Importing does nothing, and is cheap where a command line or a worker pays for it."""

import json
import os
import pkgutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import twin_assets

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(twin_assets.__path__, "twin_assets.")
    if not module.name.endswith("__main__")
)

HEAVY = (
    "numpy",
    "pandas",
    "scipy",
    "matplotlib",
    "fmpy",
    "dagster",
    "sqlalchemy",
    "pyarrow",
    "boto3",
    "pydantic",
    "rich",
)

WATCH = """
import json, os, sys

code = sys.argv[1]
own = os.path.dirname(os.path.abspath(sys.argv[2]))
touched = []

def ours():
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(own):
            return frame.f_code.co_name, os.path.relpath(name, own)
        if not name.startswith("<frozen importlib"):
            return None
        frame = frame.f_back
    return None

def hook(event, arguments):
    if event in ("open", "subprocess.Popen", "socket.__new__", "os.mkdir", "os.remove", "os.rename", "sqlite3.connect"):
        caller = ours()
        path = str(arguments[0]) if arguments else ""
        if caller and not path.endswith((".py", ".pyc")):
            touched.append([event, path, *caller])

class Watched(type(os.environ)):
    def __getitem__(self, key):
        caller = ours()
        if caller:
            touched.append(["environ", key, *caller])
        return super().__getitem__(key)

os.environ.__class__ = Watched
sys.addaudithook(hook)
exec(code)
print(json.dumps({"touched": touched, "modules": sorted(sys.modules)}))
"""


@dataclass(frozen=True)
class Imported:
    """What happened while code ran in a fresh interpreter."""

    touched: list[list[str]]
    modules: set[str]

    @property
    def libraries(self) -> set[str]:
        """Top-level names of the modules that are loaded now."""
        return {name.partition(".")[0] for name in self.modules}


def imported(code: str, folder: Path) -> Imported:
    """Run code in a folder, watching what modules of ours do meanwhile."""
    run = subprocess.run(
        [sys.executable, "-c", WATCH, code, str(twin_assets.__file__)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    return Imported(found["touched"], set(found["modules"]))


def test_importing_any_module_does_nothing(tmp_path: Path) -> None:
    """No module of ours reads the environment, opens a file or starts a process; plots, scipy and fmpy can wait."""
    found = imported("\n".join(f"import {name}" for name in MODULES), tmp_path)
    assert found.touched == []
    assert set(MODULES) <= found.modules
    assert list(tmp_path.iterdir()) == []
    assert found.libraries & {"matplotlib", "scipy", "fmpy", "boto3"} == set()


def test_the_watch_would_notice(tmp_path: Path) -> None:
    """The test above can fail: a module of ours that opens a file or reads the environment is caught."""
    code = f"""
from pathlib import Path
body = "import os\\nos.environ['HOME']\\nopen('x', 'w').close()"
exec(compile(body, {str(Path(twin_assets.__path__[0]) / "fake.py")!r}, "exec"))
"""
    assert [touch[0] for touch in imported(code, tmp_path).touched] == ["environ", "open"]


@pytest.mark.parametrize(
    ("module", "allowed"),
    [
        ("twin_assets", ()),
        ("twin_assets.errors", ()),
        ("twin_assets.home", ()),
        ("twin_assets.cli", ()),
        ("twin_assets.model", ("numpy",)),
        ("twin_assets.spec", ("pydantic",)),
        ("twin_assets.spec_file", ("pydantic",)),
        ("twin_assets.simulation.worker", ("numpy",)),
    ],
)
def test_what_starts_often_imports_little(tmp_path: Path, module: str, allowed: tuple[str, ...]) -> None:
    """The command's help, the spec and the FMU's worker processes do not pay for Dagster or pandas."""
    assert imported(f"import {module}", tmp_path).libraries & set(HEAVY) <= set(allowed)
