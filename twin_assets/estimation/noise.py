"""The measurement noise of channels for which nobody gave any: estimated from the innovations, channel by channel.

Whoever compares a channel's own successive values (second differences, the scatter within an observation) needs no
model, but takes for noise what operating conditions do to the channel. So this is covariance matching on innovations
(Mehra 1970, *On the identification of variances and adaptive Kalman filtering*), which know the inputs; the noise is
carried as part of the filter's state, as in Sarkka and Nummenmaa (2009, *Recursive noise adaptive Kalman filtering by
variational Bayesian approximations*). The estimate covers whatever makes measurement and prediction differ from one
observation to the next: the sensor's noise and, of the model's error, what changes as fast.

Given the past and the other channels of the same observation, a channel's innovation is u ~ N(0, r + c), with its noise
variance r and the variance c of what the model predicts; of the likelihood of all channels nothing else depends on r.
The belief in log r is a Gaussian, updated by that likelihood and projected back (assumed density filtering: Opper 1998,
*A Bayesian approach to on-line learning*). An inverse gamma law would have to be told c = 0, and would remember a first
guess that is ten times too large for hundreds of observations; on the logarithm it is forgotten within some ten. Where
c is much more than r, as at first, an innovation tells little, and the belief stays as wide as it should.

The filter works with E[r] = exp(mean + std^2 / 2): innovations then have the covariance that they are expected to have,
and the update is the best linear one. While little is known E[r] is large, so nothing is gated for a first guess.

Belongs here: the belief, and how an innovation changes it. Nothing here runs the model.
"""

from dataclasses import dataclass, replace

import numpy as np

from twin_assets.estimation.affine import Affine
from twin_assets.estimation.gaussian import frozen, triangular
from twin_assets.estimation.reuse import Learnt
from twin_assets.estimation.update import Evidence
from twin_assets.model import Floats

# The first guess of a channel's noise: this part of the value that it shows, or as much as the coefficients' prior
# leaves open of it, whichever is more; one standard deviation of it is a factor of three, either way. Rather too large
# than too small: the filter then believes little for a few observations, until it is found to be less.
_FIRST_PART, _FIRST_LOG_STD = 1e-2, 2.0 * float(np.log(3.0))
# Sensors age. After so many observations of one another noise is as likely as not: the belief never gets narrower than
# the root of twice this walk, which remembers about 500 observations and knows the standard deviation to 3 %.
_WALK_VAR = 6.5e-6
# One innovation in a thousand is taken for what no noise explains: a Cauchy law of this width. However far off, it says
# next to nothing about the noise, and yet a first guess that is far too small is found to be so.
_OUTLIERS, _OUTLIER_WIDTH = 1e-3, 30.0
# The belief is integrated over so many standard deviations either way, at so many nodes.
_REACH, _NODES = 6.0, 121
_Z = frozen(np.linspace(-_REACH, _REACH, _NODES))
# A number in single precision, which is what many sensors and historians hold, is known to this part of itself.
_SINGLE = float(np.finfo(np.float32).eps)
# By so little more than the noise does an innovation vary where a channel depends on no coefficient: there, as on a
# machine that stands still, its noise is not that of a machine at work.
_TELLS_NOTHING = 1e-12


@dataclass(frozen=True, eq=False)
class Noise:
    """What is believed of the noise variance r of k channels, those that were measured and are to be estimated.

    Attributes:
        channels: their names.
        log_mean: (k,) mean of log r, r in the channel's unit squared.
        log_std: (k,) its standard deviation.
    """

    channels: tuple[str, ...]
    log_mean: Floats
    log_std: Floats

    def __post_init__(self) -> None:
        object.__setattr__(self, "log_mean", frozen(self.log_mean))
        object.__setattr__(self, "log_std", frozen(self.log_std))

    @property
    def std(self) -> Floats:
        """(k,) the noise that the filter works with, sqrt(E[r]), in the channels' units."""
        return np.exp(self.log_mean / 2.0 + self.log_std**2 / 4.0)


def of_channels(noise: Noise | None, channels: tuple[str, ...], given: Floats) -> Noise:
    """What is believed of those among the m channels whose noise is not given (m,) but NaN."""
    if noise is None:
        return Noise((), np.empty(0), np.empty(0))
    sought = [name for name, std in zip(channels, given.tolist(), strict=True) if np.isnan(std)]
    names = tuple(name for name in sought if name in noise.channels)
    places = [noise.channels.index(name) for name in names]
    return Noise(names, noise.log_mean[places], noise.log_std[places])


def not_met(noise: Noise, channels: tuple[str, ...], given: Floats, observation: Floats) -> np.ndarray:
    """(m,) bool: measured for the first time, with noise that is not given."""
    unknown = np.array([name not in noise.channels for name in channels])
    return np.asarray(np.isnan(given) & np.isfinite(observation) & unknown)


