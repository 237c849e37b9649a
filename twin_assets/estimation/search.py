"""The search for the most likely coefficients of a batch: least squares by Levenberg and Marquardt's method.

Belongs here: the sum of squares, its Jacobian, SciPy's solver. What is made of the minimum is in ``static``.
"""

from dataclasses import dataclass

import numpy as np

from twin_assets.errors import TwinError
from twin_assets.estimation.batch import Batch
from twin_assets.estimation.bounds import Coefficients, clamp_slope, to_physical
from twin_assets.estimation.gaussian import Gaussian, frozen
from twin_assets.model import EvaluationError, Floats, PredictiveModel

# What stands for the residual of coefficients that the model refuses: the search turns back from there.
_REFUSED = 1e100


class CalibrationError(TwinError):
    """Observations from which no coefficients can be had; says which, and what would help."""


@dataclass(frozen=True, eq=False)
class StaticSettings:
    """How a batch is calibrated.

    Attributes:
        noise_std: (m,) standard deviations of the measurement noise, units of the model's first m outputs; None to
            estimate each channel's from its residuals.
        diffuse: whether to leave out the prior. Its values are then where the search starts, its standard deviations
            only a scale, and the estimate is that of maximum likelihood.
        difference_step: of the Jacobian's differences, in prior standard deviations. What it changes in the outputs
            should be large against the simulator's own error; a closed form bears 1e-5.
        tolerance: relative change of the sum of squares, and of the coefficients, at which the search has converged.
        evaluations: of the sum of squares at most.
    """

    noise_std: Floats | None = None
    diffuse: bool = False
    difference_step: float = 1e-3
    tolerance: float = 1e-12
    evaluations: int = 1000

    def __post_init__(self) -> None:
        if self.noise_std is None:
            return
        object.__setattr__(self, "noise_std", frozen(self.noise_std))
        if self.noise_std.ndim != 1 or not (np.isfinite(self.noise_std) & (self.noise_std > 0)).all():
            raise ValueError(f"noise_std must be (m,), positive and finite, found {self.noise_std}")


@dataclass(frozen=True, eq=False)
class Minimum:
    """Where a search ended.

    Attributes:
        xi: (n,) the states, in prior standard deviations from the prior's mean.
        noise_std: (m,) of the measurements.
        gaps: (N,) observed minus predicted, model units.
        slopes: (N, n) of the predictions in the coefficients, model units.
        model_runs: rows evaluated.
    """

    xi: Floats
    noise_std: Floats
    gaps: Floats
    slopes: Floats
    model_runs: int


@dataclass(frozen=True, eq=False)
class Search:
    """One batch against one prior, in whitened coordinates: z = mean + std xi, xi ~ N(0, I) a priori.

    Attributes:
        model: to run.
        batch: N measured values.
        coefficients: bounds.
        settings: how fine to search, and whether the prior counts.
        prior: of the n states, independent.
    """

    model: PredictiveModel
    batch: Batch
    coefficients: Coefficients
    settings: StaticSettings
    prior: Gaussian

    def states(self, xi: Floats) -> Floats:
        """(n,) states of whitened ones."""
        return np.asarray(self.prior.mean + self.prior.std * xi, dtype=np.float64)

    def physical(self, xi: Floats) -> Floats:
        """(n,) coefficients."""
        return to_physical(self.states(xi), self.coefficients)

    def chain(self, xi: Floats) -> Floats:
        """(n,) how much of each coefficient a whitened state moves."""
        return np.asarray(clamp_slope(self.states(xi), self.coefficients) * self.prior.std, dtype=np.float64)

    def gaps(self, xi: Floats) -> Floats:
        """(N,) observed minus predicted, model units."""
        predicted = self.batch.predicted(self.physical(xi)[np.newaxis], self.model)
        return self.batch.values - predicted.reshape(-1)

    def slopes(self, xi: Floats) -> Floats:
        """(N, n) of the predictions in the coefficients."""
        step = self.settings.difference_step * self.coefficients.initial_std
        return self.batch.slopes(self.physical(xi), step, self.model, self.coefficients)

    def minimum(self, start: Floats, noise_std: Floats) -> Minimum:
        """Go downhill from a start (n,), with noise of (m,) standard deviations.

        Raises:
            CalibrationError: if it takes too many evaluations.
        """
        from scipy.optimize import least_squares

        noise = noise_std[self.batch.channel]
        # SciPy counts its evaluations, but not all of them.
        rows = 0

        def residual(xi: Floats) -> Floats:
            nonlocal rows
            rows += 1
            try:
                seen = self.gaps(xi) / noise
            except EvaluationError:
                seen = np.full(noise.size, _REFUSED)
            return seen if self.settings.diffuse else np.concatenate([seen, xi])

        def jacobian(xi: Floats) -> Floats:
            nonlocal rows
            rows += 2 * xi.size + 1
            seen = -self.slopes(xi) * self.chain(xi) / noise[:, np.newaxis]
            return seen if self.settings.diffuse else np.vstack([seen, np.eye(xi.size)])

        to = self.settings.tolerance
        done = least_squares(
            residual,
            start,
            jacobian,
            method="lm",
            x_scale="jac",
            ftol=to,
            xtol=to,
            gtol=to,
            max_nfev=self.settings.evaluations,
        )
        xi = np.asarray(done.x, dtype=np.float64)
        if not done.success:
            here = dict(zip(self.coefficients.names, self.physical(xi).tolist(), strict=True))
            raise CalibrationError(
                f"the search did not converge in {done.nfev} evaluations. It stands at {here}, where the sum of squares"
                f" is {2.0 * done.cost:.6g}; start it nearer, give a narrower prior, or allow more evaluations"
            )
        rows += 1 + 2 * xi.size + 1
        return Minimum(xi, noise_std, self.gaps(xi), self.slopes(xi), rows * self.batch.conditions)
