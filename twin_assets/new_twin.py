"""A first twin.yaml for somebody's FMU: what the FMU says is taken, what nobody says is guessed, and said to be.

Belongs here: guessing numbers and writing the folder in one step. Which variables are meant is ``variable_choice``'s;
the text is ``templates/twin.yaml.j2``.
"""

import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from twin_assets.errors import TwinError
from twin_assets.first_run import FirstRun
from twin_assets.simulation import FmuDescription, FmuVariable, SettleSettings
from twin_assets.spec_check import check_against_fmu
from twin_assets.spec_file import TWIN_FILE, SpecError, load_twin, shown
from twin_assets.spec_types import twin_name
from twin_assets.variable_choice import Chosen
from twin_assets.yaml_lines import DocumentError, parse

Entry = dict[str, object]

STD_OF_INITIAL = 0.5
STD_OF_BOUNDS = 0.01
DRIFT_OF_STD = 0.1
NOISE_OF_VALUE = 0.01
COMMENT_COLUMN = 33


@dataclass(frozen=True)
class NewTwin:
    """What a new twin.yaml says beside the FMU's variables.

    Attributes:
        name: of the twin and its folder.
        units: physical machines; one named like the twin if empty.
        start: first day (UTC).
        run: what the FMU does at its start values: noise is guessed from that, and steps are chosen by it.
    """

    name: str
    units: tuple[str, ...] = ()
    start: date = date(2020, 1, 1)
    run: FirstRun = field(default_factory=FirstRun)


def new_folder(name: str, twins_path: Path) -> Path:
    """Where a new twin would lie.

    Raises:
        TwinError: if the name is no twin's, or taken.
    """
    try:
        folder = twins_path / twin_name(name)
    except ValueError as error:
        raise TwinError(f"NAME: {error}.") from None
    if folder.exists():
        raise TwinError(f"{shown(folder)}: is there already; choose another NAME, or remove it first.")
    return folder


def write_twin(new: NewTwin, description: FmuDescription, chosen: Chosen, twins_path: Path) -> Path:
    """Write ``twins_path/<name>/`` with twin.yaml and a copy of the FMU: all of it, or nothing.

    Returns:
        The path of the new twin.yaml.

    Raises:
        TwinError: if the name is taken, the folder cannot be written, or the FMU contradicts itself.
    """
    folder = new_folder(new.name, twins_path)
    text = render(new, description, chosen)
    try:
        twins_path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{new.name}-", dir=twins_path) as aside:
            draft = Path(aside) / new.name
            draft.mkdir()
            (draft / TWIN_FILE).write_text(text, encoding="utf-8")
            shutil.copyfile(description.path, draft / description.path.name)
            _refuse_unfit(draft, description, folder)
            draft.rename(folder)
    except OSError as error:
        raise TwinError(
            f"{shown(folder)}: cannot be written ({error.strerror or error}). Expected a folder of twins that you may"
            " write to: choose one with --twins or TWINS_PATH."
        ) from error
    return folder / TWIN_FILE


