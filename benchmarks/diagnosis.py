"""Sensor or plant: how soon faults of sensors are recognised, how rightly, and what it is worth; as Markdown.

``python benchmarks/diagnosis.py --seeds 50``: six channels of three coefficients, a little curved. A fault begins at
observation 100 and ends at 200, on another channel with every seed. Then coefficients that wear, a wrong model, and
long runs in which all is well.
"""

import argparse
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from oracles.closed_form import ClosedForm
from oracles.consistency import walk
from oracles.plants import PLANTS, Plant
from twin_assets.estimation import (
    Coefficients,
    FilterSettings,
    FilterState,
    Step,
    coefficient_marginals,
    filter_step,
    prior,
)
from twin_assets.estimation.diagnosis import Watch, watched
from twin_assets.model import Floats
from twin_assets.simulation.fmu_model import usable_cores

HOUR_NS = 3_600_000_000_000
BEGIN, END, STEPS = 100, 200, 300
NOISE_STD, DRIFT = 0.1, 0.05
_NO_INPUTS = np.empty(0)
_MIX = np.random.default_rng(5).normal(size=(6, 3))
# Fault, size and how it is called: sizes in standard deviations of the noise, drifts per hundred observations.
FAULTS: Sequence[tuple[str, float, str]] = (
    ("offset", 2.0, "bias"),
    ("offset", 3.0, "bias"),
    ("offset", 10.0, "bias"),
    ("offset", 100.0, "bias"),
    ("drifts off", 5.0, "bias"),
    ("drifts off", 20.0, "bias"),
    ("noisy", 3.0, "noisy"),
    ("noisy", 10.0, "noisy"),
    ("noisy", 100.0, "noisy"),
    ("stuck", 0.0, "stuck"),
    ("dead", 0.0, "dead"),
)

FAULT_HEADS = ("fault", "found", "right kind", "others accused", "delay", "size", "let in after", "RMSE", "held")
PLANT_HEADS = ("what", "moved", "model", "undecided", "sensors accused", "RMSE")
CLEAN_HEADS = ("plant", "updates", "sensors accused", "per 1,000", "observations with a diagnosis per 1,000")


def curved(b: Floats) -> Floats:
    """(k, 6) of coefficients (k, 3)."""
    seen = b @ _MIX.T
    return np.asarray(seen + 0.02 * seen**2, dtype=np.float64)


def redundant(model: ClosedForm | None = None) -> Plant:
    """Six channels of three coefficients."""
    names = tuple(f"b{j + 1}" for j in range(3))
    channels = tuple(f"y{j + 1}" for j in range(6))
    coefficients = Coefficients(
        names, np.full(3, 2.0), np.ones(3), np.full(3, DRIFT), np.full(3, -np.inf), np.full(3, np.inf)
    )
    model = model or ClosedForm(lambda b, _: curved(b), names, channels)
    return Plant("redundant", model, coefficients, np.full(6, NOISE_STD), missing=0.02, steps=STEPS)


def spoiled(values: Floats, fault: str, size: float, rng: np.random.Generator) -> Floats:
    """What a fault makes of (r,) values of a channel."""
    if fault == "offset":
        return values + size * NOISE_STD
    if fault == "drifts off":
        return np.asarray(values + size * NOISE_STD * np.arange(values.size) / values.size)
    if fault == "noisy":
        return np.asarray(values + NOISE_STD * np.sqrt(size**2 - 1.0) * rng.normal(size=values.size))
    return np.zeros_like(values) if fault == "dead" else np.full_like(values, values[0])


@dataclass(frozen=True, eq=False)
class Life:
    """One seed.

    Attributes:
        steps: of the filter.
        truth: (s, n).
        channel: that is at fault.
    """

    steps: list[Step]
    truth: Floats
    channel: int

    def excluded(self, channel: int) -> np.ndarray:
        """(s,) whether it was kept out."""
        return np.array([step.suspicion is not None and bool(step.suspicion.out[channel]) for step in self.steps])

    @property
    def entries(self) -> list[tuple[int, int, str, float]]:
        """Observation, channel, kind and size, of all that were ever accused."""
        found: list[tuple[int, int, str, float]] = []
        before: set[int] = set()
        for k, step in enumerate(self.steps):
            now = (
                {}
                if step.suspicion is None
                else {each.finding.channel: each.finding for each in step.suspicion.suspects}
            )
            found += [(k, place, now[place].kind, now[place].size) for place in sorted(set(now) - before)]
            before = set(now)
        return found

    def rmse(self, coefficients: Coefficients) -> float:
        """Of the coefficients in their prior standard deviations, while the fault lasted."""
        means = np.array([coefficient_marginals(step.posterior, coefficients).mean for step in self.steps[BEGIN:END]])
        return float(np.sqrt((((means - self.truth[BEGIN:END]) / coefficients.initial_std) ** 2).mean()))

    def held(self, coefficients: Coefficients) -> float:
        """Part of the 95 % intervals that held the truth, while the fault lasted."""
        found = [coefficient_marginals(step.posterior, coefficients) for step in self.steps[BEGIN:END]]
        truth = self.truth[BEGIN:END]
        inside = [(one.lower <= value) & (value <= one.upper) for one, value in zip(found, truth, strict=True)]
        return float(np.mean(inside))


