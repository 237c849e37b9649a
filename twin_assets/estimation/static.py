"""Constant coefficients from one batch of observations: maximum a posteriori, or maximum likelihood.

    minimise |z - m|^2_P^-1 + |y - h(c(z))|^2_R^-1

over the unbounded states z, with the same prior and the same clamp c as the filter's (``bounds``), and with or without
the first term.

Belongs here: the noise, the posterior, what to say where there is none. Coefficients that move are the filter's.
"""

from dataclasses import dataclass

import numpy as np

from twin_assets.estimation import bounds
from twin_assets.estimation.affine import Affine
from twin_assets.estimation.batch import Batch
from twin_assets.estimation.bounds import Coefficients
from twin_assets.estimation.combinations import Combination, named
from twin_assets.estimation.evaluation import check
from twin_assets.estimation.gaussian import Gaussian, frozen
from twin_assets.estimation.search import CalibrationError, Minimum, Search, StaticSettings
from twin_assets.estimation.state import FilterState
from twin_assets.estimation.update import updated
from twin_assets.model import Floats, PredictiveModel

# The noise is settled when no channel's moves by more than this part of itself.
_SETTLED, _ROUNDS = 1e-6, 100
# A channel whose values have less freedom than this, all in all, says nothing about its noise.
_NO_FREEDOM = 1e-6
# What the differences' own error leaves of a combination of coefficients that no measurement sees.
_UNSEEN = 1e-6
# The clamp's slope three scales beyond a bound: where likelihood draws a coefficient that far, it draws it for ever.
_ON_THE_BOUND = 0.05


@dataclass(frozen=True, eq=False)
class StaticCalibration:
    """What a batch says about n coefficients.

    Attributes:
        estimate: (n,) the most likely coefficients, physical units.
        posterior: of the unbounded states z (n,), from the last linearization; ``coefficient_marginals`` and
            ``predict_outputs`` read it as they read the filter's.
        noise_std: (m,) as given or as estimated; NaN where a channel has no values.
        residuals: (t, m) observed minus predicted at the estimate, model units; NaN where missing.
        chi_square: the least sum of squares, in noise standard deviations, the prior's part included.
        dof: its degrees of freedom: one a value, less one a coefficient where the prior does not count.
        model_runs: rows evaluated.
    """

    estimate: Floats
    posterior: Gaussian
    noise_std: Floats
    residuals: Floats
    chi_square: float
    dof: int
    model_runs: int

    def __post_init__(self) -> None:
        for field in ("estimate", "noise_std", "residuals"):
            object.__setattr__(self, field, frozen(getattr(self, field)))

    def state(self, time_ns: int) -> FilterState:
        """What a filter goes on from, where the last observation of the batch is of that time."""
        return FilterState(time_ns, self.posterior)


def calibrate_static(
    model: PredictiveModel, batch: Batch, coefficients: Coefficients, settings: StaticSettings
) -> StaticCalibration:
    """Estimate coefficients that are the same in all observations.

    Args:
        model: whose coefficients are ``coefficients.names``, in order, and whose first m outputs are measured.
        batch: the observations.
        coefficients: prior and bounds; the drift plays no part.
        settings: noise, whether the prior counts, how fine to search.

    Returns:
        Estimate and posterior; a pure function of the arguments.

    Raises:
        ValueError: on wrong shapes or names.
        EvaluationError: when the model cannot be evaluated where the search starts, or beside a point where it can.
        CalibrationError: when the search does not converge, or the observations leave open what no prior answers.
    """
    check(model, batch.inputs[0], coefficients)
    _check_channels(model, batch, settings)
    search = Search(model, batch, coefficients, settings, bounds.prior(coefficients))
    n, count = len(coefficients.names), len(batch.values)
    if settings.diffuse and count < n:
        raise CalibrationError(
            f"{count} measured values cannot tell the {n} coefficients {', '.join(coefficients.names)}; let the prior"
            " count, or give more observations"
        )
    start = np.zeros(n)
    # Also where the noise is given: a model that fails at the start is said, not turned back from.
    gaps = search.gaps(start)
    if settings.noise_std is None:
        found = _with_noise(search, start, gaps)
    else:
        found = search.minimum(start, settings.noise_std)
    return _result(search, found)


def _check_channels(model: PredictiveModel, batch: Batch, settings: StaticSettings) -> None:
    m = batch.observations.shape[1]
    if m > len(model.outputs):
        raise ValueError(f"observations have {m} channels, the model only the outputs {model.outputs}")
    if settings.noise_std is not None and settings.noise_std.shape != (m,):
        raise ValueError(f"noise_std has shape {settings.noise_std.shape}, expected one value for each of {m} channels")


def _with_noise(search: Search, start: Floats, gaps: Floats) -> Minimum:
    """The coefficients together with each channel's noise, estimated from its own residuals without bias.

    The sum of squares of a channel of N_j values is expected to be std_j^2 (N_j - tr H_jj), with the hat matrix H of
    the weighted problem; iterated, since the weights are the noise's (Forstner 1979). A single channel without a prior
    gets std^2 = RSS / (N - n) at once.

    Raises:
        CalibrationError: if a channel says nothing about its noise.
    """
    noise_std = _rms(search, gaps, np.ones(gaps.size))
    noise_std = np.where(noise_std == 0.0, 1.0, noise_std)
    runs = 0
    for _ in range(_ROUNDS):
        found = search.minimum(start, noise_std)
        start, runs = found.xi, runs + found.model_runs
        better = _rms(search, found.gaps, 1.0 - _leverage(search, found))
        if (better == 0.0).any():
            raise CalibrationError(
                f"{_channels(search, better == 0.0)} is predicted exactly, which tells no noise; give noise_std"
            )
        settled = np.nanmax(np.abs(better / noise_std - 1.0)) < _SETTLED
        noise_std = better
        if settled:
            return Minimum(found.xi, noise_std, found.gaps, found.slopes, runs)
    raise CalibrationError(
        f"the noise of {_channels(search)} did not settle in {_ROUNDS} rounds, last {noise_std}; give noise_std"
    )


