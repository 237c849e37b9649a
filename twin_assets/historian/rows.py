"""Which samples a historian takes: the rules that all implementations share.

Belongs here: judging a frame of samples, row by row. Storing them is each historian's own.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twin_assets.historian.base import QUALITIES, SAMPLE_COLUMNS

Clock = Callable[[], pd.Timestamp]
FUTURE_ALLOWANCE = pd.Timedelta(minutes=10)  # clocks differ; IoT SiteWise takes as much
UTC_NS = "datetime64[ns, UTC]"

# As IoT SiteWise has it, and such that both names of a series fit into one entry of PostgreSQL's index (2704 bytes).
NAME_CHARACTERS = 256
# Control characters, of which PostgreSQL cannot hold NUL and SiteWise none; halves of characters, which no store holds.
UNSTORABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def utc_now() -> pd.Timestamp:
    """The wall clock, UTC."""
    return pd.Timestamp.now("UTC")


def to_ns(time: pd.Timestamp) -> int:
    """Nanoseconds since 1970-01-01 UTC, exactly.

    Raises:
        TypeError: if the time has no time zone.
    """
    if time.tzinfo is None:
        raise TypeError(f"{time} has no time zone; a historian's times are UTC")
    return int(time.as_unit("ns").value)


def empty_samples() -> pd.DataFrame:
    """No samples, in the dtypes that samples have."""
    dtypes = {"unit": "str", "property": "str", "time": UTC_NS, "value": "float64", "quality": "str"}
    return pd.DataFrame({column: pd.Series(dtype=dtypes[column]) for column in SAMPLE_COLUMNS})


@dataclass(frozen=True)
class Sifted:
    """Samples parted into those to store and those refused.

    Attributes:
        taken: SAMPLE_COLUMNS, in the dtypes that samples have.
        rejected: SAMPLE_COLUMNS as handed in, and ``reason``.
    """

    taken: pd.DataFrame
    rejected: pd.DataFrame


def sift(samples: pd.DataFrame, now: pd.Timestamp) -> Sifted:
    """Part samples into those that a historian takes and those that it refuses, with the first reason that applies.

    Args:
        samples: SAMPLE_COLUMNS in any order; ``time`` of any resolution with a time zone.
        now: what the clock says; later than that by more than FUTURE_ALLOWANCE is refused.

    Raises:
        TypeError: if a column is missing, or ``time`` holds no times with a time zone.
    """
    samples = _checked_columns(samples)
    values = pd.to_numeric(samples["value"], errors="coerce").astype("float64")
    times, storable = _nanosecond_times(samples["time"])
    too_late = (times > now + FUTURE_ALLOWANCE).to_numpy()
    findings = {
        **_name_findings("unit", samples["unit"]),
        **_name_findings("property", samples["property"]),
        "the time is missing": samples["time"].isna().to_numpy(),
        "the time is outside 1677-09-21 to 2262-04-11, the range of 64-bit nanoseconds": ~storable,
        f"the time is more than 10 minutes ahead of the clock, {now:%Y-%m-%dT%H:%MZ}": too_late,
        "the value is no finite number": ~np.isfinite(values.to_numpy()),
        f"the quality is none of {', '.join(QUALITIES)}": ~samples["quality"].isin(QUALITIES).to_numpy(),
    }
    first = np.select(list(findings.values()), list(range(len(findings))), default=-1)
    refused = first >= 0
    reasons = np.array(list(findings), dtype=object)[first[refused]]
    taken = samples.assign(time=times, value=values)[~refused]
    return Sifted(taken, samples[refused].assign(reason=reasons).astype({"reason": "str"}))


def refuse_outside(
    samples: pd.DataFrame, units: tuple[str, ...], properties: tuple[str, ...], start: pd.Timestamp, end: pd.Timestamp
) -> None:
    """Samples that replace something lie where it was: else a second call would not withdraw what the first wrote.

    Raises:
        ValueError: naming the first sample that lies outside of ``start <= time < end``, or is another unit's or
            property's.
    """
    inside = samples["unit"].isin(units) & samples["property"].isin(properties)
    inside &= (samples["time"] >= start) & (samples["time"] < end)
    if not inside.all():
        first = samples[~inside].iloc[0]
        raise ValueError(
            f"{first['unit']} {first['property']} at {first['time']} lies outside of what is replaced: units"
            f" {', '.join(units)}; properties {', '.join(properties)}; {start} to {end}"
        )


def _checked_columns(samples: pd.DataFrame) -> pd.DataFrame:
    missing = [column for column in SAMPLE_COLUMNS if column not in samples.columns]
    if missing:
        raise TypeError(
            f"samples lack the column(s) {', '.join(missing)}; found {', '.join(map(str, samples.columns))}"
        )
    if not isinstance(samples["time"].dtype, pd.DatetimeTZDtype):
        raise TypeError(f"'time' must hold times with a time zone, found {samples['time'].dtype}")
    return samples[list(SAMPLE_COLUMNS)]


def storable_names(names: Iterable[str]) -> tuple[str, ...]:
    """Those of some names that a historian may hold; nothing was ever measured under the others."""
    return tuple(name for name in names if not UNSTORABLE.search(name) and len(name) <= NAME_CHARACTERS)


def _name_findings(role: str, names: pd.Series) -> dict[str, NDArray[np.bool_]]:
    """What is wrong with names, to the rows where it is; each distinct name is looked at once."""
    codes, distinct = pd.factorize(names)
    texts = [str(name) for name in distinct]
    wrong = {
        f"the {role} is empty": ([not text.strip() for text in texts], True),
        f"the {role} has more than {NAME_CHARACTERS} characters": (
            [len(text) > NAME_CHARACTERS for text in texts],
            False,
        ),
        f"the {role} holds a control character": ([UNSTORABLE.search(text) is not None for text in texts], False),
    }
    # A missing name has the code -1, which takes the last entry.
    return {reason: np.array([*found, missing], dtype=bool)[codes] for reason, (found, missing) in wrong.items()}


def _nanosecond_times(times: pd.Series) -> tuple[pd.Series, NDArray[np.bool_]]:
    """Times as UTC_NS, and which of them nanoseconds can hold (the others become NaT)."""
    utc = times.dt.tz_convert("UTC")
    storable = ((utc > pd.Timestamp.min.tz_localize("UTC")) & (utc < pd.Timestamp.max.tz_localize("UTC"))).to_numpy()
    return utc.where(storable).astype(UTC_NS), storable
