"""Time-series stores: one protocol, several implementations."""

from twin_assets.historian.base import (
    QUALITIES,
    SAMPLE_COLUMNS,
    Arrivals,
    Historian,
    HistorianError,
    Quality,
    WriteReport,
)
from twin_assets.historian.choice import may_hold_anything, open_historian
from twin_assets.historian.sql import SqlHistorian

__all__ = [
    "QUALITIES",
    "SAMPLE_COLUMNS",
    "Arrivals",
    "Historian",
    "HistorianError",
    "Quality",
    "SqlHistorian",
    "WriteReport",
    "may_hold_anything",
    "open_historian",
]
