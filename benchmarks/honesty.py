"""Honesty against truth from outside, as Markdown: published numbers beside ours, and plants whose truth was drawn.

``python benchmarks/honesty.py --seeds 400``: a few minutes; ``--output docs/honesty.md`` writes what it prints.
"""

import argparse
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product, repeat
from pathlib import Path

import numpy as np

from oracles import nist, published
from oracles.consistency import Consistency, Run, play
from oracles.plants import PLANTS, Plant
from twin_assets.model import Floats
from twin_assets.simulation.fmu_model import usable_cores


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; numbers to the right."""
    lines = [heads, ["---", *["---:" for _ in heads[1:]]], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def compared(source: str, quantity: str, theirs: float, ours: float, digits: str) -> Sequence[str]:
    """One row; the digits are those that were published."""
    return source, quantity, f"{theirs:{digits}}", f"{ours:{digits}}", f"{abs(ours / theirs - 1.0):.0e}"


def published_rows() -> Iterable[Sequence[str]]:
    """Rooney and Biegler, the Nile."""
    source, found = "Rooney and Biegler, as in parmest", published.rooney_biegler()
    theirs = (*published.ROONEY_BIEGLER_ESTIMATE, *published.ROONEY_BIEGLER_COV[np.triu_indices(2)])
    ours = (*found.estimate, *found.posterior.cov[np.triu_indices(2)])
    names = ("asymptote", "rate", "variance of asymptote", "covariance", "variance of rate")
    for name, one, other, digits in zip(names, theirs, ours, (".4f", ".4f", ".3f", ".4f", ".5f"), strict=True):
        yield compared(source, name, one, other, digits)
    source = "Nile, Durbin and Koopman"
    noise_var, level_var = published.most_likely_nile()
    steps = published.nile(published.NILE_NOISE_VAR, published.NILE_LEVEL_VAR)
    yield compared(source, "most likely noise variance", published.NILE_NOISE_VAR, noise_var, ".0f")
    yield compared(source, "most likely level variance", published.NILE_LEVEL_VAR, level_var, ".1f")
    yield compared(source, "second level", 1118.3, steps[0].posterior.mean[0], ".1f")
    yield compared(source, "filtered variance, steady", 4032.16, steps[-1].posterior.cov[0, 0], ".2f")
    for ratio, value in published.NILE_TABLE_2_1:
        ours_there = published.concentrated(ratio).value
        yield compared(source, f"log-likelihood at q = {ratio:g}", value, ours_there, ".2f")


def nist_rows(start: int) -> Iterable[Sequence[str]]:
    """Each problem's coefficient that is worst estimated, and the standard error that is."""
    for name in nist.FORMULAS:
        problem = nist.read(name)
        found = nist.solve(problem, start)
        size = f"{problem.certified.size} / {problem.response.size}"
        worst = (_worst(problem.certified, found.estimate), _worst(problem.certified_std, found.posterior.std))
        yield name, problem.level, size, *worst[0], *worst[1]


def _worst(theirs: Floats, ours: Floats) -> tuple[str, str, str]:
    error = np.abs(ours / theirs - 1.0)
    j = int(np.argmax(error))
    return f"b{j + 1} {theirs[j]:.10e}", f"{ours[j]:.10e}", f"{error[j]:.0e}"


def plant_row(plant: Plant, found: Consistency) -> Sequence[str]:
    """One plant over all seeds."""
    size = f"{found.n} / {plant.noise_std.size} / {len(plant.model.outputs) - plant.noise_std.size}"
    # Beyond a bound the state has no true value, and so no error.
    nees = "" if np.isfinite(plant.coefficients.lower).any() else _steps_within(found.nees(), found.nees_bounds(0.95))
    return (
        plant.title,
        size,
        nees,
        _within(found.nis(), found.nis_bounds(0.95)),
        *map(_range, (found.coverage(), found.coverage_smoothed(), found.coverage_virtual())),
    )


def _within(value: float, bounds: tuple[float, float]) -> str:
    return f"{value:.3f} ({bounds[0]:.3f} … {bounds[1]:.3f})"


def _steps_within(values: Floats, bounds: tuple[float, float]) -> str:
    inside = int(((bounds[0] < values) & (values < bounds[1])).sum())
    return f"{values.mean():.3f}; {inside} of {values.size} steps in {bounds[0]:.3f} … {bounds[1]:.3f}"


def _range(coverage: Floats) -> str:
    return f"{coverage.min():.1%} … {coverage.max():.1%}"


def _played(place: int, reuse: bool, seed: int) -> Run:
    return play(PLANTS[place], seed, reuse=reuse)


def plant_rows(seeds: int) -> Iterable[Sequence[str]]:
    """All plants, their seeds spread over the cores."""
    with ProcessPoolExecutor(usable_cores()) as pool:
        for (place, plant), reuse in product(enumerate(PLANTS), (False, True)):
            runs = tuple(pool.map(_played, repeat(place), repeat(reuse), range(seeds), chunksize=10))
            title, *row = plant_row(plant, Consistency(len(plant.coefficients.names), runs))
            yield f"{title}, slopes reused" if reuse else title, *row


def report(seeds: int) -> Iterable[str]:
    """The parts, as they are found."""
    yield "# Truth from outside\n"
    yield "Written by `python benchmarks/honesty.py --output docs/honesty.md`.\n"
    yield "## Published numbers\n"
    yield table(("source", "quantity", "published", "ours", "relative difference"), published_rows())
    yield "## NIST StRD, nonlinear regression\n"
    yield (
        "Maximum likelihood from start 2, noise unknown. Of each problem the coefficient and the standard error that\n"
        "differ most; Lanczos1 has residuals of 1e-13, the rounding of its data.\n"
    )
    heads = ("certified", "ours", "relative difference", "certified standard error", "ours", "relative difference")
    yield table(("problem", "level", "coefficients / data", *heads), nist_rows(start=2))
    yield "## Plants whose truth is drawn as the filter believes it to be\n"
    yield (
        f"{seeds} seeds of {PLANTS[0].steps} steps, one in ten measurements missing. NEES per coefficient, averaged\n"
        "over the seeds at each step, and NIS per measurement, with the 95 % bounds of chi-square; then how often the\n"
        "95 % intervals held the truth: of coefficients, of the same smoothed backwards, of virtual sensors. What is\n"
        "left at bounds: [estimation](../twin_assets/estimation/README.md).\n"
    )
    held = ("held, coefficients", "smoothed", "held, virtual sensors")
    yield table(("plant", "coefficients / measured / virtual", "NEES", "NIS", *held), plant_rows(seeds))


def main() -> None:
    """Print the tables, and write them if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=400, help="how many of each plant, from 0")
    parser.add_argument("--output", type=Path, help="file to write what is printed to")
    options = parser.parse_args()
    parts = []
    for part in report(options.seeds):
        print(part, flush=True)
        parts.append(part)
    if options.output:
        options.output.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
