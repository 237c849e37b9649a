"""Units side by side in processes of their own: the same tables, and whoever dies takes no other along."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests.pairs import DIES_AT, DIES_ONCE_AT, FAILS_AT, FanModel, fan, observed, opened
from twin_assets.errors import TwinError
from twin_assets.model import EvaluationError, Floats
from twin_assets.models import LazyModel, Models
from twin_assets.spec_file import Twin
from twin_assets.stages.results import ResultTable, virtual_sensors_table
from twin_assets.stages.states import states_of
from twin_assets.stages.tables import Progress, Table, no_progress
from twin_assets.stages.ukf import UkfResult, assimilate
from twin_assets.stages.units import TRIES, failed_units, is_tried_again


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Twin:
    """Five fans."""
    return fan(tmp_path_factory.mktemp("fans"))


@pytest.fixture(scope="module")
def team(twin: Twin) -> Iterator[LazyModel]:
    """A model that two processes have, one for all tests here."""
    with Models(opened, 2, side_by_side=True) as models:
        yield models.of(twin)


@pytest.fixture(scope="module")
def alone(twin: Twin) -> Iterator[LazyModel]:
    """A model that this process has."""
    with Models(opened, 1, side_by_side=True) as models:
        yield models.of(twin)


@pytest.fixture(params=["alone", "team"])
def model(request: pytest.FixtureRequest) -> LazyModel:
    """Both of them."""
    found: LazyModel = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def undisturbed(twin: Twin) -> UkfResult:
    """What comes of observations that nothing is wrong with, without any of the machinery."""
    return filtered(twin, FanModel(twin.path.parent), observed())


def filtered(
    twin: Twin,
    model: LazyModel | FanModel,
    observations: pd.DataFrame,
    before: UkfResult | None = None,
    progress: Progress = no_progress,
) -> UkfResult:
    """The filter's table."""
    existing = Table(before.frame, before.metadata) if before else None
    return assimilate(twin.spec, model, observations, fmu_sha256="f", existing=existing, progress=progress)


def predicted(
    twin: Twin,
    model: LazyModel | FanModel,
    states: UkfResult,
    observations: pd.DataFrame,
    before: ResultTable | None = None,
) -> ResultTable:
    """The predictions' table."""
    existing = Table(before.frame, before.metadata) if before else None
    return virtual_sensors_table(twin.spec, model, states.frame, observations, existing=existing)


def of(frame: pd.DataFrame, *units: str) -> pd.DataFrame:
    """The rows of some units."""
    return frame[frame["unit"].isin(units)].reset_index(drop=True)


def test_tables_are_the_same_however_many_work_on_them(twin: Twin, undisturbed: UkfResult, team: LazyModel) -> None:
    """In this process, or in two: rows, states, model runs; also where a table is continued and rows are kept."""
    observations, begun = observed(), observed().groupby("unit").head(7).reset_index(drop=True)
    plain, before = FanModel(twin.path.parent), team.model_runs
    runs = undisturbed.model_runs
    part, sensors = filtered(twin, plain, begun), predicted(twin, plain, undisturbed, observations)
    together = filtered(twin, team, begun)
    pd.testing.assert_frame_equal(part.frame, together.frame, check_exact=True)
    whole = filtered(twin, team, observations, together)
    assert (whole.kept, whole.assimilated) == (35, 65)
    pd.testing.assert_frame_equal(undisturbed.frame, whole.frame, check_exact=True)
    assert (undisturbed.metadata, runs) == (whole.metadata, together.model_runs + whole.model_runs)
    assert team.model_runs - before == runs
    virtual = predicted(twin, team, whole, observations)
    pd.testing.assert_frame_equal(sensors.frame, virtual.frame, check_exact=True)
    assert sensors.metadata == virtual.metadata
    assert team.model_runs > before + runs


def test_the_team_is_of_other_processes(twin: Twin, team: LazyModel, alone: LazyModel) -> None:
    """There is something to compare above; one core, or one unit, starts none."""
    filtered(twin, team, observed(2))
    here, there = twin.path.parent / f"opened_{os.getpid()}", len([*twin.path.parent.glob("opened_*")])
    assert there >= 2
    filtered(twin, alone, observed(2))
    assert here.exists()
    assert len([*twin.path.parent.glob("opened_*")]) <= there + 1
    with Models(opened, 4, side_by_side=True) as models:
        filtered(twin, models.of(twin), of(observed(2), "b"))
        assert models._teams == {}


