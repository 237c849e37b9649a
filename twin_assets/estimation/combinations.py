"""Combinations of coefficients: what may change together without the measurements telling, and what is told.

Belongs here: their names and the linear algebra of names. Which combinations a model has is ``sensitivity``'s to find.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

import numpy as np

from twin_assets.model import Floats

Law = Literal["sum", "product", "local"]

ENDLESS = 1e9
# An exponent this near to a fraction of small numbers is that fraction.
_DENOMINATOR, _NEAR = 5, 0.02
# Of all the ways to write what is told so many are compared.
_TRIED = 500
# Less than this of a combination's largest part, in prior standard deviations, is not named.
_SMALLEST_NAMED = 0.03
# Smaller than this part of the largest is rounding.
_NOTHING = 1e-6


@dataclass(frozen=True)
class Combination:
    """Coefficients that may change together without the measurements telling.

    Attributes:
        weights: coefficient -> change (physical units) near the prior, the largest part (in prior standard deviations)
            being 1 or -1.
        observations: how many observations would tell as much as the prior does; inf where none ever would.
        law: how they change together farther away, by runs along it: as a "sum" of coefficients is kept (straight on),
            as a "product" is (each by a power of one factor); "local" where neither was found to hold.
        exponents: coefficient -> power of the factor, of a product; empty otherwise.
    """

    weights: Mapping[str, float]
    observations: float
    law: Law = "local"
    exponents: Mapping[str, float] = field(default_factory=dict)

    @property
    def endless(self) -> bool:
        """Whether no machine lives long enough to tell: more than rounding would be read into a larger number."""
        return self.observations > ENDLESS

    def __str__(self) -> str:
        """``b1 - 0.8·b2``; of a product ``R1·f, R2·f, C/f``, which stands for any factor f."""
        if self.law == "product":
            return ", ".join(f"{name}{_scaled(power)}" for name, power in self.exponents.items())
        return _sum(self.weights)


@dataclass(frozen=True)
class Confusion:
    """Coefficients that the measurements confuse with each other; alone, one that they do not show.

    Attributes:
        names: the coefficients, in the order of the twin.
        combinations: of them that are not told.
        told: what is told of them, as text: ``R1·C``, ``0.8·b1 + b2``; empty for one alone.
    """

    names: tuple[str, ...]
    combinations: tuple[Combination, ...]
    told: tuple[str, ...]

    @property
    def local(self) -> bool:
        """Whether what is said of it holds near the prior only."""
        return len({each.law for each in self.combinations}) > 1 or self.combinations[0].law == "local"


def named(direction: Floats) -> np.ndarray:
    """(n,) bool: which coefficients a direction (n,), in prior standard deviations, is about."""
    return np.asarray(np.abs(direction) >= _SMALLEST_NAMED * np.abs(direction).max())


def combination(names: Sequence[str], std: Floats, direction: Floats, seen: float) -> Combination:
    """The combination along a direction, known near where it was looked at.

    Args:
        names: of the n coefficients.
        std: (n,) their prior standard deviations, physical units.
        direction: (n,) in these.
        seen: change of the measurements, in their noise, by one prior standard deviation along it.
    """
    used = np.flatnonzero(named(direction)).tolist()
    weights = direction * std
    # The largest part is one, and the first positive.
    weights = weights / np.abs(weights[np.argmax(np.abs(direction))]) * np.sign(weights[used[0]])
    return Combination({names[i]: float(weights[i]) for i in used}, 1.0 / seen**2 if seen > 0 else np.inf)


def confusions(blind: Iterable[Combination], names: Sequence[str]) -> tuple[Confusion, ...]:
    """Combinations that share coefficients, together, with what is told of these; ``names`` says in which order."""
    groups: list[list[Combination]] = []
    for combination in blind:
        sharing = [group for group in groups if any(set(combination.weights) & set(each.weights) for each in group)]
        groups = [group for group in groups if group not in sharing]
        groups.append([*itertools.chain(*sharing), combination])
    return tuple(_confusion(group, names) for group in groups)


def _confusion(group: Sequence[Combination], names: Sequence[str]) -> Confusion:
    products = all(each.law == "product" for each in group)
    changes = [each.exponents if products else each.weights for each in group]
    involved = tuple(name for name in names if any(name in change for change in changes))
    kept = _simplest(np.array([[change.get(name, 0.0) for name in involved] for change in changes]))
    rows = [dict(zip(involved, row.tolist(), strict=True)) for row in kept]
    return Confusion(involved, tuple(group), tuple(_product(row) if products else _sum(row) for row in rows))


def _simplest(changes: Floats) -> Floats:
    """Rows that are orthogonal to all changes (k, p), p - k of them: of several bases the one that reads best.

    A basis is found by choosing k coefficients that each row may have beside one of its own.
    """
    k, p = changes.shape
    # Units apart, all numbers are about one.
    scale = np.abs(changes).max(axis=0)
    surely = tuple(reduced(changes / scale)[1].tolist())
    bases = [
        basis
        for beside in (surely, *itertools.islice(itertools.combinations(range(p), k), _TRIED))
        if (basis := _kept(changes / scale, np.array(beside, dtype=np.intp))) is not None
    ]
    best = min(bases, key=lambda rows: (int((rows < 0).sum()), int((rows != 0).sum()), float(np.abs(rows).sum())))
    rows = best / scale
    return np.asarray(rows / np.abs(rows).max(axis=1, keepdims=True), dtype=np.float64)


def _kept(changes: Floats, beside: np.ndarray) -> Floats | None:
    own = np.setdiff1d(np.arange(changes.shape[1]), beside)
    if np.linalg.cond(changes[:, beside]) > 1.0 / _NOTHING:
        return None
    rows = np.zeros((own.size, changes.shape[1]))
    rows[np.arange(own.size), own] = 1.0
    rows[:, beside] = -np.linalg.solve(changes[:, beside], changes[:, own]).T
    rows[np.abs(rows) < _NOTHING * np.abs(rows).max(axis=1, keepdims=True)] = 0.0
    return _mostly_positive(rows)


def _mostly_positive(rows: Floats) -> Floats:
    """Each row or its opposite: more of it is positive, or the first of it."""
    first = rows[np.arange(len(rows)), (rows != 0.0).argmax(axis=1)]
    surplus = np.sign(rows).sum(axis=1)
    return np.asarray(rows * np.where(surplus == 0.0, np.sign(first), np.sign(surplus))[:, np.newaxis])


def reduced(rows: Floats) -> tuple[Floats, np.ndarray]:
    """Gauss-Jordan elimination with full pivoting: the same row space, each row with a column of its own (its 1)."""
    rows, own = rows.copy(), np.zeros(len(rows), dtype=np.intp)
    for i in range(len(rows)):
        r, c = divmod(int(np.argmax(np.abs(rows[i:]))), rows.shape[1])
        rows[[i, i + r]] = rows[[i + r, i]]
        rows[i] /= rows[i, c]
        own[i] = c
        others = np.arange(len(rows)) != i
        rows[others] -= np.outer(rows[others, c], rows[i])
    return rows, own


def whole(exponents: Floats) -> Floats | None:
    """The smallest whole numbers (p,) that are to each other as these; None if they are to no small ones."""
    largest = np.abs(exponents).max()
    found = [Fraction(value).limit_denominator(_DENOMINATOR) for value in (exponents / largest).tolist()]
    if any(abs(float(near) - value) > _NEAR for near, value in zip(found, exponents / largest, strict=True)):
        return None
    common = int(np.lcm.reduce([near.denominator for near in found]))
    (row,) = _mostly_positive(np.array([[float(near * common) for near in found]]))
    return np.asarray(row, dtype=np.float64)


def _sum(weights: Mapping[str, float]) -> str:
    text = " ".join(
        f"{'-' if weight < 0 else '+'} {_factor(weight)}{name}" for name, weight in weights.items() if weight
    )
    return text[2:] if text.startswith("+") else f"-{text[2:]}"


def _product(powers: Mapping[str, float]) -> str:
    numbers = [power for power in powers.values() if power]
    smallest = whole(np.array(numbers))
    scale = 1.0 if smallest is None else smallest[0] / numbers[0]
    above = "·".join(f"{name}{_power(power * scale)}" for name, power in powers.items() if power > 0)
    below = "".join(f"/{name}{_power(-power * scale)}" for name, power in powers.items() if power < 0)
    return f"{above or '1'}{below}"


def _scaled(power: float) -> str:
    return f"{'·' if power > 0 else '/'}f{_power(abs(power))}"


def _power(power: float) -> str:
    text = f"{power:.2g}"
    return "" if text == "1" else f"^{text}"


def _factor(weight: float) -> str:
    text = f"{abs(weight):.2g}"
    return "" if text == "1" else f"{text}·"
