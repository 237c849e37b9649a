"""The test FMU ``two_modes``: built from C, with a model description as each test wants it."""

import enum
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import fmpy  # noqa: TID253 - this module is imported by tests alone

from twin_assets.simulation.description import platform_folders

SOURCE = Path(__file__).with_suffix(".c")
VARIABLE_XML = '<ScalarVariable name="{}" valueReference="{}" causality="{}" variability="{}">{}</ScalarVariable>'
FAULT_XML = VARIABLE_XML.format("fault", 6, "parameter", "fixed", '<Integer start="0"/>')
LABEL_XML = VARIABLE_XML.format("label", 0, "local", "fixed", "<String/>")
SUFFIX = fmpy.sharedLibraryExtension


class Fault(enum.IntEnum):
    """What goes wrong where the coefficient ``a`` exceeds ``threshold``; the order is the C source's."""

    NONE = 0
    CRASH = 1
    HANG = 2
    ERROR = 3
    NOT_A_NUMBER = 4
    LIMIT_CYCLE = 5
    DISCARD = 6
    REFUSE = 7
    CRASH_ONCE = 8
    CHATTY = 9
    LEAKY = 10
    NO_RESET = 11
    CRASH_ON_RESTORE = 12
    NO_STATE = 13
    SLOW_STEPS = 14
    GROWING = 15
    POISONED = 16


def compile_library(folder: Path) -> Path:
    """Build the shared library with zig's C compiler."""
    library = folder / f"two_modes{SUFFIX}"
    headers = Path(fmpy.__file__).parent / "c-code"
    command = [sys.executable, "-m", "ziglang", "cc", "-shared", "-O1", "-fPIC", f"-I{headers}", "-o", str(library)]
    subprocess.run([*command, str(SOURCE), "-lm"], check=True)
    return library


@dataclass(frozen=True)
class TwoModes:
    """What the model description claims."""

    fmi_version: str = "2.0"
    interface: str = "CoSimulation"
    state: bool = True
    varying_step: bool = True
    variability: str = "tunable"
    folder: str = platform_folders()[0]
    guid: str = "{two-modes}"
    nominal: str = ""
    once_per_process: bool = False

    @property
    def xml(self) -> str:
        """modelDescription.xml."""
        real = (
            '<ScalarVariable name="{}" valueReference="{}" causality="{}" variability="{}"><Real {}/></ScalarVariable>'
        )
        variables = [
            real.format("a", 0, "parameter", self.variability, 'declaredType="Gain" start="1"'),
            real.format("b", 1, "parameter", self.variability, 'declaredType="Gain" start="1" max="50"'),
            real.format("u", 2, "input", "continuous", 'start="1"'),
            real.format("fast", 3, "parameter", "fixed", 'start="0.1" unit="s"'),
            real.format("slow", 4, "parameter", "fixed", 'start="16" unit="s"'),
            real.format("threshold", 5, "parameter", "fixed", 'start="1e9"'),
            FAULT_XML,
            *(real.format(f"y{i}", 5 + i, "output", "continuous", self.nominal) for i in (1, 2, 3)),
            LABEL_XML,
        ]
        flag = {True: "true", False: "false"}
        return f"""<?xml version="1.0" encoding="UTF-8"?>
<fmiModelDescription fmiVersion="{self.fmi_version}" modelName="Two modes" guid="{self.guid}">
<{self.interface} modelIdentifier="two_modes" canGetAndSetFMUstate="{flag[self.state]}"
 canSerializeFMUstate="{flag[self.state]}" canHandleVariableCommunicationStepSize="{flag[self.varying_step]}"
 canBeInstantiatedOnlyOncePerProcess="{flag[self.once_per_process]}"/>
<UnitDefinitions><Unit name="N"/><Unit name="s"/></UnitDefinitions>
<TypeDefinitions><SimpleType name="Gain"><Real unit="N" min="0" max="100"/></SimpleType></TypeDefinitions>
<DefaultExperiment startTime="0" tolerance="1e-6"/>
<ModelVariables>{"".join(variables)}</ModelVariables>
<ModelStructure><Outputs><Unknown index="8"/><Unknown index="9"/><Unknown index="10"/></Outputs>
<InitialUnknowns><Unknown index="8"/><Unknown index="9"/><Unknown index="10"/></InitialUnknowns></ModelStructure>
</fmiModelDescription>
"""

    def write(self, path: Path, library: Path) -> Path:
        """Zip an FMU."""
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("modelDescription.xml", self.xml)
            archive.write(library, f"binaries/{self.folder}/{library.name}")
        return path
