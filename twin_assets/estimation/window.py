"""What the recent observations say together: sums over blocks of them, and how a lasting offset would have shown.

A fault began at some time. So the sums are kept from several onsets on, a block of observations apart, each over all
observations since (Willsky and Jones 1976, *A generalized likelihood ratio approach to the detection and estimation of
jumps in linear systems*). What the filter itself made of an offset on its way is followed, too: its estimate then is
off by ``reach`` times the offset (Friedland 1969, *Treatment of bias in recursive filtering*).

Belongs here: the sums and how an observation changes them. What is concluded from them is in ``hypotheses``.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from twin_assets.estimation.gaussian import frozen
from twin_assets.estimation.parity import Alone, Seen
from twin_assets.estimation.state import Step
from twin_assets.model import Floats

# Observations of a block; young blocks; old ones, of two young ones each. What is older than 40 is forgotten.
BLOCK, _YOUNG, _OLD = 4, 4, 3
_JUDGED = 2
# How many times its noise a noisy channel may have; a size between two of them is found by the nearer one.
FACTORS = frozen([2.0, 4.0, 10.0, 40.0])
# What one gated observation is worth to a hypothesis, in log-likelihood: outliers are no fault that lasts, and a fault
# so large is known after nine (noise: twelve) of them all the same.
_GATED, _GATED_NOISE = 1.5, 1.2
# An observation counts for the question whether anything is left unexplained as at most so many times what is expected.
_MOST = 4.0


@dataclass(frozen=True)
class Layout:
    """Where the sums of a block are.

    Attributes:
        places: name -> from where to where, and the shape.
        size: of a block.
    """

    places: Mapping[str, tuple[int, int, tuple[int, ...]]]
    size: int

    def part(self, sums: Floats, name: str) -> Floats:
        """Of sums (j, size) those of one name, (j, *shape)."""
        begin, end, shape = self.places[name]
        return sums[:, begin:end].reshape(len(sums), *shape)

    def split(self, sums: Floats) -> dict[str, Floats]:
        """All of them, by name."""
        return {name: self.part(sums, name) for name in self.places}


@cache
def layout(m: int, n: int) -> Layout:
    """For m channels and n coefficients; one for each size."""
    k = FACTORS.size
    shapes: dict[str, tuple[int, ...]] = {
        **dict.fromkeys(("count", "worth", "worth_squared", "left", "dof", "nis", "nis_dof"), ()),
        "own": (m,),
        "score": (m,),
        "info": (m, m),
        "noisy": (m, k),
        "noisy_all": (m, k),
        "square": (m,),
        "variance": (m,),
        "moved": (n,),
        "moved_info": (n,),
    }
    places, at = {}, 0
    for name, shape in shapes.items():
        places[name] = (at, at + math.prod(shape), shape)
        at += math.prod(shape)
    return Layout(places, at)


@dataclass(frozen=True, eq=False)
class Window:
    """The recent observations, in j blocks, the newest last; m channels, n coefficients.

    Attributes:
        since_ns: (j,) when each block began, UTC nanoseconds since 1970.
        sums: (j, size) over each block (``Layout``).
        reach: (j, n, m) by how much the estimate is off for one noise standard deviation of a channel's offset that
            began with the block.
        lasting: (j, 2, m) what all observations since say of such an offset: score, information.
    """

    since_ns: np.ndarray
    sums: Floats
    reach: Floats
    lasting: Floats

    @staticmethod
    @cache
    def empty(m: int, n: int) -> "Window":
        """Before any observation."""
        return Window(np.empty(0, np.int64), np.empty((0, layout(m, n).size)), np.empty((0, n, m)), np.empty((0, 2, m)))

    @property
    def layout(self) -> Layout:
        """Of its sums."""
        _, n, m = self.reach.shape
        return layout(m, n)

    @property
    def totals(self) -> Floats:
        """(j, size) sums from each block's beginning until now."""
        return np.asarray(np.cumsum(self.sums[::-1], axis=0)[::-1])

    @property
    def since(self) -> dict[str, Floats]:
        """The same by name, each (j, *shape)."""
        return self.layout.split(self.totals)

    @property
    def to_be_judged(self) -> bool:
        """Every other observation: nothing that lasts is missed in between."""
        return bool(len(self.sums)) and self.sums[-1, 0] % _JUDGED == 0.0

    def moved_on(self) -> "Window":
        """Without what was said of coefficients: the filter follows. What they do not explain is the same as before."""
        sums = np.array(self.sums)
        for name in ("nis", "nis_dof", "moved", "moved_info"):
            begin, end, _ = self.layout.places[name]
            sums[:, begin:end] = 0.0
        return replace(self, sums=sums)

    def begun(self, time_ns: int) -> "Window":
        """With room for one more observation; the oldest are forgotten."""
        counts = self.sums[:, 0]
        if len(counts) and counts[-1] < BLOCK:
            return self
        _, n, m = self.reach.shape
        sums, first = self.sums, 0
        old = int((counts > BLOCK).sum())
        merge = len(counts) - old >= _YOUNG
        if merge:
            sums = np.array(sums)
            sums[old] += sums[old + 1]
            first = int(old >= _OLD)
        kept = np.array([place for place in range(first, len(counts)) if not (merge and place == old + 1)], dtype=int)
        return Window(
            np.append(self.since_ns[kept], np.int64(time_ns)),
            np.vstack([sums[kept], np.zeros(layout(m, n).size)]),
            np.concatenate([self.reach[kept], np.zeros((1, n, m))]),
            np.concatenate([self.lasting[kept], np.zeros((1, 2, m))]),
        )


