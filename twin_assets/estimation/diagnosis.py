"""Sensor or plant? What is thought of the sensors, and what is done about it.

A channel that is accused (``hypotheses``, ``Runs``) is kept out of the updates from the next observation on; its
innovations go on being computed. It is let in again when it has behaved for so many observations; for twice as many
after each time that it was let in before, so that it does not flap. At most a third of the channels is kept out.

What was estimated with it is believed less: where the channel has led the estimate, variance is added. The rest of the
channels then finds out. So it does where a coefficient moves faster than its drift allows: the filter shall follow.

Noise that is estimated (``noise``) is not judged here: where it grows, that is found there, and the channel goes on
with what it is worth. A channel that is kept out teaches nothing of its noise.

Belongs here: one step after another. It runs no model.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from twin_assets.estimation.bounds import Coefficients
from twin_assets.estimation.gaussian import frozen
from twin_assets.estimation.hypotheses import MARGIN, Finding, judged
from twin_assets.estimation.inputs import without_last
from twin_assets.estimation.parity import alone, expected_std, innovations, seen
from twin_assets.estimation.runs import Runs, met, stuck
from twin_assets.estimation.state import FilterState, Looked, Step
from twin_assets.estimation.suspects import SENSOR_KINDS, SUSPECT, Suspect, doubted, freed, named, tried
from twin_assets.estimation.window import Window, extended
from twin_assets.model import Floats

# At most this part of the channels is kept out.
_SHARE = 1.0 / 3.0


@dataclass(frozen=True, eq=False)
class Watch:
    """What the sensors are judged by, beside their innovations.

    Attributes:
        channels: names of all m.
        ends: (m, 2) ends of the valid ranges, channels' units; infinite or NaN where there is none.
        resolution: (m,) smallest step that each channel shows, 0 where that is not known.
        estimated: (m,) bool, channels whose noise is estimated.
    """

    channels: tuple[str, ...]
    ends: Floats
    resolution: Floats
    estimated: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "ends", frozen(self.ends))
        object.__setattr__(self, "resolution", frozen(self.resolution))


@dataclass(frozen=True, eq=False)
class Suspicion:
    """What is thought of m sensors.

    Attributes:
        channels: their names.
        window: the recent observations of those that are not kept out.
        runs: values that repeat.
        suspects: by place.
        let_in: (m,) how often each was let in again.
        finding: what explains the window best; None if it asks for no explanation.
    """

    channels: tuple[str, ...]
    window: Window
    runs: Runs
    suspects: tuple[Suspect, ...] = ()
    let_in: tuple[int, ...] = field(default=())
    finding: Finding | None = None

    @classmethod
    def none(cls, channels: tuple[str, ...], coefficients: int) -> "Suspicion":
        """Before any observation."""
        m = len(channels)
        return cls(channels, Window.empty(m, coefficients), Runs.none(m), (), (0,) * m)

    @property
    def out(self) -> np.ndarray:
        """(m,) bool, the channels that are kept out."""
        found = np.zeros(len(self.channels), dtype=bool)
        found[[suspect.finding.channel for suspect in self.suspects]] = True
        return found

    @property
    def follows(self) -> Finding | None:
        """That a coefficient moved, where the filter is to follow with the observation that was judged last.

        Where it may have been a sensor as well the coefficient wins: wear must not be explained away.
        """
        found = self.finding
        follows = found is not None and found.coefficient >= 0 and found.ratio >= MARGIN and self.window.to_be_judged
        return found if follows else None

    def fits(self, channels: tuple[str, ...], coefficients: int) -> bool:
        """Whether it is about these."""
        return self.channels == channels and self.window.reach.shape[1] == coefficients


def watched(
    state: FilterState,
    observation: Floats,
    coefficients: Coefficients,
    watch: Watch,
    step: Callable[[FilterState, Floats], Step],
) -> Step:
    """A step of a filter whose sensors are watched.

    Args:
        state: before it.
        observation: (m,) NaN where missing.
        coefficients: n of them.
        watch: what is known of the sensors.
        step: the filter's, from the state and what of the observation it shall believe.
    """
    before, channels = state.suspicion, watch.channels
    if before is None or not before.fits(channels, len(coefficients.names)):
        before = Suspicion.none(channels, len(coefficients.names))
    out = before.out & np.isfinite(observation)
    done = step(replace(state, suspicion=None), np.where(out, np.nan, observation))
    looked = done.looked
    if looked is None:
        # With nothing else measured the model was not run; where it could not be, that is the reason.
        if "model" in done.reasons:
            reasons = np.where(out, "model", done.reasons).tolist()
            return replace(done, reasons=tuple(reasons), suspicion=before)
        return replace(_excused(done, before, out), suspicion=before)
    residual = innovations(looked, observation)
    if out.any():
        done = _told(_excused(done, before, out), out, residual, looked)
    if done.method == "iterated":
        # The slopes were others on the way; what was seen before says nothing about what is behind a kink.
        empty = Suspicion.none(channels, len(coefficients.names))
        return replace(done, suspicion=replace(before, window=empty.window, runs=empty.runs, finding=None))
    after = _learnt(before, done, observation, residual, looked, coefficients, watch)
    new = [suspect for suspect in after.suspects if suspect.finding.channel not in _places(before)]
    # Together with inputs that have errors, whose errors stay what they are.
    believed = done.posterior if done.joint is None else done.joint
    for suspect in new:
        believed = doubted(believed, suspect, looked, coefficients)
    if after.follows is not None:
        believed = freed(believed, after.follows, looked)
        after = replace(after, window=after.window.moved_on())
    if done.joint is None:
        return replace(done, posterior=believed, suspicion=after)
    posterior = without_last(believed, believed.mean.size - done.posterior.mean.size)
    return replace(done, posterior=posterior, joint=believed, suspicion=after)


def changed(before: Suspicion | None, after: Suspicion) -> bool:
    """Whether other channels are kept out than before, or the estimate was made less sure: earlier updates are over."""
    return after.follows is not None or _places(after) != (set() if before is None else _places(before))


def _excused(done: Step, before: Suspicion, out: np.ndarray) -> Step:
    """The step with the reasons of those that were kept out."""
    reasons = list(done.reasons)
    for suspect in before.suspects:
        if out[suspect.finding.channel]:
            reasons[suspect.finding.channel] = SUSPECT[suspect.finding.kind]
    return replace(done, reasons=tuple(reasons))


def _told(done: Step, out: np.ndarray, residual: Floats, looked: Looked) -> Step:
    """The step with the innovations of those that were kept out."""
    scale = np.where(np.isfinite(looked.noise_std), looked.noise_std, np.nan)
    innovation = np.where(out, residual * scale, done.innovation)
    return replace(
        done,
        innovation=innovation,
        innovation_std=np.where(out, expected_std(looked), done.innovation_std),
    )


def _places(suspicion: Suspicion) -> set[int]:
    return {suspect.finding.channel for suspect in suspicion.suspects}


def _learnt(
    before: Suspicion,
    done: Step,
    observation: Floats,
    residual: Floats,
    looked: Looked,
    coefficients: Coefficients,
    watch: Watch,
) -> Suspicion:
    """What is thought after an observation that was compared."""
    measured = np.isfinite(residual)
    inside = measured & ~before.out
    used = measured & (np.array(done.reasons) == "")
    window, one = before.window, None
    if inside.any():
        one = seen(looked, residual, inside, used, coefficients.initial_std)
        each = alone(one, looked, residual, used, coefficients.initial_std)
        window = extended(window, done, one, each, looked.believed.cov, used)
    values = np.where(measured, observation, np.nan)
    runs = met(before.runs, done.time_ns, values, looked.noise_std, watch.resolution, watch.ends, one)
    suspects = tuple(
        tried(each, before.let_in[each.finding.channel], runs, used, residual, looked, coefficients)
        for each in before.suspects
    )
    good = [suspect.finding.channel for suspect, kept in zip(before.suspects, suspects, strict=True) if kept is None]
    let_in = tuple(count + (place in good) for place, count in enumerate(before.let_in)) if good else before.let_in
    kept = tuple(suspect for suspect in suspects if suspect is not None)
    after = replace(before, window=window, runs=runs, suspects=kept, let_in=let_in, finding=None)
    afresh = Window.empty(len(before.channels), len(coefficients.names))
    if good:
        return replace(after, window=afresh)
    most = int(_SHARE * len(before.channels)) - len(kept)
    finding = stuck(runs, inside, residual, most)
    if finding is None:
        finding = judged(window, watch.estimated, len(kept), most) if window.to_be_judged else before.finding
    if finding is None or finding.kind not in SENSOR_KINDS or not finding.decided:
        return replace(after, finding=finding)
    accused = Suspect(named(finding, runs, looked), done.time_ns)
    return replace(after, window=afresh, suspects=(*kept, accused))
