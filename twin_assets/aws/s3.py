"""Blobs under a prefix of an S3 bucket, by boto3.

A PUT is there whole or not at all, and is read by everybody once it returns (S3 is strongly consistent since December
2020: https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html#ConsistencyModel). Credentials, region and
endpoint are boto3's own: environment, ``~/.aws``, the role of the machine or task.
"""

from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from twin_assets.aws.s3_errors import code_of, explained

if TYPE_CHECKING:
    from botocore.client import BaseClient

# Of botocore's standard retry mode, which also slows down where S3 says SlowDown; $AWS_MAX_ATTEMPTS has another say.
ATTEMPTS = 6
CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 60.0
CONNECTIONS = 32  # kept open: more than the threads that read at once
READS = 3  # of an answer that breaks off: botocore tries again only until an answer begins
ABSENT = {"NoSuchKey", "404"}
EMPTY = {"InvalidRange", "416"}
PROBE = ".probe"


class S3Blobs:
    """Blobs in an S3 bucket. The client is made at the first request; several threads may share it."""

    def __init__(self, bucket: str, prefix: str) -> None:
        """Nothing is asked yet.

        Args:
            bucket: its name.
            prefix: of all keys, without a slash at its end; empty for the whole bucket.
        """
        self._bucket, self._prefix = bucket, prefix

    def where(self, name: str) -> str:
        """See Blobs."""
        return f"s3://{self._bucket}/{self._key(name)}"

    def put(self, name: str, data: bytes) -> None:
        """See Blobs."""
        with self._explained(name):
            self.client.put_object(Body=data, **self._object(name))

    def get(self, name: str) -> bytes | None:
        """See Blobs."""
        return self._found(name)

    def tail(self, name: str, size: int) -> bytes | None:
        """See Blobs. One ranged GET."""
        return self._found(name, Range=f"bytes=-{size}")

    def _found(self, name: str, **asked: str) -> bytes | None:
        with self._explained(name):
            try:
                return self._read(asked | self._object(name))
            except self.client.exceptions.ClientError as error:
                if code_of(error) in ABSENT:
                    return None
                if code_of(error) in EMPTY:  # there are no last bytes of none
                    return b""
                raise

    def delete(self, name: str) -> None:
        """See Blobs."""
        with self._explained(name):
            self.client.delete_object(**self._object(name))

    def names(self, folder: str) -> list[str]:
        """See Blobs. A thousand names a request."""
        prefix = f"{self._key(folder)}/"
        with self._explained(folder):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=prefix, Delimiter="/"
            )
            return [each["Key"].removeprefix(prefix) for page in pages for each in page.get("Contents", ())]

    def probe(self) -> None:
        """See Blobs. The object that it writes is taken away again."""
        self.names(PROBE)
        self.put(PROBE, b"")
        self.get(PROBE)
        self.delete(PROBE)

    @cached_property
    def client(self) -> "BaseClient":
        """boto3's client."""
        import boto3  # noqa: PLC0415 - slow to import
        from botocore.config import Config  # noqa: PLC0415 - slow to import

        with self._explained(""):
            session = boto3.Session()
            attempts = session._session.get_config_variable("max_attempts") or ATTEMPTS  # noqa: SLF001 - no public way
            options = Config(
                retries={"mode": "standard", "total_max_attempts": int(attempts)},
                connect_timeout=CONNECT_TIMEOUT_S,
                read_timeout=READ_TIMEOUT_S,
                max_pool_connections=CONNECTIONS,
            )
            client = session.client("s3", config=options)
            if _is_aws(client.meta.endpoint_url):
                return client
            # Other servers need not answer for a host of each bucket's name.
            return session.client("s3", config=options.merge(Config(s3={"addressing_style": "path"})))

    def _read(self, asked: dict[str, str]) -> bytes:
        from botocore.exceptions import IncompleteReadError, ReadTimeoutError, ResponseStreamingError  # noqa: PLC0415

        for attempt in range(1, READS + 1):
            body = self.client.get_object(**asked)["Body"]
            try:
                return bytes(body.read())
            except (IncompleteReadError, ReadTimeoutError, ResponseStreamingError):
                if attempt == READS:
                    raise
        raise AssertionError

    def _object(self, name: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._key(name)}

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name

    def _explained(self, name: str) -> explained:
        return explained(self.where(name), self._bucket)


def _is_aws(endpoint: str) -> bool:
    host = urlsplit(endpoint).hostname or ""
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn"))
