"""Sensor or plant: which of both is said, when, and what is done about it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from twin_assets.estimation import Coefficients, FilterSettings, FilterState, Step, filter_step, prior
from twin_assets.estimation.diagnosis import Suspicion, Watch, watched
from twin_assets.estimation.suspects import SUSPECT
from twin_assets.model import Floats, PredictiveModel

HOUR_NS = 3_600_000_000_000
BEGIN, END, STEPS = 60, 120, 170
NOISE, DRIFT = 0.1, 0.05
MIX = np.random.default_rng(5).normal(size=(6, 3))
Spoil = Callable[[Floats, np.random.Generator], Floats]
MakeModel = Callable[[Callable[[Floats], Floats], int, int], PredictiveModel]
MakeCoefficients = Callable[..., Coefficients]


def bent(b: Floats) -> Floats:
    """(k, 6) of (k, 3), a little curved: the coefficients leave three directions unexplained."""
    seen = b @ MIX.T
    return np.asarray(seen + 0.02 * seen**2, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Life:
    """Steps and truth (s, n)."""

    steps: list[Step]
    truth: Floats

    def suspicion(self, at: int) -> Suspicion:
        """After an observation."""
        found = self.steps[at].suspicion
        assert found is not None
        return found

    @property
    def accused(self) -> set[int]:
        """Channels that were ever kept out."""
        return {each.finding.channel for at in range(len(self.steps)) for each in self.suspicion(at).suspects}

    @property
    def said(self) -> set[str]:
        """Kinds of all findings that were no sensor's."""
        found = [self.suspicion(at).finding for at in range(len(self.steps))]
        return {one.kind for one in found if one is not None}

    def first(self, channel: int) -> int:
        """The observation after which a channel is kept out."""
        return next(at for at in range(len(self.steps)) if self.suspicion(at).out[channel])


Live = Callable[..., Life]


@pytest.fixture
def live(make_model: MakeModel, make_coefficients: MakeCoefficients) -> Live:
    """(seed, and what may be otherwise) -> one life of six channels and three coefficients."""

    def go(  # noqa: PLR0913 - what may be otherwise
        seed: int,
        *,
        spoil: dict[int, Spoil] | None = None,
        worn: float = 0.0,
        truly: Callable[[Floats], Floats] | None = None,
        missing: float = 0.0,
        given: bool = True,
        of: Callable[[Floats], Floats] = bent,
        size: tuple[int, int] = (3, 6),
        drift: float = DRIFT,
        noise: float = NOISE,
        steps: int = STEPS,
        until: int = END,
        watch: bool = True,
    ) -> Life:
        n, m = size
        rng, model, coefficients = np.random.default_rng(seed), make_model(of, n, m), make_coefficients(n, drift=drift)
        truth = np.cumsum(np.vstack([rng.normal(size=n), drift * rng.normal(size=(steps - 1, n))]), axis=0)
        truth[:, -1] += worn * np.clip((np.arange(steps) - BEGIN) / 50, 0.0, 1.0)
        values = (truly or of)(truth) + noise * rng.normal(size=(steps, m))
        for channel, change in (spoil or {}).items():
            values[BEGIN:until, channel] = change(values[BEGIN:until, channel], rng)
        values[rng.random(values.shape) < missing] = np.nan
        settings = FilterSettings(np.full(m, NOISE if given else np.nan), 1e-4, reuse=True)
        seen = Watch(model.outputs[:m], np.full((m, 2), np.nan), np.zeros(m), np.full(m, not given))
        state, done = prior(coefficients), []
        for at, observation in enumerate(values):

            def step(before: FilterState, believed: Floats, time_ns: int = at * HOUR_NS) -> Step:
                return filter_step(before, time_ns, believed, np.empty(0), model, coefficients, settings)

            done.append(watched(state, observation, coefficients, seen, step) if watch else step(state, observation))
            state = done[-1].state
        return Life(done, truth)

    return go


def offset(sigmas: float) -> Spoil:
    """Off by so many standard deviations of the noise."""
    return lambda values, _: values + sigmas * NOISE


