"""published: results as samples for the historian, under properties of their own."""

import pandas as pd

from twin_assets.spec import TwinSpec


def published_properties(spec: TwinSpec) -> dict[str, str]:
    """Historian property of each result column: ``<coefficient>``, ``<virtual sensor's source>``, ``<source>_predicted``,
    each also ``_lower`` and ``_upper``.

    Raises:
        TwinError: if one of them is measured, or two results would share one.
    """
    raise NotImplementedError


def published_samples(spec: TwinSpec, coefficients: pd.DataFrame, virtual_sensors: pd.DataFrame) -> pd.DataFrame:
    """Both result tables as samples (SAMPLE_COLUMNS), quality GOOD; ordered by unit, property, time.

    Raises:
        TwinError: if a published property is a measured one: no prediction may come back as a measurement.
    """
    raise NotImplementedError
