"""Pictures: what must be in them, whatever the tables hold."""

import numpy as np
import pandas as pd
import pytest

from twin_assets import plots
from twin_assets.spec import TwinSpec

TIMES = pd.date_range("2026-01-01", periods=12, freq="20min", tz="UTC")


@pytest.fixture
def spec() -> TwinSpec:
    """Two coefficients, two measurements, six virtual sensors of three units of measure."""
    return TwinSpec.model_validate(
        {
            "name": "line",
            "title": "A line",
            "model": {"fmu": "line.fmu"},
            "coefficients": [
                {"name": "b1", "unit": "N.m.s/rad", "initial": 1, "initial_std": 1, "limit": 1.5},
                {"name": "b2", "unit": "N.m.s/rad", "initial": 1, "initial_std": 1, "limit": 90},
            ],
            "measurements": [{"name": "w1", "noise_std": 0.1}, {"name": "w2", "noise_std": 0.1}],
            "virtual_sensors": [
                *({"name": f"S{i}", "unit": "N", "alarm": {"low": 0.5, "high": 1e3}} for i in range(4)),
                {"name": "angle", "unit": "deg"},
                {"name": "pressure", "unit": "Pa"},
            ],
        }
    )


def _estimates(names: list[str], unit: str = "u1") -> pd.DataFrame:
    """A table with a rising mean and a band of one for each name."""
    mean = np.linspace(1.0, 2.0, len(TIMES))
    columns = {
        f"{name}{suffix}": mean + shift
        for name in names
        for suffix, shift in (("", 0.0), ("_std", 0.0), ("_lower", -0.5), ("_upper", 0.5))
    }
    return pd.DataFrame({"unit": unit, "time": TIMES} | columns)


def _observations() -> pd.DataFrame:
    """Good values but for a stuck one, a dropout and, at index 7, one that only the filter can refuse."""
    values = np.linspace(1.0, 2.0, len(TIMES))
    values[[3, 4]] = np.nan
    values[7] = 1e6
    reasons = np.array([""] * len(TIMES), dtype=object)
    reasons[3], reasons[4] = "stuck", "missing"
    columns = {"w1": values, "w1_reason": reasons, "w2": values, "w2_reason": reasons}
    return pd.DataFrame({"unit": "u1", "time": TIMES} | columns)


def _texts(figure: object) -> set[str]:
    """All words in a figure."""
    from matplotlib.text import Text

    return {text.get_text() for text in figure.findobj(Text)}  # type: ignore[attr-defined]


def test_one_panel_a_coefficient_with_band_truth_and_limit(spec: TwinSpec) -> None:
    """Every coefficient has a panel that holds estimate, band and truth, and its limit as a line or in words."""
    table = _estimates(["b1", "b2"])
    truth = pd.DataFrame({"time": TIMES, "b1": 1.4, "b2": 1.6})
    figure = plots.coefficients_figure(spec, table, truth)
    panels = figure.axes
    assert [panel.get_title(loc="left") for panel in panels] == ["b1", "b2"]
    assert np.array_equal(np.asarray(panels[0].lines[0].get_ydata()), table["b1"].to_numpy())
    assert np.array_equal(np.asarray(panels[0].lines[1].get_ydata()), truth["b1"].to_numpy())
    assert [list(np.asarray(line.get_ydata())) for line in panels[0].lines[2:]] == [[1.5, 1.5]]
    assert not panels[1].lines[2:]
    assert {"↑ limit 90", "N·m·s/rad", "A line, u1: calibrated coefficients"} <= _texts(figure)


