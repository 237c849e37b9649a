"""The store: whole tables or none, equal bytes for equal content, whoever writes and whatever is killed.

In a folder and in S3, which is moto's server over HTTP. What is particular to one of them is in ``test_store_folder``
and ``test_store_s3``.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from twin_assets.errors import TwinError
from twin_assets.store import Store

WRITER = """
import sys
import pandas as pd
from twin_assets.blobs import store_place
from twin_assets.store import Store
store, number = Store(store_place(sys.argv[1])), int(sys.argv[2])
frame = pd.DataFrame({"writer": [number] * 20_000})
print("ready", flush=True)
for _ in range(int(sys.argv[3])):
    store.write("pump", "telemetry", "2026-01-01", frame, {"writer": str(number)})
"""


# Name -> the place of a new, empty store for one test.
PLACES: dict[str, Callable[[pytest.FixtureRequest], Path | str]] = {
    "folder": lambda request: Path(request.getfixturevalue("tmp_path")) / "store",
    "s3": lambda request: f"s3://{request.getfixturevalue('s3_bucket')}/some/prefix",
}


@pytest.fixture(params=PLACES)
def store(request: pytest.FixtureRequest) -> Store:
    """An empty store."""
    return Store(PLACES[request.param](request))


def table() -> pd.DataFrame:
    """One column of every kind that stages have."""
    return pd.DataFrame(
        {
            "unit": ["a", "b", "b"],
            "time": pd.to_datetime([1, 2, 3_000_000_000], unit="ns", utc=True),
            "value": [1.5, np.nan, -0.0],
            "dof": [1, 2, 3],
            "state": [np.array([1.0, 2.0]), np.array([3.0, 4.0]), np.array([5.0, 6.0])],
        }
    )


def raw(store: Store, key: str) -> bytes:
    """The bytes of a table."""
    found = store.blobs.get(f"pump/s/{key}.parquet")
    assert found is not None
    return found


def start_writer(store: Store, number: int, times: int) -> subprocess.Popen[bytes]:
    """A process that writes the same table over and over."""
    arguments = [sys.executable, "-c", WRITER, str(store.root), str(number), str(times)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE)


def test_what_is_written_is_read(store: Store) -> None:
    """Values, types and nanoseconds come back, and so does the metadata, with the digest of the rows."""
    content = store.write("pump", "telemetry", "k", table(), {"cursor": "7"})
    found = store.read("pump", "telemetry", "k")
    assert found is not None
    pd.testing.assert_frame_equal(found, table())
    assert store.metadata("pump", "telemetry", "k") == {"cursor": "7", "content": content}


def test_nothing_written_is_none(store: Store) -> None:
    """Absence is a normal answer."""
    assert store.read("pump", "telemetry", "k") is None
    assert store.metadata("pump", "telemetry", "k") is None
    assert store.keys("pump", "telemetry") == ()
    assert store.read_many("pump", "telemetry", ["k"]).empty


def test_removed_is_as_if_never_written(store: Store) -> None:
    """A table is gone, the others stay; to remove what is not there is no error."""
    for key in ("a", "b"):
        store.write("pump", "s", key, table(), {})
    store.remove("pump", "s", "a")
    store.remove("pump", "s", "a")
    store.remove("pump", "nowhere", "a")
    assert store.read("pump", "s", "a") is None
    assert store.keys("pump", "s") == ("b",)


def test_equal_content_has_equal_bytes(store: Store) -> None:
    """How a frame came about (read back, joined of pieces, other string and NaN representations) does not show."""
    store.write("pump", "s", "a", table(), {"x": "1", "y": "2"})
    again = store.read("pump", "s", "a")
    assert again is not None
    pieces = pd.concat([table().iloc[:1], again.iloc[1:]]).set_axis([7, 7, 9])
    pieces["unit"] = pieces["unit"].astype(object)
    pieces["time"] = pieces["time"].astype("datetime64[ns, UTC]")
    pieces.loc[pieces["value"].isna(), "value"] = -np.float64(np.nan)
    store.write("pump", "s", "b", pieces, {"y": "2", "x": "1"})
    assert raw(store, "a") == raw(store, "b")


def test_digest_is_of_the_rows_alone(store: Store) -> None:
    """Other metadata leaves the content digest; another value changes it."""
    changed = table().assign(value=[1.5, np.nan, 1.0])
    assert store.write("pump", "s", "a", table(), {"x": "1"}) == store.write("pump", "s", "a", table(), {"x": "2"})
    assert store.write("pump", "s", "a", table(), {}) != store.write("pump", "s", "a", changed, {})


def test_many_tables_are_one_under_the_other(store: Store) -> None:
    """In the order of the keys asked for; missing and empty ones leave no trace in the types."""
    store.write("pump", "s", "b", table(), {})
    store.write("pump", "s", "a", table().iloc[:0], {})
    store.write("pump", "s", "c", table().iloc[:1], {})
    found = store.read_many("pump", "s", ["a", "missing", "c", "b"])
    pd.testing.assert_frame_equal(found, pd.concat([table().iloc[:1], table()], ignore_index=True))
    assert list(store.read_many("pump", "s", ["a"]).columns) == list(table().columns)
    assert store.keys("pump", "s") == ("a", "b", "c")


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"no table at all" * 100])
def test_damaged_file_is_named(store: Store, damage: bytes) -> None:
    """The error names the file and says what to do."""
    store.write("pump", "s", "a", table(), {})
    store.blobs.put("pump/s/a.parquet", damage)
    with pytest.raises(TwinError, match=r"a\.parquet: not readable .*delete the file"):
        store.read("pump", "s", "a")
    with pytest.raises(TwinError, match=r"a\.parquet"):
        store.metadata("pump", "s", "a")


def test_half_a_file_is_named(store: Store) -> None:
    """A truncated table (not by us: we rename) is an error, not a shorter table."""
    store.write("pump", "s", "a", table(), {})
    store.blobs.put("pump/s/a.parquet", raw(store, "a")[:-20])
    with pytest.raises(TwinError, match="not readable"):
        store.read("pump", "s", "a")


def test_foreign_table_is_refused(store: Store) -> None:
    """A Parquet file that this platform did not write is not taken for a table."""
    store.blobs.put("pump/s/a.parquet", table().to_parquet())
    with pytest.raises(TwinError, match="schema version none, expected 1"):
        store.read("pump", "s", "a")


def test_readers_see_whole_tables_while_two_processes_write(store: Store) -> None:
    """Rows and metadata are always of one and the same write, and nothing is left aside."""
    writers = [start_writer(store, number, 40) for number in (1, 2)]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        found = store.read_with_metadata("pump", "telemetry", "2026-01-01")
        if found is not None:
            frame, metadata = found
            assert frame["writer"].unique().tolist() == [int(metadata["writer"])]
            assert len(frame) == 20_000
            seen.add(metadata["writer"])
    assert [writer.wait() for writer in writers] == [0, 0]
    assert seen
    assert store.keys("pump", "telemetry") == ("2026-01-01",)


def test_killed_writer_leaves_the_table_whole(store: Store) -> None:
    """SIGKILL at any moment: the table is an earlier write or a later one."""
    store.write("pump", "telemetry", "2026-01-01", pd.DataFrame({"writer": [0]}), {"writer": "0"})
    for number in range(1, 6):
        writer = start_writer(store, number, 100_000)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(0.013 * number)
        writer.kill()
        writer.wait()
        found = store.read_with_metadata("pump", "telemetry", "2026-01-01")
        assert found is not None
        assert found[0]["writer"].unique().tolist() == [int(found[1]["writer"])]


def test_bytes_are_the_same_in_a_folder_and_in_s3(tmp_path: Path, s3_bucket: str) -> None:
    """Where a table is kept does not show in it: a store may be copied from one to the other as it is."""
    places = Store(tmp_path), Store(f"s3://{s3_bucket}")
    for store in places:
        store.write("pump", "s", "a", table(), {"state": "x" * 200_000})
    assert raw(places[0], "a") == raw(places[1], "a")


def test_a_large_footer_is_found(store: Store) -> None:
    """States in the metadata may be larger than what a first look at a footer asks for."""
    state = "".join(map(str, range(60_000)))
    content = store.write("pump", "s", "a", table(), {"state": state})
    assert store.metadata("pump", "s", "a") == {"state": state, "content": content}


def test_what_lies_deeper_or_beside_is_no_table(store: Store) -> None:
    """Keys are those of one stage: other stages, other twins and other files are not among them."""
    store.write("pump", "s", "a.b", table(), {})
    for name in ("pump/s2/a.parquet", "pump/s/deeper/a.parquet", "pump/s/notes.txt", "pump2/s/a.parquet"):
        store.blobs.put(name, b"x")
    assert store.keys("pump", "s") == ("a.b",)


def test_more_tables_than_a_page_holds_are_all_listed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 lists a thousand at once; here three."""
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "3")
    for number in range(10):
        store.blobs.put(f"pump/s/{number}.parquet", b"")
    assert store.keys("pump", "s") == tuple("0123456789")