def met(noise: Noise, channels: tuple[str, ...], new: np.ndarray, observation: Floats, model: Affine) -> Noise:
    """The belief, with a first guess for new channels.

    Args:
        noise: what was believed.
        channels: names of all m.
        new: (m,) bool.
        observation: (m,).
        model: of all m outputs, in their units, per prior standard deviation of independent coefficients.
    """
    spread = np.sqrt((model.slope**2).sum(axis=1) + (model.rest**2).sum(axis=0))[new]
    guess = np.maximum(_FIRST_PART * np.abs(observation[new]), spread)
    # Of a channel that shows nothing, and depends on nothing, no size is known; its unit is.
    first = 2.0 * np.log(np.where(guess > 0.0, guess, _FIRST_PART))
    known = dict(zip(noise.channels, zip(noise.log_mean.tolist(), noise.log_std.tolist(), strict=True), strict=True))
    for j, mean in zip(np.flatnonzero(new).tolist(), first.tolist(), strict=True):
        known[channels[j]] = (mean, _FIRST_LOG_STD)
    # In the order of the channels, whichever was met first: a state that was read from a table is the same.
    names = tuple(name for name in channels if name in known)
    return Noise(names, *np.array([known[name] for name in names]).T)


def in_use(noise: Noise, channels: tuple[str, ...], given: Floats) -> Floats:
    """(m,) noise that the filter works with; infinite for channels that were never measured and have none given."""
    found = dict(zip(noise.channels, noise.std.tolist(), strict=True))
    return np.array(
        [found.get(name, np.inf) if np.isnan(std) else std for name, std in zip(channels, given.tolist(), strict=True)]
    )


def learnt_noise(
    noise: Noise,
    channels: tuple[str, ...],
    expected: Evidence,
    used: np.ndarray,
    std: Floats,
    observation: Floats,
    resolution: Floats,
) -> Noise:
    """The belief after an observation.

    What was gated counts as well, or noise that was believed too small would never be found to be more; an outlier is
    one innovation in a thousand that does not count.

    Args:
        noise: before it.
        channels: names of all m.
        expected: innovations of all m, whitened, NaN where missing.
        used: (m,) bool, which of them were believed.
        std: (m,) noise that they are whitened by.
        observation: (m,) NaN where missing.
        resolution: (m,) the smallest step that each channel shows, 0 where that is not known.
    """
    mean, width = noise.log_mean.copy(), noise.log_std.copy()
    for place, name in enumerate(noise.channels):
        j = channels.index(name)
        if not np.isfinite(observation[j]) or expected.std[j] <= 1.0 + _TELLS_NOTHING:
            continue
        # In units of the noise: of the channel, given all others that were believed.
        residual, variance = _alone(expected, used, j)
        predicted = max(variance - 1.0, 0.0)
        shift = 2.0 * np.log(std[j])
        after = _updated(mean[place] - shift, width[place], residual, predicted)
        coarse = max(float(resolution[j]), _SINGLE * abs(float(observation[j]))) / np.sqrt(12.0)
        mean[place], width[place] = after[0] + shift, np.sqrt(after[1] ** 2 + _WALK_VAR)
        if coarse > 0.0:
            mean[place] = max(mean[place], 2.0 * np.log(coarse))
    return Noise(noise.channels, mean, width)


def _alone(expected: Evidence, used: np.ndarray, j: int) -> tuple[float, float]:
    """Innovation and variance of channel j, given the past and the other channels that were believed."""
    places = np.flatnonzero(used | (np.arange(used.size) == j))
    root = triangular(expected.root[places])
    inverse = np.linalg.solve(root, np.eye(places.size))
    at = int(np.searchsorted(places, j))
    column = inverse[:, at]
    precision = float(column @ column)
    return float(column @ (inverse @ expected.residual[places])) / precision, 1.0 / precision


def _updated(mean: float, std: float, residual: float, predicted: float) -> tuple[float, float]:
    """Mean and standard deviation of log r, after an innovation N(0, r + predicted) was seen."""
    logs = mean + std * _Z
    variance = np.exp(logs) + predicted
    squared = residual**2 / variance
    good = (1.0 - _OUTLIERS) * np.exp(-0.5 * squared) / np.sqrt(2.0 * np.pi)
    wrong = _OUTLIERS / (np.pi * _OUTLIER_WIDTH * (1.0 + squared / _OUTLIER_WIDTH**2))
    weights = np.exp(-0.5 * _Z**2) * (good + wrong) / np.sqrt(variance)
    weights = weights / weights.sum()
    center = float(weights @ logs)
    return center, float(np.sqrt(weights @ (logs - center) ** 2))


def rewhitened(learnt: Learnt | None, before: Floats, after: Floats) -> Learnt | None:
    """What was learnt of the model in units of another noise (m,); None where one was infinite: it hides all."""
    same = before == after
    if learnt is None or same.all():
        return learnt
    if np.isinf(before[~same]).any() or np.isinf(after[~same]).any():
        return None
    ratio = np.divide(before, after, out=np.ones_like(before), where=~same)
    model = learnt.model
    scaled = Affine(model.center, model.value * ratio, model.slope * ratio[:, np.newaxis], model.rest * ratio)
    return replace(learnt, model=scaled)
