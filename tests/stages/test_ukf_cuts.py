"""A filter that is handed on as text goes on to the last bit, wherever it was cut."""

import numpy as np

from twin_assets.estimation import Coefficients, FilterSettings, FilterState, filter_step, prior
from twin_assets.model import Floats
from twin_assets.stages.states import UnitState, states_metadata, states_of

N, M, STEPS = 9, 11, 60
HOUR = 3_600_000_000_000
MIX = np.random.default_rng(8).normal(size=(M, N))


class Bent:
    """Eleven outputs of nine coefficients, a little curved: full and reused updates take turns."""

    coefficients = tuple(f"c{i}" for i in range(N))
    inputs: tuple[str, ...] = ()
    outputs = tuple(f"y{i}" for i in range(M))

    def evaluate(self, coefficients: Floats, inputs: Floats) -> Floats:
        """See PredictiveModel."""
        del inputs
        seen = coefficients @ MIX.T
        return np.asarray(seen + 0.4 * seen**2, dtype=np.float64)


def handed_on(state: FilterState) -> FilterState:
    """What is left of a state after it was text."""
    return states_of(states_metadata({"pump": UnitState(state, "digest", "space")}))["pump"].state


def test_cut_after_any_step_equals_never_cut() -> None:
    """Sixty steps, full and reused: each, from what was written of the state before it, is the same to a bit."""
    coefficients = Coefficients(
        Bent.coefficients, np.zeros(N), np.full(N, 0.3), np.full(N, 0.02), np.full(N, -np.inf), np.full(N, np.inf)
    )
    settings, rng, state = FilterSettings(np.full(M, 0.05), 1e-4, reuse=True), np.random.default_rng(9), None
    methods = []
    for number in range(STEPS):
        before = prior(coefficients) if state is None else state
        observation = rng.normal(0.0, 0.08, size=M)
        whole, cut = (
            filter_step(one, number * HOUR, observation, np.empty(0), Bent(), coefficients, settings)
            for one in (before, handed_on(before))
        )
        assert cut.posterior.root.tobytes() == whole.posterior.root.tobytes()
        for name in ("innovation", "innovation_std"):
            assert getattr(cut, name).tobytes() == getattr(whole, name).tobytes()
        assert cut.nis == whole.nis
        assert states_metadata({"u": UnitState(cut.state, "", "")}) == states_metadata(
            {"u": UnitState(whole.state, "", "")}
        )
        methods.append(whole.method)
        state = whole.state
    assert {"ukf", "reused"} <= set(methods)
