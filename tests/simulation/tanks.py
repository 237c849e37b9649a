"""The test FMU ``tanks`` of every FMI version and interface: built from C, with the model descriptions."""

import enum
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import fmpy  # noqa: TID253 - this module is imported by tests alone
import numpy as np

from twin_assets.model import Floats
from twin_assets.simulation.description import platform_folders

FOLDER = Path(__file__).parent
ELEMENTS = {"CoSimulation": "co_simulation", "ModelExchange": "model_exchange"}
FLOW = tuple(f"flow[{i},{j}]" for i in (1, 2) for j in (1, 2))


class Trouble(enum.IntEnum):
    """What goes wrong where gain[1] exceeds 10; the order is the C source's."""

    NONE = 0
    BAD_DERIVATIVE = 1
    ENDLESS_ITERATION = 2
    ENDLESS_EVENTS = 3
    ENDS = 4
    STEP_ENDS = 5


def closed_form(gains: Floats, u: float, n: int, mode: int, *, on: bool, trim: float = 1.0) -> Floats:
    """Where level (2), flow (2 by 2), count, running and kind settle; gains (k, 2) -> (k, 9)."""
    levels = gains * (trim * (u * n + mode) if on else 0.0)
    flows = gains[:, :, None] * levels[:, None, :]
    rest = np.tile([float(on), float(mode)], (len(gains), 1))
    return np.column_stack([levels, flows.reshape(len(gains), 4), (levels > 1.0).sum(axis=1), rest])


OUTPUTS = ("level[1]", "level[2]", *FLOW, "count", "running", "kind")


def compile_tanks(folder: Path, version: str) -> Path:
    """Build the shared library of one FMI version with zig's C compiler."""
    library = folder / f"tanks{fmpy.sharedLibraryExtension}"
    source = FOLDER / f"tanks_fmi{version[0]}.c"
    headers = Path(fmpy.__file__).parent / "c-code"
    command = [sys.executable, "-m", "ziglang", "cc", "-shared", "-O1", "-fPIC", f"-I{headers}", "-o", str(library)]
    subprocess.run([*command, str(source), "-lm"], check=True)
    return library


