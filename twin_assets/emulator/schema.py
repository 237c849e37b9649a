"""Tables of the emulator, beside the historian's in the same database.

Numbers are the historian's: each time series is a series of it. What is no finite number (a text, a null, a NaN) is in
``emulator_values``; a row there hides the number under the same time and quality.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, SmallInteger, String, Table, Text, UniqueConstraint

metadata = MetaData()

documents = Table(
    "emulator_documents",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True, comment="the order of creation"),
    Column("kind", String, nullable=False, comment="asset_model, asset, workspace, entity, …"),
    Column("id", String, nullable=False, comment="unique among its kind"),
    Column("parent", String, nullable=False, comment="what it belongs to: an asset's model, an entity's workspace"),
    Column("token", String, comment="the client's, so that a request that is sent again creates nothing again"),
    Column("body", Text, nullable=False, comment="JSON"),
    UniqueConstraint("kind", "id"),
    Index("emulator_documents_parent", "kind", "parent"),
    Index("emulator_documents_token", "kind", "token"),
    sqlite_autoincrement=True,  # numbers are never used again: a page's token stays right
)

time_series = Table(
    "emulator_time_series",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True, comment="the unit's name in the historian"),
    Column("alias", String, unique=True),
    Column("asset_id", String),
    Column("property_id", String),
    Column("data_type", String, nullable=False, comment="DOUBLE, INTEGER, BOOLEAN or STRING"),
    Column("created_ns", BigInteger, nullable=False),
    Column("updated_ns", BigInteger, nullable=False),
    UniqueConstraint("asset_id", "property_id"),
    sqlite_autoincrement=True,
)

values = Table(
    "emulator_values",
    metadata,
    Column("series_id", String, primary_key=True, comment="emulator_time_series.id"),
    Column("time_ns", BigInteger, primary_key=True),
    Column("quality", SmallInteger, primary_key=True, comment="as in the historian's samples"),
    Column("kind", String, nullable=False, comment="text, null, or number for NaN"),
    Column("text", Text, nullable=False, comment="the text, the null's value type, or nan"),
)
