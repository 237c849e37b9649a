"""How a held value fares: news while nothing moves, how long until a change is told, how often it is outside.

``python benchmarks/holding.py``: coefficients that are measured as they are, with noise 1, many beside each other; a
minute. Prints the table in ``twin_assets/estimation/README.md``.
"""

from collections.abc import Callable

import numpy as np

from twin_assets.estimation import Gaussian
from twin_assets.estimation.cusum import Held, Watch, watched
from twin_assets.model import Floats

BESIDE, SETTLED, UPDATES, LATEST = 200, 100, 2000, 3000
# Drift variance an update, over the noise's: observations then have the weights 0.66, 0.1 and 0.01.
DRIFTS = (1.3, 0.01, 1e-4)


def steady(drift_var: float) -> float:
    """The posterior's variance, of Riccati's equation; with noise 1 it is the weight, too."""
    return float((np.sqrt(drift_var**2 + 4.0 * drift_var) - drift_var) / 2.0)


def played(path: Callable[[int], float], updates: int, drift_var: float, watch: Watch) -> tuple[Floats, Floats]:
    """(updates, BESIDE) which updates were news, and after which what is held was outside the 95 % interval."""
    rng, var, one = np.random.default_rng(1), steady(drift_var), np.eye(BESIDE)
    after, before = Gaussian(np.sqrt(var) * rng.normal(size=BESIDE), var * one), (var + drift_var) * one
    held, news, outside = Held.of(after), [], []
    for k in range(SETTLED + updates):
        prior = Gaussian(after.mean, before)
        seen = path(k - SETTLED) + rng.normal(size=BESIDE)
        after = Gaussian(prior.mean + var * (seen - prior.mean), var * one)
        if k < SETTLED:
            held = Held.of(after)
            continue
        held, new = watched(held, prior, after, watch)
        news.append(new)
        outside.append(np.abs(held.state - after.mean) > 1.96 * after.std)
    return np.array(news), np.array(outside)


def row(drift_var: float, threshold: float) -> str:
    """One weight and threshold."""
    watch, weight = Watch(2.0, threshold), steady(drift_var)
    std = np.sqrt(weight)
    still = played(lambda _: 0.0, UPDATES, drift_var, watch)
    ramp = played(lambda k: 0.02 * std * max(k, 0), UPDATES, drift_var, watch)
    news, _ = played(lambda k: 2.0 * std * (k >= 0), LATEST, drift_var, watch)
    told = np.where(news.any(axis=0), news.argmax(axis=0) + 1.0, np.inf)
    return (
        f"{threshold:9.0f} {weight:6.2f} {watch.run_length(weight):10.0f} {1e3 * still[0].mean():9.1f}"
        f" {still[1].mean():8.1%} {ramp[1].mean():8.1%} {np.median(told):9.0f}"
    )


def main() -> None:
    """Print the table."""
    print("threshold weight  stays for  news/1000  outside  of ramp  step of 2 std told after")
    for threshold in (6.0, 7.0, 8.0):
        for drift_var in DRIFTS:
            print(row(drift_var, threshold), flush=True)


if __name__ == "__main__":
    main()
