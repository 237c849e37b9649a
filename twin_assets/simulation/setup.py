"""From an FMU's description and the names of variables to what workers are told, and the FMU in a folder.

Belongs here: refusing variables that cannot play the role they are given. Reading the description is ``description``'s.
"""

import hashlib
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from twin_assets.simulation.description import FmuDescription, FmuVariable
from twin_assets.simulation.errors import FmuError, FmuReplacedError
from twin_assets.simulation.messages import Restart, Setup
from twin_assets.simulation.settle import SettleSettings


def extracted(path: Path, setup: Setup, folder: Path, sha256: str) -> Setup:
    """The setup with the FMU extracted into a folder.

    Args:
        path: the FMU's file.
        setup: what its description said.
        folder: where to.
        sha256: of the file that the description was read from, hex.

    Raises:
        FmuReplacedError: if the file is another one by now.
        FmuError: if the archive is damaged, or the folder cannot be written.
    """
    try:
        # Of a copy: a file may be replaced, or written over, while it is read.
        with path.open("rb") as file, tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(file, copy)
            copy.seek(0)
            found = hashlib.file_digest(copy, "sha256").hexdigest()
            if found != sha256:
                raise FmuReplacedError(path, sha256, found)
            with zipfile.ZipFile(copy) as archive:
                archive.extractall(folder)
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        raise FmuError(
            f"{path}: the FMU cannot be extracted to {folder} ({error}). Copy it again, or check the space left there."
        ) from error
    return replace(setup, folder=folder, library=folder / setup.library)


def setup_of(
    description: FmuDescription,
    *,
    coefficients: tuple[str, ...],
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    parameters: Mapping[str, float],
    reference: Mapping[str, float],
    settle: SettleSettings,
    restart: Restart | Literal["auto"],
) -> Setup:
    """What the workers are told; folder and library are still those inside the archive.

    Raises:
        FmuError: if the FMU has no such variable, or one that cannot play its role.
    """
    inferred, told = _coefficients(description, coefficients), _settable(description, inputs, "input")
    changing = (*inferred, *told)
    can_roll_back = description.can_get_set_state and all(variable.tunable for variable in changing)
    chosen: Restart = ("rollback" if can_roll_back else "reset") if restart == "auto" else restart
    return Setup(
        folder=Path(),
        library=Path(description.library),
        model_identifier=description.model_identifier,
        guid=description.guid,
        coefficients=inferred,
        inputs=told,
        outputs=tuple(_number(description, name, "output") for name in outputs),
        parameters=_parameters(description, parameters),
        reference=tuple(float(reference.get(variable.name, variable.start or 0.0)) for variable in changing),
        settle=settle,
        start_time=description.start_time,
        tolerance=description.tolerance,
        can_vary_step=description.can_vary_step,
        restart=chosen,
        fmi_version=description.fmi_version,
        interface=description.interface,
        continuous_states=description.continuous_states,
        event_indicators=description.event_indicators,
        wants_completed_steps=description.wants_completed_steps,
    )


def _number(description: FmuDescription, name: str, role: str) -> FmuVariable:
    variable = description.variable(name)
    if not variable.number:
        raise FmuError(f"{description.path}: the {role} '{name}' is of type {variable.type}; a number is expected.")
    return variable


def _settable(description: FmuDescription, names: tuple[str, ...], role: str) -> tuple[FmuVariable, ...]:
    variables = tuple(_number(description, name, role) for name in names)
    for variable in variables:
        if not (variable.settable or variable.tunable):
            raise FmuError(
                f"{description.path}: the {role} '{variable.name}' cannot be set: it is a {variable.variability}"
                f" {variable.causality}. Expected a parameter (tunable or fixed) or an input."
            )
    return variables


def _coefficients(description: FmuDescription, names: tuple[str, ...]) -> tuple[FmuVariable, ...]:
    variables = _settable(description, names, "coefficient")
    for variable in variables:
        if not variable.real:
            raise FmuError(
                f"{description.path}: the coefficient '{variable.name}' is of type {variable.type}, which has no values"
                " between its values: the filter cannot move it. A real parameter is expected; set this one in"
                " parameters."
            )
    return variables


def _parameters(description: FmuDescription, values: Mapping[str, float]) -> tuple[tuple[FmuVariable, float], ...]:
    pairs = tuple((description.variable(name), float(value)) for name, value in values.items())
    for variable, _ in pairs:
        if not variable.number or not variable.settable:
            raise FmuError(
                f"{description.path}: the parameter '{variable.name}' cannot be set: it is a {variable.variability}"
                f" {variable.causality} of type {variable.type}. Expected a number that is settable before start."
            )
    return pairs
