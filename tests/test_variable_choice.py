"""Patterns choose an FMU's variables; what cannot be meant is told with the candidates."""

from dataclasses import replace

import pytest

from twin_assets.errors import TwinError
from twin_assets.simulation import FmuDescription
from twin_assets.variable_choice import MOST_LISTED, Chosen, Patterns, choose


def names(chosen: Chosen) -> dict[str, list[str]]:
    """Role -> names."""
    return {role: [variable.name for variable in variables] for role, variables in vars(chosen).items()}


def test_patterns_choose_and_the_rest_follows(pump_fmu: FmuDescription) -> None:
    """Inputs become inputs; outputs that are not measured become virtual sensors, if numbers with a fitting name."""
    assert names(choose(pump_fmu, Patterns(("*e*",), ("flow", "hea?")))) == {
        "inputs": ["speed", "enabled"],
        "untold": ["profile"],
        "coefficients": ["wear", "leak"],
        "measurements": ["flow", "head"],
        "virtual_sensors": ["torque", "running", "port[1]"],
    }


def test_tunable_parameters_come_before_fixed_ones_and_inputs(pump_fmu: FmuDescription) -> None:
    """``we*`` means the tunable wear, not the weight that is fixed before start; ``weig*`` means the weight."""
    assert names(choose(pump_fmu, Patterns(("we*",), ("flow",))))["coefficients"] == ["wear"]
    assert names(choose(pump_fmu, Patterns(("weig*",), ("flow",))))["coefficients"] == ["weight"]


def test_an_unknown_input_may_be_calibrated(pump_fmu: FmuDescription) -> None:
    """Then it is no operating condition any more."""
    roles = names(choose(pump_fmu, Patterns(("speed",), ("flow",))))
    assert (roles["coefficients"], roles["inputs"]) == (["speed"], ["enabled"])


def test_a_whole_name_means_itself_even_where_it_is_a_pattern(pump_fmu: FmuDescription) -> None:
    """``port[1]`` is an element of an array."""
    assert names(choose(pump_fmu, Patterns(("wear",), ("port[1]",))))["measurements"] == ["port[1]"]


def test_local_variables_serve_where_no_output_does(pump_fmu: FmuDescription) -> None:
    """Predicting everything means the outputs; a local variable is meant by its name; what is measured stays that."""
    assert names(choose(pump_fmu, Patterns(("wear",), ("flow",), ("loss",))))["virtual_sensors"] == ["loss"]
    chosen = choose(pump_fmu, Patterns(("wear",), ("flow",), ("*",)))
    assert names(chosen)["virtual_sensors"] == ["head", "torque", "running", "port[1]"]


def test_without_patterns_the_candidates_are_listed(pump_fmu: FmuDescription) -> None:
    """Nothing is guessed: what is calibrated and what is measured has to be said, and is asked for at once."""
    with pytest.raises(TwinError) as caught:
        choose(pump_fmu, Patterns())
    lines = str(caught.value).splitlines()
    assert "--calibrate 'w*'" in lines[0]
    assert lines[1:4] == [
        "  tunable: wear, leak",
        "  fixed before start (each run then starts cold): weight",
        "  inputs: speed",
    ]
    assert "--measure 'f*'" in lines[4]
    assert lines[5:] == ["  outputs: flow, head, torque, running, port[1]", "  local: level, loss"]


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (Patterns(("waer",), ("flow",)), "--calibrate 'waer' matches none of the candidates. Nearest: wear"),
        (Patterns(("wear", "area"), ("flow",)), "--calibrate 'area' matches none"),
        (Patterns(("label",), ("flow",)), "--calibrate 'label' matches none"),
        (Patterns(("wear",), ("flows*",)), "--measure 'flows*' matches none of the candidates. Nearest: flow"),
        (Patterns(("stages",), ("flow",)), "--calibrate 'stages' matches none"),
        (Patterns(("enabled",), ("flow",)), "--calibrate 'enabled' matches none"),
        (Patterns(("wear",), ("profile",)), "--measure 'profile' matches none"),
        (Patterns(("wear",), ("flow",), ("gravity",)), "--predict 'gravity' matches none"),
    ],
)
def test_a_pattern_that_matches_nothing_is_told(pump_fmu: FmuDescription, patterns: Patterns, message: str) -> None:
    """Misspelt, calculated, text, no values in between, constant: with the nearest name and the candidates."""
    with pytest.raises(TwinError) as caught:
        choose(pump_fmu, patterns)
    assert message in str(caught.value)


def test_an_fmu_without_candidates_is_told(pump_fmu: FmuDescription) -> None:
    """An FMU with no parameter and no input has nothing to calibrate."""
    outputs = tuple(v for v in pump_fmu.variables if v.causality == "output")
    with pytest.raises(TwinError, match=r"which parameters are to be calibrated\? The FMU offers none"):
        choose(replace(pump_fmu, variables=outputs), Patterns(("*",), ("flow",)))


def test_long_lists_are_cut(pump_fmu: FmuDescription) -> None:
    """A thousand candidates are not printed."""
    wear = next(v for v in pump_fmu.variables if v.name == "wear")
    many = tuple(replace(wear, name=f"k{i}") for i in range(1000))
    with pytest.raises(TwinError) as caught:
        choose(replace(pump_fmu, variables=many + pump_fmu.variables), Patterns())
    assert f"and {1002 - MOST_LISTED} more" in str(caught.value)
