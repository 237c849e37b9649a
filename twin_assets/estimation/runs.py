"""Values that repeat: a sensor that is stuck, or dead, tells so by itself.

Noise never gives the same number twice but by the resolution of the sensor: with noise of std s and steps of d, a
reading repeats with a chance of at most d / (s sqrt(2 pi)), whatever the coefficients do. A machine at rest repeats
itself as well, and so does a historian that holds what hardly changes; so a channel is only called stuck when it
disagrees with what the model and the others expect while it repeats itself.

Belongs here: what is kept of each channel's own values, and what is concluded from that alone.
"""

from dataclasses import dataclass

import numpy as np

from twin_assets.estimation.gaussian import frozen
from twin_assets.estimation.hypotheses import ALARM, Finding, Kind
from twin_assets.estimation.parity import Seen
from twin_assets.model import Floats

# A run of fewer observations says nothing; a run that agrees with all else is exceeded so seldom by a good one.
_FEWEST, _AGREES = 8, 1e-3
# A number in single precision, which is what many sensors and historians hold, is known to this part of itself.
_SINGLE = float(np.finfo(np.float32).eps)
# A dead sensor reads nothing, or the end of its range: within so many standard deviations of the noise, at so many
# observations in a row, and it is off by more than so many.
_NEAR, _OFF = 3.0, 6.0


@dataclass(frozen=True, eq=False)
class Runs:
    """Of m channels, the values that they keep repeating.

    Attributes:
        last: (m,) NaN before any.
        length: (m,) how often in a row it was read.
        since_ns: (m,) when first, UTC nanoseconds since 1970.
        repeats: (m,) log-likelihood of a stuck sensor against noise.
        squares: (m,) of the innovations meanwhile, given all other channels, in their variances.
        finest: (m,) the smallest step that was ever seen, infinite before any.
        idle: (m,) how often in a row it read nothing, or an end of its range.
    """

    last: Floats
    length: np.ndarray
    since_ns: np.ndarray
    repeats: Floats
    squares: Floats
    finest: Floats
    idle: np.ndarray

    @classmethod
    def none(cls, m: int) -> "Runs":
        """Before any observation."""
        none = np.zeros(m, dtype=np.int64)
        nothing = frozen(np.zeros(m))
        return cls(frozen(np.full(m, np.nan)), none, none, nothing, nothing, frozen(np.full(m, np.inf)), none)

    def dead(self, place: int, size: float) -> bool:
        """Whether a channel that is off by a size, in noise standard deviations, is one that reads nothing."""
        return bool(self.idle[place] >= _FEWEST and abs(size) > _OFF)


def met(
    runs: Runs, time_ns: int, observation: Floats, noise_std: Floats, resolution: Floats, ends: Floats, one: Seen | None
) -> Runs:
    """The runs after an observation.

    Args:
        runs: before it.
        time_ns: its time.
        observation: (m,) NaN where missing or not compared.
        noise_std: (m,).
        resolution: (m,) smallest step that each channel shows, 0 where that is not known.
        ends: (m, 2) of the channels' ranges, NaN or infinite where there is none.
        one: what was compared of it; None if nothing was.
    """
    measured = np.isfinite(observation)
    value = np.where(measured, observation, runs.last)
    step = np.abs(value - runs.last)
    same = measured & (step == 0.0)
    finest = np.where(step > 0.0, np.fmin(runs.finest, step), runs.finest)
    new = measured & ~same
    near = np.abs(value[:, np.newaxis] - np.column_stack([np.zeros(value.size), ends])) <= _NEAR * noise_std[:, None]
    repeats, squares = runs.repeats, runs.squares
    if new.any():
        repeats, squares = (np.where(new, 0.0, each) for each in (repeats, squares))
    if same.any():
        repeats = repeats + np.where(same, _gain(value, noise_std, np.maximum(resolution, finest)), 0.0)
        squares = squares + np.where(same, _squares(one, value.size), 0.0)
    return Runs(
        last=value,
        length=np.where(new, 1, runs.length + same),
        since_ns=np.where(new, np.int64(time_ns), runs.since_ns),
        repeats=repeats,
        squares=squares,
        finest=finest,
        idle=np.where(measured, np.where(near.any(axis=1), runs.idle + 1, 0), runs.idle),
    )


def _gain(value: Floats, noise_std: Floats, finest: Floats) -> Floats:
    """(m,) log-likelihood ratio of a value that repeats, a stuck sensor against noise."""
    known = np.where(np.isfinite(finest), finest, 0.0)
    with np.errstate(divide="ignore"):
        gain = np.log(np.sqrt(2.0 * np.pi) * noise_std / np.maximum(known, _SINGLE * np.abs(value)))
    # A sensor that reads zero for ever has no resolution to speak of: it is as good as any finite one.
    return np.asarray(np.clip(gain, 0.0, ALARM))


def _squares(one: Seen | None, m: int) -> Floats:
    """(m,) of each channel's innovation given the others, in its variance; 0 where it was not compared."""
    found = np.zeros(m)
    if one is not None:
        found[one.places] = (one.precision @ one.residual) ** 2 / one.precision.diagonal()
    return found


def repeating(runs: Runs, place: int) -> bool:
    """Whether a channel has repeated itself as no noise does."""
    return bool(runs.length[place] >= _FEWEST and runs.repeats[place] >= ALARM)


def stuck(runs: Runs, inside: np.ndarray, residual: Floats, most: int) -> Finding | None:
    """The channel that is stuck, if any is.

    Args:
        runs: of all channels.
        inside: (m,) bool, those that are compared and not kept out.
        residual: (m,) innovations in noise standard deviations.
        most: channels that may still be kept out.
    """
    found = inside & (runs.length >= _FEWEST) & (runs.repeats >= ALARM)
    if not found.any():
        return None
    from scipy.special import chdtri

    found &= runs.squares > chdtri(np.maximum(runs.length, 1), _AGREES)
    places = np.flatnonzero(found)
    if not places.size:
        return None
    place = int(places[np.argmax(runs.repeats[places])])
    rivals = () if places.size <= most else tuple(int(i) for i in places)
    kind: Kind = "stuck" if not rivals else "undecided"
    return Finding(
        kind, place, -1, int(runs.since_ns[place]), float(residual[place]), float(runs.repeats[place]), rivals
    )
