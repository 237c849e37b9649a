"""The nonlinear regressions of NIST's Statistical Reference Datasets, with certified estimates and standard errors.

The formulas are those of the datasets (https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml), in their names; the
numbers are in ``nist/``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from oracles.closed_form import ClosedForm, free
from twin_assets.estimation import Batch, StaticCalibration, StaticSettings, calibrate_static
from twin_assets.model import Floats

# Each coefficient's values (k,) and the predictors (p,), to the responses (k,).
Columns = Sequence[Floats]
Formula = Callable[[Columns, Floats], Floats]

FOLDER = Path(__file__).parent / "nist"
# The formulas are exact to rounding, so differences may be small: their error is of the order of 1e-10.
SETTINGS = StaticSettings(diffuse=True, difference_step=1e-5, tolerance=1e-14)


@dataclass(frozen=True, eq=False)
class Problem:
    """One dataset.

    Attributes:
        name: NIST's.
        level: of difficulty: "lower", "average", "higher".
        start: (2, n) start 1, which is far, and start 2, which is nearer.
        certified: (n,) estimates.
        certified_std: (n,) standard errors.
        residual_squares: certified sum.
        predictors: (t, p).
        response: (t,).
    """

    name: str
    level: str
    start: Floats
    certified: Floats
    certified_std: Floats
    residual_squares: float
    predictors: Floats
    response: Floats


def names() -> tuple[str, ...]:
    """All problems."""
    return tuple(sorted(FORMULAS))


def read(name: str) -> Problem:
    """One problem from its file."""
    title, _, *lines = (FOLDER / f"{name}.dat").read_text(encoding="utf-8").splitlines()
    n = sum(line.startswith("b") for line in lines)
    table = np.array([line.split()[1:] for line in lines[:n]], dtype=float)
    data = np.array([line.split() for line in lines[n + 1 :]], dtype=float)
    # Nelson's model is one of log(y).
    response = np.log(data[:, 0]) if name == "Nelson" else data[:, 0]
    return Problem(
        name=name,
        level=title.split(", ")[1].split()[0],
        start=table[:, :2].T,
        certified=table[:, 2],
        certified_std=table[:, 3],
        residual_squares=float(title.split()[-1]),
        predictors=data[:, 1:],
        response=response,
    )


def solve(problem: Problem, start: int) -> StaticCalibration:
    """Maximum likelihood from start 1 or 2; the noise is estimated."""
    formula = FORMULAS[problem.name]
    coefficients = tuple(f"b{j + 1}" for j in range(len(problem.certified)))
    inputs = tuple(f"x{j + 1}" for j in range(problem.predictors.shape[1]))

    def evaluate(values: Floats, x: Floats) -> Floats:
        return formula(tuple(values.T), x)[:, np.newaxis]

    initial = problem.start[start - 1]
    return calibrate_static(
        ClosedForm(evaluate, coefficients, ("y",), inputs),
        Batch(problem.predictors, problem.response[:, np.newaxis]),
        free(coefficients, initial, np.abs(initial)),
        SETTINGS,
    )


def _misra1a(b: Columns, x: Floats) -> Floats:
    return b[0] * (1.0 - np.exp(-b[1] * x))


def _misra1b(b: Columns, x: Floats) -> Floats:
    return b[0] * (1.0 - (1 + b[1] * x / 2) ** -2)


def _misra1c(b: Columns, x: Floats) -> Floats:
    return b[0] * (1 - (1 + 2 * b[1] * x) ** -0.5)


def _misra1d(b: Columns, x: Floats) -> Floats:
    return b[0] * b[1] * x / (1 + b[1] * x)


def _chwirut(b: Columns, x: Floats) -> Floats:
    return np.exp(-b[0] * x) / (b[1] + b[2] * x)


def _lanczos(b: Columns, x: Floats) -> Floats:
    return b[0] * np.exp(-b[1] * x) + b[2] * np.exp(-b[3] * x) + b[4] * np.exp(-b[5] * x)


def _gauss(b: Columns, x: Floats) -> Floats:
    first, second = (b[j] * np.exp(-((x - b[j + 1]) ** 2) / b[j + 2] ** 2) for j in (2, 5))
    return b[0] * np.exp(-b[1] * x) + first + second


def _danwood(b: Columns, x: Floats) -> Floats:
    return b[0] * np.power(x, b[1])


def _kirby2(b: Columns, x: Floats) -> Floats:
    return (b[0] + b[1] * x + b[2] * x**2) / (1 + b[3] * x + b[4] * x**2)


def _cubic(b: Columns, x: Floats) -> Floats:
    return (b[0] + b[1] * x + b[2] * x**2 + b[3] * x**3) / (1 + b[4] * x + b[5] * x**2 + b[6] * x**3)


def _nelson(b: Columns, x: Floats) -> Floats:
    return b[0] - b[1] * x[:1] * np.exp(-b[2] * x[1:])


def _mgh17(b: Columns, x: Floats) -> Floats:
    return b[0] + b[1] * np.exp(-x * b[3]) + b[2] * np.exp(-x * b[4])


def _roszman1(b: Columns, x: Floats) -> Floats:
    return b[0] - b[1] * x - np.arctan(b[2] / (x - b[3])) / np.pi


def _enso(b: Columns, x: Floats) -> Floats:
    waves = ((12.0, b[1], b[2]), (b[3], b[4], b[5]), (b[6], b[7], b[8]))
    return b[0] + sum(c * np.cos(2 * np.pi * x / t) + s * np.sin(2 * np.pi * x / t) for t, c, s in waves)


def _mgh09(b: Columns, x: Floats) -> Floats:
    return b[0] * (x**2 + x * b[1]) / (x**2 + x * b[2] + b[3])


def _rat42(b: Columns, x: Floats) -> Floats:
    return b[0] / (1.0 + np.exp(b[1] - b[2] * x))


def _mgh10(b: Columns, x: Floats) -> Floats:
    return b[0] * np.exp(b[1] / (x + b[2]))


def _eckerle4(b: Columns, x: Floats) -> Floats:
    return b[0] / b[1] * np.exp(-0.5 * ((x - b[2]) / b[1]) ** 2)


def _rat43(b: Columns, x: Floats) -> Floats:
    return b[0] / (1 + np.exp(b[1] - b[2] * x)) ** (1 / b[3])


def _bennett5(b: Columns, x: Floats) -> Floats:
    return b[0] * (b[1] + x) ** (-1 / b[2])


# In NIST's order: lower, average and higher level of difficulty.
FORMULAS: Mapping[str, Formula] = {
    "Misra1a": _misra1a,
    "Chwirut2": _chwirut,
    "Chwirut1": _chwirut,
    "Lanczos3": _lanczos,
    "Gauss1": _gauss,
    "Gauss2": _gauss,
    "DanWood": _danwood,
    "Misra1b": _misra1b,
    "Kirby2": _kirby2,
    "Hahn1": _cubic,
    "Nelson": _nelson,
    "MGH17": _mgh17,
    "Lanczos1": _lanczos,
    "Lanczos2": _lanczos,
    "Gauss3": _gauss,
    "Misra1c": _misra1c,
    "Misra1d": _misra1d,
    "Roszman1": _roszman1,
    "ENSO": _enso,
    "MGH09": _mgh09,
    "Thurber": _cubic,
    "BoxBOD": _misra1a,
    "Rat42": _rat42,
    "MGH10": _mgh10,
    "Eckerle4": _eckerle4,
    "Rat43": _rat43,
    "Bennett5": _bennett5,
}
