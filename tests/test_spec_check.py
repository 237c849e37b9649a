"""twin.yaml held against its FMU: every finding at once, each with its line."""

from pathlib import Path

import pytest

from twin_assets.simulation import FmuDescription
from twin_assets.spec_check import check_against_fmu, described, same_unit
from twin_assets.spec_file import SpecError, Twin, load_twin

PUMP = """\
name: pump
model: {fmu: pump.fmu, parameters: {stages: 3}}
inputs:
  - {name: speed, unit: rad/s, constant: 150}
coefficients:
  - {name: wear, initial: 0.1, initial_std: 0.1, bounds: [0, 1]}
measurements:
  - {name: flow, unit: m3/s, noise_std: 0.1}
virtual_sensors:
  - {name: loss}
"""


def pump(tmp_path: Path, text: str) -> Twin:
    """A twin with this twin.yaml."""
    path = tmp_path / "pump" / "twin.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return load_twin(path, tmp_path)


def findings(tmp_path: Path, text: str, description: FmuDescription) -> list[str]:
    """What is found, from the line on."""
    with pytest.raises(SpecError) as caught:
        check_against_fmu(pump(tmp_path, text), description)
    return [finding.partition("twin.yaml:")[2] for finding in caught.value.findings]


def test_what_fits_is_silent(tmp_path: Path, pump_fmu: FmuDescription) -> None:
    """Inputs, tunable parameters, outputs, local variables, and integer parameters set before start."""
    check_against_fmu(pump(tmp_path, PUMP), pump_fmu)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: wear", "name: weight"),
        ("name: speed, unit: rad/s, constant: 150", "name: weight, constant: 21"),
        ("unit: rad/s, constant: 150", "property: pump_speed"),
        (", unit: m3/s", ""),
        ("name: flow, unit: m3/s", 'name: "port[1]", unit: Pa'),
        ("name: speed, unit: rad/s, constant: 150", "name: enabled, constant: 0"),
        ("name: speed, unit: rad/s, constant: 150", "name: enabled"),
        ("name: loss", "name: running"),
        ("stages: 3", "enabled_at_start: 1, level: 0.5"),
    ],
)
def test_other_choices_fit_too(tmp_path: Path, pump_fmu: FmuDescription, old: str, new: str) -> None:
    """Fixed parameters may be calibrated or be inputs; a unit may be left out, or given where the FMU has none.

    Booleans are told and predicted; parameters hold start values of states, too.
    """
    assert old in PUMP
    changed = PUMP.replace(old, new).replace("bounds: [0, 1]", "") if "weight" in new else PUMP.replace(old, new)
    check_against_fmu(pump(tmp_path, changed), pump_fmu)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "name: wear",
            "name: waer",
            "6: coefficients 'waer': the FMU has no variable 'waer'. Nearest: 'wear'. Rename it, or run 'twin check",
        ),
        ("name: loss", "name: los", "10: virtual_sensors 'los': the FMU has no variable 'los'. Nearest: 'loss'"),
        (
            "name: wear",
            "name: torque",
            "6: coefficients 'torque': found a continuous output of the FMU; expected a real",
        ),
        ("name: wear", "name: area", "6: coefficients 'area': found a fixed calculatedParameter of the FMU"),
        ("name: wear", "name: gravity", "6: coefficients 'gravity': found a constant local of the FMU"),
        ("name: wear", "name: label", "6: coefficients 'label': found a string fixed parameter of the FMU"),
        (
            "name: wear",
            "name: enabled",
            "6: coefficients 'enabled': found a boolean discrete input of the FMU; expected a",
        ),
        ("name: speed, unit: rad/s", "name: profile", "4: inputs 'profile': found a string discrete input of the FMU"),
        (
            "name: speed, unit: rad/s, constant: 150",
            "name: enabled, constant: 0.5",
            "4: inputs 'enabled' constant: found 0.5; the FMU's Boolean takes 0 or 1.",
        ),
        (
            "stages: 3",
            "stages: 2.5",
            "2: model parameters 'stages': found 2.5; the FMU's Integer takes a whole number.",
        ),
        (
            "name: flow",
            "name: weight",
            "8: measurements 'weight': found a fixed parameter of the FMU; expected an output",
        ),
        (
            "unit: m3/s",
            "unit: l/s",
            "8: measurements 'flow' unit: found 'l/s'; the FMU has 'm3/s'. Values are not conver",
        ),
        (
            "constant: 150",
            "constant: 301",
            "4: inputs 'speed' constant: found 301; the FMU allows [0, 300]. Stay inside",
        ),
        ("bounds: [0, 1]", "bounds: [0, 2]", "6: coefficients 'wear' bounds: found 2; the FMU allows [0, 1]."),
        ("initial: 0.1", "initial: 1.5", "6: coefficients 'wear' initial: found 1.5; the FMU allows [0, 1]."),
        ("stages: 3", "stages: 10", "2: model parameters 'stages': found 10; the FMU allows [1, 9]."),
        ("stages: 3", "stage: 3", "2: model parameters 'stage': the FMU has no variable 'stage'. Nearest: 'stages'"),
        ("stages: 3", "label: 3", "2: model parameters 'label': found a string fixed parameter of the FMU; expected a"),
        ("stages: 3", "head: 3", "2: model parameters 'head': found a continuous output of the FMU"),
        ("stages: 3", "wear: 0.2", "2: model parameters 'wear': is set twice, here and in coefficients"),
    ],
)
def test_a_misfit_is_told_with_its_line(
    tmp_path: Path, pump_fmu: FmuDescription, old: str, new: str, expected: str
) -> None:
    """Names, kinds, units and ranges: what was found, what the FMU has, at the line that says otherwise."""
    assert old in PUMP
    text = PUMP.replace(old, new)
    (finding,) = findings(tmp_path, text.replace(", bounds: [0, 1]", "") if "initial" in new else text, pump_fmu)
    assert finding.startswith(expected)


