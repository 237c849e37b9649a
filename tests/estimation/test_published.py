"""A regression with its covariance and a time series with its variances, as they were published."""

import numpy as np
import pytest

from oracles import published


def test_rooney_and_biegler_as_parmest_has_it() -> None:
    """Estimates and covariance of the example of Pyomo's parmest, to the digits that are published."""
    found = published.rooney_biegler()
    np.testing.assert_allclose(found.estimate, published.ROONEY_BIEGLER_ESTIMATE, atol=5e-5)
    np.testing.assert_allclose(found.posterior.cov, published.ROONEY_BIEGLER_COV, rtol=2e-4)
    # The covariance goes with the unbiased variance of the noise: the squares over 6 - 2.
    assert found.noise_std[0] ** 2 == pytest.approx(np.nansum(found.residuals**2) / 4, rel=1e-6)


def test_nile_is_filtered_as_in_the_textbook() -> None:
    """Every level, variance and innovation of the local level model is that of its recursion (Durbin, Koopman 2.15).

    And the published numbers: second level 1118.3 before its observation, filtered variance to 4032.2.
    """
    noise_var, level_var = published.NILE_NOISE_VAR, published.NILE_LEVEL_VAR
    steps = published.nile(noise_var, level_var)
    assert steps[0].posterior.mean[0] == pytest.approx(1118.3, abs=0.05)
    level, var = 0.0, 1e7
    for flow, step in zip(published.NILE, steps, strict=True):
        gain = var / (var + noise_var)
        assert step.innovation[0] == pytest.approx(flow - level, abs=1e-8)
        assert step.innovation_std[0] ** 2 == pytest.approx(var + noise_var, rel=1e-11)
        level, filtered = level + gain * (flow - level), var * (1.0 - gain)
        assert step.posterior.mean[0] == pytest.approx(level, rel=1e-11)
        assert step.posterior.cov[0, 0] == pytest.approx(filtered, rel=1e-9)
        var = filtered + level_var
    # Where the recursion stands still: P^2 - P Q - Q R = 0 for the predicted variance P.
    steady = (level_var + np.sqrt(level_var**2 + 4.0 * level_var * noise_var)) / 2.0
    assert steps[-1].posterior.cov[0, 0] == pytest.approx(steady - level_var, rel=1e-9)
    assert steady - level_var == pytest.approx(4032.16, abs=0.005)
    assert published.log_likelihood(steps) == pytest.approx(-632.544, abs=5e-4)


@pytest.mark.parametrize(("ratio", "value"), published.NILE_TABLE_2_1)
def test_nile_likelihoods_are_those_of_table_2_1(ratio: float, value: float) -> None:
    """Innovations and their variances give Durbin and Koopman's concentrated log-likelihoods, to the digits printed."""
    assert published.concentrated(ratio).value == pytest.approx(value, abs=0.0051)


def test_nile_variances_are_most_likely_where_they_were_published() -> None:
    """The likelihood of the filter's innovations is largest at 15099 and 1469.1.

    To half a thousandth: it is so flat there that its maximum, with a first level of variance 1e7 instead of an unknown
    one, lies 0.3 beside the second.
    """
    noise_var, level_var = published.most_likely_nile()
    assert noise_var == pytest.approx(published.NILE_NOISE_VAR, rel=5e-4)
    assert level_var == pytest.approx(published.NILE_LEVEL_VAR, rel=5e-4)