def live(
    plant: Plant,
    seed: int,
    *,
    fault: tuple[str, float] | None = None,
    wear: float = 0.0,
    truly: ClosedForm | None = None,
    diagnosis: bool = True,
    reuse: bool = True,
) -> Life:
    """One life of a plant, filtered.

    Args:
        plant: as the filter believes it to be.
        seed: of all that is random.
        fault: of one channel, and its size.
        wear: what the second coefficient gains within half the time of a fault, in prior standard deviations.
        truly: the model that the plant really has, where it is another.
        diagnosis: whether the sensors are watched.
        reuse: whether the filter may use slopes again.
    """
    rng = np.random.default_rng(seed)
    coefficients, m = plant.coefficients, plant.noise_std.size
    truth = walk(plant, rng)
    worn = np.clip((np.arange(plant.steps) - BEGIN) / ((END - BEGIN) / 2), 0.0, 1.0)
    truth[:, -1] += wear * coefficients.initial_std[-1] * worn
    outputs = (truly or plant.model).evaluate(truth, _NO_INPUTS)[:, :m]
    observed = outputs + plant.noise_std * rng.normal(size=outputs.shape)
    channel = seed % m
    if fault is not None:
        observed[BEGIN:END, channel] = spoiled(observed[BEGIN:END, channel], *fault, rng)
    observed[rng.random(observed.shape) < plant.missing] = np.nan
    settings = FilterSettings(plant.noise_std, 1e-4, reuse=reuse)
    channels = plant.model.outputs[:m]
    watch = Watch(channels, np.full((m, 2), np.nan), np.zeros(m), np.zeros(m, dtype=bool))
    state, steps = prior(coefficients), []
    for k, observation in enumerate(observed):

        def step(before: FilterState, values: Floats, time_ns: int = k * HOUR_NS) -> Step:
            return filter_step(before, time_ns, values, _NO_INPUTS, plant.model, coefficients, settings)

        done = watched(state, observation, coefficients, watch, step) if diagnosis else step(state, observation)
        state = done.state
        steps.append(done)
    return Life(steps, truth, channel)