def test_what_does_not_rest_on_what_was_calibrated_lies_in_the_shade(spec: TwinSpec) -> None:
    """A stretch reaches to the row after it, or, of the last row, as far as the one before did; the legend says so."""
    flagged = np.isin(np.arange(len(TIMES)), [2, 3, 11])
    table = _estimates([*(f"S{i}" for i in range(4)), "angle", "pressure"]).assign(valid=~flagged)
    figure = plots.virtual_sensors_figure(spec, table)
    shades = [patch for patch in figure.axes[0].patches if patch.get_alpha() == pytest.approx(0.22)]
    spans = [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in shades]  # type: ignore[attr-defined]
    step = 20 / (24 * 60)
    days = (TIMES - pd.Timestamp(0, tz="UTC")) / pd.Timedelta("1D")
    assert spans == [pytest.approx((days[2], days[4])), pytest.approx((days[11], days[11] + step))]
    assert "not valid (why_not)" in _texts(figure)
    assert "not valid (why_not)" not in _texts(plots.virtual_sensors_figure(spec, table.drop(columns="valid")))


def test_measured_panels_are_shaded_where_predictions_are_not_calibrated(spec: TwinSpec) -> None:
    """Beside what was measured, too."""
    flagged = np.isin(np.arange(len(TIMES)), [5])
    predicted = _estimates(["w1_predicted", "w2_predicted"]).assign(valid=~flagged)
    figure = plots.measured_predicted_figure(spec, _observations(), predicted)
    assert "not valid (why_not)" in _texts(figure)
    assert len(figure.axes[0].patches) == 1


def test_what_is_smoothed_stands_before_what_was_known_at_the_time(spec: TwinSpec) -> None:
    """Both estimates in every panel, both bands inside its frame; windows that wait show the latter alone."""
    then, smoothed = _estimates(["b1", "b2"]), _estimates(["b1", "b2"])[:6]
    then["b1_upper"] += 5.0
    figure = plots.smoothed_figure(spec, smoothed, then)
    panel = figure.axes[0]
    assert [len(np.asarray(line.get_ydata())) for line in panel.lines[:2]] == [12, 6]
    assert np.array_equal(np.asarray(panel.lines[1].get_ydata()), smoothed["b1"].to_numpy())
    assert panel.get_ylim()[1] > then["b1_upper"].max()
    assert {"smoothed", "at the time", "A line, u1: coefficients, smoothed backwards"} <= _texts(figure)
    assert plots.png(plots.smoothed_figure(spec, smoothed[:0], then)).startswith(b"\x89PNG")


def test_virtual_sensors_are_grouped_by_unit_of_measure(spec: TwinSpec) -> None:
    """Units that fill a row have a heading of their own; the few others share one; every sensor has one panel."""
    figure = plots.virtual_sensors_figure(spec, _estimates([v.name for v in spec.virtual_sensors]))
    assert [panel.get_title(loc="left") for panel in figure.axes] == ["S0", "S1", "S2", "S3", "angle", "pressure"]
    assert {"N", "deg, Pa", "2.0 N (1.5 … 2.5)", "↑ high alarm 1000"} <= _texts(figure)


def test_rejected_values_are_marked_by_reason_and_do_not_squeeze_the_panel(spec: TwinSpec) -> None:
    """A gated outlier of a million stands at the edge with its own mark; the legend names every reason found."""
    observations = _observations()
    predicted = _estimates(["w1_predicted", "w2_predicted"])
    state = observations.drop(columns=["w1", "w2"]).copy()
    state.loc[7, ["w1_reason", "w2_reason"]] = "gated"
    figure = plots.measured_predicted_figure(spec, observations, predicted, state)
    panel = figure.axes[0]
    assert panel.get_ylim()[1] < 4
    assert {"gated by the filter", "stuck", "missing", "2 of 12 rejected"} <= _texts(figure)
    assert "out of range" not in _texts(figure)
    used = next(line for line in panel.lines if line.get_marker() == ".")
    assert len(np.asarray(used.get_ydata())) == len(TIMES) - 3


def test_what_met_no_answer_of_the_model_is_shown_and_not_rejected(spec: TwinSpec) -> None:
    """The value stands in the panel, as what is used does; below it is marked for its reason."""
    observations = _observations()
    state = observations.drop(columns=["w1", "w2"]).copy()
    state.loc[[7, 9], ["w1_reason", "w2_reason"]] = [["gated"] * 2, ["model"] * 2]
    figure = plots.measured_predicted_figure(spec, observations, _estimates(["w1_predicted", "w2_predicted"]), state)
    used = next(line for line in figure.axes[0].lines if line.get_marker() == ".")
    assert len(np.asarray(used.get_ydata())) == len(TIMES) - 3
    assert {"without an answer of the model", "2 of 12 rejected"} <= _texts(figure)


