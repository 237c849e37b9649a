"""Builds web_line.fmu: the model description from ``variables.def``, the C sources for all platforms, one archive.

Run by ``make fmu``. The same sources and the same compiler give the same bytes: times in the archive are fixed, entries
sorted, and the GUID is a hash of the sources.
"""

import argparse
import ast
import hashlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import uuid
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree as ET

MODEL = Path(__file__).resolve().parent
FMU = MODEL.parent / "web_line.fmu"
IDENTIFIER = "web_line"
SOURCES = ("fmi2.c", "web_line.c", "integrator.c")
HEADERS = ("variables.def", "web_line.h", "integrator.h")

# Folders of FMI 2.0, and those of FMI 3.0 for the processors that 2.0 does not know.
TARGETS = {
    "linux64": ("x86_64-linux-gnu.2.17", ".so"),
    "aarch64-linux": ("aarch64-linux-gnu.2.17", ".so"),
    "darwin64": ("x86_64-macos.11.0", ".dylib"),
    "aarch64-darwin": ("aarch64-macos.11.0", ".dylib"),
    "win64": ("x86_64-windows-gnu", ".dll"),
}
# No contraction to fused multiply-add: platforms agree to the last bit. Assembling sums differently is off by default.
FLAGS = ("-std=c99", "-O2", "-ffp-contract=off", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror", "-s", "-shared")

# Exponents of SI base units, and a factor.
UNITS: dict[str, dict[str, float]] = {
    "1": {},
    "N": {"kg": 1, "m": 1, "s": -2},
    "N.m": {"kg": 1, "m": 2, "s": -2},
    "N.m/rad": {"kg": 1, "m": 2, "s": -2, "rad": -1},
    "N.m.s/rad": {"kg": 1, "m": 2, "s": -1, "rad": -1},
    "Pa": {"kg": 1, "m": -1, "s": -2},
    "deg": {"rad": 1, "factor": 0.017453292519943295},
    "kg.m2": {"kg": 1, "m": 2},
    "m": {"m": 1},
    "m/(s.N)": {"kg": -1, "s": 1},
    "m/(s.rad)": {"m": 1, "s": -1, "rad": -1},
    "m/s": {"m": 1, "s": -1},
    "m2": {"m": 2},
    "rad": {"rad": 1},
    "rad/s": {"rad": 1, "s": -1},
    "s": {"s": 1},
}


# Magnitude of outputs below which nothing matters, by unit: what settling and solvers measure change against.
NOMINALS = {"N": "100", "rad/s": "10", "deg": "1", "Pa": "1e5", "N.m": "1"}
SLIP_NOMINAL, SPEED_NOMINAL = "1e-3", "1"


@dataclass(frozen=True)
class Variable:
    """One line of ``variables.def``."""

    kind: str
    name: str
    unit: str
    description: str
    limits: tuple[float, float, float] | None  # start, min, max


def read_variables() -> list[Variable]:
    """The variables in the order of their value references."""
    entries = re.findall(
        r"^(TUNABLE|INPUT|FIXED|OUTPUT) *\((\w+), *(.*)\)$", (MODEL / "variables.def").read_text(), re.MULTILINE
    )
    return [_variable(kind, name, ast.literal_eval(f"({rest})")) for kind, name, rest in entries]


def _variable(kind: str, name: str, rest: tuple[str | float, ...]) -> Variable:
    unit, *limits, description = rest
    numbers = tuple(float(value) for value in limits)
    return Variable(kind, name, str(unit), str(description), (numbers[0], numbers[1], numbers[2]) if numbers else None)


def guid() -> str:
    """Identifies the model: the same sources, the same GUID."""
    digest = hashlib.sha256()
    for name in (*SOURCES, *HEADERS):
        digest.update((MODEL / name).read_bytes())
    return f"{{{uuid.UUID(digest.hexdigest()[:32])}}}"


def model_description(variables: list[Variable]) -> bytes:
    """modelDescription.xml, FMI 2.0."""
    root = ET.Element(
        "fmiModelDescription",
        fmiVersion="2.0",
        modelName=IDENTIFIER,
        guid=guid(),
        description="Web-handling line: nine idle rollers with viscous bearings, dancer, driven nips, winder",
        version="1.0",
        license="Apache-2.0",
        generationTool="twins/web_line/model/build.py",
        variableNamingConvention="flat",
    )
    ET.SubElement(
        root,
        "CoSimulation",
        modelIdentifier=IDENTIFIER,
        canHandleVariableCommunicationStepSize="true",
        canGetAndSetFMUstate="true",
        canSerializeFMUstate="true",
    )
    _units(ET.SubElement(root, "UnitDefinitions"), {variable.unit for variable in variables})
    categories = ET.SubElement(root, "LogCategories")
    ET.SubElement(categories, "Category", name="logStatusError", description="what was refused, and why")
    ET.SubElement(root, "DefaultExperiment", startTime="0", stopTime="400", tolerance="1e-5", stepSize="2")
    _variables(ET.SubElement(root, "ModelVariables"), variables)
    _structure(ET.SubElement(root, "ModelStructure"), variables)
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="UTF-8", xml_declaration=True)
    return text + b"\n"


