"""Which historian an installation has: the one that ``$TWIN_HISTORIAN`` names, or the embedded one in its home.

All that open a historian open it here.
"""

from twin_assets.historian.rows import Clock, utc_now
from twin_assets.historian.sql import SqlHistorian
from twin_assets.home import Home


def open_historian(home: Home, *, clock: Clock = utc_now) -> SqlHistorian:
    """The historian of a home.

    Args:
        home: what the environment said of it.
        clock: decides which times lie in the future.

    Raises:
        HistorianError: if it cannot be opened; the text holds no password.
    """
    if home.historian_url is None:
        return SqlHistorian.sqlite(home.historian_path, clock=clock)
    return SqlHistorian(home.historian_url, clock=clock)


def may_hold_anything(home: Home) -> bool:
    """Whether there is a historian to look into; an embedded one is made by the first write, not by a look."""
    return home.historian_url is not None or home.historian_path.exists()
