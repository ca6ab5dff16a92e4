"""Jobs of Bulk API 2.0 as the sandbox works them off: one file each, rows by themselves."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from typing import Any

from mayfly.sandbox.salesforce import Salesforce
from mayfly.sandbox.salesforce_records import Field, Record, RowError, SalesforceError, typed

FILE_BYTES_MAX = 150_000_000
_OPERATIONS = ("insert", "update", "upsert", "delete", "hardDelete")
_RESULTS = {
    "successfulresults": "done",
    "failedresults": "failed",
    "unprocessedrecords": "unprocessed",
}


@dataclass(kw_only=True)
class Job:
    """One job.

    Attributes:
        header: of its file; `done`, `failed` and `unprocessed` are rows as they will be written.
        polls: how often it is still said to be at work.
    """

    job_id: str
    kind: str
    operation: str
    key: str
    state: str = "Open"
    error: str = ""
    content: bytes | None = None
    header: list[str] = field(default_factory=list)
    done: list[list[str]] = field(default_factory=list)
    failed: list[list[str]] = field(default_factory=list)
    unprocessed: list[list[str]] = field(default_factory=list)
    polls: int = 0

    def to_dict(self) -> dict[str, Any]:
        """As answers show it."""
        ended = self.polls == 0
        made: dict[str, Any] = {
            "id": self.job_id,
            "operation": self.operation,
            "object": self.kind,
            "createdById": "005000000000001AAA",
            "state": self.state if ended or self.state == "Open" else "InProgress",
            "concurrencyMode": "Parallel",
            "contentType": "CSV",
            "apiVersion": 62.0,
            "jobType": "V2Ingest",
            "lineEnding": "LF",
            "columnDelimiter": "COMMA",
            "contentUrl": f"services/data/v62.0/jobs/ingest/{self.job_id}/batches",
            "numberRecordsProcessed": len(self.done) + len(self.failed),
            "numberRecordsFailed": len(self.failed),
            "retries": 0,
        }
        if self.key:
            made["externalIdFieldName"] = self.key
        return made | ({"errorMessage": self.error} if self.error else {})


class Jobs:
    """The organisation's jobs.

    Attributes:
        jobs: by id.
        polls: how often each job says that it is at work.
        stops_after: rows after which a job fails and leaves the others; None for none.
        forgets: rows at the end of a file that stand in no file of results.
        may_erase: whether the user has the right to delete for good.
        may_delete_jobs: whether the user may delete jobs.
        deleted: how many jobs were.
    """

    def __init__(self, organisation: Salesforce) -> None:
        self._organisation = organisation
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.jobs: dict[str, Job] = {}
        self.polls = 0
        self.stops_after: int | None = None
        self.forgets = 0
        self.may_erase = self.may_delete_jobs = True
        self.made = self.deleted = 0

    def create(self, body: Any) -> dict[str, Any]:
        """Make a job."""
        given = body if isinstance(body, dict) else {}
        known = {
            *("object", "operation", "contentType", "lineEnding", "columnDelimiter"),
            "externalIdFieldName",
        }
        if set(given) - known or given.get("operation") not in _OPERATIONS:
            raise SalesforceError("INVALIDJOB", "unknown field or operation")
        if given.get("contentType", "CSV") != "CSV" or given.get("lineEnding", "LF") != "LF":
            raise SalesforceError("INVALIDJOB", "CSV and LF alone are played")
        if given.get("columnDelimiter", "COMMA") != "COMMA":
            raise SalesforceError("INVALIDJOB", "commas alone are played")
        kind, operation = str(given.get("object")), given["operation"]
        key = str(given.get("externalIdFieldName") or "")
        if kind not in self._organisation.objects:
            raise SalesforceError("INVALIDENTITY", f"Entity '{kind}' is not supported")
        if operation == "upsert":
            self._organisation.require_key(kind, key)
        if operation == "hardDelete" and not self.may_erase:
            raise SalesforceError("FEATURENOTENABLED", "hardDelete is not enabled")
        self.made += 1
        job = Job(job_id=f"750{self.made:012d}AAA", kind=kind, operation=operation, key=key)
        self.jobs[job.job_id] = job
        return job.to_dict()

    def of(self, job_id: str) -> Job:
        """A job by its id."""
        if job_id not in self.jobs:
            raise SalesforceError("NOT_FOUND", "The requested resource does not exist", status=404)
        return self.jobs[job_id]

    def asked(self, job_id: str) -> dict[str, Any]:
        """The state of a job, which is at work for some questions."""
        job = self.of(job_id)
        shown = job.to_dict()
        job.polls = max(0, job.polls - 1)
        return shown

    def upload(self, job_id: str, content: bytes) -> None:
        """The one file of a job."""
        job = self.of(job_id)
        if job.state != "Open" or job.content is not None:
            raise SalesforceError("INVALIDJOBSTATE", "the job takes no file")
        if len(content) * 4 / 3 > FILE_BYTES_MAX:
            raise SalesforceError("CLIENTINPUTERROR", "the file is too large", status=413)
        job.content = content

    def change(self, job_id: str, body: Any, *, refuse_first: bool) -> dict[str, Any]:
        """Begin a job, or abort it."""
        job, state = self.of(job_id), body.get("state") if isinstance(body, dict) else None
        if state == "Aborted" and job.state in ("Open", "UploadComplete"):
            job.state = state
        elif state == "UploadComplete" and job.state == "Open":
            self._work(job, refuse_first)
            job.polls = self.polls
        else:
            raise SalesforceError("INVALIDJOBSTATE", f"{job.state} does not become {state}")
        return job.to_dict() | {"state": state}

    def delete(self, job_id: str) -> None:
        """A job with its files."""
        job = self.of(job_id)
        if not self.may_delete_jobs:
            raise SalesforceError("INSUFFICIENT_ACCESS", "no right", status=403)
        if job.state == "Open" or job.polls:
            raise SalesforceError("INVALIDJOBSTATE", "the job is at work")
        del self.jobs[job_id]
        self.deleted += 1

    def results(self, job_id: str, name: str) -> str:
        """One of the three files. Rows do not come in the order of the file that was sent."""
        job, which = self.of(job_id), _RESULTS.get(name.lower(), "")
        if not which:
            raise SalesforceError("NOT_FOUND", "no such file", status=404)
        more = {"done": ["sf__Id", "sf__Created"], "failed": ["sf__Id", "sf__Error"]}
        made = io.StringIO()
        writer = csv.writer(made, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow([*more.get(which, []), *job.header])
        writer.writerows(reversed(getattr(job, which)))
        return made.getvalue()

    def _work(self, job: Job, refuse_first: bool) -> None:
        job.state = "JobComplete"
        content, job.content = job.content or b"", None
        try:
            text = io.StringIO(content.decode("utf-8"), newline="")
            rows = list(csv.reader(text, strict=True))
            job.header = rows.pop(0)
        except (UnicodeDecodeError, csv.Error, IndexError):
            job.state, job.error = "Failed", "InvalidBatch : the file is no CSV"
            return
        fields = {"Id", *self._organisation.of(job.kind).fields}
        unknown = [n for n in job.header if n not in fields and "." not in n]
        if unknown or any(len(row) != len(job.header) for row in rows):
            job.state = "Failed"
            job.error = f"InvalidBatch : Field name not found : {unknown}"
            job.unprocessed = rows
            return
        for number, row in enumerate(rows[: len(rows) - self.forgets]):
            if self.stops_after is not None and number >= self.stops_after:
                job.state, job.error = "Failed", "TooManyLockFailure : too many locks"
                job.unprocessed.append(row)
                continue
            try:
                if refuse_first and number == 0:
                    raise RowError("FIELD_CUSTOM_VALIDATION_EXCEPTION", "refused by a rule")
                record, is_new = self._row(job, dict(zip(job.header, row, strict=True)))
                job.done.append([record.record_id, str(is_new).lower(), *row])
            except RowError as error:
                job.failed.append(["", error.line(), *row])

    def _row(self, job: Job, given: dict[str, str]) -> tuple[Record, bool]:
        organisation = self._organisation
        objects = organisation.of(job.kind)
        if job.operation in ("delete", "hardDelete"):
            record = objects.there(given.get("Id"))
            (objects.erase if job.operation == "hardDelete" else objects.delete)(record)
            return record, False
        # An empty value leaves the field as it is.
        there = {n: v for n, v in given.items() if v != "" and n != "Id"}
        values = typed(objects, there, Field.of_text, organisation.resolve)
        if job.operation == "upsert":
            return organisation.upsert(job.kind, job.key, values)
        record_or_none = objects.there(given.get("Id")) if job.operation == "update" else None
        return organisation.write(objects, record_or_none, values)
