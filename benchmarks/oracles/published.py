"""Published numbers beside ours: a regression with its covariance, and a time series with its variances.

The Nile's flow is filtered by ``filter_step``, a year to an hour.
"""

from dataclasses import dataclass

import numpy as np

from oracles.closed_form import ClosedForm, free
from twin_assets.estimation import (
    Batch,
    Coefficients,
    FilterSettings,
    StaticCalibration,
    StaticSettings,
    Step,
    calibrate_static,
    filter_step,
    prior,
)
from twin_assets.model import Floats

HOUR_NS = 3_600_000_000_000

# Rooney and Biegler (2001), the example of Pyomo's parmest: hour, and response to y = asymptote (1 - exp(-rate hour)).
# The covariance is that of Gauss and Newton with the noise's variance SSE / (n - l), as parmest takes it.
ROONEY_BIEGLER = np.array([[1.0, 8.3], [2.0, 10.3], [3.0, 19.0], [4.0, 16.0], [5.0, 15.6], [7.0, 19.8]])
ROONEY_BIEGLER_ESTIMATE = np.array([19.1426, 0.5311])
ROONEY_BIEGLER_COV = np.array([[6.230, -0.4323], [-0.4323, 0.04124]])

# Annual flow of the Nile at Aswan, 1871-1970, 1e8 m3 (Cobb 1978).
# fmt: off
NILE = np.array([
    1120, 1160, 963, 1210, 1160, 1160, 813, 1230, 1370, 1140, 995, 935, 1110, 994, 1020, 960, 1180, 799, 958, 1140,
    1100, 1210, 1150, 1250, 1260, 1220, 1030, 1100, 774, 840, 874, 694, 940, 833, 701, 916, 692, 1020, 1050, 969,
    831, 726, 456, 824, 702, 1120, 1100, 832, 764, 821, 768, 845, 864, 862, 698, 845, 744, 796, 1040, 759,
    781, 865, 845, 944, 984, 897, 822, 1010, 771, 676, 649, 846, 812, 742, 801, 1040, 860, 874, 848, 890,
    744, 749, 838, 1050, 918, 986, 797, 923, 975, 815, 1020, 906, 901, 1170, 912, 746, 919, 718, 714, 740,
], dtype=float)
# fmt: on
# Durbin and Koopman (2012), chapter 2: the most likely variances of the local level model, and the path of their
# maximization in table 2.1: ratio of the variances, concentrated diffuse log-likelihood without its constants.
NILE_NOISE_VAR, NILE_LEVEL_VAR = 15099.0, 1469.1
NILE_TABLE_2_1 = ((1.0, -495.68), (0.0360, -492.53), (0.0745, -492.10), (0.0973, -492.07))
# For a first level that is not known at all; the filter wants a number.
DIFFUSE_VAR = 1e7
_NEVER_GATED = 1e-300


def rooney_biegler() -> StaticCalibration:
    """Maximum likelihood; the noise is estimated."""
    names = ("asymptote", "rate")

    def evaluate(values: Floats, hour: Floats) -> Floats:
        return values[:, :1] * (1.0 - np.exp(-values[:, 1:] * hour))

    return calibrate_static(
        ClosedForm(evaluate, names, ("response",), ("hour",)),
        Batch(ROONEY_BIEGLER[:, :1], ROONEY_BIEGLER[:, 1:]),
        free(names, np.array([15.0, 0.5]), np.array([15.0, 0.5])),
        StaticSettings(diffuse=True),
    )


def nile_level(level_var: float) -> Coefficients:
    """The level as a coefficient, of which nothing is known at first."""
    return Coefficients(
        ("level",),
        np.zeros(1),
        np.sqrt([DIFFUSE_VAR]),
        np.sqrt([level_var]),
        np.array([-np.inf]),
        np.array([np.inf]),
    )


def nile(noise_var: float, level_var: float) -> list[Step]:
    """The local level model: a coefficient that is measured as it is, and walks."""
    coefficients = nile_level(level_var)
    model = ClosedForm(lambda values, _: values, ("level",), ("flow",))
    settings = FilterSettings(np.sqrt([noise_var]), _NEVER_GATED)
    state, steps = prior(coefficients), []
    for year, flow in enumerate(NILE):
        step = filter_step(state, year * HOUR_NS, np.array([flow]), np.empty(0), model, coefficients, settings)
        state = step.state
        steps.append(step)
    return steps


def log_likelihood(steps: list[Step]) -> float:
    """Diffuse: of all innovations but the first, which the unknown level takes up (Durbin and Koopman 2012, 7.2.2)."""
    return -0.5 * sum(float(np.log(2.0 * np.pi * step.innovation_std[0] ** 2)) + step.nis for step in steps[1:])


@dataclass(frozen=True)
class Concentrated:
    """The likelihood of a ratio of variances, maximized over the noise's.

    Attributes:
        value: logarithm without constants, as in table 2.1.
        noise_var: the most likely one.
    """

    value: float
    noise_var: float


def concentrated(ratio: float) -> Concentrated:
    """From the innovations of a filter whose variances have that ratio (Durbin and Koopman 2012, section 2.10.2)."""
    # The filter's gain hangs on the ratio alone. This scale keeps the innovations from being too surprising.
    scale = 1e4
    steps = nile(scale, ratio * scale)[1:]
    part = sum(step.nis for step in steps) / len(steps)
    log_dets = sum(float(np.log(step.innovation_std[0] ** 2 / scale)) for step in steps)
    return Concentrated(-0.5 * (len(steps) * float(np.log(part * scale)) + log_dets), part * scale)


def most_likely_nile() -> tuple[float, float]:
    """Variances of noise and level where the likelihood is largest."""
    from scipy.optimize import minimize_scalar

    best = minimize_scalar(
        lambda log_ratio: -concentrated(float(np.exp(log_ratio))).value, bounds=(-5.0, 0.0), method="bounded"
    )
    ratio = float(np.exp(best.x))
    noise_var = concentrated(ratio).noise_var
    return noise_var, ratio * noise_var
