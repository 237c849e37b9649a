"""The soak test: live ticks into a local IoT SiteWise with faults, and a twin that is killed again and again.

A gateway puts samples, tick after tick, into an emulator whose faults come and go; a process that follows them live is
killed at random moments and started again. Then the faults end, the twin comes to the end of what there is, and
``soak_proof`` looks at what is there. ``python benchmarks/soak.py --help``
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import dagster as dg
import pandas as pd

from emulator_clients import Client, connect
from soak_gateway import Gateway
from soak_line import NAME, TICK, TWIN_YAML, UNIT, SharedClock, time_of
from soak_process import LiveProcess
from soak_proof import Tables, assimilated_once, published_once, raw_points, same_as_undisturbed
from twin_assets.emulator import Emulator
from twin_assets.home import Home
from twin_assets.provisioning.sitewise import model_properties
from twin_assets.running import instance_of
from twin_assets.spec_file import Twin, load_twin

FAULTS = (
    "",
    "throttle=20%",
    "partial=30%",
    "error=20%",
    "drop=15%",
    "slow=100ms",
    "throttle=10%,error=10%,partial=10%,drop=5%,slow=30ms",
    "throttle=20%,error=25%,partial=30%,drop=10%",
    "error=100%",
)
LONGEST_PHASE = 25  # ticks
LINES_AT_MOST = 24  # of the process, before it is killed: three runs' worth
SECONDS_AT_MOST = 0.5
# In that time what is late has been looked for: every hour, in the last 7 days.
AFTERWARDS = pd.Timedelta(hours=3)
# What is older is not taken again, which the undisturbed run asks for.
MOST_TICKS = (pd.Timedelta(days=7) - AFTERWARDS) // TICK


@dataclass(frozen=True)
class Plan:
    """What is done.

    Attributes:
        ticks: how often samples are put.
        kills: how often the process is killed.
        seed: of all chances.
        tick_s: how long a tick takes, at least.
    """

    ticks: int
    kills: int
    seed: int = 1
    tick_s: float = 0.3


@dataclass
class Report:
    """What happened, and what is wrong.

    Attributes:
        problems: what must not be; empty if all is well.
        figures: counts, for people.
        failures: why runs failed that were tried again.
        killed: what the process was at when it was killed.
    """

    problems: list[str] = field(default_factory=list)
    figures: dict[str, object] = field(default_factory=dict)
    failures: Counter[str] = field(default_factory=Counter)
    killed: Counter[str] = field(default_factory=Counter)

    def lines(self) -> list[str]:
        """For people."""
        told = [f"{name:<36}{value}" for name, value in self.figures.items()]
        told += [f"killed: {name:<28}{count}" for name, count in sorted(self.killed.items())]
        told += [f"failed {count} times: {why}" for why, count in self.failures.most_common()]
        return [*told, *(f"WRONG: {problem}" for problem in self.problems)]


@dataclass(frozen=True)
class Site:
    """The folder of a soak test, and what is in it.

    Attributes:
        root: the folder.
        endpoint: URL of the emulator.
    """

    root: Path
    endpoint: str

    @property
    def twin(self) -> Twin:
        """The twin."""
        return load_twin(NAME, self.root / "twins")

    def home(self, name: str) -> Home:
        """A home by its name."""
        return Home(self.root / name)

    def tables(self, name: str) -> Tables:
        """The tables of a home."""
        return Tables(self.root / name / "store")

    def process(self, name: str, stop_file: str) -> LiveProcess:
        """A process that lives on a home."""
        url = f"sitewise://eu-central-1?model={NAME}&endpoint={self.endpoint}"
        fast = "&values_per_s=1000000&property_values_per_s=1000000"
        told = {
            "TWIN_HOME": str(self.root / name),
            "TWINS_PATH": str(self.root / "twins"),
            "TWIN_HISTORIAN": url + fast,
        }
        keys = {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none", "AWS_EC2_METADATA_DISABLED": "true"}
        return LiveProcess(self.root / "clock", self.root / stop_file, {**told, **keys}, self.root / f"{name}.log")


def soak(plan: Plan, root: Path) -> Report:
    """Do it, in a folder."""
    (root / "twins" / NAME).mkdir(parents=True)
    (root / "twins" / NAME / "twin.yaml").write_text(TWIN_YAML)
    (root / "now").touch()
    clock, report, began = SharedClock(root / "clock"), Report(), time.monotonic()
    clock.set(time_of(0))
    with Emulator(root / "emulator", clock=clock, seed=plan.seed) as emulator:
        site = Site(root, emulator.url)
        client = connect("iotsitewise", emulator.url)
        asset_id, properties = provided(client, site.twin)
        gateway = Gateway(client, asset_id, properties, plan.seed)
        live = site.process("live", "stop")
        try:
            lived(plan, emulator, gateway, live, clock, report)
            emulator.set_faults("")
            gateway.flush()
            clock.set(time_of(plan.ticks) + AFTERWARDS)
            (root / "stop").touch()
            if live.wait():
                report.problems.append(f"the twin did not come to its end: {live.heard[-1]}; {live.errors}")
        finally:
            live.kill()
        report.figures["seconds"] = round(time.monotonic() - began)
        raw = raw_points(client, site.twin.spec, asset_id, properties)
        prove(site, gateway, live, raw, report)
        again = raw_points(client, site.twin.spec, asset_id, properties)
        if again != raw:
            report.problems.append("a run that nobody disturbed published something else")
    report.figures |= {"put by the gateway": dict(gateway.counts), "samples accepted": len(gateway.accepted)}
    return report


def provided(client: Client, twin: Twin) -> tuple[str, dict[str, str]]:
    """An asset for the twin: its id, and those of its properties."""
    definitions = model_properties(twin.spec)
    model = client.create_asset_model(assetModelName=NAME, assetModelProperties=definitions)["assetModelId"]
    asset_id = client.create_asset(assetName=UNIT, assetModelId=model)["assetId"]
    described = client.describe_asset(assetId=asset_id)["assetProperties"]
    return asset_id, {each["name"]: each["id"] for each in described}


def lived(
    plan: Plan, emulator: Emulator, gateway: Gateway, live: LiveProcess, clock: SharedClock, report: Report
) -> None:
    """All ticks, faults and kills. The gateway waits for no run, but it does not come to a kill before the last one."""
    chance = Random(plan.seed)  # noqa: S311 - chance, no secret
    kills = {tick: (chance.randint(0, LINES_AT_MOST), chance.uniform(0.0, SECONDS_AT_MOST)) for tick in _moments(plan)}
    changes, coming, phases = 0, list[str](), Counter[str]()
    killing: Future[str] | None = None
    with ThreadPoolExecutor(1) as killer:
        live.start()
        for tick in range(plan.ticks):
            until = time.monotonic() + plan.tick_s
            clock.set(time_of(tick))
            if tick >= changes:
                # Each kind as often as the others, in another order every time.
                coming = coming or chance.sample(FAULTS, len(FAULTS))
                faults, changes = coming.pop(), tick + chance.randint(1, LONGEST_PHASE)
                emulator.set_faults(faults)
            phases[faults] += 1
            if tick in kills:
                if killing is not None:
                    report.killed[killing.result()] += 1
                killing = killer.submit(live.kill_and_restart, *kills[tick])
            gateway.tick(tick)
            time.sleep(max(0.0, until - time.monotonic()))
        if killing is not None:
            report.killed[killing.result()] += 1
    report.figures |= {"ticks": plan.ticks, "ticks by faults": dict(phases)}


def _moments(plan: Plan) -> list[int]:
    """At which ticks the process is killed, or soon after: evenly spread."""
    return [round((number + 1) * plan.ticks / (plan.kills + 1)) for number in range(plan.kills)]


def prove(
    site: Site, gateway: Gateway, live: LiveProcess, raw: Mapping[tuple[str, int, str], float | None], report: Report
) -> None:
    """Look for all that must not be."""
    undisturbed = site.process("undisturbed", "now")
    undisturbed.start()
    try:
        if undisturbed.wait() or undisturbed.counted()["ran"] != 1:
            report.problems.append(f"the undisturbed run: {undisturbed.heard}")
    finally:
        undisturbed.kill()
    tables, spec = site.tables("live"), site.twin.spec
    report.problems += assimilated_once(tables, gateway.accepted)
    report.problems += same_as_undisturbed(tables, site.tables("undisturbed"))
    report.problems += published_once(spec, tables, raw)
    if live.counted()["ended"] or "Traceback" in live.errors.read_text():
        report.problems.append(f"the twin ended by itself, or with a traceback: {live.errors}")
    with instance_of(site.home("live")) as instance:
        if running := instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
            report.problems.append(f"{len(running)} runs look as if they were still at work")
        report.figures["runs in Dagster"] = instance.get_runs_count()
    said = live.counted()
    report.figures |= {name: said[word] for name, word in (("kills", "killed"), ("runs that ended well", "ran"))}
    report.figures |= {
        "windows": len(tables.contents()) // len({name.partition("/")[0] for name in tables.contents()}),
        "observations assimilated": len(tables.every("ukf_state")),
        "results in the historian": len(raw),
        "points that are marks": sum(value is None or value != value for value in raw.values()),  # noqa: PLR0124 - NaN
        "windows refused on the way": said["refused"],
    }
    report.failures = Counter(line for line in live.heard if line.startswith("failed"))


def main() -> int:
    """From the command line; 1 if anything is wrong."""
    arguments = argparse.ArgumentParser(description="Soak a live twin: faults, kills, and a look at what is there.")
    arguments.add_argument("--ticks", type=int, default=2000)
    arguments.add_argument("--kills", type=int, default=20)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--tick-s", type=float, default=0.3, help="how long a tick takes, at least")
    arguments.add_argument("--folder", type=Path, help="kept afterwards; by default one that is removed")
    told = arguments.parse_args()
    if not 0 < told.ticks <= MOST_TICKS or not 0 <= told.kills < told.ticks:
        arguments.error(f"expected 1 to {MOST_TICKS} ticks, which IoT SiteWise takes, and fewer kills than ticks")
    plan = Plan(told.ticks, told.kills, told.seed, told.tick_s)
    with tempfile.TemporaryDirectory() as folder:
        report = soak(plan, told.folder or Path(folder))
    print("\n".join(report.lines()))
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
