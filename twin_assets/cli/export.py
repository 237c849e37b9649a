"""``twin export``: a twin's table as CSV or Parquet."""

import os
import sys
from io import BytesIO
from pathlib import Path

import click
import pandas as pd

from twin_assets.cli.arguments import UTC_TIME, ordered_range
from twin_assets.errors import TwinError
from twin_assets.home import Home, home_from, twins_path_from
from twin_assets.shards import parts_of as shards_of
from twin_assets.spec import TwinSpec
from twin_assets.spec_file import load_twin
from twin_assets.spec_names import UPDATED
from twin_assets.stages import FLEET, SMOOTHED_COEFFICIENTS, VIRTUAL_SENSORS
from twin_assets.stages.predictions import parts_of
from twin_assets.stages.unit_record import RECORD, UNITS
from twin_assets.stages.validity import VALID
from twin_assets.store import Store
from twin_assets.windows import WindowGrid

# What people ask for, and the stage that keeps it.
TABLES = {
    "telemetry": "telemetry",
    "observations": "observations",
    "coefficients": "calibrated_coefficients",
    "virtual_sensors": "virtual_sensors",
    SMOOTHED_COEFFICIENTS: SMOOTHED_COEFFICIENTS,
    FLEET: FLEET,
    UNITS: UNITS,
}


@click.command(short_help="A table as CSV or Parquet.")
@click.argument("name")
@click.argument("table", type=click.Choice(list(TABLES)))
@click.option("--format", "kind", type=click.Choice(["csv", "parquet"]), help="Default: what FILE ends in, or csv.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write; without it, standard output.")
@click.option("--parts", is_flag=True, help="virtual_sensors: also what each standard deviation comes from.")
@click.option("--from", "start", type=UTC_TIME, help="First time (UTC).")
@click.option("--to", "end", type=UTC_TIME, help="End of the range, exclusive (UTC).")
def command(
    name: str,
    table: str,
    kind: str | None,
    output: Path | None,
    *,
    parts: bool,
    start: pd.Timestamp | None,
    end: pd.Timestamp | None,
) -> None:
    """Export a table of twin NAME as it was last materialized.

    coefficients and virtual_sensors are wide: unit, time, and for each quantity its estimate, standard deviation
    (_std) and 95 % interval (_lower, _upper); of a coefficient also what is published of it (_published), and whether
    that is new (_updated), unless all estimates are published. virtual_sensors ends with valid and why_not: whether a
    row rests on what was calibrated; --parts adds what each standard deviation comes from (_std_coefficients,
    _std_inputs, _std_discrepancy, empty where nobody states it; the sum of their squares is that of _std).
    smoothed_coefficients, for a twin with 'smoothing: true', are the same as known once their window is over: from all
    its observations up to based_on_until. telemetry is long: unit, property, time, value, quality. fleet, for a twin of
    several units, compares them at the end of every window: a row for each unit and coefficient, the unit least like
    the others first (rank 1). units is the record of which units there are: a row each time one appeared, fell silent,
    was gone or came back; --from and --to go by the time of noticing.
    """
    ordered_range(start, end)
    kind = kind or ("parquet" if output is not None and output.suffix == ".parquet" else "csv")
    if parts and TABLES[table] != VIRTUAL_SENSORS:
        raise TwinError(f"--parts is for virtual_sensors; '{table}' has no such columns. Leave it out.")
    if output is None and kind == "parquet":
        raise TwinError("Parquet is not for standard output; name a file with -o FILE.parquet.")
    home = home_from(os.environ)
    spec = load_twin(name, twins_path_from(os.environ)).spec
    frame = read_table(home, spec, table, start, end)
    _tell_of_earlier_versions(frame, spec, table)
    data = encode(frame if parts else frame.drop(columns=parts_of(frame)), kind)
    if output is None:
        _to_stdout(data)
        return
    write_atomically(output, data)
    click.echo(f"{output}: {table} of twin '{spec.name}'", err=True)


