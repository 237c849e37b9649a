"""What the historian's tests share: the historians that all of the conformance suite is held against.

The suite is the modules ``test_historian_*``. A new implementation is a new line in PLACES.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from twin_assets.historian import Historian, SqlHistorian

Samples = Callable[..., pd.DataFrame]
Opener = Callable[[], SqlHistorian]

NOW = pd.Timestamp("2026-02-01T00:00:00Z")
LONG_AGO = pd.Timestamp("1700-01-01", tz="UTC")

# Name -> the URL of a new, empty historian for one test.
PLACES: dict[str, Callable[[pytest.FixtureRequest], str]] = {
    "sqlite": lambda request: f"sqlite:///{request.getfixturevalue('tmp_path')}/historian.sqlite",
    "postgresql": lambda request: str(request.getfixturevalue("postgresql_url")),
}


@pytest.fixture(name="opener", params=PLACES)
def _opener(request: pytest.FixtureRequest) -> Opener:
    """Opens a historian, empty before the test; again and in other processes it is the same one."""
    return partial(SqlHistorian, PLACES[request.param](request), clock=partial(pd.Timestamp, NOW))


@pytest.fixture(name="historian")
def _historian(opener: Opener) -> Iterator[Historian]:
    with opener() as historian:
        yield historian


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "historian.sqlite"


@pytest.fixture(name="samples")
def _samples() -> Samples:
    """Samples of line_1's Roller1_w, one a time, 1.0 and GOOD unless said otherwise."""

    def make(*times: str, **columns: object) -> pd.DataFrame:
        index = pd.DatetimeIndex([pd.Timestamp(time, tz="UTC") for time in times], dtype="datetime64[ns, UTC]")
        defaults = {"unit": "line_1", "property": "Roller1_w", "time": index, "value": 1.0, "quality": "GOOD"}
        return pd.DataFrame(defaults | columns)

    return make


@pytest.fixture(name="everything")
def _everything() -> Callable[[Historian], pd.DataFrame]:
    """All samples of all units."""

    def read(historian: Historian) -> pd.DataFrame:
        units = historian.units()
        properties = tuple({name for unit in units for name in historian.properties(unit)})
        return historian.read(units, properties, LONG_AGO, NOW + pd.Timedelta(days=1))

    return read