def _units(parent: ET.Element, used: set[str]) -> None:
    for name in sorted(used):
        unit = ET.SubElement(parent, "Unit", name=name)
        ET.SubElement(unit, "BaseUnit", {base: repr(value) for base, value in UNITS[name].items()})


def _variables(parent: ET.Element, variables: list[Variable]) -> None:
    attributes = {
        "TUNABLE": {"causality": "parameter", "variability": "tunable", "initial": "exact"},
        "FIXED": {"causality": "parameter", "variability": "fixed", "initial": "exact"},
        "INPUT": {"causality": "input", "variability": "continuous"},
        "OUTPUT": {"causality": "output", "variability": "continuous", "initial": "calculated"},
    }
    for reference, variable in enumerate(variables):
        scalar = ET.SubElement(
            parent,
            "ScalarVariable",
            {
                "name": variable.name,
                "valueReference": str(reference),
                "description": variable.description,
                **attributes[variable.kind],
            },
        )
        real = ET.SubElement(scalar, "Real", unit=variable.unit)
        if variable.limits:
            start, low, high = (repr(value) for value in variable.limits)
            real.attrib |= {"min": low, "max": high, "start": start}
        else:
            speed = SLIP_NOMINAL if variable.name.endswith("SlipVelocity") else SPEED_NOMINAL
            real.set("nominal", NOMINALS.get(variable.unit, speed))


def _structure(parent: ET.Element, variables: list[Variable]) -> None:
    outputs = [str(index) for index, variable in enumerate(variables, start=1) if variable.kind == "OUTPUT"]
    for section in ("Outputs", "InitialUnknowns"):
        element = ET.SubElement(parent, section)
        for index in outputs:
            ET.SubElement(element, "Unknown", index=index)


def include_path() -> Path:
    """The FMI 2.0 headers that come with FMPy."""
    spec = find_spec("fmpy")
    if spec is None or spec.origin is None:
        sys.exit(
            "FMPy is not installed: its FMI headers are needed. Run 'make test' once, or install requirements.lock."
        )
    return Path(spec.origin).parent / "c-code"


def compile_binary(target: str, output: Path) -> None:
    """Cross-compile the model.

    Args:
        target: a key of ``TARGETS``.
        output: the shared library to write.
    """
    triple, _ = TARGETS[target]
    # else the path of the folder it was built in would go into a macOS library
    name = (f"-Wl,-install_name,@rpath/{output.name}",) if "macos" in triple else ()
    with tempfile.TemporaryDirectory() as scratch:  # beside a Windows library zig leaves its import library
        built = Path(scratch) / output.name
        command = [
            *(sys.executable, "-m", "ziglang", "cc", "-target", triple, *FLAGS, *name),
            *("-I", str(include_path()), f'-DMODEL_GUID="{guid()}"', *SOURCES, "-o", str(built)),
        ]
        subprocess.run(command, check=True, cwd=MODEL)
        output.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(built, output)


def universal(binaries: dict[str, bytes]) -> bytes:
    """One macOS library for several processors (the fat Mach-O format of mach-o/fat.h).

    FMPy looks into darwin64 on ARM as well: both processors' code has to be there.

    Args:
        binaries: target to its library, both of macOS.
    """
    alignment = 14  # 2**14: a page of ARM
    header = struct.pack(">2I", 0xCAFEBABE, len(binaries))
    body = b""
    for binary in binaries.values():
        processor, kind = struct.unpack_from("<2I", binary, 4)
        body += b"\0" * (-len(body) % (1 << alignment))
        header += struct.pack(">5I", processor, kind, (1 << alignment) + len(body), len(binary), alignment)
        body += binary
    return header.ljust(1 << alignment, b"\0") + body


def pack(fmu: Path, description: bytes, folder: Path) -> None:
    """Write the archive; its bytes depend on the contents alone."""
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with zipfile.ZipFile(fmu, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in {"modelDescription.xml": description, **dict(sorted(files.items()))}.items():
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            entry.create_system = 3  # as written on Unix, wherever it is built
            archive.writestr(entry, data)


def _library(folder: Path, target: str) -> Path:
    return folder / "binaries" / target / (IDENTIFIER + TARGETS[target][1])


def build(fmu: Path, targets: Iterable[str] = tuple(TARGETS)) -> None:
    """Compile for the targets and write the FMU.

    Args:
        fmu: where to write it.
        targets: keys of ``TARGETS``.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for target in targets:
            print(f"compiling for {target}")
            compile_binary(target, _library(folder, target))
        macos = {target: _library(folder, target) for target in ("darwin64", "aarch64-darwin")}
        if all(path.exists() for path in macos.values()):
            macos["darwin64"].write_bytes(universal({target: path.read_bytes() for target, path in macos.items()}))
        pack(fmu, model_description(read_variables()), folder)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=FMU, help="the FMU to write (default: %(default)s)")
    parser.add_argument("--target", choices=TARGETS, action="append", help="only this platform (repeatable)")
    arguments = parser.parse_args()
    build(arguments.output, arguments.target or tuple(TARGETS))
    print(f"{arguments.output}: {arguments.output.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
