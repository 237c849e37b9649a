"""What IoT SiteWise's errors mean: which of them pass by themselves, and what to do about those that a user can mend.

Codes are the service's own, https://docs.aws.amazon.com/iot-sitewise/latest/APIReference/CommonErrors.html; classes
are botocore's.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from twin_assets.aws import advice
from twin_assets.aws.advice import EXPIRED, WRONG_KEY
from twin_assets.errors import TwinError

# Gone at the next attempt, perhaps: of a request, and of an entry in one.
PASSING_CODES = frozenset(
    {
        "ThrottlingException",
        "Throttling",
        "ThrottledException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "LimitExceededException",
        "InternalFailureException",
        "InternalFailure",
        "InternalServerError",
        "ServiceUnavailableException",
        "ServiceUnavailable",
        "ConflictingOperationException",
        "RequestTimeout",
        "RequestTimeoutException",
        "SlowDown",
        "InternalError",
    }
)
PASSING_STATUS = frozenset({500, 502, 503, 504})
PASSING_CLASSES = frozenset(
    {
        "ConnectionClosedError",
        "ConnectTimeoutError",
        "EndpointConnectionError",
        "HTTPClientError",
        "IncompleteReadError",
        "ReadTimeoutError",
        "ResponseStreamingError",
    }
)
BUSY = "the service could not answer, also after several attempts. Try again later: what was done is kept."
DENIED = (
    "AWS denies access. Expected the rights that docs/sitewise.md lists, for the user or role that these credentials"
    " belong to."
)
BY_CODE = {
    "ExpiredToken": EXPIRED,
    "ExpiredTokenException": EXPIRED,
    "TokenRefreshRequired": EXPIRED,
    "RequestExpired": EXPIRED,
    "AccessDeniedException": DENIED,
    "AccessDenied": DENIED,
    "UnauthorizedOperation": DENIED,
    "NotAuthorized": DENIED,
    "OptInRequired": "the AWS account has not enabled this region. Enable it, or choose another one.",
    "UnrecognizedClientException": "AWS does not know these credentials, or not in this region. Correct the profile or"
    " AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; in a region that has to be enabled, enable it.",
    "InvalidClientTokenId": WRONG_KEY,
    "InvalidAccessKeyId": WRONG_KEY,
    "SignatureDoesNotMatch": WRONG_KEY,
    "InvalidSignatureException": "the signature does not fit: a wrong secret key, or a clock that is off by more than"
    " 5 minutes. Correct AWS_SECRET_ACCESS_KEY, or set the clock (NTP).",
    "IncompleteSignature": WRONG_KEY,
    "MissingAuthenticationToken": "the request was not signed. Set AWS credentials, and check the endpoint.",
    "MissingAuthenticationTokenException": "the request was not signed. Set AWS credentials, and check the endpoint.",
    "NoSuchBucket": "there is no such bucket. Correct bucket= in the historian's URL, or make it.",
    "PermanentRedirect": "the bucket is in another region. It has to be in SiteWise's own.",
    "404": "nothing is there. Correct bucket= in the historian's URL.",
    "403": DENIED,
    **dict.fromkeys(PASSING_CODES, BUSY),
}
NO_SERVER = (
    "no server answers there. Correct the region or the endpoint (endpoint= or AWS_ENDPOINT_URL), or open the way to it"
    " (network, proxy, VPC endpoint)."
)
BY_CLASS = {
    **advice.BY_CLASS,
    "NoRegionError": "no AWS region is chosen. Name it, as in sitewise://eu-central-1, or set AWS_DEFAULT_REGION.",
    "InvalidRegionError": "this is no AWS region. Expected one like eu-central-1.",
    "UnknownEndpointError": "this region has no such service. Correct the region.",
    "EndpointConnectionError": NO_SERVER,
    "ConnectionClosedError": BUSY,
    "ConnectTimeoutError": NO_SERVER,
    "ReadTimeoutError": BUSY,
    "ResponseStreamingError": BUSY,
    "IncompleteReadError": BUSY,
    "HTTPClientError": BUSY,
    "InvalidEndpointConfigurationError": "the endpoint is no URL. Expected one like http://127.0.0.1:8080.",
}


class AwsError(TwinError):
    """What AWS does not do, and what to do about it.

    Attributes:
        code: the service's code; empty where no server answered.
    """

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


def code_of(error: Exception) -> str:
    """The service's code of an error; empty where it is no answer of the service."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def is_passing(error: Exception) -> bool:
    """Whether the next attempt may succeed."""
    if code := code_of(error):
        status = getattr(error, "response", {}).get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return code in PASSING_CODES or status in PASSING_STATUS
    return any(each.__name__ in PASSING_CLASSES for each in type(error).__mro__)


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Say what to do about errors of AWS; what nobody can mend keeps its traceback.

    Args:
        where: what was asked, for people.

    Raises:
        AwsError: in place of botocore's error.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - slow to import

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        code = code_of(error)
        names = (each.__name__ for each in type(error).__mro__)
        advice = BY_CODE.get(code) or next((BY_CLASS[name] for name in names if name in BY_CLASS), None)
        told = " ".join(str(error).split()).replace(" (reached max retries: 0)", "")  # the attempts are ours
        if advice is None and not code:
            raise
        raise AwsError(f"{where}: {advice} (AWS: {told})" if advice else f"{where}: {told}", code) from error
    except ValueError as error:  # botocore's, of an endpoint that is no URL
        if "endpoint" not in str(error).lower():
            raise
        raise AwsError(f"{where}: {BY_CLASS['InvalidEndpointConfigurationError']} (found: {error})") from error
