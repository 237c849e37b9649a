"""The clients of IoT SiteWise and S3, made when they are first needed; long answers are left as JSON has them.

Credentials, region and endpoint are boto3's own (environment, ``~/.aws``, the role of the machine or task), unless
they are given.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from twin_assets.aws.sitewise_errors import explained

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.model import Shape
    from botocore.parsers import ResponseParser
    from botocore.session import Session

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 60.0
CONNECTIONS = 16  # kept open: as many as there are threads
RAW_LISTS = frozenset({"AssetPropertyValueHistory"})


@dataclass(frozen=True)
class Place:
    """Where the service is.

    Attributes:
        region: None for boto3's own choice.
        endpoint: URL; None for boto3's own choice, ``AWS_ENDPOINT_URL`` included.
    """

    region: str | None = None
    endpoint: str | None = None


class Clients:
    """boto3's clients of one place. Threads may share them."""

    def __init__(self, place: Place, name: str) -> None:
        """Nothing is made yet.

        Args:
            place: region and endpoint.
            name: of the place, in errors.
        """
        self._place, self._name = place, name

    @cached_property
    def sitewise(self) -> "BaseClient":
        """IoT SiteWise."""
        # A prefix before an endpoint's host (data.127.0.0.1) would lead nowhere.
        endpoint = self._place.endpoint or self._configured_endpoint()
        return self._client("iotsitewise", endpoint, inject_host_prefix=endpoint is None)

    @cached_property
    def s3(self) -> "BaseClient":
        """S3 of the same region, at its own endpoint."""
        client = self._client("s3", None)
        if client.meta.endpoint_url.endswith(("amazonaws.com", "amazonaws.com.cn")):
            return client
        # Other servers need not answer for a host of each bucket's name.
        return self._client("s3", None, s3={"addressing_style": "path"})

    @property
    def region(self) -> str | None:
        """The region's name, as far as it is known without asking AWS."""
        return self._place.region or self._session.get_config_variable("region")

    @cached_property
    def _session(self) -> "Session":
        import botocore.session  # noqa: PLC0415 - slow to import

        with explained(self._name):
            session = botocore.session.Session()
            session.register_component("response_parser_factory", _parsers())
            return session

    def _configured_endpoint(self) -> str | None:
        """The endpoint that the environment or the profile names, if any."""
        with explained(self._name):
            client = self._client("iotsitewise", None)
            host = str(client.meta.endpoint_url)
            return None if ".amazonaws." in host or host.endswith(".api.aws") else host

    def _client(self, service: str, endpoint: str | None, **options: object) -> "BaseClient":
        from botocore.config import Config  # noqa: PLC0415 - slow to import

        config = Config(
            retries={"total_max_attempts": 1},  # ours alone, which see single entries, too
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            max_pool_connections=CONNECTIONS,
            **options,
        )
        with explained(self._name):
            return self._session.create_client(
                service, region_name=self._place.region, endpoint_url=endpoint, config=config
            )


def _parsers() -> object:
    """A factory of botocore's parsers, whose one for rest-json leaves values of histories as JSON has them.

    JSON has them under the names that the model gives them, so the answer is the same; but 20,000 structures, one by
    one, take botocore longer than the service needs to send them.
    """
    from botocore.parsers import ResponseParserFactory, RestJSONParser  # noqa: PLC0415 - slow to import

    class Parser(RestJSONParser):  # type: ignore[misc] # botocore has no types
        def _handle_list(self, shape: "Shape", node: object) -> object:
            return node if shape.name in RAW_LISTS else super()._handle_list(shape, node)

    class Factory(ResponseParserFactory):  # type: ignore[misc] # botocore has no types
        def create_parser(self, protocol_name: str) -> "ResponseParser":
            if protocol_name != "rest-json":
                return super().create_parser(protocol_name)
            return Parser(**self._defaults)

    return Factory()
