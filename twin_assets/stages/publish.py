"""published: results as samples for the historian, under properties of their own; and how they come there and go.

A window has published its results, or it was refused and has published nothing; or those of some units were refused,
and the others' are published. The store notes which (``published``, ``refused``), the historian holds the samples.
Killed at any moment, a window counts as settled only when it is: first it is noted what is there and what is to come,
as unsettled, then the historian is changed, then it is noted what is. Only what was noted is ever withdrawn: under a
result's name there may be what somebody measured.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from twin_assets.errors import TwinError
from twin_assets.historian.base import SAMPLE_COLUMNS, Historian, WriteReport
from twin_assets.historian.rows import empty_samples
from twin_assets.spec import TwinSpec
from twin_assets.stages import PUBLISHED, REFUSED
from twin_assets.stages.holding import as_published
from twin_assets.stages.lineage import is_current, made_from
from twin_assets.stages.refusals import judged_again, verdict_table, waiting_units
from twin_assets.stages.telemetry import channel_properties, resolve_units
from twin_assets.stages.validity import invalid
from twin_assets.stages.verdicts import Verdict
from twin_assets.store import Store
from twin_assets.windows import Window

REJECTIONS_TOLD = 3
RESULTS = "results"
"""Metadata: unit -> digest of the samples that it published, as JSON."""
RESULT_LENGTH = 16


def published_properties(spec: TwinSpec) -> dict[str, str]:
    """Column of a result table -> property in the historian.

    Raises:
        TwinError: if one of them is measured, or two results would share one.
    """
    properties = {result.column: result.name for result in spec.results}
    _refuse_measured(spec, properties)
    return properties


def published_samples(spec: TwinSpec, coefficients: pd.DataFrame, virtual_sensors: pd.DataFrame) -> pd.DataFrame:
    """Both result tables as samples (SAMPLE_COLUMNS), ordered by unit, property, time.

    Their quality is GOOD, but UNCERTAIN of predictions that do not rest on what was calibrated (``validity``).

    Of coefficients what is held is published, where anything is (``holding``).

    Raises:
        TwinError: if a published property is a measured one: no prediction may come back as a measurement.
    """
    properties = published_properties(spec)
    parts = [_long(frame, properties) for frame in (as_published(spec, coefficients), virtual_sensors)]
    samples = pd.concat(parts, ignore_index=True)
    ordered = samples.sort_values(["unit", "property", "time"], ignore_index=True)
    return ordered[list(SAMPLE_COLUMNS)]


def publish_window(
    historian: Historian,
    store: Store,
    spec: TwinSpec,
    window: Window,
    samples: pd.DataFrame,
    verdicts: Sequence[Verdict] = (),
) -> WriteReport:
    """Put a window's samples in the place of all that it had published, but for those of units that are refused.

    So what late data has moved to other times, or taken away, does not stay; nor does anything of a unit that is
    refused, unless time alone refuses it and it was published when it was fresh. Properties that the twin publishes no
    more are left alone, as are units that it no longer has: by now they may be somebody else's.

    Args:
        historian: where they go.
        store: where it is noted.
        spec: names units and properties.
        window: whose results they are.
        samples: as ``published_samples`` gives them.
        verdicts: those that refuse units are kept beside what is published.

    Raises:
        TwinError: if the historian does not take some of them.
    """
    results, before = _results(samples), _results_of(store.metadata(spec.name, PUBLISHED, window.key))
    waiting = waiting_units(verdicts)
    stay = {unit for unit in waiting if unit in results and before.get(unit) == results[unit]}
    refused = {unit for verdict in verdicts if verdict.refuses for unit in verdict.units} - stay
    taken = samples[~samples["unit"].isin(refused)]
    store.remove(spec.name, REFUSED, window.key)
    noted = _unsettled(store, spec, window, taken)
    reports = _replace(historian, spec, window, taken, noted)
    rejected = pd.concat([report.rejected for report in reports])
    if len(rejected):
        raise TwinError(_rejected(window, rejected))
    if refused or stay:
        again = judged_again({unit: time for unit, time in waiting.items() if unit not in stay})
        store.write(spec.name, REFUSED, window.key, verdict_table(verdicts), again)
    metadata = {
        **made_from(store, spec, PUBLISHED, window),
        RESULTS: json.dumps({unit: results[unit] for unit in sorted(results) if unit not in refused}),
    }
    store.write(spec.name, PUBLISHED, window.key, written(taken), metadata)
    return WriteReport(sum(report.written for report in reports), rejected, sum(report.withdrawn for report in reports))


def refuse_window(
    historian: Historian, store: Store, spec: TwinSpec, window: Window, verdicts: Sequence[Verdict]
) -> int:
    """Withdraw what a window had published, and keep the verdicts: a refusal is no crash, to be tried again for ever.

    What was published while it was fresh stays when the same results are refused for being stale: time speaks against
    going on, not against what was found.

    Returns:
        how many samples were withdrawn.
    """
    withdrawn, waiting = 0, waiting_units(verdicts)
    if waiting and is_current(store, spec, PUBLISHED, window):
        # Time brings nothing more of those that were published, but of those that were held back beside them.
        there = {"", *_results_of(store.metadata(spec.name, PUBLISHED, window.key))}
        waiting = {unit: time for unit, time in waiting.items() if unit not in there}
    else:
        noted = _unsettled(store, spec, window, empty_samples())
        reports = _replace(historian, spec, window, empty_samples(), noted)
        withdrawn = sum(report.withdrawn for report in reports)
        store.remove(spec.name, PUBLISHED, window.key)
    metadata = {**made_from(store, spec, REFUSED, window), **judged_again(waiting)}
    store.write(spec.name, REFUSED, window.key, verdict_table(verdicts), metadata)
    return withdrawn


def written(samples: pd.DataFrame) -> pd.DataFrame:
    """What was written, a row for each unit and property."""
    times = samples.groupby(["unit", "property"], sort=True)["time"]
    return times.agg(samples="size", first_time="min", last_time="max").reset_index()


def _results(samples: pd.DataFrame) -> dict[str, str]:
    """A digest of each unit's samples."""
    hashed = pd.util.hash_pandas_object(samples, index=False)
    return {
        str(unit): hashlib.sha256(rows.to_numpy().tobytes()).hexdigest()[:RESULT_LENGTH]
        for unit, rows in hashed.groupby(samples["unit"])
    }


