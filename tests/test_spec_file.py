"""Reading twin.yaml: everything wrong at once, each with its file, its line and what would be right."""

from pathlib import Path

import pytest

from twin_assets.spec_file import SpecError, load_twin, twin_names

PUMP = """\
name: pump
model:
  fmu: pump.fmu
coefficients:
  - {name: wear, initial: 1e-3, initial_std: 5e-3}
  - name: leak
    initial: 0
    initial_std: 1
    bounds: [0, 2]
measurements:
  - {name: flow, noise_std: 1}
"""


def write(twins: Path, text: str | bytes, name: str = "pump") -> Path:
    """A twin's folder with this text as its twin.yaml."""
    path = twins / name / "twin.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def findings(twins: Path, text: str | bytes) -> list[str]:
    """What the text is refused with, from ``twin.yaml:`` on."""
    write(twins, text)
    with pytest.raises(SpecError) as caught:
        load_twin("pump", twins)
    assert str(caught.value) == "\n".join(caught.value.findings)
    return [finding.partition("pump/twin.yaml:")[2] for finding in caught.value.findings]


def test_a_twin_is_read_with_its_lines(tmp_path: Path) -> None:
    """Values, the FMU's path, and lines by position and by name."""
    path = write(tmp_path, PUMP)
    twin = load_twin("pump", tmp_path)
    assert twin.spec.coefficients[0].initial == 1e-3
    assert (twin.path, twin.fmu_path) == (path, tmp_path / "pump" / "pump.fmu")
    assert twin.where("coefficients", "leak", "bounds").endswith("pump/twin.yaml:9")
    assert twin.where("coefficients", 1, "bounds") == twin.where("coefficients", "leak", "bounds")
    assert twin.where("coefficients", "leak", "limit").endswith(":6"), "a key that is not there: its section"
    assert twin.where("schedule").endswith(":1")


@pytest.mark.parametrize("form", ["{0}/pump", "{0}/pump/twin.yaml"])
def test_a_twin_is_also_found_by_path(tmp_path: Path, form: str) -> None:
    """The folder or the file will do, wherever the twins are."""
    write(tmp_path, PUMP)
    assert load_twin(form.format(tmp_path), Path("elsewhere")).spec.name == "pump"
    assert load_twin(Path(form.format(tmp_path)), Path("elsewhere")).spec.name == "pump"