def read_table(
    home: Home, spec: TwinSpec, table: str, start: pd.Timestamp | None, end: pd.Timestamp | None
) -> pd.DataFrame:
    """A twin's table over all its windows, rows with ``start <= time < end``.

    Raises:
        TwinError: if there is nothing yet, or nothing in that range.
    """
    if TABLES[table] == SMOOTHED_COEFFICIENTS and not spec.smoothing:
        raise TwinError(
            f"twin '{spec.name}' is not smoothed: its twin.yaml does not say so. Set 'smoothing: true' there, then run"
            f" 'twin run {spec.name}'; it costs no model runs."
        )
    if TABLES[table] in (FLEET, UNITS) and not spec.several_units:
        raise TwinError(
            f"twin '{spec.name}' has one unit, and so no table '{table}'. It has one with several 'units' in its"
            " twin.yaml, or with 'units: discovered'."
        )
    if TABLES[table] == UNITS:
        # It has no windows.
        return _units(home, spec, start, end)
    store, stage, grid = Store(home.store_path), TABLES[table], WindowGrid.of(spec)
    # The whole of a divided twin keeps the comparison, its shards all else.
    parts = [spec.name] if stage == FLEET else [part.name for part in shards_of(spec)]
    windows = grid.known(sorted({key for name in parts for key in store.keys(name, stage)}))
    if not windows:
        raise TwinError(
            f"{home.store_path}: twin '{spec.name}' has no {table} yet. Run 'twin run {spec.name}' first, or choose the"
            " home, or the store, that holds them with --home or --store."
        )
    wanted = [w.key for w in windows if (start is None or w.end > start) and (end is None or w.start < end)]
    frames = [frame for name in parts if len((frame := store.read_many(name, stage, wanted)).columns)]
    frame = frames[0] if len(frames) == 1 else _together(frames)
    if wanted:
        inside = pd.Series(data=True, index=frame.index)
        inside &= True if start is None else frame["time"] >= start
        inside &= True if end is None else frame["time"] < end
        frame = frame[inside]
    if frame.empty:
        held = f"{windows[0].start:%Y-%m-%dT%H:%M} to {windows[-1].end:%Y-%m-%dT%H:%M} UTC"
        raise TwinError(f"twin '{spec.name}' has no {table} in that range; its windows cover {held}.")
    # Windows of an earlier version have no such columns.
    return frame.reset_index(drop=True).astype(dict.fromkeys(_flags(frame), "boolean"))


def _together(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """Tables of shards as one, by time and unit."""
    filled = [frame for frame in frames if len(frame)] or frames[:1]
    if not filled:
        return pd.DataFrame()
    return pd.concat(filled, ignore_index=True).sort_values(["time", "unit"], kind="stable", ignore_index=True)


def _units(home: Home, spec: TwinSpec, start: pd.Timestamp | None, end: pd.Timestamp | None) -> pd.DataFrame:
    """The record of units.

    Raises:
        TwinError: if there is none, or nothing in that range.
    """
    store = Store(home.store_path)
    frames = [frame for part in shards_of(spec) if (frame := store.read(part.name, UNITS, RECORD)) is not None]
    if not frames:
        raise TwinError(
            f"{home.root}: twin '{spec.name}' has no record of units yet. Run 'twin run {spec.name}' first, or choose"
            " the home that holds it with --home."
        )
    found = pd.concat(frames, ignore_index=True).sort_values(["noticed", "unit"], kind="stable", ignore_index=True)
    inside = pd.Series(data=True, index=found.index)
    inside &= True if start is None else found["noticed"] >= start
    inside &= True if end is None else found["noticed"] < end
    if not inside.any():
        raise TwinError(f"twin '{spec.name}': no unit appeared, fell silent, was gone or came back in that range.")
    return found[inside].reset_index(drop=True)


def _flags(frame: pd.DataFrame) -> list[str]:
    """Columns of yes and no that are not known in all rows."""
    named = [name for name in frame.columns if name == VALID or name.endswith(UPDATED)]
    return [name for name in named if frame[name].dtype == object]


def _tell_of_earlier_versions(frame: pd.DataFrame, spec: TwinSpec, table: str) -> None:
    lacking = [name for name in frame.columns if isinstance(frame[name].dtype, pd.BooleanDtype)]
    rows = frame[frame[lacking].isna().any(axis=1)] if lacking else frame.iloc[:0]
    if TABLES[table] == VIRTUAL_SENSORS and VALID not in frame:
        rows = frame
    if len(rows):
        first, last = rows["time"].min(), rows["time"].max()
        click.echo(
            f"{len(rows)} of {len(frame)} rows, {first:%Y-%m-%dT%H:%M} to {last:%Y-%m-%dT%H:%M}, are of an earlier"
            f" version and lack some columns; for all of them: twin run {spec.name} --from {first:%Y-%m-%d}",
            err=True,
        )


def encode(frame: pd.DataFrame, kind: str) -> bytes:
    """A table as the bytes of a file."""
    buffer = BytesIO()
    if kind == "parquet":
        frame.to_parquet(buffer, index=False)
    else:
        frame.to_csv(buffer, index=False, lineterminator="\n")
    return buffer.getvalue()


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        TwinError: if it cannot be written.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_bytes(data)
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise TwinError(
            f"{path}: cannot be written ({error.strerror or error}). Name a file in a folder that is there and that you"
            " may write to."
        ) from error


def _to_stdout(data: bytes) -> None:
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (``| head``) has what it wanted; Python would complain once more while it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
