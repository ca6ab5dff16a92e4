"""The Trade Desk's first-party data, through its Data API: the calls that are made.

E-mails and phones are mapped to UID2s or EUIDs while they are delivered, and nothing of that is
kept. Requests are built in `the_trade_desk_requests`, answers understood in
`the_trade_desk_answers`. Docs: docs/howto/the-trade-desk.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from mayfly.connectors.destinations import require_protected
from mayfly.connectors.destinations.the_trade_desk_answers import (
    Failures,
    RequestTooLargeError,
    Standing,
    added,
    answer,
    failures,
    reached,
    removed,
)
from mayfly.connectors.destinations.the_trade_desk_requests import (
    FIELDS,
    LIMITS,
    MAPPED,
    Column,
    Items,
    People,
    body,
    items,
)
from mayfly.connectors.destinations.the_trade_desk_settings import (
    DATA_CENTRES,
    MAPPED_TTL_DAYS_MAX,
    TTL_DAYS,
    TradeDeskSettings,
    renewal,
)
from mayfly.connectors.jobs import no_such_job
from mayfly.connectors.uid2 import (
    HOSTS,
    Identities,
    Kind,
    Scope,
    Uid2Operator,
    Uid2Settings,
    operator_host,
)
from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.domain.errors import ConfigError, ContractError
from mayfly.domain.outcomes import Outcomes
from mayfly.domain.settings import DestinationSettings
from mayfly.ports.connector import (
    Connector,
    ConnectorPage,
    DestinationRequest,
    HostsRequest,
)
from mayfly.ports.destination import (
    DestinationContext,
    DestinationSpec,
    Done,
    Erasure,
    JobRef,
    Pending,
    Processor,
    Progress,
    Submitted,
)
from mayfly.ports.http import HttpClient, HttpReply
from mayfly.privacy.gate import ProtectedBatch

REQUEST_SECONDS = 60.0
CALLERS_MAX = 4
_FALSE = pa.scalar(False, pa.bool_())


SPEC = DestinationSpec(
    name="the_trade_desk",
    modes=frozenset({SyncMode.AUDIENCE, SyncMode.UPSERT}),
    fields=FIELDS,
    request=LIMITS,
    hosts=frozenset(
        {*DATA_CENTRES.values(), *(host for of in HOSTS.values() for host in of.values())}
    ),
    # Where it says that its data centres are; which country the one of Europe is in, it does not.
    processor=Processor(legal_name="The Trade Desk, Inc.", countries=frozenset({"JP", "SG", "US"})),
    erasure=Erasure.BY_IDENTIFIER,
    always_external=True,
    concurrency=CALLERS_MAX,
    batch_rows=20_000,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Part:
    """Neighbouring rows of one request.

    Args:
        columns: their identifiers.
        head: of their batch; tells a request from others in the vendor's own traces.
        rows: how many there are.
    """

    columns: Sequence[Column]
    head: BatchHead
    rows: int


class TheTradeDesk:
    """Adds people to one first-party segment and removes them.

    Adding anew only sets the time to live again and removing an absent person is accepted, so a
    repeat is harmless. Calls may run concurrently; at most four requests are on their way at a
    time. Without an operator no e-mail and no phone can be sent.
    """

    def __init__(
        self,
        settings: TradeDeskSettings,
        http: HttpClient,
        context: DestinationContext,
        *,
        scope: Scope = "euid",
        operator: Uid2Operator | None = None,
    ) -> None:
        self._settings = settings
        self._http = http
        self._scope = scope
        self._operator = operator
        self._items_max = LIMITS.rows_max
        self._callers = asyncio.Semaphore(CALLERS_MAX)
        if unknown := [name for name in context.columns if SPEC.field(name) is None]:
            raise ConfigError("unknown_field", f"The Trade Desk has no field {unknown[0]}.")
        mapped = [name for name in context.columns if name in MAPPED]
        if mapped and operator is None:
            raise ConfigError(
                "no_operator",
                f"{mapped[0]} is sent as {scope.upper()}: uid2_api_key and uid2_client_secret are "
                "needed.",
            )
        if mapped and settings.ttl_days > MAPPED_TTL_DAYS_MAX:
            raise ConfigError(
                "bad_ttl",
                f"With {mapped[0]}, ttl_days must be at most {MAPPED_TTL_DAYS_MAX}: identifiers "
                "change, and those of before are told for ninety days only.",
            )

    async def check(self) -> None:
        """Raise ConfigError or TransientError if token or operator do not work. Writes nothing.

        The Data API has no call that only asks: this one holds no item, and is refused for that.
        """
        if self._operator is not None:
            await self._operator.check()
        reached(await self._post("/data/advertiser", _empty(self._settings.owner)))

    async def write(self, batch: ProtectedBatch, progress: Progress) -> Done | Submitted:
        """Send one batch; rows without any identifier are rejected unsent."""
        require_protected(batch)
        match batch.head.operation:
            case Operation.ADD | Operation.WRITE:
                return await self._send(batch, progress, self._add, also_previous=False)
            case Operation.REMOVE:
                if len(batch.rows.column_names) != 1:
                    raise ContractError(
                        "one_identifier", "A removal holds exactly one identifier field."
                    )
                return await self._send(batch, progress, self._remove)
            case Operation.INSERT:
                raise ContractError("unknown_operation", "A segment takes no inserts.")

    async def poll(self, job: JobRef) -> Done | Pending:
        """The Data API answers at once; there is nothing to ask for."""
        raise no_such_job("The Trade Desk", job)

    async def applied(self, head: BatchHead) -> bool | None:
        """Unknown: no marker of a batch is kept there."""
        del head
        return None

    async def erase(self, identifiers: ProtectedBatch) -> Done | Submitted:
        """Have people deleted, from every segment of the advertiser; absent ones are accepted."""
        require_protected(identifiers)
        return await self._send(identifiers, Progress(rows=len(identifiers)), self._delete)

    async def close(self) -> None:
        """Release connections. May be repeated."""
        await self._http.close()

    async def _send(
        self,
        batch: ProtectedBatch,
        progress: Progress,
        act: Callable[[_Part], Awaitable[Outcomes]],
        *,
        also_previous: bool = True,
    ) -> Done:
        """Groups that the operator maps at once, each in as many requests as it takes."""
        people = People(batch, self._scope)
        most = people.items_of_a_row(also_previous=also_previous)
        while progress.next_row < len(people):
            first = progress.next_row
            count = min(people.group_rows, len(people) - first)
            columns = await self._columns(people, first, count)
            sent = 0
            while sent < count:
                rows = min(max(1, self._items_max // most), count - sent)
                columns_of = [column.part(sent, rows) for column in columns]
                part = _Part(columns=columns_of, head=batch.head, rows=rows)
                try:
                    outcomes = await act(part)
                except RequestTooLargeError:
                    self._halve(rows, most)
                    continue
                progress.rows_done(outcomes)
                sent += rows
        return progress.done()

    def _halve(self, rows: int, items_of_a_row: int) -> None:
        """Requests hold half as much from now on; other lanes may have found that out already.

        Raises:
            RequestTooLargeError: one row alone is too large.
        """
        if rows == 1:
            raise RequestTooLargeError(
                "request_too_large", "The Trade Desk takes no request, not even with one row."
            )
        self._items_max = min(self._items_max, rows // 2 * items_of_a_row)

    async def _columns(self, people: People, first: int, count: int) -> list[Column]:
        digests = people.digests(first, count)
        mapped: Mapping[Kind, Identities] = {kind: Identities.none(count) for kind in digests}
        if self._operator is not None and any(len(d) > d.null_count for d in digests.values()):
            mapped = await self._operator.map(digests)
        return people.columns(first, count, mapped)

    async def _add(self, part: _Part) -> Outcomes:
        """Members for as long as the settings say; who opted out is no member any more."""
        opted_out, invalid = _flags(part, "opted_out"), _flags(part, "invalid")
        standing = Standing(
            rows=part.rows, opted_out=_numbers(opted_out), invalid=_numbers(invalid)
        )
        if standing.opted_out:
            # First: what a person who did not opt out shares with one who did is added again.
            gone = self._settings.segments(0)
            await self._segment(part, items(part.columns, opted_out, data=gone, also_previous=True))
        minutes = self._settings.ttl_days * 24 * 60
        sent = items(part.columns, pc.invert(opted_out), data=self._settings.segments(minutes))
        return added(standing, sent.rows.to_pylist(), await self._segment(part, sent))

    async def _remove(self, part: _Part) -> Outcomes:
        """Members for no longer, under what they were called ninety days ago, too."""
        sent = items(part.columns, data=self._settings.segments(0), also_previous=True)
        return self._removed(part, sent, await self._segment(part, sent))

    async def _delete(self, part: _Part) -> Outcomes:
        """A data subject's request: removal from a segment is no deletion."""
        sent = items(part.columns, also_previous=True)
        head = self._settings.owner | {"RequestType": "Deletion", "DataLoadTraceId": _trace(part)}
        failed = await self._items("/data/deletion-optout/advertiser", head, sent)
        return self._removed(part, sent, failed)

    @staticmethod
    def _removed(part: _Part, sent: Items, failed: Failures) -> Outcomes:
        standing = Standing(rows=part.rows, opted_out=_numbers(_flags(part, "opted_out")))
        return removed(standing, sent.rows.to_pylist(), failed)

    async def _segment(self, part: _Part, sent: Items) -> Failures:
        head = self._settings.owner | {"DataLoadTraceId": _trace(part)}
        return await self._items("/data/advertiser", head, sent)

    async def _items(self, path: str, head: Mapping[str, object], sent: Items) -> Failures:
        if not len(sent):
            return Failures(codes={})
        content = await asyncio.to_thread(body, head, sent)
        return failures(answer(await self._post(path, content)), len(sent))

    async def _post(self, path: str, content: bytes) -> HttpReply:
        async with self._callers:
            return await self._http.request(
                "POST",
                f"{self._settings.endpoint}{path}",
                headers={
                    "ttd-auth": self._settings.token.reveal(),
                    "content-type": "application/json",
                },
                content=content,
                timeout_seconds=REQUEST_SECONDS,
            )


