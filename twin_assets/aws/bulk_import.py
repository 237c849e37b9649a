"""Bulk import: what IoT SiteWise does not take directly goes as files through S3.

https://docs.aws.amazon.com/iot-sitewise/latest/userguide/ingest-bulkImport.html
"""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from twin_assets.aws.backoff import Backoff
from twin_assets.aws.sitewise import Refusal, SiteWise, Stretch
from twin_assets.aws.sitewise_errors import AwsError, code_of, explained, is_passing
from twin_assets.aws.tqv import CSV_COLUMNS, Points, Series, csv_rows

ROWS_A_FILE = 500_000
FILES_A_JOB = 100
OVER = {"COMPLETED", "COMPLETED_WITH_FAILURES", "FAILED", "CANCELLED"}
TOLD_CHARACTERS = 300


@dataclass(frozen=True)
class BulkImport:
    """Imports through a prefix of a bucket.

    Attributes:
        sitewise: the service.
        bucket: its name, in the service's region.
        prefix: of all keys, without slashes at its ends; empty for the whole bucket.
        role: ARN of the role with which SiteWise reads the bucket.
        polling: how long to wait between two looks at a job, and how often to look.
    """

    sitewise: SiteWise
    bucket: str
    prefix: str
    role: str
    polling: Backoff = field(default_factory=lambda: Backoff(attempts=500, base_s=0.5, cap_s=15.0, uniform=lambda: 1.0))

    def run(self, series: Sequence[Series], points: Sequence[Points], *, recent: bool) -> list[dict[int, Refusal]]:
        """Import points and wait until they are there.

        Args:
            series: what they are of.
            points: of each series; each time and quality once.
            recent: whether some are not older than 7 days: SiteWise then computes with them what it computes.

        Returns:
            of each series the positions that are not there afterwards, with the reason.

        Raises:
            AwsError: if S3 or SiteWise does not do it; some points may have been taken.
        """
        number = uuid.uuid4().hex
        keys = [self._upload(f"{number}/{part}.csv", body) for part, body in enumerate(_files(series, points))]
        failed: list[str] = []
        for first in range(0, len(keys), FILES_A_JOB):
            status, report = self._job(f"{number}-{first}", keys[first : first + FILES_A_JOB], recent=recent)
            if status == "COMPLETED_WITH_FAILURES":
                failed.append(report)
            elif status != "COMPLETED":
                raise AwsError(
                    f"{self.sitewise.name}: the bulk import ended as {status}. Expected that role {self.role} may read"
                    f" s3://{self.bucket} and write its error reports, and that SiteWise's warm or cold tier is"
                    f" enabled (docs/sitewise.md). Its report: {report}"
                )
        # Only now all of it has been tried.
        return self._missing(series, points, failed[0]) if failed else [{} for _ in series]

    def _job(self, name: str, keys: Sequence[str], *, recent: bool) -> tuple[str, str]:
        """Start a job and wait for its end: its status and, unless all went well, what its report says."""
        reports = self._key(f"errors/{name}/")
        job = self.sitewise.ask(
            "create_bulk_import_job",
            jobName=f"twin-{name}",
            jobRoleArn=self.role,
            files=[{"bucket": self.bucket, "key": key} for key in keys],
            errorReportLocation={"bucket": self.bucket, "prefix": reports},
            jobConfiguration={"fileFormat": {"csv": {"columnNames": list(CSV_COLUMNS)}}},
            adaptiveIngestion=recent,
            deleteFilesAfterImport=True,
        )
        for looked in range(1, self.polling.attempts + 1):
            status = self.sitewise.ask("describe_bulk_import_job", jobId=job["jobId"])["jobStatus"]
            if status in OVER:
                return status, "" if status == "COMPLETED" else self._told(reports)
            self.polling.wait(looked)
        raise AwsError(
            f"{self.sitewise.name}: the bulk import {job['jobId']} is still {status}. What it holds may come yet: look"
            " at it with 'aws iotsitewise describe-bulk-import-job', and run again when it has ended."
        )

    def _missing(self, series: Sequence[Series], points: Sequence[Points], report: str) -> list[dict[int, Refusal]]:
        """What is not there now: the report is for people, the store itself knows."""
        filled = [number for number, each in enumerate(points) if len(each)]
        stretches = [
            Stretch(series[number], int(points[number].time_ns.min()), int(points[number].time_ns.max()) + 1)
            for number in filled
        ]
        refused: list[dict[int, Refusal]] = [{} for _ in series]
        for number, there in zip(filled, self.sitewise.history(stretches), strict=True):
            held = set(_keys(there))
            refused[number] = {
                at: Refusal("BulkImport", f"the bulk import did not take it: {report}")
                for at, key in enumerate(_keys(points[number]))
                if key not in held
            }
        return refused

    def _told(self, prefix: str) -> str:
        """How the reports begin."""
        place = f"s3://{self.bucket}/{prefix}"
        with explained(place):
            found = self.sitewise.clients.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", ())
            for each in found:
                body = self.sitewise.clients.s3.get_object(Bucket=self.bucket, Key=each["Key"])["Body"].read()
                if text := " ".join(body.decode(errors="replace").split()):
                    return f"{text[:TOLD_CHARACTERS]} ({place})"
        return f"nothing in {place}"

    def _upload(self, name: str, body: str) -> str:
        key = self._key(f"imports/{name}")
        with explained(f"s3://{self.bucket}/{key}"):
            client = self.sitewise.clients.s3
            self.sitewise.backoff.call(
                lambda: client.put_object(Bucket=self.bucket, Key=key, Body=body.encode()), is_passing
            )
        return key

    def _key(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix else name

    def probe(self) -> None:
        """Ask for the bucket.

        Raises:
            AwsError: if it is not there, or not ours to use.
        """
        from botocore.exceptions import ClientError  # noqa: PLC0415 - slow to import

        place = f"s3://{self.bucket}"
        with explained(place):
            try:
                self.sitewise.clients.s3.head_bucket(Bucket=self.bucket)
            except ClientError as error:
                if code_of(error) == "404":
                    message = f"{place}: there is no such bucket. Correct bucket= in the historian's URL, or make it."
                    raise AwsError(message, "NoSuchBucket") from error
                raise


def _files(series: Sequence[Series], points: Sequence[Points]) -> Iterator[str]:
    """The bodies of the files, each of at most ROWS_A_FILE rows."""
    rows, body = 0, ""
    for one, each in zip(series, points, strict=True):
        for first in range(0, len(each), ROWS_A_FILE):
            part = each.take(np.arange(first, min(first + ROWS_A_FILE, len(each))))
            if rows and rows + len(part) > ROWS_A_FILE:
                yield body
                rows, body = 0, ""
            rows, body = rows + len(part), body + csv_rows(one, part)
    if rows:
        yield body


def _keys(points: Points) -> list[Any]:
    """What tells whether a point is the same."""
    values = np.where(np.isnan(points.value), 0.0, points.value).tolist()
    columns = (
        points.time_ns.tolist(),
        points.code.tolist(),
        values,
        np.isnan(points.value).tolist(),
        points.null.tolist(),
    )
    return list(zip(*columns, strict=True))
