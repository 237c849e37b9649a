"""What commands share: times as people write them, and ranges of them."""

import click
import pandas as pd

from twin_assets.errors import TwinError


class UtcTime(click.ParamType):  # type: ignore[type-arg] # generic in the newest click alone
    """A time: 2026-01-31, 2026-01-31T14:20, 2026-01-31T14:20+01:00; without an offset it is UTC."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> pd.Timestamp:
        """Read a time, as nanoseconds UTC."""
        time = pd.to_datetime(str(value), errors="coerce")
        if pd.isna(time):
            self.fail(f"'{value}' is no time; expected for example 2026-01-31 or 2026-01-31T14:20 (UTC)", param, ctx)
        time = time.tz_localize("UTC") if time.tzinfo is None else time.tz_convert("UTC")
        try:
            return time.as_unit("ns")
        except pd.errors.OutOfBoundsDatetime:
            self.fail(f"'{value}' cannot be told in nanoseconds; expected a year from 1678 to 2261", param, ctx)


UTC_TIME = UtcTime()


def ordered_range(start: pd.Timestamp | None, end: pd.Timestamp | None) -> None:
    """Refuse a range that holds nothing.

    Raises:
        TwinError: if both ends are given and the range between them is empty.
    """
    if start is not None and end is not None and start >= end:
        raise TwinError(f"--from {start:%Y-%m-%dT%H:%M} is not before --to {end:%Y-%m-%dT%H:%M}; exchange them.")
