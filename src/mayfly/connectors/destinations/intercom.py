"""Contacts of an Intercom workspace: written one by one, found by their keys in bodies alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa

from mayfly.connectors.crm_rows import CrmRows, crm_rows, erased_by
from mayfly.connectors.destinations import intercom_answers as said
from mayfly.connectors.destinations import require_protected
from mayfly.connectors.destinations.intercom_answers import (
    VENDOR,
    Contact,
    GoneError,
    TakenError,
)
from mayfly.connectors.destinations.intercom_api import (
    HOSTS,
    KEYS,
    NO_MAIL,
    STANDARD,
    SUBSCRIPTION,
    IntercomApi,
    IntercomSettings,
    subscription_id,
)
from mayfly.connectors.destinations.intercom_page import PAGE
from mayfly.connectors.destinations.intercom_requests import inputs, new_user
from mayfly.connectors.destinations.intercom_subscriptions import (
    SAID,
    Wish,
    require_subscription_fields,
    tell,
)
from mayfly.connectors.first_check import FirstCheck
from mayfly.connectors.jobs import no_such_job
from mayfly.connectors.narrowing import Narrowing
from mayfly.connectors.row_parts import Told, refused_row
from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.domain.errors import ConfigError, ContractError, RequestRefusedError, TransientError
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
from mayfly.privacy.gate import ProtectedBatch

PART_ROWS, AT_ONCE = 50, 8
_DONE: Told = (OutcomeCode.ACCEPTED, None)
_AMBIGUOUS: Told = (OutcomeCode.REJECTED, Reason(code="ambiguous_key"))

SPEC = DestinationSpec(
    name="intercom",
    modes=frozenset({SyncMode.UPSERT, SyncMode.MIRROR, SyncMode.AUDIENCE}),
    fields=(),
    request=RequestLimits(rows_max=1, bytes_max=1_000_000),
    hosts=frozenset(HOSTS.values()),
    processor=Processor(
        legal_name="Intercom R&D Unlimited Company", countries=frozenset({"IE", "US"})
    ),
    erasure=Erasure.BY_IDENTIFIER,
    locates=True,
    batch_rows=1_000,
)


class Intercom:
    """Writes users by `external_id` or `email`; a repeat is harmless.

    Args:
        settings: which workspace.
        http: connects to it.
        context: of the sync; an audience is a tag.

    Raises:
        ConfigError: `one_key`, `unknown_subscription`, `subscription_type`.
    """

    def __init__(
        self, settings: IntercomSettings, http: HttpClient, context: DestinationContext
    ) -> None:
        if len(context.key) != 1 or context.key[0] not in KEYS:
            raise ConfigError("one_key", f"key must be one of {', '.join(KEYS)}.")
        require_subscription_fields(context, settings.subscriptions)
        self._settings = settings
        self._key = context.key[0]
        self._columns = dict(context.columns)
        self._tag = context.object_name if context.mode is SyncMode.AUDIENCE else ""
        self._api = IntercomApi(settings, http)
        self._narrowing = Narrowing(vendor=VENDOR)
        self._checked = FirstCheck(self.check)
        self._tag_id = ""
        self._consent: Mapping[str, str] = {}

    async def check(self) -> None:
        """Refuse another workspace or region, and a mapping to what is not there.

        Raises:
            ConfigError: as `IntercomApi.require_workspace`, `require_fields`, `consent_types`.
        """
        await self._api.require_workspace()
        await self._api.require_fields(list(self._columns))
        if self._settings.subscriptions:
            self._consent = await self._api.consent_types()

    async def fields(self) -> Sequence[VendorField]:
        """See `Describing.fields`."""
        own = [f"custom_attributes.{name}" for name in await self._api.attributes()]
        told = [f"{SUBSCRIPTION}{name}" for name in self._settings.subscriptions]
        names = [*sorted(STANDARD), NO_MAIL, *own, *told]
        return [VendorField(name=n, is_required=n == self._key) for n in names]

    async def locate(self, known: str | None) -> str | None:
        """See `Locating.locate`: the id of the tag, else the workspace, which is always there."""
        if not self._tag:
            return self._settings.app_id
        tags = await self._api.tags()
        if known is not None and tags.get(known, self._tag) != self._tag:
            raise ConfigError(
                "audience_renamed",
                f"The tag that this sync wrote to has another name at {VENDOR} now.",
                hint="Give it its name back, or name the sync's audience as it is called there.",
            )
        return next((record for record, name in tags.items() if name == self._tag), None)

    async def write(self, batch: ProtectedBatch, progress: Progress) -> Done | Submitted:
        """Send one batch, a part after the other."""
        require_protected(batch)
        await self._checked.answer()
        rows = await asyncio.to_thread(crm_rows, batch, self._key)
        match batch.head.operation:
            case Operation.WRITE:
                if self._tag and not self._tag_id:
                    self._tag_id = await self._api.made_tag(self._tag)
                texts = await asyncio.to_thread(inputs, rows.table)

                async def written(keys: Mapping[int, str]) -> dict[int, Told]:
                    return await self._written(rows, texts, keys)

                return await self._parts(rows, progress, written)
            case Operation.REMOVE:
                return await self._parts(rows, progress, self._removed)
            case _:
                raise ContractError("unknown_operation", f"{VENDOR} takes rows by their key.")

    async def poll(self, job: JobRef) -> Done | Pending:
        """Intercom answers at once; there is nothing to ask for."""
        raise no_such_job(VENDOR, job)

    async def applied(self, head: BatchHead) -> bool | None:
        """Unknown: Intercom keeps no marker of a batch."""
        del head
        return None

    async def erase(self, identifiers: ProtectedBatch) -> Done | Submitted:
        """Delete contacts for good, leads and archived ones, too; an absent one is accepted.

        Raises:
            ContractError: `one_identifier`.
        """
        require_protected(identifiers)
        key = erased_by(identifiers, KEYS)
        rows = crm_rows(identifiers, key)

        async def gone(keys: Mapping[int, str]) -> dict[int, Told]:
            return await self._erased(keys, key)

        # A key that stands twice is the same person; without one there is nobody.
        told: dict[int, Told] = dict.fromkeys(rows.unsent, _DONE)
        return await self._parts(rows, Progress(rows=len(rows.keys)), gone, told)

    async def close(self) -> None:
        """Release connections. May be repeated."""
        await self._api.close()

    async def _parts(
        self,
        rows: CrmRows,
        progress: Progress,
        act: Callable[[Mapping[int, str]], Awaitable[dict[int, Told]]],
        known: Mapping[int, Told] | None = None,
    ) -> Done:
        """Rows that are not answered yet, in parts; `known` has outcomes that hold already."""
        while progress.next_row < len(rows.keys):
            first = progress.next_row
            numbers = range(first, min(first + PART_ROWS, len(rows.keys)))
            keys = {n: rows.keys[n] for n in numbers if n not in rows.unsent}
            told = dict(known or {})
            if keys:
                told |= await act(keys)
            part = rows.part(first, PART_ROWS)
            progress.rows_done(part.outcomes({n: told[n] for n in numbers if n in told}))
        return progress.done()

    async def _written(
        self, rows: CrmRows, texts: Sequence[bytes], keys: Mapping[int, str]
    ) -> dict[int, Told]:
        there = said.found(await self._api.search(self._key, list(keys.values())), keys, self._key)

        async def one(row: int) -> Told:
            known = there.get(row, [])
            if len(known) > 1:
                return _AMBIGUOUS
            return await self._upserted(rows, row, texts[row], known[0] if known else None)

        return await _each(list(keys), one)

    async def _upserted(self, rows: CrmRows, row: int, text: bytes, known: Contact | None) -> Told:
        """Write one contact, then its tag and what the person said."""
        made: list[tuple[Contact, bool]] = []
        refused: list[Told] = []

        async def ask(_: Sequence[int]) -> None:
            made.append(await self._put(text, known))

        def refuse(_: int, error: RequestRefusedError) -> None:
            refused.append(refused_row(error))

        try:
            await self._narrowing.send([row], ask, refuse)
            if refused:
                return refused[0]
            contact, is_new = made[0]
            if self._tag_id:
                body = orjson.dumps({"id": self._tag_id})
                await self._api.call("POST", f"contacts/{contact.record}/tags", body)
            wishes = self._wishes(rows.table, row)
            return await tell(self._api, contact, wishes, is_new=is_new) if wishes else _DONE
        except GoneError as gone:
            return OutcomeCode.DEFERRED, Reason(code=gone.reason)
        except TakenError:
            reason = Reason(code="row_refused", vendor_code="conflict")
            return OutcomeCode.REJECTED, reason

    async def _put(self, text: bytes, known: Contact | None) -> tuple[Contact, bool]:
        """Make a contact, or write to the one that is there, archived or not.

        Returns:
            The contact, and whether this made it.
        """
        if known is None:
            try:
                return said.contact(await self._call("POST", "contacts", new_user(text))), True
            except TakenError as taken:
                # Made a moment ago, so that a search does not see it yet; or archived.
                known = taken.contact
        if known.is_archived:
            await self._api.call("POST", f"contacts/{known.record}/unarchive")
        answer = said.contact(await self._call("PUT", f"contacts/{known.record}", text))
        if answer.record != known.record:
            raise said.unfit("is of another contact")
        return answer, False

    async def _call(self, method: str, path: str, text: bytes) -> Mapping[str, Any]:
        return await self._api.call(method, path, text, fields=self._columns)

    def _wishes(self, table: pa.Table, row: int) -> list[Wish]:
        found = []
        for name in table.column_names:
            value = table.column(name)[row].as_py() if name.startswith(SUBSCRIPTION) else None
            if value is not None:
                number = self._settings.subscriptions[name.removeprefix(SUBSCRIPTION)]
                is_opt_in = self._consent[number] == "opt_in"
                found.append(Wish(subscription=number, is_opt_in=is_opt_in, yes=value))
        return found

    async def _removed(self, keys: Mapping[int, str]) -> dict[int, Told]:
        """Untag contacts, or archive them; who is not there is as good as done."""
        there = said.found(await self._api.search(self._key, list(keys.values())), keys, self._key)
        if self._tag and not self._tag_id:
            tags = await self._api.tags()
            self._tag_id = next((r for r, name in tags.items() if name == self._tag), "")
            if not self._tag_id:
                return {}

        async def one(row: int) -> Told:
            if len(there[row]) > 1:
                return _AMBIGUOUS
            record = there[row][0].record
            if self._tag:
                await self._gone("DELETE", f"contacts/{record}/tags/{self._tag_id}")
            else:
                await self._gone("POST", f"contacts/{record}/archive")
            return _DONE

        return await _each(list(there), one)

    async def _erased(self, keys: Mapping[int, str], key: str) -> dict[int, Told]:
        pages = await self._api.search(key, list(keys.values()), leads=True)
        there = said.found(pages, keys, key)

        async def one(row: int) -> Told:
            for contact in there.get(row, []):
                await self._gone("DELETE", f"contacts/{contact.record}")
            # A search finds neither who is archived nor who was made a moment ago: an attempt to
            # make them names them, and whom it makes goes at once.
            left = await self._revealed(key, keys[row])
            if left is not None:
                await self._gone("DELETE", f"contacts/{left}")
            return _DONE

        return await _each(list(keys), one)

    async def _revealed(self, key: str, name: str) -> str | None:
        """Id of the contact of a key, made where there was none; None where it cannot be one."""
        body = orjson.dumps({"role": "user", key: name})
        try:
            return said.contact(await self._api.call("POST", "contacts", body)).record
        except TakenError as taken:
            return taken.contact.record
        except RequestRefusedError:
            return None

    async def _gone(self, method: str, path: str) -> None:
        """Take something away that may be gone already."""
        try:
            await self._api.call(method, path)
        except GoneError:
            return


async def _each(rows: Sequence[int], act: Callable[[int], Awaitable[Told]]) -> dict[int, Told]:
    """What became of some rows, a few at the same time; none is left under way by a failure."""
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(row: int) -> Told:
        async with limit:
            return await act(row)

    tasks = [asyncio.ensure_future(one(row)) for row in rows]
    try:
        if tasks:
            await asyncio.wait(tasks)
    finally:
        for task in tasks:
            task.cancel()
    failures = [error for task in tasks if (error := task.exception()) is not None]
    if failures:
        # What an operator must see goes before what may pass.
        raise min(failures, key=lambda error: isinstance(error, TransientError))
    return {row: task.result() for row, task in zip(rows, tasks, strict=True)}


def _open(request: DestinationRequest) -> Intercom:
    given = request.settings.options.get("subscriptions")
    subscriptions = {
        str(name): subscription_id(str(entry["id"]))
        for name, entry in (given.items() if isinstance(given, Mapping) else ())
    }
    SAID.require_refusals(request.sync)
    settings = IntercomSettings(
        app_id=request.text("app_id"),
        access_token=request.secret("access_token"),
        region=request.text("region", "us"),
        subscriptions=subscriptions,
        endpoint=request.settings.endpoint or "",
    )
    return Intercom(settings, request.connect(), request.context)


def _hosts(request: HostsRequest) -> frozenset[str]:
    return frozenset({HOSTS[str(request.settings.options.get("region") or "us")]})


CONNECTOR = Connector(spec=SPEC, open=_open, address=("app_id", "region"), hosts=_hosts, page=PAGE)
