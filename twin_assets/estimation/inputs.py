"""Measured inputs that are not exact: unknowns beside the coefficients, known by their measurement, new every time.

What an input is off by moves all channels of an observation together, and the coefficients with them: left out, the
filter takes it for news of the coefficients and believes too much (errors in variables). So the input's true value is
filtered along, with the measured value as its prior and no memory: the error of one observation is not that of the
next. Gate, search and reuse see n + q unknowns instead of n; afterwards the posterior of the coefficients goes on, and
both together (``Step.joint``) are what predictions of that time are made of.

Belongs here: from coefficients to coefficients and inputs, and back. An input that is wrong in the same way for long is
no such unknown: it is a coefficient.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from twin_assets.estimation.affine import Affine
from twin_assets.estimation.bounds import Coefficients
from twin_assets.estimation.gaussian import Gaussian, Linearized, triangular
from twin_assets.estimation.state import Looked, Step
from twin_assets.model import Floats


@dataclass(frozen=True, eq=False)
class NoisyInputs:
    """The q inputs of an observation that have errors.

    Attributes:
        names: of them.
        places: (q,) among the p inputs.
        measured: (q,) values, physical units.
        std: (q,) of their errors.
    """

    names: tuple[str, ...]
    places: NDArray[np.intp]
    measured: Floats
    std: Floats

    @classmethod
    def of(cls, names: tuple[str, ...], inputs: Floats, std: Floats | None) -> Self:
        """Those whose standard deviation is not 0, of p inputs.

        Raises:
            ValueError: on wrong shapes, or what is no standard deviation.
        """
        known = np.zeros(len(names)) if std is None else std
        if known.shape != (len(names),) or not (np.isfinite(known) & (known >= 0.0)).all():
            raise ValueError(f"input_std must be finite, not negative, one for each of {names}, found {known}")
        places = np.flatnonzero(known)
        return cls(tuple(names[place] for place in places.tolist()), places, inputs[places], known[places])

    def coefficients(self, coefficients: Coefficients) -> Coefficients:
        """The n + q unknowns as the filter takes them."""
        if not self.names:
            return coefficients
        q = len(self.names)
        return Coefficients(
            names=(*coefficients.names, *self.names),
            initial=np.concatenate([coefficients.initial, self.measured]),
            initial_std=np.concatenate([coefficients.initial_std, self.std]),
            drift_std_per_sqrt_hour=np.concatenate([coefficients.drift_std_per_sqrt_hour, np.zeros(q)]),
            lower=np.concatenate([coefficients.lower, np.full(q, -np.inf)]),
            upper=np.concatenate([coefficients.upper, np.full(q, np.inf)]),
        )

    def beside(self, states: Gaussian) -> Gaussian:
        """What is believed of n states and the inputs (n + q), before an observation tells of both together."""
        if not self.names:
            return states
        n, q = states.mean.size, len(self.names)
        root = np.zeros((n + q, n + q))
        root[:n, :n], root[n:, n:] = states.root, np.diag(self.std)
        return Gaussian.of_root(np.concatenate([states.mean, self.measured]), root)

    def apart(self, values: Floats, inputs: Floats) -> tuple[Floats, Floats]:
        """Coefficients (k, n) and inputs of values (k, n + q): (k, p), or the same (p,) where all are exact."""
        if not self.names:
            return values, inputs
        conditions = np.tile(inputs, (len(values), 1))
        conditions[:, self.places] = values[:, -len(self.names) :]
        return values[:, : -len(self.names)], conditions

    def parted(self, step: Step) -> Step:
        """A step of n + q unknowns as one of n coefficients: its posterior goes on, and the joint one is kept."""
        if not self.names:
            return step
        posterior, looked = without_last(step.posterior, len(self.names)), step.looked
        looked = None if looked is None else self._of_coefficients(looked)
        return replace(step, posterior=posterior, joint=step.posterior, looked=looked)

    def _of_coefficients(self, looked: Looked) -> Looked:
        """What an observation was held against, in terms of the coefficients: errors of inputs are noise to them."""
        q, believed, model = len(self.names), looked.believed, looked.model
        value = model.value + model.slope[:, -q:] @ (believed.mean[-q:] - model.center[-q:])
        rest = np.vstack([model.rest, (model.slope[:, -q:] * self.std).T])
        states = without_last(believed.source, q)
        return replace(
            looked,
            believed=Linearized(believed.mean[:-q], believed.slope[:-q], believed.rest_var[:-q], states),
            model=Affine(model.center[:-q], value, model.slope[:, :-q], rest),
        )


def without_last(joint: Gaussian, q: int) -> Gaussian:
    """All but the last q of a normal distribution; of a lower triangular root it is the corner, to the bit."""
    n = joint.mean.size - q
    root = joint.root
    corner = root[:n, :n] if not root[:n, n:].any() else triangular(root[:n])
    return Gaussian.of_root(joint.mean[:n], corner)


def last_first(joint: Gaussian, q: int) -> Floats:
    """(n + q, n + q) root of the same covariance whose first q columns are all that depends on the last q.

    The other columns are what is left once those are known (law of total variance).
    """
    if not q:
        return joint.root
    n = joint.mean.size - q
    order = np.concatenate([np.arange(n, n + q), np.arange(n)])
    root = np.empty_like(joint.root)
    root[order] = triangular(joint.root[order])
    return root


EXACT = NoisyInputs((), np.empty(0, dtype=np.intp), np.empty(0), np.empty(0))
"""No input has an error."""