def fault_row(pool: ProcessPoolExecutor, fault: str, size: float, kind: str, seeds: int) -> Sequence[str]:
    """One fault over all seeds."""
    played = list(pool.map(partial(_fault, fault, size), range(seeds)))
    first = [
        next((entry for entry in one.entries if entry[0] >= BEGIN and entry[1] == one.channel), None) for one in played
    ]
    found = [entry for entry in first if entry is not None]
    delays = np.array([entry[0] - BEGIN + 1 for entry in found])
    wrong = sum(len({entry[1] for entry in one.entries} - {one.channel}) for one in played)
    again = [_let_in(one.out) for one in played if one.out[END - 1]]
    sizes = [entry[3] / (NOISE_STD if kind != "noisy" else 1.0) for entry in found]
    return (
        f"{fault} {size:g}" if size else fault,
        f"{len(found)}",
        f"{sum(one.kind == kind for one in played)}",
        str(wrong),
        f"{np.median(delays):.0f} … {np.quantile(delays, 0.9):.0f}" if found else "",
        f"{np.median(sizes):.3g}" if sizes else "",
        f"{np.median([one for one in again if one is not None]):.0f}" if again else "",
        f"{np.mean([one.rmse[0] for one in played]):.3f}, {np.mean([one.rmse[1] for one in played]):.3f}",
        f"{np.mean([one.held[0] for one in played]):.1%}, {np.mean([one.held[1] for one in played]):.1%}",
    )


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a fault came to.

    Attributes:
        entries: of its life.
        channel: at fault.
        kind: the last word on it while the fault lasted; "" if it was not accused.
        out: (s,) whether it was kept out.
        rmse: without and with the diagnosis.
        held: the same.
    """

    entries: list[tuple[int, int, str, float]]
    channel: int
    kind: str
    out: np.ndarray
    rmse: tuple[float, float]
    held: tuple[float, float]


def _fault(fault: str, size: float, seed: int) -> Outcome:
    plant = redundant()
    without, with_it = (live(plant, seed, fault=(fault, size), diagnosis=on) for on in (False, True))
    channel = with_it.channel
    kinds = [
        each.finding.kind
        for step in with_it.steps[BEGIN:END]
        if step.suspicion is not None
        for each in step.suspicion.suspects
        if each.finding.channel == channel
    ]
    return Outcome(
        with_it.entries,
        channel,
        kinds[-1] if kinds else "",
        with_it.excluded(channel),
        (without.rmse(plant.coefficients), with_it.rmse(plant.coefficients)),
        (without.held(plant.coefficients), with_it.held(plant.coefficients)),
    )


def _let_in(out: np.ndarray) -> int | None:
    """Observations after the fault until it is let in again."""
    inside = np.flatnonzero(~out[END:])
    return int(inside[0]) if inside.size else None


def _other(b: Floats, _: Floats) -> Floats:
    """A machine that is another one than the model says, in all its channels."""
    seen = b @ _MIX.T
    return np.asarray(curved(b) + 0.5 * np.sin(1.5 * seen) + 0.3 * np.cos(np.arange(6)), dtype=np.float64)


def _plant(wear: float, wrong: bool, seed: int) -> tuple[frozenset[str], int, float, float]:
    """Kinds that were found, sensors that were accused, RMSE without and with the diagnosis."""
    plant = redundant()
    truly = ClosedForm(_other, plant.model.coefficients, plant.model.outputs) if wrong else None
    without, with_it = (live(plant, seed, wear=wear, truly=truly, diagnosis=on) for on in (False, True))
    found = [step.suspicion.finding for step in with_it.steps[BEGIN:] if step.suspicion]
    kinds = frozenset(str(one.kind) for one in found if one)
    rmse = (without.rmse(plant.coefficients), with_it.rmse(plant.coefficients))
    return kinds, len(with_it.entries), *rmse


def plant_row(pool: ProcessPoolExecutor, title: str, wear: float, wrong: bool, seeds: int) -> Sequence[str]:
    """One movement, or a wrong model, over all seeds."""
    played = list(pool.map(partial(_plant, wear, wrong), range(seeds)))
    said = [str(sum(kind in one[0] for one in played)) for kind in ("moved", "model", "undecided")]
    return (
        title,
        *said,
        str(sum(one[1] for one in played)),
        f"{np.mean([one[2] for one in played]):.3f}, {np.mean([one[3] for one in played]):.3f}",
    )


def _clean(place: int, steps: int, seed: int) -> tuple[int, int, int]:
    """Updates, sensors accused, observations with any finding, where all is well."""
    plant = replace(redundant() if place < 0 else PLANTS[place], steps=steps)
    found = live(plant, seed)
    told = sum(step.suspicion is not None and step.suspicion.finding is not None for step in found.steps)
    return len(found.steps), len(found.entries), told


def clean_row(pool: ProcessPoolExecutor, title: str, place: int, steps: int, seeds: int) -> Sequence[str]:
    """One plant where all is well."""
    played = np.array(list(pool.map(partial(_clean, place, steps), range(seeds)))).sum(axis=0)
    return (
        title,
        f"{played[0]}",
        f"{played[1]}",
        f"{1000 * played[1] / played[0]:.3f}",
        f"{1000 * played[2] / played[0]:.3f}",
    )


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A Markdown table, line by line; numbers to the right."""
    for line in ([*heads], ["---", *["---:" for _ in heads[1:]]]):
        print(f"| {' | '.join(line)} |")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)
    print()


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=50, help="of each fault")
    parser.add_argument("--clean", type=int, default=40, help="lives of 500 observations of each plant, all well")
    options = parser.parse_args()
    with ProcessPoolExecutor(usable_cores()) as pool:
        print(f"One of six channels at fault, {options.seeds} seeds; delay: median … 90 %; without, with diagnosis\n")
        table(FAULT_HEADS, (fault_row(pool, *fault, options.seeds) for fault in FAULTS))
        print("The plant: how often each was said; sensors accused\n")
        cases = [(f"wear of {wear:g} prior std in 50 observations", wear, False) for wear in (2.0, 5.0, 10.0)]
        cases.append(("wrong model", 0.0, True))
        table(PLANT_HEADS, (plant_row(pool, *case, options.seeds) for case in cases))
        print("All well\n")
        plants = [("redundant", -1), *((plant.title, place) for place, plant in enumerate(PLANTS))]
        table(CLEAN_HEADS, (clean_row(pool, *plant, 500, options.clean) for plant in plants))


if __name__ == "__main__":
    main()
