"""Bulk import from a local S3: what a file holds is in the history, what cannot be is in the error report."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pandas as pd
import pytest
from botocore.exceptions import ClientError

from emulator_clients import NOW_S, Client, Clock, Line, connect, offsets
from twin_assets.aws.s3 import S3Blobs
from twin_assets.emulator import Emulator

OLD_S = 86400 * 400  # puts take nothing that old
ROLE = "arn:aws:iam::123456789012:role/import"
COLUMNS = ["ASSET_ID", "PROPERTY_ID", "DATA_TYPE", "TIMESTAMP_SECONDS", "TIMESTAMP_NANO_OFFSET", "QUALITY", "VALUE"]

Import = Callable[..., dict[str, Any]]


@pytest.fixture(name="run_import")
def _run_import(sitewise: Client, emulator: Emulator, s3_bucket: str) -> Import:
    """Uploads files, imports them, and describes the job when it has ended."""

    def run(*bodies: str | bytes, columns: list[str] | None = None, **options: object) -> dict[str, Any]:
        s3 = boto3.client("s3")
        for number, body in enumerate(bodies):
            s3.put_object(Bucket=s3_bucket, Key=f"file {number}", Body=body)
        file_format = {"parquet": {}} if columns is None else {"csv": {"columnNames": columns}}
        request = {
            "files": [{"bucket": s3_bucket, "key": f"file {number}"} for number in range(len(bodies))],
            "jobConfiguration": {"fileFormat": file_format},
            **options,
        }
        report = {"bucket": s3_bucket, "prefix": "errors/"}
        job = sitewise.create_bulk_import_job(jobName="import", jobRoleArn=ROLE, errorReportLocation=report, **request)
        assert job["jobStatus"] == "PENDING"
        emulator.wait_for_jobs()
        described: dict[str, Any] = sitewise.describe_bulk_import_job(jobId=job["jobId"])
        return described

    return run


def report_of(job: dict[str, Any]) -> list[list[str]]:
    """The rows of a job's error report: file, row, error."""
    place = job["errorReportLocation"]
    s3 = boto3.client("s3")
    (key,) = (each["Key"] for each in s3.list_objects_v2(Bucket=place["bucket"], Prefix=place["prefix"])["Contents"])
    body = s3.get_object(Bucket=place["bucket"], Key=key)["Body"].read()
    return pd.read_csv(io.BytesIO(body), dtype=str).fillna("").to_numpy().tolist()


def whole(sitewise: Client, **address: object) -> list[dict[str, Any]]:
    """All that is there."""
    return list(sitewise.get_asset_property_value_history(**address, maxResults=20_000)["assetPropertyValueHistory"])


def test_values_of_any_age_are_imported_from_csv(sitewise: Client, line: Line, run_import: Import) -> None:
    """Of every data type, with nanoseconds, qualities, nulls and NaN; the same file twice is the same once."""
    then = NOW_S - OLD_S
    rows = [
        ("speed", "DOUBLE", 0, "GOOD", "1.5"),
        ("speed", "DOUBLE", 999999999, "UNCERTAIN", "NaN"),
        ("speed", "DOUBLE", 2, "BAD", ""),
        ("count", "INTEGER", 3, "GOOD", "-2147483648"),
        ("running", "BOOLEAN", 4, "GOOD", "true"),
        ("state", "STRING", 5, "GOOD", '"a, ""b"""'),
    ]
    lines = [
        f"{line.asset},{line.properties[name]},{kind},{then},{nanos},{quality},{value}"
        for name, kind, nanos, quality, value in rows
    ]
    for _ in range(2):
        assert run_import("\n".join(lines), columns=COLUMNS)["jobStatus"] == "COMPLETED"
    speed = whole(sitewise, **line.address("speed"))
    assert offsets(speed) == [-OLD_S, -OLD_S + 2e-9, -OLD_S + 0.999999999]
    assert [each["quality"] for each in speed] == ["GOOD", "BAD", "UNCERTAIN"]
    assert [str(each["value"]) for each in speed] == [
        "{'doubleValue': 1.5}",
        "{'nullValue': {'valueType': 'D'}}",
        "{'doubleValue': nan}",
    ]
    others = [whole(sitewise, **line.address(name))[0]["value"] for name in ("count", "running", "state")]
    assert others == [{"integerValue": -(2**31)}, {"booleanValue": True}, {"stringValue": 'a, "b"'}]


