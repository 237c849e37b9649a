"""The picture of a fleet shows what its table says."""

from pathlib import Path

import numpy as np
import pandas as pd

from twin_assets.estimation import FilterState, Gaussian, prior
from twin_assets.fleet_picture import fleet_figure
from twin_assets.spec_file import load_twin
from twin_assets.stages.fleet import fleet_table
from twin_assets.stages.settings import coefficients_of
from twin_assets.stages.states import UnitState, state_space
from twin_assets.windows import WindowGrid

SPEC = load_twin("web_line", Path(__file__).parents[1] / "twins").spec


def test_the_others_band_keeps_to_the_bounds() -> None:
    """Where healthy bearings sit at zero the others' 95 % is no damping below it, in the table and as it is drawn."""
    from matplotlib import patches

    coefficients, window = coefficients_of(SPEC), WindowGrid.of(SPEC).first
    start = prior(coefficients).posterior
    states = {
        f"line_{number}": UnitState(
            FilterState(window.start.value, Gaussian(start.mean - 5e-4 * number, 0.01 * start.cov)),
            "",
            state_space(coefficients),
        )
        for number in range(4)
    }
    frame = fleet_table(SPEC, states, window)
    assert (frame["fleet_mean"] - 1.96 * frame["fleet_std"] < 0.0).any(), "else there is nothing to see"
    assert (frame["fleet_lower"] >= 0.0).all()
    assert ((frame["fleet_lower"] < frame["fleet_mean"]) & (frame["fleet_mean"] < frame["fleet_upper"])).all()
    panel = fleet_figure(SPEC, frame).axes[0]
    bars = [bar for bar in panel.patches if isinstance(bar, patches.Rectangle)]
    rows = frame[frame["coefficient"] == SPEC.coefficients[0].name]
    drawn = pd.DataFrame([(bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars])
    np.testing.assert_allclose(drawn, rows[["fleet_lower", "fleet_upper"]], rtol=1e-12)
