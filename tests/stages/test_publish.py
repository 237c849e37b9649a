"""Publishing: results under properties of their own, and never onto what is measured."""

from collections.abc import Callable

import pandas as pd
import pytest

from twin_assets.errors import TwinError
from twin_assets.historian.base import SAMPLE_COLUMNS
from twin_assets.spec import TwinSpec
from twin_assets.stages.publish import published_properties, published_samples

TIME = pd.DatetimeIndex(["2026-01-02 10:00Z", "2026-01-02 10:20Z"]).as_unit("ns")


def results(*stems: str) -> pd.DataFrame:
    """A result table in which every number is its column's position."""
    columns = [stem + suffix for stem in stems for suffix in ("", "_std", "_lower", "_upper")]
    numbers = pd.DataFrame({column: float(position) for position, column in enumerate(columns)}, index=[0, 1])
    return pd.concat([pd.DataFrame({"unit": ["b", "a"], "time": TIME}), numbers], axis=1)


def test_results_have_properties_of_their_own(spec: TwinSpec) -> None:
    """Coefficients by name, virtual sensors by source, measurements by source and ``_predicted``; no std."""
    assert published_properties(spec) == {
        "wear": "wear",
        "wear_lower": "wear_lower",
        "wear_upper": "wear_upper",
        "leak": "leak",
        "leak_lower": "leak_lower",
        "leak_upper": "leak_upper",
        "torque": "shaft_torque",
        "torque_lower": "shaft_torque_lower",
        "torque_upper": "shaft_torque_upper",
        "flow_predicted": "flow_meter_predicted",
        "flow_predicted_lower": "flow_meter_predicted_lower",
        "flow_predicted_upper": "flow_meter_predicted_upper",
        "pressure_predicted": "pressure_predicted",
        "pressure_predicted_lower": "pressure_predicted_lower",
        "pressure_predicted_upper": "pressure_predicted_upper",
    }


def test_samples_are_what_the_historian_takes(spec: TwinSpec) -> None:
    """Long, ordered, good, each value from its own column."""
    samples = published_samples(spec, results("wear", "leak"), results("torque", "flow_predicted"))
    assert tuple(samples.columns) == SAMPLE_COLUMNS
    assert len(samples) == 2 * 4 * 3
    assert set(samples["quality"]) == {"GOOD"}
    assert samples.equals(samples.sort_values(["unit", "property", "time"], ignore_index=True))
    found = samples.set_index(["unit", "property"])["value"]
    assert found["a", "leak_upper"] == 7.0
    assert found["b", "shaft_torque"] == 0.0
    assert samples["time"].dtype == "datetime64[ns, UTC]"


def test_what_does_not_rest_on_what_was_calibrated_is_uncertain(spec: TwinSpec) -> None:
    """All that is published of such a row of predictions; the coefficients of that time are what they are."""
    predicted = results("torque", "flow_predicted").assign(valid=[True, False], why_not=["", "speed = 9"])
    samples = published_samples(spec, results("wear", "leak"), predicted)
    uncertain = samples[samples["quality"] == "UNCERTAIN"]
    assert set(uncertain["unit"]) == {"a"}
    assert set(uncertain["property"]) == {
        stem + suffix for stem in ("shaft_torque", "flow_meter_predicted") for suffix in ("", "_lower", "_upper")
    }
    assert set(samples["quality"]) == {"GOOD", "UNCERTAIN"}
    assert len(samples) == 2 * 4 * 3


def test_nothing_is_published_from_nothing(spec: TwinSpec) -> None:
    """Empty results are no samples, in the types of samples."""
    empty = published_samples(spec, results("wear", "leak").iloc[:0], results("torque").iloc[:0])
    assert empty.empty
    assert tuple(empty.columns) == SAMPLE_COLUMNS
    assert empty["value"].dtype == "float64"


@pytest.mark.parametrize("source", ["flow_meter", "drive_speed", "pressure"])
def test_measured_property_is_refused(spec: TwinSpec, source: str) -> None:
    """Also when the spec was made without its own validation: a prediction never comes back as a measurement."""
    sensor = spec.virtual_sensors[0].model_copy(update={"property_name": source})
    unchecked = spec.model_copy(update={"virtual_sensors": (sensor,)})
    with pytest.raises(TwinError, match=f"'torque' would be published as property '{source}', which is measured"):
        published_samples(unchecked, results("wear", "leak"), results("torque"))


def test_two_results_cannot_share_a_property(make_spec: Callable[..., TwinSpec]) -> None:
    """One would overwrite the other in silence."""
    spec = make_spec()
    sensor = spec.virtual_sensors[0].model_copy(update={"property_name": "wear"})
    with pytest.raises(TwinError, match="'torque' would be published as property 'wear'"):
        published_properties(spec.model_copy(update={"virtual_sensors": (sensor,)}))
