"""HubSpot's CRM: records written by a unique property, members of lists, and subscriptions.

Calls are in `hubspot_api`, rows become requests in `hubspot_requests`, and answers are understood
in `hubspot_answers`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa

from mayfly.connectors.destinations import require_protected
from mayfly.connectors.destinations.hubspot_answers import VENDOR, Records, found, upserted
from mayfly.connectors.destinations.hubspot_api import (
    API_VERSION,
    HOSTS,
    HubspotApi,
    HubspotSettings,
    Subscription,
)
from mayfly.connectors.destinations.hubspot_lists import MemberList
from mayfly.connectors.destinations.hubspot_page import PAGE
from mayfly.connectors.destinations.hubspot_requests import (
    ROWS_MAX,
    SUBSCRIPTION,
    read_body,
    require_sendable,
    taken,
    upsert_body,
)
from mayfly.connectors.destinations.hubspot_requests import Records as Rows
from mayfly.connectors.destinations.hubspot_subscriptions import (
    ADDRESS,
    SAID,
    require_subscription_fields,
    tell,
    wishes,
)
from mayfly.connectors.first_check import FirstCheck
from mayfly.connectors.jobs import no_such_job
from mayfly.connectors.narrowing import Narrowing
from mayfly.connectors.row_parts import RowPart, Told, note_worse, noting_refused
from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.domain.errors import ConfigError, ContractError, RequestRefusedError
from mayfly.domain.outcomes import OutcomeCode, Reason
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
from mayfly.ports.oauth import OAuthSpec
from mayfly.privacy.gate import Form, ProtectedBatch

SPEC = DestinationSpec(
    name="hubspot",
    modes=frozenset({SyncMode.UPSERT, SyncMode.MIRROR, SyncMode.AUDIENCE}),
    fields=(),
    request=RequestLimits(rows_max=ROWS_MAX, bytes_max=10_000_000),
    hosts=frozenset(HOSTS.values()),
    processor=Processor(legal_name="HubSpot, Inc.", countries=frozenset({"US"})),
    erasure=Erasure.BY_IDENTIFIER,
    locates=True,
    concurrency=2,
    batch_rows=5_000,
    oauth=OAuthSpec(
        authorise_url="https://app.hubspot.com/oauth/authorize",
        token_url="https://api.hubapi.com/oauth/v1/token",  # noqa: S106, an address
        scopes=("oauth", "crm.objects.contacts.read", "crm.objects.contacts.write"),
        life_seconds=1800,
        redirect_host="localhost",
        redirect_port=8976,
    ),
)


class Hubspot:
    """Writes records by a unique property, archives them, and keeps the members of one list.

    Writing is by key, so that a repeat is harmless. Calls may run concurrently.

    Args:
        settings: which account and object.
        http: connects to HubSpot.
        context: of the sync.

    Raises:
        ConfigError: `one_key`, `unsendable_type`, `unknown_subscription`, `subscription_type`,
            `no_address`, `bad_object`.
    """

    def __init__(
        self, settings: HubspotSettings, http: HttpClient, context: DestinationContext
    ) -> None:
        if len(context.key) != 1 or context.key[0].startswith(SUBSCRIPTION):
            raise ConfigError("one_key", "key must name the one property that tells records apart.")
        self._settings = settings
        self._http = http
        self._key = context.key[0]
        self._columns = dict(context.columns)
        self._api = HubspotApi(settings, http)
        self._list = MemberList(self._api) if settings.list_name else None
        self._narrowing, self._telling = Narrowing(vendor=VENDOR), Narrowing(vendor=VENDOR)
        self._checked = FirstCheck(self.check)
        for name, kind in self._columns.items():
            if context.forms.get(name) is Form.CLEAR:
                require_sendable(name, kind)
        require_subscription_fields(context, settings.subscriptions)
        if self._list is not None:
            _ = settings.list_type

    async def check(self) -> None:
        """Refuse another account, a mapping to what is not there, and a list that is not ours.

        Raises:
            ConfigError: as `HubspotApi.require_account`, `require_properties` and
                `require_subscriptions`, and `list_is_dynamic`.
        """
        await self._api.require_account()
        properties = [name for name in self._columns if not name.startswith(SUBSCRIPTION)]
        await self._api.require_properties(self._key, properties)
        if any(name.startswith(SUBSCRIPTION) for name in self._columns):
            await self._api.require_subscriptions()
        if self._list is not None:
            await self._list.find(create=False)

    async def fields(self) -> Sequence[VendorField]:
        """See `Describing.fields`: properties, and the subscriptions of the settings."""
        names = await self._api.writable()
        names += [f"{SUBSCRIPTION}{name}" for name in self._settings.subscriptions]
        return [VendorField(name=name, is_required=name == self._key) for name in names]

    async def locate(self, known: str | None) -> str | None:
        """See `Locating.locate`: the id of the list, else the account, which is always there."""
        if self._list is None:
            return self._settings.account_id
        return await self._list.locate(known)

    async def write(self, batch: ProtectedBatch, progress: Progress) -> Done | Submitted:
        """Send one batch. What the whole mapping is wrong in is found before its first row goes."""
        require_protected(batch)
        match batch.head.operation:
            case Operation.WRITE:
                await self._checked.answer()
                return await self._write(batch, progress)
            case Operation.REMOVE:
                await self._checked.answer()
                change = self._archive if self._list is None else self._list.remove
                return await self._take_back(batch, progress, self._key, change)
            case _:
                raise ContractError("unknown_operation", "HubSpot takes rows by their key.")

    async def poll(self, job: JobRef) -> Done | Pending:
        """HubSpot answers at once; there is nothing to ask for."""
        raise no_such_job(VENDOR, job)

    async def applied(self, head: BatchHead) -> bool | None:
        """Unknown: HubSpot keeps no marker of a batch."""
        del head
        return None

    async def erase(self, identifiers: ProtectedBatch) -> Done | Submitted:
        """Delete contacts for good, those in the recycle bin, too; an absent one is accepted.

        They are looked up first: HubSpot would block an address that it does not know.

        Raises:
            ContractError: `one_identifier`; `no_erasure`, only contacts can be deleted so.
        """
        require_protected(identifiers)
        names = identifiers.rows.column_names
        if len(names) != 1:
            raise ContractError("one_identifier", "An erasure holds exactly one identifier field.")
        if self._settings.object_type != "contacts":
            raise ContractError("no_erasure", "HubSpot deletes only contacts for good.")
        passes = [
            await self._take_back(
                identifiers,
                Progress(rows=len(identifiers)),
                names[0],
                self._purge,
                archived=archived,
            )
            for archived in (False, True)
        ]
        first, last = (done.outcomes for done in passes)
        late = first.not_accepted()
        return Done(outcomes=last.replaced(late, taken(first, late)))

    async def close(self) -> None:
        """Release connections. May be repeated."""
        await self._http.close()

    async def _write(self, batch: ProtectedBatch, progress: Progress) -> Done:
        rows = await asyncio.to_thread(Rows, batch, self._key)
        inputs = await asyncio.to_thread(rows.inputs)
        while progress.next_row < rows.length:
            part = rows.part(progress.next_row)
            told: dict[int, Told] = {}
            records = await self._upsert(rows, inputs, part, told)
            if self._list is not None:
                await _join(self._list, part, records, told)
            said = wishes(
                batch.rows,
                self._settings.subscriptions,
                range(part.first, part.first + part.rows),
            )
            # A refusal is told even of who could not be written.
            told_of = [w for w in said if not w.yes or w.row not in {*part.unsent, *told}]
            note_worse(told, await tell(self._api, self._telling, told_of))
            progress.rows_done(part.outcomes(told))
        return progress.done()

    async def _upsert(
        self, rows: Rows, inputs: pa.Array, part: RowPart, told: dict[int, Told]
    ) -> list[Records]:
        """Write the rows of a part; `told` gets those that were not plainly accepted."""
        path = self._settings.path("objects", f"{self._settings.object_type}/batch/upsert")
        keys = _keys(rows, part)
        made: list[Records] = []

        async def ask(numbers: Sequence[int]) -> None:
            body = upsert_body(inputs, numbers)
            if len(body) > SPEC.request.bytes_max:
                raise RequestRefusedError("too_large", "A request would be too large.")
            reply = await self._api.call("POST", path, body)
            answer = upserted(reply, {n: keys[n] for n in numbers}, self._columns)
            made.append(answer)
            told.update(answer.told)

        await self._narrowing.send(part.sent, ask, noting_refused(told))
        return made

    async def _take_back(
        self,
        batch: ProtectedBatch,
        progress: Progress,
        key: str,
        change: Callable[[Sequence[str]], Any],
        *,
        archived: bool = False,
    ) -> Done:
        """Look records up, and do something to those that are there."""
        rows = await asyncio.to_thread(Rows, batch, key)
        identifiers = rows.identifiers()
        path = self._settings.path("objects", f"{self._settings.object_type}/batch/read")
        params = {"archived": "true"} if archived else None
        while progress.next_row < rows.length:
            part = rows.part(progress.next_row)
            told: dict[int, Told] = dict.fromkeys(part.unsent, (OutcomeCode.ACCEPTED, None))
            if part.sent:
                body = read_body(identifiers, part.sent, key)
                reply = await self._api.call("POST", path, body, params=params)
                there = found(reply, _keys(rows, part), key, _fold(key))
                await change(list(dict.fromkeys([*there.ids.values(), *there.loose])))
                told.update(there.told)
            progress.rows_done(part.outcomes(told))
        return progress.done()

    async def _archive(self, records: Sequence[str]) -> None:
        if not records:
            return
        path = self._settings.path("objects", f"{self._settings.object_type}/batch/archive")
        body = orjson.dumps({"inputs": [{"id": record} for record in records]})
        await self._api.call("POST", path, body)

    async def _purge(self, records: Sequence[str]) -> None:
        path = self._settings.path("objects", f"{self._settings.object_type}/gdpr-delete")
        for record in records:
            await self._api.call("POST", path, orjson.dumps({"objectId": record}))


async def _join(
    members: MemberList, part: RowPart, made: Sequence[Records], told: dict[int, Told]
) -> None:
    """Make the records that were written members of the list."""
    ids = {row: record for records in made for row, record in records.ids.items()}
    loose = [record for records in made for record in records.loose]
    missing = await members.add([*ids.values(), *loose])
    # A record that was just made may not be seen by lists yet.
    late = [row for row, record in ids.items() if record in missing]
    if missing & {*loose}:
        late += [row for row in part.sent if row not in ids]
    note_worse(told, dict.fromkeys(late, (OutcomeCode.DEFERRED, Reason(code="record_missing"))))


def _keys(rows: Rows, part: RowPart) -> dict[int, str]:
    keys = rows.keys.slice(part.first, part.rows).to_pylist()
    return {number: keys[number - part.first] for number in part.sent}


def _fold(key: str) -> Callable[[str], str]:
    """See `folded`, of one key."""
    return (lambda text: text.strip().lower()) if key == ADDRESS else (lambda text: text)


def _open(request: DestinationRequest) -> Hubspot:
    given = request.settings.options.get("subscriptions")
    subscriptions = {
        str(name): Subscription(
            number=int(str(entry["id"])),
            legal_basis=str(entry.get("legal_basis") or ""),
            explanation=str(entry.get("explanation") or ""),
        )
        for name, entry in (given.items() if isinstance(given, Mapping) else ())
    }
    SAID.require_refusals(request.sync)
    settings = HubspotSettings(
        account_id=request.text("account_id"),
        access_token=request.secret("access_token"),
        object_type=request.sync.table or "contacts",
        list_name=request.sync.audience or "",
        region=request.text("region"),
        api_version=request.text("api_version", API_VERSION),
        endpoint=request.settings.endpoint or "",
        subscriptions=subscriptions,
    )
    return Hubspot(settings, request.connect(), request.context)


def _hosts(request: HostsRequest) -> frozenset[str]:
    region = str(request.settings.options.get("region") or "")
    return frozenset({HOSTS[region]})


CONNECTOR = Connector(spec=SPEC, open=_open, address=("account_id",), hosts=_hosts, page=PAGE)
