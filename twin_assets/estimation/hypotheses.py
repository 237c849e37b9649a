"""Sensor, plant or model: which hypothesis explains the recent innovations best, and how much better than the next.

Generalized likelihood ratios (Willsky and Jones 1976; Basseville and Nikiforov 1993, *Detection of abrupt changes*),
over all onsets, with Schwarz's penalty of half a log N for each size that is fitted. In log-likelihood, throughout.

- A sensor is accused by what no movement of the coefficients explains (``parity``) and by nothing else: an offset of
  one channel, or more noise of it. Where several channels would leave the same trace there (one of them and a movement
  of a coefficient together look like another one), the whole innovations decide among these, drift and memory included:
  one cause, not two. If they do not, none is named alone.
- Without a sensor to accuse: coefficients that move faster than their drift, if the innovations point along slopes.
- Something is left that no one channel explains: the model itself. (Two sensors that fail within the few observations
  that it takes to accuse one are told as this, and neither is.)

Belongs here: the comparison. What is done about it is in ``diagnosis``.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from twin_assets.estimation.window import Window
from twin_assets.model import Floats

Kind = Literal["bias", "noisy", "stuck", "dead", "moved", "model", "undecided"]

# A hypothesis is worth a word from here on, and acted upon if it is so much likelier than the next best.
ALARM, MARGIN = 12.0, 5.0
# Fewer observations say nothing that lasts.
_FEWEST = 6
# A channel of which the others tell less than this part of its own information is the only one to tell something: were
# it kept out, what it tells would be lost.
_TOLD_BY_OTHERS = 0.02
# Traces in what the coefficients leave unexplained that are as alike as this are the same.
_ALIKE = 0.8
# Offset or noise: it is not asked any longer when a channel is accused as surely as this.
_TELLS_KINDS, _SURE = 2.0, 20.0
# With this part of the alarm against one channel it is not said yet that no channel explains it.
_GROWS = 0.3
# What a good rest exceeds so seldom, as a whole and in its means: a sensor that is rightly accused only waits for a
# while where it does, a wrong model ever more surely does.
_REST, _REST_MEANS = 1e-3, 2e-2
_NONE = -np.inf
# Directions that the coefficients leave unexplained, at least, if a first sensor is to be left out; one more for each
# that already is: the cause has one of them, and the others have to agree that it is one.
_DIRECTIONS = 2
# Directions of which an observation tells less than this part of its noise are told by the coefficients alone.
_TOLD = 0.1
# Information, in noise variances, that is none; and degrees of freedom that are some.
_NOTHING, _SOME_FREEDOM = 1e-9, 0.5


@dataclass(frozen=True)
class Finding:
    """What explains the recent innovations best.

    Attributes:
        kind: of the explanation; "undecided" if several channels, or channels and coefficients, do it as well.
        channel: of a sensor, its place among the m; -1 otherwise.
        coefficient: that moved, its place among the n; -1 otherwise.
        since_ns: UTC nanoseconds since 1970, to a block of observations.
        size: bias, or a stuck or dead sensor's: in noise standard deviations; noisy, model: how many times as wide as
            expected.
        ratio: log-likelihood ratio to the next best explanation.
        rivals: channels that explain it as well, where that is not decided.
    """

    kind: Kind
    channel: int
    coefficient: int
    since_ns: int
    size: float
    ratio: float
    rivals: tuple[int, ...] = ()

    @property
    def decided(self) -> bool:
        """Whether it is sure enough to be acted upon."""
        return self.ratio >= MARGIN and not self.rivals


@dataclass(frozen=True, eq=False)
class _Scores:
    """Log-likelihood ratios against "all is well", (j, m) or (j, n), by onset; -inf where nothing can be said.

    Attributes:
        since: the sums.
        bias: of an offset of each channel, in what no coefficient explains.
        noisy: of more noise of each channel, there.
        bias_all: the same in the whole innovations.
        noisy_all: the same.
        moved: of each coefficient's movement.
    """

    since: dict[str, Floats]
    bias: Floats
    noisy: Floats
    bias_all: Floats
    noisy_all: Floats
    moved: Floats

    @classmethod
    def of(cls, window: Window, since: dict[str, Floats], estimated: np.ndarray) -> "_Scores":
        count = since["count"][:, np.newaxis]
        off = 0.5 * np.log(np.maximum(count, 1.0)) + np.where(count < _FEWEST, np.inf, 0.0)
        info = np.diagonal(since["info"], axis1=1, axis2=2)
        return cls(
            since,
            _ratio(since["score"], info) - off,
            np.where(estimated, _NONE, since["noisy"].max(axis=2) - off),
            _ratio(window.lasting[:, 0], window.lasting[:, 1]) - off,
            np.where(estimated, _NONE, since["noisy_all"].max(axis=2) - off),
            _ratio(since["moved"], since["moved_info"]) - off,
        )


def judged(window: Window, estimated: np.ndarray, out: int, most: int) -> Finding | None:
    """The best explanation of a window; None if nothing asks for one.

    Args:
        window: the recent observations.
        estimated: (m,) bool, channels whose noise is estimated: that it grows is found there.
        out: channels that are kept out.
        most: how many more may be.
    """
    totals = window.totals
    if not len(totals) or totals[0, 0] < _FEWEST or _quiet(window, totals):
        return None
    since = window.layout.split(totals)
    scores = _Scores.of(window, since, estimated)
    sensor = np.maximum(scores.bias, scores.noisy)
    if sensor.max() >= ALARM:
        return _sensor(window, scores, sensor, out, most)
    unexplained = _inflated(since["left"], since["dof"], since["count"])
    at = int(np.argmax(unexplained))
    if unexplained[at] >= ALARM:
        # It may still turn out to be one channel: against one that is gated, however far off, little is known at first.
        alone = sensor.max() >= _GROWS * ALARM or _left_consistent(since, at, int(np.argmax(since["own"][at])), "noisy")
        return None if alone else _model(window, since, at, unexplained[at] - max(0.0, sensor.max()))
    whole = _inflated(since["nis"], since["nis_dof"], since["count"])
    return _plant(window, scores, whole) if max(whole.max(), scores.moved.max()) >= ALARM else None


def _quiet(window: Window, totals: Floats) -> bool:
    """Whether nothing can be above the alarm: what holds nearly always is found out by little."""

    def part(name: str) -> Floats:
        return window.layout.part(totals, name)

    info = part("info").diagonal(axis1=1, axis2=2)
    if (part("score") ** 2 > 2.0 * ALARM * info).any() or part("noisy").max() > ALARM:
        return False
    if (part("moved") ** 2 > 2.0 * ALARM * part("moved_info")).any():
        return False
    # Twice the logarithm's series: x - 1 - log x <= (x - 1)^2 / 2 for x >= 1.
    squares, dof = (np.array([part(name) for name in names]) for names in (("left", "nis"), ("dof", "nis_dof")))
    return not (squares - dof > 2.0 * np.sqrt(ALARM * dof)).any()


def _ratio(score: Floats, info: Floats) -> Floats:
    """Log-likelihood ratio of the most likely size."""
    return np.divide(score**2, 2.0 * info, out=np.zeros_like(score), where=info > _NOTHING)


def _inflated(squares: Floats, dof: Floats, count: Floats) -> Floats:
    """(j,) log-likelihood ratio of all being wider than it should be by one factor."""
    wide = np.where((dof > _SOME_FREEDOM) & (count >= _FEWEST), squares / np.maximum(dof, _NOTHING), 1.0)
    wide = np.maximum(wide, 1.0)
    return np.asarray(0.5 * dof * (wide - 1.0 - np.log(wide)) - 0.5 * np.log(np.maximum(count, 1.0)))


def _sensor(window: Window, scores: _Scores, sensor: Floats, out: int, most: int) -> Finding:
    """Which channel, or that it is none alone."""
    at, accused = (int(i) for i in np.unravel_index(int(np.argmax(sensor)), sensor.shape))
    since = scores.since
    info = since["info"][at]
    size = np.sqrt(np.maximum(info.diagonal(), 1e-300))
    alike = (info / np.outer(size, size))[accused] ** 2
    group = np.flatnonzero((alike >= _ALIKE) & (info.diagonal() > _NOTHING))
    if not group.size:
        group = np.array([accused])
    whole = np.maximum(scores.bias_all, scores.noisy_all)[:, group].max(axis=0)
    order = np.argsort(-whole, kind="stable")
    channel = int(group[order[0]])
    ratio = float(whole[order[0]] - whole[order[1]]) if group.size > 1 else np.inf
    offset, noise = scores.bias[:, channel], scores.noisy[:, channel]
    kind: Kind = "bias" if offset.max() >= noise.max() else "noisy"
    at = int(np.argmax(offset if kind == "bias" else noise))
    others = [i for i in range(alike.size) if i not in group and info[i, i] > _NOTHING]
    ratio = min(ratio, _beyond(scores, at, channel, kind, others))
    # What it is has time, but not for ever: it would be kept out either way.
    if sensor.max() < _SURE and abs(offset.max() - noise.max()) < _TELLS_KINDS:
        ratio = min(ratio, abs(offset.max() - noise.max()))
    if not _left_consistent(since, at, channel, kind):
        wide = _inflated(since["left"], since["dof"], since["count"])
        return _model(window, since, at, max(0.0, wide[at] - sensor[at, accused]))
    rivals = tuple(int(i) for i, value in zip(group, whole, strict=True) if value > whole.max() - MARGIN)
    told = info[channel, channel] / max(float(since["worth"][at]), 1e-300)
    _, directions = _offsets(since["score"][at], info, float(since["worth"][at]))
    if most < 1 or told < _TOLD_BY_OTHERS or directions < _DIRECTIONS + out:
        rivals = rivals or (channel,)
    elif rivals == (channel,):
        rivals = ()
    found = _size(scores, at, channel, kind)
    return Finding(kind if not rivals else "undecided", channel, -1, int(window.since_ns[at]), found, ratio, rivals)


def _beyond(scores: _Scores, at: int, channel: int, kind: Kind, others: list[int]) -> float:
    """What a channel explains beyond each of the others, at least."""
    info, score = scores.since["info"][at], scores.since["score"][at]
    least = np.inf
    for i in others:
        shared = info[channel, i] / info[i, i]
        alike = shared * info[i, channel] / max(info[channel, channel], 1e-300)
        if kind == "bias":
            own = info[channel, channel] - shared * info[i, channel]
            gain = (score[channel] - shared * score[i]) ** 2 / (2.0 * own) if own > _NOTHING else 0.0
        else:
            gain = scores.noisy[at, channel] - alike * max(scores.noisy[at, i], 0.0)
        least = min(least, float(gain))
    return least


def _left_consistent(since: dict[str, Floats], at: int, channel: int, kind: Kind) -> bool:
    """Whether what is left without a channel is as it should be, as a whole and in its means: one cause for all."""
    from scipy.special import chdtri

    left, dof = (float(since[name][at]) for name in ("left", "dof"))
    left, dof = left - float(since["own"][at, channel]), dof - float(since["count"][at])
    if left > chdtri(max(dof, 1.0), _REST):
        return False
    offsets, directions = _offsets(since["score"][at], since["info"][at], float(since["worth"][at]))
    if directions < _DIRECTIONS:
        return True
    info = float(since["info"][at, channel, channel])
    explained = float(since["score"][at, channel]) ** 2 / info if info > _NOTHING else 0.0
    if kind == "noisy":
        # Its own mean is no news; that of the rest is without it.
        explained = min(explained, offsets)
    # Gated observations, which are worth little, have as little noise.
    noise = float(since["worth_squared"][at] / since["worth"][at])
    return bool(offsets - explained <= noise * chdtri(max(directions - 1, 1), _REST_MEANS))


def _offsets(score: Floats, info: Floats, worth: float) -> tuple[float, int]:
    """What offsets of all channels together would explain, twice in log-likelihood; and how many can be told."""
    values, directions = np.linalg.eigh(info)
    told = values > _TOLD * worth
    along = directions[:, told].T @ score
    return float((along**2 / values[told]).sum()), int(told.sum())


def _size(scores: _Scores, at: int, channel: int, kind: Kind) -> float:
    since = scores.since
    if kind == "noisy":
        excess = (since["square"][at, channel] - since["variance"][at, channel]) / since["count"][at]
        return float(np.sqrt(1.0 + max(float(excess), 0.0)))
    return float(since["score"][at, channel] / since["info"][at, channel, channel])


def _model(window: Window, since: dict[str, Floats], at: int, ratio: float) -> Finding:
    wide = float(np.sqrt(since["left"][at] / max(float(since["dof"][at]), _NOTHING)))
    return Finding("model", -1, -1, int(window.since_ns[at]), wide, float(ratio))


def _plant(window: Window, scores: _Scores, whole: Floats) -> Finding | None:
    """No sensor is to be accused: which coefficient, if one."""
    since = scores.since
    at, coefficient = (int(i) for i in np.unravel_index(int(np.argmax(scores.moved)), scores.moved.shape))
    best = float(scores.moved[at, coefficient])
    channels = np.maximum(scores.bias_all, scores.noisy_all).max(axis=0)
    if best < ALARM and channels.max() < ALARM:
        if max(best, channels.max()) > ALARM / 2.0:
            return None  # It may still turn out to be that.
        at = int(np.argmax(whole))
        wide = float(np.sqrt(since["nis"][at] / since["nis_dof"][at]))
        return Finding("model", -1, -1, int(window.since_ns[at]), wide, float(whole[at] - max(best, channels.max())))
    # A channel that the others tell would have been accused by them.
    told = np.diagonal(since["info"][at]) / max(float(since["worth"][at]), 1e-300)
    alone = (told < _TOLD) & (channels > best - MARGIN) & (channels >= ALARM)
    rivals = tuple(int(i) for i in np.flatnonzero(alone))
    each = np.sort(scores.moved.max(axis=0))[::-1]
    ratio = float(each[0] - each[1]) if each.size > 1 else best
    size = float(since["moved"][at, coefficient] / since["moved_info"][at, coefficient])
    kind: Kind = "undecided" if rivals else "moved"
    return Finding(kind, -1, coefficient, int(window.since_ns[at]), size, ratio, rivals)
