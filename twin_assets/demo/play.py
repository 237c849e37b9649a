"""The demonstration from end to end, through the ways that everybody uses: historian, Dagster, store.

Belongs here: the order of events. The first calibration sees what arrived in time; then the late block arrives, and a
second one computes what it changes and nothing else.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from twin_assets import plots
from twin_assets.checks import judge
from twin_assets.demo.faults import Recording, record
from twin_assets.demo.plant import Plant, check_scenario, operate
from twin_assets.demo.randomness import streams
from twin_assets.demo.script import Script, Wish, agree, demo_folder
from twin_assets.demo.summary import Assessment, Tables, assess
from twin_assets.errors import TwinError
from twin_assets.historian import Historian, open_historian
from twin_assets.home import Home
from twin_assets.progress import Progress
from twin_assets.resources import wall_clock
from twin_assets.running import instance_of, run_windows
from twin_assets.simulation import fmu_sha256
from twin_assets.spec_file import Twin
from twin_assets.stages import (
    CALIBRATED_COEFFICIENTS,
    OBSERVATIONS,
    PUBLISHED,
    UKF_STATE,
    VIRTUAL_SENSORS,
)
from twin_assets.stages.engine import open_model
from twin_assets.stages.lineage import is_current
from twin_assets.stages.live import new_windows
from twin_assets.stages.telemetry import channel_properties, resolve_units
from twin_assets.store import Store
from twin_assets.windows import Window, WindowGrid

Say = Callable[[str], None]
Bars = Callable[[], AbstractContextManager[Progress]]


@dataclass(frozen=True)
class Pass:
    """One calibration.

    Attributes:
        run_id: Dagster's; None if everything was up to date and nothing ran.
        windows: keys of the windows that it materialized.
        seconds: how long it took, Dagster included.
        calibration_seconds: how long the filter took of that.
    """

    run_id: str | None
    windows: tuple[str, ...]
    seconds: float
    calibration_seconds: float


@dataclass(frozen=True)
class Publication:
    """What became of one window.

    Attributes:
        window: its key.
        published: whether its results are in the historian.
        checks: verdict of each check: "passed", "warned" or "refused".
        remarks: what the checks that did not pass have to say.
    """

    window: str
    published: bool
    checks: dict[str, str]
    remarks: dict[str, str]


@dataclass(frozen=True)
class Demonstration:
    """What came of it.

    Attributes:
        script: what was played.
        unit: the machine.
        assessment: truth against estimate.
        passes: the calibration of what arrived in time, and of what arrived late.
        publications: what became of each window.
        files: pictures and tables, by what they show.
        seconds: of all of it.
    """

    script: Script
    unit: str
    assessment: Assessment
    passes: tuple[Pass, Pass]
    publications: tuple[Publication, ...]
    files: dict[str, Path]
    seconds: float


def play(twin: Twin, home: Home, wish: Wish, *, say: Say, bars: Bars) -> Demonstration:
    """Play the demonstration in a home; playing it again finishes what is missing and computes nothing twice.

    Args:
        twin: the demonstration's twin.
        home: a new one, or one that holds this demonstration.
        wish: seed, days, start, as far as they matter.
        say: told what happens next, for people.
        bars: makes the progress of a run.

    Raises:
        TwinError: if the twin does not fit, or the home holds other data.
    """
    began = time.perf_counter()
    check_scenario(twin.spec)
    home.prepare()
    with instance_of(home):
        pass  # A home that Dagster cannot open is refused before the plant has run for nothing.
    with open_historian(home) as historian:
        unit = resolve_units(twin.spec, historian)[0]
        script = agree(wish, twin.spec.name, fmu_sha256(twin.fmu_path), home, wall_clock())
        _refuse_other_data(twin, unit, home, historian)
        script.write(demo_folder(home))
        say(f"The line runs for {script.lasts} from {script.start}; its coefficients drift (seed {script.seed}).")
        plant, recording = _record(twin, unit, script)
        passes = []
        for samples, what in ((recording.prompt, "arrive"), (recording.late, "arrive late")):
            say(f"{len(samples):,} samples {what} in the historian.")
            _write(historian, samples)
            passes.append(_calibrate(twin, home, historian, say, bars))
    store, windows = Store(home.store_path), WindowGrid.of(twin.spec).between(script.times[0], script.end)
    tables = read_tables(twin, store, windows)
    return Demonstration(
        script,
        unit,
        assess(twin.spec, tables, plant.truth(), recording.injected),
        (passes[0], passes[1]),
        publications=tuple(_publication(twin, store, window) for window in windows),
        files=draw(twin, plant, tables, demo_folder(home)),
        seconds=time.perf_counter() - began,
    )


def read_tables(twin: Twin, store: Store, windows: Sequence[Window]) -> Tables:
    """The tables that the demonstration's windows hold."""
    keys = [window.key for window in windows]
    stages = (OBSERVATIONS, UKF_STATE, CALIBRATED_COEFFICIENTS, VIRTUAL_SENSORS)
    return Tables(*(store.read_many(twin.spec.name, stage, keys) for stage in stages))


