"""IoT SiteWise, against the local one in a process of its own: how fast it is written and read.

``python benchmarks/sitewise.py``: writing with 10 % of entries throttled and 5 % of requests failing, beside the
reference's way (10 x 10 values a request, a second of sleep after each); reading a month of nine properties at 20 s,
beside the same requests whose answers nobody looks at. Quotas are off: ours and the emulator's.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from sitewise_place import fast_limits
from twin_assets.aws.sitewise import SiteWise
from twin_assets.aws.sitewise_client import Clients, Place
from twin_assets.aws.tqv import Points, Series
from twin_assets.historian.ledger import Ledger
from twin_assets.historian.rows import utc_now
from twin_assets.historian.sitewise import SiteWiseHistorian
from twin_assets.provisioning.sitewise import provision

PROPERTIES = tuple(f"Roller{number}_w" for number in range(1, 10))
SERVER = """
import sys
from twin_assets.emulator import Emulator
import twin_assets.emulator.sitewise.putting as putting
putting.PAST_NS *= 10  # a month can be put: what is measured is reading it
with Emulator(sys.argv[1], faults=sys.argv[2]) as emulator:
    print(emulator.url, flush=True)
    sys.stdin.read()
"""


@contextmanager
def emulator(folder: Path, faults: str = "") -> Iterator[str]:
    """URL of an emulator in a process of its own."""
    command = [sys.executable, "-c", SERVER, str(folder), faults]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603
        if server.stdout is None or server.stdin is None:
            raise RuntimeError("no pipes")
        yield server.stdout.readline().strip()
        server.stdin.close()


def recording(seconds: int) -> pd.DataFrame:
    """Samples of nine properties every 20 s up to now."""
    end = utc_now().floor("s")
    times = pd.date_range(end - pd.Timedelta(seconds, "s"), end, freq="20s", inclusive="left").as_unit("ns")
    count = len(times)
    return pd.DataFrame(
        {
            "unit": "line_1",
            "property": np.repeat(PROPERTIES, count),
            "time": np.tile(times, len(PROPERTIES)),
            "value": np.random.default_rng(1).normal(size=count * len(PROPERTIES)),
            "quality": "GOOD",
        }
    )


def historian_at(url: str, folder: Path) -> tuple[SiteWise, SiteWiseHistorian]:
    """A provisioned line."""
    sitewise = SiteWise(Clients(Place("eu-central-1", url), url), url, fast_limits())
    definitions = [{"name": name, "dataType": "DOUBLE", "type": {"measurement": {}}} for name in PROPERTIES]
    provision(sitewise, "line", definitions, ("line_1",))
    ledger = f"sqlite:///{folder}/ledger.sqlite"
    return sitewise, SiteWiseHistorian(sitewise, "line", lambda: Ledger(ledger, utc_now))


def by_series(historian: SiteWiseHistorian, frame: pd.DataFrame) -> tuple[list[Series], list[Points]]:
    """Samples as the service takes them."""
    known = historian._names.series(("line_1",), PROPERTIES)  # noqa: SLF001 - past what a historian would do with them
    found = {}
    for (_, name), (series, _) in known.items():
        some = frame[frame["property"] == name]
        found[series] = Points(
            np.asarray(some["time"].astype("int64"), dtype=np.int64),
            np.zeros(len(some), np.int8),
            some["value"].to_numpy(np.float64),
            np.zeros(len(some), np.bool_),
        )
    return list(found), list(found.values())


def writing(folder: Path, hours: float) -> None:
    """Ours under faults, beside the reference's way: 100 values, then a second of sleep."""
    frame = recording(int(hours * 3600))
    with emulator(folder / "writing", "partial=10%,error=5%") as url:
        _, historian = historian_at(url, folder)
        began = time.perf_counter()
        report = historian.write(frame)
        ours = len(frame) / (time.perf_counter() - began)
        times = frame["time"].min(), frame["time"].max() + pd.Timedelta(1, "s")
        lost = len(frame) - len(historian.read(("line_1",), PROPERTIES, *times))
        print(
            f"writing    {len(frame):>9,} values  {ours:>8,.0f} values/s  lost {lost}, rejected {len(report.rejected)}"
        )
    with emulator(folder / "reference") as url:
        sitewise, historian = historian_at(url, folder)
        ticks = frame[frame["time"] >= frame["time"].max() - pd.Timedelta(180, "s")]
        series, points = by_series(historian, ticks)
        began, requests = time.perf_counter(), 5
        for _ in range(requests):
            sitewise.put(series, points)  # 10 values of each of nine properties; counted as of ten, in its favour
            time.sleep(1.0)
        reference = 100 * requests / (time.perf_counter() - began)
    print(f"reference's way (at most)     {reference:>8,.0f} values/s  ours is {ours / reference:.0f} times as fast")


def reading(folder: Path, days: float) -> None:
    """Ours, beside the same pages fetched and thrown away."""
    frame = recording(int(days * 86_400))
    with emulator(folder / "reading") as url:
        sitewise, historian = historian_at(url, folder)
        sitewise.put(*by_series(historian, frame))  # the emulator of this benchmark takes a month directly
        sent: list[bytes] = []
        sitewise.clients.sitewise.meta.events.register(
            "before-send.iotsitewise.BatchGetAssetPropertyValueHistory",
            lambda request, **_: sent.extend([bytes(request.body)]),
        )
        span = frame["time"].min(), frame["time"].max() + pd.Timedelta(1, "s")
        began = time.perf_counter()
        found = historian.read(("line_1",), PROPERTIES, *span)
        ours = time.perf_counter() - began
        began = time.perf_counter()
        for body in sent:
            _thrown_away(url, body)
        server = time.perf_counter() - began
    beyond = ours / server - 1.0
    print(f"reading    {len(found):>9,} values  {ours:7.2f} s, the server alone {server:7.2f} s: {beyond:+.0%}")


def _thrown_away(url: str, body: bytes) -> None:
    request = urllib.request.Request(f"{url}/properties/batch/history", body, {"Content-Type": "application/json"})  # noqa: S310 - our own
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - our own
        answer.read()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--hours", type=float, default=24.0, help="written")
    parser.add_argument("--days", type=float, default=30.0, help="read")
    options = parser.parse_args()
    os.environ.update(AWS_ACCESS_KEY_ID="testing", AWS_SECRET_ACCESS_KEY="testing")  # noqa: S106 - the emulator asks for some
    with tempfile.TemporaryDirectory() as folder:
        writing(Path(folder), options.hours)
        reading(Path(folder), options.days)


if __name__ == "__main__":
    main()
