"""Which IoT SiteWise a historian is: ``sitewise://REGION?model=…&bucket=…&role=…&endpoint=…``, all of it optional."""

import difflib
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from twin_assets.historian.base import HistorianError

SCHEME = "sitewise"
EXAMPLE = (
    "sitewise://eu-central-1?model=web_line&bucket=my-bucket/imports&role=arn:aws:iam::123456789012:role/twin-import"
)
OPTIONS = ("model", "bucket", "role", "endpoint", "ledger", "values_per_s", "property_values_per_s")


@dataclass(frozen=True)
class SiteWisePlace:
    """What a URL says.

    Attributes:
        region: None for boto3's own choice.
        model: name or id of the asset model whose assets are the units; None: the only one that there is.
        bucket: for values older than 7 days; None: they are rejected.
        prefix: of the keys in the bucket.
        role: ARN of the role with which SiteWise reads the bucket.
        endpoint: URL; None for boto3's own choice.
        ledger: URL of the database in which arrivals are remembered; None: a file in the home.
        values_per_s: quota of the region.
        property_values_per_s: quota of each property and quality.
    """

    region: str | None = None
    model: str | None = None
    bucket: str | None = None
    prefix: str = ""
    role: str | None = None
    endpoint: str | None = None
    ledger: str | None = None
    values_per_s: float = 1000.0
    property_values_per_s: float = 10.0


def is_sitewise(url: str) -> bool:
    """Whether a historian's URL names IoT SiteWise."""
    return url == SCHEME or url.partition(":")[0].lower() == SCHEME


def parsed_place(url: str) -> SiteWisePlace:
    """What a URL says; ``sitewise`` alone says nothing.

    Raises:
        HistorianError: if it is none, or says what is not known here.
    """
    if url == SCHEME:
        return SiteWisePlace()
    try:
        parts = urlsplit(url)
        said = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError as error:
        raise HistorianError(f"'{url}' is no URL of IoT SiteWise ({error}); expected one like {EXAMPLE}") from error
    if parts.path.strip("/") or parts.username or not url.startswith(f"{SCHEME}://"):
        raise HistorianError(f"'{url}' is no URL of IoT SiteWise; expected one like {EXAMPLE}")
    _refuse_unknown(url, said)
    bucket, _, prefix = said.get("bucket", "").removeprefix("s3://").partition("/")
    return SiteWisePlace(
        region=parts.netloc or None,
        bucket=bucket or None,
        prefix=prefix.strip("/"),
        model=said.get("model") or None,
        role=said.get("role") or None,
        endpoint=said.get("endpoint") or None,
        ledger=said.get("ledger") or None,
        values_per_s=_rate(url, said, "values_per_s", 1000.0),
        property_values_per_s=_rate(url, said, "property_values_per_s", 10.0),
    )


def _refuse_unknown(url: str, said: dict[str, str]) -> None:
    for name in said:
        if name not in OPTIONS:
            near = difflib.get_close_matches(name, OPTIONS, 1)
            meant = f" (did you mean {near[0]}?)" if near else ""
            raise HistorianError(f"'{url}': found {name}={meant}; expected some of {', '.join(OPTIONS)}")
    if said.get("role") and not said["role"].startswith("arn:"):
        raise HistorianError(
            f"'{url}': found role={said['role']}; expected a role's ARN: arn:aws:iam::123456789012:role/twin-import"
        )
    if said.get("endpoint") and "://" not in said["endpoint"]:
        raise HistorianError(f"'{url}': found endpoint={said['endpoint']}; expected a URL like http://127.0.0.1:8080")


def _rate(url: str, said: dict[str, str], name: str, default: float) -> float:
    text = said.get(name, str(default))
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0.0 < rate < float("inf"):
        raise HistorianError(f"'{url}': found {name}={text}; expected a number above 0")
    return rate