@dataclass(frozen=True)
class Tanks:
    """What the model description claims.

    Attributes:
        version: of FMI.
        interfaces: XML elements of what is offered.
        state: whether the state can be kept.
        variability: of gain and trim.
        experiment: attributes of the default experiment.
        more: further attributes of the interfaces.
        size: start value of the structural parameter (FMI 3.0).
        gains: start values of the gains (FMI 3.0), as a list of XML.
        guid: ties the description to its binary; that of FMI 3.0 refuses "none", that of FMI 2.0 refuses to solve
            "unlicensed" by itself.
    """

    version: str = "2.0"
    interfaces: Sequence[str] = ("CoSimulation",)
    state: bool = True
    variability: str = "tunable"
    experiment: str = 'tolerance="1e-6"'
    more: str = ""
    size: int = 2
    gains: str = "1 1"
    guid: str = "{tanks}"

    @property
    def xml(self) -> str:
        """modelDescription.xml."""
        flag = "true" if self.state else "false"
        state = "State" if self.version == "3.0" else "state"
        varies = 'canHandleVariableCommunicationStepSize="true"'
        interfaces = "".join(
            f'<{name} modelIdentifier="tanks" canGetAndSetFMU{state}="{flag}" canSerializeFMU{state}="{flag}"'
            f" {varies if name == 'CoSimulation' else self._completed} {self.more}/>"
            for name in self.interfaces
        )
        token = "instantiationToken" if self.version == "3.0" else "guid"
        indicators = "" if self.version == "3.0" else 'numberOfEventIndicators="2"'
        body = self._fmi3() if self.version == "3.0" else self._fmi2()
        return f"""<?xml version="1.0" encoding="UTF-8"?>
<fmiModelDescription fmiVersion="{self.version}" modelName="Tanks" {token}="{self.guid}" {indicators}>
{interfaces}<DefaultExperiment startTime="0" {self.experiment}/>{body}</fmiModelDescription>
"""

    @property
    def _completed(self) -> str:
        return 'needsCompletedIntegratorStep="true"' if self.version == "3.0" else ""

    def _fmi2(self) -> str:
        def scalar(name: str, reference: int, causality: str, variability: str, inner: str) -> str:
            return (
                f'<ScalarVariable name="{name}" valueReference="{reference}" causality="{causality}"'
                f' variability="{variability}">{inner}</ScalarVariable>'
            )

        real = '<Real start="{}"/>'
        kind = '<Enumeration declaredType="Mode" {}/>'
        names = ("level[1]", "level[2]", *FLOW)
        variables = [
            scalar("gain[1]", 0, "parameter", self.variability, '<Real start="1" min="0" unit="m"/>'),
            scalar("gain[2]", 1, "parameter", self.variability, '<Real start="1" min="0" unit="m"/>'),
            scalar("tau[1]", 2, "parameter", "fixed", real.format(0.5)),
            scalar("tau[2]", 3, "parameter", "fixed", real.format(8)),
            scalar("u", 4, "input", "continuous", real.format(1)),
            scalar("trim", 5, "parameter", self.variability, real.format(1)),
            scalar("opens", 6, "parameter", "fixed", real.format(0.75)),
            *(scalar(name, 7 + i, "output", "continuous", "<Real/>") for i, name in enumerate(names)),
            scalar("der1", 13, "local", "continuous", '<Real derivative="8"/>'),
            scalar("der2", 14, "local", "continuous", '<Real derivative="9"/>'),
            scalar("n", 0, "input", "discrete", '<Integer start="2" min="0" max="100"/>'),
            scalar("mode", 1, "input", "discrete", kind.format('start="1"')),
            scalar("fault", 2, "parameter", "fixed", '<Integer start="0"/>'),
            scalar("count", 3, "output", "discrete", "<Integer/>"),
            scalar("kind", 4, "output", "discrete", kind.format("")),
            scalar("on", 0, "input", "discrete", '<Boolean start="true"/>'),
            scalar("running", 1, "output", "discrete", "<Boolean/>"),
            scalar("latched", 2, "output", "discrete", "<Boolean/>"),
            scalar("label", 0, "local", "fixed", "<String/>"),
        ]
        unknowns = '<Derivatives><Unknown index="14"/><Unknown index="15"/></Derivatives>'
        items = "".join(f'<Item name="m{i}" value="{i}"/>' for i in (1, 2, 3))
        return (
            f'<TypeDefinitions><SimpleType name="Mode"><Enumeration>{items}</Enumeration></SimpleType>'
            f"</TypeDefinitions><ModelVariables>{''.join(variables)}</ModelVariables>"
            f"<ModelStructure>{unknowns}</ModelStructure>"
        )

    def _fmi3(self) -> str:
        def variable(kind: str, name: str, reference: int, attributes: str, dimensions: str = "") -> str:
            return f'<{kind} name="{name}" valueReference="{reference}" {attributes}>{dimensions}</{kind}>'

        sized = '<Dimension valueReference="0"/>'
        parameter, output = 'causality="parameter" variability="{}" start="{}"', 'causality="output"'
        variables = [
            variable("UInt64", "size", 0, f'causality="structuralParameter" start="{self.size}"'),
            variable("Float64", "gain", 1, parameter.format(self.variability, self.gains) + ' min="0" unit="m"', sized),
            variable("Float64", "tau", 2, parameter.format("fixed", "0.5 8"), '<Dimension start="2"/>'),
            variable("Float64", "u", 3, 'causality="input" start="1"'),
            variable("Float32", "trim", 4, parameter.format(self.variability, 1)),
            variable("Float64", "opens", 5, parameter.format("fixed", 0.75)),
            variable("Float64", "level", 6, output, sized),
            variable("Float64", "flow", 7, output, sized * 2),
            variable("Float64", "der", 8, 'causality="local" derivative="6"', sized),
            variable("Float64", "above", 9, 'causality="local"', sized),
            variable("Int8", "n", 10, 'causality="input" start="2" min="0" max="100"'),
            variable("Enumeration", "mode", 11, 'causality="input" declaredType="Mode" start="1"'),
            variable("Int32", "fault", 12, parameter.format("fixed", 0)),
            variable("UInt16", "count", 13, output),
            variable("Enumeration", "kind", 14, output + ' declaredType="Mode"'),
            variable("Boolean", "on", 15, 'causality="input" start="true"'),
            variable("Boolean", "running", 16, output),
            variable("Boolean", "latched", 17, output),
            variable("String", "label", 18, 'causality="local" variability="fixed"'),
        ]
        items = "".join(f'<Item name="m{i}" value="{i}"/>' for i in (1, 2, 3))
        return (
            f'<TypeDefinitions><EnumerationType name="Mode">{items}</EnumerationType></TypeDefinitions>'
            f"<ModelVariables>{''.join(variables)}</ModelVariables><ModelStructure>"
            '<ContinuousStateDerivative valueReference="8"/><EventIndicator valueReference="9"/></ModelStructure>'
        )

    def write(self, path: Path, library: Path) -> Path:
        """Zip an FMU."""
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("modelDescription.xml", self.xml)
            folder = platform_folders(fmi_version=self.version)[0]
            archive.write(library, f"binaries/{folder}/{library.name}")
        return path
