"""Recorded telemetry: CSV and Parquet files, wide or long, into samples that a historian takes.

``tables`` opens files and knows where each cell stands; ``layout`` finds out what the columns are; ``decimals`` whether
a comma is a decimal sign; ``times`` and ``numbers`` read cells without losing digits; ``recording`` puts files together
and refuses what is ambiguous; ``twin_notes`` says what a recording lacks for a twin.

A whole recording is read and judged before anything is written. It is held in memory meanwhile, about 50 bytes a
sample.
"""

from twin_assets.ingest.errors import RecordingError
from twin_assets.ingest.layout import LAYOUTS, LayoutChoice
from twin_assets.ingest.recording import Recording, RecordingOptions, read_recording
from twin_assets.ingest.samples import UnitChoice
from twin_assets.ingest.times import TIME_UNITS_NS, TimeOptions
from twin_assets.ingest.twin_notes import drop_published, notes

__all__ = [
    "LAYOUTS",
    "TIME_UNITS_NS",
    "LayoutChoice",
    "Recording",
    "RecordingError",
    "RecordingOptions",
    "TimeOptions",
    "UnitChoice",
    "drop_published",
    "notes",
    "read_recording",
]
