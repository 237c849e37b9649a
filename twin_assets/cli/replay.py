"""``twin replay``: a recording sent live, as an edge gateway would; see ``gateway``."""

import json
import os
import time
from dataclasses import asdict, replace
from typing import Any, Unpack

import click

from twin_assets.cli.recordings import Reading, of_recording, read, task
from twin_assets.errors import TwinError
from twin_assets.gateway import Faults, Gateway, Sent, planned
from twin_assets.historian import HistorianError, open_historian
from twin_assets.historian.rows import utc_now
from twin_assets.home import Home, home_from

EMBEDDED = "sql"
SHARE = click.FloatRange(0, 1)
SECONDS = click.FloatRange(min=0)


@click.command(short_help="A recording sent live into the historian, as an edge gateway would.")
@of_recording
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Seconds of the recording to a second of the clock.",
)
@click.option(
    "--to", metavar="HISTORIAN", help="sitewise, sql (the embedded one) or a database's URL. Default: as set."
)
@click.option("--keep-times", is_flag=True, help="Recorded times as they are. Default: shifted to now.")
@click.option("--jitter", type=SECONDS, default=0.0, metavar="S", help="Deliver each sample up to S seconds later.")
@click.option("--dropouts", type=SHARE, default=0.0, metavar="SHARE", help="Never send this share of the samples.")
@click.option("--late", type=SHARE, default=0.0, metavar="SHARE", help="Hold this share of the samples back.")
@click.option("--late-by", type=SECONDS, default=3600.0, show_default=True, metavar="S", help="For S seconds at most.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of what goes wrong.")
@click.option("--quiet", is_flag=True, help="No progress bar, no notes.")
@click.option("--json", "as_json", is_flag=True, help="What was sent, as JSON.")
def command(  # noqa: PLR0913 - one parameter an option, as click has it
    *,
    speed: float,
    to: str | None,
    keep_times: bool,
    jitter: float,
    dropouts: float,
    late: float,
    late_by: float,
    seed: int,
    quiet: bool,
    as_json: bool,
    **reading: Unpack[Reading],
) -> None:
    """Send recorded telemetry of twin NAME live, in order, at the pace it was recorded or --speed times faster.

    FILE is what 'twin ingest' takes. Times are shifted so that the recording happens now, intervals unchanged: at speed
    1 the first sample is of now; faster, the recording catches up, and its last sample is of the time it is sent at.

    Ctrl-C ends it: what was measured so far and held back as late is still sent (Ctrl-C again: it is not), and the
    summary says what was. Exit code 1 if the historian refused anything.
    """
    spec, recording = read(reading, quiet=quiet)
    plan = planned(recording.samples, Faults(jitter, dropouts, late, late_by, seed))
    if plan.samples.empty:
        raise TwinError(
            f"--dropouts {dropouts:g}: nothing is left of {plan.dropped:,} samples. Choose a smaller share."
        )
    home = _home(to)
    home.prepare()
    interrupted = False
    with open_historian(home) as historian, task("Sending", len(plan.samples), quiet=quiet) as advance:
        gateway = Gateway(
            historian,
            plan,
            speed,
            keep_times=keep_times,
            clock=utc_now,
            wait=time.sleep,
            advance=advance,
            say=lambda text: click.echo(text, err=True),
        )
        try:
            gateway.send()
        except KeyboardInterrupt:
            interrupted = True
            gateway.flush()
        except HistorianError:
            click.echo(_sentence(_report(spec.name, historian.name, gateway.sent)), err=True)
            raise
    report = _report(spec.name, historian.name, gateway.sent)
    click.echo(json.dumps(report, indent=2) if as_json else _sentence(report))
    if gateway.sent.rejected:
        raise TwinError(_refusal(historian.name, gateway.sent))
    if interrupted:
        raise KeyboardInterrupt


def _home(to: str | None) -> Home:
    """The home, with the historian that was asked for."""
    home = home_from(os.environ)
    return home if to is None else replace(home, historian_url=None if to == EMBEDDED else to)


def _report(name: str, historian: str, sent: Sent) -> dict[str, Any]:
    times = {
        key: None if time is None else time.isoformat() for key, time in (("first", sent.first), ("last", sent.last))
    }
    return {"twin": name, "historian": historian, **asdict(sent), **times}


def _sentence(report: dict[str, Any]) -> str:
    span = f", {report['first']} to {report['last']}" if report["samples"] else ""
    counts = {"late": "of them late", "dropped": "dropped", "rejected": "rejected", "unsent": "not sent"}
    more = "".join(f"; {report[key]:,} {text}" for key, text in counts.items() if report[key])
    return f"Sent {report['samples']:,} samples to {report['historian']}{span}{more}."


def _refusal(historian: str, sent: Sent) -> str:
    reasons = "".join(f"\n  {count:,}: {reason}" for reason, count in sent.reasons.items())
    return f"{historian}: {sent.rejected:,} samples were refused; the others are there.{reasons}"