def draw(twin: Twin, plant: Plant, tables: Tables, folder: Path) -> dict[str, Path]:
    """Pictures with the truth in them, and the truth as a table; where each lies."""
    truth = plant.truth()
    figures = {
        "coefficients": plots.coefficients_figure(twin.spec, tables.coefficients, truth),
        "virtual_sensors": plots.virtual_sensors_figure(twin.spec, tables.virtual_sensors, truth),
        "measured_predicted": plots.measured_predicted_figure(
            twin.spec, tables.observations, tables.virtual_sensors, tables.ukf_state
        ),
    }
    files = {}
    for name, figure in figures.items():
        files[name] = folder / f"{name}.png"
        files[name].write_bytes(plots.png(figure))
    written = {"truth": truth, "coefficients": tables.coefficients, "virtual_sensors": tables.virtual_sensors}
    for name, table in written.items():
        files[f"{name}_table"] = folder / f"{name}.csv"
        table.to_csv(files[f"{name}_table"], index=False, lineterminator="\n")
    return files


def _record(twin: Twin, unit: str, script: Script) -> tuple[Plant, Recording]:
    plant_rng, sensors_rng = streams(script.seed)
    with open_model(twin) as model:
        plant = operate(twin.spec, model, script.times, plant_rng)
    return plant, record(twin.spec, unit, plant, sensors_rng)


def _calibrate(twin: Twin, home: Home, historian: Historian, say: Say, bars: Bars) -> Pass:
    """Materialize what is new, as ``twin run`` does."""
    began = time.perf_counter()
    grid, fmu = WindowGrid.of(twin.spec), fmu_sha256(twin.fmu_path)
    windows = new_windows(historian, Store(home.store_path), twin.spec, grid, wall_clock(), fmu)
    if not windows:
        say("All is up to date: nothing to compute.")
        return Pass(None, (), 0.0, 0.0)
    say(f"Calibration through Dagster, windows {windows[0].key} to {windows[-1].key}.")
    with bars() as progress:
        run = run_windows(twin, home, windows, progress)
    return Pass(run.run_id, run.windows, time.perf_counter() - began, _filter_seconds(home, run.run_id))


def _filter_seconds(home: Home, run_id: str) -> float:
    """How long the steps of a run that filter took, by Dagster's own clock."""
    with instance_of(home) as instance:
        steps = [step for step in instance.get_run_step_stats(run_id) if step.step_key.endswith(UKF_STATE)]
    return sum((step.end_time or 0.0) - (step.start_time or 0.0) for step in steps)


def _publication(twin: Twin, store: Store, window: Window) -> Publication:
    verdicts = judge(store, twin.spec, window, wall_clock()).verdicts
    words = {True: "passed", False: "warned"}
    return Publication(
        window.key,
        is_current(store, twin.spec, PUBLISHED, window),
        {one.name: "refused" if one.refuses else words[one.passed] for one in verdicts},
        {one.name: one.description for one in verdicts if not one.passed},
    )


def _refuse_other_data(twin: Twin, unit: str, home: Home, historian: Historian) -> None:
    if Script.read(demo_folder(home)) is None and not historian.latest((unit,), channel_properties(twin.spec)).empty:
        raise TwinError(
            f"{historian.name}: the historian holds other data of unit '{unit}', which a demonstration would mix with"
            " its own. Choose another home with --home, or another historian with --historian."
        )


def _write(historian: Historian, samples: pd.DataFrame) -> None:
    report = historian.write(samples)
    if len(report.rejected):
        first = report.rejected.iloc[0]
        raise TwinError(
            f"the historian rejected {len(report.rejected)} samples, the first of {first['property']} at"
            f" {first['time']}: {first['reason']}."
        )
