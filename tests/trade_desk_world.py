"""The Trade Desk connector for tests, with the keys that the sandbox knows."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
import pyarrow as pa

from mayfly.connectors.destinations.the_trade_desk import SPEC, TheTradeDesk
from mayfly.connectors.destinations.the_trade_desk_settings import TradeDeskSettings
from mayfly.connectors.uid2 import Scope, Uid2Operator, Uid2Settings, operator_host
from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.ports.destination import DestinationContext
from mayfly.ports.http import HttpClient, HttpReply
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.seal import THE_SEAL
from mayfly.sandbox.app import SandboxApp
from mayfly.sandbox.uid2_operator import API_KEYS, CLIENT_SECRET

TOKEN = "token-1"
URL = "http://127.0.0.1:8765"


@dataclass(frozen=True)
class Secret:
    """A secret of a test, whose own `repr` shows it."""

    text: str

    def reveal(self) -> str:
        """The text."""
        return self.text


def api_key(scope: Scope) -> str:
    """The sandbox's key of a scope."""
    return next(key for key, of in API_KEYS.items() if of == scope)


def email_digest(subject: int) -> bytes:
    """SHA-256 of an address at a reserved domain."""
    return hashlib.sha256(f"person{subject}@example.com".encode()).digest()


def phone_digest(subject: int) -> bytes:
    """SHA-256 of a number of a range that is nobody's."""
    return hashlib.sha256(f"+1555{subject:07d}".encode()).digest()


def guid(subject: int) -> str:
    """A device's id."""
    return f"00000000-0000-4000-8000-{subject:012d}"


def operator(
    http: HttpClient,
    *,
    url: str = URL,
    scope: Scope = "euid",
    key: str | None = None,
    secret: str = CLIENT_SECRET,
) -> Uid2Operator:
    """The operator that the sandbox plays."""
    settings = Uid2Settings(
        scope=scope,
        host=operator_host(scope, "global"),
        api_key=Secret(key or api_key(scope)),
        client_secret=Secret(secret),
        endpoint=url,
    )
    return Uid2Operator(settings, http)


def desk(
    http: HttpClient,
    context: DestinationContext,
    *,
    url: str = URL,
    scope: Scope = "euid",
    token: str = TOKEN,
    api_key: str | None = None,
    segment: str = "Contract",
    ttl_days: int = 90,
) -> TheTradeDesk:
    """A connector to advertiser abc123."""
    settings = TradeDeskSettings(
        advertiser_id="abc123",
        token=Secret(token),
        segment=segment,
        ttl_days=ttl_days,
        endpoint=url,
    )
    mapping = operator(http, url=url, scope=scope, key=api_key)
    return TheTradeDesk(settings, http, context, scope=scope, operator=mapping)


def context(*names: str) -> DestinationContext:
    """A sync that maps these fields."""
    forms = {name: form_of(name) for name in names}
    return DestinationContext(
        workspace="shop",
        sync="loyal",
        mode=SyncMode.AUDIENCE,
        object_name="Contract",
        key=(),
        columns={n: pa.string() if f is Form.CLEAR else pa.binary() for n, f in forms.items()},
        forms=forms,
    )


def form_of(name: str) -> Form:
    """The form of a field; of one that there is not, a digest."""
    spec = SPEC.field(name)
    return Form.DIGEST if spec is None else spec.form


def batch(
    operation: Operation, columns: Mapping[str, Sequence[Any]], *, number: int = 0
) -> ProtectedBatch:
    """Sealed as the gate would seal it."""
    names = list(columns)
    types = {name: pa.string() if form_of(name) is Form.CLEAR else pa.binary() for name in names}
    table = pa.table({name: pa.array(values, types[name]) for name, values in columns.items()})
    head = BatchHead(
        sync="loyal",
        run="run-1",
        number=number,
        of=number + 1,
        operation=operation,
        rows=table.num_rows,
        identifier=names[0] if operation is Operation.REMOVE else None,
    )
    return ProtectedBatch(head, table, {name: form_of(name) for name in names}, seal=THE_SEAL)


@dataclass
class Call:
    """One request as it was made."""

    method: str
    url: str
    headers: Mapping[str, str]
    content: bytes

    @property
    def path(self) -> str:
        """Of the URL."""
        return httpx.URL(self.url).path

    @property
    def json(self) -> Any:
        """The body."""
        return orjson.loads(self.content)


@dataclass
class InProcess:
    """An `HttpClient` that asks a sandbox of its own, without a socket.

    Args:
        planned: answers that come first, by path.
        most: requests that were on their way to a path at the same time.
    """

    app: SandboxApp = field(default_factory=lambda: SandboxApp(tokens=frozenset({TOKEN})))
    planned: dict[str, list[HttpReply]] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    most: dict[str, int] = field(default_factory=dict)
    _on_the_way: dict[str, int] = field(default_factory=dict)

    async def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        form: Mapping[str, str] | None = None,
        timeout_seconds: float,
    ) -> HttpReply:
        """Answer one call."""
        assert form is None
        assert not params
        call = Call(method, url, headers or {}, content or b"")
        self.calls.append(call)
        now = self._on_the_way.get(call.path, 0) + 1
        self._on_the_way[call.path] = now
        self.most[call.path] = max(now, self.most.get(call.path, 0))
        try:
            for _ in range(3):  # others have their turn, as over a network
                await asyncio.sleep(0)
            planned = self.planned.get(call.path)
            return planned.pop(0) if planned else await self._sent(call)
        finally:
            self._on_the_way[call.path] -= 1

    async def close(self) -> None:
        """Nothing is open."""

    def to(self, path: str) -> list[Call]:
        """The calls to a path, in order."""
        return [call for call in self.calls if call.path == path]

    def members(self) -> dict[str, list[str]]:
        """Of the only segment, per identifier."""
        found = self.app.trade_desk.members({"audience": "abc123/Contract"})
        return dict(found["fields"]) if found else {}

    async def _sent(self, call: Call) -> HttpReply:
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(transport=transport, trust_env=False) as client:
            reply = await client.request(
                call.method, call.url, headers=dict(call.headers), content=call.content
            )
        headers = {name.lower(): value for name, value in reply.headers.items()}
        return HttpReply(status=reply.status_code, headers=headers, body=reply.content)
