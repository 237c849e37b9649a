"""What is particular to a store in a folder: what is left aside, and what a file system refuses."""

import os
import time
from pathlib import Path

import pandas as pd
import pytest

from twin_assets.blobs import ABANDONED_AFTER_S, store_place
from twin_assets.errors import TwinError
from twin_assets.home import home_from
from twin_assets.store import Store


def table() -> pd.DataFrame:
    """Any table."""
    return pd.DataFrame({"value": [1.0]})


def test_store_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    """A file where the folder should be: the message names the path and the reason."""
    (tmp_path / "store").write_text("in the way")
    with pytest.raises(TwinError, match=r"store.*cannot be written"):
        Store(tmp_path / "store").write("pump", "s", "a", table(), {})
    with pytest.raises(TwinError, match=r"store.*cannot be removed"):
        Store(tmp_path / "store").remove("pump", "s", "a")


def test_abandoned_files_are_swept(tmp_path: Path) -> None:
    """What a killed process left aside goes with the next write of that stage; a recent one may still be in use."""
    store = Store(tmp_path)
    store.write("pump", "s", "a", table(), {})
    aside = store.path("pump", "s", "a").parent / ".aside"
    old, recent = aside / "a.1.old", aside / "a.2.recent"
    old.touch()
    recent.touch()
    long_ago = time.time() - ABANDONED_AFTER_S - 1
    os.utime(old, (long_ago, long_ago))
    store.write("pump", "s", "b", table(), {})
    assert not old.exists()
    assert recent.exists()
    assert store.keys("pump", "s") == ("a", "b")


def test_nothing_is_left_aside(tmp_path: Path) -> None:
    """A write that is through has nothing but its table."""
    store = Store(tmp_path)
    store.write("pump", "s", "a", table(), {})
    assert list((store.path("pump", "s", "a").parent / ".aside").iterdir()) == []


def test_a_store_that_will_not_take_tables_is_found_out_before_a_run(tmp_path: Path) -> None:
    """A file in the way is told; a folder that is not there yet is no fault, and is not made by the look."""
    Store(tmp_path / "new" / "store").blobs.probe()
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").touch()
    with pytest.raises(TwinError, match="file/store: the store cannot be written"):
        Store(tmp_path / "file" / "store").blobs.probe()


def test_the_environment_chooses_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder, made absolute; an S3 prefix, with or without a slash at its end; blank or absent: in the home."""
    monkeypatch.chdir(tmp_path)
    assert home_from({"TWIN_STORE": "tables"}).store_path == tmp_path / "tables"
    assert home_from({"TWIN_STORE": " s3://bucket/a/b/ "}).store_path == "s3://bucket/a/b"
    assert home_from({"TWIN_STORE": " "}).store_path == tmp_path / ".twin" / "store"
    assert home_from({}).store_path == tmp_path / ".twin" / "store"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("s3://", "names no bucket: found ''"),
        ("s3:///prefix", "names no bucket: found ''"),
        ("s3://My_Bucket/x", "names no bucket: found 'My_Bucket'"),
        ("s3://bucket/a//b", "empty part"),
        ("s3://bucket/../b", "empty part, '.' or '..'"),
        ("gs://bucket/x", "of a kind that is not known; expected a folder, or an S3 prefix"),
    ],
)
def test_a_place_that_is_none_is_refused(text: str, said: str) -> None:
    """What was found, and what a place looks like."""
    with pytest.raises(TwinError, match=r"s3://bucket/prefix") as error:
        store_place(text)
    assert said in str(error.value)
