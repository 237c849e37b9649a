"""Inputs that have errors, in the ukf_state table: what was believed of them together with the coefficients.

Belongs here: columns and back. The next observation does not need them; predictions of that time do.
"""

from typing import Any

import numpy as np
import pandas as pd

from twin_assets.estimation import Gaussian, Step


def joint_columns(step: Step, *, known: bool) -> dict[str, object]:
    """``inputs_mean`` (q,) and ``inputs_root`` (q (n + q),): the last rows of the joint root; none if all are exact.

    Args:
        step: what one observation did.
        known: whether all inputs were; if not, nothing was believed of them: NaN.
    """
    if step.joint is None:
        return {}
    n = step.posterior.mean.size
    believed = 1.0 if known else np.nan
    return {"inputs_mean": step.joint.mean[n:] * believed, "inputs_root": step.joint.root[n:].reshape(-1) * believed}


def joint_of_row(row: "pd.Series[Any]", states: Gaussian) -> Gaussian:
    """What was believed of n states and q inputs that have errors; of the states alone where the row says no more."""
    if not isinstance(row.get("inputs_mean"), np.ndarray):
        return states
    mean = np.asarray(row["inputs_mean"], dtype=np.float64)
    n, q = states.mean.size, mean.size
    root = np.zeros((n + q, n + q))
    root[:n, :n], root[n:] = states.root, np.asarray(row["inputs_root"], dtype=np.float64).reshape(q, n + q)
    return Gaussian.of_root(np.concatenate([states.mean, mean]), root)