def test_the_documented_examples_of_csv_files_are_imported(sitewise: Client, line: Line, run_import: Import) -> None:
    """The user guide's two: rows of an asset's property, and rows of an alias that belongs to no asset."""
    modelled = [f"{line.asset},{line.properties['speed']},DOUBLE,{1635201373 + k},0,GOOD,{k + 1.0}" for k in range(3)]
    alias = [f"unmodeled_alias1,DOUBLE,{1635201373 + k},0,GOOD,{k + 1.0}" for k in range(4)]
    assert run_import("\n".join(modelled), columns=COLUMNS)["jobStatus"] == "COMPLETED"
    assert run_import("\n".join(alias) + "\n", columns=["ALIAS", *COLUMNS[2:]])["jobStatus"] == "COMPLETED"
    assert [each["value"]["doubleValue"] for each in whole(sitewise, **line.address("speed"))] == [1.0, 2.0, 3.0]
    assert len(whole(sitewise, propertyAlias="unmodeled_alias1")) == 4


def test_parquet_files_are_imported(sitewise: Client, line: Line, run_import: Import) -> None:
    """With the same columns as CSV, in their own types."""
    frame = pd.DataFrame(
        {
            "ALIAS": "/line/speed",
            "DATA_TYPE": "DOUBLE",
            "TIMESTAMP_SECONDS": [NOW_S - OLD_S, NOW_S - OLD_S + 1],
            "TIMESTAMP_NANO_OFFSET": [0, 5],
            "QUALITY": "GOOD",
            "VALUE": [0.1 + 0.2, 2.0],
        }
    )
    body = io.BytesIO()
    frame.to_parquet(body)
    assert run_import(body.getvalue())["jobStatus"] == "COMPLETED"
    assert [each["value"]["doubleValue"] for each in whole(sitewise, propertyAlias="/line/speed")] == [0.1 + 0.2, 2.0]
    assert line.asset  # which other properties are not touched
    assert whole(sitewise, **line.address("speed")) == []


def test_rows_that_cannot_be_stored_are_reported_and_the_others_stored(
    sitewise: Client, line: Line, run_import: Import
) -> None:
    """COMPLETED_WITH_FAILURES, and a report in S3 that names file, row and reason."""
    nobody = "11111111-2222-4333-8444-555555555555"
    speed, count = line.properties["speed"], line.properties["count"]
    rows = [
        f"{line.asset},{speed},DOUBLE,1635201373,0,GOOD,1.0",
        f"{nobody},{speed},DOUBLE,1635201373,0,GOOD,1.0",
        f"{line.asset},{speed},INTEGER,1635201373,0,GOOD,1",
        f"{line.asset},{speed},DOUBLE,-1,0,GOOD,1.0",
        f"{line.asset},{speed},DOUBLE,1635201373,1000000000,GOOD,1.0",
        f"{line.asset},{speed},DOUBLE,1635201374,0,FINE,1.0",
        f"{line.asset},{speed},DOUBLE,1635201374,0,GOOD,fast",
        f"{line.asset},{speed},DOUBLE,1635201374,0,GOOD,",
        f"{line.asset},{count},INTEGER,1635201374,0,GOOD,1.5",
        f"{line.asset},{count},INTEGER,1635201374,0,GOOD,2147483648",
    ]
    job = run_import("\n".join(rows), columns=COLUMNS)
    assert job["jobStatus"] == "COMPLETED_WITH_FAILURES"
    report = {int(row): error for _, row, error in report_of(job)}
    assert sorted(report) == list(range(2, 11))
    assert "not found" in report[2]
    assert "DATA_TYPE is INTEGER, expected DOUBLE" in report[3]
    assert "TIMESTAMP_SECONDS" in report[4]
    assert "'fast' is no DOUBLE" in report[7]
    assert len(whole(sitewise, **line.address("speed"))) == 1


