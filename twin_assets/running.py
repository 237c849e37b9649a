"""Runs that people start from the command line: through Dagster, in this process, seen in ``dagster dev`` afterwards.

The run is of the same job that the schedule and the sensor start, recorded in the home's Dagster instance.
"""

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import dagster as dg
from dagster._core.instance.ref import InstanceRef  # no public way has overrides
from dagster_shared.error import SerializableErrorInfo

from twin_assets.automation import job_name, range_tags
from twin_assets.checks import REFUSED_VERDICT, UNITS_REFUSED_VERDICT
from twin_assets.definitions import LOCATION, build_definitions
from twin_assets.errors import TwinError
from twin_assets.home import Home
from twin_assets.instance_errors import explained_config, explained_storage
from twin_assets.models import Opener
from twin_assets.progress import Progress, silent
from twin_assets.resources import Clock
from twin_assets.spec_file import Twin
from twin_assets.stages.engine import open_model
from twin_assets.windows import Window

# Names of what Dagster raises where a blocking check failed, and instead of a KeyboardInterrupt.
BLOCKED = "DagsterAssetCheckFailedError"
INTERRUPTED = "DagsterExecutionInterruptedError"
PROCESS_TAG = "twin/process"
# Dagster's UI lists a run under a job of a code location by this tag.
REPOSITORY_TAG = ".dagster/repository"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
# Dagster would copy this process's output into files, through pipes that take the progress bars along.
NO_OUTPUT_FILES = {
    "compute_logs": {
        "module": "dagster._core.storage.noop_compute_log_manager",
        "class": "NoOpComputeLogManager",
        "config": {},
    }
}


class RunError(TwinError):
    """A run failed for a reason that Dagster recorded; names the run."""


@dataclass(frozen=True)
class RunSummary:
    """What became of a run.

    Attributes:
        run_id: Dagster's.
        windows: keys, in order.
        refused: key -> why nothing of that window was published.
        refused_units: key -> why nothing of some units was published in it, while others' results were.
        success: everything was materialized and published.
    """

    run_id: str
    windows: tuple[str, ...]
    refused: Mapping[str, str]
    refused_units: Mapping[str, str] = field(default_factory=dict)

    @property
    def success(self) -> bool:
        """Whether everything was published."""
        return not self.refused and not self.refused_units


def run_windows(
    twin: Twin,
    home: Home,
    windows: Sequence[Window],
    progress: Progress = silent,
    *,
    clock: Clock | None = None,
    opener: Opener = open_model,
    pictures: bool = True,
) -> RunSummary:
    """Materialize all of a twin for some windows, and wait for it.

    Args:
        twin: what is materialized.
        home: where telemetry is read, and results, runs and events are kept.
        windows: contiguous, in order, at least one.
        progress: told how far the run is.
        clock: what counts as now; by default the wall clock at the run's start.
        opener: opens the twin's model; by default its FMU.
        pictures: whether tables are drawn for people; about a second each.

    Raises:
        RunError: if the run failed for a reason that people can mend, other than that windows were refused.
        RuntimeError: if it failed otherwise; with the traceback of where it did.
        KeyboardInterrupt: if it was interrupted; what is done is kept, and the run is marked as failed.
    """
    if not windows:
        raise ValueError("run_windows needs at least one window")
    home.prepare()
    definitions = build_definitions([twin], home=home, clock=clock, progress=progress, opener=opener, pictures=pictures)
    with instance_of(home) as instance:
        bury(instance, twin)
        result = definitions.resolve_job_def(job_name(twin.spec)).execute_in_process(
            instance=instance,
            run_config=QUIET,
            tags={**range_tags(windows), **_own_tags()},
            raise_on_error=False,
        )
    _raise_failures(result)
    refused, of_units = (_refused(result, verdict) for verdict in (REFUSED_VERDICT, UNITS_REFUSED_VERDICT))
    return RunSummary(result.run_id, tuple(window.key for window in windows), refused, of_units)


@contextmanager
def instance_of(home: Home) -> Iterator[dg.DagsterInstance]:
    """The home's Dagster instance, for runs in this process.

    Raises:
        TwinError: if it cannot be opened, or not be written to.
    """
    with explained_storage(home):
        with explained_config(home):
            ref = InstanceRef.from_dir(str(home.dagster_path), overrides=NO_OUTPUT_FILES)
            opened = dg.DagsterInstance.from_ref(ref)
        with opened as instance:
            yield instance


def bury(instance: dg.DagsterInstance, twin: Twin) -> None:
    """Mark runs as failed whose process was killed: nobody else would, and they would look busy for ever."""
    unfinished = dg.RunsFilter(
        job_name=job_name(twin.spec), statuses=[dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
    )
    for run in instance.get_runs(unfinished):
        if run.parent_run_id is not None:  # executed again from the UI, elsewhere; the tag is its parent's
            continue
        host, _, process = run.tags.get(PROCESS_TAG, "").rpartition(":")
        if host == socket.gethostname() and not _is_alive(int(process)):
            instance.report_run_failed(run, f"Process {process}, which ran this, ended without a word.")


def _own_tags() -> dict[str, str]:
    return {PROCESS_TAG: f"{socket.gethostname()}:{os.getpid()}", REPOSITORY_TAG: f"__repository__@{LOCATION}"}


def _is_alive(process: int) -> bool:
    if os.name != "posix":  # pragma: no cover - signal 0 is POSIX's; elsewhere an old run is left as it is
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _refused(result: dg.ExecuteInProcessResult, verdict: str) -> dict[str, str]:
    """Why windows, or units of them, were refused, from the checks' verdicts."""
    refused: dict[str, list[str]] = {}
    for evaluation in result.get_asset_check_evaluations():
        table = evaluation.metadata["verdicts"]
        for record in table.records if isinstance(table, dg.TableMetadataValue) else ():
            if record.data["verdict"] == verdict:
                refused.setdefault(str(record.data["window"]), []).append(
                    f"{evaluation.check_name}: {record.data['why']}"
                )
    return {key: " ".join(refused[key]) for key in sorted(refused)}


def _raise_failures(result: dg.ExecuteInProcessResult) -> None:
    """Raise what ended the run; that checks refused windows did not."""
    failed_steps = [event for event in result.all_events if event.is_step_failure]
    errors = [event.step_failure_data.error for event in failed_steps if not _is_refusal(event)]
    if not failed_steps and not result.success:
        # It did not get as far as a step: a resource could not be opened.
        errors = [event.job_failure_data.error for event in result.all_events if event.is_job_failure]
    for error in errors:
        raise _failure(result.run_id, error)


def _is_refusal(event: dg.DagsterEvent) -> bool:
    data = event.step_failure_data
    told = data.user_failure_data
    by_checks = data.error is not None and data.error.cls_name == BLOCKED
    return by_checks or (told is not None and REFUSED_VERDICT in told.metadata)


def _failure(run_id: str, error: SerializableErrorInfo | None) -> BaseException:
    """What was told to people (a Failure, see ``mended_by_users``); for everything else the whole story."""
    link = error
    while link is not None:
        if link.cls_name == INTERRUPTED:
            return KeyboardInterrupt(f"run {run_id} was interrupted")
        if link.cls_name == dg.Failure.__name__:
            message = link.message.partition(": ")[2].strip()
            return RunError(f"{message}\nIn Dagster this is run {run_id}.")
        link = link.cause
    return RuntimeError(f"run {run_id} failed:\n{error.to_string() if error else 'no error was recorded'}")
