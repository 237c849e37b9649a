"""Twins beside each other: what would be written by two, or read as measured, is refused; what is harmless is not."""

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from twin_assets.check_twin import check_twin
from twin_assets.cli import main
from twin_assets.definitions import build_definitions, find_all
from twin_assets.neighbours import beside_others, clashes, load_undisputed
from twin_assets.spec_file import SpecError, Twin, load_twin

ROOT = Path(__file__).parents[1]

PUMP = """\
name: pump
model: {fmu: pump.fmu}
units: [p1, p2]
inputs:
  - {name: speed}
coefficients:
  - {name: wear, initial: 0, initial_std: 1}
measurements:
  - {name: flow, noise_std: 1}
virtual_sensors:
  - {name: head}
"""
# Another kind of machine: of all names only the coefficient's is the pump's, too.
FAN = """\
name: fan
model: {fmu: fan.fmu}
units: [p2, f1]
coefficients:
  - {name: wear, initial: 0, initial_std: 1}
measurements:
  - {name: draught, noise_std: 1}
"""
Write = Callable[..., Twin]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a folder for twins in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "twins").mkdir()
    return tmp_path / "twins"


@pytest.fixture
def write(folder: Path) -> Write:
    """Writes a twin, with replacements in its text."""

    def make(text: str, **replaced: str) -> Twin:
        for old, new in replaced.items():
            found = {"units": "units: [p1, p2]" if "pump" in text else "units: [p2, f1]"}.get(old, old)
            assert found in text
            text = text.replace(found, new)
        name = text.partition("\n")[0].removeprefix("name: ")
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "twin.yaml").write_text(text)
        return load_twin(name, folder)

    return make


def test_two_that_publish_the_same_are_told_both(write: Write) -> None:
    """Each is told where, what, of which unit, with whom and where that is, and what to do."""
    found = clashes([write(PUMP), write(FAN)])
    assert set(found) == {"pump", "fan"}
    assert found["fan"] == (
        (
            "twins/fan/twin.yaml:5: twin 'fan' would publish 'wear', 'wear_lower', 'wear_upper' of unit p2, which twin"
            " 'pump' (twins/pump/twin.yaml:7) publishes, too: one would overwrite the other. Let the two have different"
            " `units`, or give the result another name: a virtual sensor's is its `property`, a coefficient's its"
            " variable in the FMU, a prediction's follows that of the measurement."
        ),
    )
    assert found["pump"][0].startswith("twins/pump/twin.yaml:7: twin 'pump' would publish 'wear', 'wear_lower',")


@pytest.mark.parametrize(
    "measured", ["measurements:\n  - {name: head,", "inputs:\n  - {name: head}\nmeasurements:\n  - {name: m,"]
)
def test_a_result_that_another_one_measures_is_told_both(write: Write, measured: str) -> None:
    """A prediction would come back as a measurement, or as an operating condition."""
    fan = write(FAN, **{"wear": "slack", "measurements:\n  - {name: draught,": measured})
    found = clashes([write(PUMP), fan])
    assert len(found["pump"]) == len(found["fan"]) == 1
    assert "twin 'pump' would publish 'head' of unit p2, which twin 'fan' (" in found["pump"][0]
    assert ") measures: a prediction would come back as a measurement." in found["pump"][0]
    assert (
        "twin 'fan' measures 'head' of unit p2, which twin 'pump' (twins/pump/twin.yaml:11) publish" in found["fan"][0]
    )


@pytest.mark.parametrize(
    "units",
    ["units: [f1, f2]", "", "units: [fan]"],
)
def test_other_units_may_have_the_same_names(write: Write, units: str) -> None:
    """Unit lists without a common unit are harmless, also where a twin without a list has its own name for a unit."""
    twins = [write(PUMP), write(FAN, units=units)]
    assert clashes(twins) == {}


def test_a_unit_may_have_two_twins(write: Write) -> None:
    """Twins of one unit that are told the same, and publish other names, are welcome; the same measured is not.

    For both would publish what they predict of it.
    """
    told_alike = {"wear": "slack", "measurements:": "inputs:\n  - {name: speed}\nmeasurements:"}
    assert clashes([write(PUMP), write(FAN, **told_alike)]) == {}
    found = clashes([write(PUMP), write(FAN, **told_alike, draught="flow")])
    assert "'flow_predicted', 'flow_predicted_lower'" in found["fan"][0]


def test_a_property_in_place_of_the_name_counts(write: Write) -> None:
    """Names are those in the historian: `property` makes a clash, and mends one."""
    other = {"wear": "slack", "{name: draught,": "{name: draught, property: head,"}
    assert set(clashes([write(PUMP), write(FAN, **other)])) == {"pump", "fan"}
    mended = write(PUMP, **{"{name: head}": "{name: head, property: computed_head}"})
    assert clashes([mended, write(FAN, **other)]) == {}


@pytest.mark.parametrize("discoverer", ["pump", "fan", "both"])
def test_discovered_units_are_shared_where_measurements_are(write: Write, discoverer: str) -> None:
    """Who discovers units by what another one measures has the same ones."""
    pump = write(PUMP, **({"units": "units: discovered"} if discoverer in {"pump", "both"} else {}))
    fan = write(FAN, draught="flow", **({"units": "units: discovered"} if discoverer in {"fan", "both"} else {}))
    found = clashes([pump, fan])
    assert set(found) == {"pump", "fan"}
    assert f"of units that '{'pump' if discoverer != 'fan' else 'fan'}' discovers, which twin" in found["pump"][0]