def test_a_file_that_is_not_there_or_no_csv_fails_the_job(sitewise: Client, run_import: Import, s3_bucket: str) -> None:
    """FAILED where nothing was stored, with the reason in the report."""
    missing = [{"bucket": s3_bucket, "key": "nothing"}]
    job = run_import(files=missing, columns=COLUMNS)
    assert job["jobStatus"] == "FAILED"
    assert report_of(job) == [[f"s3://{s3_bucket}/nothing", "", "there is no such object"]]
    job = run_import("a,b\n", columns=COLUMNS)
    assert job["jobStatus"] == "FAILED"
    listed = sitewise.list_bulk_import_jobs(filter="FAILED")["jobSummaries"]
    assert [each["status"] for each in listed] == ["FAILED", "FAILED"]
    assert sitewise.list_bulk_import_jobs(filter="COMPLETED")["jobSummaries"] == []


def test_files_are_deleted_after_an_import_only_if_that_was_asked_for(run_import: Import, s3_bucket: str) -> None:
    """And only after all of it was stored."""
    row = "/line/speed,DOUBLE,1635201373,0,GOOD,1.0"
    columns = ["ALIAS", *COLUMNS[2:]]
    s3 = boto3.client("s3")
    run_import(row, columns=columns)
    assert s3.list_objects_v2(Bucket=s3_bucket)["KeyCount"] == 1
    run_import(row, columns=columns, deleteFilesAfterImport=True)
    assert s3.list_objects_v2(Bucket=s3_bucket)["KeyCount"] == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"files": []}, "files must have 1 to 100"),
        ({"errorReportLocation": {"bucket": "reports", "prefix": "errors"}}, "end with a forward slash"),
        ({"jobConfiguration": {"fileFormat": {}}}, "one of csv and parquet"),
        ({"jobConfiguration": {"fileFormat": {"csv": {"columnNames": ["TIME"]}}}}, "enum value set"),
    ],
)
def test_a_job_that_cannot_be_is_refused_at_once(sitewise: Client, changes: dict[str, Any], said: str) -> None:
    """InvalidRequestException, not a job that fails later."""
    request = {
        "files": [{"bucket": "data", "key": "x"}],
        "errorReportLocation": {"bucket": "reports", "prefix": "errors/"},
        "jobConfiguration": {"fileFormat": {"csv": {"columnNames": COLUMNS}}},
    }
    with pytest.raises(ClientError, match=said):
        sitewise.create_bulk_import_job(jobName="import", jobRoleArn=ROLE, **{**request, **changes})


def test_a_job_that_had_not_ended_is_run_again_by_the_next_emulator(
    tmp_path: Path, clock: Clock, s3_bucket: str
) -> None:
    """As when the process was killed in between: the job's record is there, its end is not."""
    boto3.client("s3").put_object(Bucket=s3_bucket, Key="x", Body=b"/line/speed,DOUBLE,1635201373,0,GOOD,1.0")
    with Emulator(tmp_path, clock=clock) as first:
        first._running.background.close()  # as if it was killed before the job began
        job = connect("iotsitewise", first.url).create_bulk_import_job(
            jobName="import",
            jobRoleArn=ROLE,
            files=[{"bucket": s3_bucket, "key": "x"}],
            errorReportLocation={"bucket": s3_bucket, "prefix": "errors/"},
            jobConfiguration={"fileFormat": {"csv": {"columnNames": ["ALIAS", *COLUMNS[2:]]}}},
        )["jobId"]
    with Emulator(tmp_path, clock=clock) as second:
        second.wait_for_jobs()
        sitewise = connect("iotsitewise", second.url)
        assert sitewise.describe_bulk_import_job(jobId=job)["jobStatus"] == "COMPLETED"
        assert len(whole(sitewise, propertyAlias="/line/speed")) == 1


def test_an_import_that_cannot_even_report_tells_whoever_runs_the_emulator(
    run_import: Import, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An emulator without S3 credentials: the job fails, its report cannot be written, and the reason is logged."""
    get = S3Blobs.get

    def without_credentials(self: S3Blobs, key: str) -> bytes | None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        return get(self, key)

    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(S3Blobs, "get", without_credentials)
    assert run_import("", columns=COLUMNS)["jobStatus"] == "FAILED"
    assert "credentials" in caplog.text
