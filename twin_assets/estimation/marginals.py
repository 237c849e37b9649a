"""What people read: values with a standard deviation and a 95 % interval.

Belongs here: from the posterior of the unbounded states to coefficients and outputs in physical units.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from twin_assets.estimation.bounds import Coefficients, physical, to_physical
from twin_assets.estimation.evaluation import Runs, check
from twin_assets.estimation.gaussian import Gaussian, frozen
from twin_assets.estimation.inputs import NoisyInputs, last_first
from twin_assets.estimation.mending import mended
from twin_assets.model import EvaluationError, FailedRow, Floats, PredictiveModel, told

Z_95 = 1.959963984540054
"""The standard normal quantile of 97.5 %."""


@dataclass(frozen=True, eq=False)
class Marginals:
    """Quantities one by one, physical units.

    Attributes:
        mean: (q,).
        std: (q,).
        lower: (q,) 2.5 % quantiles.
        upper: (q,) 97.5 % quantiles.
        failures: rows that the model could not evaluate for them, and that were done without.
    """

    mean: Floats
    std: Floats
    lower: Floats
    upper: Floats
    failures: tuple[FailedRow, ...] = ()

    def __post_init__(self) -> None:
        for name in ("mean", "std", "lower", "upper"):
            object.__setattr__(self, name, frozen(getattr(self, name)))


@dataclass(frozen=True, eq=False)
class Predictions(Marginals):
    """Outputs one by one, and what their uncertainty comes from: std^2 is the sum of the squares of its parts.

    Attributes:
        std_coefficients: (q,) what would be left if the inputs were known exactly.
        std_inputs: (q,) what of it the errors of the inputs make: directly, and by what they did to the coefficients
            in this update. 0 where no input has an error.
        std_discrepancy: (q,) by how much the plant differs from the calibrated model; NaN where nobody states it, and
            then it is in neither std nor interval.
    """

    std_coefficients: Floats = field(kw_only=True)
    std_inputs: Floats = field(kw_only=True)
    std_discrepancy: Floats = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("std_coefficients", "std_inputs", "std_discrepancy"):
            object.__setattr__(self, name, frozen(getattr(self, name)))

    def differing(self, std: Floats) -> "Predictions":
        """The same of a plant that differs from the model by so much (q,), NaN where nobody states it.

        Kennedy and O'Hagan (2001, *Bayesian calibration of computer models*) call that model inadequacy: what is left
        between the process and the model at the true values of its coefficients and inputs. It is taken as independent
        of both, and added in quadrature, to the interval's arms as well.
        """
        known = np.nan_to_num(std, nan=0.0)
        arms = (np.hypot(arm, Z_95 * known) for arm in (self.mean - self.lower, self.upper - self.mean))
        lower, upper = (self.mean + sign * arm for sign, arm in zip((-1.0, 1.0), arms, strict=True))
        return replace(
            self,
            std=np.hypot(self.std, known),
            # Where there is none nothing is rounded.
            lower=np.where(known > 0.0, lower, self.lower),
            upper=np.where(known > 0.0, upper, self.upper),
            std_discrepancy=std,
        )


class UnpredictableError(EvaluationError):
    """The model cannot be run where the coefficients are believed to be; elsewhere it may.

    Attributes:
        failures: the rows that it could not evaluate, at least one.
    """

    def __init__(self, failures: tuple[FailedRow, ...]) -> None:
        super().__init__(f"where a prediction needs it, the model fails: {told(failures)}", failures[0].coefficients)
        self.failures = failures


def coefficient_marginals(posterior: Gaussian, coefficients: Coefficients) -> Marginals:
    """The coefficients and their intervals, asymmetric and within the bounds.

    Mean and standard deviation are integrated by Gauss-Hermite quadrature. The clamp is monotone, so the quantiles are
    those of the state, mapped: see ``_outermost``.

    Args:
        posterior: of the unbounded states (n,).
        coefficients: bounds.
    """
    moments = physical(posterior, coefficients)
    reach = Z_95 * posterior.std
    lower, upper = _outermost(posterior.mean + np.array([-reach, reach]), posterior, coefficients)
    return Marginals(moments.mean, moments.std, lower, upper)


def predict_outputs(
    posterior: Gaussian,
    inputs: Floats,
    model: PredictiveModel,
    coefficients: Coefficients,
    input_std: Floats | None = None,
) -> Predictions:
    """All outputs of the calibrated model, measured and virtual, from the posterior's own sigma points.

    Mean and standard deviation are those of the second-order divided difference transform (Norgaard, Poulsen and Ravn
    2000). Its interval length is the 97.5 % quantile, so that along each axis of the posterior the points are the ends
    of the 95 % interval themselves. Rises and falls from the output at the posterior's mean are added up separately, in
    quadrature: a linear output gets its exact interval, one that hangs on a single axis monotonically its exact
    quantiles, and what can only grow (a slip velocity from zero) no lower limit below where it stands.

    Args:
        posterior: of the unbounded states (n,); with inputs that have errors of both together (``Step.joint``), or of
            the states alone where nothing was assimilated.
        inputs: (p,) operating conditions, finite.
        model: whose coefficients are ``coefficients.names``, in order.
        coefficients: bounds.
        input_std: (p,) standard deviations of the inputs' errors, 0 for none; None: all are exact.

    Returns:
        Of all m model outputs; the interval is of the output itself, without measurement noise. Where a model that can
        tell it failed at some of the points, they are made up from what is left (``mending``); ``failures`` says so.

    Raises:
        ValueError: on wrong shapes or names.
        UnpredictableError: when too little is left: nothing is said about any output then.
        EvaluationError: when the model cannot be evaluated at all, or cannot tell where it fails.
    """
    check(model, inputs, coefficients)
    noisy = NoisyInputs.of(model.inputs, inputs, input_std)
    unknowns = noisy.coefficients(coefficients)
    believed = noisy.beside(posterior) if posterior.mean.size == len(coefficients.names) else posterior
    if believed.mean.size != len(unknowns.names):
        raise ValueError(f"a posterior of {believed.mean.size} unknowns was given; expected those of {unknowns.names}")
    states = believed.mean + Z_95 * _axes(last_first(believed, len(noisy.names)))
    runs = Runs(model, inputs, noisy=noisy)

    def run(states: Floats) -> Floats:
        return runs(_outermost(states, believed, unknowns))

    outputs = mended(states, run(states), run)
    if outputs is None:
        raise UnpredictableError(runs.failures)
    return _summed(outputs, len(noisy.names), runs.failures)


def _summed(outputs: Floats, inputs: int, failures: tuple[FailedRow, ...]) -> Predictions:
    """What the ends of the axes say together.

    Args:
        outputs: (2n+1, m) in the center, then at both ends of n axes.
        inputs: how many of the axes, the first ones, are all that hangs on the inputs.
        failures: to be told.
    """
    here, (ahead, behind) = outputs[0], (outputs[1:] - outputs[0]).reshape(2, len(outputs) // 2, -1)
    linear, bend = (ahead - behind) / (2.0 * Z_95), (ahead + behind) / (2.0 * Z_95**2)
    mean, variances = here + bend.sum(axis=0), linear**2 + 2.0 * bend**2
    rise = np.sqrt((np.maximum(np.maximum(ahead, behind), 0.0) ** 2).sum(axis=0))
    fall = np.sqrt((np.minimum(np.minimum(ahead, behind), 0.0) ** 2).sum(axis=0))
    return Predictions(
        mean=mean,
        std=np.sqrt(variances.sum(axis=0)),
        lower=np.minimum(here - fall, mean),
        upper=np.maximum(here + rise, mean),
        failures=failures,
        std_coefficients=np.sqrt(variances[inputs:].sum(axis=0)),
        std_inputs=np.sqrt(variances[:inputs].sum(axis=0)),
        std_discrepancy=np.full(mean.size, np.nan),
    )


def _outermost(states: Floats, posterior: Gaussian, coefficients: Coefficients) -> Floats:
    """(k, n) coefficients of states (k, n), those at the ends of an interval farther out than the clamp has them.

    The clamp bends before a bound; nature does not. A coefficient that crawls along its bound is nearer to it than a
    state says that lies within the bend. So an end of an interval is midway between where the clamp has it and where a
    clamp without a bend would, if that is farther out; less far out, the difference counts in proportion. (Without it
    intervals hold such a coefficient 89 to 92 % of the time, with all of the difference 97 to 99 %.)
    """
    reach = Z_95 * posterior.std
    ends = posterior.mean + np.array([-reach, reach])
    beyond = (np.clip(ends, coefficients.lower, coefficients.upper) - to_physical(ends, coefficients)) / 2.0
    below, above = np.minimum(beyond[0], 0.0), np.maximum(beyond[1], 0.0)
    share = (states - posterior.mean) / reach
    values = to_physical(states, coefficients) + np.maximum(-share, 0.0) * below + np.maximum(share, 0.0) * above
    return np.asarray(np.clip(values, coefficients.lower, coefficients.upper), dtype=np.float64)


def _axes(root: Floats) -> Floats:
    """(2n+1, n) zero, then the columns of a covariance's root (n, n), there and back."""
    return np.vstack([np.zeros((1, len(root))), root.T, -root.T])
