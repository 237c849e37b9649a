"""A first twin.yaml: from the FMU, commented, valid, and written whole or not at all."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from twin_assets.errors import TwinError
from twin_assets.first_run import FirstRun
from twin_assets.new_twin import NewTwin, flow, render, scalar, write_twin
from twin_assets.simulation import FmuDescription, SettleSettings
from twin_assets.spec import TwinSpec
from twin_assets.spec_check import check_against_fmu
from twin_assets.spec_file import load_twin
from twin_assets.variable_choice import Chosen, Patterns, choose
from twin_assets.yaml_lines import parse


def chosen_of(description: FmuDescription) -> Chosen:
    """Wear and leak from flow."""
    return choose(description, Patterns(("wear", "leak"), ("flow",)))


def entries(path: Path) -> Iterator[Path]:
    """Everything under a folder, hidden files too."""
    return path.rglob("*")


def test_the_new_twin_fits_its_fmu(pump_fmu: FmuDescription, tmp_path: Path) -> None:
    """It is read back as a valid spec with the FMU beside it, and nothing else is left."""
    path = write_twin(NewTwin("pump"), pump_fmu, chosen_of(pump_fmu), tmp_path / "twins")
    twin = load_twin("pump", tmp_path / "twins")
    check_against_fmu(twin, pump_fmu)
    assert path == twin.path
    assert twin.fmu_path.read_bytes() == pump_fmu.path.read_bytes()
    assert sorted(entry.name for entry in entries(tmp_path / "twins")) == ["pump", "pump.fmu", "twin.yaml"]


def test_numbers_are_the_fmus_where_it_has_them(pump_fmu: FmuDescription, tmp_path: Path) -> None:
    """Units, starts and bounds are taken; priors, drift and noise are guessed by the rules that the comments state."""
    new = NewTwin("pump", ("north", "south"), date(2026, 2, 3), FirstRun(values={"flow": 0.034}))
    write_twin(new, pump_fmu, chosen_of(pump_fmu), tmp_path)
    spec = load_twin("pump", tmp_path).spec
    wear, leak = spec.coefficients
    assert (spec.title, spec.units, spec.start) == ("Pump: with valve", ("north", "south"), date(2026, 2, 3))
    assert (wear.unit, wear.initial, wear.bounds) == ("1", 0.1, (0, 1))
    assert (wear.initial_std, wear.drift_std_per_sqrt_hour) == (0.05, 0.005), "half of initial; a tenth of that"
    assert (leak.initial, leak.bounds, leak.initial_std) == (0, (0, None), 5e-4), "half of nominal where start is 0"
    assert wear.description == "wear of the: impeller"
    assert [(part.name, part.constant) for part in spec.inputs] == [("speed", 150), ("enabled", 1)]
    assert spec.measurements[0].noise_std == 3.4e-4, "1 % of the model's value"
    assert [sensor.name for sensor in spec.virtual_sensors] == ["head", "torque", "running", "port[1]"]


@pytest.mark.parametrize(
    ("values", "nominal", "noise"),
    [({"flow": 5.0}, 20.0, 0.05), ({"flow": 0.0}, 20.0, 0.01), ({}, 20.0, 0.2), ({}, None, 0.01)],
)
def test_noise_is_guessed_from_what_is_known(
    pump_fmu: FmuDescription, values: dict[str, float], nominal: float | None, noise: float
) -> None:
    """The model's value, else its nominal value, else 1; never 0."""
    variables = tuple(replace(v, nominal=nominal) if v.name == "flow" else v for v in pump_fmu.variables)
    description = replace(pump_fmu, variables=variables)
    text = render(NewTwin("pump", run=FirstRun(values=values)), description, chosen_of(description))
    assert TwinSpec.model_validate(parse(text).data).measurements[0].noise_std == noise


def test_a_wide_bound_widens_the_guessed_prior(pump_fmu: FmuDescription) -> None:
    """A start of 0.001 within [0, 1] gets 1 % of the width, not half of nearly nothing."""
    variables = tuple(replace(v, start=1e-3) if v.name == "wear" else v for v in pump_fmu.variables)
    description = replace(pump_fmu, variables=variables)
    spec = TwinSpec.model_validate(parse(render(NewTwin("pump"), description, chosen_of(description))).data)
    assert spec.coefficients[0].initial_std == 0.01


