"""What tests of several folders share.

An FMU's description made by hand, for tests that compare and choose and run nothing; a real PostgreSQL server; and a
server that speaks S3.
"""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from postgres_server import NoPostgresError, PostgresServer, postgres_server
from twin_assets.simulation import FmuDescription, FmuVariable

Bounds = tuple[float | None, float | None]

NUMBERS = itertools.count()

# Whoever has set them has samples and tables there that no test may touch.
os.environ.pop("TWIN_HISTORIAN", None)
os.environ.pop("TWIN_STORE", None)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresServer]:
    """A server for the session, started by the first test that needs it; a developer's machine may have none."""
    try:
        with postgres_server() as server:
            yield server
    except NoPostgresError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture
def postgresql_url(postgresql: PostgresServer) -> Iterator[str]:
    """URL of a place without tables, the test's own."""
    with postgresql.schema(f"test_{next(NUMBERS)}") as url:
        yield url


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """URL of a server that speaks S3 over HTTP, for the session: moto's."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - slow to import

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield "http://{}:{}".format(*server.get_host_and_port())
    finally:
        server.stop()


@pytest.fixture
def s3_environment(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment in which boto3, here and in other processes, asks that server and nobody else."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    told = {"ACCESS_KEY_ID": "testing", "SECRET_ACCESS_KEY": "testing", "DEFAULT_REGION": "eu-central-1"}
    nothing_else = {"EC2_METADATA_DISABLED": "true", "CONFIG_FILE": os.devnull, "SHARED_CREDENTIALS_FILE": os.devnull}
    for name, value in {**told, **nothing_else, "ENDPOINT_URL_S3": s3_server}.items():
        monkeypatch.setenv(f"AWS_{name}", value)


@pytest.fixture
def s3_bucket(s3_environment: None) -> str:  # noqa: ARG001 - set before the bucket is made
    """A new bucket, the test's own."""
    import boto3  # noqa: PLC0415 - slow to import

    bucket = f"test-{next(NUMBERS)}"
    where = {"LocationConstraint": "eu-central-1"}
    boto3.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration=where)
    return bucket


def _variable(  # noqa: PLR0913 - the attributes that the tests vary
    name: str,
    causality: str,
    variability: str = "continuous",
    *,
    kind: str = "Real",
    unit: str | None = None,
    start: float | None = None,
    bounds: Bounds = (None, None),
    nominal: float | None = None,
    text: str = "",
    initial: bool = False,
) -> FmuVariable:
    parameter = causality == "parameter"
    return FmuVariable(
        name=name,
        reference=0,
        type=kind,
        causality=causality,
        variability=variability,
        unit=unit,
        start=start,
        min=bounds[0],
        max=bounds[1],
        nominal=nominal,
        description=text,
        settable=parameter or initial,
        tunable=causality == "input" or (parameter and variability == "tunable"),
    )


@pytest.fixture
def pump_fmu(tmp_path: Path) -> FmuDescription:
    """A pump with variables of every kind; its file is no FMU, but is there to be copied."""
    path = tmp_path / "source" / "pump.fmu"
    path.parent.mkdir()
    path.write_bytes(b"no FMU, but bytes to copy")
    return FmuDescription(
        path=path,
        model_name="Pump: with valve",
        model_identifier="pump",
        fmi_version="2.0",
        guid="{0}",
        generation_tool="",
        platforms=("linux64",),
        library="binaries/linux64/pump.so",
        variables=(
            _variable("speed", "input", unit="rad/s", start=150.0, bounds=(0, 300)),
            _variable("enabled", "input", "discrete", kind="Boolean", start=1.0),
            _variable(
                "wear", "parameter", "tunable", unit="1", start=0.1, bounds=(0, 1), text="wear of\nthe: impeller"
            ),
            _variable("leak", "parameter", "tunable", unit="m3/s", start=0.0, bounds=(0, None), nominal=1e-3),
            _variable("stages", "parameter", "fixed", kind="Integer", start=2.0, bounds=(1, 9)),
            _variable("enabled_at_start", "parameter", "fixed", kind="Boolean", start=1.0),
            _variable("label", "parameter", "fixed", kind="String"),
            _variable("level", "local", start=0.2, initial=True),
            _variable("weight", "parameter", "fixed", unit="kg", start=20),
            _variable("area", "calculatedParameter", "fixed", unit="m2"),
            _variable("gravity", "local", "constant", unit="m/s2", start=9.81),
            _variable("flow", "output", unit="m3/s"),
            _variable("head", "output", unit="m", nominal=20.0),
            _variable("torque", "output", unit="N.m"),
            _variable("running", "output", "discrete", kind="Boolean"),
            _variable("loss", "local", unit="W"),
            _variable("a b", "output"),
            _variable("profile", "input", "discrete", kind="String"),
            _variable("port[1]", "output", text="pressure"),
        ),
        can_get_set_state=True,
        can_serialize_state=True,
        can_vary_step=True,
        start_time=0.0,
        tolerance=None,
    )
