"""What goes into the filter and what comes out of a step.

Belongs here: frozen values without behaviour, and the time between them.
"""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from twin_assets.estimation.gaussian import Gaussian, frozen
from twin_assets.model import FailedRow, Floats

if TYPE_CHECKING:
    from twin_assets.estimation.adaptive import Pace
    from twin_assets.estimation.affine import Affine
    from twin_assets.estimation.diagnosis import Suspicion
    from twin_assets.estimation.gaussian import Linearized
    from twin_assets.estimation.noise import Noise
    from twin_assets.estimation.reuse import Learnt
    from twin_assets.estimation.update import Evidence

_NS_PER_HOUR = 3_600_000_000_000


@cache
def _chi_square_quantile(dof: int, exceeded: float) -> float:
    from scipy.special import chdtri

    return float(chdtri(dof, exceeded))


@dataclass(frozen=True, eq=False)
class FilterSettings:
    """What the filter is told about the measurements.

    Attributes:
        noise_std: (m,) standard deviations of the measurement noise, units of the model's first m outputs; NaN where
            it is to be estimated (``noise``), infinite for a channel that tells nothing.
        gate_probability: chance that a good observation is refused.
        reuse: whether slopes that the updates before found may be used again (see ``reuse``).
        hold: whether what the measurements do not determine stays at its prior (``hold``).
        resolution: (m,) the smallest step that each channel shows, 0 where that is not known; estimated noise is never
            below its share. None: known of none.
        input_std: (p,) standard deviations of the inputs' errors, new with every observation (``inputs``); 0 where an
            input is taken as exact. None: all are.
        adaptive_drift: whether the coefficients' drift is corrected by what the innovations say of it (``adaptive``).
    """

    noise_std: Floats
    gate_probability: float
    reuse: bool = False
    hold: bool = False
    resolution: Floats | None = None
    input_std: Floats | None = None
    adaptive_drift: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "noise_std", frozen(self.noise_std))
        if self.noise_std.ndim != 1 or (self.noise_std <= 0.0).any():
            raise ValueError(f"noise_std must be (m,), positive, or NaN to be estimated, found {self.noise_std}")
        if not 0.0 < self.gate_probability < 1.0:
            raise ValueError(f"gate_probability must lie between 0 and 1, found {self.gate_probability}")

    @property
    def steps(self) -> Floats:
        """(m,) the resolution, 0 where that is not known."""
        return np.zeros_like(self.noise_std) if self.resolution is None else self.resolution

    def gate(self, channels: int) -> float:
        """What a good innovation of so many channels exceeds as a whole with half the ``gate_probability``."""
        return _chi_square_quantile(channels, self.gate_probability / 2.0)

    def channel_gate(self, channels: int) -> float:
        """What any one of so many good channels adds with the other half, shared among them (Bonferroni)."""
        return _chi_square_quantile(1, self.gate_probability / (2.0 * channels))


@dataclass(frozen=True, eq=False)
class FilterState:
    """What the filter carries from one observation to the next.

    Attributes:
        time_ns: of the last observation, UTC nanoseconds since 1970; None before any.
        posterior: of the unbounded states z (n,).
        learnt: of the model, by the updates before; None where the next one has to look at all of it.
        noise: what is believed of measurement noise that nobody gave; None before any such channel was measured.
        suspicion: what is thought of the sensors (``diagnosis``); None where nobody watches them.
        pace: what is believed of the coefficients' drift, where it is adapted; None before any observation.
    """

    time_ns: int | None
    posterior: Gaussian
    learnt: "Learnt | None" = None
    noise: "Noise | None" = None
    suspicion: "Suspicion | None" = None
    pace: "Pace | None" = None


@dataclass(frozen=True, eq=False)
class Looked:
    """What an observation was held against; all m channels, in noise standard deviations.

    Attributes:
        expected: innovations as they were expected, NaN where missing.
        believed: moments of the coefficients before it.
        model: affine, of all channels.
        noise_std: (m,) by which all is whitened; infinite where it is not known yet.
    """

    expected: "Evidence"
    believed: "Linearized"
    model: "Affine"
    noise_std: Floats


@dataclass(frozen=True, eq=False)
class Step:
    """What one observation did.

    Attributes:
        time_ns: of the observation.
        posterior: of the unbounded states z (n,).
        innovation: (m,) observed minus predicted, model units; NaN where missing, or where the model predicts nothing.
        innovation_std: (m,) its standard deviation, process and measurement noise included; NaN where nothing was
            measured at all, for then the model is not run, and where it cannot be run.
        nis: normalised innovation squared of the accepted channels (of an iterated update the cost of the
            explanation, which has the same law); 0 without any.
        dof: accepted channels.
        reasons: (m,) "" used, "missing", "gated", "model" where the model could not be run, or of a channel that is
            kept out one of ``suspects.SUSPECT``.
        method: "ukf", "reused" (slopes of the updates before), "carried" (points of the updates before), "iterated" or
            "prediction" (nothing was assimilated).
        model_runs: rows evaluated.
        learnt: of the model, for the next update.
        failures: rows that the model could not evaluate, also not on a second try. Where something was assimilated all
            the same, it was without them: degraded.
        noise: what is believed of measurement noise that nobody gave, after the step.
        joint: the posterior together with the inputs that have errors (n + q), those last; None where none has.
        looked: what the observation was held against; None where nothing was. It is not carried on.
        suspicion: what is thought of the sensors, after the step; None where nobody watches them.
        pace: what is believed of the coefficients' drift, after the step, where it is adapted.
    """

    time_ns: int
    posterior: Gaussian
    innovation: Floats
    innovation_std: Floats
    nis: float
    dof: int
    reasons: tuple[str, ...]
    method: str
    model_runs: int
    learnt: "Learnt | None" = None
    failures: tuple[FailedRow, ...] = ()
    noise: "Noise | None" = None
    joint: Gaussian | None = None
    looked: Looked | None = None
    suspicion: "Suspicion | None" = None
    pace: "Pace | None" = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "innovation", frozen(self.innovation))
        object.__setattr__(self, "innovation_std", frozen(self.innovation_std))

    @property
    def state(self) -> FilterState:
        """What the next step starts from."""
        return FilterState(self.time_ns, self.posterior, self.learnt, self.noise, self.suspicion, self.pace)


def elapsed_h(before_ns: int | None, time_ns: int) -> float:
    """Hours from a state to an observation; none before any observation.

    Raises:
        ValueError: when time does not advance.
    """
    if before_ns is None:
        return 0.0
    if time_ns <= before_ns:
        raise ValueError(f"time must advance: the state is of {before_ns} ns, the observation of {time_ns} ns")
    return (time_ns - before_ns) / _NS_PER_HOUR