def extended(window: Window, step: Step, one: Seen, each: Alone, cov: Floats, used: np.ndarray) -> Window:
    """The window after one more observation.

    Args:
        window: before it.
        step: what the filter made of it.
        one: the observation by the channels that are compared.
        each: these one by one.
        cov: (n, n) of the coefficients, physical units, as they were believed before it.
        used: (m,) bool, channels that the update believed.
    """
    start = window.begun(step.time_ns)
    gated = not used[one.places].all()
    sums = np.array(start.sums)
    sums[-1] += _counted(step, one, each, used.size, gated=gated)
    reach, lasting = _followed(start, one, cov, used, gated=gated)
    return Window(start.since_ns, sums, reach, lasting)


def _counted(step: Step, one: Seen, each: Alone, m: int, *, gated: bool) -> Floats:
    """(size,) what one observation adds to its block, in the order of ``layout``."""
    places, residual = one.places, one.residual
    scaled = one.weights @ residual
    left = float(residual @ scaled)
    dof = float(np.vdot(one.weights, one.cov))
    worth = min(1.0, 2.0 * _GATED / max(left, 1e-300)) if gated else 1.0
    at_most = min(1.0, _MOST * dof / max(left, 1e-300))
    worth_all = min(1.0, 2.0 * _GATED / max(one.nis, 1e-300)) if gated else 1.0
    # What was gated is many times as wide as it should be, and that one channel is says nothing of the others.
    nis = min(step.nis, _MOST * step.dof) + _MOST * (residual.size - step.dof)
    told = one.slope.T @ one.precision
    squares, precisions = np.array([each.squares, each.squares_all]), np.array([each.precision, each.precision_all])
    noisy, noisy_all = _noisier(squares, precisions, gated=gated)
    own = [at_most * scaled**2 / one.weights.diagonal(), worth * scaled]
    noise = [noisy, noisy_all, each.squares / each.precision, 1.0 / each.precision]
    pairs = worth * one.weights
    if places.size < m:
        own, noise = ([_spread(part, places, m) for part in parts] for parts in (own, noise))
        pairs = np.zeros((m, m))
        pairs[np.ix_(places, places)] = worth * one.weights
    scalars = [1.0, worth, worth**2, at_most * left, dof, nis, float(residual.size)]
    moved = [worth_all * (told @ residual), worth_all * (told * one.slope.T).sum(axis=1)]
    return np.concatenate([scalars, *own, pairs.ravel(), *map(np.ravel, noise), *moved])


def _spread(part: Floats, places: np.ndarray, m: int) -> Floats:
    """What is known of k channels (k, ...) among m; 0 for the others."""
    found = np.zeros((m, *part.shape[1:]))
    found[places] = part
    return found


def _noisier(squares: Floats, precision: Floats, *, gated: bool) -> Floats:
    """(..., f) by how much likelier each channel's innovation is with more noise (``FACTORS``).

    Given the others it is N(0, v); with the excess e of its noise variance it is N(0, v + e).

    Args:
        squares: (...) of the innovation given the others, in its variance.
        precision: (...) 1 / v.
        gated: whether it may be an outlier.
    """
    excess = precision[..., np.newaxis] * (FACTORS**2 - 1.0)
    gains = 0.5 * (squares[..., np.newaxis] * excess / (1.0 + excess) - np.log1p(excess))
    return np.asarray(np.minimum(gains, _GATED_NOISE) if gated else gains)


def _followed(start: Window, one: Seen, cov: Floats, used: np.ndarray, *, gated: bool) -> tuple[Floats, Floats]:
    """``reach`` and ``lasting`` after an observation: the recursion of Friedland, for every onset and channel."""
    places, residual = one.places, one.residual
    _, _, m = start.reach.shape
    shown = np.eye(m)[places] - one.slope @ start.reach
    worth = min(1.0, 2.0 * _GATED / max(one.nis, 1e-300)) if gated else 1.0
    weighted = worth * (one.precision @ shown)
    lasting = np.array(start.lasting)
    lasting[:, 0] += residual @ weighted
    lasting[:, 1] += (shown * weighted).sum(axis=1)
    believed = used[places]
    if not believed.any():
        return start.reach, lasting
    if believed.all():
        gain = cov @ one.slope.T @ one.precision
        return start.reach + gain @ shown, lasting
    slope = one.slope[believed]
    gain = cov @ slope.T @ np.linalg.inv(one.cov[np.ix_(believed, believed)])
    return start.reach + gain @ shown[:, believed], lasting
