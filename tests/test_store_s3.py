"""What is particular to a store in S3: few requests, answers that break off, and what AWS's errors mean."""

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3
import pandas as pd
import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
    SSLError,
    UnauthorizedSSOTokenError,
)

from twin_assets.aws.s3 import S3Blobs
from twin_assets.aws.s3_errors import BY_CLASS, explained
from twin_assets.errors import TwinError
from twin_assets.store import Store


def table(rows: int = 1) -> pd.DataFrame:
    """Any table."""
    return pd.DataFrame({"value": [float(number * 7919 % 1009) for number in range(rows)]})


@pytest.fixture(name="store")
def _store(s3_bucket: str) -> Store:
    return Store(f"s3://{s3_bucket}/prefix")


@contextmanager
def counted(store: Store) -> Iterator[list[tuple[str, Mapping[str, Any]]]]:
    """What is asked of S3 meanwhile: operations and their parameters."""
    asked: list[tuple[str, Mapping[str, Any]]] = []

    def remember(params: Mapping[str, Any], model: Any, **_: object) -> None:  # noqa: ANN401 - botocore's
        asked.append((model.name, dict(params["headers"])))

    assert isinstance(store.blobs, S3Blobs)
    events = store.blobs.client.meta.events
    events.register("before-call.s3", remember)
    yield asked
    events.unregister("before-call.s3", remember)


def test_metadata_costs_one_ranged_request(store: Store) -> None:
    """However large the table: its last 64 KiB; two requests where the footer is larger than that."""
    store.write("pump", "s", "large", table(200_000), {"state": "1"})
    store.write("pump", "s", "much beside", table(), {"state": "".join(map(str, range(60_000)))})
    with counted(store) as asked:
        found = store.metadata("pump", "s", "large")
    assert found is not None
    assert found["state"] == "1"
    assert [(name, headers.get("Range")) for name, headers in asked] == [("GetObject", "bytes=-65536")]
    with counted(store) as asked:
        store.metadata("pump", "s", "much beside")
    assert len(asked) == 2


def test_a_table_costs_one_request_each_way(store: Store) -> None:
    """And so does asking for one that is not there."""
    with counted(store) as asked:
        store.write("pump", "s", "a", table(), {})
        store.read("pump", "s", "a")
        store.read("pump", "s", "missing")
        store.keys("pump", "s")
        store.remove("pump", "s", "a")
    assert [name for name, _ in asked] == ["PutObject", "GetObject", "GetObject", "ListObjectsV2", "DeleteObject"]


def test_many_tables_are_read_at_once(store: Store) -> None:
    """Requests of one ``read_many`` are under way together: each waits until others have begun, too."""
    keys = [str(number) for number in range(8)]
    for key in keys:
        store.write("pump", "s", key, table().assign(key=key), {})
    together = threading.Barrier(8, timeout=30)
    assert isinstance(store.blobs, S3Blobs)

    def wait(**_: object) -> None:
        together.wait()

    store.blobs.client.meta.events.register("before-call.s3.GetObject", wait)
    assert store.read_many("pump", "s", keys)["key"].tolist() == keys


