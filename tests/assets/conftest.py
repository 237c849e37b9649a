"""A line of two bearings whose model is closed-form: everything of the platform but the FMU's processes, quickly."""

import hashlib
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from twin_assets.automation import job_name, range_tags
from twin_assets.definitions import build_definitions
from twin_assets.historian import Historian, open_historian
from twin_assets.home import Home
from twin_assets.model import EvaluationError, Floats
from twin_assets.simulation import fmu_sha256
from twin_assets.spec_file import Twin, load_twin
from twin_assets.stages.live import pending_windows
from twin_assets.stages.publish import published_properties
from twin_assets.store import Store
from twin_assets.windows import WindowGrid

FMU = Path(__file__).parents[2] / "twins" / "web_line" / "web_line.fmu"
TWIN_YAML = f"""\
name: line
title: A line of two bearings
model: {{fmu: {FMU}}}
start: 2026-01-01
schedule: "*/20 * * * *"
align: {{every: 2h}}
inputs:
  - {{name: web_speed_setpoint, property: line_speed, unit: m/s, max_age: 3h}}
  - {{name: tension_1_setpoint, constant: 100}}
coefficients:
  - {{name: b3, initial: 0.01, initial_std: 0.02, drift_std_per_sqrt_hour: 0.00005, bounds: [0, 0.5], limit: 0.15}}
  - {{name: b9, initial: 0.01, initial_std: 0.02, drift_std_per_sqrt_hour: 0.00005, bounds: [0, 0.5]}}
measurements:
  - {{name: Roller3_w, unit: rad/s, noise_std: 0.001}}
  - {{name: Roller9_w, unit: rad/s, noise_std: 0.001}}
  - {{name: S4_Tension_N, property: load_cell, unit: N, noise_std: 0.5}}
virtual_sensors:
  - {{name: S9_Tension_N, unit: N, alarm: {{low: 60, high: 200}}}}
"""
TRUTH = (0.02, 0.05)
NOISE = {"line_speed": 0.0, "Roller3_w": 0.001, "Roller9_w": 0.001, "load_cell": 0.5}


class LineModel:
    """Roller3_w = 20 v - 5 b3, Roller9_w = 20 v - 5 b9, S4 = T + 100 b3, S9 = T + 200 b9; counts what it runs."""

    coefficients = ("b3", "b9")
    inputs = ("web_speed_setpoint", "tension_1_setpoint")
    outputs = ("Roller3_w", "Roller9_w", "S4_Tension_N", "S9_Tension_N")

    def __init__(self) -> None:
        self.model_runs, self.model_seconds, self.opened = 0, 0.0, 0
        self.fails_at_speed = np.inf
        self.sha256 = ""

    def evaluate(self, coefficients: Floats, inputs: Floats) -> Floats:
        """See PredictiveModel."""
        self.model_runs += len(coefficients)
        (b3, b9), (speed, tension) = coefficients.T, inputs
        if speed >= self.fails_at_speed:
            raise EvaluationError("the web broke", {"b3": float(b3[0])})
        return np.stack([20 * speed - 5 * b3, 20 * speed - 5 * b9, tension + 100 * b3, tension + 200 * b9], axis=1)


