"""Constant coefficients against what NIST has certified."""

import numpy as np
import pytest

from oracles import nist
from twin_assets.estimation import CalibrationError

# Its response is exact to 14 digits, so the certified residuals, 1e-25 in all, are the rounding of such numbers.
ROUNDED = "Lanczos1"
# These take a hundred thousand runs and more.
LONG = ("ENSO", "Bennett5")


@pytest.mark.parametrize("name", nist.FORMULAS)
def test_the_numbers_are_nists(name: str) -> None:
    """Formula and data give the certified sum of squares at the certified estimates: nothing is transcribed wrongly."""
    problem = nist.read(name)
    columns = tuple(value[np.newaxis] for value in problem.certified)
    predicted = [nist.FORMULAS[name](columns, x)[0] for x in problem.predictors]
    squares = float(((problem.response - predicted) ** 2).sum())
    # Estimates of eleven digits: what they leave out goes into the sum squared. Lanczos1 has next to nothing to add to.
    if name == ROUNDED:
        assert squares < 1e-20
    else:
        assert squares == pytest.approx(problem.residual_squares, rel=1e-7)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in LONG else name for name in nist.FORMULAS]
)
def test_certified_from_start_2(name: str) -> None:
    """Estimates to six digits, standard errors to six, for all 27 problems, of higher difficulty too.

    The certified values have eleven digits. Central differences with steps of 1e-5 are good to 1e-10, the minimum is
    found to 1e-7 of a standard error; six digits are what that leaves where the standard error is larger than the
    estimate (ENSO, Nelson).
    """
    problem = nist.read(name)
    found = nist.solve(problem, start=2)
    np.testing.assert_allclose(found.estimate, problem.certified, rtol=1e-6)
    # A standard error is proportional to the root of the residual squares, of which Lanczos1 has but rounding.
    np.testing.assert_allclose(found.posterior.std, problem.certified_std, rtol=5e-3 if name == ROUNDED else 1e-6)
    assert found.dof == problem.response.size - problem.certified.size
    if name != ROUNDED:
        assert np.nansum(found.residuals**2) == pytest.approx(problem.residual_squares, rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in nist.FORMULAS if name != "BoxBOD"])
def test_certified_from_start_1(name: str) -> None:
    """From far away too: estimates to five digits, standard errors to three, where the last steps are the smallest."""
    problem = nist.read(name)
    found = nist.solve(problem, start=1)
    np.testing.assert_allclose(found.estimate, problem.certified, rtol=1e-5)
    np.testing.assert_allclose(found.posterior.std, problem.certified_std, rtol=5e-3 if name == ROUNDED else 1e-3)


def test_a_plateau_is_no_answer() -> None:
    """BoxBOD from start 1 runs onto a plateau where b2 has no effect: refused by name, not answered with a number."""
    with pytest.raises(CalibrationError, match="cannot tell b2"):
        nist.solve(nist.read("BoxBOD"), start=1)
