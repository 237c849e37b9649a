"""What has to be true after the soak test, whatever happened: nothing lost, nothing twice, nothing that should not be.

Each proof yields what is wrong, for people; nothing if all is well. The historian is asked as any client asks it, and
what points mean is said here a second time.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from soak_gateway import Key
from soak_line import MEASURED, NAME, UNIT, time_of
from twin_assets.spec import TwinSpec
from twin_assets.stages import CALIBRATED_COEFFICIENTS, OBSERVATIONS, TELEMETRY, UKF_STATE, VIRTUAL_SENSORS
from twin_assets.stages.publish import published_properties, published_samples
from twin_assets.store import Store

Point = tuple[str, int, str]  # property, ns, quality
ONCE_AT = ["unit", "time"]
DAY = pd.Timedelta(days=1)
TOLD = 3


@dataclass(frozen=True)
class Tables:
    """All tables of the line in one store.

    Attributes:
        root: of the store.
    """

    root: Path

    def every(self, stage: str) -> pd.DataFrame:
        """A stage's rows of all windows, in order of time."""
        store = Store(self.root)
        return store.read_many(NAME, stage, store.keys(NAME, stage))

    def contents(self) -> dict[str, str]:
        """Digest of every table's rows, but of where the look for news had come to."""
        store = Store(self.root)
        stages = sorted(path.name for path in (self.root / NAME).iterdir() if path.name != "arrivals")
        found = {}
        for stage in stages:
            for key in store.keys(NAME, stage):
                found[f"{stage}/{key}"] = (store.metadata(NAME, stage, key) or {})["content"]
        return found

    def bytes(self) -> dict[str, str]:
        """Digest of every file, but of those that hold a historian's positions."""
        paths = sorted((self.root / NAME).rglob("*.parquet"))
        return {
            str(path.relative_to(self.root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in paths
            if path.parent.name not in {"arrivals", TELEMETRY}
        }


def assimilated_once(tables: Tables, accepted: Mapping[Key, float]) -> Iterator[str]:
    """Every accepted sample is in telemetry once and in one observation; every observation in ``ukf_state`` once."""
    telemetry = tables.every(TELEMETRY)
    held = Counter(zip(telemetry["property"], _ns(telemetry["time"]), telemetry["value"], strict=True))
    sent = Counter((name, time_ns, value) for (name, time_ns), value in accepted.items())
    yield from _differences("telemetry", held, sent)
    if set(telemetry["unit"]) != {UNIT} or set(telemetry["quality"]) != {"GOOD"}:
        yield "telemetry: another unit or quality than was sent"
    times = {time_ns for name, time_ns in accepted if name in MEASURED}
    for stage in (OBSERVATIONS, UKF_STATE, CALIBRATED_COEFFICIENTS):
        rows = tables.every(stage)
        yield from _differences(stage, Counter(_ns(rows["time"])), Counter(times))
    observations = tables.every(OBSERVATIONS)
    columns = {"Roller3_w": "Roller3_w", "Roller9_w": "Roller9_w", "load_cell": "S4_Tension_N"}
    for name, column in columns.items():
        values = zip(_ns(observations["time"]), observations[column], strict=True)
        seen = Counter((time_ns, value) for time_ns, value in values if pd.notna(value))
        wanted = Counter((time_ns, value) for (each, time_ns), value in accepted.items() if each == name)
        yield from _differences(f"{OBSERVATIONS} {column}", seen, wanted)


def same_as_undisturbed(tables: Tables, undisturbed: Tables) -> Iterator[str]:
    """Every table's rows and, where it holds no position of the historian's, every byte of its file are the same."""
    for what, ours, theirs in (
        ("rows", tables.contents(), undisturbed.contents()),
        ("bytes", tables.bytes(), undisturbed.bytes()),
    ):
        for name in sorted(ours.keys() | theirs.keys()):
            if ours.get(name) != theirs.get(name):
                there = "other" if name in ours and name in theirs else "only here" if name in ours else "missing"
                yield f"{name}: {there} {what} than in a run that nobody disturbed"


def published_once(spec: TwinSpec, tables: Tables, raw: Mapping[Point, float | None]) -> Iterator[str]:
    """Every result of the tables is in the historian once, of one quality, with its value; and nothing else is."""
    coefficients, sensors = tables.every(CALIBRATED_COEFFICIENTS), tables.every(VIRTUAL_SENSORS)
    samples = published_samples(spec, coefficients, sensors)
    columns = zip(samples["property"], _ns(samples["time"]), samples["quality"], samples["value"], strict=True)
    live = Counter((*point, value) for point, value in _samples(raw).items())
    yield from _differences("historian", live, Counter(columns))
    times = Counter((name, time_ns) for name, time_ns, *_ in live.elements())
    if twice := [point for point, count in times.items() if count > 1]:
        yield f"historian: {len(twice)} results of two qualities, for example {twice[:TOLD]}"
    rows = len(coefficients) * len(spec.coefficients) * 3
    rows += len(sensors) * (len(spec.measurements) + len(spec.virtual_sensors)) * 3
    if len(live) != rows:
        yield f"historian: {len(live)} results, expected {rows}: three of each row's names"


def _samples(raw: Mapping[Point, float | None]) -> dict[Point, float]:
    """Points that are samples: numbers, and no GOOD ones whose time has a mark that says that they are withdrawn."""
    found = {point: value for point, value in raw.items() if value is not None and value == value}  # noqa: PLR0124 - NaN
    marks = {
        (name, time_ns)
        for (name, time_ns, quality), value in raw.items()
        if value is None and (quality == "BAD" or (quality == "UNCERTAIN" and (name, time_ns, "BAD") in found))
    }
    return {point: value for point, value in found.items() if point[2] != "GOOD" or point[:2] not in marks}


def raw_points(
    client: Any,  # noqa: ANN401 - boto3's
    spec: TwinSpec,
    asset_id: str,
    properties: Mapping[str, str],
) -> dict[Point, float | None]:
    """Every point of the published properties, of any quality; None for null."""
    found: dict[Point, float | None] = {}
    for name in published_properties(spec).values():
        pages = client.get_paginator("get_asset_property_value_history").paginate(
            assetId=asset_id, propertyId=properties[name], startDate=time_of(0) - DAY
        )
        for value in (value for page in pages for value in page["assetPropertyValueHistory"]):
            at, number = value["timestamp"], value["value"]
            key = (name, at["timeInSeconds"] * 10**9 + at.get("offsetInNanos", 0), value["quality"])
            if key in found:
                raise RuntimeError(f"the endpoint holds {key} twice")
            found[key] = number.get("doubleValue")
    return found


def _differences(where: str, found: Counter[Any], expected: Counter[Any]) -> Iterator[str]:
    for what, some in (("missing", expected - found), ("too many", found - expected)):
        if some:
            yield f"{where}: {some.total()} {what}, for example {list(some)[:TOLD]}"


def _ns(times: "pd.Series[pd.Timestamp]") -> list[int]:
    return [int(each) for each in times.astype("int64")]
