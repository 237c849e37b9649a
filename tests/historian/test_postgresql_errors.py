"""What the historian in PostgreSQL says of rights, of other people's tables, and of what goes wrong in connecting."""

import sys
import traceback
from collections.abc import Callable, Iterator
from functools import partial

import pandas as pd
import pytest

from postgres_server import PASSWORD, PostgresServer
from twin_assets.historian import HistorianError, SqlHistorian

Samples = Callable[..., pd.DataFrame]

NOW = pd.Timestamp("2026-02-01T00:00:00Z")
UNITS, PROPERTIES = ("line_1",), ("Roller1_w",)
START, END = pd.Timestamp("2000-01-01", tz="UTC"), NOW

opened = partial(SqlHistorian, clock=partial(pd.Timestamp, NOW))


def stored(url: str) -> int:
    """How many samples a fresh reader finds."""
    with opened(url) as historian:
        return len(historian.read(UNITS, PROPERTIES, START, END))


@pytest.fixture(name="database")
def _database(postgresql: PostgresServer, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database of the test's own, for what a schema cannot show."""
    with postgresql.database(f"own_{abs(hash(request.node.name))}") as url:
        yield url


def with_user(postgresql: PostgresServer, url: str, user: str, *grants: str) -> str:
    """The URL with another user, who may log in and what is granted."""
    postgresql.execute(f"CREATE ROLE {user} LOGIN PASSWORD 'of-{user}'")
    postgresql.execute(*(f"{grant} TO {user}" for grant in grants), database=url.rpartition("/")[2])
    return url.replace(f"postgres:{PASSWORD}", f"{user}:of-{user}")


def test_who_may_only_read_reads(postgresql: PostgresServer, database: str, samples: Samples) -> None:
    """A viewer opens a historian that is there; writing is refused in words, and nothing is changed."""
    with opened(database) as historian:
        historian.write(samples("2026-01-01"))
    url = with_user(postgresql, database, "viewer", "GRANT SELECT ON ALL TABLES IN SCHEMA public")
    with opened(url) as historian:
        assert len(historian.read(UNITS, PROPERTIES, START, END)) == 1
        with pytest.raises(HistorianError, match="this user may not do that"):
            historian.write(samples("2026-01-02"))
    assert stored(database) == 1


def test_who_may_not_make_tables_is_told(postgresql: PostgresServer, database: str) -> None:
    """In a new database, by name and with what to grant."""
    url = with_user(postgresql, database, "stranger")
    with pytest.raises(HistorianError, match=r"/own_\d+: this user may not do that.*GRANT CREATE") as caught:
        opened(url)
    assert "of-stranger" not in "".join(traceback.format_exception(caught.value))


def test_somebody_elses_tables_are_left_alone(postgresql: PostgresServer, database: str, samples: Samples) -> None:
    """A database may serve others too, unless a table of theirs has the name of one of ours."""
    name = database.rpartition("/")[2]
    postgresql.execute("CREATE TABLE invoices (id int)", "CREATE TABLE historian (id int)", database=name)
    with pytest.raises(HistorianError, match="the tables historian are there already"):
        opened(database)
    postgresql.execute("DROP TABLE historian", database=name)
    with opened(database) as historian:
        assert historian.write(samples("2026-01-01")).written == 1


def test_another_encoding_is_refused(postgresql: PostgresServer) -> None:
    """A database that could not hold every name is refused before anything is in it."""
    postgresql.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'")
    with pytest.raises(HistorianError, match=r"/latin: the database's encoding is LATIN1.*expected UTF8"):
        opened(postgresql.url("latin"))
    postgresql.execute("DROP DATABASE latin")


def test_a_newer_schema_is_refused(postgresql: PostgresServer, postgresql_url: str) -> None:
    """Tables of a later version are neither read wrongly nor changed."""
    opened(postgresql_url).close()
    schema = postgresql_url.partition("%3D")[2]
    postgresql.execute(f"UPDATE {schema}.historian SET schema_version = 99")
    with pytest.raises(HistorianError, match="the historian has schema version 99, expected 1"):
        opened(postgresql_url)


def test_a_standby_is_told(postgresql_url: str, samples: Samples) -> None:
    """A server that takes no writes: said, and not taken for a lack of rights."""
    opened(postgresql_url).close()
    options = "%20-cdefault_transaction_read_only%3Don"
    with opened(postgresql_url + options) as historian:
        assert historian.units() == ()
        with pytest.raises(HistorianError, match="it can only be read"):
            historian.write(samples("2026-01-01"))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"password": "wr0ng-but-secret"}, "the password is wrong"),
        ({"user": "nobody_here"}, "the server does not know this user, or the password is wrong"),
        ({"database": "nowhere"}, "there is no such database"),
        ({"host": "127.0.0.1:1"}, "no server answers there"),
        ({"host": "no-such-host.invalid"}, "there is no such host"),
        ({"query": "?sslmode=require"}, "do not agree on encryption"),
        ({"query": "?nonsense=1"}, "something that PostgreSQL does not know"),
        ({"query": "?password=als0-secret"}, "the password is wrong"),
    ],
)
def test_what_is_wrong_with_a_connection_is_told(postgresql: PostgresServer, wrong: dict[str, str], said: str) -> None:
    """Where, what and what to do in one message; the password is in no text, not even of a traceback."""
    parts = {"user": "postgres", "password": PASSWORD, "host": f"127.0.0.1:{postgresql.port}", "database": "postgres"}
    parts |= {"query": ""} | wrong
    if "password=" in parts["query"]:
        parts["password"] = ""
    url = "postgresql://{user}:{password}@{host}/{database}{query}".format(**parts)
    with pytest.raises(HistorianError, match=said) as caught:
        opened(url)
    assert str(caught.value).startswith(f"postgresql://{parts['user']}@{parts['host']}/{parts['database']}: ")
    told = "".join(traceback.format_exception(caught.value))
    for secret in (PASSWORD, "wr0ng-but-secret", "als0-secret"):
        assert secret not in told