def _results_of(metadata: Mapping[str, str] | None) -> dict[str, str]:
    """The digests of what a window published, by unit; none from before they were kept."""
    found: dict[str, str] = json.loads((metadata or {}).get(RESULTS, "{}"))
    return found


def _unsettled(store: Store, spec: TwinSpec, window: Window, samples: pd.DataFrame) -> pd.DataFrame:
    """Note what a window had published together with what it is about to, as of no known source; what it had."""
    noted = store.read(spec.name, PUBLISHED, window.key)
    if noted is None:
        noted = written(empty_samples())
    both = pd.concat([part for part in (noted, written(samples)) if len(part)] or [noted])
    if len(both):
        names = both.drop_duplicates(["unit", "property"]).sort_values(["unit", "property"], ignore_index=True)
        found = store.metadata(spec.name, PUBLISHED, window.key) or {}
        store.write(
            spec.name, PUBLISHED, window.key, names, {name: found[name] for name in (RESULTS,) if name in found}
        )
    return noted


def _replace(
    historian: Historian, spec: TwinSpec, window: Window, samples: pd.DataFrame, noted: pd.DataFrame
) -> list[WriteReport]:
    """Put samples in the place of what was noted as published, as far as the twin still publishes it."""
    units = tuple(sorted({*resolve_units(spec, historian), *samples["unit"]} & {*noted["unit"]}))
    properties = tuple(sorted({*published_properties(spec).values()} & {*noted["property"]}))
    known = samples["unit"].isin(units) & samples["property"].isin(properties)
    # What was never published here before takes nobody's place.
    reports = [historian.write(samples[~known])] if not known.all() else []
    if units and properties:
        reports.append(historian.replace(units, properties, window.start, window.end, samples[known]))
    return reports or [WriteReport(0, samples.iloc[:0])]


def _rejected(window: Window, rejected: pd.DataFrame) -> str:
    some = rejected.head(REJECTIONS_TOLD)
    told = "; ".join(f"{row['unit']} {row['property']} at {row['time']}: {row['reason']}" for _, row in some.iterrows())
    return f"window {window.key}: the historian did not take {len(rejected)} samples, for example {told}."


def _long(frame: pd.DataFrame, properties: dict[str, str]) -> pd.DataFrame:
    columns = [column for column in frame.columns if column in properties]
    quality = pd.Series(np.where(invalid(frame), "UNCERTAIN", "GOOD"), frame.index, dtype="str")
    named = frame[["unit", "time", *columns]].rename(columns=properties).assign(quality=quality)
    return named.melt(["unit", "time", "quality"], var_name="property", value_name="value").astype(
        {"property": "str", "value": "float64"}
    )


def _refuse_measured(spec: TwinSpec, properties: dict[str, str]) -> None:
    """The spec refuses such names already; a second lock, for what goes through here cannot be taken back."""
    measured = set(channel_properties(spec))
    for column, name in _claimed_twice(properties, measured):
        raise TwinError(
            f"twin '{spec.name}': the result '{column}' would be published as property '{name}', which is measured or"
            " another result's. Results have properties of their own: give it another name or 'property' in twin.yaml."
        )


def _claimed_twice(properties: dict[str, str], measured: set[str]) -> Iterator[tuple[str, str]]:
    taken = set(measured)
    for column, name in properties.items():
        if name in taken:
            yield column, name
        taken.add(name)