def _leverage(search: Search, found: Minimum) -> Floats:
    """(N,) diagonal of the hat matrix: how much of each value its own prediction has taken in."""
    seen = _whitened(search, found) * search.chain(found.xi)
    stacked = seen if search.settings.diffuse else np.vstack([seen, np.eye(found.xi.size)])
    orthogonal, _ = np.linalg.qr(stacked)
    return np.asarray((orthogonal[: len(seen)] ** 2).sum(axis=1), dtype=np.float64)


def _rms(search: Search, gaps: Floats, freedom: Floats) -> Floats:
    """(m,) root of each channel's sum of squares over its degrees of freedom."""
    batch, m = search.batch, search.batch.observations.shape[1]
    squares, free = (np.bincount(batch.channel, weights, m) for weights in (gaps**2, freedom))
    used = np.bincount(batch.channel, minlength=m) > 0
    blind = used & (free < _NO_FREEDOM)
    if blind.any():
        raise CalibrationError(
            f"all values of {_channels(search, blind)} go into the coefficients, and none is left to tell the noise;"
            " give noise_std, or more observations"
        )
    return np.asarray(np.sqrt(np.divide(squares, free, out=np.full(m, np.nan), where=used)), dtype=np.float64)


def _channels(search: Search, which: np.ndarray | None = None) -> str:
    names = search.model.outputs[: search.batch.observations.shape[1]]
    return ", ".join(name for j, name in enumerate(names) if which is None or which[j])


def _whitened(search: Search, found: Minimum) -> Floats:
    """(N, n) slopes in noise standard deviations."""
    return np.asarray(found.slopes / found.noise_std[search.batch.channel][:, np.newaxis], dtype=np.float64)


def _result(search: Search, found: Minimum) -> StaticCalibration:
    batch, diffuse = search.batch, search.settings.diffuse
    residuals = np.full(batch.observations.shape, np.nan)
    residuals[batch.measured] = found.gaps
    squares = float(((found.gaps / found.noise_std[batch.channel]) ** 2).sum())
    return StaticCalibration(
        estimate=search.physical(found.xi),
        posterior=_likelihood(search, found) if diffuse else _posterior(search, found),
        noise_std=found.noise_std,
        residuals=residuals,
        chi_square=squares if diffuse else squares + float(found.xi @ found.xi),
        dof=found.gaps.size - (found.xi.size if diffuse else 0),
        model_runs=found.model_runs + batch.conditions,
    )


def _posterior(search: Search, found: Minimum) -> Gaussian:
    """The filter's own update with the last linearization, so that a bound is treated as the filter treats it.

    N rows are reduced to n by an orthogonal transformation, which keeps all that they say about the coefficients.
    """
    orthogonal, slope = np.linalg.qr(_whitened(search, found))
    rows = len(slope)
    model = Affine(search.physical(found.xi), np.zeros(rows), slope, np.zeros((rows, rows)))
    seen = orthogonal.T @ (found.gaps / found.noise_std[search.batch.channel])
    return updated(search.prior, model, seen, search.coefficients)


def _likelihood(search: Search, found: Minimum) -> Gaussian:
    """The inverse of the information, where the observations alone give one.

    Raises:
        CalibrationError: if a coefficient is on a bound, or some cannot be told apart.
    """
    _check_off_bounds(search, found)
    seen = _whitened(search, found) * search.chain(found.xi)
    _check_told_apart(search, seen)
    root = search.prior.std[:, np.newaxis] * np.linalg.inv(np.linalg.qr(seen, mode="r"))
    return Gaussian(search.states(found.xi), root @ root.T)


def _check_off_bounds(search: Search, found: Minimum) -> None:
    values, names = search.physical(found.xi), search.coefficients.names
    beyond = bounds.clamp_slope(search.states(found.xi), search.coefficients) < _ON_THE_BOUND
    if beyond.any():
        there = ", ".join(f"{name} = {value:.6g}" for name, value, on in zip(names, values, beyond, strict=True) if on)
        raise CalibrationError(
            f"most likely are values on a bound ({there}), where the observations alone give no interval; let the prior"
            " count, or widen the bounds"
        )


def _check_told_apart(search: Search, seen: Floats) -> None:
    length = np.linalg.norm(seen, axis=0)
    length = np.where(length > 0.0, length, 1.0)
    _, values, directions = np.linalg.svd(seen / length, full_matrices=False)
    if values[-1] >= _UNSEEN * values[0]:
        return
    blind = directions[-1] / length
    largest = int(np.argmax(np.abs(blind)))
    change = blind * search.coefficients.initial_std
    weights = {search.coefficients.names[j]: float(change[j] / change[largest]) for j in np.flatnonzero(named(blind))}
    raise CalibrationError(
        f"the observations cannot tell {Combination(weights, np.inf)}; let the prior count, or take one of these"
        " coefficients for known"
    )
