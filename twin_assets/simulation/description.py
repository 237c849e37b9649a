"""What an FMU says about itself, as plain frozen values: the only reader of modelDescription.xml.

Belongs here: reading and refusing. Nothing is extracted and no binary is loaded; that is ``instance``'s, in a worker.
"""

import contextlib
import difflib
import hashlib
import io
import platform
import sys
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twin_assets.simulation.errors import FmuError

LIBRARY_SUFFIXES = (".so", ".dylib", ".dll")
ARM = ("aarch64", "arm64")


@dataclass(frozen=True)
class FmuVariable:
    """One variable of the FMU.

    Attributes:
        name: as the FMU writes it.
        reference: FMI value reference.
        type: "Real", "Integer", "Boolean", "String" or "Enumeration".
        causality: "parameter", "input", "output", "local", …
        variability: "fixed", "tunable", "continuous", …
        unit: physical unit, None if the FMU names none.
        start: start value (Boolean as 0 or 1); None for strings and for variables without one.
        min: smallest allowed value, None if there is no such bound.
        max: largest allowed value, None if there is no such bound.
        nominal: typical magnitude, None if the FMU names none.
        description: for people, may be empty.
        settable: may be set before initialization.
        tunable: may be set while the model runs: an input, or a parameter of variability "tunable".
    """

    name: str
    reference: int
    type: str
    causality: str
    variability: str
    unit: str | None
    start: float | None
    min: float | None
    max: float | None
    nominal: float | None
    description: str
    settable: bool
    tunable: bool


@dataclass(frozen=True)
class FmuDescription:
    """What modelDescription.xml and the archive's table of contents say.

    Attributes:
        path: the FMU's file.
        model_name: the model's name, for people.
        model_identifier: file name of the binaries, without suffix.
        fmi_version: "2.0".
        guid: ties the description to its binary.
        generation_tool: what exported the FMU, may be empty.
        platforms: folders under ``binaries/`` that hold the model, sorted ("linux64", "win64", …).
        library: archive member with this machine's binary.
        variables: in the order of the file.
        can_get_set_state: the FMU claims that its state can be kept and restored.
        can_serialize_state: the FMU claims that its state survives in another process.
        can_vary_step: communication steps may differ from each other.
        start_time: default experiment's start, s.
        tolerance: default experiment's relative tolerance of the solver, None if the FMU names none.
    """

    path: Path
    model_name: str
    model_identifier: str
    fmi_version: str
    guid: str
    generation_tool: str
    platforms: tuple[str, ...]
    library: str
    variables: tuple[FmuVariable, ...] = field(repr=False)
    can_get_set_state: bool
    can_serialize_state: bool
    can_vary_step: bool
    start_time: float
    tolerance: float | None

    def variable(self, name: str) -> FmuVariable:
        """The variable of that name.

        Raises:
            FmuError: if there is none; names the nearest ones.
        """
        found = next((variable for variable in self.variables if variable.name == name), None)
        if found is None:
            near = nearest(name, (variable.name for variable in self.variables))
            hint = f"Nearest: {', '.join(near)}." if near else "No other name is near to it."
            raise FmuError(f"{self.path}: the FMU has no variable '{name}'. {hint}")
        return found


