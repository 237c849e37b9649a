"""Which coefficients the measurements can tell apart, held against models whose answer is known."""

from collections.abc import Callable

import numpy as np
import pytest

from twin_assets.estimation import Coefficients
from twin_assets.estimation.coordinates import STEP_IN_PRIOR_STD
from twin_assets.estimation.sensitivity import local_sensitivity
from twin_assets.model import Floats

NONE = np.empty(0)


class Formula:
    """A model that is a function of the coefficients' rows (k, n) -> (k, m)."""

    def __init__(self, names: tuple[str, ...], outputs: int, function: Callable[[Floats], Floats]) -> None:
        self.coefficients, self.inputs = names, ()
        self.outputs = tuple(f"y{i}" for i in range(outputs))
        self.function = function
        self.rows = np.empty((0, len(names)))

    def evaluate(self, coefficients: Floats, inputs: Floats) -> Floats:
        """(k, m); keeps the rows that it was asked for."""
        assert inputs.shape == (0,)
        self.rows = coefficients
        return self.function(coefficients)


def free(names: tuple[str, ...], initial: list[float], std: list[float]) -> Coefficients:
    """Coefficients without bounds or drift."""
    none = np.zeros(len(names))
    return Coefficients(names, np.array(initial), np.array(std), none, none - np.inf, none + np.inf)


def test_one_observation_of_a_linear_model_is_a_kalman_update() -> None:
    """The reachable standard deviations are those of the textbook's information form."""
    rng = np.random.default_rng(3)
    jacobian = rng.normal(size=(5, 3))
    std, noise = np.array([0.5, 2.0, 0.1]), np.array([0.3, 0.1, 1.0, 2.0, 0.7])
    names = ("a", "b", "c")
    model = Formula(names, 5, lambda rows: rows @ jacobian.T + 4.0)
    found = local_sensitivity(model, NONE, free(names, [1.0, -2.0, 0.0], std.tolist()), noise)
    posterior = np.linalg.inv(np.diag(std**-2) + jacobian.T @ np.diag(noise**-2) @ jacobian)
    np.testing.assert_allclose(found.reachable_std, np.sqrt(np.diag(posterior)), rtol=1e-9)
    np.testing.assert_allclose(found.scaled, jacobian * std / noise[:, None], rtol=1e-9)
    assert found.singular_values.shape == (3,)
    assert found.blind == ()


def test_a_sum_hides_its_terms() -> None:
    """What is exchanged between two terms is named with its sign and factor."""
    names = ("b1", "b2", "b3")
    model = Formula(names, 2, lambda rows: np.stack([rows[:, 0] * 0.8 + rows[:, 1], rows[:, 2]], axis=1))
    found = local_sensitivity(model, NONE, free(names, [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]), np.array([0.1, 0.1]))
    assert [str(combination) for combination in found.blind] == ["b1 - 0.8·b2"]
    assert found.reachable_std[2] == pytest.approx(0.1, rel=0.01)
    assert found.reachable_std[:2].min() > 0.5, "the exchange between b1 and b2 keeps the prior's uncertainty"


def test_separate_blind_combinations_stay_separate() -> None:
    """Two sums of two are two combinations of two, not mixtures of four; a coefficient without effect stands alone."""
    names = ("a", "b", "c", "d", "e")
    model = Formula(names, 2, lambda rows: np.stack([rows[:, 0] + rows[:, 2], rows[:, 1] + rows[:, 3]], axis=1))
    found = local_sensitivity(model, NONE, free(names, [0.0] * 5, [1.0] * 5), np.array([0.1, 0.1]))
    assert {frozenset(combination.weights) for combination in found.blind} == {
        frozenset("ac"),
        frozenset("bd"),
        frozenset("e"),
    }
    alone = next(combination for combination in found.blind if len(combination.weights) == 1)
    assert (str(alone), alone.observations) == ("e", np.inf)
    np.testing.assert_allclose(found.singular_values[2:], 0, atol=1e-12)


def test_faint_is_told_with_how_many_observations_it_takes() -> None:
    """Noise 200 times the effect of the prior: 40,000 observations tell as much as the prior does."""
    model = Formula(("a",), 1, lambda rows: rows)
    (blind,) = local_sensitivity(model, NONE, free(("a",), [0.0], [1.0]), np.array([200.0])).blind
    assert blind.observations == pytest.approx(40_000, rel=1e-6)


def test_the_runs_stay_inside_the_bounds() -> None:
    """2n + 1 runs; around a point beside a bound that the prior sits on, so that there are two sides to look at."""
    names = ("a", "b")
    one = np.ones(2)
    coefficients = Coefficients(names, 0 * one, one, 0 * one, np.array([0.0, -1.0]), np.array([1.0, 0.0]))
    model = Formula(names, 2, lambda rows: 3.0 * rows)
    found = local_sensitivity(model, NONE, coefficients, np.array([1.0, 1.0]))
    step = STEP_IN_PRIOR_STD
    np.testing.assert_array_equal(
        model.rows, [[step, -step], [2 * step, -step], [step, 0], [0, -step], [step, -2 * step]]
    )
    np.testing.assert_allclose(found.scaled, [[3, 0], [0, 3]])


def test_virtual_sensors_say_nothing() -> None:
    """Only the first outputs are measured; what is merely predicted does not inform."""
    model = Formula(("a", "b"), 2, lambda rows: rows)
    found = local_sensitivity(model, NONE, free(("a", "b"), [1.0, 1.0], [1.0, 1.0]), np.array([0.1]))
    assert found.scaled.shape == (1, 2)
    assert [str(combination) for combination in found.blind] == ["b"]


def test_operating_points_add_their_information_by_their_shares() -> None:
    """What one operating point sees in a tenth of the time counts for a tenth in an average observation."""

    class Gained:
        coefficients, inputs, outputs = ("a", "b"), ("on",), ("y",)

        def evaluate(self, coefficients: Floats, inputs: Floats) -> Floats:
            """B is seen where it is switched on."""
            return np.asarray(coefficients @ np.array([[1.0], [inputs[0]]]), dtype=np.float64)

    conditions, shares = np.array([[0.0], [1.0]]), np.array([9.0, 1.0])
    found = local_sensitivity(Gained(), conditions, free(("a", "b"), [0.0, 0.0], [1.0, 1.0]), np.ones(1), shares)
    np.testing.assert_allclose(found.scaled.T @ found.scaled, [[1.0, 0.1], [0.1, 0.1]], rtol=1e-9)
    assert found.blind == ()
    alone = local_sensitivity(Gained(), conditions[0], free(("a", "b"), [0.0, 0.0], [1.0, 1.0]), np.ones(1))
    assert [str(combination) for combination in alone.blind] == ["b"]
