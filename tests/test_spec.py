"""TwinSpec: defaults, and the rules that hold among values."""

from datetime import date, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from twin_assets.spec import TwinSpec


def pump(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever a file may hold
    """A small valid description, with some of its values replaced."""
    return {
        "name": "pump",
        "model": {"fmu": "pump.fmu"},
        "coefficients": [{"name": "wear", "initial": 0.1, "initial_std": 0.05}],
        "measurements": [{"name": "flow", "noise_std": 0.01}],
        **changes,
    }


def refusal(**changes: Any) -> str:  # noqa: ANN401 - whatever a file may hold
    """What a changed description is refused with."""
    with pytest.raises(ValidationError) as caught:
        TwinSpec.model_validate(pump(**changes))
    return str(caught.value)


def test_defaults_are_those_of_the_documentation() -> None:
    """Four sections are enough; the rest is steady state, daily windows, one unit, no bounds and no drift."""
    spec = TwinSpec.model_validate(pump())
    assert (spec.label, spec.window, spec.schedule, spec.units) == ("pump", "daily", None, ())
    assert (spec.model.mode, spec.start, spec.align.tolerance) == (
        "steady_state",
        date(2020, 1, 1),
        timedelta(seconds=1),
    )
    assert (spec.coefficients[0].bounds, spec.coefficients[0].drift_std_per_sqrt_hour) == ((None, None), 0.0)


def test_every_field_is_described() -> None:
    """No key of twin.yaml is without an explanation, which errors and documentation show."""
    undescribed = [
        f"{definition}.{key}"
        for definition, schema in {
            **TwinSpec.model_json_schema()["$defs"],
            "twin": TwinSpec.model_json_schema(),
        }.items()
        for key, field in schema["properties"].items()
        if "description" not in field
    ]
    assert undescribed == []


def test_values_never_change() -> None:
    """A spec is a value: setting a field is refused."""
    spec = TwinSpec.model_validate(pump())
    with pytest.raises(ValidationError, match="frozen"):
        spec.name = "other"  # type: ignore[misc]  # what this test is about


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("20min", timedelta(minutes=20)),
        ("20m", timedelta(minutes=20)),
        ("1h 30min", timedelta(minutes=90)),
        ("0.5s", timedelta(milliseconds=500)),
        ("2d", timedelta(days=2)),
        (timedelta(seconds=3), timedelta(seconds=3)),
    ],
)
def test_durations_are_numbers_with_units(text: object, duration: timedelta) -> None:
    """Durations add up; a timedelta from Python passes through."""
    assert TwinSpec.model_validate(pump(align={"every": text})).align.every == duration


@pytest.mark.parametrize(
    "text", ["5", 5, "10:30", "min", "3 years", "-5s", "0s", "", "1e9d", timedelta(0), "9" * 30 + "w"]
)
def test_what_is_no_duration_is_refused(text: object) -> None:
    """A bare number has no unit to guess; negative, zero, clock times and endless ones are no durations."""
    assert "duration" in refusal(align={"every": text})


@pytest.mark.parametrize("cron", ["*/20 * * * *", "0 6 * * mon", "@daily"])
def test_crons_are_taken(cron: str) -> None:
    """Five fields or an alias."""
    assert TwinSpec.model_validate(pump(schedule=cron, window=cron)).schedule == cron


