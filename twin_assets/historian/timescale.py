"""TimescaleDB, where a PostgreSQL server has it: ``samples`` as a hypertable, in chunks of time.

Written from its documentation and held by the tests against functions of its signature, not against TimescaleDB itself.
https://docs.tigerdata.com/api/latest/hypertable/create_hypertable/

Without it nothing is different: a plain table holds the same rows and answers the same questions.
"""

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from twin_assets.historian.schema import samples

# An integer column has no unit that TimescaleDB could know: the interval is in what the column counts.
CHUNK_NS = 7 * 24 * 3_600_000_000_000
FIRST_VERSION = (2, 13)  # of by_range

EXTENSION = """
SELECT installed.extversion, quote_ident(space.nspname)
FROM pg_extension installed JOIN pg_namespace space ON space.oid = installed.extnamespace
WHERE installed.extname = 'timescaledb'
"""
# Where the library is not preloaded, CREATE EXTENSION ends the connection; who may not see the setting, may not create.
CREATABLE = """
SELECT 1 FROM pg_available_extensions, pg_settings
WHERE pg_available_extensions.name = 'timescaledb'
  AND pg_settings.name = 'shared_preload_libraries' AND pg_settings.setting LIKE '%timescaledb%'
  AND has_database_privilege(current_database(), 'CREATE')
"""


def use_timescale(connection: Connection) -> None:
    """Make the empty table of samples a hypertable, if the extension is there or may be created.

    Args:
        connection: inside the transaction that makes the tables.
    """
    if not (found := connection.execute(text(EXTENSION)).first()):
        if not connection.execute(text(CREATABLE)).first():
            return
        try:
            with connection.begin_nested():
                connection.execute(text("CREATE EXTENSION timescaledb"))
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            return  # a right that this user lacks: as if it were not there
        found = connection.execute(text(EXTENSION)).one()
    version, space = found
    if _version(version) < FIRST_VERSION:
        return
    # The primary key begins with the series and serves every question; an index on time alone would serve none.
    statement = (
        f"SELECT {space}.create_hypertable(CAST(:relation AS regclass), {space}.by_range('time_ns', :chunk_ns),"
        " create_default_indexes => FALSE)"
    )
    connection.execute(text(statement), {"relation": samples.name, "chunk_ns": CHUNK_NS})


def _version(told: str) -> tuple[int, ...]:
    """2.17.2-dev as (2, 17)."""
    return tuple(int(part) for part in told.split(".")[:2])
