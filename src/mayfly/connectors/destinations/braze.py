"""Braze: people written by their external id, deleted, and what they said about messages.

Calls are in `braze_api`, rows become requests in `braze_requests`, answers are understood in
`braze_answers`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pyarrow as pa

from mayfly.connectors.destinations import require_protected
from mayfly.connectors.destinations.braze_answers import VENDOR, tracked
from mayfly.connectors.destinations.braze_api import (
    HOSTS,
    OBJECTS,
    OBJECTS_MAX,
    BrazeApi,
    BrazeSettings,
    Subscription,
)
from mayfly.connectors.destinations.braze_page import PAGE
from mayfly.connectors.destinations.braze_requests import (
    KEY,
    PROFILE,
    SUBSCRIPTION,
    People,
    require_attribute,
    track_body,
)
from mayfly.connectors.destinations.braze_subscriptions import (
    SAID,
    Wish,
    require_subscription_fields,
    standing,
    tell,
    wishes,
)
from mayfly.connectors.jobs import no_such_job
from mayfly.connectors.narrowing import Narrowing
from mayfly.connectors.row_parts import RowPart, Told, note_worse, noting_refused
from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.domain.errors import ConfigError, ContractError, RequestRefusedError
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

DELETED_MAX = 1_000
"""Rows of a removal that are answered for together."""
_BY_ONE = {"email": "email_address", "phone": "phone"}

SPEC = DestinationSpec(
    name="braze",
    modes=frozenset({SyncMode.UPSERT, SyncMode.MIRROR}),
    fields=(),
    request=RequestLimits(rows_max=OBJECTS_MAX, bytes_max=4_000_000),
    hosts=frozenset(HOSTS.values()),
    processor=Processor(legal_name="Braze, Inc.", countries=frozenset({"US"})),
    erasure=Erasure.BY_IDENTIFIER,
    concurrency=2,
    shared=True,
    batch_rows=5_000,
)


class Braze:
    """Writes attributes of people by their external id, and deletes profiles.

    Writing is by key, so that a repeat is harmless. Calls may run concurrently.

    Args:
        settings: which workspace.
        http: connects to its cluster.
        context: of the sync.

    Raises:
        ConfigError: `one_key`, `reserved_field`, `subscription_field`, `unknown_field`,
            `unsendable_type`, `unknown_subscription`, `subscription_type`.
    """

    def __init__(
        self, settings: BrazeSettings, http: HttpClient, context: DestinationContext
    ) -> None:
        if context.key != (KEY,):
            raise ConfigError("one_key", f"key must be {KEY}, by which Braze tells people apart.")
        self._settings = settings
        self._http = http
        self._api = BrazeApi(settings, http)
        self._narrowing, self._telling = Narrowing(vendor=VENDOR), Narrowing(vendor=VENDOR)
        for name, kind in context.columns.items():
            if not name.startswith(SUBSCRIPTION):
                clear = context.forms.get(name) is Form.CLEAR
                require_attribute(name, kind if clear else pa.string())
        require_subscription_fields(context, settings.subscriptions)

    async def check(self) -> None:
        """Ask for nobody, which needs the key and its permissions. Writes nothing.

        Raises:
            ConfigError: `reauthorise`. TransientError: Braze is away.
        """
        await self._api.of_ids(["mayfly-check"], [])

    async def fields(self) -> Sequence[VendorField]:
        """See `Describing.fields`: those that every workspace has, and those of the settings."""
        names = [KEY, *PROFILE, *(f"{SUBSCRIPTION}{n}" for n in self._settings.subscriptions)]
        return [VendorField(name=name, is_required=name == KEY) for name in names]

    async def write(self, batch: ProtectedBatch, progress: Progress) -> Done | Submitted:
        """Send one batch."""
        require_protected(batch)
        match batch.head.operation:
            case Operation.WRITE:
                return await self._write(batch, progress)
            case Operation.REMOVE:
                return await self._remove(batch, progress)
            case _:
                raise ContractError("unknown_operation", f"{VENDOR} takes rows by their key.")

    async def poll(self, job: JobRef) -> Done | Pending:
        """Braze tells nothing of what it has queued; there is nothing to ask for."""
        raise no_such_job(VENDOR, job)

    async def applied(self, head: BatchHead) -> bool | None:
        """Unknown: Braze keeps no marker of a batch."""
        del head
        return None

    async def erase(self, identifiers: ProtectedBatch) -> Done | Submitted:
        """Delete all profiles with an identifier for good; an absent one is accepted.

        Raises:
            ContractError: `one_identifier`, it is not exactly one that Braze finds people by.
        """
        require_protected(identifiers)
        names = identifiers.rows.column_names
        if len(names) != 1 or names[0] not in (KEY, *_BY_ONE):
            raise ContractError(
                "one_identifier", f"An erasure holds one of {KEY}, {', '.join(_BY_ONE)}."
            )
        values = identifiers.rendered().column(names[0]).cast(pa.string()).to_pylist()
        asked = list(dict.fromkeys(v.strip() for v in values if v and v.strip()))
        if names[0] == KEY:
            await self._api.delete("external_ids", asked)
        else:
            for value in asked:
                # Braze keeps addresses in small letters.
                found = await self._api.of_one(_BY_ONE[names[0]], value.lower())
                await self._api.delete("braze_ids", found)
        return _all_accepted(len(identifiers))

    async def close(self) -> None:
        """Release connections. May be repeated."""
        await self._http.close()

    async def _write(self, batch: ProtectedBatch, progress: Progress) -> Done:
        people = await asyncio.to_thread(People, batch)
        objects = await asyncio.to_thread(people.objects)
        addresses = people.addresses()
        while progress.next_row < people.length:
            part = people.part(progress.next_row, self._settings.objects_per_request)
            said = wishes(
                batch.rows,
                people.ids,
                addresses,
                self._settings.subscriptions,
                range(part.first, part.first + part.rows),
            )
            told = await self._part(batch, objects, part, said)
            progress.rows_done(part.outcomes(told))
        return progress.done()

    async def _part(
        self, batch: ProtectedBatch, objects: pa.Array, part: RowPart, said: Sequence[Wish]
    ) -> dict[int, Told]:
        there = await standing(self._api, said) if said else {}
        sent = part.sent
        if ".again" in batch.head.run:
            # Of these only what they said was not taken: attributes are counted by Braze.
            waiting = {wish.row for wish in said if wish.person in there}
            sent = tuple(row for row in sent if row not in waiting)
        told = await self._track(objects, sent)
        refused = {*part.unsent, *(r for r, o in told.items() if o[0] is OutcomeCode.REJECTED)}
        written = frozenset(set(part.sent) - refused)
        # A refusal is told even of who could not be written.
        chosen = [wish for wish in said if not wish.yes or wish.row in written]
        more = await tell(self._api, self._telling, chosen, there, written=written)
        note_worse(told, more)
        return told

    async def _track(self, objects: pa.Array, rows: Sequence[int]) -> dict[int, Told]:
        """Write attributes; rows that were not plainly taken."""
        told: dict[int, Told] = {}

        async def ask(numbers: Sequence[int]) -> None:
            body = track_body(objects, numbers)
            if len(body) > SPEC.request.bytes_max:
                raise RequestRefusedError("too_large", "A request would be too large.")
            told.update(tracked(await self._api.call("users/track", body), numbers))

        await self._narrowing.send(rows, ask, noting_refused(told))
        return told

    async def _remove(self, batch: ProtectedBatch, progress: Progress) -> Done:
        """Delete profiles; who is not there is gone already."""
        ids = batch.rendered().column(KEY).cast(pa.string()).to_pylist()
        while progress.next_row < len(ids):
            some = ids[progress.next_row : progress.next_row + DELETED_MAX]
            asked = list(dict.fromkeys(name for name in some if name and name.strip()))
            await self._api.delete("external_ids", asked)
            progress.rows_done(_all_accepted(len(some)).outcomes)
        return progress.done()


def _all_accepted(rows: int) -> Done:
    return Done(outcomes=Outcomes.all_of(OutcomeCode.ACCEPTED, rows))


def _open(request: DestinationRequest) -> Braze:
    options = request.settings.options
    given = options.get("subscriptions")
    subscriptions = {
        str(name): Subscription(**{key: str(value) for key, value in entry.items() if value})
        for name, entry in (given.items() if isinstance(given, Mapping) else ())
    }
    SAID.require_refusals(request.sync)
    settings = BrazeSettings(
        cluster=request.text("cluster"),
        api_key=request.secret("api_key"),
        objects_per_request=int(request.text("objects_per_request", str(OBJECTS))),
        endpoint=request.settings.endpoint or "",
        subscriptions=subscriptions,
    )
    return Braze(settings, request.connect(), request.context)


def _hosts(request: HostsRequest) -> frozenset[str]:
    return frozenset({HOSTS[str(request.settings.options.get("cluster") or "")]})


CONNECTOR = Connector(
    spec=SPEC, open=_open, address=("cluster", "workspace"), hosts=_hosts, page=PAGE
)
