"""What no movement of the coefficients explains: the part of an observation that tells a sensor from the plant.

An innovation is a sum of two parts. One lies where the slopes of the model point: some coefficients have moved, or a
sensor is wrong in a way that looks so. The other does not: whatever the coefficients did, and however fast, they
cannot have caused it (analytical redundancy: Chow and Willsky 1984, *Analytical redundancy and the design of robust
failure detection systems*). With more channels than coefficients there is such a part, and a sensor is only ever
accused by it. It also has no memory: what a wrong channel did to the estimate before does not show in it.

Here it is a weighting instead of a projection: every coefficient may have moved by so many of its prior standard
deviations that it explains whatever it can, and what it cannot is left. So blind directions explain nothing.

Belongs here: one observation. What many of them say is in ``window``.
"""

from dataclasses import dataclass, replace

import numpy as np

from twin_assets.estimation.gaussian import triangular
from twin_assets.estimation.state import Looked
from twin_assets.estimation.update import Evidence
from twin_assets.model import Floats

# A coefficient may be anywhere within so many of its prior standard deviations, at every observation anew.
_ANYWHERE = 100.0


@dataclass(frozen=True, eq=False)
class Seen:
    """One observation by the k of its channels that are compared.

    Attributes:
        places: (k,) which of the m channels.
        residual: (k,) innovation, in noise standard deviations.
        cov: (k, k) of it, by what the filter believed.
        precision: (k, k) its inverse.
        weights: (k, k) inverse of its covariance if the coefficients were anywhere.
        slope: (k, n) of the channels, per physical unit.
    """

    places: np.ndarray
    residual: Floats
    cov: Floats
    precision: Floats
    weights: Floats
    slope: Floats

    @property
    def nis(self) -> float:
        """Normalised innovation squared."""
        return float(self.residual @ self.precision @ self.residual)


def seen(looked: Looked, residual: Floats, which: np.ndarray, used: np.ndarray, initial_std: Floats) -> Seen:
    """An observation as it is compared.

    Args:
        looked: what it was held against.
        residual: (m,) innovations in noise standard deviations; finite where compared.
        which: (m,) bool, the channels that are compared, at least one.
        used: (m,) bool, channels that the update believed.
        initial_std: (n,) prior standard deviations of the coefficients.
    """
    places = np.flatnonzero(which)
    found, model = residual[places], looked.model
    expected = looked.expected if which.all() else Evidence(found, triangular(looked.expected.root[places]))
    precision = expected.inverse.T @ expected.inverse
    farther = _farther(looked, found, precision, used[places])
    part = model if which.all() else model.only(which)
    part = part if farther == 1.0 else replace(part, rest=part.rest * farther)
    free = _inverse(part.noise_root(part.slope * (_ANYWHERE * initial_std)))
    return Seen(places, found, expected.root @ expected.root.T, precision, free.T @ free, part.slope)


@dataclass(frozen=True, eq=False)
class Alone:
    """Each of k channels, given all others of the observation that can be believed.

    Attributes:
        squares: (k,) of its innovation in what the coefficients do not explain, in its variance.
        precision: (k,) one over that variance.
        squares_all: (k,) the same of the whole innovation.
        precision_all: (k,) the same.
    """

    squares: Floats
    precision: Floats
    squares_all: Floats
    precision_all: Floats


def alone(one: Seen, looked: Looked, residual: Floats, used: np.ndarray, initial_std: Floats) -> Alone:
    """The channels of an observation one by one: what was gated is no measure for the others.

    Args:
        one: the observation by all channels that are compared.
        looked: what it was held against.
        residual: (m,) innovations.
        used: (m,) bool, channels that were believed.
        initial_std: (n,).
    """
    believed = used[one.places]
    if believed.all():
        return _each(one)
    found = np.zeros((4, one.places.size))
    if believed.any():
        part = _each(seen(looked, residual, used, used, initial_std))
        found[:, believed] = part.squares, part.precision, part.squares_all, part.precision_all
    for at in np.flatnonzero(~believed).tolist():
        which = np.array(used)
        which[one.places[at]] = True
        part = _each(seen(looked, residual, which, used, initial_std))
        place = int(which[: one.places[at]].sum())
        found[:, at] = (
            part.squares[place],
            part.precision[place],
            part.squares_all[place],
            part.precision_all[place],
        )
    return Alone(*found)


def _each(one: Seen) -> Alone:
    free, known = one.weights.diagonal(), one.precision.diagonal()
    scaled, believed = one.weights @ one.residual, one.precision @ one.residual
    return Alone(scaled**2 / free, free, believed**2 / known, known)


def _farther(looked: Looked, residual: Floats, precision: Floats, used: np.ndarray) -> float:
    """How many times as much as it was found to the model may bend.

    That was found over what was believed; it grows with the square of how far off the coefficients are. Of a single
    channel that was not believed they are taken to be as far off as the others say, where these are as many as
    coefficients; several such channels may have been right about a movement.
    """
    believed = int(used.sum())
    if used.size - believed == 1 and believed >= looked.model.slope.shape[1]:
        # What is left without one channel, by the Schur complement.
        scaled, place = precision @ residual, int(np.argmin(used))
        rest = float(residual @ scaled - scaled[place] ** 2 / precision[place, place])
        return max(1.0, rest / believed)
    return max(1.0, float(residual @ precision @ residual) / used.size)


def innovations(looked: Looked, observation: Floats) -> Floats:
    """(m,) innovations in noise standard deviations, NaN where missing, also of channels that were kept out."""
    residual = looked.expected.residual
    known = np.isfinite(looked.noise_std) & np.isfinite(observation)
    scale = np.where(known, looked.noise_std, 1.0)
    predicted = looked.model.at(looked.believed.mean)
    found = np.where(np.isfinite(residual), residual, observation / scale - predicted)
    return np.where(known, found, np.nan)


def expected_std(looked: Looked) -> Floats:
    """(m,) standard deviations of innovations, channels' units; NaN where the noise is not known yet."""
    known = np.isfinite(looked.noise_std)
    found: Evidence = looked.expected
    return np.where(known, found.std * np.where(known, looked.noise_std, 1.0), np.nan)


def _inverse(root: Floats) -> Floats:
    return np.asarray(np.linalg.solve(root, np.eye(len(root))), dtype=np.float64)
