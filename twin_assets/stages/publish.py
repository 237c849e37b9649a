"""published: results as samples for the historian, under properties of their own."""

from collections.abc import Iterator

import pandas as pd

from twin_assets.errors import TwinError
from twin_assets.historian.base import SAMPLE_COLUMNS
from twin_assets.spec import TwinSpec
from twin_assets.spec_names import PREDICTED, PUBLISHED_SUFFIXES
from twin_assets.stages.telemetry import channel_properties


def published_properties(spec: TwinSpec) -> dict[str, str]:
    """Column of a result table -> property in the historian.

    Coefficients keep their names, virtual sensors have their source's, measurements their source's with ``_predicted``;
    each also with ``_lower`` and ``_upper``.

    Raises:
        TwinError: if one of them is measured, or two results would share one.
    """
    stems = {part.name: part.name for part in spec.coefficients}
    stems |= {part.name: part.source for part in spec.virtual_sensors}
    stems |= {part.name + PREDICTED: part.source + PREDICTED for part in spec.measurements}
    properties = {stem + suffix: stems[stem] + suffix for stem in stems for suffix in PUBLISHED_SUFFIXES}
    _refuse_measured(spec, properties)
    return properties


def published_samples(spec: TwinSpec, coefficients: pd.DataFrame, virtual_sensors: pd.DataFrame) -> pd.DataFrame:
    """Both result tables as samples (SAMPLE_COLUMNS), quality GOOD; ordered by unit, property, time.

    Raises:
        TwinError: if a published property is a measured one: no prediction may come back as a measurement.
    """
    properties = published_properties(spec)
    parts = [_long(frame, properties) for frame in (coefficients, virtual_sensors)]
    samples = pd.concat(parts, ignore_index=True).assign(quality=pd.Series(dtype="str"))
    samples["quality"] = "GOOD"
    ordered = samples.sort_values(["unit", "property", "time"], ignore_index=True)
    return ordered[list(SAMPLE_COLUMNS)]


def _long(frame: pd.DataFrame, properties: dict[str, str]) -> pd.DataFrame:
    columns = [column for column in frame.columns if column in properties]
    named = frame[["unit", "time", *columns]].rename(columns=properties)
    return named.melt(["unit", "time"], var_name="property", value_name="value").astype(
        {"property": "str", "value": "float64"}
    )


def _refuse_measured(spec: TwinSpec, properties: dict[str, str]) -> None:
    """The spec refuses such names already; a second lock, for what goes through here cannot be taken back."""
    measured = set(channel_properties(spec))
    for column, name in _claimed_twice(properties, measured):
        raise TwinError(
            f"twin '{spec.name}': the result '{column}' would be published as property '{name}', which is measured or"
            " another result's. Results have properties of their own: give it another name or 'property' in twin.yaml."
        )


def _claimed_twice(properties: dict[str, str], measured: set[str]) -> Iterator[tuple[str, str]]:
    taken = set(measured)
    for column, name in properties.items():
        if name in taken:
            yield column, name
        taken.add(name)