def noisy(times: float) -> Spoil:
    """So many times as noisy."""
    return lambda values, rng: values + NOISE * np.sqrt(times**2 - 1.0) * rng.normal(size=values.size)


def stuck(values: Floats, _: np.random.Generator) -> Floats:
    """What was read first, over and over."""
    return np.full_like(values, values[0])


def dead(values: Floats, _: np.random.Generator) -> Floats:
    """Nothing."""
    return np.zeros_like(values)


@pytest.mark.parametrize("seed", [1, 4, 5])
@pytest.mark.parametrize(
    ("kind", "spoil", "within"),
    [
        ("bias", offset(3.0), 45),
        ("bias", offset(10.0), 25),
        ("bias", offset(-300.0), 25),
        ("noisy", noisy(5.0), 30),
        ("noisy", noisy(50.0), 25),
    ],
)
def test_a_fault_is_recognised_and_over_when_it_is_over(
    live: Live, kind: str, spoil: Spoil, within: int, seed: int
) -> None:
    """The channel and nothing else is kept out in time, has the right name in the end, and is let in 23 to 50 later."""
    channel = seed % 3
    life = live(seed, spoil={channel: spoil})
    assert life.accused == {channel}
    assert BEGIN <= life.first(channel) < BEGIN + within
    (suspect,) = life.suspicion(END - 1).suspects
    assert suspect.finding.kind == kind
    reasons = [step.reasons[channel] for step in life.steps]
    assert reasons[END - 1] == SUSPECT[suspect.finding.kind]
    again = END + reasons[END:].index("")
    assert END + 18 <= again <= END + 50


def test_a_stuck_channel_is_found_once_it_should_have_moved(live: Live) -> None:
    """It reads one value, sharp to the last digit, while the coefficients wander off: stuck, from its first reading."""
    life = live(1, spoil={1: stuck}, drift=0.2)
    assert life.accused == {1}
    (suspect,) = life.suspicion(END - 1).suspects
    assert suspect.finding.kind == "stuck"
    assert suspect.finding.since_ns == BEGIN * HOUR_NS


def test_a_machine_at_rest_repeats_itself(live: Live) -> None:
    """All channels read the same to the last digit, as the model says they should: none of them is stuck."""
    life = live(1, drift=0.0, noise=0.0)
    assert life.suspicion(STEPS - 1).runs.length.min() == STEPS
    assert (life.accused, life.said) == (set(), set())


def test_a_dead_channel_is_called_dead(live: Live) -> None:
    """It reads 0 where the model, by all other channels, expects 1 to 3: twenty standard deviations and more."""

    def far(b: Floats) -> Floats:
        return bent(b) + np.where(np.arange(6) == 1, 5.0, 0.0)

    life = live(0, spoil={1: dead}, of=far)
    (suspect,) = life.suspicion(END - 1).suspects
    assert (suspect.finding.kind, suspect.finding.channel) == ("dead", 1)
    assert life.steps[END - 1].reasons[1] == "suspect: dead"


def test_onset_and_size_are_told(live: Live) -> None:
    """An offset of three standard deviations: its size to a quarter, its beginning to eight observations."""
    life = live(1, spoil={2: offset(3.0)})
    finding = life.suspicion(life.first(2)).suspects[0].finding
    assert finding.size == pytest.approx(0.3, rel=0.35)
    assert abs(finding.since_ns / HOUR_NS - BEGIN) <= 8
    assert finding.ratio >= 5.0


def test_innovations_go_on_while_it_is_kept_out(live: Live) -> None:
    """They show the offset, and what the filter expects of them covers the noise."""
    life = live(1, spoil={2: offset(8.0)})
    out = [step for step in life.steps[:END] if step.reasons[2] == "suspect: bias"]
    assert len(out) > 30
    assert np.mean([step.innovation[2] for step in out]) == pytest.approx(0.8, abs=0.1)
    assert all(0.1 <= step.innovation_std[2] < 0.5 for step in out)
    assert all(step.dof == 5 for step in out)


