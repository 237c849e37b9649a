"""Tables of the SQL historian, the same for every SQL database.

A series is one property of one unit; samples name it by number, which makes them a third of the size. ``arrival``
keeps, per series and hour of sample time, the newest position at which something arrived: what has changed since a
cursor is then a question about hours, not about samples.

``series_id`` is ``series.id``. No constraint says so: PostgreSQL would look each sample's series up, which makes
writing less than half as fast; SQLite does not look unless it is told to.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
)

SCHEMA_VERSION = 1
HOUR_NS = 3_600_000_000_000

metadata = MetaData()

historian = Table(
    "historian",
    metadata,
    Column("schema_version", Integer, nullable=False),
    Column("last_seq", BigInteger, nullable=False, comment="position of the newest write"),
    comment="one row",
)

series = Table(
    "series",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("unit", String, nullable=False),
    Column("property", String, nullable=False),
    UniqueConstraint("unit", "property"),
)

samples = Table(
    "samples",
    metadata,
    Column("series_id", Integer, primary_key=True, autoincrement=False),
    Column("time_ns", BigInteger, primary_key=True, comment="nanoseconds since 1970-01-01 UTC"),
    Column("quality", SmallInteger, primary_key=True, comment="0 GOOD, 1 UNCERTAIN, 2 BAD"),
    Column("value", Double, nullable=False),
    sqlite_with_rowid=False,
)

arrival = Table(
    "arrival",
    metadata,
    Column("series_id", Integer, primary_key=True, autoincrement=False),
    Column("hour", BigInteger, primary_key=True, comment="time_ns // HOUR_NS"),
    Column("seq", BigInteger, nullable=False, comment="position of the newest arrival"),
    Column("samples", BigInteger, nullable=False, comment="arrivals so far"),
    sqlite_with_rowid=False,
)

# What a write brings, before it is compared with what is there; each connection has its own. In SQLite it stays and is
# emptied; in PostgreSQL it ends with the transaction.
staged = Table(
    "staged",
    MetaData(),
    Column("series_id", Integer, primary_key=True, autoincrement=False),
    Column("time_ns", BigInteger, primary_key=True),
    Column("quality", SmallInteger, primary_key=True),
    Column("value", Double, nullable=False),
    Column("hour", BigInteger, nullable=False),
    prefixes=["TEMPORARY"],
    sqlite_with_rowid=False,
    postgresql_on_commit="DROP",
)
