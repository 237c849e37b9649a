"""Operating points: which conditions stand for all that was seen."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from twin_assets.historian import SqlHistorian
from twin_assets.spec import TwinSpec
from twin_assets.stages import conditions
from twin_assets.stages.conditions import MOST, representatives, seen_conditions

Samples = Callable[..., pd.DataFrame]
MakeSpec = Callable[..., TwinSpec]


@pytest.fixture
def historian(tmp_path: Path) -> Iterator[SqlHistorian]:
    """An empty one."""
    with SqlHistorian.sqlite(tmp_path / "historian.sqlite") as opened:
        yield opened


def test_clusters_have_one_representative_each() -> None:
    """Three ways to run a machine, with scatter: three points, the usual one first, each with its part of the time."""
    rng = np.random.default_rng(2)
    ways = np.repeat([[10.0, 0.0], [20.0, 0.0], [10.0, 500.0]], [60, 30, 10], axis=0)
    seen = ways + rng.normal(size=ways.shape) * [0.1, 5.0]
    found = representatives(seen)
    np.testing.assert_allclose(found.points, [[10, 0], [10, 500], [20, 0]], atol=20)
    np.testing.assert_allclose(found.shares, [0.6, 0.1, 0.3])
    assert found.observations == 100


def test_the_order_of_what_was_seen_does_not_matter() -> None:
    """The rule is deterministic."""
    seen = np.random.default_rng(3).uniform(size=(200, 3))
    found, again = representatives(seen), representatives(seen[::-1])
    np.testing.assert_array_equal(found.points, again.points)
    np.testing.assert_array_equal(found.shares, again.shares)
    assert found.points.shape == (MOST, 3)
    assert found.shares.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("noise", [0.0, 1e-4])
def test_a_constant_is_one_operating_point(noise: float) -> None:
    """Also with noise on it: what spreads over less than 1 % of its value is no other way to run a machine."""
    seen = 20.0 + noise * np.random.default_rng(4).normal(size=(100, 2))
    found = representatives(seen)
    assert found.points.shape == (1, 2)
    assert found.shares.tolist() == [1.0]


def test_conditions_are_those_of_observations(historian: SqlHistorian, spec: TwinSpec, samples: Samples) -> None:
    """Inputs are held as the filter holds them; without a measurement, or with an input unknown, nothing was seen."""
    historian.write(
        pd.concat(
            [
                samples("drive_speed", ("08:00", 10.0), ("10:00", 30.0)),
                # Held for an hour after 08:00; at 09:40 the speed is not known, at 10:40 it is held again.
                samples("flow_meter", ("08:00", 9.0), ("08:40", 9.0), ("09:40", 9.0), ("10:40", 27.0)),
                # Out of its valid range: nothing was measured then.
                samples("flow_meter", ("10:00", 999.0)),
            ]
        )
    )
    found = seen_conditions(historian, spec)
    assert found is not None
    assert found.observations == 3
    np.testing.assert_array_equal(found.points, [[10.0, 2.0], [30.0, 2.0]])
    np.testing.assert_allclose(found.shares, [2 / 3, 1 / 3])


def test_an_input_that_is_seldom_told_is_held_into_the_stretch(
    historian: SqlHistorian, make_spec: MakeSpec, samples: Samples
) -> None:
    """A set point that was sent the evening before holds, as its max_age says."""
    speed = {"name": "speed", "property": "drive_speed", "max_age": "20h"}
    spec = make_spec(inputs=[speed, {"name": "head", "constant": 2.0}])
    historian.write(
        pd.concat([samples("drive_speed", ("2026-01-01 20:00", 10.0)), samples("flow_meter", ("08:00", 9.0))])
    )
    found = seen_conditions(historian, spec)
    assert found is not None
    np.testing.assert_array_equal(found.points, [[10.0, 2.0]])


def test_nothing_seen_is_none(historian: SqlHistorian, make_spec: MakeSpec, spec: TwinSpec, samples: Samples) -> None:
    """An empty historian, inputs that nobody measures, measurements without any input."""
    assert seen_conditions(historian, spec) is None
    historian.write(samples("flow_meter", ("08:00", 9.0)))
    assert seen_conditions(historian, spec) is None
    constant = make_spec(inputs=[{"name": "speed", "constant": 1.0}, {"name": "head", "constant": 2.0}])
    assert seen_conditions(historian, constant) is None


def test_much_telemetry_is_looked_at_here_and_there(
    historian: SqlHistorian, spec: TwinSpec, recorded: Callable[..., pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With room for a tenth of the samples, stretches from the first hour to the last are read, and no more."""
    telemetry = recorded("2026-01-01", "2026-01-08")
    historian.write(telemetry)
    whole = seen_conditions(historian, spec)
    monkeypatch.setattr(conditions, "_SAMPLES", len(telemetry) * 2 // 3 // 10)
    part = seen_conditions(historian, spec)
    assert whole is not None
    assert part is not None
    assert whole.observations == 7 * 72
    assert part.observations == pytest.approx(0.1 * whole.observations, rel=0.1)
    np.testing.assert_allclose(np.sort(part.points[:, 0])[[0, -1]], [9.0, 11.0], atol=0.1)
