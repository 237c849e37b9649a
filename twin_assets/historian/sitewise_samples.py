"""Between samples, as everybody has them, and the points of IoT SiteWise's series; and what became of each sample."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from twin_assets.aws.sitewise import Refusal
from twin_assets.aws.tqv import QUALITY_NAMES, Points, Series
from twin_assets.historian.base import SAMPLE_COLUMNS, WriteReport
from twin_assets.historian.rows import UTC_NS, Sifted, empty_samples
from twin_assets.historian.sitewise_check import Known, Texts
from twin_assets.historian.slots import IMPOSSIBLE

Wanted = dict[Series, Points]


@dataclass(frozen=True)
class Writing:
    """What is to be written, and what became of it.

    Attributes:
        series: which series
        points: get which points.
        refused: of each series the positions that were not taken.
    """

    series: list[Series]
    points: list[Points]
    refused: list[dict[int, Refusal]]


def points_by_series(samples: pd.DataFrame, known: Known) -> Wanted:
    """Samples as points of their series, by time and quality; of one that is there twice the last."""
    codes = {name: code for code, name in enumerate(QUALITY_NAMES)}
    found: Wanted = {}
    for pair, some in samples.groupby(["unit", "property"], sort=False, observed=True):
        columns = {
            "time_ns": some["time"].astype("int64"),
            "code": some["quality"].astype("str").map(codes).astype("int8"),
            "value": some["value"],
        }
        frame = pd.DataFrame(columns).drop_duplicates(["time_ns", "code"], keep="last").sort_values(["time_ns", "code"])
        found[known[pair][0]] = Points(  # type: ignore[index] # two names
            frame["time_ns"].to_numpy(np.int64),
            frame["code"].to_numpy(np.int8),
            frame["value"].to_numpy(np.float64),
            np.zeros(len(frame), np.bool_),
        )
    return found


def not_taken(taken: pd.DataFrame, known: Known, writing: Writing, impossible: Mapping[Series, set[int]]) -> Texts:
    """Why rows were not taken in the end, (n,); empty text where they were."""
    reasons = why_impossible(taken, known, impossible)
    lost = {
        (series, int(points.time_ns[at]), QUALITY_NAMES[points.code[at]]): f"{why.code}: {why.message}"
        for series, points, refused in zip(writing.series, writing.points, writing.refused, strict=True)
        for at, why in refused.items()
    }
    if lost:
        keys = zip(_series_of(taken, known), taken["time"].astype("int64"), taken["quality"], strict=True)
        found = np.array([lost.get(key, "") for key in keys], dtype=object)
        reasons = np.where(reasons != "", reasons, found)
    return reasons


def why_impossible(taken: pd.DataFrame, known: Known, times: Mapping[Series, set[int]]) -> Texts:
    """Of which rows SiteWise cannot hold what is asked for, given the times; (n,), empty text where it can."""
    reasons = np.full(len(taken), "", dtype=object)
    if any(times.values()):
        keys = zip(_series_of(taken, known), taken["time"].astype("int64"), strict=True)
        reasons[[time_ns in times.get(series, ()) for series, time_ns in keys]] = IMPOSSIBLE
    return reasons


def _series_of(samples: pd.DataFrame, known: Known) -> list[Series]:
    return [known[pair][0] for pair in zip(samples["unit"], samples["property"], strict=True)]


def reported(sifted: Sifted, reasons: Texts) -> WriteReport:
    """What became of a write, given why the rows that ``sift`` had taken were refused in the end."""
    refused = reasons != ""
    found = sifted.taken[refused].assign(reason=reasons[refused]).astype({"reason": "str"})
    parts = [part for part in (sifted.rejected, found) if len(part)]
    return WriteReport(int((~refused).sum()), pd.concat(parts) if parts else sifted.rejected)


def frame_of(points: Mapping[tuple[str, str], Points]) -> pd.DataFrame:
    """Points of series, in their order, as samples."""
    filled = {pair: each for pair, each in points.items() if len(each)}
    if not filled:
        return empty_samples()
    counts = [len(each) for each in filled.values()]
    units, names = zip(*filled, strict=True)
    every = Points.joined(filled.values())
    frame = pd.DataFrame(
        {
            "unit": np.repeat(np.array(units, dtype=object), counts),
            "property": np.repeat(np.array(names, dtype=object), counts),
            "time": pd.to_datetime(every.time_ns, unit="ns", utc=True).astype(UTC_NS),
            "value": every.value,
            "quality": np.array(QUALITY_NAMES, dtype=object)[every.code],
        }
    )
    return frame.astype({"unit": "str", "property": "str", "quality": "str"})[list(SAMPLE_COLUMNS)]
