"""Users of a Zendesk account, written in jobs that answer row by row."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pyarrow as pa

from mayfly.connectors import json_columns as js
from mayfly.connectors.crm_rows import CrmRows, cell, crm_rows, erased_by, given
from mayfly.connectors.destinations import require_protected
from mayfly.connectors.destinations import zendesk_jobs as jobs
from mayfly.connectors.destinations.zendesk_api import (
    KEYS,
    POLL_SECONDS,
    STANDARD,
    USER_FIELD,
    Sleep,
    ZendeskApi,
    ZendeskSettings,
    stubs,
)
from mayfly.connectors.destinations.zendesk_jobs import ROWS_MAX, VENDOR, Receipt
from mayfly.connectors.destinations.zendesk_page import PAGE
from mayfly.connectors.first_check import FirstCheck
from mayfly.connectors.http_replies import vendor_code
from mayfly.connectors.row_parts import RowPart, Told
from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.domain.errors import ConfigError, ContractError
from mayfly.domain.outcomes import OutcomeCode, Outcomes, Reason
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
from mayfly.privacy.gate import ProtectedBatch

_LEFT_OUT = frozenset({"email", "external_id", "phone"})
"""Fields that a null does not clear: they tell who somebody is."""

_NO_END_USER, _REFUSED = Reason(code="not_an_end_user"), Reason(code="erasure_refused")

SPEC = DestinationSpec(
    name="zendesk",
    modes=frozenset({SyncMode.UPSERT, SyncMode.MIRROR, SyncMode.AUDIENCE}),
    fields=(),
    request=RequestLimits(rows_max=ROWS_MAX, bytes_max=10_000_000),
    hosts=frozenset(),
    processor=Processor(legal_name="Zendesk, Inc.", countries=frozenset({"US"})),
    erasure=Erasure.BY_IDENTIFIER,
    concurrency=2,
    # Their jobs fit into one reference, and stay below the 30 that may wait.
    batch_rows=300,
)


class Zendesk:
    """Writes users by `external_id` or `email`; a repeat is harmless. Calls may run concurrently.

    Args:
        settings: which account.
        http: connects to it.
        context: of the sync; an audience is the key of a checkbox among the account's user fields.
        sleep: how to wait for a job.

    Raises:
        ConfigError: `one_key`, `no_name`.
    """

    def __init__(
        self,
        settings: ZendeskSettings,
        http: HttpClient,
        context: DestinationContext,
        *,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        if len(context.key) != 1 or context.key[0] not in KEYS:
            raise ConfigError("one_key", f"key must be one of {', '.join(KEYS)}.")
        if "name" not in context.columns:
            raise ConfigError(
                "no_name",
                f"{VENDOR} takes no new user without a name, and the mapping has none.",
                hint="Map a column to `name`.",
            )
        self._key = context.key[0]
        self._columns = dict(context.columns)
        self._audience = context.object_name if context.mode is SyncMode.AUDIENCE else ""
        self._api = ZendeskApi(settings, http, sleep=sleep)
        self._checked = FirstCheck(self.check)
        self._submitted: dict[tuple[str, int], list[tuple[str, int]]] = {}
        self._known: dict[str, int] = {}
        self._half_gone: set[int] = set()

    async def check(self) -> None:
        """Refuse a login that is no agent's, and a mapping to what is not there.

        Raises:
            ConfigError: as `ZendeskApi.require_agent` and `require_fields`.
        """
        await self._api.require_agent()
        await self._api.require_fields(list(self._columns), self._audience)

    async def fields(self) -> Sequence[VendorField]:
        """See `Describing.fields`: those of every account, and the account's own."""
        own = [f"{USER_FIELD}{key}" for key in await self._api.user_fields()]
        needed = {self._key, "name"}
        return [VendorField(name=n, is_required=n in needed) for n in (*sorted(STANDARD), *own)]

    async def write(self, batch: ProtectedBatch, progress: Progress) -> Done | Submitted:
        """Hand one batch over; a removal that takes users away is followed to its end at once."""
        require_protected(batch)
        await self._checked.answer()
        match batch.head.operation:
            case Operation.WRITE:
                rows = await asyncio.to_thread(crm_rows, batch, self._key)
                inputs = await asyncio.to_thread(self._inputs, rows)
                return await self._submit(batch.head, rows, "write", inputs)
            case Operation.REMOVE if self._audience:
                rows = crm_rows(batch, self._key)
                unchecked = {"user_fields": {self._audience: False}}
                lines = js_lines(stub_lines(self._key, rows.keys, unchecked))
                return await self._submit(batch.head, rows, "leave", lines)
            case Operation.REMOVE:
                return await self._purge(crm_rows(batch, self._key), self._key, progress)
            case _:
                raise ContractError("unknown_operation", f"{VENDOR} takes rows by their key.")

    async def poll(self, job: JobRef) -> Done | Pending:
        """Ask for all jobs of a batch; rows of one that was killed or forgotten go again."""
        receipt = Receipt.read(job.reference)
        known = await self._api.statuses([name for name, _ in receipt.jobs])
        found = [(known.get(name), rows) for name, rows in receipt.jobs]
        if any(status is not None and jobs.is_waiting(status) for status, _ in found):
            return Pending(retry_after_seconds=POLL_SECONDS)
        leaving = receipt.kind == "leave"
        told: list[Told] = []
        for status, rows in found:
            results = jobs.results(status, rows)
            if results is None:
                told += [(OutcomeCode.DEFERRED, Reason(code="job_not_done"))] * rows
            else:
                told += [jobs.told(result, leaving=leaving) for result in results]
        reasons = {n: reason for n, (_, reason) in enumerate(told) if reason is not None}
        codes = pa.array([int(code) for code, _ in told], pa.uint8())
        return Done(outcomes=Outcomes(codes=codes, reasons=reasons))

    async def applied(self, head: BatchHead) -> bool | None:
        """Unknown: Zendesk keeps no marker of a batch."""
        del head
        return None

    async def erase(self, identifiers: ProtectedBatch) -> Done | Submitted:
        """Delete users for good; an absent one is accepted.

        Raises:
            ContractError: `one_identifier`.
        """
        require_protected(identifiers)
        key = erased_by(identifiers, KEYS)
        rows = crm_rows(identifiers, key)
        return await self._purge(rows, key, Progress(rows=len(rows.keys)))

    async def close(self) -> None:
        """Release connections. May be repeated."""
        await self._api.close()

    def _inputs(self, rows: CrmRows) -> pa.Array:
        """Every row as a user, as JSON. Nobody is mailed for being written."""
        table = rows.table
        mine = {
            name: given(table.column(name)) if name in _LEFT_OUT else cell(table.column(name))
            for name in table.column_names
            if not name.startswith(USER_FIELD)
        }
        own: dict[str, js.Shape] = {
            name.removeprefix(USER_FIELD): cell(table.column(name))
            for name in table.column_names
            if name.startswith(USER_FIELD)
        }
        if self._audience:
            own[self._audience] = js.Constant(True)
        shape: dict[str, js.Shape] = {**mine, "skip_verify_email": js.Constant(True)}
        if own:
            shape["user_fields"] = js.Object(own)
        return js.rows_of(js.Object(shape), table.num_rows)

    async def _submit(
        self, head: BatchHead, rows: CrmRows, kind: str, inputs: pa.Array
    ) -> Done | Submitted:
        if not rows.sent:
            return Done(outcomes=rows.outcomes({}))
        # Of an attempt that failed half way the first requests are not sent again.
        made = self._submitted.setdefault((head.run, head.number), [])
        for numbers in jobs.parts(rows.sent)[len(made) :]:
            users = js.array_of(inputs.take(pa.array(numbers, pa.int64())))
            made.append((await self._api.submit(users), len(numbers)))
        del self._submitted[head.run, head.number]
        receipt = Receipt(kind=kind, jobs=tuple(made))
        job = JobRef(batch=head.number, rows=len(rows.sent), reference=receipt.reference())
        return Submitted(job=job, known=rows.outcomes({}) if rows.unsent else None)

    async def _purge(self, rows: CrmRows, key: str, progress: Progress) -> Done:
        """Look users up, and delete those who are there for good."""
        while progress.next_row < len(rows.keys):
            first = progress.next_row
            numbers = range(first, min(first + ROWS_MAX, len(rows.keys)))
            # Without a key there is nobody.
            asked = [n for n in numbers if rows.keys[n]]
            told = await self._purged({n: rows.keys[n] for n in asked}, key)
            part = RowPart.of(first, len(numbers), {})
            progress.rows_done(part.outcomes(told))
        return progress.done()

    async def _purged(self, keys: Mapping[int, str], key: str) -> dict[int, Told]:
        """What became of some rows; who is not there is as good as gone."""
        told: dict[int, Told] = {}
        there: dict[int, int] = {}
        distinct = list(dict.fromkeys(keys.values()))
        users = dict(zip(distinct, await self._found(distinct, key), strict=True))
        for row, name in keys.items():
            found = users[name]
            if isinstance(found, int):
                there[row] = found
            elif found is not None:
                told[row] = (OutcomeCode.REJECTED, found)
        kept = await self._deleted(sorted({*there.values()}))
        told |= {
            row: (OutcomeCode.REJECTED, kept[user]) for row, user in there.items() if user in kept
        }
        return told

    async def _found(self, keys: Sequence[str], key: str) -> list[int | Reason | None]:
        """Ids of users by their key, None where there is none; a reason where Zendesk does not
        tell.
        """
        found: list[int | Reason | None] = []
        for place in range(0, len(keys), ROWS_MAX):
            some = keys[place : place + ROWS_MAX]
            job = await self._api.submit(stubs(key, some))
            for name, result in zip(some, await self._api.finished(job, len(some)), strict=True):
                if jobs.is_done(result):
                    self._known[name] = jobs.user_id(result)
                    found.append(self._known[name])
                elif jobs.is_nobody(result):
                    # Or deleted by an attempt that ended before the second step.
                    user = self._known.get(name)
                    found.append(user if user in self._half_gone else None)
                else:
                    code = vendor_code(result.get("error"))
                    found.append(Reason(code="lookup_refused", vendor_code=code))
        return found

    async def _deleted(self, users: Sequence[int]) -> dict[int, Reason]:
        """Delete users, then their records for good; those that stay, with why."""
        here = [user for user in users if user not in self._half_gone]
        roles = await self._api.roles(here) if here else {}
        kept = {u: _NO_END_USER for u in here if roles.get(u, "end-user") != "end-user"}
        going = [user for user in here if user not in kept]
        if going:
            params = {"ids": ",".join(map(str, going))}
            answer = await self._api.call("DELETE", "users/destroy_many", params=params)
            results = await self._api.finished(jobs.job_id(answer), len(going))
            for user, result in zip(going, results, strict=True):
                if jobs.is_done(result):
                    self._half_gone.add(user)
                else:
                    kept[user] = _REFUSED
        for user in users:
            if user not in kept:
                await self._forget(user)
                self._half_gone.discard(user)
        return kept

    async def _forget(self, user: int) -> None:
        try:
            await self._api.call("DELETE", f"deleted_users/{user}")
        except ContractError as error:
            if error.code != "not_found":  # gone already
                raise


def stub_lines(key: str, keys: Sequence[str], more: Mapping[str, object]) -> list[bytes]:
    """Users by their key alone, one JSON text each."""
    return [stubs(key, [name], more)[1:-1] for name in keys]


def js_lines(lines: Sequence[bytes]) -> pa.Array:
    """JSON texts as a column."""
    return pa.array([line.decode() for line in lines], pa.string())


def _open(request: DestinationRequest) -> Zendesk:
    settings = ZendeskSettings(
        subdomain=request.text("subdomain"),
        access_token=request.secret_if("access_token"),
        api_user=request.text("api_user"),
        api_token=request.secret_if("api_token"),
        endpoint=request.settings.endpoint or "",
    )
    return Zendesk(settings, request.connect(), request.context)


def _hosts(request: HostsRequest) -> frozenset[str]:
    return frozenset({f"{request.settings.options.get('subdomain', '')}.zendesk.com"})


CONNECTOR = Connector(spec=SPEC, open=_open, address=("subdomain",), hosts=_hosts, page=PAGE)
