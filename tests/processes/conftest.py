"""Real processes: a twin of the demonstration line with two coefficients, on a home of its own."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from twin_assets.historian import SqlHistorian
from twin_assets.home import Home
from twin_assets.spec_file import Twin, load_twin
from twin_assets.stages.engine import open_model
from twin_assets.stages.publish import published_properties

ROOT = Path(__file__).parents[2]
FMU = ROOT / "twins" / "web_line" / "web_line.fmu"
TWIN_YAML = f"""\
name: pair
title: Two rollers of the line
model: {{fmu: {FMU}, max_settle_s: 1200, tolerance: 1.0e-9}}
start: 2026-01-01
align: {{every: 2h}}
inputs:
  - {{name: web_speed_setpoint, property: line_speed, max_age: 3h}}
coefficients:
  - {{name: b3, initial: 0.01, initial_std: 0.02, drift_std_per_sqrt_hour: 0.0001, bounds: [0, 0.5]}}
  - {{name: b9, initial: 0.01, initial_std: 0.02, drift_std_per_sqrt_hour: 0.0001, bounds: [0, 0.5]}}
measurements:
  - {{name: Roller3_w, noise_std: 2.0e-5}}
  - {{name: Roller9_w, noise_std: 2.0e-5}}
virtual_sensors:
  - {{name: S9_Tension_N}}
"""
ALWAYS = (pd.Timestamp("2020-01-01", tz="UTC"), pd.Timestamp("2030-01-01", tz="UTC"))


@dataclass(frozen=True)
class Pair:
    """A home with the twin beside it."""

    root: Path

    @property
    def twins(self) -> Path:
        """The folder of the twin."""
        return self.root / "twins"

    @property
    def home(self) -> Home:
        """The home."""
        return Home(self.root / "home")

    @property
    def twin(self) -> Twin:
        """The twin."""
        return load_twin("pair", self.twins)

    @property
    def environment(self) -> Mapping[str, str]:
        """What processes are told."""
        dagster = {"DAGSTER_HOME": str(self.home.dagster_path)}
        told = {"TWIN_HOME": str(self.home.root), "TWINS_PATH": str(self.twins), "PYTHONUNBUFFERED": "1"}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, **dagster, **told, "PATH": path}

    def tables(self) -> dict[str, bytes]:
        """Every table's bytes, by its path in the store."""
        root = Path(self.home.store_path)
        return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*.parquet"))}

    def published(self) -> pd.DataFrame:
        """All published samples."""
        names = tuple(sorted(published_properties(self.twin.spec).values()))
        with SqlHistorian.sqlite(self.home.historian_path) as historian:
            return historian.read(("pair",), names, *ALWAYS)

    def write(self, samples: pd.DataFrame) -> None:
        """Bring telemetry into the historian."""
        with SqlHistorian.sqlite(self.home.historian_path) as historian:
            assert historian.write(samples).rejected.empty


def make_pair(root: Path) -> Pair:
    """A twin and an empty home under a folder."""
    (root / "twins" / "pair").mkdir(parents=True)
    (root / "twins" / "pair" / "twin.yaml").write_text(TWIN_YAML)
    pair = Pair(root)
    pair.home.prepare()
    return pair


def telemetry(twin: Twin, start: str, end: str) -> pd.DataFrame:
    """What the FMU itself answers with coefficients of its own, and noise."""
    times = pd.date_range(start, end, freq="2h", tz="UTC", inclusive="left").as_unit("ns")
    with open_model(twin, 1) as model:
        clean = model.evaluate(np.array([[0.02, 0.05]]), np.array([1.0]))[0]
    rng = np.random.default_rng(7)
    values = {"line_speed": np.full(len(times), 1.0)}
    for name, value in zip(("Roller3_w", "Roller9_w"), clean, strict=False):
        values[name] = value + 2.0e-5 * rng.normal(size=len(times))
    parts = [
        pd.DataFrame({"unit": "pair", "property": name, "time": times, "value": value, "quality": "GOOD"})
        for name, value in values.items()
    ]
    return pd.concat(parts, ignore_index=True)


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """Two days of telemetry, nothing materialized."""
    return recorded_pair(tmp_path / "pair")


@pytest.fixture(scope="module")
def served_pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The same for a module, which shares a server on it."""
    return recorded_pair(tmp_path_factory.mktemp("served") / "pair")


def recorded_pair(root: Path) -> Pair:
    """A pair with two days of telemetry."""
    pair = make_pair(root)
    pair.write(telemetry(pair.twin, "2026-01-01", "2026-01-03"))
    return pair
