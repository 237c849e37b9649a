"""Fixtures: the test FMUs, compiled once a session."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.simulation.tanks import Tanks, compile_tanks
from tests.simulation.two_modes import TwoModes, compile_library

MakeFmu = Callable[..., Path]


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test FMU's binary."""
    return compile_library(tmp_path_factory.mktemp("two_modes"))


@pytest.fixture
def make_fmu(library: Path, tmp_path: Path) -> MakeFmu:
    """Write an FMU whose description claims what the keywords of ``TwoModes`` say."""

    def make(**claims: object) -> Path:
        return TwoModes(**claims).write(tmp_path / "two_modes.fmu", library)  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def fmu(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The FMU that can do everything."""
    return TwoModes().write(tmp_path_factory.mktemp("fmu") / "two_modes.fmu", library)


@pytest.fixture(scope="session")
def tanks_libraries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """FMI version -> the tanks' binary."""
    return {version: compile_tanks(tmp_path_factory.mktemp("tanks"), version) for version in ("2.0", "3.0")}


@pytest.fixture
def make_tanks(tanks_libraries: dict[str, Path], tmp_path: Path) -> MakeFmu:
    """Write tanks whose description claims what the keywords of ``Tanks`` say."""

    def make(**claims: object) -> Path:
        tanks = Tanks(**claims)  # type: ignore[arg-type]
        return tanks.write(tmp_path / "tanks.fmu", tanks_libraries[tanks.version])

    return make
