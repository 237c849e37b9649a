"""The committed FMU is what its sources give, and its integrator is right."""

import ctypes
import os
import platform
import subprocess
import sys
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

Floats = NDArray[np.float64]

needs_compiler = pytest.mark.skipif(find_spec("ziglang") is None, reason="the ziglang wheel (a C compiler) is missing")
linux_on_intel = pytest.mark.skipif(
    not (sys.platform == "linux" and platform.machine() == "x86_64"), reason="runs the binary for linux64"
)
STATES = 30


@pytest.fixture(scope="module", name="rebuilt")
def _rebuilt(build_script: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The FMU, built here and now for linux64 alone."""
    fmu = tmp_path_factory.mktemp("rebuilt") / "web_line.fmu"
    build_script.build(fmu, ["linux64"])
    return fmu


def _trajectory(fmu: Path) -> Floats:
    """All outputs through wear, slip and a change of speed, (steps, outputs)."""
    from fmpy import simulate_fmu

    changes = np.array(
        [(0.0, 1.0, 150.0), (20.0, 1.0, 160.0), (60.0, 1.3, 160.0)],
        dtype=[("time", float), ("web_speed_setpoint", float), ("tension_2_setpoint", float)],
    )
    start = {"b3": 0.11, "b9": 0.19}
    result = simulate_fmu(str(fmu), stop_time=100.0, output_interval=2.0, start_values=start, input=changes)
    return np.array(result.tolist())


@needs_compiler
@linux_on_intel
def test_rebuilt_binary_gives_the_committed_results(rebuilt: Path, web_line_fmu: Path) -> None:
    """Compiled anew, the model says what the committed binary says (1e-12: another compiler may order sums anew)."""
    np.testing.assert_allclose(_trajectory(rebuilt), _trajectory(web_line_fmu), rtol=1e-12, atol=1e-12)


@needs_compiler
def test_build_is_reproducible(rebuilt: Path, build_script: ModuleType, tmp_path: Path) -> None:
    """The same sources and compiler give the same bytes, wherever it is built."""
    build_script.build(tmp_path / "again.fmu", ["linux64"])
    assert (tmp_path / "again.fmu").read_bytes() == rebuilt.read_bytes()


def test_committed_description_is_that_of_the_sources(web_line_fmu: Path, build_script: ModuleType) -> None:
    """A changed variable, or changed C code (by the GUID), without `make fmu` is found here."""
    with zipfile.ZipFile(web_line_fmu) as archive:
        committed = archive.read("modelDescription.xml")
    assert committed == build_script.model_description(build_script.read_variables())


@pytest.mark.parametrize(
    ("member", "magic", "offset"),
    [
        ("linux64/web_line.so", b"\x3e\x00", 18),  # ELF: EM_X86_64
        ("aarch64-linux/web_line.so", b"\xb7\x00", 18),  # ELF: EM_AARCH64
        ("darwin64/web_line.dylib", b"\xca\xfe\xba\xbe\x00\x00\x00\x02", 0),  # universal, two processors
        ("aarch64-darwin/web_line.dylib", b"\xcf\xfa\xed\xfe\x0c\x00\x00\x01", 0),  # Mach-O 64: ARM64
        ("win64/web_line.dll", b"MZ", 0),
    ],
)
def test_committed_fmu_has_a_binary_for(web_line_fmu: Path, member: str, magic: bytes, offset: int) -> None:
    """Each platform's folder holds a library for its processor, with the functions of FMI 2.0 in it."""
    with zipfile.ZipFile(web_line_fmu) as archive:
        binary = archive.read(f"binaries/{member}")
    assert binary[offset:].startswith(magic)
    for function in (b"fmi2Instantiate", b"fmi2DoStep", b"fmi2SerializeFMUstate", b"fmi2GetRealStatus"):
        assert function in binary


def test_macos_libraries_are_signed(web_line_fmu: Path) -> None:
    """ARM macOS loads signed code only: the library for it carries an (ad-hoc) signature, in both of its places."""
    with zipfile.ZipFile(web_line_fmu) as archive:
        for member in ("darwin64", "aarch64-darwin"):
            assert b"\xfa\xde\x0c\xc0" in archive.read(f"binaries/{member}/web_line.dylib")


def test_committed_fmu_is_small(web_line_fmu: Path) -> None:
    """Every clone carries it: below 200 KiB."""
    assert web_line_fmu.stat().st_size < 200 * 1024


class _Line(ctypes.Structure):
    """The C code's struct Line; the settings' memory belongs to the caller."""

    _fields_: ClassVar = [("p", ctypes.c_void_p), ("limit", ctypes.c_double * 2)]


@pytest.fixture(scope="module", name="physics")
def _physics(build_script: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """Right-hand side, settled state and integrator as a plain library."""
    library = tmp_path_factory.mktemp("physics") / "physics.so"
    sources = ("web_line.c", "integrator.c")
    command = [
        sys.executable,
        "-m",
        "ziglang",
        "cc",
        "-std=c99",
        "-O1",
        "-shared",
        "-fPIC",
        *sources,
        "-o",
        str(library),
    ]
    subprocess.run(command, check=True, cwd=build_script.MODEL)
    loaded = ctypes.CDLL(os.fspath(library))
    loaded.web_line_of.restype = _Line
    loaded.integrate.argtypes = [ctypes.c_void_p] * 2 + [ctypes.c_double] * 2 + [ctypes.c_void_p]
    return loaded


@pytest.fixture(name="start")
def _start(build_script: ModuleType) -> Callable[..., Floats]:
    """A function from changed settings by name to all settings, in the order of the C code."""
    settable = [v for v in build_script.read_variables() if v.limits]

    def values(**changed: float) -> Floats:
        return np.array([changed.get(v.name, v.limits[0]) for v in settable])

    return values


@needs_compiler
@linux_on_intel
@pytest.mark.parametrize("change", [{"b9": 0.12}, {"b3": 0.01, "b10": 0.2}, {"web_speed_setpoint": 1.05}])
def test_integrator_agrees_with_scipys_radau(
    physics: ctypes.CDLL, start: Callable[..., Floats], change: dict[str, float]
) -> None:
    """Through a transient, also into slip, RODAS ends where another method by other people does."""
    from scipy.integrate import solve_ivp

    settled, ended = np.zeros(STATES), np.zeros(STATES)
    before, settings = start(), start(**change)
    assert physics.web_line_settled(ctypes.byref(physics.web_line_of(before.ctypes)), settled.ctypes) == 0
    line = ctypes.pointer(physics.web_line_of(settings.ctypes))

    def derivative(_time: float, y: Floats) -> Floats:
        state, rate = np.ascontiguousarray(y), np.empty(STATES)
        physics.web_line_derivative(line, state.ctypes, rate.ctypes)
        return rate

    expected = solve_ivp(derivative, (0.0, 3.0), settled, method="Radau", rtol=1e-9, atol=1e-9).y[:, -1]
    ended[:] = settled
    step = ctypes.c_double(1e-3)
    outcome = physics.integrate(line, ended.ctypes.data, 3.0, 1e-9, ctypes.addressof(step))
    assert outcome == 0
    np.testing.assert_allclose(ended, expected, rtol=1e-6, atol=1e-8)


@needs_compiler
@linux_on_intel
def test_settled_state_is_at_rest(physics: ctypes.CDLL, start: Callable[..., Floats]) -> None:
    """The state computed in closed form has no derivative, for random dampings (1e-6 N/s of stiffness 4e5 N)."""
    random = np.random.default_rng(1)
    for _ in range(50):
        dampings = random.uniform(0.0, 0.15, 9) ** 2 * 4
        names = ("b1", "b2", "b3", "b4", "b5", "b7", "b8", "b9", "b10")
        settings = start(**dict(zip(names, dampings.tolist(), strict=True)))
        state, rate = np.zeros(STATES), np.ones(STATES)
        line = ctypes.pointer(physics.web_line_of(settings.ctypes))
        assert physics.web_line_settled(line, state.ctypes) == 0
        physics.web_line_derivative(line, state.ctypes, rate.ctypes)
        assert np.abs(rate).max() < 1e-6
