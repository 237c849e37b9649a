"""The model near coefficients at which it was run already: parabolas along the axes of what was believed there.

Belongs here: for whom it is good enough, and what it then says. It serves predictions, which are many and near to each
other; updates have their own affine model (``affine``), with an error that they have to know.
"""

from dataclasses import dataclass

import numpy as np

from twin_assets.estimation.affine import Cloud, cloud
from twin_assets.estimation.bounds import Coefficients, physical
from twin_assets.estimation.gaussian import Gaussian, sigma_radius
from twin_assets.estimation.marginals import Z_95
from twin_assets.model import Floats

# How far what is believed may have moved, in its former standard deviations, and how wide it may have become.
_MOVED, _NARROWER, _WIDER = 1.0, 0.5, 1.25


def surroundings(posterior: Gaussian, coefficients: Coefficients) -> Cloud:
    """The points at which predictions from a posterior look: along its axes, at the ends of the 95 % interval.

    Args:
        posterior: of the unbounded states (n,).
        coefficients: bounds; no point is beyond one.
    """
    wide = Gaussian.of_root(posterior.mean, _reach(posterior.mean.size) * posterior.root)
    return cloud(physical(wide, coefficients), coefficients)


def is_near(drawn: Cloud, posterior: Gaussian, coefficients: Coefficients) -> bool:
    """Whether predictions from a posterior look where the model was run, and not on a much smaller scale."""
    other = surroundings(posterior, coefficients)
    moved = np.abs(np.linalg.solve(drawn.root, other.points[0] - drawn.points[0])).max()
    widths = np.linalg.svd(np.linalg.solve(drawn.root, other.root), compute_uv=False)
    moved *= _reach(posterior.mean.size)
    return bool(moved <= _MOVED and widths.max() <= _WIDER and widths.min() >= _NARROWER)


@dataclass(frozen=True, eq=False)
class Nearby:
    """What the model says near points at which it was run.

    Attributes:
        drawn: the points (2n+1, n).
        outputs: (2n+1, m) there.
    """

    drawn: Cloud
    outputs: Floats

    def at(self, values: Floats) -> Floats:
        """(k, m) outputs of coefficients (k, n): exact at the points, and along an axis if quadratic there."""
        center, n = self.drawn.points[0], len(self.drawn.root)
        far = np.linalg.solve(self.drawn.root, (self.drawn.points[1:] - center).T)
        ahead, behind = np.diag(far)[:, np.newaxis], -np.diag(far[:, n:])[:, np.newaxis]
        rises = self.outputs[1:] - self.outputs[0]
        up, down = rises[:n] / ahead, rises[n:] / behind
        bend = (up + down) / (ahead + behind)
        slope = up - bend * ahead
        ways = np.linalg.solve(self.drawn.root, (values - center).T).T
        return np.asarray(self.outputs[0] + ways @ slope + ways**2 @ bend, dtype=np.float64)


def _reach(n: int) -> float:
    """Standard deviations that a cloud has to be drawn from for its points to lie at the ends of the 95 % interval."""
    return Z_95 / sigma_radius(n)
