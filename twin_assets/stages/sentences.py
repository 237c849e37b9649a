"""Sensor or plant, said to people: what explains the innovations best, after one observation.

Belongs here: the sentences of the column ``diagnosis`` of ukf_state. What is thought is ``estimation.diagnosis``'s.
"""

import numpy as np
import pandas as pd

from twin_assets.estimation.diagnosis import Suspicion
from twin_assets.estimation.hypotheses import Finding
from twin_assets.estimation.suspects import Suspect
from twin_assets.spec import TwinSpec


def diagnosed(spec: TwinSpec, suspicion: Suspicion | None) -> str:
    """What is thought after an observation; "" where all is well."""
    if suspicion is None:
        return ""
    found = [_suspect(spec, suspect) for suspect in suspicion.suspects]
    if suspicion.finding is not None:
        found.append(_finding(spec, suspicion.finding))
    return "; ".join(found)


def _suspect(spec: TwinSpec, suspect: Suspect) -> str:
    finding = suspect.finding
    return f"{_sensor(spec, finding)}, left out: {_ratio(finding)}"


def _sensor(spec: TwinSpec, finding: Finding) -> str:
    part = spec.measurements[finding.channel]
    unit = f" {part.unit}" if part.unit else ""
    off = f"{abs(finding.size):.3g}{unit} too {'high' if finding.size > 0 else 'low'}"
    said = {
        "bias": f"{part.name} reads {off}",
        "stuck": f"{part.name} is stuck, {off} by now",
        "dead": f"{part.name} is dead, {off}",
        "noisy": f"{part.name} is {finding.size:.2g} times as noisy as it should be",
    }[finding.kind]
    return f"{said} since {_time(finding.since_ns)}"


def _finding(spec: TwinSpec, finding: Finding) -> str:
    since = _time(finding.since_ns)
    channels = [spec.measurements[place].name for place in finding.rivals]
    if finding.kind == "model":
        return (
            f"the model: since {since} innovations are {finding.size:.2g} times as wide as they should be, and neither"
            " one channel nor one coefficient explains that"
        )
    if finding.kind == "moved":
        name = spec.coefficients[finding.coefficient].name
        return f"{name} has moved faster than its drift allows since {since}: {_ratio(finding)}"
    if finding.kind != "undecided":
        return f"{_sensor(spec, finding)}, not yet sure: {_ratio(finding)}"
    if finding.coefficient >= 0:
        name = spec.coefficients[finding.coefficient].name
        return f"since {since} {name} has moved, or {' or '.join(channels)} is wrong: it cannot be told which"
    if len(channels) == 1:
        return f"{channels[0]} is wrong since {since}, but it is kept: without it too little would be told"
    return f"one of {', '.join(channels)} is wrong since {since}: it cannot be told which, and none is left out"


def _ratio(finding: Finding) -> str:
    if not np.isfinite(finding.ratio):
        return "nothing else explains it"
    return f"log-likelihood ratio to the next best explanation {finding.ratio:.3g}"


def _time(time_ns: int) -> str:
    return f"{pd.Timestamp(time_ns, unit='ns', tz='UTC'):%Y-%m-%d %H:%M}"
