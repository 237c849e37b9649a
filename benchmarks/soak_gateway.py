"""An edge gateway's stand-in: puts what is measured, keeps what was not confirmed, and knows what was.

Samples get lost before they are sent, come late, and are corrected; what is sent and not confirmed is sent again with
what follows, so the endpoint sees some of it twice.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from soak_line import NOISE, measured, time_of

Key = tuple[str, int]  # property, ns
LOST, LATE, CORRECTED = 0.01, 0.02, 0.01
LATEST_TICKS = 45  # 3 hours: longer than what every look for news reads again
VALUES = 10  # of a property in a request
PASSING = {"ThrottlingException", "InternalFailureException"}


@dataclass
class Gateway:
    """One machine's gateway.

    Attributes:
        client: boto3's, which tries once.
        asset_id: of the machine.
        properties: ids by name.
        seed: of noise and mishaps.
        accepted: samples that the endpoint confirmed, with the last value that it did.
        counts: what happened how often.
    """

    client: Any
    asset_id: str
    properties: Mapping[str, str]
    seed: int
    accepted: dict[Key, float] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    _waiting: dict[Key, float] = field(default_factory=dict)
    _late: dict[int, dict[Key, float]] = field(default_factory=dict)

    def tick(self, number: int) -> None:
        """Measure, and send what there is to send, in one request."""
        chance = Random(f"{self.seed} {number}")  # noqa: S311 - chance, no secret
        self._waiting |= self._late.pop(number, {})
        for name, value in measured(number, self.seed).items():
            key = (name, time_of(number).value)
            draw = chance.random()
            if draw < LOST:
                self.counts["lost"] += 1
            elif draw < LOST + LATE:
                self.counts["late"] += 1
                self._late.setdefault(number + chance.randint(1, LATEST_TICKS), {})[key] = value
            else:
                self._waiting[key] = value
        if chance.random() < CORRECTED:
            self._correct(number - chance.randint(1, LATEST_TICKS), chance)
        self.send()

    def flush(self) -> None:
        """Send everything that still waits or is late; the endpoint is in order."""
        for late in self._late.values():
            self._waiting |= late
        self._late.clear()
        while self._waiting:
            self.send()

    def send(self) -> None:
        """Send the oldest that waits."""
        entries = [entry for name in NOISE if (entry := self._entry(name))["propertyValues"]]
        if not entries:
            return
        self.counts["puts"] += 1
        try:
            answer = self.client.batch_put_asset_property_value(entries=entries)
        except ClientError as error:
            if error.response["Error"]["Code"] not in PASSING:
                raise
            self.counts["puts not answered"] += 1
            return
        except BotoCoreError:
            self.counts["puts not answered"] += 1
            return
        refused = {found["entryId"] for found in answer["errorEntries"]}
        codes = {error["errorCode"] for found in answer["errorEntries"] for error in found["errors"]}
        if codes - PASSING:
            raise RuntimeError(f"the endpoint refused for good: {answer['errorEntries']}")
        self.counts["entries refused"] += len(refused)
        for entry in entries:
            if entry["entryId"] not in refused:
                self._confirm(entry)

    def _entry(self, name: str) -> dict[str, Any]:
        waiting = sorted(key for key in self._waiting if key[0] == name)[:VALUES]
        values = [
            {
                "value": {"doubleValue": self._waiting[key]},
                "timestamp": {"timeInSeconds": key[1] // 10**9, "offsetInNanos": key[1] % 10**9},
                "quality": "GOOD",
            }
            for key in waiting
        ]
        address = {"assetId": self.asset_id, "propertyId": self.properties[name]}
        return {"entryId": name, **address, "propertyValues": values}

    def _confirm(self, entry: Mapping[str, Any]) -> None:
        for value in entry["propertyValues"]:
            at = value["timestamp"]
            key = (entry["entryId"], at["timeInSeconds"] * 10**9 + at["offsetInNanos"])
            self.accepted[key] = self._waiting.pop(key)

    def _correct(self, number: int, chance: Random) -> None:
        """Another value of what was sent before; a wrong one is gone for good."""
        name = chance.choice([name for name, std in NOISE.items() if std])
        key = (name, time_of(number).value)
        if key in self.accepted:
            self.counts["corrected"] += 1
            self._waiting[key] = self.accepted[key] + NOISE[name] * chance.uniform(-0.5, 0.5)
