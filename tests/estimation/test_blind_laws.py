"""Sum or product: what can be told of coefficients that cannot be told apart, held against models in closed form."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import pytest

from twin_assets.estimation import Coefficients
from twin_assets.estimation.combinations import Combination, Confusion, confusions
from twin_assets.estimation.sensitivity import local_sensitivity
from twin_assets.model import EvaluationError, Floats, PredictiveModel

COLD, MILD = np.array([0.0, 10.0, 0.0]), np.array([12.0, 10.0, 0.0])
HEATED, WELL_HEATED = np.array([0.0, 10.0, 3.0]), np.array([0.0, 10.0, 6.0])
MakeRoom = Callable[..., Coefficients]
MakeModel = Callable[[Callable[[Floats], Floats], int, int], PredictiveModel]
MakeCoefficients = Callable[..., Coefficients]


class Building(PredictiveModel, Protocol):
    """The building of conftest."""

    @property
    def noise_std(self) -> Floats:
        """Of the temperatures."""
        ...


def laws(confusion: Confusion) -> list[str]:
    """By which laws its combinations go on."""
    return [combination.law for combination in confusion.combinations]


@pytest.mark.parametrize("conditions", [COLD, np.array([COLD, MILD])], ids=["one weather", "two weathers"])
@pytest.mark.parametrize("widths", [(1.0, 1.0, 1.0), (0.3, 1.5, 0.8)], ids=["alike", "unlike"])
def test_of_a_building_only_products_are_told(
    building: Building, room: MakeRoom, conditions: Floats, widths: tuple[float, ...]
) -> None:
    """Without heating R1·C and R2·C are all that any weather shows, by derivation (see Building); and the tool says so.

    Step responses are curved: differences over unlike steps see 1 % of a slope where there is none, ten noises.
    """
    prior = room()
    prior = Coefficients(
        prior.names, prior.initial, prior.initial_std * widths, 0 * prior.initial, prior.lower, prior.upper
    )
    found = local_sensitivity(building, conditions, prior, building.noise_std)
    (confusion,) = found.confusions
    assert confusion.told == ("R1·C", "R2·C")
    assert not confusion.local
    (combination,) = confusion.combinations
    assert str(combination) == "R1·f, R2·f, C/f"
    assert (combination.law, combination.exponents) == ("product", {"R1": 1.0, "R2": 1.0, "C": -1.0})
    assert combination.endless
    weights = np.array([combination.weights[name] for name in prior.names]) / prior.initial
    np.testing.assert_allclose(weights / weights[0], [1.0, 1.0, -1.0], rtol=0.02)


def test_two_powers_tell_what_one_does_not(building: Building, room: MakeRoom) -> None:
    """Heated alike at all times the room hides a direction, neither a sum nor a product; heated differently, none."""
    for condition in (HEATED, WELL_HEATED):
        (confusion,) = local_sensitivity(building, condition, room(), building.noise_std).confusions
        assert laws(confusion) == ["local"]
        assert confusion.local
    together = local_sensitivity(building, np.array([HEATED, WELL_HEATED]), room(), building.noise_std)
    assert together.blind == ()
    assert (together.reachable_std < 0.2 * room().initial_std).all()


@pytest.mark.parametrize(
    ("function", "told", "law"),
    [
        (lambda b: b[:, 0] + b[:, 1], "b0 + b1", "sum"),
        (lambda b: np.exp(0.2 * (0.8 * b[:, 0] + b[:, 1])), "0.8·b0 + b1", "sum"),
        (lambda b: b[:, 0] * b[:, 1], "b0·b1", "product"),
        (lambda b: np.sqrt(b[:, 0] / b[:, 1]), "b0/b1", "product"),
        (lambda b: np.exp(-(b[:, 0] ** 2) * b[:, 1] / 10), "b0^2·b1", "product"),
        (lambda b: b[:, 0] ** 0.8 * b[:, 1], "b0^4·b1^5", "product"),
        # d(b0 b1 + b0) = (b1 + 1) db0 + b0 db1 = 3 db0 + 2 db1.
        (lambda b: b[:, 0] * b[:, 1] + b[:, 0], "b0 + 0.67·b1", "local"),
    ],
)
def test_the_law_is_found_by_going_there(
    make_model: MakeModel,
    make_coefficients: MakeCoefficients,
    function: Callable[[Floats], Floats],
    told: str,
    law: str,
) -> None:
    """Near the prior all of these are one direction of two coefficients; far away each goes on in its own way.

    The outputs are two functions of the same quantity, so that curvature cannot be mistaken for a second one.
    """
    model = make_model(lambda b: np.stack([function(b), function(b) ** 2], axis=1), 2, 2)
    prior = make_coefficients(2, initial=[2.0, 2.0], initial_std=0.6, lower=0.0)
    (confusion,) = local_sensitivity(model, np.empty(0), prior, np.array([0.01, 0.01])).confusions
    assert (laws(confusion), confusion.told) == ([law], (told,))


def test_products_of_three_and_of_pairs(make_model: MakeModel, make_coefficients: MakeCoefficients) -> None:
    """Two hidden directions that share a coefficient are one confusion, two that share none are two."""
    prior = make_coefficients(4, initial=[2.0, 3.0, 4.0, 5.0], initial_std=1.0, lower=0.0)
    three = make_model(lambda b: np.stack([b[:, 0] * b[:, 1] * b[:, 2], b[:, 3]], axis=1), 4, 2)
    (confusion,) = local_sensitivity(three, np.empty(0), prior, np.array([0.1, 0.1])).confusions
    assert (confusion.names, confusion.told) == (("b0", "b1", "b2"), ("b0·b1·b2",))
    assert laws(confusion) == ["product", "product"]
    pairs = make_model(lambda b: b[:, :2] * b[:, 2:], 4, 2)
    found = local_sensitivity(pairs, np.empty(0), prior, np.array([0.1, 0.1])).confusions
    assert {confusion.told for confusion in found} == {("b0·b2",), ("b1·b3",)}


def test_nothing_is_blind_where_every_output_shows_a_product_of_its_own(
    make_model: MakeModel, make_coefficients: MakeCoefficients
) -> None:
    """Three products of three coefficients: curved, and yet all are told; it takes no run beyond the first 2n + 1."""
    counted: list[int] = []

    def function(b: Floats) -> Floats:
        counted.append(len(b))
        return np.stack([b[:, 0] * b[:, 2], b[:, 1] * b[:, 2], b[:, 2] ** 2], axis=1)

    prior = make_coefficients(3, initial=[2.0, 3.0, 4.0], initial_std=1.0, lower=0.0)
    found = local_sensitivity(make_model(function, 3, 3), np.empty(0), prior, np.full(3, 0.1))
    assert (found.blind, found.confusions, counted) == ((), (), [7])


def test_a_coefficient_that_may_be_zero_is_in_no_product(
    make_model: MakeModel, make_coefficients: MakeCoefficients
) -> None:
    """Powers of what may be negative are nothing: of b0·b1 around (0.1, 2) only the slope is told."""
    model = make_model(lambda b: b[:, :1] * b[:, 1:], 2, 1)
    prior = make_coefficients(2, initial=[0.1, 2.0], initial_std=0.5)
    (confusion,) = local_sensitivity(model, np.empty(0), prior, np.array([0.01])).confusions
    assert laws(confusion) == ["local"]


def test_bounds_are_kept_far_away_too(make_model: MakeModel, make_coefficients: MakeCoefficients) -> None:
    """However far the runs look, no coefficient leaves its bounds, and a narrow range still shows the law."""
    rows: list[Floats] = []

    def function(b: Floats) -> Floats:
        rows.append(b)
        return b[:, :1] * b[:, 1:]

    prior = make_coefficients(2, initial=[1.0, 1.0], initial_std=0.5, lower=0.5, upper=1.6)
    (confusion,) = local_sensitivity(make_model(function, 2, 1), np.empty(0), prior, np.array([0.01])).confusions
    assert confusion.told == ("b0·b1",)
    assert (np.vstack(rows) >= 0.5).all()
    assert (np.vstack(rows) <= 1.6).all()


def test_a_model_that_fails_far_away_is_asked_nearer(
    make_model: MakeModel, make_coefficients: MakeCoefficients
) -> None:
    """A failure beyond five times the prior takes part of the way, not the verdict."""

    def function(b: Floats) -> Floats:
        if (b > 5.0).any():
            raise EvaluationError("no model for this", {})
        return b[:, :1] * b[:, 1:]

    prior = make_coefficients(2, initial=[1.0, 1.0], initial_std=0.5, lower=0.0)
    (confusion,) = local_sensitivity(make_model(function, 2, 1), np.empty(0), prior, np.array([0.01])).confusions
    assert (laws(confusion), confusion.told) == (["product"], ("b0·b1",))


@pytest.mark.parametrize("unsettled", [1e-9, 1e-7])
def test_what_settling_leaves_hides_no_law(
    make_model: MakeModel, make_coefficients: MakeCoefficients, unsettled: float
) -> None:
    """Outputs that are off by what a model's settling leaves, relative, at outputs of 10,000 noises."""

    def function(b: Floats) -> Floats:
        product = b[:, :1] * b[:, 1:]
        off = 1.0 + unsettled * np.sin(1e6 * b.sum(axis=1, keepdims=True))
        return np.asarray(100.0 * np.hstack([product, product**2]) * off, dtype=np.float64)

    prior = make_coefficients(2, initial=[1.0, 1.0], initial_std=0.5, lower=0.0)
    (confusion,) = local_sensitivity(make_model(function, 2, 2), np.empty(0), prior, np.full(2, 0.01)).confusions
    assert (laws(confusion), confusion.told) == (["product"], ("b0·b1",))


def test_units_do_not_hide_a_term() -> None:
    """A sum of a tiny and a huge coefficient keeps both its terms."""
    (confusion,) = confusions([Combination({"a": 1e-6, "b": -1.0}, np.inf, "sum")], ("a", "b"))
    assert confusion.told == ("a + 1e-06·b",)


def test_mixed_laws_are_told_near_the_prior_only() -> None:
    """Where one direction follows a sum and another a product, no single law names what is told."""
    blind = (
        Combination({"a": 1.0, "b": -1.0}, np.inf, "sum"),
        Combination({"b": 1.0, "c": -2.0}, np.inf, "product", {"b": 1.0, "c": -1.0}),
    )
    (confusion,) = confusions(blind, ("c", "b", "a"))
    assert confusion.local
    assert (confusion.names, confusion.told) == (("c", "b", "a"), ("0.5·c + b + a",))