@pytest.mark.parametrize("cron", ["*/20 * * *", "61 * * * *", "* * * * * *", "0 0 30 2 *", "often"])
def test_what_is_no_cron_is_refused(cron: str) -> None:
    """Too few fields, seconds, minutes that do not exist, the 30 February."""
    assert "cron" in refusal(schedule=cron)
    assert "cron" in refusal(window=cron)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"coefficients": [{"name": "a", "initial": 2, "initial_std": 1, "bounds": [0, 1]}]}, "outside the bounds"),
        ({"coefficients": [{"name": "a", "initial": 0, "initial_std": 1, "bounds": [1, 0]}]}, "crossed"),
        ({"coefficients": [{"name": "a", "initial": 0, "initial_std": 1, "bounds": [0]}]}, "expected [lower, upper]"),
        ({"coefficients": [{"name": "a", "initial": 0, "initial_std": 1, "bounds": [None, 1], "limit": 2}]}, "limit"),
        ({"coefficients": [{"name": "a", "initial": True, "initial_std": 1}]}, "found true; expected a number"),
        ({"coefficients": [{"name": "a", "initial": float("inf"), "initial_std": 1}]}, "finite"),
        ({"coefficients": [{"name": "1a", "initial": 0, "initial_std": 1}]}, "letters, digits"),
        ({"coefficients": []}, "at least 1"),
        ({"measurements": [{"name": "flow", "noise_std": 0}]}, "greater than 0"),
        ({"measurements": [{"name": "flow", "noise_std": 1, "valid_range": [60, 0]}]}, "crossed"),
        ({"virtual_sensors": [{"name": "head", "alarm": {"low": 3, "high": 2}}]}, "crossed"),
        ({"inputs": [{"name": "u", "constant": 1, "property": "p"}]}, "a constant and a property"),
        ({"measurements": [{"name": "y", "noise_std": 1, "resolution": 1}]}, "only estimated noise has a use for"),
        ({"inputs": [{"name": "u", "noise_std": 0}]}, "greater than 0"),
        ({"inputs": [{"name": "u", "noise_std": 1, "constant": 2}]}, "what a constant is off by stays the same"),
        ({"virtual_sensors": [{"name": "v", "discrepancy_std": -1}]}, "greater than or equal to 0"),
        ({"virtual_sensors": [{"name": "why_not"}]}, "column of the table virtual_sensors 'why_not'"),
        ({"measurements": [{"name": "y", "noise_std": 0}]}, "greater than 0"),
        ({"name": "Pump"}, "a-z"),
        ({"model": {"fmu": "s3://bucket/pump.fmu"}}, "not a URI"),
        ({"model": {"fmu": "pump.fmu", "mode": "transient"}}, "is missing; expected in transient mode"),
        ({"model": {"fmu": "pump.fmu", "memory_s": 60}}, "is only for mode: transient"),
        ({"model": {"fmu": "pump.fmu", "mode": "transient", "memory_s": 60}, "inputs": []}, "no measured input"),
        (
            {
                "model": {"fmu": "pump.fmu", "mode": "transient", "memory_s": 60},
                "inputs": [{"name": "speed", "property": "N1"}],
                "measurements": [{"name": "flow", "property": "FT1"}],
            },
            "none is estimated",
        ),
        (
            {
                "model": {"fmu": "pump.fmu", "mode": "transient", "memory_s": 60},
                "inputs": [{"name": "speed", "property": "N1"}],
                "identifiability": "hold",
            },
            "found hold, with model.mode transient",
        ),
        (
            {
                "model": {"fmu": "pump.fmu", "mode": "transient", "memory_s": 60},
                "inputs": [{"name": "u", "noise_std": 0.1}],
            },
            "'u' has a noise_std; expected none in transient mode",
        ),
        ({"model": {"fmu": "pump.fmu", "isolation": "none"}}, "'process' or 'thread'"),
        ({"model": {"fmu": "pump.fmu", "recycle_after": 0}}, "greater than 0"),
        ({"model": {"fmu": "pump.fmu", "step_s": 5, "max_settle_s": 5}}, "more than one step_s"),
        ({"units": "line_1"}, "the word discovered"),
        ({"units": [1]}, "the word discovered"),
        ({"units": ["a", "b", "a"]}, "'a' is named twice"),
        ({"window": "dayly"}, "hourly, daily, weekly"),
        ({"smoothing": True, "identifiability": "hold"}, "found true, with identifiability hold"),
        (
            {"smoothing": True, "model": {"fmu": "pump.fmu", "mode": "transient", "memory_s": 60}},
            "found true, with model.mode transient",
        ),
    ],
)
def test_wrong_values_are_refused(changes: dict[str, Any], message: str) -> None:
    """Each rule among values has a message that says what was found or expected."""
    assert message in refusal(**changes)


def test_published_properties_are_the_contracts() -> None:
    """Coefficients by name, virtual sensors by property, predictions with a suffix; each with its interval."""
    spec = TwinSpec.model_validate(
        pump(
            measurements=[{"name": "flow", "property": "FT1", "noise_std": 0.01}],
            virtual_sensors=[{"name": "head", "property": "H1"}],
            inputs=[{"name": "speed", "property": "N1"}, {"name": "density", "constant": 1000}],
        )
    )
    names = ("wear", "H1", "FT1_predicted")
    assert [result.name for result in spec.results] == [
        name + end for name in names for end in ("", "_lower", "_upper")
    ]
    assert [source.name for source in spec.sources] == ["N1", "FT1"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"virtual_sensors": [{"name": "head", "property": "flow"}]}, "property 'flow' would be the source of"),
        ({"virtual_sensors": [{"name": "head", "property": "flow_predicted"}]}, "property 'flow_predicted' would be"),
        ({"virtual_sensors": [{"name": "head", "property": "wear_upper"}]}, "property 'wear_upper' would be"),
        ({"inputs": [{"name": "speed", "property": "wear"}]}, "the published coefficient 'wear'"),
        ({"inputs": [{"name": "speed", "property": "flow"}]}, "also the source of measurements 'flow'"),
        (
            {"virtual_sensors": [{"name": "a", "property": "x"}, {"name": "b", "property": "x"}]},
            "the published virtual sensor 'a' and also the published virtual sensor 'b'",
        ),
        ({"virtual_sensors": [{"name": "wear"}]}, "'wear' is named twice: in coefficients and in virtual_sensors"),
        ({"inputs": [{"name": "time", "constant": 1}]}, "column of the table observations 'time'"),
        (
            {"inputs": [{"name": "flow_reason", "constant": 1}]},
            "column of the table observations 'flow_reason' would be from measurements 'flow'",
        ),
        (
            {"virtual_sensors": [{"name": "a"}, {"name": "a_std", "property": "other"}]},
            "column of the table virtual_sensors 'a_std'",
        ),
    ],
)
def test_results_never_go_onto_what_is_measured_or_onto_each_other(changes: dict[str, Any], message: str) -> None:
    """Whatever would be written twice, in the historian or in a table, is refused with both owners."""
    assert message in refusal(**changes)


@pytest.mark.parametrize("field", ["hold_shift", "hold_threshold"])
def test_how_to_hold_is_said_only_where_anything_is_held(field: str) -> None:
    """It would have no effect."""
    assert f"found {field}, with hold: false" in refusal(publish={"hold": False, field: 3.0})
