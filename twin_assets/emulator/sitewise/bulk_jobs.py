"""Bulk import: CreateBulkImportJob, DescribeBulkImportJob, ListBulkImportJobs, and the jobs themselves.

A job reads its files from S3, stores what can be stored, and writes what cannot to its error report.
"""

import csv
import io
import logging
from dataclasses import dataclass, field

import pandas as pd

from twin_assets.aws.s3 import S3Blobs
from twin_assets.emulator.context import Context, Handlers, Transaction, new_id
from twin_assets.emulator.documents import Store
from twin_assets.emulator.errors import ServiceError, invalid, not_found
from twin_assets.emulator.protocol import Document
from twin_assets.emulator.series import TimeSeries
from twin_assets.emulator.sitewise.asset_models import page_of
from twin_assets.emulator.sitewise.bulk_files import ADDRESS, UnreadableFileError, data_type_of, frames, judge
from twin_assets.emulator.sitewise.resources import Addresses, Target
from twin_assets.errors import TwinError

logger = logging.getLogger(__name__)

JOB = "bulk_import_job"
OPEN = ("PENDING", "RUNNING")
MOST_FILES = 100
MOST_PARQUET_BYTES = 256 * 2**20


def create(context: Context, request: Document) -> Document:
    """CreateBulkImportJob."""
    if "workspaceName" in request or "datasetId" in request:
        raise invalid("The emulator serves no session datasets")
    if not 1 <= len(request["files"]) <= MOST_FILES:
        raise invalid(f"files must have 1 to {MOST_FILES} members, found {len(request['files'])}")
    if not request["errorReportLocation"]["prefix"].endswith("/"):
        raise invalid("errorReportLocation.prefix must end with a forward slash (/)")
    if any(len(_format(each, request)) != 1 for each in request["files"]):
        raise invalid("jobConfiguration.fileFormat must be one of csv and parquet")
    job = {**request, "jobId": new_id(), "jobStatus": "PENDING", "created": context.now_s, "updated": context.now_s}
    with context.transaction(write=True) as tx:
        tx.add(JOB, job["jobId"], job)
    context.background.submit(lambda: run(context, job["jobId"]))
    return {key: job[key] for key in ("jobId", "jobName", "jobStatus")}


def describe(context: Context, request: Document) -> Document:
    """DescribeBulkImportJob."""
    with context.transaction() as tx:
        job = tx.find(JOB, request["jobId"])
    if job is None:
        raise not_found("Bulk import job", request["jobId"])
    job["jobConfiguration"] = job.get("jobConfiguration", {})
    dates = {"jobCreationDate": job.pop("created"), "jobLastUpdateDate": job.pop("updated")}
    return {**job, **dates}


def list_jobs(context: Context, request: Document) -> Document:
    """ListBulkImportJobs, the newest first."""
    wanted = request.get("filter", "ALL")
    with context.transaction() as tx:
        jobs = [each for each in tx.all(JOB) if wanted in ("ALL", each["jobStatus"])]
    summaries = [{"id": each["jobId"], "name": each["jobName"], "status": each["jobStatus"]} for each in reversed(jobs)]
    shown, token = page_of(summaries, request)
    return {"jobSummaries": shown, "nextToken": token}


def unfinished(store: Store) -> list[str]:
    """Jobs that had not ended when the emulator did; each is run again: what it has stored is stored once."""
    with store.transaction() as documents:
        return [each["jobId"] for each in documents.all(JOB) if each["jobStatus"] in OPEN]


@dataclass
class Report:
    """What a job could not store.

    Attributes:
        rows: file, row number (empty: the whole file), what is wrong.
        stored: how many values were.
    """

    rows: list[tuple[str, str, str]] = field(default_factory=list)
    stored: int = 0

    def text(self) -> bytes:
        """As CSV with a header."""
        lines = io.StringIO()
        writer = csv.writer(lines)
        writer.writerow(("file", "row", "error"))
        writer.writerows(self.rows)
        return lines.getvalue().encode()

    @property
    def status(self) -> str:
        """How the job has ended."""
        if not self.rows:
            return "COMPLETED"
        return "COMPLETED_WITH_FAILURES" if self.stored else "FAILED"