def test_who_discovers_by_results_of_another_is_refused(write: Write) -> None:
    """Published results would make units of another twin appear as its own, whatever these are called."""
    fan = write(FAN, units="units: discovered", wear="slack", draught="head")
    found = clashes([write(PUMP), fan])
    assert "measures 'head' of units that 'fan' discovers, which twin 'pump'" in found["fan"][0]


def test_machines_of_other_kinds_are_only_told(write: Write, folder: Path) -> None:
    """Discovered by measurements of their own they share names, and a unit only if somebody records both for one."""
    pump, fan = write(PUMP, units="units: discovered"), write(FAN, units="units: discovered")
    assert clashes([pump, fan]) == {}
    clashing, possible = beside_others(fan, folder)
    assert clashing == ()
    assert len(possible) == 1
    assert "'wear_upper' of any unit for which measurements of both are recorded, which twin 'pump' (" in possible[0]


def test_many_names_are_counted(write: Write) -> None:
    """A copied twin clashes with its original in everything; the message stays short."""
    found = clashes([write(PUMP), write(PUMP, **{"name: pump\n": "name: copy\n"})])
    assert "publish 'wear', 'wear_lower', 'wear_upper' and 6 more of units p1, p2, which" in found["copy"][0]


def test_a_twin_named_like_anothers_shard_is_told(write: Write) -> None:
    """Both would keep tables under that name, though they have no unit in common; with other shards they do not."""
    shard = write(PUMP.replace("name: pump", "name: fan__2_of_3"), units="units: [p9]")
    found = clashes([shard, write(FAN + "shards: 3\n")])
    assert found["fan"][0].startswith(
        "twins/fan/twin.yaml:1: 'fan__2_of_3' is the name of twin 'fan', or of one of its shards, and of twin"
        " 'fan__2_of_3' (twins/fan__2_of_3/twin.yaml:1)"
    )
    assert set(found) == {"fan", "fan__2_of_3"}
    assert clashes([shard, write(FAN + "shards: 4\n")]) == {}


def test_those_that_clash_are_left_out_and_the_others_stay(write: Write, folder: Path) -> None:
    """The code location shows both of a pair as what they are, and runs the third."""
    write(PUMP)
    write(FAN)
    sound = write(FAN, **{"name: fan\n": "name: sound\n", "units": "units: [s1]"})
    twins, broken = find_all(folder)
    assert [twin.spec.name for twin in twins] == ["sound"]
    assert set(broken) == {"pump", "fan"}
    assets = build_definitions(twins, broken=broken).resolve_asset_graph()
    stand_in = assets.get(dg.AssetKey(["fan", "twin_yaml"]))
    assert "twins/pump/twin.yaml:7" in str(next(iter(stand_in.assets_def.descriptions_by_key.values())))
    assert dg.AssetKey(["sound", "published"]) in assets.get_all_asset_keys()
    assert sound.spec.name == "sound"


def test_definitions_of_twins_that_clash_are_refused(write: Write) -> None:
    """Whoever builds them, from wherever the twins are."""
    with pytest.raises(SpecError) as caught:
        build_definitions([write(PUMP), write(FAN)])
    assert len(caught.value.findings) == 2


def test_a_run_is_refused_that_would_publish_onto_another(
    write: Write, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``twin run`` builds the one twin only, and looks at its neighbours all the same."""
    write(PUMP)
    write(FAN)
    with pytest.raises(SpecError, match=r"fan/twin.yaml:5: .*pump/twin.yaml:7"):
        load_undisputed("fan", folder)
    with pytest.raises(SystemExit):
        main(["--twins", str(folder), "--home", str(folder.parent / "home"), "run", "fan"])
    assert "one would overwrite the other" in capsys.readouterr().err
    assert not (folder.parent / "home").exists()


def test_check_says_it(write: Write, folder: Path) -> None:
    """Beside what else is found, here that there is no FMU; what depends on the data is a warning."""
    write(PUMP)
    write(FAN)
    clash, no_fmu = check_twin("fan", folder).findings
    assert "one would overwrite the other" in clash
    assert "fan.fmu" in no_fmu
    write(PUMP, units="units: discovered")
    report = check_twin("fan", folder)
    assert ["fan.fmu" in finding for finding in report.findings] == [True]
    assert ["any unit for which" in warning for warning in report.warnings] == [True]


def test_a_broken_neighbour_and_a_copy_elsewhere_clash_with_nobody(write: Write, folder: Path) -> None:
    """What cannot be read publishes nothing; a twin of the same name is the same twin."""
    fan = write(FAN)
    (folder / "pump").mkdir()
    (folder / "pump" / "twin.yaml").write_text(PUMP + "wuff: 1\n")
    assert beside_others(fan, folder) == ((), ())
    copy = folder.parent / "elsewhere" / "fan"
    copy.mkdir(parents=True)
    (copy / "twin.yaml").write_text(FAN)
    assert load_undisputed(copy, folder).spec.name == "fan"
    assert load_undisputed(copy, folder.parent / "nowhere").spec.name == "fan"


def test_the_projects_own_twins_can_be_side_by_side() -> None:
    """Nothing of what comes with the project is refused."""
    _, broken = find_all(ROOT / "twins")
    assert broken == {}