@pytest.mark.parametrize(
    "url",
    [
        "postgresql//me:s3cret@host/db",
        "postgresql://me:s3cret@host:port/db",
        "postgresql://me:s3@cret@host/db",
        "mysql://me:s3cret@host/db",
        "postgresql+asyncpg://me:s3cret@host/db",
        "postgresql://me:s3cret@host",
        "postgresql://host?password=s3cret",
        "host password=s3cret",
    ],
)
def test_a_url_that_cannot_be_used_is_shown_without_its_password(url: str) -> None:
    """What is wrong is told with an example, and nothing of the password."""
    with pytest.raises(HistorianError, match="postgresql://twin:PASSWORD@") as caught:
        opened(url)
    told = "".join(traceback.format_exception(caught.value))
    assert "s3" not in told.replace(__file__, "")
    assert "cret" not in told


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_the_usual_spellings_are_taken(postgresql_url: str, scheme: str) -> None:
    """As other tools write them; the name that is shown has neither driver nor password."""
    with opened(postgresql_url.replace("postgresql+psycopg", scheme)) as historian:
        assert historian.name.startswith("postgresql://postgres@127.0.0.1:")
        assert historian.name.endswith("/postgres")


def test_a_missing_driver_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who keep to SQLite need no driver; the others learn its name."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(HistorianError, match=r"pip install 'psycopg\[binary\]'"):
        opened("postgresql://me@host/db")


def test_a_mistake_of_ours_keeps_its_traceback(postgresql: PostgresServer, postgresql_url: str) -> None:
    """Only what a user can mend becomes a HistorianError."""
    with opened(postgresql_url) as historian:
        schema = postgresql_url.partition("%3D")[2]
        postgresql.execute(f"DROP TABLE {schema}.arrival")
        with pytest.raises(Exception, match="does not exist") as caught:
            historian.arrivals(UNITS, PROPERTIES)
    assert not isinstance(caught.value, HistorianError)