def test_what_has_no_values_in_between_is_no_coefficient(tmp_path: Path, pump_fmu: FmuDescription) -> None:
    """The reason is told, and where its value belongs."""
    text = PUMP.replace("wear", "stages").replace(", parameters: {stages: 3}", "")
    (finding,) = findings(tmp_path, text, pump_fmu)
    assert "There are no values between its values, so the filter cannot move it: set it in model param" in finding


def test_all_misfits_are_told_at_once_in_the_order_of_the_lines(tmp_path: Path, pump_fmu: FmuDescription) -> None:
    """One run of twin check is enough to mend a file."""
    text = PUMP.replace("stages", "stage").replace("wear", "waer").replace("m3/s", "l/s").replace("150", "1000")
    assert [int(finding.partition(":")[0]) for finding in findings(tmp_path, text, pump_fmu)] == [2, 4, 6, 8]


def test_an_fmu_that_cannot_be_read_is_told_with_the_line(tmp_path: Path) -> None:
    """Where twin.yaml names it."""
    with pytest.raises(SpecError, match=r"pump/twin.yaml:2: .*pump.fmu: there is no such file"):
        described(pump(tmp_path, PUMP))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("N*m", "N.m", True), ("degC", "°C", True), ("N m", "N.m", True), ("m / s", "m/s", True), ("m/s", "km/s", False)],
)
def test_spellings_of_a_unit_are_one_unit(one: str, other: str, *, same: bool) -> None:
    """Products, degrees and spaces are spelt in many ways; nothing is converted."""
    assert same_unit(one, other) is same


def test_only_what_is_real_has_an_error_between_its_values(tmp_path: Path, pump_fmu: FmuDescription) -> None:
    """A speed has; a switch has not."""
    check_against_fmu(pump(tmp_path, PUMP.replace("constant: 150", "noise_std: 0.1")), pump_fmu)
    text = PUMP.replace("name: speed, unit: rad/s, constant: 150", "name: enabled, noise_std: 0.1")
    (found,) = findings(tmp_path, text, pump_fmu)
    assert found.startswith("4: inputs 'enabled' noise_std: found one of a ")
    assert "expected none: remove it" in found


def test_in_transient_mode_a_measured_input_may_change_while_the_model_runs(
    tmp_path: Path, pump_fmu: FmuDescription
) -> None:
    """A fixed parameter, which is fine in steady state, cannot; as a constant it may stay, beside what moves."""
    moving = PUMP.replace("constant: 150", "property: pump_speed").replace(
        "fmu: pump.fmu,", "fmu: pump.fmu, mode: transient, memory_s: 60,"
    )
    assert "transient" in moving
    check_against_fmu(pump(tmp_path, moving), pump_fmu)
    also = moving.replace("coefficients:", "  - {name: weight, constant: 21}\ncoefficients:")
    check_against_fmu(pump(tmp_path, also), pump_fmu)
    (found,) = findings(tmp_path, also.replace("constant: 21", "property: scale"), pump_fmu)
    assert "inputs 'weight': found a fixed parameter of the FMU, which cannot change while the model runs" in found