def render(new: NewTwin, description: FmuDescription, chosen: Chosen) -> str:
    """The text of the new twin.yaml."""
    environment = Environment(
        loader=PackageLoader("twin_assets"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - YAML, where every value goes through the filters below
    )
    environment.filters.update(scalar=scalar, flow=flow, comment=_comment, padded=_padded)
    run, usual = new.run, SettleSettings()
    return environment.get_template("twin.yaml.j2").render(
        name=new.name,
        title=description.model_name,
        fmu=description.path.name,
        tool=description.generation_tool,
        fmi_version=description.fmi_version,
        interfaces=description.interfaces,
        interface=run.interface,
        step_s=run.settle.step_s if run.settle.step_s != usual.step_s else None,
        max_step_s=run.settle.max_step_s,
        max_settle_s=run.settle.max_settle_s if run.settle.max_settle_s != usual.max_settle_s else None,
        units=new.units or (new.name,),
        start=new.start.isoformat(),
        inputs=[_input(variable) for variable in chosen.inputs],
        untold=[variable.name for variable in chosen.untold],
        coefficients=[_coefficient(variable) for variable in chosen.coefficients],
        measurements=[_measurement(variable, run.values) for variable in chosen.measurements],
        virtual_sensors=[_entry(variable) for variable in chosen.virtual_sensors],
    )


def scalar(value: object) -> str:
    """A value in YAML, in a flow or alone: plain where that reads back as the same value, else in double quotes."""
    if value is None:
        return "null"
    if isinstance(value, bool | int | float):
        return _number(float(value))
    text = str(value)
    try:
        # No plain scalar that only this reader takes for text (yes, on): people have other readers, too.
        plain = text[:1].isalpha() and text.lower() not in {"yes", "no", "on", "off"}
        if plain and parse(f"[{text}]").data == [text]:
            return text
    except DocumentError:
        pass
    return yaml.safe_dump(text, default_style='"', allow_unicode=True, width=sys.maxsize).rstrip("\n")


def flow(entry: Mapping[str, object]) -> str:
    """A mapping on one line."""
    parts = (
        f"{key}: [{', '.join(scalar(item) for item in value)}]"
        if isinstance(value, tuple)
        else f"{key}: {scalar(value)}"
        for key, value in entry.items()
    )
    return "{" + ", ".join(parts) + "}"


def _refuse_unfit(draft: Path, description: FmuDescription, folder: Path) -> None:
    """An FMU may contradict itself (a start outside its bounds): say so, in the words of ``twin check``."""
    try:
        check_against_fmu(load_twin(draft, draft.parent), description)
    except SpecError as error:
        findings = str(error).replace(shown(draft), shown(folder))
        raise TwinError(
            f"{shown(description.path)}: no valid twin.yaml follows from this FMU and choice; nothing was written."
            f" Choose other variables, or mend the FMU:\n{findings}"
        ) from None


def _padded(text: str) -> str:
    """A line's text, up to where its comment begins."""
    return text.ljust(COMMENT_COLUMN - 2)


def _comment(text: str) -> str:
    return " ".join(text.split())


def _entry(variable: FmuVariable, **numbers: object) -> Entry:
    entry: Entry = {"name": variable.name}
    if variable.unit:
        entry["unit"] = variable.unit
    entry.update(numbers)
    if variable.description:
        entry["description"] = _comment(variable.description)
    return entry


def _input(variable: FmuVariable) -> Entry:
    entry = _entry(variable)
    entry.pop("description", None)
    if variable.start is not None:
        entry["constant"] = variable.start
    return entry


def _coefficient(variable: FmuVariable) -> Entry:
    initial = variable.start if variable.start is not None else _first(variable.nominal, variable.min, variable.max)
    std = _guessed_std(variable, initial)
    numbers: Entry = {"initial": initial, "initial_std": std, "drift_std_per_sqrt_hour": _rounded(DRIFT_OF_STD * std)}
    if variable.min is not None or variable.max is not None:
        numbers["bounds"] = (variable.min, variable.max)
    return _entry(variable, **numbers)


def _guessed_std(variable: FmuVariable, initial: float) -> float:
    widths = [STD_OF_INITIAL * abs(initial)]
    if variable.min is not None and variable.max is not None:
        widths.append(STD_OF_BOUNDS * (variable.max - variable.min))
    return _rounded(max(widths)) or _rounded(STD_OF_INITIAL * abs(variable.nominal or 1.0))


def _measurement(variable: FmuVariable, values: Mapping[str, float]) -> Entry:
    scale = abs(_first(values.get(variable.name), variable.start, variable.nominal)) or 1.0
    return _entry(variable, noise_std=_rounded(NOISE_OF_VALUE * scale))


def _first(*values: float | None) -> float:
    """The first that is known; 0 if none is."""
    known = [value for value in values if value is not None]
    return known[0] if known else 0.0


def _rounded(value: float) -> float:
    """Two digits: a guess should not look exact."""
    return float(f"{value:.2g}")


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 1e9 else repr(value)  # noqa: PLR2004 - readable