def test_paths_are_shown_relative_to_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``twins/pump/twin.yaml:3``, as editors and terminals can open it."""
    write(tmp_path / "twins", PUMP)
    monkeypatch.chdir(tmp_path)
    assert load_twin("pump", tmp_path / "twins").where("model", "fmu") == "twins/pump/twin.yaml:3"


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    """Each with its line, in the order of the file; a misspelt key is not told again as a missing one."""
    wrong = (
        PUMP.replace("name: pump", "name: pumps")
        .replace("1e-3", "abc")
        .replace("[0, 2]", "[2, 0]")
        .replace("noise_std", "noise_sd")
    )
    assert findings(tmp_path, wrong) == [
        "1: name: found 'pumps'; expected the folder's name, 'pump': change one of the two",
        "5: coefficients 'wear' initial: found 'abc'; expected a number: prior mean, before any measurement",
        "9: coefficients 'leak' bounds: found [2, 0], which are crossed; the lower one must be below the upper one",
        (
            "11: measurements 'flow': unknown key 'noise_sd'. Nearest: 'noise_std'. Rename it; keys here: name,"
            " property, unit, noise_std, resolution, valid_range, stuck_after, description"
        ),
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("name: pump\n", "name: pump\nwuff: 1\n", "2: unknown key 'wuff'; remove it, keys here: name, title, model,"),
        ("initial: 0", "initial: 3", "7: coefficients 'leak' initial: found 3, outside the bounds [0, 2]"),
        ("name: flow, ", "", "11: measurements entry 1: 'name' is missing; expected"),
        ("noise_std: 1", "noise_std: yes", "11: measurements 'flow' noise_std: found 'yes'; expected a number"),
        ("noise_std: 1", "noise_std: true", "11: measurements 'flow' noise_std: found true; expected a number"),
        ("noise_std: 1", "noise_std: 10:30", "11: measurements 'flow' noise_std: found '10:30'; expected a number"),
        ("noise_std: 1", "noise_std: -1", "11: measurements 'flow' noise_std: found -1; expected more than 0"),
        ("noise_std: 1", "noise_std: .nan", "11: measurements 'flow' noise_std: found nan; expected a finite number"),
        ("name: flow", "name: 3", "11: measurements entry 1 name: found 3; expected text"),
        ("name: flow", "name: leak", "11: measurements 'leak' name: 'leak' is named twice: in coefficients and in"),
        ("  - {name: flow, noise_std: 1}", "  - flow", "11: measurements entry 1: found 'flow'; expected keys and"),
        ("  - {name: flow, noise_std: 1}", "", "10: measurements: found nothing; expected a list"),
        ("measurements:\n  - {name: flow, noise_std: 1}", "", "1: 'measurements' is missing; expected model outputs"),
        ("pump.fmu", "pump.fmu\n  mode: transient", "2: model memory_s: is missing; expected in transient mode"),
        ("name: pump\n", "name: pump\nstart: soon\n", "2: start: found 'soon'; expected a date such as 2026-01-31"),
        ("name: pump\n", "name: pump\nsmoothing: perhaps\n", "2: smoothing: found 'perhaps'; expected true or false"),
        ("name: pump\n", "name: pump\nunits: [a, a]\n", "2: units entry 2: unit 'a' is named twice; keep one"),
        (
            "name: pump\n",
            "name: pump\nwindow: 5 5\n",
            "2: window: found '5 5'; expected hourly, daily, weekly or a cron",
        ),
    ],
)
def test_a_wrong_value_is_told_with_its_line(tmp_path: Path, old: str, new: str, expected: str) -> None:
    """One change to a good file, one finding, at the line of the change."""
    assert old in PUMP
    (finding,) = findings(tmp_path, PUMP.replace(old, new))
    assert finding.startswith(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1: found nothing; expected keys and values"),
        ("# only a comment\n", "1: found nothing"),
        ("- a\n- b\n", "1: found a list; expected keys and values"),
        ("name: pump\nmodel: [\n", "3: no valid YAML"),
        ("name: pump\n\tmodel: x\n", "2: no valid YAML"),
        ("name: pump\nname: pump\nmodel: {fmu: a, fmu: b}\n", "2: key 'name' is given twice; keep one"),
        (b"name: pump\ntitle: \xff\n", "2: found bytes that are no UTF-8"),
    ],
)
def test_what_is_no_description_is_refused(tmp_path: Path, text: str | bytes, expected: str) -> None:
    """Empty files, lists, broken YAML, doubled keys, other encodings: with the line."""
    assert findings(tmp_path, text)[0].startswith(expected)


def test_doubled_keys_are_all_told(tmp_path: Path) -> None:
    """Also those of inner mappings."""
    text = "name: pump\nname: pump\nmodel: {fmu: a, fmu: b}\n"
    assert findings(tmp_path, text)[1] == "3: key 'fmu' is given twice; keep one"


def test_repeated_parts_may_be_merged(tmp_path: Path) -> None:
    """YAML's merge key serves nine equal bearings; a wrong value in the shared part is still told."""
    text = PUMP.replace(
        "  - {name: wear, initial: 1e-3, initial_std: 5e-3}", "  - &b {name: wear, initial: 1, initial_std: 2}"
    )
    write(tmp_path, text.replace("    initial: 0\n    initial_std: 1\n", "    <<: *b\n"))
    assert [c.initial_std for c in load_twin("pump", tmp_path).spec.coefficients] == [2, 2]


def test_names_that_other_yaml_reads_as_booleans_are_names(tmp_path: Path) -> None:
    """An output called ``on`` is text, as in YAML 1.2."""
    write(tmp_path, PUMP.replace("name: flow", "name: on"))
    assert load_twin("pump", tmp_path).spec.measurements[0].name == "on"


def test_a_missing_twin_is_answered_with_those_there_are(tmp_path: Path) -> None:
    """The nearest name first; with none at all, how to write one."""
    with pytest.raises(SpecError, match="there is no twin 'pump', nor any other; 'twin new pump --fmu F' writes one"):
        load_twin("pump", tmp_path)
    write(tmp_path, PUMP)
    write(tmp_path, PUMP, "web_line")
    with pytest.raises(SpecError, match=r"no twin 'pomp'. Nearest: 'pump'. Twins here: pump, web_line."):
        load_twin("pomp", tmp_path)
    with pytest.raises(SpecError, match="there is no such file"):
        load_twin("other/twin.yaml", tmp_path)


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    """Where twins were looked for, and how to say where they are."""
    with pytest.raises(SpecError, match=r"No such file or directory.*--twins or TWINS_PATH"):
        twin_names(tmp_path / "nowhere")


def test_unreadable_files_are_told(tmp_path: Path) -> None:
    """A twin.yaml that vanishes or cannot be opened is no traceback."""
    path = write(tmp_path, PUMP)
    path.unlink()
    path.symlink_to(tmp_path)
    with pytest.raises(SpecError, match="no such file"):
        load_twin(path, tmp_path)


def test_all_twins_are_found_by_name(tmp_path: Path) -> None:
    """Sorted; folders without a twin.yaml are none."""
    (tmp_path / "notes").mkdir()
    write(tmp_path, PUMP)
    write(tmp_path, PUMP.replace("name: pump", "name: fan"), "fan")
    assert twin_names(tmp_path) == ("fan", "pump")
    assert [load_twin(name, tmp_path).spec.name for name in ("fan", "pump")] == ["fan", "pump"]
