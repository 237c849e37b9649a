"""Reading model descriptions, and refusing what cannot be run."""

import hashlib
import sys
import zipfile
from pathlib import Path

import pytest

from tests.simulation.conftest import MakeFmu
from tests.simulation.tanks import FLOW
from twin_assets.simulation import FmuError, fmu_sha256, nearest, read_description
from twin_assets.simulation import description as description_module
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
        ("<fmiModelDescription/>", "not as FMI wants it"),
        ('<fmiModelDescription fmiVersion="2.0"/>', "not as FMI wants it"),
    ],
)
def test_an_invalid_description_is_refused(tmp_path: Path, xml: str, message: str) -> None:
    """Broken XML, and XML that is no model description."""
    with pytest.raises(FmuError, match=message):
        read_description(write(tmp_path / "bad.fmu", modelDescription__xml=xml))


@pytest.mark.parametrize("version", ["1.0", "3.0-beta.2", "3.1"])
def test_other_fmi_versions_are_refused(tmp_path: Path, version: str) -> None:
    """The version found is named, and those that are expected."""
    xml = f'<fmiModelDescription fmiVersion="{version}" modelName="m" instantiationToken="t"><ModelVariables/>'
    xml = xml + "</fmiModelDescription>"
    if version == "1.0":
        xml = xml.replace('modelName="m"', 'modelName="m" numberOfContinuousStates="0"')
    with pytest.raises(FmuError, match=rf"FMI version {version}; expected FMI 2.0 or 3.0, co-simulation or model"):
        read_description(write(tmp_path / "other.fmu", modelDescription__xml=xml))


@pytest.mark.parametrize(
    ("element", "found"), [("<ScheduledExecution/>", "scheduled execution only"), ("", "no inter")]
)
def test_an_fmu_that_cannot_be_run_by_time_is_refused(tmp_path: Path, element: str, found: str) -> None:
    """Scheduled execution leaves it to the importer what to compute when; it does not pass time."""
    xml = '<fmiModelDescription fmiVersion="3.0" modelName="m" instantiationToken="t">{}<ModelVariables/>{}'
    path = write(tmp_path / "other.fmu", modelDescription__xml=xml.format(element, "</fmiModelDescription>"))
    with pytest.raises(FmuError, match=rf"offers {found}.*; expected FMI 2.0 or 3.0, co-simulation or model exchange"):
        read_description(path)


def test_co_simulation_is_used_where_it_is_offered(make_tanks: MakeFmu) -> None:
    """Else model exchange; or what is asked for."""
    both = make_tanks(interfaces=("ModelExchange", "CoSimulation"))
    assert read_description(both).interface == "co_simulation"
    assert read_description(both).interfaces == ("co_simulation", "model_exchange")
    assert read_description(both, "model_exchange").interface == "model_exchange"
    assert read_description(make_tanks(interfaces=("ModelExchange",))).interface == "model_exchange"


def test_an_interface_that_is_not_offered_is_refused(make_tanks: MakeFmu) -> None:
    """With those that are."""
    with pytest.raises(
        FmuError, match=r"cannot be run by model_exchange on this machine; found co_simulation\. Change"
    ):
        read_description(make_tanks(), "model_exchange")


def test_model_exchange_takes_a_solver(make_tanks: MakeFmu, monkeypatch: pytest.MonkeyPatch) -> None:
    """FMPy brings CVode for some machines; elsewhere co-simulation remains, or a refusal that names the machine."""
    monkeypatch.setattr(description_module, "has_solver", lambda: False)
    assert read_description(make_tanks(interfaces=("ModelExchange", "CoSimulation"))).interfaces == ("co_simulation",)
    machine = platform_folders(fmi_version="3.0")[0]
    with pytest.raises(FmuError, match=rf"model exchange only, .* no solver for this machine \({machine}\)"):
        read_description(make_tanks(interfaces=("ModelExchange",)))


