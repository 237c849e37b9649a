"""Which of an FMU's binaries is for this machine, and whether this machine can integrate a model.

Belongs here: folders' names and files that are there or not. Nothing is loaded; that is a worker's.
"""

import contextlib
import io
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twin_assets.simulation.errors import FmuError

LIBRARY_SUFFIXES = (".so", ".dylib", ".dll")
ARM = ("aarch64", "arm64")


def import_fmpy() -> Any:  # noqa: ANN401 - fmpy is not typed
    """fmpy, which prints on import where its logging helper does not exist (aarch64)."""
    with contextlib.redirect_stdout(io.StringIO()):
        import fmpy
    return fmpy


def platform_folders(
    system: str | None = None, machine: str | None = None, fmi_version: str = "2.0"
) -> tuple[str, ...]:
    """Folders under ``binaries/`` that may hold this machine's library, best first.

    FMI 2.0.4, section 2.3, names linux64, win64 and darwin64; 64-bit ARM goes by the names of FMI 3.0. Those are made
    of architecture and system, and are the only ones there.
    """
    system = system or sys.platform
    arm = (machine or platform.machine()).lower() in ARM
    short, new = {"win32": ("win64", "windows"), "darwin": ("darwin64", "darwin")}.get(system, ("linux64", "linux"))
    tuples = (f"{'aarch64' if arm else 'x86_64'}-{new}",)
    if fmi_version != "2.0":
        return tuples
    if arm:
        # darwin64 may hold a universal binary.
        return (*tuples, short) if system == "darwin" else tuples
    return (short, *tuples)


def binaries(members: tuple[str, ...], identifier: str) -> dict[str, str]:
    """Folder under ``binaries/`` to archive member of its library."""
    found: dict[str, str] = {}
    for member in members:
        match member.split("/"):
            case ["binaries", folder, file] if file in {identifier + suffix for suffix in LIBRARY_SUFFIXES}:
                found[folder] = member
            case _:
                pass
    return found


def library_of(path: Path, members: tuple[str, ...], found: Mapping[str, str], fmi_version: str) -> str:
    """The archive member with this machine's binary.

    Raises:
        FmuError: if there is none.
    """
    expected = platform_folders(fmi_version=fmi_version)
    library = next((found[folder] for folder in expected if folder in found), None)
    if library is not None:
        return library
    if not found and any(member.startswith("sources/") for member in members):
        raise FmuError(
            f"{path}: this FMU holds C sources and no binary. Export it with a binary for {expected[0]}, or compile"
            f" it: fmpy compile {path.name}"
        )
    raise FmuError(
        f"{path}: this FMU has no binary for this machine: expected {expected[0]}, found"
        f" {', '.join(sorted(found)) or 'none'}. Export it for {expected[0]} too."
    )


def has_solver() -> bool:
    """Whether FMPy brings its CVode for this machine."""
    fmpy = import_fmpy()
    folder = Path(fmpy.__file__).parent / "sundials" / str(fmpy.platform_tuple)
    return (folder / "sundials_cvode").with_suffix(str(fmpy.sharedLibraryExtension)).exists()
