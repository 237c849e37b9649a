"""A channel that is kept out: its name, what it may have done to the estimate, and whether it behaves again.

Belongs here: one suspect. Who becomes one is decided in ``diagnosis``.
"""

from dataclasses import dataclass, replace

import numpy as np

from twin_assets.estimation.bounds import Coefficients
from twin_assets.estimation.gaussian import Gaussian, triangular
from twin_assets.estimation.hypotheses import Finding, Kind
from twin_assets.estimation.parity import seen
from twin_assets.estimation.runs import Runs, repeating
from twin_assets.estimation.state import Looked
from twin_assets.model import Floats

SENSOR_KINDS: tuple[Kind, ...] = ("bias", "stuck", "noisy", "dead")
SUSPECT = {kind: f"suspect: {kind}" for kind in SENSOR_KINDS}
"""Reasons of channels that are kept out."""

# A suspect is judged after so many observations of good behaviour, after twice and four times as many if it was let in
# before; a good channel passes with this chance, and by this many standard deviations of the mean.
_STAY, _LONGER = 24, 2
_BEHAVES, _MEAN = 0.01, 2.0
_LONGEST = 2
# One innovation of a suspect that is as far off as this, in standard deviations, begins its trial anew; so does a stuck
# or dead one that repeats itself more often than this.
_FAR, _REPEATS = 4.0, 2
# After so many observations it is known whether a suspect is off or noisy.
_EARLY = 12
# What a channel may have done to a coefficient is no more than so many of its prior standard deviations.
_MOST_LED = 10.0


@dataclass(frozen=True)
class Suspect:
    """A channel that is kept out.

    Attributes:
        finding: why; its size in the channel's unit, or as a factor.
        since_ns: of the observation that it was accused by: it is kept out of those after it.
        count: observations of the trial that goes on.
        total: sum of its innovations then, given the other channels, in standard deviations.
        squares: sum of their squares.
        early: number of its first innovations after it was accused; sums of them, in noise standard deviations, of
            their squares and of their variances.
    """

    finding: Finding
    since_ns: int
    count: int = 0
    total: float = 0.0
    squares: float = 0.0
    early: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)


def named(finding: Finding, runs: Runs, looked: Looked) -> Finding:
    """A finding about a sensor, with its size in the channel's unit, and by its right name."""
    if finding.kind == "noisy":
        return finding
    kind: Kind = "dead" if runs.dead(finding.channel, finding.size) else finding.kind
    return replace(finding, kind=kind, size=finding.size * float(looked.noise_std[finding.channel]))


def tried(
    suspect: Suspect,
    let_in: int,
    runs: Runs,
    used: np.ndarray,
    residual: Floats,
    looked: Looked,
    coefficients: Coefficients,
) -> Suspect | None:
    """A suspect after an observation; None if it has behaved for long enough.

    Args:
        suspect: before it.
        let_in: how often it was let in again before.
        runs: of all m channels, after the observation.
        used: (m,) bool, channels that the update believed.
        residual: (m,) innovations in noise standard deviations, NaN where missing.
        looked: what the observation was held against.
        coefficients: n of them.
    """
    from scipy.special import chdtri

    place = suspect.finding.channel
    if not np.isfinite(residual[place]) or not used.any():
        return suspect
    which = np.array(used)
    which[place] = True
    one = seen(looked, residual, which, used, coefficients.initial_std)
    at = int(np.searchsorted(one.places, place))
    free = float(one.weights[at, at])
    off = float((one.weights @ one.residual)[at]) / np.sqrt(free)
    suspect = _named_again(suspect, off / np.sqrt(free), 1.0 / free, runs, float(looked.noise_std[place]))
    still = suspect.finding.kind in {"stuck", "dead"} and runs.length[place] > _REPEATS
    if abs(off) > _FAR or still:
        return replace(suspect, count=0, total=0.0, squares=0.0)
    count, total, squares = suspect.count + 1, suspect.total + off, suspect.squares + off**2
    if count < _STAY * _LONGER ** min(let_in, _LONGEST):
        return replace(suspect, count=count, total=total, squares=squares)
    if squares <= chdtri(count, _BEHAVES) and abs(total) <= _MEAN * np.sqrt(count):
        return None
    return replace(suspect, count=0, total=0.0, squares=0.0)


def _named_again(suspect: Suspect, off: float, variance: float, runs: Runs, noise_std: float) -> Suspect:
    """A suspect by the name that its first innovations give it; it was accused by as few as do.

    Args:
        suspect: before the observation.
        off: its innovation given the others, in noise standard deviations.
        variance: of that.
        runs: of all channels.
        noise_std: of the channel, its unit.
    """
    finding = suspect.finding
    place = finding.channel
    if finding.kind in {"bias", "noisy"} and repeating(runs, place):
        kind: Kind = "dead" if runs.dead(place, off) else "stuck"
        found = replace(finding, kind=kind, since_ns=int(runs.since_ns[place]), size=off * noise_std)
        return replace(suspect, finding=found)
    if suspect.early[0] >= _EARLY or finding.kind not in {"bias", "noisy"}:
        return suspect
    count, total, squares, variances = (
        sum(pair) for pair in zip(suspect.early, (1.0, off, off**2, variance), strict=True)
    )
    suspect = replace(suspect, early=(count, total, squares, variances))
    if count < _EARLY:
        return suspect
    excess = max(squares - variances, 0.0)
    if total**2 >= 0.5 * count * excess:
        return replace(suspect, finding=replace(finding, kind="bias", size=total / count * noise_std))
    return replace(suspect, finding=replace(finding, kind="noisy", size=float(np.sqrt(1.0 + excess / count))))


def doubted(posterior: Gaussian, suspect: Suspect, looked: Looked, coefficients: Coefficients) -> Gaussian:
    """What is believed of the coefficients, less sure of where a channel has led them.

    An offset that lasts moves an estimate by the least squares of all channels to that offset: at most so far.
    """
    finding = suspect.finding
    place, std = finding.channel, coefficients.initial_std
    size = finding.size if finding.kind == "noisy" else finding.size / float(looked.noise_std[place])
    slope = looked.model.slope * std
    information = slope.T @ slope + np.eye(std.size)
    led = np.clip(np.linalg.solve(information, slope[place]) * size, -_MOST_LED, _MOST_LED) * std
    # States, not coefficients: near a bound these move less.
    states = np.zeros((posterior.mean.size, 1))
    states[: led.size, 0] = led / np.maximum(looked.believed.slope, 0.5)
    return Gaussian.of_root(posterior.mean, triangular(posterior.root, states))


def freed(posterior: Gaussian, moved: Finding, looked: Looked) -> Gaussian:
    """What is believed of the coefficients, less sure of one that moves faster than it may.

    The filter then follows: by so much as it was found to lag behind (Willsky and Jones 1976, compensation of the
    covariance).
    """
    away = np.zeros((posterior.mean.size, 1))
    away[moved.coefficient] = moved.size / max(float(looked.believed.slope[moved.coefficient]), 0.5)
    return Gaussian.of_root(posterior.mean, triangular(posterior.root, away))