@pytest.mark.slow
def test_leaving_it_out_is_worth_it(live: Live) -> None:
    """Over ten seeds of an offset of three standard deviations the error falls by a fifth at least."""
    errors = np.zeros(2)
    for seed in range(10):
        for place, watch in enumerate((False, True)):
            life = live(seed, spoil={seed % 3: offset(3.0)}, watch=watch)
            means = np.array([step.posterior.mean for step in life.steps[BEGIN:END]])
            errors[place] += ((means - life.truth[BEGIN:END]) ** 2).mean()
    assert np.sqrt(errors[1] / errors[0]) < 0.8


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("worn", [2.0, 5.0, 10.0])
def test_wear_is_never_a_sensor(live: Live, worn: float, seed: int) -> None:
    """A coefficient that gains up to ten prior standard deviations in fifty observations, four times its drift."""
    life = live(seed, worn=worn)
    assert life.accused == set()
    assert life.said <= {"moved", "model"}


def test_fast_wear_is_said_and_followed(live: Live) -> None:
    """Ten prior standard deviations: which coefficient it is is told, and it ends where the truth is."""
    life = live(1, worn=10.0)
    told = [life.suspicion(at).finding for at in range(BEGIN, BEGIN + 60)]
    assert {one.coefficient for one in told if one is not None and one.kind == "moved"} == {2}
    last = life.steps[-1].posterior
    assert np.abs((last.mean - life.truth[-1]) / last.std).max() < 4.0
    errors = np.zeros(2)
    for seed in range(6):
        for place, watch in enumerate((False, True)):
            life = live(seed, worn=10.0, watch=watch)
            means = np.array([step.posterior.mean for step in life.steps[BEGIN:END]])
            errors[place] += ((means - life.truth[BEGIN:END]) ** 2).mean()
    assert np.sqrt(errors[1] / errors[0]) < 0.5


@pytest.mark.parametrize("seed", range(4))
def test_a_wrong_model_is_the_model(live: Live, seed: int) -> None:
    """All six outputs are others than the model says: no sensor is accused for long, the model is named."""

    def other(b: Floats) -> Floats:
        seen = b @ MIX.T
        return bent(b) + 0.5 * np.sin(1.5 * seen) + 0.3 * np.cos(np.arange(6))

    life = live(seed, truly=other)
    named = [life.suspicion(at).finding for at in range(20, STEPS)]
    assert np.mean([one is not None and one.kind == "model" for one in named]) > 0.7
    assert np.mean([life.suspicion(at).out.sum() for at in range(STEPS)]) < 0.35


@pytest.mark.parametrize("seed", range(6))
def test_a_sensor_far_off_for_a_few_observations_accuses_no_model(live: Live, seed: int) -> None:
    """A million standard deviations off: gated, which says little of the sensor at first, but nothing of the model."""
    for observations in (5, 6, 7, 8):
        life = live(seed, spoil={2: offset(1e6)}, until=BEGIN + observations)
        assert "model" not in life.said


@pytest.mark.slow
def test_all_well_is_nothing_to_say(live: Live) -> None:
    """Twenty lives of 170 observations, a tenth of the values missing: nobody is accused, nothing is said."""
    for seed in range(20):
        life = live(100 + seed, missing=0.1)
        assert (life.accused, life.said) == (set(), set())


@pytest.mark.parametrize("size", [(3, 3), (2, 2), (1, 1), (3, 2)])
@pytest.mark.parametrize("spoil", [offset(5.0), noisy(5.0), offset(40.0)])
def test_what_a_coefficient_may_explain_accuses_nobody(live: Live, size: tuple[int, int], spoil: Spoil) -> None:
    """No more channels than coefficients: whatever a sensor does may have been the plant. Nothing is kept out."""
    mix = np.random.default_rng(2).normal(size=size[::-1])
    life = live(3, of=lambda b: b @ mix.T, size=size, spoil={0: spoil})
    assert life.accused == set()


def test_two_sensors_of_one_quantity_are_not_told_apart(live: Live) -> None:
    """Two channels of one coefficient: one of them is off, nobody knows which, and both are named."""
    life = live(4, of=lambda b: b @ np.array([[1.0, 1.0]]), size=(1, 2), spoil={0: offset(8.0)})
    assert life.accused == set()
    found = life.suspicion(BEGIN + 50).finding
    assert found is not None
    assert (found.kind, set(found.rivals)) == ("undecided", {0, 1})