def test_an_answer_that_breaks_off_is_asked_for_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that closes the connection in the middle of a table: twice it is asked again, then it is told."""
    store.write("pump", "s", "a", table(), {})
    whole = store.blobs.get("pump/s/a.parquet")
    assert whole is not None
    for broken, reads in ((2, True), (3, False)):
        with half_answers(whole, broken) as url:
            monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
            fresh = Store("s3://bucket")
            if reads:
                found = fresh.read("pump", "s", "a")
                assert found is not None
                assert found.equals(table())
            else:
                with pytest.raises(TwinError, match="S3 could not answer, also after several attempts"):
                    fresh.read("pump", "s", "a")


@contextmanager
def half_answers(body: bytes, broken: int) -> Iterator[str]:
    """URL of a server that gives half of its answer so many times, and then all of it."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for number in range(3):
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
                connection.sendall(head + (body[: len(body) // 2] if number < broken else body))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}"
    server.close()


def failing(monkeypatch: pytest.MonkeyPatch, **environment: str) -> str:
    """What is said of a store in an environment."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TwinError) as error:
        Store("s3://no-such-bucket/prefix").blobs.probe()
    return str(error.value)


@pytest.mark.usefixtures("s3_environment")
@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "there is no bucket 'no-such-bucket'. Correct $TWIN_STORE or --store, or make it"),
        ({"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1"}, "no server answers there. Correct AWS_ENDPOINT_URL"),
        ({"AWS_ENDPOINT_URL_S3": "no url"}, "no address of a server. Correct AWS_ENDPOINT_URL"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "no AWS credentials were found. Set AWS_PROFILE"),
        ({"AWS_SECRET_ACCESS_KEY": ""}, "half of the AWS credentials is missing"),
        ({"AWS_PROFILE": "nobody"}, "there is no such AWS profile"),
        ({"AWS_DEFAULT_REGION": "not a region"}, "there is no such AWS region"),
    ],
    ids=["bucket", "endpoint", "address", "credentials", "half credentials", "profile", "region"],
)
def test_an_environment_that_does_not_fit_is_told(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], said: str
) -> None:
    """By boto3 itself: where, what is wrong, what to do."""
    message = failing(monkeypatch, **environment)
    assert message.startswith("s3://no-such-bucket/")
    assert said in message


@pytest.mark.parametrize(
    ("code", "status", "headers", "said"),
    [
        ("AccessDenied", 403, {}, "s3:ListBucket on bucket 'plant'"),
        ("ExpiredToken", 400, {}, "the credentials have expired. Sign in again"),
        ("InvalidAccessKeyId", 403, {}, "does not know this access key"),
        ("SignatureDoesNotMatch", 403, {}, "does not know this access key"),
        ("RequestTimeTooSkewed", 403, {}, "clock is wrong"),
        (
            "PermanentRedirect",
            301,
            {"x-amz-bucket-region": "eu-west-1"},
            "in another region, eu-west-1. Set AWS_DEFAULT_REGION",
        ),
        ("SlowDown", 503, {}, "after several attempts"),
        ("Unknown", 503, {}, "after several attempts"),
        ("403", 403, {}, "AWS denies access"),
    ],
)
def test_an_answer_of_s3_is_told(code: str, status: int, headers: dict[str, str], said: str) -> None:
    """S3's own codes: where, what is wrong, what to do, and S3's own words."""
    response: Any = {
        "Error": {"Code": code, "Message": "in S3's words"},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers},
    }
    with pytest.raises(TwinError, match=r"^s3://plant/a: ") as error, explained("s3://plant/a", "plant"):
        raise ClientError(response, "GetObject")
    assert said in str(error.value)
    assert "in S3's words" in str(error.value)


@pytest.mark.parametrize(
    "make",
    [
        NoCredentialsError,
        NoRegionError,
        UnauthorizedSSOTokenError,
        lambda: ProfileNotFound(profile="x"),
        lambda: SSLError(endpoint_url="https://s3.example.com", error="self-signed"),
    ],
)
def test_an_error_of_botocore_is_told(make: Callable[[], BotoCoreError]) -> None:
    """What stands in the way of any answer, with what to do."""
    error = make()
    with pytest.raises(TwinError) as told, explained("s3://plant/a", "plant"):
        raise error
    assert BY_CLASS[type(error).__name__] in str(told.value)


def test_classes_that_are_explained_are_botocores() -> None:
    """A class that botocore does not have would never be met."""
    import botocore.exceptions  # noqa: PLC0415

    assert [name for name in BY_CLASS if name != "ValueError" and not hasattr(botocore.exceptions, name)] == []


def test_a_mistake_of_ours_keeps_its_traceback() -> None:
    """What no user can mend is not dressed up as if one could."""
    response: Any = {"Error": {"Code": "MalformedXML"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    with pytest.raises(ClientError), explained("s3://plant/a", "plant"):
        raise ClientError(response, "GetObject")
    with pytest.raises(KeyError), explained("s3://plant/a", "plant"):
        raise KeyError("name")


def test_a_probe_leaves_nothing(store: Store, s3_bucket: str) -> None:
    """It writes, reads and deletes, as a run does."""
    store.blobs.probe()
    assert "Contents" not in boto3.client("s3").list_objects_v2(Bucket=s3_bucket)