def run(context: Context, job_id: str) -> None:
    """Carry out a job."""
    job = _set_status(context, job_id, "RUNNING")
    report = Report()
    for file in job["files"]:
        where = f"s3://{file['bucket']}/{file['key']}"
        try:
            _import(context, file, _format(file, job), report)
        except (UnreadableFileError, TwinError) as error:
            report.rows.append((where, "", str(error)))
        except Exception as error:
            report.rows.append((where, "", f"the emulator failed: {type(error).__name__}: {error}"))
            _finish(context, job, report)
            raise
    _finish(context, job, report)


def _finish(context: Context, job: Document, report: Report) -> None:
    """Write the report, delete the files if that was asked for, say how it has ended."""
    status = report.status
    try:
        if report.rows:
            place = job["errorReportLocation"]
            S3Blobs(place["bucket"], "").put(f"{place['prefix']}{job['jobId']}/errors.csv", report.text())
        if job.get("deleteFilesAfterImport") and status == "COMPLETED":
            for file in job["files"]:
                S3Blobs(file["bucket"], "").delete(file["key"])
    except TwinError as error:
        # No report can say why; whoever runs the emulator can still be told.
        told = [text for *_, text in report.rows[:1]] + [str(error)]
        logger.warning("bulk import %s: %s", job["jobId"], " ".join(dict.fromkeys(told)))
        status = "FAILED" if status != "COMPLETED" else status
    _set_status(context, job["jobId"], status)


def _import(context: Context, file: Document, file_format: Document, report: Report) -> None:
    """Store one file's rows, some ten thousand in a transaction."""
    where = f"s3://{file['bucket']}/{file['key']}"
    body = S3Blobs(file["bucket"], "").get(file["key"])
    if body is None:
        raise UnreadableFileError("there is no such object")
    if "parquet" in file_format and len(body) > MOST_PARQUET_BYTES:
        raise UnreadableFileError("it is larger than 256 MiB")
    for frame in frames(body, file_format):
        with context.transaction(write=True) as tx:
            addresses = Addresses(tx)
            for address, rows in frame.groupby(ADDRESS, sort=False):
                refused, stored = _store(
                    context, tx, addresses, dict(zip(ADDRESS, map(str, address), strict=True)), rows
                )
                report.rows += [(where, str(row), text) for row, text in sorted(refused.items())]
                report.stored += stored


def _store(
    context: Context, tx: Transaction, addresses: Addresses, address: dict[str, str], rows: pd.DataFrame
) -> tuple[dict[int, str], int]:
    """Store the rows of one address: what was refused, and how many were stored."""
    names = {"ALIAS": "propertyAlias", "ASSET_ID": "assetId", "PROPERTY_ID": "propertyId"}
    try:
        target = addresses.resolve({names[key]: text for key, text in address.items() if key in names and text})
        data_type = data_type_of(target, address["DATA_TYPE"])
    except ServiceError as error:
        return dict.fromkeys(map(int, rows.index), str(error)), 0
    judged = judge(rows, data_type, context.now_ns)
    if len(judged.plain) or judged.others:
        series = target.series or _made(context, tx, target, data_type)
        tx.write_frame(series, judged.plain)
        tx.write([(series, sample) for sample in judged.others])
    return judged.refused, len(judged.plain) + len(judged.others)


def _made(context: Context, tx: Transaction, target: Target, data_type: str) -> TimeSeries:
    """The series of what has none yet, asked for again: another file may have made it."""
    property_id = None if target.property is None else target.property["id"]
    there = (
        tx.series.by_alias(target.alias)
        if target.alias is not None
        else tx.series.of_property(str(target.asset_id), str(property_id))
    )
    return there or tx.series.add(
        data_type, context.now_ns, alias=target.alias, asset_id=target.asset_id, property_id=property_id
    )


def _set_status(context: Context, job_id: str, status: str) -> Document:
    with context.transaction(write=True) as tx:
        job = tx.find(JOB, job_id)
        if job is None:
            raise not_found("Bulk import job", job_id)
        job |= {"jobStatus": status, "updated": context.now_s}
        tx.change(JOB, job_id, job)
    return job


def _format(file: Document, job: Document) -> Document:
    """A file's format: its own, or the job's."""
    found: Document = file.get("fileFormat") or job.get("jobConfiguration", {}).get("fileFormat", {})
    return {key: value for key, value in found.items() if key in ("csv", "parquet")}


HANDLERS: Handlers = {
    "CreateBulkImportJob": create,
    "DescribeBulkImportJob": describe,
    "ListBulkImportJobs": list_jobs,
}