def nearest(name: str, names: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """The names most like a misspelt one, best first; upper and lower case count as the same."""
    by_folded: dict[str, str] = {}
    for candidate in names:
        by_folded.setdefault(candidate.casefold(), candidate)
    return tuple(by_folded[near] for near in difflib.get_close_matches(name.casefold(), by_folded, count))


def platform_folders(system: str | None = None, machine: str | None = None) -> tuple[str, ...]:
    """Folders under ``binaries/`` that may hold this machine's library, best first.

    FMI 2.0.4, section 2.3, names linux64, win64 and darwin64; 64-bit ARM goes by the names of FMI 3.0.
    """
    system = system or sys.platform
    arm = (machine or platform.machine()).lower() in ARM
    if system.startswith("win"):
        return ("aarch64-windows",) if arm else ("win64", "x86_64-windows")
    if system == "darwin":
        # darwin64 may hold a universal binary.
        return ("aarch64-darwin", "darwin64") if arm else ("darwin64", "x86_64-darwin")
    return ("aarch64-linux",) if arm else ("linux64", "x86_64-linux")


def fmu_sha256(path: Path) -> str:
    """SHA-256 of the FMU's file, hex: its data version.

    Raises:
        FmuError: if the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FmuError(_unreadable(path, error)) from error


def read_description(path: Path) -> FmuDescription:
    """Read what an FMU says about itself.

    Raises:
        FmuError: if the file is missing, no archive, has no valid model description, is of another FMI version than
            2.0, offers no co-simulation, or brings no binary for this machine.
    """
    members = _members(path)
    if "modelDescription.xml" not in members:
        raise FmuError(
            f"{path}: this archive is no FMU: it has no modelDescription.xml at its top. Export the model as an FMI"
            " 2.0 co-simulation FMU."
        )
    model = _parsed(path)
    if model.fmiVersion != "2.0":
        raise FmuError(
            f"{path}: this FMU is of FMI version {model.fmiVersion}; FMI 2.0 co-simulation is expected now. Export the"
            " model again as FMI 2.0."
        )
    if model.coSimulation is None:
        raise FmuError(
            f"{path}: this FMU offers model exchange only, without a solver of its own; co-simulation is expected."
            " Export the model again as an FMI 2.0 co-simulation FMU."
        )
    return _description(path, members, model)


def _unreadable(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{path}: there is no such file. Expected an FMU (FMI 2.0 co-simulation); check model.fmu in twin.yaml."
    return f"{path}: the FMU cannot be read ({error.strerror or error})."


def _broken(path: Path, reason: object) -> str:
    return (
        f"{path}: this file is no complete FMU ({reason}). An FMU is a zip archive; it may be truncated:"
        " copy or export it again."
    )


def _members(path: Path) -> tuple[str, ...]:
    try:
        with zipfile.ZipFile(path) as archive:
            return tuple(archive.namelist())
    except zipfile.BadZipFile as error:
        raise FmuError(_broken(path, str(error).rstrip("."))) from error
    except OSError as error:
        raise FmuError(_unreadable(path, error)) from error


def _parsed(path: Path) -> Any:  # noqa: ANN401 - fmpy's types are not typed
    # fmpy prints on import where its logging helper does not exist (aarch64).
    with contextlib.redirect_stdout(io.StringIO()):
        import fmpy
    try:
        # Other people's exporters deviate from the schema in ways that do not matter here: no validation.
        return fmpy.read_model_description(path, validate=False)
    except SyntaxError as error:
        raise FmuError(f"{path}: modelDescription.xml is no valid XML: {error.msg}.") from error
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise FmuError(_broken(path, error)) from error
    except Exception as error:  # fmpy raises bare exceptions, and stumbles over what it does not expect
        raise FmuError(
            f"{path}: modelDescription.xml is not as FMI 2.0 wants it ({str(error) or type(error).__name__})."
            f" 'fmpy validate {path.name}' lists what is wrong; FMI 2.0 co-simulation is expected now."
        ) from error


def _description(path: Path, members: tuple[str, ...], model: Any) -> FmuDescription:  # noqa: ANN401 - as above
    co_simulation, experiment = model.coSimulation, model.defaultExperiment
    identifier = co_simulation.modelIdentifier or ""
    platforms = _platforms(members, identifier)
    return FmuDescription(
        path=path,
        model_name=model.modelName or identifier,
        model_identifier=identifier,
        fmi_version=model.fmiVersion,
        guid=model.guid or "",
        generation_tool=model.generationTool or "",
        platforms=tuple(sorted(platforms)),
        library=_library(path, members, platforms),
        variables=tuple(_variable(path, variable) for variable in model.modelVariables),
        can_get_set_state=co_simulation.canGetAndSetFMUstate,
        can_serialize_state=co_simulation.canSerializeFMUstate,
        can_vary_step=co_simulation.canHandleVariableCommunicationStepSize,
        start_time=float((experiment and experiment.startTime) or 0.0),
        tolerance=_number(path, "DefaultExperiment", experiment.tolerance) if experiment else None,
    )


def _platforms(members: tuple[str, ...], identifier: str) -> dict[str, str]:
    """Folder under ``binaries/`` to archive member of its library."""
    platforms: dict[str, str] = {}
    for member in members:
        match member.split("/"):
            case ["binaries", folder, file] if file in {identifier + suffix for suffix in LIBRARY_SUFFIXES}:
                platforms[folder] = member
            case _:
                pass
    return platforms


def _library(path: Path, members: tuple[str, ...], platforms: dict[str, str]) -> str:
    expected = platform_folders()
    library = next((platforms[folder] for folder in expected if folder in platforms), None)
    if library is not None:
        return library
    if not platforms and any(member.startswith("sources/") for member in members):
        raise FmuError(
            f"{path}: this FMU holds C sources and no binary. Export it with a binary for {expected[0]}, or compile"
            f" it: fmpy compile {path.name}"
        )
    raise FmuError(
        f"{path}: this FMU has no binary for this machine: expected {expected[0]}, found"
        f" {', '.join(sorted(platforms)) or 'none'}. Export it for {expected[0]} too."
    )


def _variable(path: Path, variable: Any) -> FmuVariable:  # noqa: ANN401 - as above
    declared = variable.declaredType

    def attribute(name: str) -> Any:  # noqa: ANN401 - as above
        own = getattr(variable, name)
        return getattr(declared, name) if own is None and declared is not None else own

    def number(name: str) -> float | None:
        return _number(path, variable.name, attribute(name)) if variable.type != "String" else None

    parameter = variable.causality == "parameter"
    return FmuVariable(
        name=variable.name,
        reference=variable.valueReference,
        type=variable.type,
        causality=variable.causality,
        variability=variable.variability,
        unit=attribute("unit"),
        start=_number(path, variable.name, variable.start) if variable.type != "String" else None,
        min=number("min"),
        max=number("max"),
        nominal=number("nominal"),
        description=variable.description or "",
        settable=variable.variability != "constant" and variable.initial in {"exact", "approx"},
        tunable=variable.causality == "input" or (parameter and variable.variability == "tunable"),
    )


def _number(path: Path, where: str, text: str | None) -> float | None:
    if text is None:
        return None
    if text in {"true", "false"}:
        return float(text == "true")
    try:
        return float(text)
    except ValueError as error:
        raise FmuError(f"{path}: modelDescription.xml: '{text}' of {where} is no number.") from error
