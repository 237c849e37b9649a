"""Reading model descriptions, and refusing what cannot be run."""

import hashlib
import sys
import zipfile
from pathlib import Path

import pytest

from tests.simulation.conftest import MakeFmu
from twin_assets.simulation import FmuError, fmu_sha256, nearest, read_description
from twin_assets.simulation.description import platform_folders


def test_a_description_says_what_the_fmu_says(fmu: Path) -> None:
    """Name, version, platforms, capabilities and variables come as plain values."""
    description = read_description(fmu)
    assert description.model_name == "Two modes"
    assert description.fmi_version == "2.0"
    assert description.platforms == (platform_folders()[0],)
    assert description.can_get_set_state
    assert description.can_vary_step
    assert description.tolerance == 1e-6
    names = [variable.name for variable in description.variables]
    assert names == ["a", "b", "u", "fast", "slow", "threshold", "fault", "y1", "y2", "y3", "label"]


def test_units_and_bounds_come_from_the_declared_type_unless_the_variable_has_its_own(fmu: Path) -> None:
    """``a`` has all from its type; ``b`` has a maximum of its own."""
    description = read_description(fmu)
    a, b = description.variable("a"), description.variable("b")
    assert (a.unit, a.min, a.max, a.start) == ("N", 0.0, 100.0, 1.0)
    assert (b.unit, b.min, b.max) == ("N", 0.0, 50.0)
    assert description.variable("label").start is None


def test_what_can_be_set_when(fmu: Path) -> None:
    """Tunable parameters and inputs may be set while running, fixed parameters before, outputs never."""
    description = read_description(fmu)
    flags = {v.name: (v.settable, v.tunable) for v in description.variables}
    assert flags["a"] == (True, True)
    assert flags["u"] == (True, True)
    assert flags["slow"] == (True, False)
    assert flags["y1"] == (False, False)


def test_an_unknown_variable_is_answered_with_the_nearest_names(fmu: Path) -> None:
    """A misspelt name leads to the right one."""
    with pytest.raises(FmuError, match=r"no variable 'Treshold'. Nearest: threshold"):
        read_description(fmu).variable("Treshold")


def test_nearest_ignores_case() -> None:
    """ROLLER9_W is most like Roller9_w."""
    assert nearest("ROLLER9_W", ["Roller1_w", "Roller9_w", "x"])[0] == "Roller9_w"


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """No such file: the message names it, for reading and for the hash."""
    for read in (read_description, fmu_sha256):
        with pytest.raises(FmuError, match=r"nowhere\.fmu: there is no such file"):
            read(tmp_path / "nowhere.fmu")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    """A folder cannot be read as an FMU."""
    with pytest.raises(FmuError, match="cannot be read"):
        read_description(tmp_path)


@pytest.mark.parametrize("keep", [0, 100, 0.5, 0.99])
def test_a_truncated_fmu_is_refused(fmu: Path, tmp_path: Path, keep: float) -> None:
    """Wherever it was cut, the message says that it may be truncated."""
    whole = fmu.read_bytes()
    cut = tmp_path / "cut.fmu"
    cut.write_bytes(whole[: keep if isinstance(keep, int) else int(keep * len(whole))])
    with pytest.raises(FmuError, match=r"cut\.fmu: this file is no complete FMU .*truncated"):
        read_description(cut)


def test_damaged_bytes_are_refused(fmu: Path, tmp_path: Path) -> None:
    """An archive whose table of contents is whole, and whose description is not."""
    damaged = bytearray(fmu.read_bytes())
    damaged[100:160] = bytes(60)
    path = tmp_path / "damaged.fmu"
    path.write_bytes(damaged)
    with pytest.raises(FmuError, match=r"damaged\.fmu: this file is no complete FMU"):
        read_description(path)