def test_three_sensors_of_one_quantity_are_told_apart(live: Live) -> None:
    """Of three the majority is right; at most a third is kept out, so a second one stays."""
    life = live(4, of=lambda b: b @ np.ones((1, 3)), size=(1, 3), spoil={0: offset(8.0)})
    assert life.accused == {0}


def test_a_coefficient_that_one_channel_alone_tells_keeps_it(live: Live) -> None:
    """Channel 0 alone tells coefficient 2: off or not, it might be the coefficient, and it is never kept out."""
    mix = MIX.copy()
    mix[1:, 2] = 0.0
    for spoil in (offset(5.0), offset(100.0), noisy(5.0)):
        life = live(6, of=lambda b: b @ mix.T, spoil={0: spoil})
        assert 0 not in life.accused


def test_two_sensors_that_fail_one_after_the_other_are_both_left_out(live: Live) -> None:
    """Eight channels of three coefficients; the second fails thirty observations after the first."""
    mix = np.random.default_rng(11).normal(size=(8, 3))

    def later(values: Floats, _: np.random.Generator) -> Floats:
        return values + 8.0 * NOISE * (np.arange(values.size) >= 30)

    life = live(5, of=lambda b: b @ mix.T, size=(3, 8), spoil={0: offset(8.0), 5: later})
    assert life.accused == {0, 5}
    assert life.suspicion(END - 1).out.tolist() == [True, False, False, False, False, True, False, False]


def test_a_few_outliers_are_no_fault(live: Live) -> None:
    """Seven in a row, of either sign, sixty standard deviations and more: gated, and that is all."""

    def burst(values: Floats, rng: np.random.Generator) -> Floats:
        signs = np.where(np.arange(values.size) < 7, rng.choice([-1.0, 1.0], size=values.size), 0.0)
        return values + signs * NOISE * rng.uniform(60.0, 300.0, size=values.size)

    for seed in range(6):
        life = live(seed, spoil={1: burst})
        assert life.accused == set()
        assert [step.reasons[1] for step in life.steps[BEGIN : BEGIN + 7]] == ["gated"] * 7


def test_a_sensor_let_in_again_is_tried_longer_the_next_time(live: Live) -> None:
    """Two faults of thirty observations: it is let in 20 to 24 after the first, and 44 to 48 after the second."""

    def twice(values: Floats, _: np.random.Generator) -> Floats:
        at = np.arange(values.size)
        return values + 10.0 * NOISE * ((at < 30) | ((at >= 90) & (at < 120)))

    life = live(2, spoil={1: twice}, until=250, steps=300)
    out = np.array([life.suspicion(at).out[1] for at in range(300)])
    ends = np.flatnonzero(out[:-1] & ~out[1:]) + 1 - BEGIN
    assert ends.size == 2
    assert 30 + 20 <= ends[0] <= 30 + 25
    assert 120 + 44 <= ends[1] <= 120 + 49


def test_noise_that_is_estimated_is_not_the_diagnosis_affair(live: Live) -> None:
    """Noise that is not given grows by three: the estimate follows, and nobody is accused of it."""
    life = live(7, spoil={0: noisy(3.0)}, given=False)
    assert life.accused == set()
    noise = life.steps[END - 1].noise
    assert noise is not None
    assert noise.std[0] > 1.5 * NOISE


def test_an_offset_is_found_where_noise_is_estimated(live: Live) -> None:
    """The offset is accused before the noise has grown into it, and what is kept out teaches no noise."""
    life = live(8, spoil={0: offset(8.0)}, given=False)
    assert life.accused == {0}
    noise = life.steps[END - 1].noise
    assert noise is not None
    assert noise.std[0] < 5.0 * NOISE
    assert noise.std[0] == pytest.approx(life.steps[life.first(0)].state.noise.std[0])  # type: ignore[union-attr]


def test_missing_values_are_no_evidence(live: Live) -> None:
    """Half of all values missing: the offset is found all the same, and no other."""
    life = live(9, spoil={0: offset(10.0)}, missing=0.3)
    assert life.accused == {0}
