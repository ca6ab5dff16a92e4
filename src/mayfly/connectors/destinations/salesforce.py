"""Salesforce: records of one object written by an external id, deleted, and what people said.

Calls are in `salesforce_api`, rows become requests in `salesforce_requests`, answers are understood
in `salesforce_answers`; large batches are jobs, followed in `salesforce_jobs`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pyarrow as pa

from mayfly.connectors.destinations import require_protected
from mayfly.connectors.destinations.salesforce_answers import (
    VENDOR,
    list_of,
    record_of,
    row_outcome,
)
from mayfly.connectors.destinations.salesforce_api import (
    API_VERSION,
    Consent,
    Described,
    SalesforceApi,
    SalesforceSettings,
)
from mayfly.connectors.destinations.salesforce_consent import (
    GENERAL,
    SAID,
    Telling,
    Wish,
    require_consent_fields,
    wishes,
)
from mayfly.connectors.destinations.salesforce_jobs import (
    FILE_BYTES_MAX,
    ROWS_MIN,
    Jobs,
)
from mayfly.connectors.destinations.salesforce_jobs import (
    Operation as JobOperation,
)
from mayfly.connectors.destinations.salesforce_page import PAGE
from mayfly.connectors.destinations.salesforce_records import (
    IDS_MAX,
    PARTS_MAX,
    RecordCalls,
    folded,
)
from mayfly.connectors.destinations.salesforce_requests import (
    CONSENT,
    Records,
    as_csv,
    collection,
    require_sendable,
)
from mayfly.connectors.destinations.salesforce_tokens import Credentials
from mayfly.connectors.first_check import FirstCheck
from mayfly.connectors.narrowing import Narrowing
from mayfly.connectors.row_parts import RowPart, Told, note_worse, noting_refused
from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.domain.errors import ConfigError, ContractError
from mayfly.domain.outcomes import OutcomeCode, Outcomes
from mayfly.ports.connector import Connector, DestinationRequest, HostsRequest
from mayfly.ports.destination import (
    DestinationContext,
    DestinationSpec,
    Done,
    Erasure,
    JobRef,
    Pending,
    Processor,
    Progress,
    RequestLimits,
    Submitted,
    VendorField,
)
from mayfly.ports.http import HttpClient
from mayfly.privacy.gate import Form, ProtectedBatch

SPEC = DestinationSpec(
    name="salesforce",
    modes=frozenset({SyncMode.UPSERT, SyncMode.MIRROR}),
    fields=(),
    request=RequestLimits(rows_max=10_000, bytes_max=FILE_BYTES_MAX),
    hosts=frozenset(),
    processor=Processor(legal_name="Salesforce, Inc.", countries=frozenset({"US"})),
    erasure=Erasure.BY_IDENTIFIER,
    locates=True,
    concurrency=2,
    # As many as Salesforce works off in one go.
    batch_rows=10_000,
)


class Salesforce:
    """Writes records by an external id, and deletes them.

    Writing is by key, so that a repeat is harmless. Calls may run concurrently.

    Args:
        settings: which organisation and object.
        http: connects to it.
        context: of the sync.

    Raises:
        ConfigError: `one_key`, `unsendable_type`, `unknown_consent`, `consent_type`,
            `opt_out_field`.
    """

    def __init__(
        self, settings: SalesforceSettings, http: HttpClient, context: DestinationContext
    ) -> None:
        if len(context.key) != 1 or context.key[0].startswith(CONSENT) or "." in context.key[0]:
            raise ConfigError("one_key", "key must name the one external id that names records.")
        self._settings = settings
        self._http = http
        self._key = context.key[0]
        self._columns = dict(context.columns)
        self._api = SalesforceApi(settings, http)
        self._calls = RecordCalls(self._api)
        self._jobs = Jobs(self._api)
        self._narrowing = Narrowing(vendor=VENDOR)
        self._checked = FirstCheck(lambda: self._api.require_fields(self._key, self._mapped()))
        for name, kind in self._columns.items():
            if context.forms.get(name) is Form.CLEAR:
                require_sendable(name, kind)
        require_consent_fields(context, settings.consents)

    async def check(self) -> None:
        """Refuse credentials of another organisation, and a mapping to what is not there.

        Raises:
            ConfigError: as `Tokens.token` and `SalesforceApi.require_fields`.
        """
        await self._api.require_fields(self._key, self._mapped())

    async def fields(self) -> Sequence[VendorField]:
        """See `Describing.fields`: those of the object, and the consents of the settings."""
        found = [
            VendorField(name=name, is_required=needed or name == self._key)
            for name, needed in await self._api.writable()
        ]
        return [*found, *(VendorField(name=f"{CONSENT}{n}") for n in self._settings.consents)]

    async def locate(self, known: str | None) -> str | None:
        """See `Locating.locate`: the organisation, which is another after a sandbox's refresh."""
        del known
        return await self._api.organisation()

    async def write(self, batch: ProtectedBatch, progress: Progress) -> Done | Submitted:
        """Send one batch. What the whole mapping is wrong in is found before its first row goes."""
        require_protected(batch)
        match batch.head.operation:
            case Operation.WRITE:
                return await self._write(batch, progress, await self._checked.answer())
            case Operation.REMOVE:
                return await self._remove(batch, progress, await self._checked.answer())
            case _:
                raise ContractError("unknown_operation", f"{VENDOR} takes rows by their key.")

    async def poll(self, job: JobRef) -> Done | Pending:
        """Ask for a job; its files are read and deleted once it has ended."""
        return await self._jobs.poll(job)

    async def applied(self, head: BatchHead) -> bool | None:
        """Unknown: Salesforce keeps no marker of a batch."""
        del head
        return None

    async def erase(self, identifiers: ProtectedBatch) -> Done | Submitted:
        """Delete all records with an identifier for good; an absent one is accepted.

        Raises:
            ContractError: `one_identifier`. ConfigError: `not_enabled`, `unknown_field`.
        """
        require_protected(identifiers)
        names = identifiers.rows.column_names
        if len(names) != 1:
            raise ContractError("one_identifier", "An erasure holds exactly one identifier field.")
        await self._api.require_readable(names[0])
        rows = await asyncio.to_thread(Records, identifiers, names[0])
        keys = rows.keys.to_pylist()
        found = await self._calls.of_keys(
            names[0], [key for key in keys if key.strip()], with_deleted=True
        )
        of_record: dict[str, list[int]] = {}
        for row, key in enumerate(keys):
            for record in found.get(folded(key), ()):
                of_record.setdefault(record, []).append(row)
        if not of_record:
            return _all_accepted(len(identifiers))
        content = as_csv(pa.table({"Id": pa.array(list(of_record), pa.string())}))
        job = await self._jobs.begin(
            JobOperation(name="hardDelete", column="Id"),
            content,
            {record: tuple(numbers) for record, numbers in of_record.items()},
            batch=identifiers.head.number,
            count=len(identifiers),
        )
        return Submitted(job=job)

    async def close(self) -> None:
        """Release connections. May be repeated."""
        self._jobs.forget()
        await self._http.close()

    def _mapped(self) -> list[str]:
        return [name for name in self._columns if not name.startswith(CONSENT)]

    async def _write(
        self, batch: ProtectedBatch, progress: Progress, described: Described
    ) -> Done | Submitted:
        rows = await asyncio.to_thread(
            Records,
            batch,
            self._key,
            case_matters=described.case_matters,
            texts=described.texts,
        )
        job = await self._as_job(batch, rows) if progress.next_row == 0 else None
        if job is not None:
            return job
        inputs = await asyncio.to_thread(rows.inputs, self._settings.object_name)
        while progress.next_row < rows.length:
            part = rows.part(progress.next_row)
            told: dict[int, Told] = {}
            ids = await self._upsert(inputs, part, told)
            said = wishes(batch.rows, range(part.first, part.first + part.rows))
            if said:
                await self._tell(rows, said, ids, told, described)
            progress.rows_done(part.outcomes(told))
        return progress.done()

    async def _as_job(self, batch: ProtectedBatch, rows: Records) -> Submitted | None:
        """The batch as one job, None where it is none: small, a part of another, with consents,
        with what no file can hold, or too large for one.
        """
        is_part = "." in batch.head.run
        told = any(name.startswith(CONSENT) for name in batch.rows.column_names)
        good = rows.good()
        if len(good) < ROWS_MIN or is_part or told:
            return None
        if not await asyncio.to_thread(rows.has_csv):
            return None
        content = await asyncio.to_thread(rows.csv, good)
        if len(content) > FILE_BYTES_MAX:
            return None
        names = {key: (place,) for place, key in enumerate(rows.keys.take(good).to_pylist())}
        job = await self._jobs.begin(
            JobOperation(name="upsert", column=self._key),
            content,
            names,
            batch=batch.head.number,
            count=len(good),
        )
        whole = RowPart.of(0, rows.length, rows.wrong)
        return Submitted(job=job, known=whole.outcomes({}) if rows.wrong else None)

    async def _upsert(
        self, inputs: pa.Array, part: RowPart, told: dict[int, Told]
    ) -> dict[int, str]:
        """Write the rows of a part; `told` gets those that were not plainly accepted.

        Returns:
            Ids of records, by row.
        """
        path = f"composite/sobjects/{self._settings.object_name}/{self._key}"
        ids: dict[int, str] = {}

        async def ask(numbers: Sequence[int]) -> None:
            reply = await self._api.call("PATCH", path, collection(inputs, numbers))
            for row, entry in zip(numbers, list_of(reply, len(numbers)), strict=True):
                outcome = row_outcome(entry, self._columns)
                if outcome is None:
                    ids[row] = record_of(entry)
                else:
                    told[row] = outcome

        await self._narrowing.send(part.sent, ask, noting_refused(told))
        return ids

    async def _tell(
        self,
        rows: Records,
        said: Sequence[Wish],
        ids: dict[int, str],
        told: dict[int, Told],
        described: Described,
    ) -> None:
        """Tell what people said. A refusal is told even of who could not be written."""
        lost = {w.row for w in said if not w.yes and w.row not in ids}
        known = dict(ids)
        if lost:
            keys = {row: rows.keys[row].as_py() for row in lost}
            found = await self._calls.of_keys(
                self._key,
                [key for key in dict.fromkeys(keys.values()) if key.strip()],
                case_matters=described.case_matters,
            )
            for row, key in keys.items():
                records = found.get(folded(key, case_matters=described.case_matters))
                if records:
                    known[row] = records[0]
        telling = Telling(
            self._calls,
            self._settings.object_name,
            self._settings.consents,
            flags=[flag for flag in GENERAL.values() if flag in described.names],
        )
        chosen = [w for w in said if (w.row in ids if w.yes else w.row in known)]
        await telling.tell(chosen, known)
        note_worse(told, telling.told)

    async def _remove(
        self, batch: ProtectedBatch, progress: Progress, described: Described
    ) -> Done:
        """Delete the records that keys name; who is not there is gone already."""
        case = described.case_matters
        rows = await asyncio.to_thread(
            Records, batch, self._key, case_matters=case, texts=described.texts
        )
        keys = rows.keys.to_pylist()
        while progress.next_row < rows.length:
            part = rows.part(progress.next_row, IDS_MAX * PARTS_MAX)
            numbers = range(part.first, part.first + part.rows)
            asked = list(dict.fromkeys(keys[n] for n in numbers if keys[n].strip()))
            found = await self._calls.of_keys(self._key, asked, case_matters=case)
            left = await self._calls.delete([r for records in found.values() for r in records])
            told: dict[int, Told] = dict.fromkeys(part.unsent, (OutcomeCode.ACCEPTED, None))
            for number in numbers:
                for record in found.get(folded(keys[number], case_matters=case), ()):
                    if record in left:
                        told[number] = left[record]
            progress.rows_done(part.outcomes(told))
        return progress.done()


def _all_accepted(rows: int) -> Done:
    return Done(outcomes=Outcomes.all_of(OutcomeCode.ACCEPTED, rows))


def _open(request: DestinationRequest) -> Salesforce:
    options = request.settings.options
    given = options.get("consents")
    consents = {
        str(name): Consent(**{key: str(value) for key, value in entry.items() if value})
        for name, entry in (given.items() if isinstance(given, Mapping) else ())
    }
    SAID.require_refusals(request.sync)
    settings = SalesforceSettings(
        domain=request.text("domain"),
        object_name=request.sync.table or "",
        credentials=Credentials(
            consumer_key=request.text("consumer_key"),
            consumer_secret=request.secret_if("consumer_secret"),
            private_key=request.secret_if("private_key"),
            username=request.text("username"),
        ),
        api_version=request.text("api_version", API_VERSION),
        endpoint=request.settings.endpoint or "",
        consents=consents,
    )
    return Salesforce(settings, request.connect(), request.context)


def _hosts(request: HostsRequest) -> frozenset[str]:
    return frozenset({str(request.settings.options.get("domain") or "")})


CONNECTOR = Connector(spec=SPEC, open=_open, address=("domain",), hosts=_hosts, page=PAGE)
