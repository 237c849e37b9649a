"""TimescaleDB, which no machine of the tests has: real PostgreSQL, with an extension's entry and functions that record.

What it can show: it is asked for once, for the right table, column and interval, in the signature that is documented,
and all goes on as without it. That TimescaleDB then does its part, it cannot.
https://docs.tigerdata.com/api/latest/hypertable/create_hypertable/
"""

from collections.abc import Callable, Iterator
from functools import partial

import pandas as pd
import pytest

from postgres_server import PostgresServer
from twin_assets.historian import SqlHistorian

Samples = Callable[..., pd.DataFrame]

NOW = pd.Timestamp("2026-02-01T00:00:00Z")
WEEK_NS = 604_800_000_000_000

FUNCTIONS = (
    "CREATE SCHEMA timescale",
    "CREATE TABLE timescale.asked (relation text, dimension text, width bigint, default_indexes boolean)",
    "CREATE TYPE timescale.dimension_info AS (name text, width bigint)",
    """
    CREATE FUNCTION timescale.by_range(column_name name, partition_interval anyelement DEFAULT NULL::bigint,
                                       partition_func regproc DEFAULT NULL)
    RETURNS timescale.dimension_info LANGUAGE sql AS 'SELECT ROW($1, $2)::timescale.dimension_info'
    """,
    """
    CREATE FUNCTION timescale.create_hypertable(
        relation regclass, dimension timescale.dimension_info, create_default_indexes boolean DEFAULT true,
        if_not_exists boolean DEFAULT false, migrate_data boolean DEFAULT false)
    RETURNS TABLE (hypertable_id integer, created boolean) LANGUAGE sql AS
    'INSERT INTO timescale.asked VALUES ($1, ($2).name, ($2).width, $3) RETURNING 1, true'
    """,
)
ENTRY = """
INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
VALUES (99999, 'timescaledb', 10, 'timescale'::regnamespace, false, '{}')
"""

opened = partial(SqlHistorian, clock=partial(pd.Timestamp, NOW))


@pytest.fixture(name="database")
def _database(postgresql: PostgresServer) -> Iterator[str]:
    with postgresql.database("timescale") as url:
        postgresql.execute(*FUNCTIONS, database="timescale")
        yield url


def install(postgresql: PostgresServer, version: str) -> None:
    """Enter the extension into the database's catalogue."""
    postgresql.execute("SET allow_system_table_mods = on", ENTRY.format(version), database="timescale")


@pytest.mark.parametrize("version", ["2.13.0", "2.17.2", "3.0.0-dev"])
def test_samples_become_a_hypertable(postgresql: PostgresServer, database: str, samples: Samples, version: str) -> None:
    """Where the extension is installed: in chunks of a week, once, with no index but the primary key."""
    install(postgresql, version)
    for day in ("2026-01-01", "2026-01-02"):
        with opened(database) as historian:
            historian.write(samples(day))
    asked = postgresql.execute("SELECT * FROM timescale.asked", database="timescale")
    assert asked == [("samples", "time_ns", WEEK_NS, False)]
    with opened(database) as historian:
        found = historian.read(("line_1",), ("Roller1_w",), pd.Timestamp("2025-01-01", tz="UTC"), NOW)
    assert found["time"].dt.day.tolist() == [1, 2]


def test_a_version_that_cannot_is_left_alone(postgresql: PostgresServer, database: str, samples: Samples) -> None:
    """Before 2.13 there was no by_range: a plain table, and nothing is asked."""
    install(postgresql, "2.12.2")
    with opened(database) as historian:
        assert historian.write(samples("2026-01-01")).written == 1
    assert postgresql.execute("SELECT * FROM timescale.asked", database="timescale") == []


def test_without_the_extension_nothing_is_asked(postgresql: PostgresServer, database: str, samples: Samples) -> None:
    """Functions of these names alone are not TimescaleDB."""
    with opened(database) as historian:
        assert historian.write(samples("2026-01-01")).written == 1
    assert postgresql.execute("SELECT * FROM timescale.asked", database="timescale") == []