def test_the_default_experiment_and_the_fixed_step_are_read(make_tanks: MakeFmu) -> None:
    """What a sensible communication step follows from."""
    more = 'fixedInternalStepSize="0.25"'
    description = read_description(make_tanks(version="3.0", experiment='stepSize="0.5" tolerance="1e-8"', more=more))
    assert (description.step_s, description.fixed_step_s, description.tolerance) == (0.5, 0.25, 1e-8)
    assert read_description(make_tanks()).step_s is None


def test_an_array_s_elements_are_variables(make_tanks: MakeFmu) -> None:
    """Named as Modelica writes them; sizes come from structural parameters, start values lie in C's order."""
    description = read_description(make_tanks(version="3.0", gains="1.5 2.5"))
    names = [variable.name for variable in description.variables]
    assert names[:5] == ["size", "gain[1]", "gain[2]", "tau[1]", "tau[2]"]
    assert [name for name in names if name.startswith("flow")] == list(FLOW)
    gain, flow = description.variable("gain[2]"), description.variable("flow[2,1]")
    assert (gain.reference, gain.element, gain.start, gain.min, gain.unit) == (1, 1, 2.5, 0.0, "m")
    assert gain.array is not None
    assert (gain.array.shape, gain.array.starts, flow.element) == ((2,), (1.5, 2.5), 2)


def test_one_start_value_is_that_of_all_elements(make_tanks: MakeFmu) -> None:
    """Exporters write it once; another number of them is an error of the FMU."""
    assert read_description(make_tanks(version="3.0", gains="7")).variable("gain[2]").start == 7.0
    with pytest.raises(FmuError, match="the array gain has 2 elements and 3 start values"):
        read_description(make_tanks(version="3.0", gains="1 2 3"))


def test_nobody_picks_an_element_of_a_huge_array(make_tanks: MakeFmu) -> None:
    """It stays one variable, which is no number, so reading takes no gigabytes."""
    description = read_description(make_tanks(version="3.0", size=10**6, gains="1"))
    gain = description.variable("gain")
    assert (gain.type, gain.number) == ("Float64[1000000]", False)
    assert len(description.variables) < 100


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("u", 0.5, True),
        ("n", 3.0, True),
        ("n", 2.5, False),
        ("mode", 2.5, False),
        ("on", 1.0, True),
        ("on", 2.0, False),
    ],
)
def test_which_values_a_type_has(make_tanks: MakeFmu, name: str, value: float, *, allowed: bool) -> None:
    """Reals have all, whole numbers and enumerations have whole ones, Booleans 0 and 1; in both versions."""
    for version in ("2.0", "3.0"):
        assert read_description(make_tanks(version=version)).variable(name).allows(value) is allowed


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
    ("system", "machine", "folders", "newer"),
    [
        ("linux", "x86_64", ("linux64", "x86_64-linux"), "x86_64-linux"),
        ("linux", "aarch64", ("aarch64-linux",), "aarch64-linux"),
        ("darwin", "arm64", ("aarch64-darwin", "darwin64"), "aarch64-darwin"),
        ("darwin", "x86_64", ("darwin64", "x86_64-darwin"), "x86_64-darwin"),
        ("win32", "AMD64", ("win64", "x86_64-windows"), "x86_64-windows"),
        ("win32", "ARM64", ("aarch64-windows",), "aarch64-windows"),
    ],
)
def test_each_machine_has_its_folders(system: str, machine: str, folders: tuple[str, ...], newer: str) -> None:
    """64-bit ARM never runs what lies in linux64; FMI 3.0 has one folder for each machine."""
    assert platform_folders(system, machine) == folders
    assert platform_folders(system, machine, "3.0") == (newer,)


def test_reading_a_description_loads_no_binary(fmu: Path) -> None:
    """Reading is safe: the FMU's code does not run in this process."""
    read_description(fmu)
    if sys.platform == "linux":
        assert "two_modes.so" not in Path("/proc/self/maps").read_text()
