"""What S3's errors mean, and what to do about those that a user can mend.

Codes are S3's own, https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html; classes are botocore's.
"""

from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING

from twin_assets.aws import advice
from twin_assets.aws.advice import EXPIRED, WRONG_KEY
from twin_assets.errors import TwinError

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

BUSY = "S3 could not answer, also after several attempts. Try again: what was done is kept."
REGION = (
    "the bucket is in another region{region}. Set AWS_DEFAULT_REGION (or the profile's region) to the bucket's, or"
    " choose another bucket."
)

# S3's code to advice. {bucket} and {region} are filled in.
BY_CODE = {
    "NoSuchBucket": "there is no bucket '{bucket}'. Correct $TWIN_STORE or --store, or make it: aws s3 mb s3://{bucket}",
    "AccessDenied": "AWS denies access. Expected the rights s3:GetObject, s3:PutObject and s3:DeleteObject on the"
    " prefix and s3:ListBucket on bucket '{bucket}' (without that one S3 denies what is only absent), and the use of"
    " its KMS key if it has one: see docs/store.md.",
    "AllAccessDisabled": "all access to this bucket is disabled. Choose another bucket.",
    "AccountProblem": "there is a problem with the AWS account that keeps this from working: ask AWS Support.",
    "ExpiredToken": EXPIRED,
    "ExpiredTokenException": EXPIRED,
    "TokenRefreshRequired": EXPIRED,
    "RequestExpired": EXPIRED,
    "InvalidToken": "the session token is not valid. Renew AWS_SESSION_TOKEN, or remove it where long-lived keys are"
    " used.",
    "InvalidAccessKeyId": WRONG_KEY,
    "SignatureDoesNotMatch": WRONG_KEY,
    "RequestTimeTooSkewed": "this machine's clock is wrong by more than 15 minutes. Set it (NTP), and run again.",
    "PermanentRedirect": REGION,
    "301": REGION,
    "AuthorizationHeaderMalformed": REGION,
    "IllegalLocationConstraintException": REGION,
    "InvalidBucketName": "'{bucket}' is no bucket's name. Correct $TWIN_STORE or --store.",
    "NotImplemented": "this server does not know what is asked of it. Expected S3, or a server that speaks all of it.",
    "QuotaExceeded": "the store is full. Make room, and run again.",
    "XMinioStorageFull": "the store is full. Make room, and run again.",
    "KMS.DisabledException": "the bucket's KMS key is disabled. Enable it, or give the bucket another key.",
    "KMS.NotFoundException": "the bucket's KMS key is not there. Give the bucket another key.",
    "SlowDown": BUSY,
    "ServiceUnavailable": BUSY,
    "InternalError": BUSY,
    "RequestTimeout": BUSY,
}
BY_STATUS = {403: BY_CODE["AccessDenied"], 301: REGION, 500: BUSY, 502: BUSY, 503: BUSY, 504: BUSY}

NO_SERVER = (
    "no server answers there. Correct AWS_ENDPOINT_URL (or AWS_DEFAULT_REGION), or open the way to it (network, proxy,"
    " VPC endpoint)."
)
# botocore's class to advice.
BY_CLASS = {
    **advice.BY_CLASS,
    "NoRegionError": "no AWS region is chosen. Set AWS_DEFAULT_REGION, or the profile's region.",
    "InvalidRegionError": "there is no such AWS region. Correct AWS_DEFAULT_REGION, or the profile's region.",
    "EndpointConnectionError": NO_SERVER,
    "ConnectionClosedError": NO_SERVER,
    "ConnectTimeoutError": NO_SERVER,
    "ReadTimeoutError": BUSY,
    "ResponseStreamingError": BUSY,
    "IncompleteReadError": BUSY,
    "ParamValidationError": "this is no place in S3. Correct $TWIN_STORE or --store; expected s3://bucket/prefix.",
    "ValueError": "this is no address of a server. Correct AWS_ENDPOINT_URL; expected one like https://s3.example.com",
}


class explained(AbstractContextManager[None]):  # noqa: N801 - used as a function, like contextlib's own
    """Say what to do about S3's errors, as TwinErrors; what nobody can mend keeps its traceback.

    Args:
        where: the object that was asked for.
        bucket: its bucket.
    """

    def __init__(self, where: str, bucket: str) -> None:
        self._where, self._bucket = where, bucket

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not isinstance(error, Exception) or isinstance(error, TwinError):
            return
        what_to_do = self._advice(error)
        if what_to_do is not None:
            words = " ".join(str(error).split())
            raise TwinError(f"{self._where}: {what_to_do} (AWS: {words})") from error

    def _advice(self, error: Exception) -> str | None:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - slow to import

        if isinstance(error, ClientError):
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            found = BY_CODE.get(code_of(error)) or BY_STATUS.get(status)
            return found and found.format(bucket=self._bucket, region=_region(error))
        if isinstance(error, BotoCoreError):
            return next((BY_CLASS[each.__name__] for each in type(error).__mro__ if each.__name__ in BY_CLASS), None)
        return BY_CLASS["ValueError"] if isinstance(error, ValueError) and "endpoint" in str(error).lower() else None


def code_of(error: "ClientError") -> str:
    """S3's own code."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _region(error: "ClientError") -> str:
    """``, eu-central-1``, where S3 says which."""
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region = headers.get("x-amz-bucket-region") or error.response.get("Error", {}).get("Region", "")
    return f", {region}" if region else ""
