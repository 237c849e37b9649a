"""What the assets are given: the historian, the models, and the bench that all of them work at.

Belongs here: how they are made for a run and closed after it, and from where: the home in ``$TWIN_HOME``, the historian
in ``$TWIN_HISTORIAN`` and the store in ``$TWIN_STORE``, read when a run starts and never earlier. What they are is said
where they are defined; assets know only those types.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pandas as pd

from twin_assets.errors import TwinError
from twin_assets.historian import Historian, open_historian
from twin_assets.home import HISTORIAN_VARIABLE, Home, home_from
from twin_assets.models import Models, Opener
from twin_assets.progress import Progress, silent
from twin_assets.stages.engine import open_model
from twin_assets.store import Store
from twin_assets.turns import Turns

Clock = Callable[[], pd.Timestamp]


@dataclass(frozen=True)
class Workbench:
    """What every stage works with.

    Attributes:
        store: keeps the tables.
        turns: asked before anything is read, so that one run at a time works on a twin.
        progress: told how far the run is.
        now: the run's start. It stands still: an observation counts as complete only if its samples were read after.
        pictures: whether they are drawn.
    """

    store: Store
    turns: Turns
    progress: Progress
    now: pd.Timestamp
    pictures: bool = True


# What a deployment sets is read when a run starts; the run's log then says which it is.
HISTORIAN = f"Holds the samples: the database that ${HISTORIAN_VARIABLE} names, or the embedded one in the home."
MODELS_CONFIG = {
    "workers": dg.Field(
        dg.Noneable(int),
        default_value=None,
        description="processes that work for each model, on its runs or on units side by side; one per core if null",
    )
}


def build_resources(
    *,
    home: Home | None = None,
    clock: Clock | None = None,
    progress: Progress = silent,
    opener: Opener = open_model,
    pictures: bool = True,
) -> Mapping[str, dg.ResourceDefinition]:
    """Resources by the names that assets ask for.

    Args:
        home: where everything is kept; by default ``$TWIN_HOME`` (or ``.twin``) as it is when a run starts.
        clock: what counts as now when a run starts; by default the wall clock.
        progress: told how far a run is.
        opener: opens a twin's model; by default its FMU.
        pictures: whether tables are drawn for people; about a second each.
    """

    def here() -> Home:
        chosen = home or home_from(os.environ)
        chosen.prepare()
        return chosen

    def historian(context: dg.InitResourceContext) -> Iterator[Historian]:
        with mended_by_users(), open_historian(here(), clock=clock or wall_clock) as opened:
            if context.log:
                context.log.info("The historian is %s", opened.name)
            yield opened

    def models(context: dg.InitResourceContext) -> Iterator[Models]:
        # What another process cannot find by its name is run in this one.
        with Models(opener, context.resource_config["workers"], side_by_side=opener is open_model) as opened:
            yield opened

    def bench(context: dg.InitResourceContext) -> Iterator[Workbench]:
        say = context.log.info if context.log else print
        with mended_by_users():
            store = Store(here().store_path)
        if context.log:
            context.log.info("The store is %s", store.root)
        with Turns(turns_folder(here()), say) as turns:
            yield Workbench(store, turns, progress, clock() if clock else started(context), pictures)

    return {
        "historian": dg.ResourceDefinition(historian, description=HISTORIAN),
        "models": dg.ResourceDefinition(models, config_schema=MODELS_CONFIG, description="FMUs in worker processes."),
        "bench": dg.ResourceDefinition(bench, description="The store, whose turn it is, progress, and what is now."),
    }


def turns_folder(home: Home) -> Path:
    """Where the locks are."""
    return home.root / "turns"


def wall_clock() -> pd.Timestamp:
    """Now, UTC, nanoseconds."""
    return pd.Timestamp.now("UTC").as_unit("ns")


def started(context: dg.InitResourceContext) -> pd.Timestamp:
    """When the run started, the same in all its processes; outside of a run, now."""
    run, instance = context.run, context.instance
    record = instance.get_run_record_by_id(run.run_id) if run is not None and instance is not None else None
    if record is None or record.start_time is None:
        return wall_clock()
    return pd.Timestamp(record.start_time, unit="s", tz="UTC").as_unit("ns")


@contextmanager
def mended_by_users() -> Iterator[None]:
    """Let a TwinError end a step as a Failure: Dagster's UI then shows its text and not the framework's stack."""
    try:
        yield
    except TwinError as error:
        raise dg.Failure(description=str(error)) from error
