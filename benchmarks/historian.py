"""How fast a historian writes and reads, in each SQL database: rows a second, on this machine.

``python benchmarks/historian.py``: a million samples of nine properties as one new write, the same again, corrections
of a tenth, a month of nine properties read back, live writes of one sample a property, and a fleet of a thousand lines:
nine thousand series of ten samples, read and asked for their latest. PostgreSQL is a server of
its own that waits for no disk, as in the tests; with ``--durable`` it waits, as SQLite does.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from postgres_server import NoPostgresError, postgres_server
from twin_assets.historian import SqlHistorian

START = pd.Timestamp("2026-01-01", tz="UTC").as_unit("ns")
PROPERTIES = tuple(f"Roller{number}_w" for number in range(1, 10))
A_MONTH = 30 * 24 * 180  # samples of a property every 20 s
LIVE_WRITES = 100
FLEET = 1_000


def recording(rows: int) -> pd.DataFrame:
    """Samples of nine properties every 20 s, by time, seed 1."""
    count = rows // len(PROPERTIES)
    times = pd.date_range(START, periods=count, freq="20s").as_unit("ns")
    return pd.DataFrame(
        {
            "unit": "line_1",
            "property": np.tile(PROPERTIES, count),
            "time": np.repeat(times, len(PROPERTIES)),
            "value": np.random.default_rng(1).normal(size=count * len(PROPERTIES)),
            "quality": "GOOD",
        }
    )


@contextmanager
def places(*, durable: bool) -> Iterator[dict[str, str]]:
    """Name -> URL of an empty historian."""
    with tempfile.TemporaryDirectory() as folder:
        sqlite = {"SQLite": f"sqlite:///{Path(folder) / 'historian.sqlite'}"}
        try:
            with postgres_server(durable=durable) as server, server.schema("bench") as url:
                yield sqlite | {"PostgreSQL": url}
        except NoPostgresError as error:
            print(f"Without PostgreSQL: {error}")
            yield sqlite


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--durable", action="store_true", help="PostgreSQL waits for the disk, as it does by default")
    options = parser.parse_args()
    samples = recording(options.rows)
    corrected = samples.iloc[::10].assign(value=0.0)
    month = (START, START + pd.Timedelta(20, "s") * A_MONTH)
    with places(durable=options.durable) as urls:
        for name, url in urls.items():
            with SqlHistorian(url) as historian:
                told(name, "new", len(samples), partial(historian.write, samples))
                told(name, "again", len(samples), partial(historian.write, samples))
                told(name, "corrected", len(corrected), partial(historian.write, corrected))
                read = len(historian.read(("line_1",), PROPERTIES, *month))
                told(name, "read", read, partial(historian.read, ("line_1",), PROPERTIES, *month))
                live(name, historian)
                whole_fleet(name, historian)


def told(name: str, what: str, rows: int, work: Callable[[], object]) -> None:
    """Do it once and print how fast it went."""
    began = time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    print(f"{name:<12} {what:<10} {rows:>9,} rows  {seconds:7.2f} s  {rows / seconds:>10,.0f} rows/s")


def whole_fleet(name: str, historian: SqlHistorian) -> None:
    """Few samples of many series: what each series costs, not each sample."""
    units = tuple(f"fleet_{number}" for number in range(FLEET))
    ten = recording(10 * len(PROPERTIES))
    samples = pd.concat([ten] * FLEET, ignore_index=True).assign(unit=np.repeat(units, len(ten)))
    historian.write(samples)
    span = (START, START + pd.Timedelta(1, "h"))
    told(name, "fleet", len(samples), partial(historian.read, units, PROPERTIES, *span))
    told(name, "latest", FLEET * len(PROPERTIES), partial(historian.latest, units, PROPERTIES))


def live(name: str, historian: SqlHistorian) -> None:
    """One sample of each property a write."""
    tick = recording(len(PROPERTIES))
    began = time.perf_counter()
    for number in range(LIVE_WRITES):
        historian.write(tick.assign(time=tick["time"] - pd.Timedelta(1 + number, "min")))
    each = (time.perf_counter() - began) / LIVE_WRITES
    print(f"{name:<12} {'live':<10} {len(PROPERTIES):>9} rows  {1e3 * each:7.1f} ms a write")


if __name__ == "__main__":
    main()