def write(path: Path, **members: str) -> Path:
    """An archive with these members (dots as double underscores)."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name.replace("__", "."), text)
    return path


def test_an_archive_without_description_is_refused(tmp_path: Path) -> None:
    """Any zip is not an FMU."""
    with pytest.raises(FmuError, match=r"has no modelDescription\.xml"):
        read_description(write(tmp_path / "any.zip", readme__txt="hello"))


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        ("<fmiModelDescription", "no valid XML"),
        ("", "no valid XML"),
        ("<fmiModelDescription/>", "not as FMI 2.0 wants it"),
        ('<fmiModelDescription fmiVersion="2.0"/>', "not as FMI 2.0 wants it"),
    ],
)
def test_an_invalid_description_is_refused(tmp_path: Path, xml: str, message: str) -> None:
    """Broken XML, and XML that is no model description."""
    with pytest.raises(FmuError, match=message):
        read_description(write(tmp_path / "bad.fmu", modelDescription__xml=xml))


@pytest.mark.parametrize("version", ["1.0", "3.0"])
def test_other_fmi_versions_are_refused(tmp_path: Path, version: str) -> None:
    """FMI 1.0 and 3.0 are named, and 2.0 as what is expected now."""
    xml = f'<fmiModelDescription fmiVersion="{version}" modelName="m" instantiationToken="t"><ModelVariables/>'
    xml = xml + "</fmiModelDescription>"
    if version == "1.0":
        xml = xml.replace('modelName="m"', 'modelName="m" numberOfContinuousStates="0"')
    with pytest.raises(FmuError, match=rf"FMI version {version}; FMI 2.0 co-simulation is expected now"):
        read_description(write(tmp_path / "other.fmu", modelDescription__xml=xml))


def test_model_exchange_is_refused(make_fmu: MakeFmu) -> None:
    """Without co-simulation there is no solver; the message says what to export."""
    with pytest.raises(FmuError, match="model exchange only"):
        read_description(make_fmu(interface="ModelExchange"))


def test_a_foreign_platform_is_refused_with_those_found(make_fmu: MakeFmu) -> None:
    """The message names this machine's platform and the FMU's."""
    with pytest.raises(FmuError, match=rf"no binary for this machine: expected {platform_folders()[0]}, found vax64"):
        read_description(make_fmu(folder="vax64"))


def test_sources_alone_are_refused(make_fmu: MakeFmu) -> None:
    """A source-code FMU is told apart from one for other platforms."""
    path = make_fmu()
    with zipfile.ZipFile(path) as archive:
        xml = archive.read("modelDescription.xml").decode()
    sources = write(path.with_name("sources.fmu"), modelDescription__xml=xml)
    with zipfile.ZipFile(sources, "a") as archive:
        archive.writestr("sources/all.c", "")
    with pytest.raises(FmuError, match="C sources and no binary"):
        read_description(sources)


def test_a_number_that_is_none_is_refused(make_fmu: MakeFmu) -> None:
    """A nominal value of 'big' is an error of the FMU, with the variable's name."""
    with pytest.raises(FmuError, match="'big' of y1 is no number"):
        read_description(make_fmu(nominal='nominal="big"'))


def test_the_hash_is_the_file_s_sha256(fmu: Path) -> None:
    """Any tool can check it."""
    assert fmu_sha256(fmu) == hashlib.sha256(fmu.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("system", "machine", "first"),
    [
        ("linux", "x86_64", "linux64"),
        ("linux", "aarch64", "aarch64-linux"),
        ("darwin", "arm64", "aarch64-darwin"),
        ("darwin", "x86_64", "darwin64"),
        ("win32", "AMD64", "win64"),
        ("win32", "ARM64", "aarch64-windows"),
    ],
)
def test_each_machine_has_its_folder(system: str, machine: str, first: str) -> None:
    """64-bit ARM never runs what lies in linux64."""
    assert platform_folders(system, machine)[0] == first


def test_reading_a_description_loads_no_binary(fmu: Path) -> None:
    """Reading is safe: the FMU's code does not run in this process."""
    read_description(fmu)
    if sys.platform == "linux":
        assert "two_modes.so" not in Path("/proc/self/maps").read_text()
