"""Which samples IoT SiteWise cannot hold, beside those that no historian takes.

Belongs here: what can be told before anything is sent. What SiteWise itself refuses comes back with its own words.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twin_assets.aws.tqv import NS, NUMBERS, Series

LARGEST = 1e100
LARGEST_INTEGER = 2**31 - 1
AGE = pd.Timedelta(days=7)  # older values are not taken directly

Texts = NDArray[np.object_]
Known = Mapping[tuple[str, str], tuple[Series, bool]]  # (unit, property) -> series, whether it can be written


def refusals(
    samples: pd.DataFrame, known: Known, units: Mapping[str, str], now: pd.Timestamp, *, imports: bool
) -> Texts:
    """Why rows cannot be taken, (n,): the first reason that applies; empty text where they can.

    Args:
        samples: SAMPLE_COLUMNS, as ``rows.sift`` has taken them.
        known: series of the units and properties.
        units: known units.
        now: what the clock says.
        imports: whether values older than 7 days can be imported.
    """
    codes, pairs = pd.factorize(pd.MultiIndex.from_frame(samples[["unit", "property"]]))
    why = np.array([_of_series(str(unit), str(name), known, units) for unit, name in pairs], dtype=object)
    types = np.array([known[pair][0].data_type if pair in known else "" for pair in pairs], dtype=object)
    values, kinds = samples["value"].to_numpy(), types[codes] if len(pairs) else np.empty(0, dtype=object)
    findings: dict[str, NDArray[np.bool_]] = {
        "IoT SiteWise holds no times before 1970-01-01T00:00:01Z": (samples["time"].astype("int64") < NS).to_numpy(),
        "IoT SiteWise holds numbers from -1e100 to 1e100": np.abs(values) > LARGEST,
        "the property is an INTEGER: expected a whole number of at most 2147483647": (kinds == "INTEGER")
        & ((values != np.floor(values)) | (np.abs(values) > LARGEST_INTEGER)),
        "the property is a BOOLEAN: expected 0 or 1": (kinds == "BOOLEAN") & ~np.isin(values, (0.0, 1.0)),
        "older than 7 days: IoT SiteWise takes it by bulk import alone. Name a bucket and a role in the historian's"
        " URL: bucket=my-bucket/prefix&role=arn:aws:iam::…": np.full(len(samples), not imports)
        & (samples["time"] < now - AGE).to_numpy(),
    }
    reasons = why[codes] if len(pairs) else np.empty(0, dtype=object)
    for text, found in findings.items():
        reasons = np.where((reasons == "") & found, text, reasons)
    return reasons


def _of_series(unit: str, name: str, known: Known, units: Mapping[str, str]) -> str:
    if unit not in units:
        return f"there is no asset '{unit}' of the model: twin provision NAME --to sitewise makes it"
    if (unit, name) not in known:
        return f"asset '{unit}' has no property '{name}': twin provision NAME makes those that twin.yaml names"
    series, writable = known[unit, name]
    if series.data_type not in NUMBERS:
        return f"property '{name}' holds {series.data_type}, no numbers: give the twin another property"
    if not writable:
        return f"property '{name}' is computed by IoT SiteWise: give the twin a measurement"
    return ""
