"""Real clients of the emulator, which tests and benchmarks share."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import boto3
import pandas as pd
from botocore.config import Config

NOW = pd.Timestamp("2026-02-01T12:00:00Z")
NOW_S = int(NOW.timestamp())

Client = Any  # boto3's clients have no types of their own


class Clock:
    """The emulator's time, which tests move."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> pd.Timestamp:
        """The time."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time go by."""
        self.now += pd.Timedelta(seconds=seconds)


@dataclass(frozen=True)
class Line:
    """An asset to write to.

    Attributes:
        asset: its id.
        model: its model's id.
        properties: name to id.
    """

    asset: str
    model: str
    properties: dict[str, str]

    def address(self, name: str) -> dict[str, str]:
        """How a request addresses a property."""
        return {"assetId": self.asset, "propertyId": self.properties[name]}


def connect(service: str, url: str, **config: object) -> Client:
    """A real client, which tries once."""
    options: dict[str, Any] = {"inject_host_prefix": False, "retries": {"total_max_attempts": 1}, **config}
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="eu-central-1",
        aws_access_key_id="none",
        aws_secret_access_key="none",  # noqa: S106 - none
        config=Config(**options),
    )


def at(offset_s: float) -> dict[str, int]:
    """So many seconds after now, as a TimeInNanos."""
    seconds, nanos = divmod(round(offset_s * 1e9), 10**9)
    return {"timeInSeconds": NOW_S + seconds, "offsetInNanos": nanos}


def when(offset_s: float) -> datetime:
    """So many seconds after now, as boto3 takes a time."""
    return datetime.fromtimestamp(NOW_S + offset_s, UTC)


def offsets(history: list[dict[str, Any]]) -> list[float]:
    """The times of values, in seconds after now."""
    return [
        value["timestamp"]["timeInSeconds"] - NOW_S + value["timestamp"]["offsetInNanos"] / 1e9 for value in history
    ]
