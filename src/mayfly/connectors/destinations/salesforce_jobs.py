"""Jobs of Salesforce's Bulk API 2.0: one file each, followed to its end and deleted once read.

Of a job whose rows are known here, each row is told by the file that it stands in. Keys stay in
memory alone: of a job of an earlier process only the numbers of rows are known, and where they do
not all have the same end, all are sent again, which is by key and harms nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from mayfly.connectors.destinations.salesforce_answers import (
    VENDOR,
    code_of_line,
    failure,
    object_of,
    record_id,
    told_of,
    unfit,
)
from mayfly.connectors.destinations.salesforce_api import SalesforceApi
from mayfly.connectors.destinations.salesforce_results import ResultFile
from mayfly.connectors.row_parts import RowPart, Told, note_worse
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.domain.outcomes import OutcomeCode, Outcomes, Reason
from mayfly.ports.destination import Done, JobRef, Pending

FILE_BYTES_MAX = 100_000_000
"""Salesforce takes 150 MB of base64."""
RESULT_BYTES_MAX = 4 * FILE_BYTES_MAX
ROWS_MIN = 2_000
"""Below, collections are asked for: Salesforce's own threshold."""
PAUSE_MAX_SECONDS = 30.0
_LOST = (OutcomeCode.DEFERRED, Reason(code="job_lost"))
_UNNAMED = (OutcomeCode.DEFERRED, Reason(code="row_not_answered"))
_NOT_KNOWN = (OutcomeCode.DEFERRED, Reason(code="rows_not_known"))


@dataclass(frozen=True, kw_only=True)
class Operation:
    """What a job does.

    Args:
        name: `upsert` or `hardDelete`.
        column: of the file, that names its rows: the external id, or `Id`.
    """

    name: str
    column: str


@dataclass(kw_only=True, repr=False)
class _Known:
    """What is known here of a job that was begun here.

    Args:
        rows: numbers of its rows in what is answered for, by their names.
        count: how many rows are answered for; those that are not in the file are accepted.
        asked: how often its state was asked for.
    """

    rows: Mapping[str, tuple[int, ...]]
    count: int


@dataclass(kw_only=True, repr=False)
class _Found:
    """What a job's files say.

    Args:
        done: rows that were processed.
        failed: the others, by code.
        unprocessed: how many were not looked at.
        named: rows that stand in any of them, by name, where names are known.
        told: outcome of each such row that was not plainly accepted.
    """

    done: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    unprocessed: int = 0
    named: set[str] = field(default_factory=set)
    told: dict[int, Told] = field(default_factory=dict)


