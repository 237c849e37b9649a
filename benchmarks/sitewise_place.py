"""IoT SiteWise as a place for the conformance suite: emulator, an S3 of moto's, and what is written to is there.

The suite writes to units and properties of any name, as an SQL historian lets it; of SiteWise somebody has to make them
first. Here a historian does so before it writes, with the product's own provisioning.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pandas as pd
from filelock import FileLock

from twin_assets.aws.backoff import Backoff
from twin_assets.aws.bulk_import import BulkImport
from twin_assets.aws.rate import Limits
from twin_assets.aws.sitewise import SiteWise
from twin_assets.aws.sitewise_client import Clients, Place
from twin_assets.historian import WriteReport
from twin_assets.historian.ledger import Ledger
from twin_assets.historian.rows import sift, storable_names
from twin_assets.historian.sitewise import SiteWiseHistorian
from twin_assets.provisioning.sitewise import provision

ROLE = "arn:aws:iam::123456789012:role/twin-import"
NOW = pd.Timestamp("2026-01-06T00:00:00Z")


def now() -> pd.Timestamp:
    """The suite's clock."""
    return NOW


class ProvidedFor(SiteWiseHistorian):
    """Makes assets and properties before it writes to them, one process at a time."""

    lock: FileLock
    model: str

    def write(self, samples: pd.DataFrame) -> WriteReport:
        """Of what can be taken at all."""
        self.provide(samples)
        return super().write(samples)

    def replace(
        self,
        units: tuple[str, ...],
        properties: tuple[str, ...],
        start: pd.Timestamp,
        end: pd.Timestamp,
        samples: pd.DataFrame,
    ) -> WriteReport:
        """Of what can be taken at all."""
        self.provide(samples)
        return super().replace(units, properties, start, end, samples)

    def provide(self, samples: pd.DataFrame) -> None:
        """Make what these samples need."""
        if not {"unit", "property", "time"} <= {*samples.columns} or not hasattr(samples["time"].dtype, "tz"):
            return
        taken = sift(samples.assign(value=0.0, quality="GOOD"), NOW).taken
        self.make(storable_names(set(taken["unit"])), storable_names(set(taken["property"])))

    def make(self, units: Iterable[str], properties: Iterable[str]) -> None:
        """Make assets and properties that are not there."""
        units, properties = set(units), set(properties)
        if units <= self._names.unit_ids().keys() and properties <= self._names.properties().keys():
            return
        definitions = [{"name": name, "dataType": "DOUBLE", "type": {"measurement": {}}} for name in sorted(properties)]
        with self.lock:
            provision(self._sitewise, self.model, definitions, sorted(units))
        self._names.forget()


@dataclass(frozen=True)
class SiteWisePlace:
    """Opens historians of one place; can be sent to other processes.

    Attributes:
        endpoint: the emulator's URL.
        model: name of the asset model, the place's own.
        folder: for the ledger.
        bucket: in S3, whose endpoint the environment names.
    """

    endpoint: str
    model: str
    folder: Path
    bucket: str

    def __call__(self) -> ProvidedFor:
        """Another historian of the same place."""
        sitewise = SiteWise(clients_of(self.endpoint), f"sitewise://eu-central-1?model={self.model}", fast_limits())
        polling = Backoff(attempts=1000, base_s=0.005, cap_s=0.02, uniform=lambda: 1.0)
        imports = BulkImport(sitewise, self.bucket, "imports", ROLE, polling)
        url = f"sqlite:///{self.folder / 'ledger.sqlite'}"
        historian = ProvidedFor(sitewise, self.model, lambda: Ledger(url, now), imports=imports, clock=now)
        historian.lock = FileLock(self.folder / "provision.lock")
        historian.model = self.model
        with historian.lock:
            made = self.folder / "made"
            if not made.exists():
                provision(sitewise, self.model, [], ())
                made.touch()
        return historian


@lru_cache
def clients_of(endpoint: str) -> Clients:
    """boto3's clients, which take a while to make."""
    return Clients(Place("eu-central-1", endpoint), endpoint)


def fast_limits() -> Limits:
    """Quotas that nobody reaches."""
    return Limits.of(requests=1e9, values=1e9, property_values=1e9)