def recorded(start: str, end: str) -> pd.DataFrame:
    """Telemetry of the line every two hours, with noise from a seed: the same for a time, whatever range is asked."""
    times = pd.date_range(start, end, freq="2h", tz="UTC", inclusive="left").as_unit("ns")
    at = ((times - pd.Timestamp("2026-01-01", tz="UTC")) // pd.Timedelta("2h")).to_numpy()
    clean = LineModel().evaluate(np.array([TRUTH]), np.array([1.0, 100.0]))[0]
    values = dict(zip(NOISE, (1.0, *clean[:3]), strict=True))
    parts = []
    for number, (name, std) in enumerate(NOISE.items()):
        noise = std * np.random.default_rng(number).normal(size=1_000)[at]
        parts.append(
            pd.DataFrame(
                {"unit": "line", "property": name, "time": times, "value": values[name] + noise, "quality": "GOOD"}
            )
        )
    return pd.concat(parts, ignore_index=True)


@dataclass
class Line:
    """A home with one twin in it."""

    twin: Twin
    home: Home
    model: LineModel = field(default_factory=LineModel)
    now: pd.Timestamp = field(default_factory=lambda: pd.Timestamp("2026-01-05T00:00", tz="UTC").as_unit("ns"))

    @property
    def grid(self) -> WindowGrid:
        """The twin's windows."""
        return WindowGrid.of(self.twin.spec)

    @property
    def store(self) -> Store:
        """The home's store."""
        return Store(self.home.store_path)

    def opener(self, twin: Twin, _workers: int | None = None) -> Any:  # noqa: ANN401 - a context manager of the model
        """Opens the model."""

        @contextmanager
        def opened() -> Iterator[LineModel]:
            self.model.opened += 1
            self.model.sha256 = fmu_sha256(twin.fmu_path)
            yield self.model

        return opened()

    def historian(self) -> Historian:
        """The home's historian."""
        return open_historian(self.home, clock=lambda: self.now)

    def write(self, samples: pd.DataFrame) -> None:
        """Bring telemetry into the historian."""
        with self.historian() as historian:
            assert historian.write(samples).rejected.empty

    def definitions(self, *, pictures: bool = False) -> dg.Definitions:
        """The twin's definitions on this home."""
        return build_definitions(
            [self.twin], home=self.home, clock=lambda: self.now, opener=self.opener, pictures=pictures
        )

    def materialize(
        self,
        first: str,
        last: str,
        *stages: str,
        instance: dg.DagsterInstance | None = None,
        pictures: bool = False,
        checks: bool = True,
    ) -> dg.ExecuteInProcessResult:
        """Run the live job over a range of windows; only some stages, and no checks, if stages are named."""
        windows = [self.grid.parse(first), self.grid.parse(last)]
        definitions = self.definitions(pictures=pictures)
        job = definitions.resolve_job_def(job_name(self.twin.spec))
        if stages:
            keys = [dg.AssetKey(["line", stage]) for stage in stages]
            selection = dg.AssetSelection.assets(*keys)
            chosen = dg.define_asset_job("some", selection if checks else selection.without_checks())
            job = dg.Definitions.merge(definitions, dg.Definitions(jobs=[chosen])).resolve_job_def("some")
        return job.execute_in_process(
            instance=instance,
            tags=range_tags(windows),
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )

    def pending(self) -> list[str]:
        """Keys of the windows with something to do."""
        fmu = fmu_sha256(self.twin.fmu_path)
        with self.historian() as historian:
            found = pending_windows(historian, self.store, self.twin.spec, self.grid, self.now, fmu)
        return [window.key for window in found]

    def replace_fmu(self, build: str) -> None:
        """Put another build of the FMU in its place, as a user copies one there."""
        with zipfile.ZipFile(self.twin.fmu_path, "a") as archive:
            archive.writestr(f"resources/{build}.txt", build)

    def tables(self) -> dict[str, str]:
        """Digest of every file that the store keeps, by its path."""
        root = Path(self.home.store_path)
        return {
            str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(root.rglob("*.parquet"))
        }

    def published(self) -> pd.DataFrame:
        """All published samples."""
        names = tuple(sorted(published_properties(self.twin.spec).values()))
        with self.historian() as historian:
            return historian.read(
                ("line",), names, pd.Timestamp("2020-01-01", tz="UTC"), pd.Timestamp("2030-01-01", tz="UTC")
            )


MakeLine = Callable[..., Line]


def built(root: Path, replaced: Mapping[str, str]) -> Line:
    """A line on a fresh home under a folder; ``replaced``: parts of its twin.yaml."""
    text = TWIN_YAML
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    folder = root / "twins" / "line"
    folder.mkdir(parents=True)
    (folder / "twin.yaml").write_text(text)
    home = Home(root / "home")
    home.prepare()
    return Line(load_twin("line", root / "twins"), home)


@pytest.fixture
def make_line(tmp_path: Path) -> MakeLine:
    """Makes lines, each on a home of its own."""
    count = iter(range(100))
    return lambda replaced=None: built(tmp_path / f"line{next(count)}", replaced or {})


@pytest.fixture
def own_fmu(make_line: MakeLine, tmp_path: Path) -> Line:
    """A line with an FMU of its own, which may be replaced."""
    fmu = tmp_path / "line.fmu"
    shutil.copy(FMU, fmu)
    return make_line({str(FMU): str(fmu)})


@pytest.fixture
def line(make_line: MakeLine) -> Line:
    """The line with four days of telemetry, nothing materialized."""
    line = make_line()
    line.write(recorded("2026-01-01", "2026-01-05"))
    return line


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Line, dg.ExecuteInProcessResult]:
    """The line with its four days materialized, and the run that did it; tests look and change nothing."""
    line = built(tmp_path_factory.mktemp("finished"), {})
    line.write(recorded("2026-01-01", "2026-01-05"))
    return line, line.materialize("2026-01-01", "2026-01-04")


@pytest.fixture
def materialized(finished: tuple[Line, dg.ExecuteInProcessResult], tmp_path: Path) -> Line:
    """A copy of the finished line's home, to go on with."""
    done, _ = finished
    shutil.copytree(done.home.root, tmp_path / "home")
    return Line(done.twin, Home(tmp_path / "home"))


@pytest.fixture
def record() -> Callable[[str, str], pd.DataFrame]:
    """Telemetry of the line; see ``recorded``."""
    return recorded
