"""smoothed_coefficients: what is known of the coefficients once a window is over, by looking back from its end.

Each estimate of ``calibrated_coefficients`` knows the observations up to its own time, which is what one can act on. Of
the same row this table says what all observations of the window tell, later ones included; ``based_on_until`` is the
last of them. Later windows are not among them: a window that is over keeps its numbers until its own data change, and
its last row is the filter's own.

A window that is not over has no rows yet: every new observation would change them all.
"""

import pandas as pd

from twin_assets.estimation import coefficient_marginals, smoothed
from twin_assets.spec import TwinSpec
from twin_assets.stages.results import estimates_frame
from twin_assets.stages.settings import coefficients_of
from twin_assets.stages.states import pace_of_row, posterior_of_row
from twin_assets.stages.tables import Table
from twin_assets.windows import Window

WAITS_UNTIL = "waits_until"
"""Metadata: when the window is over and can be smoothed (ISO time, UTC); there only while it is not."""

BASED_ON_UNTIL = "based_on_until"


def smoothed_table(spec: TwinSpec, window: Window, ukf_state: pd.DataFrame, now: pd.Timestamp) -> Table:
    """Smooth one window backwards, machine by machine; it costs no model runs.

    Args:
        spec: the filter's, in which nothing is held.
        window: whose rows these are.
        ukf_state: posteriors, as ``assimilate`` gives them, one unit after the other.
        now: a window that ends later is waited for, if there is anything in it.

    Returns:
        unit, time, ``based_on_until`` (time of the last observation that was looked back from), and for each
        coefficient c: ``c``, ``c_std``, ``c_lower``, ``c_upper`` (95 %), physical units.
    """
    waits = now < window.end and len(ukf_state) > 0
    rows = ukf_state.iloc[:0] if waits else ukf_state
    coefficients = coefficients_of(spec)
    marginals = []
    for unit in rows["unit"].unique():
        own = rows[rows["unit"] == unit]
        times_ns = pd.DatetimeIndex(own["time"]).as_unit("ns").asi8.tolist()
        found = [(posterior_of_row(row), pace_of_row(row)) for _, row in own.iterrows()]
        states = smoothed(times_ns, [one for one, _ in found], coefficients, [pace for _, pace in found])
        marginals += [coefficient_marginals(state, coefficients) for state in states]
    frame = estimates_frame(rows, coefficients.names, marginals)
    frame.insert(2, BASED_ON_UNTIL, frame.groupby("unit")["time"].transform("max"))
    return Table(frame, {WAITS_UNTIL: window.end.isoformat()} if waits else {})