def test_the_cores_are_divided_among_as_many_as_there_are(twin: Twin) -> None:
    """A fleet that grows from two units to five in later windows has never more workers than cores, nor old ones."""
    with Models(opened, 4, side_by_side=True) as models:
        model = models.of(twin)
        filtered(twin, model, of(observed(2), "a", "b"))
        first = models._teams["fan"]
        assert (first.workers, len(first.pids)) == (2, 2)
        filtered(twin, model, observed(2))
        second = models._teams["fan"]
        assert (second.workers, len(second.pids), first.pids) == (1, 4, ())
        filtered(twin, model, of(observed(3), "a", "b"))
        assert models._teams["fan"] is second


def test_progress_counts_all_units(twin: Twin, team: LazyModel) -> None:
    """Told in this thread, never backwards, kept rows do not count, the last word is that all is done."""
    observations = observed()
    before = filtered(twin, FanModel(twin.path.parent), observations.groupby("unit").head(7).reset_index(drop=True))
    calls = list[tuple[int, int]]()
    filtered(twin, team, observations, before, lambda done, total: calls.append((done, total)))
    assert calls[-1] == (65, 65)
    parts = [done / total for done, total in calls]
    assert parts == sorted(parts)
    assert len(calls) == 65


def test_a_unit_whose_model_fails_keeps_its_rows_and_the_others_go_on(
    twin: Twin, model: LazyModel, undisturbed: UkfResult
) -> None:
    """Its rows up to there, its state and its reason; and mended it comes to what it would have been, to the bit."""
    broken = observed(speeds={"b": {12: FAILS_AT}})
    result = filtered(twin, model, broken)
    assert set(result.stopped) == {"b"}
    assert result.stopped["b"].why == "b at 2026-01-01 12:00:00+00:00: the fan stalled"
    assert failed_units(result.metadata) == {"b": result.stopped["b"].why}
    pd.testing.assert_frame_equal(of(result.frame, *"acde"), of(undisturbed.frame, *"acde"))
    pd.testing.assert_frame_equal(of(result.frame, "b"), of(undisturbed.frame, "b").head(12))
    sensors = predicted(twin, model, result, broken)
    assert sensors.stopped == {}
    assert len(of(sensors.frame, "b")) == 12
    mended = filtered(twin, model, observed(), result)
    assert mended.kept == 4 * 20 + 12
    pd.testing.assert_frame_equal(mended.frame, undisturbed.frame)
    assert mended.metadata == undisturbed.metadata


def test_a_unit_that_fails_at_once_is_where_it_was(twin: Twin, model: LazyModel) -> None:
    """Without a row its state is the one that the window began with."""
    result = filtered(twin, model, observed(speeds={"b": {0: FAILS_AT}}))
    assert of(result.frame, "b").empty
    assert states_of(result.metadata)["b"].digest == ""
    assert len(result.frame) == 80


def test_rows_that_cannot_be_computed_once_more_come_back(twin: Twin, alone: LazyModel, undisturbed: UkfResult) -> None:
    """A unit fails on the way to what is new, among rows that it had: it keeps those before, and later has them all."""
    old = undisturbed.frame[undisturbed.frame["time"].dt.hour < 15]
    stateless = UkfResult(old.reset_index(drop=True), {}, 0, 0, 0)
    broken = FanModel(twin.path.parent)
    asked = iter(range(1_000))
    evaluate = broken.evaluate

    def failing(coefficients: Floats, inputs: Floats) -> Floats:
        if next(asked) == 9:
            raise EvaluationError("the fan stalled", {})
        return evaluate(coefficients, inputs)

    broken.evaluate = failing  # type: ignore[method-assign]  # this one fails once
    result = filtered(twin, broken, observed(), stateless)
    assert set(result.stopped) == {"a"}
    assert 0 < len(of(result.frame, "a")) < 15
    again = filtered(twin, alone, observed(), result)
    pd.testing.assert_frame_equal(again.frame, undisturbed.frame)
    assert again.metadata == undisturbed.metadata