def test_every_key_is_explained(pump_fmu: FmuDescription) -> None:
    """The comments name what the sections may hold, and say which numbers are guessed."""
    text = render(NewTwin("pump"), pump_fmu, chosen_of(pump_fmu))
    comments = "\n".join(line.partition("#")[2] for line in text.splitlines())
    for key in ("initial_std", "drift_std_per_sqrt_hour", "bounds", "limit", "noise_std", "valid_range", "stuck_after"):
        assert key in comments
    assert comments.count("Guessed") == 3
    assert "only numbers can be told: profile" in comments, "an input that is no number is said to be left alone"
    assert max(len(line) for line in text.splitlines() if line.startswith("#")) <= 120


def test_what_the_first_run_showed_is_written(pump_fmu: FmuDescription) -> None:
    """The interface by which it settles and the steps that suit it; without news, comments with the defaults."""
    run = FirstRun("model_exchange", SettleSettings(0.25, 900.0, max_step_s=0.002))
    for new, expected in (
        (NewTwin("pump", run=run), ("model_exchange", 0.25, 900.0, 0.002)),
        (NewTwin("pump"), (None, 2, 3600, None)),
    ):
        text = render(new, pump_fmu, chosen_of(pump_fmu))
        model = TwinSpec.model_validate(parse(text).data).model
        assert (model.interface, model.step_s, model.max_settle_s, model.max_step_s) == expected
    assert "  # interface: co_simulation" in text


def test_an_fmu_without_inputs_or_other_outputs_has_empty_sections(pump_fmu: FmuDescription) -> None:
    """Empty lists with a word on what may stand there."""
    variables = tuple(v for v in pump_fmu.variables if v.name in {"wear", "leak", "flow"})
    description = replace(pump_fmu, variables=variables, generation_tool="A Tool")
    text = render(NewTwin("pump"), description, chosen_of(description))
    data = parse(text).data
    assert (data["inputs"], data["virtual_sensors"]) == ([], [])
    assert "(exported by A Tool)" in text


@given(st.text() | st.floats(allow_nan=False, allow_infinity=False) | st.none())
def test_scalars_read_back_as_themselves(value: object) -> None:
    """Whatever an FMU calls its things, the YAML says the same, here and in readers of YAML 1.1."""
    text = scalar(value)
    assert parse(f"a: {flow({'b': value, 'c': (value,)})}").data == {"a": {"b": value, "c": [value]}}
    assert isinstance(value, float) or yaml.safe_load(f"[{text}]") == [value]


@pytest.mark.parametrize("value", ["yes", "on", "No", "true", "null", "10:30", "1", "1e3", "a: b", "x #y", "N", "[1]"])
def test_awkward_words_are_quoted_where_needed(value: str) -> None:
    """Text that a reader could take for something else is in quotes; a plain word is not."""
    assert scalar(value) == (value if value == "N" else f'"{value}"')


@pytest.mark.parametrize("name", ["Pump", "1pump", "pump-1", "../pump", "", "p" * 65])
def test_a_name_that_no_twin_may_have_is_refused(pump_fmu: FmuDescription, tmp_path: Path, name: str) -> None:
    """Before anything is written."""
    with pytest.raises(TwinError, match="NAME: found"):
        write_twin(NewTwin(name), pump_fmu, chosen_of(pump_fmu), tmp_path / "twins")
    assert not (tmp_path / "twins").exists()


def test_a_taken_name_is_refused(pump_fmu: FmuDescription, tmp_path: Path) -> None:
    """What is there stays as it is, even an empty folder."""
    (tmp_path / "twins" / "pump").mkdir(parents=True)
    with pytest.raises(TwinError, match="is there already"):
        write_twin(NewTwin("pump"), pump_fmu, chosen_of(pump_fmu), tmp_path / "twins")


def test_a_contradictory_fmu_leaves_nothing_behind(pump_fmu: FmuDescription, tmp_path: Path) -> None:
    """A start value outside the FMU's own bounds is told in the words of twin check; nothing is half-written."""
    variables = tuple(replace(v, start=3.0) if v.name == "wear" else v for v in pump_fmu.variables)
    description = replace(pump_fmu, variables=variables)
    twins = tmp_path / "twins"
    with pytest.raises(
        TwinError, match=r"nothing was written(.|\n)*twins/pump/twin.yaml:\d+: coefficients 'wear' initial"
    ):
        write_twin(NewTwin("pump"), description, chosen_of(description), twins)
    assert list(entries(twins)) == []


def test_a_folder_that_cannot_be_written_is_told(pump_fmu: FmuDescription, tmp_path: Path) -> None:
    """A file where the folder of twins should be is no traceback."""
    (tmp_path / "twins").write_text("")
    with pytest.raises(TwinError, match="cannot be written"):
        write_twin(NewTwin("pump"), pump_fmu, chosen_of(pump_fmu), tmp_path / "twins")
