"""What the historian's tests share: the historians that all of the conformance suite is held against.

The suite is the modules ``test_historian_*``. A new implementation is a new line in PLACES.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from sitewise_place import SiteWisePlace
from twin_assets.emulator import Emulator
from twin_assets.historian import Historian, SqlHistorian

Samples = Callable[..., pd.DataFrame]
Opener = Callable[[], Historian]

NOW = pd.Timestamp("2026-01-06T00:00:00Z")
LONG_AGO = pd.Timestamp("1700-01-01", tz="UTC")

NOW_CLOCK = partial(pd.Timestamp, NOW)


def _sqlite(request: pytest.FixtureRequest) -> Opener:
    return partial(SqlHistorian, f"sqlite:///{request.getfixturevalue('tmp_path')}/historian.sqlite", clock=NOW_CLOCK)


def _postgresql(request: pytest.FixtureRequest) -> Opener:
    return partial(SqlHistorian, str(request.getfixturevalue("postgresql_url")), clock=NOW_CLOCK)


def _sitewise(request: pytest.FixtureRequest) -> Opener:
    bucket = str(request.getfixturevalue("s3_bucket"))
    emulator = request.getfixturevalue("emulator")
    return SiteWisePlace(emulator.url, f"model {bucket}", request.getfixturevalue("tmp_path"), bucket)


# Name -> what opens a new, empty historian of one test.
PLACES: dict[str, Callable[[pytest.FixtureRequest], Opener]] = {
    "sqlite": _sqlite,
    "postgresql": _postgresql,
    "sitewise": _sitewise,
}


SQL_PLACES = ("sqlite", "postgresql")


@pytest.fixture(name="emulator", scope="session")
def _emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """A local IoT SiteWise whose clock stands still; each test has an asset model of its own in it."""
    with Emulator(tmp_path_factory.mktemp("emulator"), clock=NOW_CLOCK) as emulator:
        yield emulator


@pytest.fixture(name="opener", params=PLACES)
def _opener(request: pytest.FixtureRequest) -> Opener:
    """Opens a historian, empty before the test; again and in other processes it is the same one."""
    return PLACES[request.param](request)


@pytest.fixture(name="sql_opener", params=SQL_PLACES)
def _sql_opener(request: pytest.FixtureRequest) -> Opener:
    """Opens a historian that has transactions, and all times."""
    return PLACES[request.param](request)


@pytest.fixture(name="sql_historian")
def _sql_historian(sql_opener: Opener) -> Iterator[Historian]:
    with sql_opener() as historian:
        yield historian


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


# With IoT SiteWise these are thousands of requests, or a bulk import.
SLOW_WITH_SITEWISE = ("processes_write_and_read_at_once", "large_write", "names_are_any_text")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what takes long with one of the places alone."""
    for item in items:
        if "sitewise" in item.name and any(name in item.name for name in SLOW_WITH_SITEWISE):
            item.add_marker(pytest.mark.slow)