def _flags(part: _Part, name: Literal["opted_out", "invalid"]) -> pa.Array:
    """Rows of which the operator says so of any identifier."""
    flags = pa.repeat(_FALSE, part.rows)
    for column in part.columns:
        if column.identities is not None:
            flags = pc.or_(flags, getattr(column.identities, name))
    return flags


def _numbers(flags: pa.Array) -> frozenset[int]:
    return frozenset(pc.indices_nonzero(flags).to_pylist())


def _trace(part: _Part) -> str:
    return f"{part.head.run}.{part.head.number}"


def _empty(owner: Mapping[str, str]) -> bytes:
    return orjson.dumps({**owner, "Items": []})


def _open(request: DestinationRequest) -> TheTradeDesk:
    host = _data_host(request.settings)
    endpoint = request.settings.endpoint
    http = request.connect()
    settings = TradeDeskSettings(
        advertiser_id=request.text("advertiser_id"),
        token=request.secret("token"),
        segment=request.sync.audience or "",
        data_provider_id=request.text("data_provider_id"),
        host=host,
        ttl_days=_ttl_days(request.settings),
        endpoint=endpoint or f"https://{host}",
    )
    scope = _scope(request.settings)
    operator = None
    if request.settings.options.get("uid2_api_key"):
        of = _operator_host(request.settings)
        asked = Uid2Settings(
            scope=scope,
            host=of,
            api_key=request.secret("uid2_api_key"),
            client_secret=request.secret("uid2_client_secret"),
            endpoint=endpoint or f"https://{of}",
        )
        operator = Uid2Operator(asked, http)
    return TheTradeDesk(settings, http, request.context, scope=scope, operator=operator)


