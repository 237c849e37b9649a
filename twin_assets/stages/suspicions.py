"""What is thought of the sensors, as text: exact, so that a filter goes on from it to the last bit.

Belongs here: ``Suspicion`` as JSON, and where the ukf_state table holds it. What people are told is in ``diagnosis``.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pandas as pd

from twin_assets.estimation.diagnosis import Suspicion
from twin_assets.estimation.hypotheses import Finding
from twin_assets.estimation.runs import Runs
from twin_assets.estimation.suspects import Suspect
from twin_assets.estimation.window import Window, layout
from twin_assets.stages.exact import exact, floats, integers

SUSPICION = "suspicion"


def described(suspicion: Suspicion) -> dict[str, object]:
    """As JSON takes it."""
    window, runs = suspicion.window, suspicion.runs
    return {
        "channels": list(suspicion.channels),
        "coefficients": window.reach.shape[1],
        "window": {
            "since_ns": exact(window.since_ns, "<i8"),
            **{name: exact(getattr(window, name)) for name in ("sums", "reach", "lasting")},
        },
        "runs": {
            **{name: exact(getattr(runs, name)) for name in ("last", "repeats", "squares", "finest")},
            **{name: exact(getattr(runs, name), "<i8") for name in ("length", "since_ns", "idle")},
        },
        "suspects": [asdict(suspect) for suspect in suspicion.suspects],
        "let_in": list(suspicion.let_in),
        "finding": None if suspicion.finding is None else asdict(suspicion.finding),
    }


def restored(found: Mapping[str, Any]) -> Suspicion:
    """From ``described``."""
    m, n = len(found["channels"]), int(found["coefficients"])
    window, runs = found["window"], found["runs"]
    suspects = (_suspect(each) for each in found["suspects"])
    return Suspicion(
        tuple(found["channels"]),
        Window(
            integers(window["since_ns"]),
            floats(window["sums"]).reshape(-1, layout(m, n).size),
            floats(window["reach"]).reshape(-1, n, m),
            floats(window["lasting"]).reshape(-1, 2, m),
        ),
        Runs(
            last=floats(runs["last"]),
            length=integers(runs["length"]),
            since_ns=integers(runs["since_ns"]),
            repeats=floats(runs["repeats"]),
            squares=floats(runs["squares"]),
            finest=floats(runs["finest"]),
            idle=integers(runs["idle"]),
        ),
        tuple(suspects),
        tuple(found["let_in"]),
        None if found["finding"] is None else _finding(found["finding"]),
    )


def suspicion_of_row(row: "pd.Series[Any]") -> Suspicion | None:
    """What a row of the ukf_state table holds; None where it holds none."""
    text = row.get(SUSPICION, "")
    return restored(json.loads(text)) if text else None


def _suspect(found: Mapping[str, Any]) -> Suspect:
    return Suspect(**{**found, "finding": _finding(found["finding"]), "early": tuple(found["early"])})


def _finding(found: Mapping[str, Any]) -> Finding:
    return Finding(**{**found, "rivals": tuple(found["rivals"])})
