"""The customer's own HTTPS address: signed messages of rows, after Standard Webhooks 1.0.

What a receiver gets and what it may answer: docs/howto/webhook.md.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

import orjson
import pyarrow as pa

from mayfly.connectors.destinations import require_protected
from mayfly.connectors.destinations.webhook_requests import (
    BYTES_MAX,
    ROWS_MAX,
    Rows,
    body,
    message_id,
)
from mayfly.connectors.http_replies import refused, retry_after, vendor_code
from mayfly.connectors.jobs import no_such_job
from mayfly.connectors.row_parts import RowPart
from mayfly.crypto.webhooks import signed_headers, webhook_key
from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.domain.errors import ConfigError, ContractError, RequestRefusedError
from mayfly.domain.outcomes import OutcomeCode, Outcomes, Reason
from mayfly.ports.connector import Connector, ConnectorPage, DestinationRequest, HostsRequest
from mayfly.ports.destination import (
    DestinationContext,
    DestinationSpec,
    Done,
    Erasure,
    JobRef,
    Pending,
    Progress,
    RequestLimits,
    Submitted,
)
from mayfly.ports.http import HttpClient, HttpReply
from mayfly.ports.source_spec import Revealed
from mayfly.privacy.gate import ProtectedBatch

REQUEST_SECONDS = 30.0
_RECEIVER = "The webhook's receiver"
_STATUSES = {
    "accepted": OutcomeCode.ACCEPTED,
    "rejected": OutcomeCode.REJECTED,
    "deferred": OutcomeCode.DEFERRED,
}
_OPERATIONS = {
    Operation.WRITE: "write",
    Operation.INSERT: "insert",
    Operation.REMOVE: "remove",
}

SPEC = DestinationSpec(
    name="webhook",
    modes=frozenset({SyncMode.UPSERT, SyncMode.MIRROR, SyncMode.APPEND}),
    fields=(),
    request=RequestLimits(rows_max=ROWS_MAX, bytes_max=BYTES_MAX),
    hosts=frozenset(),
    processor=None,
    erasure=Erasure.BY_KEY,
    repeatable=True,
    concurrency=2,
    shared=True,
    batch_rows=10_000,
)


@dataclass(frozen=True, kw_only=True)
class WebhookSettings:
    """Where messages go, and what signs them.

    Args:
        url: HTTPS, or literal loopback over plain HTTP.
        secret: gives `whsec_` and the key in base64.
        previous_secret: the one before it, which signs, too, until the receiver knows the new one.

    Raises:
        ConfigError: `bad_webhook`.
    """

    url: str
    secret: Revealed = field(repr=False)
    previous_secret: Revealed | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        loopback = parts.scheme == "http" and parts.hostname == "127.0.0.1"
        if not parts.hostname or not (parts.scheme == "https" or loopback):
            raise ConfigError("bad_webhook", "url must be https://HOST/PATH.")

    def keys(self) -> list[bytes]:
        """That sign, the current one first.

        Raises:
            ConfigError: `bad_webhook_secret`.
        """
        given = [s for s in (self.secret, self.previous_secret) if s is not None]
        return [webhook_key(s.reveal(), whose="the webhook") for s in given]


class WebhookDestination:
    """Posts rows to one address. A receiver knows a repeated message by its id.

    Calls may run concurrently.

    Args:
        settings: of the destination.
        http: connects to the address's host.
        context: of the sync.
        seconds: now, since 1970.
    """

    def __init__(
        self,
        settings: WebhookSettings,
        http: HttpClient,
        context: DestinationContext,
        *,
        seconds: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._http = http
        self._context = context
        self._seconds = seconds
        self._target = (context.workspace, context.sync, settings.url)

    async def check(self) -> None:
        """Send a message without rows, `mayfly.ping`: address, certificate and secret work.

        Raises:
            ConfigError: `bad_webhook_secret`, `reauthorise`, `webhook_gone`.
            TransientError: the receiver is away.
        """
        message = b'{"type":"mayfly.ping","data":{}}'
        _require_taken(await self._post(f"msg_ping_{int(self._seconds())}", message))

    async def write(self, batch: ProtectedBatch, progress: Progress) -> Done | Submitted:
        """Send one batch in as many messages as it takes."""
        require_protected(batch)
        operation = _OPERATIONS.get(batch.head.operation)
        if operation is None:
            raise ContractError("unknown_operation", "A webhook takes rows, not identifiers.")
        return await self._send(batch, progress, operation)

    async def poll(self, job: JobRef) -> Done | Pending:
        """A receiver answers at once; there is nothing to ask for."""
        raise no_such_job("A webhook", job)

    async def applied(self, head: BatchHead) -> bool | None:
        """Unknown: a receiver knows ids, but nobody can ask it for them."""
        del head
        return None

    async def erase(self, identifiers: ProtectedBatch) -> Done | Submitted:
        """Ask the receiver to forget subjects: operation `erase`."""
        require_protected(identifiers)
        return await self._send(identifiers, Progress(rows=len(identifiers)), "erase")

    async def close(self) -> None:
        """Release connections. May be repeated."""
        await self._http.close()

    async def _send(self, batch: ProtectedBatch, progress: Progress, operation: str) -> Done:
        if operation in ("remove", "erase") and len(batch) and not batch.rows.column_names:
            raise ContractError(
                "no_key",
                "Rows are taken back by their primary key, and the mapping does not carry it.",
                hint="Map the model's primary key, too.",
            )
        rows = await asyncio.to_thread(Rows, batch)
        pause: float | None = None
        for request in rows.requests(progress.next_row):
            outcomes, asked = await self._ask(batch.head, request, rows.texts, operation)
            pause = asked if pause is None else max(pause, asked or 0.0)
            progress.rows_done(outcomes)
        return replace(progress.done(), retry_after_seconds=pause)

    async def _ask(
        self, head: BatchHead, request: RowPart, texts: pa.Array, operation: str
    ) -> tuple[Outcomes, float | None]:
        answered = Outcomes.all_of(OutcomeCode.ACCEPTED, len(request.sent))
        pause = None
        if request.sent:
            content = body(head, request, texts, operation=operation, key=self._context.key)
            message = message_id(self._target, head, request, operation)
            reply = await self._post(message, content)
            answered = codes(reply, len(request.sent))
            pause = retry_after(reply)
        return _laid_out(request, answered), pause

    async def _post(self, message: str, content: bytes) -> HttpReply:
        keys = self._settings.keys()
        return await self._http.request(
            "POST",
            self._settings.url,
            headers=signed_headers(keys, message, int(self._seconds()), content),
            content=content,
            timeout_seconds=REQUEST_SECONDS,
        )


def codes(reply: HttpReply, rows: int) -> Outcomes:
    """A receiver's answer as outcomes, one per row sent. Pure.

    Raises:
        RequestRefusedError: 400, 413 and 422: some row is not as the receiver takes it.
        ContractError: `unknown_answer`.
        EngineError: as `http_replies.refused`.
    """
    _require_taken(reply)
    results = _results(reply)
    values = [int(OutcomeCode.ACCEPTED)] * rows
    reasons: dict[int, Reason] = {}
    seen: set[int] = set()
    for result in results:
        row, code = result.get("row"), _STATUSES.get(str(result.get("status")))
        if type(row) is not int or not 0 <= row < rows or row in seen or code is None:
            raise _unknown("names a row that was not sent, a row twice, or no known status")
        seen.add(row)
        values[row] = int(code)
        if code is not OutcomeCode.ACCEPTED:
            own = vendor_code(result.get("code", ""))
            reasons[row] = Reason(code=f"{result['status']}_by_receiver", vendor_code=own)
    return Outcomes(codes=pa.array(values, pa.uint8()), reasons=reasons)


def _require_taken(reply: HttpReply) -> None:
    match reply.status:
        case status if 200 <= status < 300:
            return
        case 400 | 413 | 422:
            raise RequestRefusedError(
                f"webhook_{reply.status}", f"{_RECEIVER} refuses a message (HTTP {reply.status})."
            )
        case 404 | 410:
            raise ConfigError(
                "webhook_gone",
                f"Nobody takes messages at the webhook's address (HTTP {reply.status}).",
                hint="Correct `url`, or take the destination out of the project.",
            )
        case _:
            raise refused(reply, _RECEIVER)


def _results(reply: HttpReply) -> list[Mapping[str, Any]]:
    """What a receiver says of single rows; nothing where it answers with anything but JSON."""
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" or not reply.body.strip():
        return []
    try:
        told = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        raise _unknown("says that it is JSON and is not") from None
    results = told.get("results", []) if isinstance(told, dict) else []
    if not isinstance(results, list) or not all(isinstance(entry, dict) for entry in results):
        raise _unknown("has results that are no list of objects")
    return results


def _laid_out(request: RowPart, answered: Outcomes) -> Outcomes:
    """Outcomes of the rows sent, with a rejection for each that was not."""
    if not request.unsent:
        return answered
    whole = Outcomes.all_of(OutcomeCode.REJECTED, request.rows)
    reasons = {number - request.first: reason for number, reason in request.unsent.items()}
    whole = Outcomes(codes=whole.codes, reasons=reasons)
    return whole.replaced([number - request.first for number in request.sent], answered)


def _unknown(what: str) -> ContractError:
    return ContractError("unknown_answer", f"{_RECEIVER} gave an answer that {what}.")


def _open(request: DestinationRequest) -> WebhookDestination:
    settings = WebhookSettings(
        url=request.text("url"),
        secret=request.secret("secret"),
        previous_secret=request.secret_if("previous_secret"),
    )
    return WebhookDestination(settings, request.connect(), request.context)


def _hosts(request: HostsRequest) -> frozenset[str]:
    host = urlsplit(str(request.settings.options.get("url", ""))).hostname
    return frozenset({host} if host else ())


PAGE = ConnectorPage(
    title="Webhook",
    example="""
destinations:
  own:
    type: webhook
    kind: internal
    owner: Platform team
    reason: our own service
    url: https://hooks.example.com/customers
    secret: env:WEBHOOK_SECRET
syncs:
  people_to_own:
    id: people_to_own
    model: people
    destination: own
    mode: mirror
    key: [id]
    mapping: {id: id, email: email, city: city}
""",
    rights=("A secret that the receiver has, too: `whsec_` and 24 to 64 bytes in base64.",),
    notes=(
        "[Send to a webhook](../../howto/webhook.md) says what a receiver gets, and what it may "
        "answer.",
    ),
    untested=("A receiver beyond this machine.",),
)

CONNECTOR = Connector(spec=SPEC, open=_open, address=("url",), hosts=_hosts, page=PAGE)
