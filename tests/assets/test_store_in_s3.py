"""Where the tables are makes no difference to what is calibrated: through Dagster, in a folder and in S3."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import boto3
import botocore.client
import pandas as pd
import pytest

from twin_assets.home import home_from
from twin_assets.running import RunError, instance_of, run_windows

Line = Any  # conftest's, which cannot be imported
Record = Callable[[str, str], pd.DataFrame]


def objects(bucket: str) -> dict[str, str]:
    """Digest of every object under the prefix, by its name."""
    client = boto3.client("s3")
    found = client.list_objects_v2(Bucket=bucket, Prefix="plant/")["Contents"]
    assert len(found) < 1000
    return {
        each["Key"].removeprefix("plant/"): hashlib.sha256(
            client.get_object(Bucket=bucket, Key=each["Key"])["Body"].read()
        ).hexdigest()
        for each in found
    }


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Requests to AWS meanwhile, by operation."""
    asked: Counter[str] = Counter()
    call = botocore.client.BaseClient._make_api_call

    def remember(self: Any, operation: str, arguments: Any) -> Any:  # noqa: ANN401 - botocore's
        asked[operation] += 1
        return call(self, operation, arguments)

    with monkeypatch.context() as patch:
        patch.setattr(botocore.client.BaseClient, "_make_api_call", remember)
        yield asked


@pytest.mark.slow
def test_tables_are_the_same_in_a_folder_and_in_s3(
    make_line: Callable[[], Line], record: Record, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two days calibrated, then two more with late data: every table is the same byte for byte; nothing in the home.

    The second run continues: the model is run no more often than with a folder. And a window costs the requests that
    docs/store.md tells: 54.
    """
    in_folder, in_s3 = make_line(), make_line()
    in_s3.home = replace(in_s3.home, store=f"s3://{s3_bucket}/plant")
    late = record("2026-01-02", "2026-01-03").head(6)
    runs: dict[str, list[int]] = {"folder": [], "s3": []}
    for name, line in (("folder", in_folder), ("s3", in_s3)):
        line.write(record("2026-01-01", "2026-01-03"))
        assert line.materialize("2026-01-01", "2026-01-02").success
        runs[name].append(line.model.model_runs)
        line.write(pd.concat([late.assign(value=late["value"] + 1e-4), record("2026-01-03", "2026-01-05")]))
        assert line.pending() == ["2026-01-02", "2026-01-03", "2026-01-04"]
        with counted(monkeypatch) as asked:
            assert line.materialize("2026-01-02", "2026-01-04").success
        runs[name].append(line.model.model_runs)
        with counted(monkeypatch) as looked:
            assert line.pending() == []
            looked.clear()
            assert line.pending() == []
    assert runs["s3"] == runs["folder"]
    assert objects(s3_bucket) == in_folder.tables()
    assert len(in_folder.tables()) > 20
    assert not [path for path in in_s3.home.root.rglob("*") if path.suffix == ".parquet"]
    assert asked["PutObject"] <= 3 * 8 + 1
    assert sum(asked.values()) <= 3 * 70, asked
    assert sum(looked.values()) <= 3 * 30, looked


def test_a_store_that_is_not_there_ends_a_run_in_one_message(line: Line, s3_bucket: str) -> None:
    """What is wrong and what to do; the run's log says which store it was."""
    line.home = replace(line.home, store=f"s3://{s3_bucket}-gone/plant")
    with pytest.raises(RunError, match=rf"^s3://{s3_bucket}-gone/plant/\S+: there is no bucket '{s3_bucket}-gone'"):
        run_windows(
            line.twin,
            line.home,
            [line.grid.parse("2026-01-01")],
            clock=lambda: line.now,
            opener=line.opener,
            pictures=False,
        )
    with instance_of(line.home) as instance:
        (run,) = instance.get_runs()
        log = "\n".join(str(entry) for entry in instance.all_logs(run.run_id))
    assert f"The store is s3://{s3_bucket}-gone/plant" in log


def test_a_home_with_a_store_in_s3_makes_no_folder_for_it(tmp_path: Any) -> None:  # noqa: ANN401 - pytest's
    """And asks nobody: making a home is not a look into the store."""
    home = home_from({"TWIN_HOME": str(tmp_path / "home"), "TWIN_STORE": "s3://no-such-bucket/plant"})
    home.prepare()
    assert not (home.root / "store").exists()
