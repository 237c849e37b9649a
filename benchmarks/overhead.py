"""What an update takes beyond the model, by how much an evaluation takes.

``python benchmarks/overhead.py``: updates of the demonstration line with slopes reused, its FMU as it is, and made
dearer: after each of its ``doStep`` the processor is kept busy until evaluations take so many milliseconds in them.
All is processor time, so it is much the same on a busy machine; the FMU runs in a thread, so that one clock tells all
of it.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest.mock import patch

import numpy as np

from calibration import Task, task
from twin_assets.estimation import coefficient_marginals, filter_step, prior
from twin_assets.model import Floats
from twin_assets.simulation.calls import Calls
from twin_assets.spec_file import load_twin
from twin_assets.stages.engine import coefficients_of, open_model, settings_of

EVALUATION_MS = (0.0, 1.0, 10.0, 100.0)
STEPS = 12
"""What the demonstration's FMU settles in."""


@dataclass
class Clock:
    """Processor time in ``doStep``, s."""

    inside: float = 0.0


@contextmanager
def dearer(evaluation_ms: float) -> Iterator[Clock]:
    """Every ``doStep`` takes at least its share of so much processor time."""
    clock, least = Clock(), evaluation_ms / 1e3 / STEPS
    call: Callable[..., None] = Calls.__call__

    def timed(calls: Calls, function: str, *arguments: object) -> None:
        began = time.thread_time()
        call(calls, function, *arguments)
        if function != "fmi2DoStep":
            return
        while (took := time.thread_time() - began) < least:
            pass
        clock.inside += took

    with patch.object(Calls, "__call__", timed):
        yield clock


@dataclass
class Spent:
    """Milliseconds of updates: of each (k,) all of it, and in ``doStep``; what kind it was, and its model runs."""

    whole: list[float] = field(default_factory=list)
    inside: list[float] = field(default_factory=list)
    kinds: list[tuple[str, int]] = field(default_factory=list)

    def rows(self) -> Iterator[tuple[str, Floats]]:
        """Title and (k,) bool, which updates, of every row of the table."""
        methods, runs = np.array([kind for kind, _ in self.kinds]), np.array([runs for _, runs in self.kinds])
        yield "all", np.ones(len(runs), dtype=bool)
        yield "slopes reused, one run", (methods == "reused") & (runs == 1)
        yield "two runs, a slope measured", (methods == "reused") & (runs == 2)
        yield "three to nine runs, iterated", (methods == "reused") & (runs > 2) & (runs < 10)
        yield "ten or more, an outlier", (methods == "reused") & (runs >= 10)
        yield "all sigma points", methods != "reused"


def spent(given: Task, evaluation_ms: float) -> Spent:
    """What the updates took."""
    spec = given.twin.spec
    isolated = spec.model_copy(update={"model": spec.model.model_copy(update={"isolation": "thread"})})
    coefficients, settings, found = coefficients_of(spec), replace(settings_of(spec), reuse=True), Spent()
    with dearer(evaluation_ms) as clock, open_model(replace(given.twin, spec=isolated), workers=1) as model:
        state = prior(coefficients)
        # Starting the worker and SciPy are a run's affair.
        filter_step(state, 0, given.observations[0], given.inputs[0], model, coefficients, settings)
        for time_ns, observation, inputs in zip(given.time_ns, given.observations, given.inputs, strict=True):
            began, inside = time.process_time(), clock.inside
            step = filter_step(state, int(time_ns), observation, inputs, model, coefficients, settings)
            coefficient_marginals(step.posterior, coefficients)
            state = step.state
            found.whole.append(1e3 * (time.process_time() - began))
            found.inside.append(1e3 * (clock.inside - inside))
            found.kinds.append((step.method, step.model_runs))
    return found


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--twins", type=Path, default=Path("twins"), help="folder with the twin web_line")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=5, help="times that it is done with the FMU as it is")
    options = parser.parse_args()
    given = task(load_twin("web_line", options.twins.absolute()), options.seed)
    print("| ms an evaluation | updates | ms an update | in doStep | beyond doStep |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    kinds = Spent()
    for evaluation_ms in EVALUATION_MS:
        # A hundred times dearer evaluations need no more than a few updates for the same digits.
        part = given.first(len(given.time_ns) if evaluation_ms <= 1.0 else 60)
        tries = [spent(part, evaluation_ms) for _ in range(options.repeat if evaluation_ms <= 1.0 else 1)]
        best = min(tries, key=lambda each: sum(each.whole))
        kinds = kinds if kinds.kinds else best
        updates, whole, inside = len(best.kinds), sum(best.whole), sum(best.inside)
        title = f"{evaluation_ms:g}" if evaluation_ms else f"{inside / runs(best):.2f}, as it is"
        beyond = f"{whole / inside - 1.0:.1%}"
        print(f"| {title} | {updates} | {whole / updates:.2f} | {inside / updates:.2f} | {beyond} |", flush=True)
    print("\n| the FMU as it is | updates | ms | in doStep | share of all |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for title, chosen in kinds.rows():
        each, within = np.array(kinds.whole), np.array(kinds.inside)
        share = each[chosen].sum() / each.sum()
        print(f"| {title} | {chosen.sum()} | {each[chosen].mean():.2f} | {within[chosen].mean():.2f} | {share:.0%} |")


def runs(found: Spent) -> int:
    """Model runs of all updates."""
    return sum(count for _, count in found.kinds)


if __name__ == "__main__":
    main()