def test_a_process_that_dies_costs_its_unit_only(twin: Twin, team: LazyModel, undisturbed: UkfResult) -> None:
    """Tried once more, then given up where it died: with its rows up to there, the signal as the reason."""
    result = filtered(twin, team, observed(speeds={"d": {5: DIES_AT}}))
    assert set(result.stopped) == {"d"}
    why = result.stopped["d"].why
    assert why.startswith("d at 2026-01-01 05:00:00+00:00: the process that worked on it died (signal SIGKILL")
    assert "also on a second try" in why
    pd.testing.assert_frame_equal(of(result.frame, *"abce"), of(undisturbed.frame, *"abce"))
    pd.testing.assert_frame_equal(of(result.frame, "d"), of(undisturbed.frame, "d").head(5))
    mended = filtered(twin, team, observed(), result)
    pd.testing.assert_frame_equal(mended.frame, undisturbed.frame)
    assert mended.metadata == undisturbed.metadata


def test_a_process_that_dies_once_costs_nothing(twin: Twin, team: LazyModel) -> None:
    """The second try, in a fresh process, comes to what the first would have."""
    once, died = observed(speeds={"c": {9: DIES_ONCE_AT}}), twin.path.parent / "died_once"
    died.unlink(missing_ok=True)
    result = filtered(twin, team, once)
    assert died.exists()
    assert result.stopped == {}
    pd.testing.assert_frame_equal(result.frame, filtered(twin, FanModel(twin.path.parent), once).frame)


def test_a_prediction_that_kills_its_process_costs_its_unit_only(
    twin: Twin, team: LazyModel, undisturbed: UkfResult
) -> None:
    """The rows before it are there, and the next time it is tried again from there."""
    sensors = predicted(twin, team, undisturbed, observed(speeds={"e": {3: DIES_AT}}))
    assert set(sensors.stopped) == {"e"}
    assert len(of(sensors.frame, "e")) == 3
    assert len(sensors.frame) == 83
    again, whole = (predicted(twin, team, undisturbed, observed(), before) for before in (sensors, None))
    pd.testing.assert_frame_equal(again.frame, whole.frame)


def test_it_is_not_tried_for_ever(twin: Twin, alone: LazyModel) -> None:
    """Where a unit fails again and again at the same row its window is left at that; a step further counts anew."""
    broken = observed(speeds={"b": {12: FAILS_AT}})
    result = filtered(twin, alone, broken)
    for _ in range(TRIES - 1):
        assert is_tried_again(result.metadata)
        result = filtered(twin, alone, broken, result)
    assert not is_tried_again(result.metadata)
    further = filtered(twin, alone, observed(speeds={"b": {14: FAILS_AT}}), result)
    assert is_tried_again(further.metadata)
    assert not is_tried_again(filtered(twin, alone, observed(), further).metadata)


def test_where_all_units_fail_it_is_no_unit_s_own_trouble(twin: Twin, model: LazyModel) -> None:
    """The run ends with the first unit's error, as where there is one unit."""
    everywhere = observed(speeds={unit: {4: FAILS_AT} for unit in "abcde"})
    with pytest.raises(EvaluationError, match=r"a at 2026-01-01 04:00:00\+00:00: the fan stalled"):
        filtered(twin, model, everywhere)


def test_an_fmu_that_was_replaced_ends_the_run(tmp_path: Path) -> None:
    """Processes that are started later compute with the FMU that the run began with, or not at all."""
    twin = fan(tmp_path)
    twin.fmu_path.write_bytes(b"another")
    with Models(opened, 2, side_by_side=True) as models, pytest.raises(TwinError, match="was replaced in between"):
        filtered(twin, models.of(twin), observed(2))


SCRIPT = """
import sys, time
from pathlib import Path
from tests.pairs import fan, observed, opened
from twin_assets.models import Models
from twin_assets.stages.ukf import assimilate
twin = fan(Path(sys.argv[1]))
with Models(opened, 2, side_by_side=True) as models:
    model = models.of(twin)
    assimilate(twin.spec, model, observed(3), fmu_sha256="f")
    print(*models._teams["fan"].pids, flush=True)
    while True:
        assimilate(twin.spec, model, observed(2000), fmu_sha256="f")
"""


def alive(pid: int) -> bool:
    """Whether a process exists that is no zombie."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_no_process_outlives_the_run(tmp_path: Path, how: signal.Signals) -> None:
    """Killed or interrupted in the midst of work."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)}
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2
        assert all(alive(pid) for pid in pids)
        parent.send_signal(how)
        parent.wait(30)
    deadline = time.monotonic() + 30
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < deadline, "a process outlived the run"
        time.sleep(0.05)
