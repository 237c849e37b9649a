"""What the tests of ingestion share."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from twin_assets.ingest import LayoutChoice, Recording, RecordingOptions, TimeOptions, UnitChoice, read_recording

NOW = pd.Timestamp("2026-02-01T00:00:00Z")
ONE_UNIT = UnitChoice(None, ("line_1",))


@pytest.fixture(name="write_file")
def _write_file(tmp_path: Path) -> Callable[[str, str | bytes | pd.DataFrame], Path]:
    """Write text, bytes or a frame under a name; what ends in .gz is packed, frames become Parquet."""

    def write(name: str, content: str | bytes | pd.DataFrame) -> Path:
        path = tmp_path / name
        if isinstance(content, pd.DataFrame):
            content.to_parquet(path)
            return path
        data = content.encode() if isinstance(content, str) else content
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write


@pytest.fixture(name="read")
def _read() -> Callable[..., Recording]:
    """Read files at NOW, for line_1 unless said otherwise."""

    def read(
        *paths: Path,
        times: TimeOptions | None = None,
        units: UnitChoice = ONE_UNIT,
        time_column: str | None = None,
        layout: LayoutChoice = "auto",
        sort: bool = False,
    ) -> Recording:
        options = RecordingOptions(time_column, times or TimeOptions(), layout, sort)
        return read_recording(paths, units, options, NOW)

    return read
