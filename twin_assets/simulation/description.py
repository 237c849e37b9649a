"""What an FMU says about itself, as plain frozen values: the only reader of modelDescription.xml.

Belongs here: reading and refusing. Nothing is extracted and no binary is loaded; that is ``instance``'s, in a worker.
"""

import difflib
import hashlib
import re
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from twin_assets.simulation.errors import FmuError
from twin_assets.simulation.platforms import binaries, has_solver, import_fmpy, library_of, platform_folders
from twin_assets.simulation.variables import FmuVariable, number_of, variables_of

__all__ = [
    "FmuDescription",
    "FmuVariable",
    "Interface",
    "fmu_sha256",
    "nearest",
    "platform_folders",
    "read_description",
]

Interface = Literal["co_simulation", "model_exchange"]
EXPECTED = "FMI 2.0 or 3.0, co-simulation or model exchange"
_VERSION = re.compile(r"2\.0|3\.0(\.\d+)?")


@dataclass(frozen=True)
class FmuDescription:
    """What modelDescription.xml and the archive's table of contents say.

    Attributes:
        path: the FMU's file.
        model_name: the model's name, for people.
        model_identifier: file name of the binaries, without suffix.
        fmi_version: "2.0" or "3.0".
        guid: ties the description to its binary (FMI 3.0: instantiation token).
        generation_tool: what exported the FMU, may be empty.
        platforms: folders under ``binaries/`` that hold the model, sorted ("linux64", "win64", …).
        library: archive member with this machine's binary.
        variables: in the order of the file.
        can_get_set_state: the FMU claims that its state can be kept and restored.
        can_serialize_state: the FMU claims that its state survives in another process.
        can_vary_step: communication steps may differ from each other.
        start_time: default experiment's start, s.
        tolerance: default experiment's relative tolerance of the solver, None if the FMU names none.
        interface: what it is run by; capabilities and library are this interface's.
        interfaces: all that it offers and that can be run here, best first.
        step_s: default experiment's step, s; None if the FMU names none.
        fixed_step_s: step of the solver inside, s, where it is fixed and the FMU says so.
        continuous_states: how many the model has.
        event_indicators: how many functions of the model mark events where they cross zero.
        wants_completed_steps: model exchange: is to be told of every step of the solver.
        once_per_process: the FMU says that a process may hold one instance only.
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
    interface: Interface = "co_simulation"
    interfaces: tuple[Interface, ...] = ("co_simulation",)
    step_s: float | None = None
    fixed_step_s: float | None = None
    continuous_states: int = 0
    event_indicators: int = 0
    wants_completed_steps: bool = False
    once_per_process: bool = False

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


def read_description(path: Path, interface: Interface | None = None) -> FmuDescription:
    """Read what an FMU says about itself.

    Args:
        path: the FMU's file.
        interface: what to run it by; by default co-simulation where the FMU offers it, else model exchange.

    Raises:
        FmuError: if the file is missing, no archive, has no valid model description, is of another FMI version than
            2.0 and 3.0, does not offer the interface, or brings no binary for this machine; or if a model without a
            solver of its own is to be integrated on a machine that FMPy has no solver for.
    """
    members = _members(path)
    if "modelDescription.xml" not in members:
        raise FmuError(
            f"{path}: this archive is no FMU: it has no modelDescription.xml at its top. Export the model as an FMU"
            f" ({EXPECTED})."
        )
    model = _parsed(path)
    if not _VERSION.fullmatch(model.fmiVersion):
        raise FmuError(
            f"{path}: this FMU is of FMI version {model.fmiVersion}; expected {EXPECTED}. Export the model again."
        )
    offered = _offered(path, model)
    return _description(path, members, model, _chosen(path, interface, offered), tuple(offered))


def _unreadable(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{path}: there is no such file. Expected an FMU ({EXPECTED}); check model.fmu in twin.yaml."
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
    fmpy = import_fmpy()
    try:
        # Other people's exporters deviate from the schema in ways that do not matter here: no validation.
        return fmpy.read_model_description(path, validate=False)
    except SyntaxError as error:
        raise FmuError(f"{path}: modelDescription.xml is no valid XML: {error.msg}.") from error
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise FmuError(_broken(path, error)) from error
    except Exception as error:  # fmpy raises bare exceptions, and stumbles over what it does not expect
        raise FmuError(
            f"{path}: modelDescription.xml is not as FMI wants it ({str(error) or type(error).__name__})."
            f" 'fmpy validate {path.name}' lists what is wrong; expected {EXPECTED}."
        ) from error


def _offered(path: Path, model: Any) -> dict[Interface, Any]:  # noqa: ANN401 - as above
    """What the FMU can be run by, best first, with what fmpy read of each."""
    offered: dict[Interface, Any] = {}
    if model.coSimulation is not None:
        offered["co_simulation"] = model.coSimulation
    if model.modelExchange is not None and has_solver():
        offered["model_exchange"] = model.modelExchange
    if offered:
        return offered
    if model.modelExchange is not None:
        raise FmuError(
            f"{path}: this FMU offers model exchange only, without a solver of its own, and FMPy has no solver for this"
            f" machine ({platform_folders(fmi_version='3.0')[0]}). Export the model with co-simulation."
        )
    scheduled = "scheduled execution only" if model.scheduledExecution is not None else "no interface"
    raise FmuError(f"{path}: this FMU offers {scheduled}; expected {EXPECTED}. Export the model again.")


def _chosen(path: Path, wanted: Interface | None, offered: Mapping[Interface, object]) -> Interface:
    if wanted is None:
        return next(iter(offered))
    if wanted not in offered:
        raise FmuError(
            f"{path}: this FMU cannot be run by {wanted} on this machine; found {', '.join(offered)}. Change"
            " model.interface in twin.yaml, or export the model again."
        )
    return wanted


def _description(
    path: Path,
    members: tuple[str, ...],
    model: Any,  # noqa: ANN401 - as above
    interface: Interface,
    interfaces: tuple[Interface, ...],
) -> FmuDescription:
    used = model.coSimulation if interface == "co_simulation" else model.modelExchange
    identifier = used.modelIdentifier or ""
    version = model.fmiVersion[:3]
    found = binaries(members, identifier)
    experiment = _experiment(path, model.defaultExperiment)
    return FmuDescription(
        path=path,
        model_name=model.modelName or identifier,
        model_identifier=identifier,
        fmi_version=version,
        guid=model.guid or "",
        generation_tool=model.generationTool or "",
        platforms=tuple(sorted(found)),
        library=library_of(path, members, found, version),
        variables=tuple(one for variable in model.modelVariables for one in variables_of(path, variable)),
        can_get_set_state=used.canGetAndSetFMUstate,
        can_serialize_state=used.canSerializeFMUstate,
        can_vary_step=interface == "model_exchange" or used.canHandleVariableCommunicationStepSize,
        start_time=experiment.get("startTime") or 0.0,
        tolerance=experiment.get("tolerance"),
        interface=interface,
        interfaces=interfaces,
        step_s=experiment.get("stepSize"),
        fixed_step_s=number_of(path, "CoSimulation", getattr(used, "fixedInternalStepSize", None)),
        continuous_states=model.numberOfContinuousStates,
        event_indicators=model.numberOfEventIndicators,
        wants_completed_steps=getattr(used, "needsCompletedIntegratorStep", False),
        once_per_process=used.canBeInstantiatedOnlyOncePerProcess,
    )


def _experiment(path: Path, experiment: object) -> dict[str, float | None]:
    """Numbers of the default experiment; none where the FMU has none."""
    if experiment is None:
        return {}
    names = ("startTime", "tolerance", "stepSize")
    return {name: number_of(path, "DefaultExperiment", getattr(experiment, name)) for name in names}