def _scope(settings: DestinationSettings) -> Scope:
    return cast("Scope", str(settings.options.get("identity", "euid")))


def _data_host(settings: DestinationSettings) -> str:
    return DATA_CENTRES[str(settings.options.get("data_centre", "eu"))]


def _ttl_days(settings: DestinationSettings) -> int:
    return int(str(settings.options.get("ttl_days", TTL_DAYS)))


def _operator_host(settings: DestinationSettings) -> str:
    return operator_host(_scope(settings), str(settings.options.get("uid2_operator", "global")))


def _hosts(request: HostsRequest) -> frozenset[str]:
    """The one data centre, and the one operator where there is one."""
    hosts = {_data_host(request.settings)}
    if request.settings.options.get("uid2_api_key"):
        hosts.add(_operator_host(request.settings))
    return frozenset(hosts)


PAGE = ConnectorPage(
    title="The Trade Desk first-party data",
    example="""
destinations:
  ttd:
    type: the_trade_desk
    advertiser_id: abc123
    token: env:TTD_TOKEN
    uid2_api_key: env:EUID_API_KEY
    uid2_client_secret: env:EUID_CLIENT_SECRET
syncs:
  loyal_to_ttd:
    id: loyal_to_ttd
    model: people
    destination: ttd
    mode: audience
    audience: loyalty_members
    purpose: ads
    mapping: {EMAIL: email, PHONE: phone}
""",
    rights=(
        "A token of the platform whose user may upload first-party data for the advertiser.",
        "For `EMAIL` and `PHONE`: the signed UID2 or EUID agreement, and an API key with its "
        "client secret whose role maps identities.",
    ),
    notes=(
        "[Send to The Trade Desk](../../howto/the-trade-desk.md) says what outcomes and errors "
        "mean, and how members are kept past the end of their time to live.",
        "`EMAIL` and `PHONE` leave as match hashes for the operator of EUID or UID2. What it calls "
        "the person goes to The Trade Desk, and is kept nowhere.",
        "Data goes to the data centre of Europe by default. The platform copies it to its others, "
        "in the United States, Singapore and Japan.",
    ),
    untested=(
        "Everything: it was tried against the sandbox, driven by the vendor's own clients too.",
        "Whether the API tells a token that does not work from a request without items, which is "
        "what `mayfly doctor` sends.",
        "How large a request may be: it begins with 1,600 items, and halves on HTTP 413.",
    ),
)

CONNECTOR = Connector(
    spec=SPEC,
    open=_open,
    address=("advertiser_id", "data_provider_id", "identity"),
    hosts=_hosts,
    page=PAGE,
    renewal=lambda settings: renewal(_ttl_days(settings)),
)