class Jobs:
    """Begins jobs and follows them. Calls may run concurrently."""

    def __init__(self, api: SalesforceApi) -> None:
        self._api = api
        self._known: dict[str, _Known] = {}
        self._asked: Counter[str] = Counter()

    async def begin(
        self,
        operation: Operation,
        content: bytes,
        rows: Mapping[str, tuple[int, ...]],
        *,
        batch: int,
        count: int,
    ) -> JobRef:
        """Make a job of a file and let Salesforce begin.

        What goes wrong before that is undone: no file is left there.

        Args:
            operation: of all rows.
            content: the file.
            rows: numbers of its rows, by their names.
            batch: number of the batch.
            count: of rows that the job answers for.

        Raises:
            EngineError: no job has begun. Never RequestRefusedError: no row is to blame.
        """
        body: dict[str, Any] = {
            "object": self._api.settings.object_name,
            "operation": operation.name,
            "contentType": "CSV",
            "columnDelimiter": "COMMA",
            "lineEnding": "LF",
        }
        if operation.name == "upsert":
            body["externalIdFieldName"] = operation.column
        made = await self._api.ask("POST", "jobs/ingest", body)
        job = record_id(made.get("id"))
        try:
            reply = await self._api.call("PUT", f"jobs/ingest/{job}/batches", content, kind="csv")
            if reply.status != 201:
                raise _whole(failure(reply))
        except (EngineError, asyncio.CancelledError):
            with suppress(EngineError):
                await self._close(job, "Aborted")
                await self._delete(job)
            raise
        with suppress(TransientError):
            # Whoever asks for the job says it again where this was not heard.
            await self._close(job, "UploadComplete")
        self._known[job] = _Known(rows=rows, count=count)
        return JobRef(
            batch=batch, rows=count, reference=f"{operation.name}/{operation.column}/{job}"
        )

    async def poll(self, ref: JobRef) -> Done | Pending:
        """Ask for a job; at its end read its files, and delete it.

        Raises:
            ContractError: `bad_job_reference`, `unknown_answer`.
            ConfigError: `job_not_deleted`.
            EngineError: as `SalesforceApi.call`.
        """
        operation, job = _read(ref.reference)
        reply = await self._api.call("GET", f"jobs/ingest/{job}")
        if reply.status == 404:
            self._let_go(job)
            return Done(outcomes=Outcomes.all_of(_LOST[0], ref.rows, _LOST[1]))
        told = object_of(reply)
        match state := told.get("state"):
            case "Open":
                await self._close(job, "UploadComplete")
                return self._later(job)
            case "UploadComplete" | "InProgress":
                return self._later(job)
            case "JobComplete" | "Failed" | "Aborted":
                why = code_of_line(str(told.get("errorMessage", "")).replace(" ", "").upper())
                stopped = Reason(code="row_not_processed", vendor_code=f"{state}.{why}")
                outcomes = await self._outcomes(ref, operation, job, stopped)
                await self._forget(job)
                self._let_go(job)
                return Done(outcomes=outcomes)
        raise unfit("has no state of a job that is known")

    def forget(self) -> None:
        """Forget the rows of every job."""
        self._known.clear()

    def _later(self, job: str) -> Pending:
        """After a second at first, and ever more seldom."""
        self._asked[job] += 1
        exponent = min(self._asked[job] - 1, 10)
        return Pending(retry_after_seconds=min(2.0**exponent, PAUSE_MAX_SECONDS))

    def _let_go(self, job: str) -> None:
        self._known.pop(job, None)
        self._asked.pop(job, None)

    async def _outcomes(
        self, ref: JobRef, operation: Operation, job: str, stopped: Reason
    ) -> Outcomes:
        known, found = self._known.get(job), _Found()
        for name in ("failedResults", "unprocessedrecords", "successfulResults"):
            await self._read_file(job, name, operation, known, found, stopped)
        if known is None:
            return _told(found, ref.rows, is_partial=operation.name != "upsert")
        return _laid_out(found, known)

    async def _read_file(
        self,
        job: str,
        name: str,
        operation: Operation,
        known: _Known | None,
        found: _Found,
        stopped: Reason,
    ) -> None:
        columns = [operation.column, *(["sf__Error"] if name == "failedResults" else [])]

        def take(rows: pa.Table) -> None:
            names = rows.column(operation.column).to_pylist()
            if name == "successfulResults":
                outcomes: list[Told | None] = [None] * len(names)
                found.done += len(names)
            elif name == "unprocessedrecords":
                outcomes = [(OutcomeCode.DEFERRED, stopped)] * len(names)
                found.unprocessed += len(names)
            else:
                codes = [code_of_line(text) for text in rows.column("sf__Error").to_pylist()]
                found.failed.update(codes)
                outcomes = [told_of(code) for code in codes]
            if known is not None:
                _note(known, names, outcomes, found)

        file = ResultFile(columns, take)
        await self._api.stream(f"jobs/ingest/{job}/{name}/", file.feed, RESULT_BYTES_MAX)
        file.end()

    async def _close(self, job: str, state: str) -> None:
        await self._api.ask("PATCH", f"jobs/ingest/{job}", {"state": state})

    async def _delete(self, job: str) -> None:
        reply = await self._api.call("DELETE", f"jobs/ingest/{job}")
        if reply.status not in (204, 404):
            raise failure(reply)

    async def _forget(self, job: str) -> None:
        """Delete a job with its files, which hold people.

        Raises:
            ConfigError: `job_not_deleted`.
            TransientError: try again.
        """
        try:
            await self._delete(job)
        except TransientError:
            raise
        except EngineError as error:
            raise ConfigError(
                "job_not_deleted",
                f"{VENDOR} does not let the integration user delete a job ({error.code}); its "
                "files would stay there for seven days.",
                hint="Let it: the files hold people. The job is read again by the next run.",
            ) from None


def _read(reference: str) -> tuple[Operation, str]:
    name, _, rest = reference.partition("/")
    column, _, job = rest.rpartition("/")
    if name not in ("upsert", "hardDelete") or not column:
        raise ContractError("bad_job_reference", f"A job's reference is none of {VENDOR}'s.")
    return Operation(name=name, column=column), record_id(job)


def _note(
    known: _Known, names: Sequence[str], outcomes: Sequence[Told | None], found: _Found
) -> None:
    for name, outcome in zip(names, outcomes, strict=True):
        rows = known.rows.get(name)
        if rows is None or name in found.named:
            raise unfit("names a row that was not sent, or one twice")
        found.named.add(name)
        if outcome is not None:
            note_worse(found.told, dict.fromkeys(rows, outcome))


def _laid_out(found: _Found, known: _Known) -> Outcomes:
    """Outcomes of rows that are known. Who is in no file was not answered for."""
    for name in known.rows.keys() - found.named:
        note_worse(found.told, dict.fromkeys(known.rows[name], _UNNAMED))
    return RowPart.of(0, known.count, {}).outcomes(found.told)


def _told(found: _Found, rows: int, *, is_partial: bool) -> Outcomes:
    """Outcomes of rows of which only the numbers are known.

    Args:
        found: in the files.
        rows: that the job answers for.
        is_partial: whether the file held records, of which a row has any number.
    """
    failed = sum(found.failed.values())
    done = found.done if not is_partial else rows if found.done else 0
    if done + failed + found.unprocessed > rows and not is_partial:
        raise unfit("has more rows than were sent")
    whole: Told = _NOT_KNOWN
    if done == rows and not failed and not found.unprocessed:
        whole = (OutcomeCode.ACCEPTED, None)
    elif failed == rows and len(found.failed) == 1 and not is_partial:
        whole = told_of(next(iter(found.failed)))
    return Outcomes.all_of(whole[0], rows, whole[1])


def _whole(error: EngineError) -> EngineError:
    """A refusal of a file, for which no row can be named."""
    if isinstance(error, ContractError):
        return ContractError(error.code, error.message, hint=error.hint)
    return error
