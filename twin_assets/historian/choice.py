"""Which historian an installation has: the one that ``$TWIN_HISTORIAN`` names, or the embedded one in its home.

All that open a historian open it here.
"""

from twin_assets.aws.bulk_import import BulkImport
from twin_assets.aws.rate import Limits
from twin_assets.aws.sitewise import SiteWise
from twin_assets.aws.sitewise_client import Clients, Place
from twin_assets.historian.base import Historian, HistorianError
from twin_assets.historian.ledger import Ledger
from twin_assets.historian.rows import Clock, utc_now
from twin_assets.historian.sitewise import SiteWiseHistorian
from twin_assets.historian.sitewise_url import SiteWisePlace, is_sitewise, parsed_place
from twin_assets.historian.sql import SqlHistorian
from twin_assets.home import Home

LEDGER_FILE = "sitewise-arrivals.sqlite"


def open_historian(home: Home, *, clock: Clock = utc_now) -> Historian:
    """The historian of a home.

    Args:
        home: what the environment said of it.
        clock: decides which times lie in the future.

    Raises:
        HistorianError: if it cannot be opened; the text holds no password.
    """
    if home.historian_url is None:
        return SqlHistorian.sqlite(home.historian_path, clock=clock)
    if is_sitewise(home.historian_url):
        return open_sitewise_historian(home, clock=clock)
    return SqlHistorian(home.historian_url, clock=clock)


def open_sitewise_historian(home: Home, *, clock: Clock = utc_now) -> SiteWiseHistorian:
    """The historian of a home whose URL names IoT SiteWise; nothing is asked of it yet.

    Raises:
        HistorianError: if the URL says what is not known.
    """
    place = parsed_place(home.historian_url or "")
    sitewise = sitewise_at(place)
    imports = None
    if place.bucket is not None:
        if place.role is None:
            raise HistorianError(
                f"{sitewise.name}: a bucket is named, but no role with which IoT SiteWise reads it. Add"
                " role=arn:aws:iam::123456789012:role/… to the historian's URL (docs/sitewise.md has its policy)."
            )
        imports = BulkImport(sitewise, place.bucket, place.prefix, place.role)
    ledger = place.ledger or f"sqlite:///{home.root / LEDGER_FILE}"
    return SiteWiseHistorian(sitewise, place.model, lambda: Ledger(ledger, clock), imports=imports, clock=clock)


def sitewise_at(place: SiteWisePlace) -> SiteWise:
    """IoT SiteWise at a place; nothing is asked of it yet."""
    name = f"sitewise://{place.region or ''}" + (f"?model={place.model}" if place.model else "")
    limits = Limits.of(values=place.values_per_s, property_values=place.property_values_per_s)
    return SiteWise(Clients(Place(place.region, place.endpoint), name), name, limits)


def may_hold_anything(home: Home) -> bool:
    """Whether there is a historian to look into; an embedded one is made by the first write, not by a look."""
    return home.historian_url is not None or home.historian_path.exists()