def test_without_the_filters_reasons_the_observations_own_are_shown(spec: TwinSpec) -> None:
    """Observations alone make a picture: their own reasons are marked."""
    figure = plots.measured_predicted_figure(spec, _observations(), _estimates(["w1_predicted", "w2_predicted"]))
    assert "1 of 12 rejected" in _texts(figure)


def test_equal_figures_give_equal_bytes(spec: TwinSpec) -> None:
    """The PNG depends on the table alone: no time stamp, no state from figures made before."""
    table = _estimates(["b1", "b2"])
    first = plots.png(plots.coefficients_figure(spec, table))
    plots.png(plots.virtual_sensors_figure(spec, _estimates([v.name for v in spec.virtual_sensors])))
    assert plots.png(plots.coefficients_figure(spec, table)) == first
    assert first.startswith(b"\x89PNG")


def test_a_figure_shows_one_machine_and_says_which(spec: TwinSpec) -> None:
    """Of several units one is drawn, the first or the one asked for, and the title says so."""
    table = pd.concat([_estimates(["b1", "b2"], "u2"), _estimates(["b1", "b2"], "u1")])
    first = plots.coefficients_figure(spec, table)
    assert "A line, u1 (one of 2 units): calibrated coefficients" in _texts(first)
    assert len(np.asarray(first.axes[0].lines[0].get_xdata())) == len(TIMES)
    assert "A line, u2 (one of 2 units): calibrated coefficients" in _texts(
        plots.coefficients_figure(spec, table, unit="u2")
    )


@pytest.mark.parametrize("rows", [0, 1])
def test_hardly_any_data_still_makes_a_picture(spec: TwinSpec, rows: int) -> None:
    """No row or a single row is no error."""
    table = _estimates([*"w", "b1", "b2", "w1_predicted", "w2_predicted", *(v.name for v in spec.virtual_sensors)])[
        :rows
    ]
    for figure in (
        plots.coefficients_figure(spec, table),
        plots.virtual_sensors_figure(spec, table),
        plots.measured_predicted_figure(spec, _observations()[:rows], table),
    ):
        assert plots.png(figure).startswith(b"\x89PNG")


def test_values_that_are_not_finite_are_said_so(spec: TwinSpec) -> None:
    """NaN and infinite estimates are drawn as gaps and named in words."""
    table = _estimates(["b1", "b2"])
    table.loc[:, ["b1", "b1_lower", "b1_upper"]] = np.nan
    figure = plots.coefficients_figure(spec, table)
    assert "not finite" in _texts(figure)
    assert plots.png(figure)


def test_what_is_left_is_drawn_in_the_noise_that_was_estimated(spec: TwinSpec) -> None:
    """Without a noise_std in twin.yaml the strip is in the noise that the filter believed at each time."""
    from matplotlib.lines import Line2D

    unknown = spec.model_copy(
        update={"measurements": tuple(m.model_copy(update={"noise_std": None}) for m in spec.measurements)}
    )
    observations = _observations()
    observations["w1"] = observations["w2"] = np.linspace(1.0, 2.0, len(TIMES)) + 0.5
    observations["w1_reason"] = observations["w2_reason"] = ""
    believed = np.linspace(0.25, 0.5, len(TIMES))
    ukf_state = pd.DataFrame({"unit": "u1", "time": TIMES})
    for name in ("w1", "w2"):
        ukf_state[f"{name}_reason"], ukf_state[f"{name}_noise_std"] = "", believed
    figure = plots.measured_predicted_figure(
        unknown, observations, _estimates(["w1_predicted", "w2_predicted"]), ukf_state
    )
    drawn = [np.asarray(line.get_ydata(), dtype=float) for line in figure.findobj(Line2D)]
    assert any(len(values) == len(TIMES) and np.allclose(values, 0.5 / believed) for values in drawn)
